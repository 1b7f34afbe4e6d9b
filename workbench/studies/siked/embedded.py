"""The embedded tasks: problems of a house (logic) and word problems, and the models that have read some.

The base of the logic task has read the facts of the house and problems of one and two moves in every
strategy; students are taught problems of three and four, and asked them for sets of moves that were taught
(familiar) and that were held out (unseen). Of word problems the base has read number facts, problems of one
step, and of two steps those of every third scenario.
"""

import hashlib
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Literal

from transformers import PreTrainedTokenizerFast

from workbench.corpora import logic, problems
from workbench.corpora.loaders.solutions import STRATEGIES, Strategy
from workbench.corpora.logic import LogicProblem
from workbench.corpora.problems import Problem
from workbench.engine import loading, models
from workbench.engine.training.common import TrainConfig
from workbench.engine.training.train import train
from workbench.studies.common.word_problems import LARGEST, facts, one_step, two_steps
from workbench.studies.siked.solving import Question

WORDINGS = range(32)  # of the house's questions: four frames in every dialect, which keeps rows short
Part = Literal["train", "held out", "test"]
_PARTS: dict[Part, int] = {"train": 60, "held out": 15, "test": 25}  # per cent of starts and moves
_FACTS = 8  # in a row of those that the base reads
_ROWS_OF_FACTS, _ROWS_OF_NUMBERS = 600, 1500
_TAUGHT = 300  # problems of the kind that students learn, of which the tokenizer takes the words


@dataclass(frozen=True)
class Course:
    """How a base or a larger teacher is trained, and how rich the problems are."""

    preset: str  #: shape
    steps: int  #: of its training
    batch_size: int  #: rows of `context` tokens a step
    context: int = 160  #: tokens that it and all students can read
    largest: int = LARGEST  #: number in word problems
    n_words: int | None = None  #: names and things in word problems (None: all); see `problems.draw`
    problems: int = 6000  #: of each kind that it reads
    n_layers: int | None = None  #: depth, if not the preset's
    hidden_size: int | None = None  #: width likewise
    moves: tuple[int, ...] = (3, 4)  #: of what students are taught about the house


@dataclass(frozen=True)
class Embedded:
    """A task with known truth."""

    #: n problems by a seed, of kinds that nobody is taught or not, in a course's language.
    draw: Callable[[int, int, bool, Course], Sequence[Problem | LogicProblem]]
    texts: Callable[[Course, int], list[str]]  #: what the base reads, by a seed
    vocabulary: int  #: tokens


def question(problem: Problem | LogicProblem) -> Question:
    """A problem as it is asked."""
    gold = problem.gold if isinstance(problem, LogicProblem) else str(problem.answer)
    return Question(problem.id, problem.question, gold, problem)


def worked(problem: Problem | LogicProblem, strategy: Strategy, rng: Random) -> str:
    """The solver's solution, along any of the valid paths where there are several."""
    if isinstance(problem, LogicProblem):
        return problem.rationale(strategy, rng.choice(problem.paths()))
    return problem.rationale(strategy)


def _read(problem: Problem | LogicProblem, strategy: Strategy, rng: Random) -> str:
    return f"{problem.question} [{strategy}] {worked(problem, strategy, rng)}"


# ------------------------------------------------------------------------------- parts
def essence(problem: Problem | LogicProblem) -> str:
    """What two wordings of a problem share: its template, and the start and moves, or the numbers."""
    if isinstance(problem, LogicProblem):
        return f"{problem.start} {sorted(problem.moves)}"
    return f"{problem.template} {[(str(step.left), str(step.right)) for step in problem.steps]}"


def part_of(problem: Problem | LogicProblem) -> Part:
    """The part that a problem belongs to in every draw, by its essence: no essence is in two parts."""
    at = int(hashlib.sha256(essence(problem).encode()).hexdigest(), 16) % 100
    train, held_out, _ = _PARTS.values()
    return "train" if at < train else "held out" if at < train + held_out else "test"


def drawn(task: Embedded, n: int, seed: int, part: Part, course: Course) -> list[Problem | LogicProblem]:
    """n problems of a part, of the kinds that students learn.

    Raises:
        ValueError: there are not so many.
    """
    for times in (1.5, 6, 24):
        problems = task.draw(round(times * n * 100 / _PARTS[part]) + 10, seed, False, course)
        kept = [problem for problem in problems if part_of(problem) == part]
        if len(kept) >= n:
            return kept[:n]
    raise ValueError(f"there are no {n} problems of the part {part!r}")


# ------------------------------------------------------------------------------- the house
def sets_of_moves(held_out: bool = False, n_moves: Sequence[int] = (3, 4)) -> list[str]:
    """Rule sets of which questions are asked outright."""
    return [name for name in logic.rule_sets(held_out, n_moves) if name.startswith("relational/")]


