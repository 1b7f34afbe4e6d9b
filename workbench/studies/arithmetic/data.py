"""What the models of 07_arithmetic read and are asked: word problems, drawn or given, and exercises."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import pandas as pd

from workbench.corpora import arithmetic
from workbench.corpora.loaders.problems import KINDS, FileProblem, load_problems
from workbench.corpora.problems import Problem, draw, templates, twin
from workbench.errors import UserError
from workbench.measures.answers.grading import grade
from workbench.measures.vocabulary import words
from workbench.studies.common.contamination import contamination_report

Pair = tuple[str, str]
"""Question, and the worked answer that follows it."""
_Row = tuple[str, str, int, str, str, str]  # test, kind, steps, question, solution, gold

_GIVEN_CONTEXT = 512  # tokens
_FEWEST = 10  # word problems of a file to learn from


@dataclass(frozen=True)
class Sizes:
    """How much is drawn, read and asked.

    Attributes:
        preset: shape of the models.
        problems: different word problems of a training set.
        exercises: of each cell in a training set.
        task_tokens: tokens of word problems that every route reads.
        extra_tokens: tokens of arithmetic, or more of the same word problems.
        batch_size: rows of `context` tokens a step.
        context: tokens a row.
        seeds: repetitions, each with its own problems, first weights and order.
        asked: word problems of each kind in the test.
        per_cell: exercises of each cell in the test; fewer where it has no more.
        digits: of the longest operand.
        largest: number in a word problem, and in an exercise.
    """

    preset: str
    problems: int
    exercises: int
    task_tokens: int
    extra_tokens: int
    batch_size: int
    context: int
    seeds: int
    asked: int
    per_cell: int
    digits: int
    largest: int


SIZES = {
    "tiny": Sizes("tiny:0.3M", 1_000, 600, 200_000, 200_000, 16, 112, 3, 150, 20, 2, 20),
    "small": Sizes("tiny:1M", 5_000, 5_000, 1_500_000, 1_500_000, 32, 256, 5, 500, 50, 2, 100),
    "paper": Sizes("tiny:28M", 7_000, 50_000, 60_000_000, 60_000_000, 64, 512, 5, 1_000, 100, 3, 1_000),
}


def sizes(params: Any) -> Sizes:
    """The profile's sizes; what is given has longer texts and larger numbers than the embedded problems."""
    chosen = SIZES[params.profile]
    if params.data == params.model == "embedded":
        return chosen
    context = max(chosen.context, _GIVEN_CONTEXT)
    rows = max(1, chosen.batch_size * chosen.context // context)
    chosen = replace(chosen, context=context, batch_size=rows)
    if params.data == "embedded":
        return chosen
    return replace(chosen, digits=max(chosen.digits, 3), largest=max(chosen.largest, 1_000))


@dataclass(frozen=True)
class Task:
    """What there is to learn and to be asked.

    Attributes:
        asked: all questions, columns test, kind, steps, question, solution, gold, item. Tests are "words" and
            "twins" (the same items with other numbers) of the kinds "familiar" and "unseen" (of held-out
            templates), or of a kind for each given file, which have no twins and 0 steps; and "arithmetic",
            whose kinds are cells, such as "+ 2, 1".
        learnt: the word problems of each repetition; none of them is asked.
        notes: what was noticed, such as how many questions resemble one that is learnt.
    """

    asked: pd.DataFrame
    learnt: list[list[Pair]]
    notes: list[str]


def task(params: Any, sizes: Sizes) -> Task:
    """Questions and word problems: of the embedded grammar, or of files.

    Args:
        params: data, test and seed.
        sizes: how many.

    Raises:
        UserError: files without enough problems, training and test share questions, or test without data.
    """
    if params.data != "embedded":
        rows, learnt, notes = _given(params, sizes)
    elif params.test is None:
        rows, learnt, notes = _drawn(params, sizes)
    else:
        raise UserError("Test files go with a file to learn from: name it too, such as data=gsm8k:PATH.")
    drawn = arithmetic.draw(cells(sizes), sizes.per_cell, params.seed, split="test", largest=sizes.largest)
    for each in {(each.cell, each.operands): each for each in drawn}.values():  # small cells repeat
        kind = f"{each.cell.operation} {', '.join(map(str, each.cell.digits))}"
        answer = arithmetic.format_number(each.answer)
        rows.append(("arithmetic", kind, 1, each.question, each.solution, answer))
    frame = pd.DataFrame(rows, columns=["test", "kind", "steps", "question", "solution", "gold"])
    return Task(frame.assign(item=frame.groupby(["test", "kind"]).cumcount()), learnt, notes)


# ------------------------------------------------------------------------------- word problems, drawn
def _drawn(params: Any, sizes: Sizes) -> tuple[list[_Row], list[list[Pair]], list[str]]:
    rows = []
    for place, kind in enumerate(("familiar", "unseen"), 1):
        names = few_steps(held_out=kind == "unseen")
        drawn = draw(sizes.asked, params.seed + place, templates=names, largest=sizes.largest)
        rows += [("words", kind, *_asked(each)) for each in drawn]
        rows += [("twins", kind, *_asked(twin(each, params.seed))) for each in drawn]
    asked = {question for _, _, _, question, *_ in rows}
    learnt = []
    for repetition in range(sizes.seeds):
        seed = params.seed + 1000 * (repetition + 1)
        drawn = draw(2 * sizes.problems, seed, templates=few_steps(), largest=sizes.largest)
        free = [(each.question, " " + each.rationale()) for each in drawn if each.question not in asked]
        learnt.append(free[: sizes.problems])
    return rows, learnt, [contamination_report(asked, {question for own in learnt for question, _ in own})]


@cache
def few_steps(held_out: bool = False) -> list[str]:
    """Templates of one and two steps."""
    return [name for name in templates(held_out) if len(draw(1, 0, templates=[name])[0].steps) <= 2]


def _asked(problem: Problem) -> tuple[int, str, str, str]:
    return len(problem.steps), problem.question, problem.rationale(), str(problem.answer)


# ------------------------------------------------------------------------------- word problems, given
def _given(params: Any, sizes: Sizes) -> tuple[list[_Row], list[list[Pair]], list[str]]:
    """Those of a file, and a test of other files or of its fifth."""
    notes: list[str] = []
    own = _read(params.data, params.seed, notes)
    if len(own) < _FEWEST:
        raise UserError(f"{params.data} holds {len(own)} problems with an answer: give {_FEWEST} or more.")
    if params.test is None:
        kept = len(own) // 5
        tests, own = {"held out": own[:kept]}, own[kept:]
    else:
        tests = {}
        for spec in params.test.split(","):
            name, colon, path = spec.strip().partition(":")
            name = name if colon and name.lower() in KINDS else Path(spec).stem
            kind = next(name for name in (name, f"{name} {Path(path).stem}", spec) if name not in tests)
            tests[kind] = _read(spec.strip(), params.seed, notes)
    questions = [each.question for kind in tests.values() for each in kind]
    notes.append(contamination_report(questions, [each.question for each in own]))
    rows = [
        ("words", kind, 0, each.question, each.completion, each.gold)
        for kind, problems in tests.items()
        for each in problems[: sizes.asked]
    ]
    pairs = [(each.question, " " + each.completion) for each in own]
    many = min(sizes.problems, len(pairs))
    learnt = [Random(f"{params.seed}/{repetition}").sample(pairs, many) for repetition in range(sizes.seeds)]
    return rows, learnt, notes


def _read(spec: str, seed: int, notes: list[str]) -> list[FileProblem]:
    """The problems of a file in random order, each question once, if an answer to it can be judged."""
    problems = load_problems(spec)
    found = {tuple(words(each.question)): each for each in problems}
    scorable = [each for each in found.values() if grade("", each.gold).verdict != "unscorable"]
    if lacking := len(found) - len(scorable):
        notes.append(f"{lacking:,} problems of {spec} are left out: their answers are no numbers")
    return Random(seed).sample(scorable, len(scorable))


# ------------------------------------------------------------------------------- arithmetic
@cache
def cells(sizes: Sizes) -> list[arithmetic.Cell]:
    """All four operations up to so many digits, where both splits have numbers small enough."""
    return [each for each in arithmetic.grid("+-*/", sizes.digits) if _holds(each, sizes.largest)]


def _holds(cell: arithmetic.Cell, largest: int) -> bool:
    try:
        return all(arithmetic.draw([cell], 1, 0, split=split, largest=largest) for split in ("train", "test"))
    except UserError:
        return False


def exercises(seed: int, sizes: Sizes, repetition: int) -> list[arithmetic.Exercise]:
    """The arithmetic that a repetition reads."""
    return arithmetic.draw(
        cells(sizes), sizes.exercises, seed + 1000 * (repetition + 1), largest=sizes.largest
    )


def pairs_of(drawn: Sequence[arithmetic.Exercise]) -> list[Pair]:
    """What a model reads of exercises."""
    return [(each.question, " " + each.solution) for each in drawn]
