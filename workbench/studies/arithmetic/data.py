"""What the models of 07_arithmetic read and are asked: word problems, drawn or given, and exercises."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, Literal

import pandas as pd

from workbench import sources
from workbench.corpora import arithmetic
from workbench.corpora.loaders.problems import KINDS, FileProblem, load_problems
from workbench.corpora.problems import Problem, draw, templates, twin
from workbench.errors import UserError
from workbench.measures.answers.grading import scorable
from workbench.studies.common.contamination import contamination_report, distinct_problems

Pair = tuple[str, str]
"""Question, and the worked answer that follows it."""
_Row = tuple[str, str, int, str, str, str]  # test, kind, steps, question, solution, gold

_GIVEN_CONTEXT = 512  # tokens
_FEWEST = 10  # word problems of a file to learn from


@dataclass(frozen=True)
class Sizes:
    """How much is drawn, read and asked."""

    preset: str  #: shape of the models
    problems: int  #: different word problems of a training set
    exercises: int  #: of each cell in a training set
    task_tokens: int  #: tokens of word problems that every route reads
    extra_tokens: int  #: tokens of arithmetic, or more of the same word problems
    batch_size: int  #: rows of `context` tokens a step
    context: int  #: tokens a row
    seeds: int  #: trainings of each route, each with its own problems, first weights and order
    n_test: int  #: word problems of each kind in the test
    per_cell: int  #: exercises of each cell in the test; fewer where it has no more
    digits: int  #: of the longest operand
    largest: int  #: number in a word problem, and in an exercise
    n_words: int | None = None  #: names and things in word problems (None: all); see `problems.draw`
    steps: int = 2  #: of the longest word problem


SIZES = {
    "quick": Sizes("tiny:0.3M", 1_000, 300, 50_000, 50_000, 6, 112, 1, 50, 6, 2, 20, n_words=3, steps=1),
    "laptop": Sizes("tiny:0.3M", 1_000, 600, 200_000, 200_000, 8, 112, 5, 100, 15, 2, 20, n_words=5),
    "paper": Sizes("tiny:28M", 7_000, 50_000, 60_000_000, 60_000_000, 64, 512, 5, 1_000, 100, 3, 1_000),
}


@dataclass(frozen=True)
class Plan:
    """What the notebook's parameters of the same names ask for, and the sizes that they choose."""

    sizes: Sizes
    data: str
    test: str | None
    model: str
    tuning: Literal["full", "lora"]
    seed: int
    device: str
    placebo: bool

    @property
    def seeds(self) -> range:
        """Of the trainings of each route."""
        return range(self.seed, self.seed + self.sizes.seeds)


