"""Two sides of a comparison: what their runs logged, drawn over each other."""

import altair as alt
import pandas as pd

from workbench.charts.parts import panels, tips
from workbench.charts.theme import series
from workbench.charts.view import Chart

_POINTS = 4000  # of one chart, lines together
_FALLS = 4  # times


def curves(frame: pd.DataFrame, metric: str) -> Chart:
    """Draw one metric's curves, a line each run, a panel each series where there are several.

    Args:
        frame: side, run, series, step, value; one row each logged number.
        metric: names the chart; not an axis, where Vega reads backslashes of its own kind.
    """
    runs = frame.groupby(["run", "series"], sort=False)
    most = max(_POINTS // runs.ngroups, 2)
    shown = pd.concat([_thinned(line.sort_values("step"), most) for _, line in runs])
    count = frame["series"].nunique()
    low, high = frame["value"].min(), frame["value"].max()
    logarithmic = 0 < low * _FALLS < high < low * 1e4  # what falls far would hide how the ends differ
    scale = alt.Scale(type="log", nice=False) if logarithmic else alt.Scale(zero=False)
    look = series("side", "Side")
    del look["shape"]
    chart = alt.Chart(shown).mark_line(opacity=0.85)
    chart = chart.encode(
        x=alt.X("step:Q", title="step"),
        y=alt.Y("value:Q", title=None if count > 1 else "value", scale=scale),
        detail="run:N",
        tooltip=["run", "series", "step", *tips(".4g", "value")],
        **look,
    )
    if count > 1:
        chart = chart.properties(width=270, height=170)
        chart = panels(chart, "series", shown["series"], columns=2, independent=["y"])
    lines = "one line a run" if frame["run"].nunique() > 2 else "one line a side"
    apart = f" in {count} panels with a scale of their own each" if count > 1 else ""
    upward = ", logarithmic upward" if logarithmic else ""
    return Chart(chart, metric, f"As it was logged, {lines}{apart}{upward}.")


def _thinned(line: pd.DataFrame, most: int) -> pd.DataFrame:
    """At most about `most` points of a line, evenly spaced, the last one among them."""
    every = -(-len(line) // most)
    return line.iloc[::-1].iloc[::every].iloc[::-1]
