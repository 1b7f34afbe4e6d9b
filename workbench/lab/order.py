"""In which order notebooks run, and how many at once."""

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from workbench.errors import UserError
from workbench.lab.environment import cores
from workbench.lab.execute import Job, is_complete


def in_order(jobs: Sequence[Job]) -> list[Job]:
    """The jobs in a good order: those that others need first, then the quick ones.

    Args:
        jobs: In the order of their needs.
    """
    needed = {folder for job in jobs for folder in job.needs}
    levels = _levels(jobs)

    def rank(job: Job) -> tuple[bool, int, float]:
        minutes = job.plan.notebook.metadata.get("minutes")
        known = isinstance(minutes, int | float)
        is_needed = job.folder in needed
        return not is_needed, levels[job.folder] if is_needed else 0, minutes if known else math.inf

    return sorted(jobs, key=rank)


def side_by_side(asked: str, jobs: Sequence[Job]) -> int:
    """How many notebooks are to run at once: the number asked for, or with `auto` what suits the processor.

    Raises:
        UserError: It is neither a number from 1 on nor `auto`.
    """
    if asked != "auto":
        if not (asked.isascii() and asked.isdigit() and int(asked)):
            raise UserError(f"--jobs {asked}: give the number of notebooks side by side, from 1 on, or auto.")
        return int(asked)
    n = cores()
    levels = _levels(jobs)
    # What stands behind another cannot run beside it, and alone has all cores.
    at_once = Counter(levels[job.folder] for job in jobs if is_open(job))
    most = 1 if n == 1 else max(2, min(4, n // 2))
    return min(most, max(at_once.values(), default=1))


def is_open(job: Job) -> bool:
    """Whether a job has something to run."""
    try:
        return not is_complete(job)
    except UserError:  # something odd lies where its run is to be
        return False


def _levels(jobs: Sequence[Job]) -> dict[Path, int]:
    """How many jobs stand one behind the other before each."""
    levels: dict[Path, int] = {}
    for job in jobs:
        levels[job.folder] = max((levels[need] + 1 for need in job.needs), default=0)
    return levels
