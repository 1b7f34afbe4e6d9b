"""Times to a criterion: how much a model reads until it answers a chain position rightly, and keeps to it."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from workbench.corpora.lego import VALUES

CRITERION = 0.9  # share of answers right; beyond what choosing one of the two roots gives (.6 at position 2)
GUESSING = 1 / len(VALUES)
ANSWER, LOOK_UP = ASKED = ("answer", "look-up")  # a clause's own name, and the one that it refers to
Checks = Mapping[str, np.ndarray]
"""By arm: whether each answer was right, bool `[seeds, checks, strings, chains, positions, asked]`."""


def time_to(accuracy: np.ndarray) -> float:
    """The time at which an accuracy reaches `CRITERION` and stays, in units of the training's length.

    Reached at the first check that is at the criterion and from which on the mean of all checks is, too;
    between it and the check before the line that joins the two is followed. NaN if it is never reached.

    Args:
        accuracy: at evenly spaced checks, the last one at the end; before training it is guessing.
    """
    onwards = np.cumsum(accuracy[::-1])[::-1] / np.arange(len(accuracy), 0, -1)
    reached = np.flatnonzero((accuracy >= CRITERION) & (onwards >= CRITERION))
    if not len(reached):
        return np.nan
    check = int(reached[0])
    before = accuracy[check - 1] if check else GUESSING
    share = 1.0 if before >= CRITERION else (CRITERION - before) / (accuracy[check] - before)
    return (check + share) / len(accuracy)


def times(checks: Checks, seeds: Sequence[int], n_train: int, steps: int) -> pd.DataFrame:
    """Times to the criterion of every arm, seed and trained position that needs a look-up.

    Returns:
        Columns model, seed, position (from 2), asked, steps (the training's length where it is not reached),
        reached, and first (whether the first check was there already).
    """
    rows = []
    for name, checked in checks.items():
        for seed, accuracy in zip(seeds, checked.mean((2, 3)), strict=False):
            for position in range(2, n_train + 1):
                for number, asked in enumerate(ASKED):
                    time = time_to(accuracy[:, position - 1, number])
                    about = {"model": name, "seed": seed, "position": position, "asked": asked}
                    reached, first = not np.isnan(time), time * len(accuracy) <= 1
                    spent = steps * (time if reached else 1)
                    rows.append({**about, "steps": spent, "reached": reached, "first": first})
    return pd.DataFrame(rows)


def of_headline(table: pd.DataFrame) -> pd.DataFrame:
    """The times that arms are compared by: of looking up the root, the first position that needs it."""
    return table[(table["position"] == 2) & (table["asked"] == LOOK_UP)]


def speedups(table: pd.DataFrame, treated: str, control: str) -> pd.DataFrame:
    """How many times as long the control takes to look up the root, in doublings: log2 of the ratio of times.

    A time that is not reached counts as the training's length: where one of two is not reached, the ratio is
    at least as far from 1 as this says; where neither is, it is 1.

    Args:
        table: as `times` gives it.
        treated: the arm that should be faster.
        control: the arm beside it.

    Returns:
        Columns seed, effect, and known (whether at least one of the two reached the criterion).
    """
    wide = of_headline(table).pivot(index="seed", columns="model", values=["steps", "reached"])
    pair = wide.dropna(subset=[("steps", treated), ("steps", control)])
    steps, reached = pair["steps"].astype(float), pair["reached"].astype(bool)
    effect, known = np.log2(steps[control] / steps[treated]), reached[control] | reached[treated]
    return pd.DataFrame({"effect": effect, "known": known}).reset_index()
