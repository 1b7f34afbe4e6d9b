"""Pictures of 12_pluralism: what each tuning's budget bought, and the way there."""

import altair as alt
import pandas as pd

from workbench.charts.parts import panels, tips
from workbench.charts.theme import series
from workbench.charts.view import Chart, Table
from workbench.studies.pluralism.experiment import ARMS
from workbench.studies.pluralism.results import OTHER, TUNED
from workbench.studies.pluralism.views import ROLES

NAMES = {"kl": "KL from the model before, nats", "reward": "reward: share of the majority's answer"}

_SHORT = {"kl": "KL", "reward": "reward"}


def budgets(frame: pd.DataFrame, kl: float) -> Table:
    """Where each arm ends. Columns: `paths.budgets`."""
    names = {"arm": "model", "weight": "share of the tuning kept", "kl": "KL, nats",
             "reward": "majority's answer", "short": f"ended below {0.9 * kl:.3g} nats"}  # fmt: skip
    ordered = frame.sort_values("arm", key=lambda arms: arms.map(ARMS.index))
    columns = ["arm", "trainings", "weight", "kl", "reward", "short"]
    return Table(
        ordered[columns].round(3).rename(columns=names),
        "What the budget bought",
        f"Every tuned model is brought back towards the one before until it is {kl:.3g} nats from it on the "
        "questions that were tuned on; one that never went so far stays where it ended. Means over "
        "trainings; the last column counts those that stayed.",
    )


def way(frame: pd.DataFrame) -> Chart:
    """Distance from the people by KL and by reward. Columns: `paths.summary`."""
    long = frame.melt(["arm", "set", "point", "jsd_nats"], list(NAMES), "measure", "at")
    long["panel"] = [f"{row.set}, by {_SHORT[row.measure]}" for row in long.itertuples()]
    order = [f"{name}, by {short}" for name in (TUNED, OTHER) for short in _SHORT.values()]
    lines = alt.Chart(long, width=230, height=170).mark_line(point=True)
    lines = lines.encode(
        x=alt.X("at:Q", title=None).scale(zero=False),
        y=alt.Y("jsd_nats:Q", title="JSD, nats"),
        order="point:Q",
        tooltip=["arm", "set", "measure", *tips(".4f", "at", "jsd_nats")],
        **series("arm", "model", [arm for arm in ARMS if arm in set(long["arm"])], ROLES),
    )
    return Chart(
        panels(lines, "panel", order, columns=2, independent=["x", "y"]),
        "On the way to the budget",
        "Each line begins at the model before tuning; points are quarters of the way to the budget, and "
        f"where tuning ended without one; means over trainings. By KL: {NAMES['kl']}. By reward: "
        f"{NAMES['reward'].removeprefix('reward: ')}, on the questions that were tuned on. There, more "
        "reward than the people's own share of the majority is bought with distance by construction; on "
        "other questions it need not be.",
    )