def plan(params: Any) -> Plan:
    """The profile's sizes; what is given has longer texts and larger numbers than the embedded problems."""
    sizes = SIZES[params.profile]
    sizes = replace(sizes, seeds=params.seeds or sizes.seeds)
    if not params.data == params.model == "embedded":
        context = max(sizes.context, _GIVEN_CONTEXT)
        batch_size = max(1, sizes.batch_size * sizes.context // context)
        sizes = replace(sizes, context=context, batch_size=batch_size)
    if params.data != "embedded":
        sizes = replace(sizes, digits=max(sizes.digits, 3), largest=max(sizes.largest, 1_000))
    names = [field.name for field in fields(Plan)[1:]]
    return Plan(sizes, **{name: getattr(params, name) for name in names})


@dataclass(frozen=True)
class Task:
    """What there is to learn and to be asked."""

    #: all questions, columns test, kind, steps, question, solution, gold, item. Tests are "words" and "twins"
    #: (the same items with other numbers) of the kinds "familiar" and "unseen" (of held-out templates), or of
    #: a kind for each given file, which have no twins and 0 steps; and "arithmetic", whose kinds are cells,
    #: such as "+ 2, 1".
    asked: pd.DataFrame
    given: list[Pair] | None  #: the word problems of files that may be learnt; None: they are drawn
    notes: list[str]  #: what was noticed, such as how many questions resemble one that is learnt


def task(plan: Plan) -> Task:
    """Questions and word problems: of the embedded grammar, or of files.

    Raises:
        UserError: files without enough problems, training and test share questions, or test without data.
    """
    sizes, seed = plan.sizes, plan.seed
    if plan.data != "embedded":
        rows, given, notes = _from_files(plan)
    elif plan.test is None:
        rows, given, notes = _from_grammar(plan), None, []
    else:
        raise UserError("Test files go with a file to learn from: name it too, such as data=gsm8k:PATH.")
    drawn = arithmetic.draw(cells(sizes), sizes.per_cell, seed, split="test", largest=sizes.largest)
    for exercise in {(one.cell, one.operands): one for one in drawn}.values():  # small cells repeat
        kind = f"{exercise.cell.operation} {', '.join(map(str, exercise.cell.digits))}"
        answer = arithmetic.format_number(exercise.answer)
        rows.append(("arithmetic", kind, 1, exercise.question, exercise.solution, answer))
    frame = pd.DataFrame(rows, columns=["test", "kind", "steps", "question", "solution", "gold"])
    found = Task(frame.assign(item=frame.groupby(["test", "kind"]).cumcount()), given, notes)
    if given is None:
        learnt = {question for one in plan.seeds for question, _ in words(found, sizes, one)}
        asked = frame.loc[frame["test"].isin(["words", "twins"]), "question"]
        found.notes.append(contamination_report(set(asked), learnt))
    return found


def words(task: Task, sizes: Sizes, seed: int) -> list[Pair]:
    """The word problems that the trainings of a seed read; none of them is asked."""
    if task.given is not None:
        return Random(f"{seed}/words").sample(task.given, min(sizes.problems, len(task.given)))
    drawn_with, asked = zlib.crc32(f"{seed}/words".encode()), set(task.asked["question"])
    language = {"largest": sizes.largest, "n_words": sizes.n_words}
    problems = draw(2 * sizes.problems, drawn_with, templates=few_steps(sizes.steps), **language)
    pairs = [(one.question, " " + one.rationale()) for one in problems if one.question not in asked]
    return pairs[: sizes.problems]


# ------------------------------------------------------------------------------- word problems, drawn
def _from_grammar(plan: Plan) -> list[_Row]:
    sizes, seed, rows = plan.sizes, plan.seed, []
    for number, kind in enumerate(("familiar", "unseen"), 1):
        names = few_steps(sizes.steps, held_out=kind == "unseen")
        language = {"largest": sizes.largest, "n_words": sizes.n_words}
        problems = draw(sizes.n_test, seed + number, templates=names, **language)
        rows += [("words", kind, *_columns(problem)) for problem in problems]
        rows += [("twins", kind, *_columns(twin(problem, seed))) for problem in problems]
    return rows


@cache
def few_steps(most: int, held_out: bool = False) -> list[str]:
    """Templates of at most so many steps."""
    return [name for name in templates(held_out) if len(draw(1, 0, templates=[name])[0].steps) <= most]


def _columns(problem: Problem) -> tuple[int, str, str, str]:
    return len(problem.steps), problem.question, problem.rationale(), str(problem.answer)


# ------------------------------------------------------------------------------- word problems, given
def _from_files(plan: Plan) -> tuple[list[_Row], list[Pair], list[str]]:
    """Those of a file, and a test of other files or of its fifth."""
    notes: list[str] = []
    problems = _read(plan.data, plan.seed, notes)
    if len(problems) < _FEWEST:
        raise UserError(f"{plan.data} holds {len(problems)} problems with an answer: give {_FEWEST} or more.")
    if plan.test is None:
        n_test = len(problems) // 5
        tests, problems = {"held out": problems[:n_test]}, problems[n_test:]
    else:
        tests = {}
        for source in sources.parse(plan.test, KINDS):
            names = (source.kind, f"{source.kind or ''} {Path(source.name).stem}".strip(), str(source))
            name = next((name for name in names if name and name not in tests), None)
            if name is None:
                raise UserError(f"test names {source} twice: once is enough.")
            tests[name] = _read(str(source), plan.seed, notes, default="test")
    questions = [problem.question for kind in tests.values() for problem in kind]
    notes.append(contamination_report(questions, [problem.question for problem in problems]))
    rows = [
        ("words", kind, 0, problem.question, problem.completion, problem.gold)
        for kind, tested in tests.items()
        for problem in tested[: plan.sizes.n_test]
    ]
    return rows, [(problem.question, " " + problem.completion) for problem in problems], notes


def _read(spec: str, seed: int, notes: list[str], default: str = "train") -> list[FileProblem]:
    """The problems of files in random order, each question once, if an answer to it can be judged."""
    problems, repeated = distinct_problems(load_problems(spec, default=default))
    can_be_judged = scorable([problem.gold for problem in problems])
    judged = [problem for problem, can in zip(problems, can_be_judged, strict=True) if can]
    notes += [f"{spec}: {note}" for note in repeated]
    if lacking := len(problems) - len(judged):
        notes.append(
            f"{lacking:,} problems of {spec} are left out: their answers are neither numbers nor formulas"
        )
    return Random(seed).sample(judged, len(judged))


# ------------------------------------------------------------------------------- arithmetic
@cache
def cells(sizes: Sizes) -> list[arithmetic.Cell]:
    """All four operations up to so many digits, where both splits have numbers small enough."""
    return [cell for cell in arithmetic.grid("+-*/", sizes.digits) if _has_exercises(cell, sizes.largest)]


def _has_exercises(cell: arithmetic.Cell, largest: int) -> bool:
    try:
        return all(arithmetic.draw([cell], 1, 0, split=split, largest=largest) for split in ("train", "test"))
    except UserError:
        return False


def exercises(seed: int, sizes: Sizes) -> list[arithmetic.Exercise]:
    """The arithmetic that the trainings of a seed read."""
    drawn_with = zlib.crc32(f"{seed}/sums".encode())
    return arithmetic.draw(cells(sizes), sizes.exercises, drawn_with, largest=sizes.largest)


def pairs_of(exercises: Sequence[arithmetic.Exercise]) -> list[Pair]:
    """What a model reads of exercises."""
    return [(exercise.question, " " + exercise.solution) for exercise in exercises]
