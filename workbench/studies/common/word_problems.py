"""What students of word problems read, and the base model that they begin from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerFast

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
    """How base and students are trained and tested.

    Attributes:
        preset: shape of all models.
        base_steps: training steps of the base.
        steps: of a student.
        batch_size: rows of `CONTEXT` tokens a step.
        asked: test problems of each kind.
        context: tokens that the models can read.
        largest: number in what the base reads.
        n_words: names and things in what the base reads (None: all); see `problems.draw`.
    """

    preset: str
    base_steps: int
    steps: int
    batch_size: int
    asked: int
    context: int = CONTEXT
    largest: int = LARGEST
    n_words: int | None = None


def pair(problem: Problem) -> Pair:
    """What a model reads: the question, and the chain of thought after a space."""
    return problem.question, " " + problem.rationale("cot")


def facts(largest: int = LARGEST) -> list[str]:
    """Every sum, difference, product and exact quotient of whole numbers up to `largest`, as text."""
    numbers = range(largest + 1)
    found = []
    for a in numbers:
        for b in numbers:
            signs = [("+", a + b), ("-", a - b), ("*", a * b)]
            signs += [("/", a // b)] if b and a % b == 0 else []
            found += [f"{a} {sign} {b} = {c}." for sign, c in signs if 0 <= c <= largest]
    return found


@cache
def _n_steps(template: str) -> int:
    return len(draw(1, 0, templates=[template])[0].steps)


def two_steps(held_out: bool = False) -> list[str]:
    """Templates of two steps, the kind that students learn."""
    return [name for name in templates(held_out) if _n_steps(name) == 2]


def whole(problem: Problem) -> str:
    """A problem and its chain of thought as one text."""
    return "".join(pair(problem))


def base_texts(
    course: StudentConfig, seed: int, told: Callable[[Problem], str] = whole, kinds: Sequence[str] = ()
) -> list[str]:
    """What the base reads: number facts, eight to a text, and problems of one step, each as `told`; and as
    many of `kinds`, if there are any."""
    rng, known = Random(seed), facts(course.largest)
    texts = [" ".join(rng.choices(known, k=8)) for _ in range(1500)]
    one_step = [name for name in templates() if _n_steps(name) == 1]
    for names in filter(None, (one_step, kinds)):
        drawn = draw(6000, seed, templates=names, largest=course.largest, n_words=course.n_words)
        texts += [told(each) for each in drawn]
    return texts


def base(
    folder: Path,
    course: StudentConfig,
    params: Any,
    log: Callable[..., None],
    told: Callable[[Problem], str] = whole,
    kinds: Sequence[str] = (),
) -> str:
    """The model that students begin from: trained into `folder`, or the one that `model` names."""
    if params.model != "embedded":
        return params.model
    texts = base_texts(course, params.seed, told, kinds)
    seen = [told(each) for each in draw(2000, params.seed, templates=two_steps(), largest=LARGEST)]
    tokenizer = models.train_tokenizer(texts + seen, 768)
    config = models.config(course.preset, vocab_size=len(tokenizer), context=course.context)
    train(
        models.build(config, params.seed),
        tokenizer,
        texts,
        TrainConfig(
            steps=course.base_steps,
            batch_size=course.batch_size,
            context=CONTEXT,
            learning_rate=3e-3,
            seed=params.seed,
        ),
        folder=folder,
        log=lambda row: log(model="base", **row),
    )
    return str(folder)


def proxy(base: str, params: Any) -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """The base, to read gradients from."""
    return loading.load(base, params.device)
