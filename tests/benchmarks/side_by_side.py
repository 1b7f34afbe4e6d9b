"""Ratios that a busy machine does not spoil: the candidates take turns, and processor time is counted."""

import statistics
import time
from collections.abc import Callable


def compare(
    candidates: dict[str, Callable[[], float]],
    rounds: int,
    unit: str,
    clock: Callable[[], float] = time.process_time,
) -> dict[str, float]:
    """Run candidates in turn and print amount / second of each, and its ratio to the first.

    Args:
        candidates: functions that do one round of work and return its amount.
        rounds: counted rounds, after one that is not.
        unit: of the amount.
        clock: seconds; wall-clock time where the work is done by other processes.

    Returns:
        Median of each candidate, per second of the clock.
    """
    rates: dict[str, list[float]] = {name: [] for name in candidates}
    for turn in range(rounds + 1):
        for name, work in candidates.items():
            begin = clock()
            amount = work()
            if turn:
                rates[name].append(amount / (clock() - begin))
    first = next(iter(rates.values()))
    for name, values in rates.items():
        ratios = sorted(value / base for value, base in zip(values, first, strict=True))
        print(
            f"{name:<44} {statistics.median(values):>12,.0f} {unit}/s   "
            f"ratio {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
        )
    return {name: statistics.median(values) for name, values in rates.items()}
