"""Whether an ability appears only below a loss: a hinge against a line, on trainings that neither has seen.

Eldan & Li 2023 (arXiv 2305.07759) see reasoning in their larger models only. Over sizes, shapes and moments
of training that is a statement about accuracy as a function of held-out loss. Two rivals of two parameters:

    line    accuracy = a + b · loss
    hinge   accuracy = chance + b · max(0, c − loss),  b ≥ 0,  c the change-point

They are fitted to all trainings but those of one seed (of a single seed: but one model's) by least squares,
and judged by their error there. Accuracy that rises from the start favours the line; a floor and a rise,
the hinge.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd

from workbench.measures.statistics import Interval, bootstrap_mean
from workbench.studies.common.evidence import Evidence, over_seeds

CHANCE = 0.5
_GRID = 400  # change-points that are tried between the lowest and the highest loss

Fit = Callable[[np.ndarray], np.ndarray]


def fit_line(nats: np.ndarray, right: np.ndarray) -> Fit:
    """The straight line of least squares, as a function of loss."""
    slope, level = np.polyfit(nats, right, 1)
    return lambda at: level + slope * at


def fit_hinge(nats: np.ndarray, right: np.ndarray) -> tuple[float, float]:
    """Change-point and slope of the hinge of least squares."""
    points = np.linspace(nats.min(), nats.max(), _GRID)
    below = np.maximum(0, points[:, None] - nats)  # [points, observations]
    power = (below**2).sum(1)
    slopes = np.divide(below @ (right - CHANCE), power, out=np.zeros(_GRID), where=power > 0)
    slopes = np.maximum(0, slopes)
    errors = ((right - CHANCE - slopes[:, None] * below) ** 2).sum(1)
    best = int(errors.argmin())
    return float(points[best]), float(slopes[best])


def hinge(at: np.ndarray, point: float, slope: float) -> np.ndarray:
    """Accuracy at some losses by a hinge."""
    return CHANCE + slope * np.maximum(0, point - at)


def by_snapshot(course: pd.DataFrame, kind: str) -> pd.DataFrame:
    """Accuracy on a kind of question at every snapshot: columns seed, model, tokens, nats, right."""
    keys = ["seed", "model", "tokens", "nats"]
    return course[course["kind"] == kind].groupby(keys, sort=False, as_index=False)["right"].mean()


def gain(points: pd.DataFrame) -> Evidence:
    """Error of the line minus that of the hinge where neither was fitted, each a root mean square.

    Args:
        points: `by_snapshot`, of two seeds or two models at least. Of several seeds one at a time is left
            out, of a single seed one model.

    Raises:
        ValueError: there are a single seed and a single model.
    """
    unit = "seed" if points["seed"].nunique() > 1 else "model"
    if points[unit].nunique() < 2:
        raise ValueError("one training has no other that a fit could be judged by")
    rows = []
    for (seed, *_), part in points.groupby(list(dict.fromkeys(["seed", unit])), sort=False):
        rest = points[points[unit] != part[unit].iloc[0]]
        about = {"seed": seed} if unit == "seed" else {"seed": seed, "model": part["model"].iloc[0]}
        rows.append(about | {"effect": _gain(rest, part)})
    return over_seeds(pd.DataFrame(rows), items="trainings" if unit == "seed" else "models")


def _gain(rest: pd.DataFrame, part: pd.DataFrame) -> float:
    """How much nearer the hinge of `rest` comes to `part` than the line of `rest`."""
    nats, right = rest["nats"].to_numpy(), rest["right"].to_numpy()
    at, true = part["nats"].to_numpy(), part["right"].to_numpy()
    errors = [
        np.sqrt(np.mean((fit - true) ** 2))
        for fit in (fit_line(nats, right)(at), hinge(at, *fit_hinge(nats, right)))
    ]
    return float(errors[0] - errors[1])


def change_points(points: pd.DataFrame) -> pd.Series:
    """The change-point of each seed's models together, by seed."""
    fits = {
        seed: fit_hinge(part["nats"].to_numpy(), part["right"].to_numpy())[0]
        for seed, part in points.groupby("seed", sort=False)
    }
    return pd.Series(fits, name="point", dtype=float).rename_axis("seed")


def share_above(points: pd.DataFrame) -> float:
    """Share of the snapshots whose loss is above the change-point of all: without any, a hinge is a line."""
    point, _ = fit_hinge(points["nats"].to_numpy(), points["right"].to_numpy())
    return float((points["nats"] > point).mean())


def change_point(points: pd.DataFrame) -> Interval:
    """Loss at the change-point, with an interval over seeds where there are several."""
    return bootstrap_mean(change_points(points).to_numpy())
