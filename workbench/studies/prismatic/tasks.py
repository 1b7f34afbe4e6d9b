"""What students of 09 learn: tasks whose structures and wordings are drawn apart, and how each is graded.

A *structure* is what a problem teaches: which steps lead to its answer. A *wording* is how it is put. The
base knows every fact and every wording; what it has not seen are whole problems of this length.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Protocol

import numpy as np
import pandas as pd

from workbench.corpora import logic, problems
from workbench.corpora.logic import LogicProblem
from workbench.corpora.problems import Problem
from workbench.engine import loading, models
from workbench.engine.training.checkpoints import is_finished
from workbench.engine.training.common import TrainConfig
from workbench.engine.training.lora import Lora
from workbench.engine.training.train import train
from workbench.measures.answers.agreement import final_answer
from workbench.measures.answers.grading import grade_many
from workbench.studies.common.word_problems import LARGEST, facts, one_step, two_steps
from workbench.studies.prismatic.items import Item

MOVES = (4,)  # of the logic problems that students learn and are asked; the base reads one and two
KINDS, SKEW = 8, 10  # structures of a first pool; the first half of them is so many times as frequent
POOL_WORDINGS = 8  # of a first pool
FEWEST_WORDS = 3  # names and things that a word problem cannot do without
_VOCABULARY = 1024
_FACTS = 6  # to a text that the base reads
_PROBLEMS = 6_000  # of each kind that the base reads
_LONGEST_REPLY = 60  # tokens


@dataclass(frozen=True)
class Student:
    """How the base and its students are trained and tested."""

    preset: str  #: shape of the base
    base_steps: int  #: training steps of the base
    steps: int  #: of a student
    batch_size: int  #: rows of `context` tokens a step
    n_test: int  #: test problems
    context: int = 128  #: tokens of a row; more where an example is longer
    learning_rate: float = 2e-3  #: of a student, the highest
    base_rate: float = 5e-3  #: of the base
    lora: Lora | None = None  #: trains adapters instead of all weights


class Task(Protocol):
    """Problems to learn from, and others to be asked."""

    @property
    def structures(self) -> list[str]:
        """Those that training sets are drawn from; none that is asked is among them."""
        ...

    @property
    def wordings(self) -> int:
        """Ways to put a problem."""
        ...

    @property
    def longest_reply(self) -> int:
        """Tokens of a student's answer."""
        ...

    @property
    def note(self) -> str:
        """What was noticed of the problems; nothing where they are our own."""
        ...

    def draw(self, n: int, seed: int, structures: Sequence[str], wordings: Sequence[int]) -> list[Item]:
        """n problems with solutions, structures and wordings drawn apart and evenly; repeated ones count."""
        ...

    def tests(self, n: int, seed: int) -> list[Any]:
        """Problems to be asked, each with a `question`."""
        ...

    def grade(self, tests: Sequence[Any], replies: Sequence[str]) -> pd.DataFrame:
        """Columns item, right (what the claims are about) and answer (the answer alone)."""
        ...

    def read(self, solution: str) -> str | None:
        """The answer that a solution gives, None without one."""
        ...

    def wrong(self, answer: str, rng: np.random.Generator) -> str:
        """Another answer."""
        ...


# ------------------------------------------------------------------------------- the house of eighty people
@dataclass(frozen=True)
class LogicTask:
    """Four moves through a house (`corpora.logic`): structures are rule sets, right is a valid plan."""

    longest_reply: int = 48
    note: str = ""

    @property
    def structures(self) -> list[str]:
        return logic.rule_sets(n_moves=MOVES)

    @property
    def wordings(self) -> int:
        return logic.N_WORDINGS

    def draw(self, n: int, seed: int, structures: Sequence[str], wordings: Sequence[int]) -> list[Item]:
        drawn = logic.draw(n, seed, sets=structures, wordings=wordings)
        return [Item(p.id, p.question, p.rationale(), p.answer, p.template, 0, p.wording) for p in drawn]

    def tests(self, n: int, seed: int) -> list[LogicProblem]:
        return logic.draw(n, seed, sets=logic.rule_sets(held_out=True, n_moves=MOVES))

    def grade(self, tests: Sequence[LogicProblem], replies: Sequence[str]) -> pd.DataFrame:
        checks = [logic.check(test, reply, "cot") for test, reply in zip(tests, replies, strict=True)]
        columns = {"right": [one.plan for one in checks], "answer": [one.answer for one in checks]}
        return pd.DataFrame({"item": range(len(checks)), **columns})

    def read(self, solution: str) -> str | None:
        name = solution.rpartition("The answer is ")[2].removesuffix(".")
        return name if name in logic.PEOPLE else None

    def wrong(self, answer: str, rng: np.random.Generator) -> str:
        others = [name for name in logic.PEOPLE if name != answer]
        return others[rng.integers(len(others))]

    def texts(self, seed: int) -> tuple[list[str], list[str]]:
        """What the base reads: facts and problems of one and two moves; and others that have its words."""
        rng, known = Random(seed), logic.facts()
        read = [" ".join(rng.choices(known, k=_FACTS)) for _ in range(1500)]
        for moves in (1, 2):
            drawn = logic.draw(_PROBLEMS, seed, sets=logic.rule_sets(n_moves=(moves,)))
            read += [f"{problem.question} {problem.rationale()}" for problem in drawn]
        return read, [f"{p.question} {p.rationale()}" for p in logic.draw(2000, seed)]


