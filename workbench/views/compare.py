"""Two sides of a comparison: what their runs logged, drawn over each other."""

import altair as alt
import pandas as pd

from workbench.views.theme import series
from workbench.views.view import Chart

_POINTS = 4000  # of one chart, lines together


def curves(frame: pd.DataFrame, metric: str) -> Chart:
    """Draw one metric's curves, a line each run, a panel each series where there are several.

    Args:
        frame: side, run, series, step, value; one row each logged number.
        metric: names the vertical axis.
    """
    lines = frame.groupby(["run", "series"], sort=False)
    most = max(_POINTS // lines.ngroups, 2)
    shown = pd.concat([_thinned(line.sort_values("step"), most) for _, line in lines])
    chart = (
        alt.Chart(shown)
        .mark_line(opacity=0.85)
        .encode(
            x=alt.X("step:Q", title="step"),
            y=alt.Y("value:Q", title=metric).scale(zero=False),
            detail="run:N",
            tooltip=["run", "series", "step", alt.Tooltip("value", format=".4g")],
            **{name: channel for name, channel in series("side", "Side").items() if name != "shape"},
        )
    )
    panels = frame["series"].nunique()
    if panels > 1:
        chart = chart.properties(width=270, height=170).facet(
            alt.Facet("series:N", title=None, sort=None), columns=2
        )
        chart = chart.resolve_scale(y="independent")
    each = "one line a run" if frame["run"].nunique() > 2 else "one line a side"
    where = f", {panels} panels with a scale of their own each" if panels > 1 else ""
    return Chart(chart, metric, f"As it was logged, {each}{where}; where the lines lie on each other A = B.")


def _thinned(line: pd.DataFrame, most: int) -> pd.DataFrame:
    """At most about `most` points of a line, evenly spaced, the last one among them."""
    every = -(-len(line) // most)
    return line.iloc[::-1].iloc[::every].iloc[::-1]
