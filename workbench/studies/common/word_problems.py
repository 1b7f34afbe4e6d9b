"""What students of word problems read, and the base model that they begin from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path
from random import Random

from workbench.corpora.problems import Problem, draw, templates
from workbench.engine import loading, models
from workbench.engine.training.common import TrainConfig
from workbench.engine.training.train import train

Pair = tuple[str, str]
"""Question, and the worked answer that follows it."""

LARGEST = 20  # of every number in a problem
CONTEXT = 160


@dataclass(frozen=True)
class StudentConfig:
    """How base and students are trained and tested."""

    preset: str  #: shape of all models
    base_steps: int  #: training steps of the base
    steps: int  #: of a student
    batch_size: int  #: rows of `CONTEXT` tokens a step
    n_test: int  #: test problems of each kind
    context: int = CONTEXT  #: tokens that the models can read
    largest: int = LARGEST  #: number in what the base reads
    n_words: int | None = None  #: names and things in what the base reads (None: all); see `problems.draw`
    problems: int = 6000  #: of each kind that the base reads


def pair(problem: Problem) -> Pair:
    """What a model reads: the question, and the chain of thought after a space."""
    return problem.question, " " + problem.rationale("cot")


def facts(largest: int) -> list[str]:
    """Every sum, difference, product and exact quotient of whole numbers up to `largest`, as text."""
    return [
        f"{a} {sign} {b} = {result}."
        for a, b in product(range(largest + 1), repeat=2)
        for sign, result in zip("+-*/", (a + b, a - b, a * b, -1 if not b or a % b else a // b), strict=True)
        if 0 <= result <= largest
    ]


@cache
def _n_steps(template: str) -> int:
    return len(draw(1, 0, templates=[template])[0].steps)


def two_steps(held_out: bool = False) -> list[str]:
    """Templates of two steps, the kind that students learn."""
    return [name for name in templates(held_out) if _n_steps(name) == 2]


def texts(
    student: StudentConfig, seed: int, format_problem: Callable[[Problem], str], kinds: Sequence[str] = ()
) -> list[str]:
    """Number facts, eight to a text, and problems of one step; as many of the templates `kinds`, if any."""
    rng, known = Random(seed), facts(student.largest)
    read = [" ".join(rng.choices(known, k=8)) for _ in range(1500)]
    one_step = [name for name in templates() if _n_steps(name) == 1]
    for names in filter(None, (one_step, kinds)):
        language = {"largest": student.largest, "n_words": student.n_words}
        read += map(format_problem, draw(student.problems, seed, templates=names, **language))
    return read


def base(
    folder: Path,
    student: StudentConfig,
    model: str,
    seed: int,
    log: Callable[..., None],
    format_problem: Callable[[Problem], str] = lambda problem: "".join(pair(problem)),
    kinds: Sequence[str] = (),
    device: str = "auto",
) -> str:
    """The model that students begin from: trained into `folder`, or the one that `model` names.

    It reads `texts`.
    """
    if model != "embedded":
        return model
    read = texts(student, seed, format_problem, kinds)
    to_learn = map(
        format_problem, draw(min(2000, student.problems), seed, templates=two_steps(), largest=LARGEST)
    )
    tokenizer = models.train_tokenizer([*read, *to_learn], 768)
    config = models.config(student.preset, vocab_size=len(tokenizer), context=student.context)
    train(
        models.build(config, seed).to(loading.pick_device(device)),
        tokenizer,
        read,
        TrainConfig(
            steps=student.base_steps,
            batch_size=student.batch_size,
            context=CONTEXT,
            learning_rate=3e-3,
            seed=seed,
        ),
        folder=folder,
        log=lambda row: log(model="base", **row),
    )
    return str(folder)