# ------------------------------------------------------------------------------- word problems
@dataclass(frozen=True)
class WordTask:
    """Word problems of two steps: structures are templates, wordings names and things, right the answer."""

    wordings: int = 32
    longest_reply: int = _LONGEST_REPLY
    note: str = ""

    @property
    def structures(self) -> list[str]:
        return two_steps()

    def draw(self, n: int, seed: int, structures: Sequence[str], wordings: Sequence[int]) -> list[Item]:
        n_words = max(FEWEST_WORDS, len(set(wordings)))
        drawn = problems.draw(n, seed, templates=list(structures), n_words=n_words, largest=LARGEST)
        return [Item(p.id, p.question, p.rationale(), str(p.answer), p.template, 0) for p in drawn]

    def tests(self, n: int, seed: int) -> list[Problem]:
        return problems.draw(n, seed, templates=two_steps(held_out=True), largest=LARGEST)

    def grade(self, tests: Sequence[Problem], replies: Sequence[str]) -> pd.DataFrame:
        grades = grade_many(list(replies), [test.answer for test in tests])
        right = [one.verdict == "correct" and one.answer.source == "marker" for one in grades]
        return pd.DataFrame({"item": range(len(right)), "right": right, "answer": right})

    def read(self, solution: str) -> str | None:
        return final_answer(solution)

    def wrong(self, answer: str, rng: np.random.Generator) -> str:
        return str(int(answer) + (-10, -2, -1, 1, 2, 10)[rng.integers(6)])

    def texts(self, seed: int) -> tuple[list[str], list[str]]:
        """What the base reads: number facts and problems of one step; and others that have its words."""
        rng, known = Random(seed), facts(LARGEST)
        read = [" ".join(rng.choices(known, k=_FACTS)) for _ in range(1500)]
        drawn = problems.draw(_PROBLEMS, seed, templates=one_step(), largest=LARGEST)
        read += [f"{problem.question} {problem.rationale()}" for problem in drawn]
        to_learn = problems.draw(2000, seed, templates=two_steps(), largest=LARGEST)
        return read, [f"{problem.question} {problem.rationale()}" for problem in to_learn]


EMBEDDED: dict[str, LogicTask | WordTask] = {"logic": LogicTask(), "embedded": WordTask()}


def first_pool(task: LogicTask | WordTask, n: int, seed: int) -> list[Item]:
    """A first pool of few kinds in few wordings: half of them are `SKEW` times as frequent as the others."""
    rng = Random(f"pool/{seed}")
    kinds = rng.sample(task.structures, KINDS)
    weighted = kinds[: KINDS // 2] * SKEW + kinds[KINDS // 2 :]
    return task.draw(n, rng.randrange(2**31), weighted, rng.sample(range(task.wordings), POOL_WORDINGS))


def train_base(
    folder: Path,
    task: LogicTask | WordTask,
    student: Student,
    model: str,
    seed: int,
    log: Callable[..., None],
    device: str = "auto",
) -> str:
    """The model that students begin from: trained into `folder`, or the one that `model` names."""
    if model != "embedded":
        return model
    if is_finished(folder):
        return str(folder)
    read, others = task.texts(seed)
    tokenizer = models.train_tokenizer([*read, *others], _VOCABULARY)
    config = models.config(student.preset, vocab_size=len(tokenizer), context=2 * student.context)
    train(
        models.build(config, seed, loading.pick_device(device)),
        tokenizer,
        read,
        TrainConfig(
            steps=student.base_steps,
            batch_size=student.batch_size,
            context=student.context,
            learning_rate=student.base_rate,
            seed=seed,
        ),
        folder=folder,
        log=lambda row: log(model=folder.name, **row),
    )
    return str(folder)
