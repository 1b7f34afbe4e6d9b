"""The chart of values with their 95 % intervals: a row each, lying, or standing over an axis."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import altair as alt
import pandas as pd

from workbench.charts.parts import axis_order, dashed, same_color, tips
from workbench.charts.theme import INK


def intervals(
    frame: pd.DataFrame,
    along: str | alt.X | alt.Y,
    title: str | None,
    *,
    names: Sequence[str] = ("value", "low", "high"),
    form: str = ".3f",
    tooltip: Sequence[Any] | None = None,
    look: Mapping[str, Any] | None = None,
    order: Iterable[Any] | None = None,
    step: int = 30,
    scale: Mapping[str, Any] | None = None,
    axis: Mapping[str, Any] | None = None,
    references: Sequence[float] = (),
    labels: str | None = None,
    drawn: Literal["rules", "band", "nothing"] = "rules",
    mark: Literal["point", "line", "tick"] = "point",
) -> alt.LayerChart:
    """Draw points with their intervals; the chart can be faceted and laid over others.

    A value without an interval (NaN bounds) is a bare point. Groups that `look` tells apart lend their colour
    to their intervals; give `along` an offset of the same column (`alt.YOffset`) by `look` to set them apart.

    Args:
        frame: a row a value; the column n, where there is one, goes into the tooltip.
        along: a column of categories, a row each (the intervals lie), or a position: `alt.Y` of rows or
            `alt.X`, over which the intervals stand.
        title: of the axis of values.
        names: columns of the value, the low bound and the high bound; the value's alone draws no interval.
        form: of numbers in tooltips; with % in it the axis is written in percent.
        tooltip: what a tooltip says before the numbers; the position and the group when None.
        look: encodings by group, of `looks`, or of `series` for lines.
        order: of the rows when `along` names a column; as in the frame when None.
        step: height of a row in pixels.
        scale: properties of the scale of values.
        axis: properties of the axis of values.
        references: values at which a dashed line stands.
        labels: format of values written beside the points; none when None.
        drawn: how intervals are drawn.
        mark: how values are drawn; a line joins the points of a group.
    """
    position = _rows(frame, along, order) if isinstance(along, str) else along
    lying, look = isinstance(position, alt.Y), look or {}
    channel = alt.X if lying else alt.Y
    at, end = ("x", "x2") if lying else ("y", "y2")
    percent: dict[str, Any] = {"format": "%"} if "%" in form else {}
    scale = dict(scale or {})
    if lying:  # a value at the edge would stand in the names of the rows
        scale = {"padding": 10, "nice": "domain" not in scale} | scale
    options = {
        "title": title,
        "axis": alt.Axis(**percent | dict(axis or {})),
        "scale": alt.Scale(**scale),
    }
    value, *bounds = (f"{name}:Q" for name in names)
    placed: dict[str, Any] = {"y" if lying else "x": position}
    placed |= {name: look[name] for name in ("xOffset", "yOffset") if name in look}
    base = alt.Chart(frame).encode(**placed)
    layers = [dashed(frame, **{at: reference}) for reference in references]
    if drawn != "nothing" and frame[list(names[1:])].notna().any(axis=None):
        low, high = bounds
        layers.append(_spans(base, drawn, look).encode(**{at: channel(low, **options), end: high}))
    if tooltip is None:
        known = (position, look.get("color"))
        tooltip = [encoding.shorthand.partition(":")[0] for encoding in known if encoding is not None]
    said = [*tooltip, *tips(form, *names), *(["n"] if "n" in frame else [])]
    layers.append(_values(base, mark).encode(**{at: channel(value, **options)}, tooltip=said, **look))
    if labels:
        text = base.mark_text(dy=-16 if mark == "tick" else -12, fontSize=11, color=INK)
        layers.append(text.encode(**{at: value}, text=alt.Text(value, format=labels)))
    chart = alt.LayerChart(layer=layers)
    return chart.properties(height=alt.Step(step, **{"for": "position"})) if lying else chart


def _rows(frame: pd.DataFrame, column: str, order: Iterable[Any] | None) -> alt.Y:
    return alt.Y(f"{column}:N", title=None, sort=axis_order(frame[column] if order is None else order))


def _spans(base: alt.Chart, drawn: str, look: Mapping[str, Any]) -> alt.Chart:
    if drawn == "band":
        spans, channel = base.mark_errorband(), alt.Fill
    else:
        spans, channel = base.mark_rule(strokeWidth=2, opacity=0.65, clip=True), alt.Stroke
    return spans.encode(same_color(look, channel)) if "color" in look else spans


def _values(base: alt.Chart, mark: str) -> alt.Chart:
    if mark == "tick":
        return base.mark_tick(thickness=3, size=22, color=INK)
    return base.mark_line(point=True) if mark == "line" else base.mark_point(filled=True, size=80)
