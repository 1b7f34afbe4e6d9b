"""On the way to the budget: KL, reward and distance of every arm, and two arms where they are equal."""

import numpy as np
import pandas as pd

from workbench.studies.pluralism import results
from workbench.studies.pluralism.experiment import BEFORE, Plan
from workbench.studies.pluralism.results import OTHER, TUNED


def measured(answers: pd.DataFrame, path: pd.DataFrame, plan: Plan) -> pd.DataFrame:
    """Distances at every point of the way: `results.distances`, and columns weight, kl and reward.

    The reward is the mean share of the majority's answer over the questions that are tuned on. In a placebo
    run an arm has one point, the model that stands in its place, at a KL of 0.

    Args:
        answers: of every model.
        path: as `train_all` returns it.
        plan: that was followed.
    """
    if path.empty and not plan.placebo:
        return pd.DataFrame()
    if plan.placebo:
        path = answers[answers["arm"] != BEFORE].assign(weight=0.0, kl=0.0, beyond=False)
    table = results.distances(path, plan)
    table = table[table["set"] != results.CHANCES]
    majority = [{q.id: int(np.argmax(q.people.dist)) for q in task.questions} for task in plan.tasks]
    picked = zip(table["shares"], table["population"], table["id"], strict=True)
    table = table.assign(share=[shares[majority[number][name]] for shares, number, name in picked])
    keys = ["arm", "seed", "weight"]
    reward = table[table["set"] == TUNED].groupby(keys)["share"].mean().rename("reward")
    return table.join(reward, on=keys)


def ends(ways: pd.DataFrame, column: str) -> pd.DataFrame:
    """The last point of each training's way to the budget: a row each, a column for each arm."""
    last = ways[~ways["beyond"]].sort_values("weight", kind="stable").groupby(["seed", "arm"])[column].last()
    return last.unstack("arm")


def matched(ways: pd.DataFrame, first: str, second: str, by: str) -> tuple[pd.Series, pd.Series]:
    """Distance of one arm minus that of another on other questions, where both are equally far.

    That is at the end of whichever has gone less far; the distance of the other is interpolated between the
    points of its way (along the root of the KL, which grows as the weight does).

    Args:
        ways: of `measured`.
        first: the arm that should be further from the people.
        second: the arm beside it.
        by: "kl" or "reward".

    Returns:
        The effect by id and seed, and the value of `by` at which a training was compared.
    """
    end = ends(ways, by)
    level = end[[first, second]].min(axis=1)
    other = ways[(ways["set"] == OTHER) & ~ways["beyond"]]
    at_level = {
        arm: {
            key: _at(way, by, level[key[0]])
            for key, way in other[other["arm"] == arm].groupby(["seed", "id"])
        }
        for arm in (first, second)
    }
    sides = [pd.Series(at_level[arm], dtype=float) for arm in (first, second)]
    effect = (sides[0] - sides[1]).rename_axis(["seed", "id"])
    return effect.reorder_levels(["id", "seed"]), level


def unbounded(ways: pd.DataFrame, arm: str) -> pd.Series:
    """An arm's distance on other questions, by id and seed, where its tuning ended, whatever the budget."""
    rows = ways[(ways["arm"] == arm) & (ways["set"] == OTHER)].sort_values("weight", kind="stable")
    return rows.groupby(["id", "seed"])["jsd_nats"].last()


def _at(way: pd.DataFrame, by: str, level: float) -> float:
    root = np.sqrt if by == "kl" else np.asarray
    way = way.sort_values(by)
    return float(np.interp(root(level), root(way[by]), way["jsd_nats"]))


def summary(ways: pd.DataFrame) -> pd.DataFrame:
    """Means over trainings at every point: columns arm, set, point (its number), kl, reward, jsd_nats."""
    point = ways.groupby(["arm", "seed"])["weight"].rank("dense").astype(int)
    means = ways.assign(point=point).groupby(["arm", "set", "point"], sort=False)
    return means[["kl", "reward", "jsd_nats"]].mean().reset_index()


def budgets(ways: pd.DataFrame, kl: float) -> pd.DataFrame:
    """Where each arm ends: columns arm, trainings, short (that end at less than nine tenths of the budget),
    and means weight, kl and reward.
    """
    columns = {name: ends(ways, name).mean() for name in ("weight", "kl", "reward")}
    last = ends(ways, "kl")
    frame = pd.DataFrame({"trainings": last.count(), "short": (last < 0.9 * kl).sum(), **columns})
    return frame.rename_axis("arm").reset_index()