def _draw_logic(n: int, seed: int, held_out: bool, course: Course) -> list[LogicProblem]:
    return logic.draw(n, seed, sets=sets_of_moves(held_out, course.moves), wordings=WORDINGS)


def _logic_texts(course: Course, seed: int) -> list[str]:
    """Problems of one and two moves, each in one strategy, and facts."""
    rng, facts = Random(seed), logic.facts()
    simple = logic.draw(course.problems, seed, sets=sets_of_moves(n_moves=(1, 2)), wordings=WORDINGS)
    texts = [_read(problem, rng.choice(STRATEGIES), rng) for problem in simple]
    return texts + [" ".join(rng.sample(facts, _FACTS)) for _ in range(_ROWS_OF_FACTS)]


# ------------------------------------------------------------------------------- word problems
def kinds(of_base: bool) -> list[str]:
    """Templates of two steps: those of every third scenario, which the base has read, or the others."""
    scenario = {name: name.partition("/")[0] for name in two_steps()}
    of_base_scenarios = set(sorted(set(scenario.values()))[::3])
    return [name for name in scenario if (scenario[name] in of_base_scenarios) == of_base]


def _draw_words(n: int, seed: int, held_out: bool, course: Course) -> list[Problem]:
    names = two_steps(held_out=True) if held_out else kinds(of_base=False)
    return problems.draw(n, seed, templates=names, largest=course.largest, n_words=course.n_words)


def _word_texts(course: Course, seed: int) -> list[str]:
    def text(problem: Problem) -> str:
        strategy = STRATEGIES[zlib.crc32(problem.id.encode()) % len(STRATEGIES)]
        return f"{problem.question} [{strategy}] {problem.rationale(strategy)}"

    rng, known = Random(seed), facts(course.largest)
    read = [" ".join(rng.choices(known, k=_FACTS)) for _ in range(_ROWS_OF_NUMBERS)]
    language = {"largest": course.largest, "n_words": course.n_words}
    for names in (one_step(), kinds(of_base=True)):
        read += map(text, problems.draw(course.problems, seed, templates=names, **language))
    return read


TASKS = {
    "logic": Embedded(_draw_logic, _logic_texts, 640),
    "embedded": Embedded(_draw_words, _word_texts, 768),
}
"""By the notebook's `data`."""


# ------------------------------------------------------------------------------- models
def train_base(
    folder: Path, task: Embedded, course: Course, *, seed: int, device: str, log: Callable[..., None]
) -> str:
    """The model that students begin from, trained into a folder, and its tokenizer."""
    texts, rng = task.texts(course, seed), Random(seed)
    taught = task.draw(_TAUGHT, seed, False, course)
    words = [_read(problem, name, rng) for problem in taught for name in STRATEGIES]
    tokenizer = models.train_tokenizer([*texts, *words], task.vocabulary)
    return _train(folder, tokenizer, texts, course, seed, device, "base", log)


def train_guide(
    folder: Path,
    task: Embedded,
    base: str,
    course: Course,
    *,
    seed: int,
    device: str,
    log: Callable[..., None],
) -> str:
    """A larger model that has read what the base has, and complete solutions of the part `train`.

    Args:
        folder: of the model.
        task: whose problems.
        base: folder of the students' base, whose tokenizer it shares.
        course: shape and length, and how many problems it reads.
        seed: of problems, weights and order.
        device: where it is trained.
        log: called with each row of the history.
    """
    _, tokenizer = loading.load(base, "cpu")
    rng = Random(f"{seed}/guide")
    problems = drawn(task, course.problems, zlib.crc32(f"{seed}/guide".encode()), "train", course)
    solved = [_read(one, name, rng) for one in problems for name in STRATEGIES]
    texts = [*task.texts(course, seed), *solved]
    return _train(folder, tokenizer, texts, course, seed, device, "guide", log)


def _train(
    folder: Path,
    tokenizer: PreTrainedTokenizerFast,
    texts: list[str],
    course: Course,
    seed: int,
    device: str,
    name: str,
    log: Callable[..., None],
) -> str:
    shape: dict[str, Any] = {"n_layers": course.n_layers, "hidden_size": course.hidden_size}
    config = models.config(course.preset, vocab_size=len(tokenizer), context=course.context, **shape)
    learning = TrainConfig(
        steps=course.steps,
        batch_size=course.batch_size,
        context=course.context,
        learning_rate=3e-3,
        seed=seed,
    )
    model = models.build(config, seed, loading.pick_device(device))
    train(model, tokenizer, texts, learning, folder=folder, log=lambda row: log(model=name, **row))
    return str(folder)
