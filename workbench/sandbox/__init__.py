"""Runs programs that a model wrote, and reads what they left in `ans`; the only place where that happens.

The first tier is Monty, an interpreter of its own that has no files, network or processes, in workers that
may die. What it does not know (generators, `fractions`, numpy, sympy) can be tried in a second one: CPython
behind the walls of bubblewrap, a hundred times slower. Nothing ever runs in a plain process: without a
sandbox a program is "not run".
"""

import os
from collections.abc import Sequence
from dataclasses import replace

from workbench.sandbox.cpython import run_in_cpython
from workbench.sandbox.monty import run_in_monty
from workbench.sandbox.outcomes import MAX_PROGRAM, STATUSES, Outcome

__all__ = ["STATUSES", "Outcome", "run"]

TIERS = {"monty": run_in_monty, "cpython": run_in_cpython}


def run(
    programs: Sequence[str],
    *,
    tiers: Sequence[str] = ("monty",),
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
        tiers: where to try, of "monty" and "cpython"; what the first does not support, or cannot run, goes to
            the next.
        seconds: a program may run; as long again to show an `ans` with a `__repr__` of its own.
        megabytes: a program may fill.
        seed: of `random` inside a program.
        workers: programs run at once; one for each processor by default.

    Returns:
        One outcome for each program, in order. Whatever a program does, it is data: nothing is raised.

    Raises:
        ValueError: a program is not text, there is no such tier, or a limit is not positive.
    """
    if wrong := [str(index) for index, program in enumerate(programs) if not isinstance(program, str)]:
        raise ValueError(f"programs must be text; these are not: {', '.join(wrong)}")
    if workers is None:
        workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if min(seconds, megabytes, workers) <= 0:
        raise ValueError("seconds, megabytes and workers must be positive")
    if not tiers or set(tiers) - set(TIERS):
        raise ValueError(f"tiers must be some of {', '.join(TIERS)}, not {tiers!r}")
    long = Outcome("not run", reason=f"the program is longer than {MAX_PROGRAM:,} characters")
    outcomes = {index: long for index, program in enumerate(programs) if len(program) > MAX_PROGRAM}
    waiting = [index for index in range(len(programs)) if index not in outcomes]
    for tier in tiers:
        if not waiting:
            break
        tried = TIERS[tier]([programs[index] for index in waiting], seconds, megabytes, seed, workers)
        for index, outcome in zip(waiting, tried, strict=True):
            first = outcomes.get(index)
            if first is not None and outcome.status == "not run":
                outcome = replace(first, reason=f"{first.reason}; {outcome.reason}")
            outcomes[index] = outcome
        waiting = [index for index in waiting if outcomes[index].status in ("unsupported", "not run")]
    return [outcomes[index] for index in range(len(programs))]
