"""What the models of 07_arithmetic read before word problems, and are asked of it."""

import zlib
from collections.abc import Sequence

import pandas as pd

from workbench.corpora import arithmetic, drills
from workbench.errors import UserError
from workbench.studies.arithmetic.settings import TABLE, Plan, Sizes

Pair = tuple[str, str]
"""Question, and the worked answer that follows it."""


def exercises(stage: str, seed: int, sizes: Sizes, split: drills.Split = "train") -> list[drills.Drill]:
    """What the trainings of a seed read of a first stage, or are asked of it.

    Small numbers are one token each, and their sums a table that can be known by heart: the test asks all of
    it. Of larger numbers, and of other stages, what the test asks is never read.
    """
    drawn_with = zlib.crc32(f"{seed}/{stage}".encode())
    n = sizes.exercises if split == "train" else sizes.n_exercises
    if stage == "arithmetic" and not sizes.has_table:
        return _by_cell(n, drawn_with, sizes, split)
    if stage == "arithmetic" and split == "test":
        n = len(drills.facts(sizes.largest))
    largest = min(sizes.largest, TABLE)
    return drills.draw(stage, n, drawn_with, largest=largest, split=split)


def _by_cell(n: int, seed: int, sizes: Sizes, split: drills.Split) -> list[drills.Drill]:
    """All four operations up to so many digits, each cell as often, where both splits have such numbers."""
    cells = [cell for cell in arithmetic.grid("+-*/", sizes.digits) if _has_exercises(cell, sizes.largest)]
    drawn = arithmetic.draw(cells, -(-n // len(cells)), seed, split=split, largest=sizes.largest)
    return [
        drills.Drill(
            f"{one.cell.operation} {', '.join(map(str, one.cell.digits))}",
            one.question,
            one.solution,
            arithmetic.format_number(one.answer),
        )
        for one in drawn
    ]


def _has_exercises(cell: arithmetic.Cell, largest: int) -> bool:
    try:
        return all(arithmetic.draw([cell], 1, 0, split=split, largest=largest) for split in ("train", "test"))
    except UserError:
        return False


def counts(plan: Plan) -> pd.DataFrame:
    """What the first seed reads of the first stages: columns stage, kind, n, different (questions)."""
    rows = [
        (stage, one.kind, one.question)
        for stage in plan.sizes.first
        for one in exercises(stage, plan.seed, plan.sizes)
    ]
    frame = pd.DataFrame(rows, columns=["stage", "kind", "question"])
    questions = frame.groupby(["stage", "kind"], sort=False)["question"]
    return questions.agg(n="size", different="nunique").reset_index()


def pairs_of(exercises: Sequence[drills.Drill]) -> list[Pair]:
    """What a model reads of exercises."""
    return [(exercise.question, " " + exercise.solution) for exercise in exercises]
