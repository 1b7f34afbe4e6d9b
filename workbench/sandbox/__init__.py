"""Runs programs that a model wrote, and reads what they left in `ans`; the only place where that happens.

Monty is an interpreter of its own, without files, network or processes, in worker processes that may die.
Nothing ever runs in a plain process: without a sandbox a program is "not run".
"""

import os
from collections.abc import Sequence

from workbench.sandbox.monty import run_in_monty
from workbench.sandbox.outcomes import STATUSES, Outcome

__all__ = ["STATUSES", "Outcome", "run"]


def run(
    programs: Sequence[str],
    *,
    seconds: float = 1.0,
    megabytes: int = 64,
    seed: int = 0,
    workers: int | None = None,
) -> list[Outcome]:
    """Run each program by itself and read its `ans`.

    Clocks stand still, sleeping takes no time, and `random` starts from the seed in every program, so an
    outcome depends on the program alone, unless it comes near a limit.

    Args:
        programs: Python source, one text each.
        seconds: a program may run; as long again to show an `ans` with a `__repr__` of its own.
        megabytes: a program may fill.
        seed: of `random` inside a program.
        workers: programs run at once; one for each processor by default.

    Returns:
        One outcome for each program, in order. Whatever a program does, it is data: nothing is raised.

    Raises:
        ValueError: a program is not text, or a limit is not positive.
    """
    if wrong := [str(index) for index, program in enumerate(programs) if not isinstance(program, str)]:
        raise ValueError(f"programs must be text; these are not: {', '.join(wrong)}")
    if workers is None:
        workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if min(seconds, megabytes, workers) <= 0:
        raise ValueError("seconds, megabytes and workers must be positive")
    return run_in_monty(programs, seconds, megabytes, seed, workers)
