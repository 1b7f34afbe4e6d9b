"""Ratios that a busy machine does not spoil: the candidates take turns, and processor time is counted."""

import statistics
import time
from collections.abc import Callable


def compare(candidates: dict[str, Callable[[], float]], rounds: int, unit: str) -> dict[str, float]:
    """Run candidates in turn and print amount / second of each, and its ratio to the first.

    Args:
        candidates: functions that do one round of work and return its amount.
        rounds: counted rounds, after one that is not.
        unit: of the amount.

    Returns:
        Median of each candidate, per second of processor time.
    """
    rates: dict[str, list[float]] = {name: [] for name in candidates}
    for turn in range(rounds + 1):
        for name, work in candidates.items():
            begin = time.process_time()
            amount = work()
            if turn:
                rates[name].append(amount / (time.process_time() - begin))
    first = next(iter(rates.values()))
    for name, values in rates.items():
        ratios = sorted(value / base for value, base in zip(values, first, strict=True))
        print(
            f"{name:<44} {statistics.median(values):>12,.0f} {unit}/s   "
            f"ratio {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
        )
    return {name: statistics.median(values) for name, values in rates.items()}
