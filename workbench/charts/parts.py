"""Parts that charts share: looks of groups, tooltips, dashed lines, panels, and cells with numbers."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

import altair as alt
import pandas as pd

from workbench.charts.theme import MUTED, ON_BRIGHT, ON_DIM, colors
from workbench.charts.values import plain

_NARROWEST = 80  # pixels of a panel


def axis_order(values: Iterable[Any]) -> list[Any]:
    """The different values in their order, written as they stand in the chart's data."""
    return [plain(value) for value in dict.fromkeys(values)]


def looks(
    field: str,
    title: str | None = None,
    order: Sequence[str] | None = None,
    roles: Mapping[str, str] | None = None,
    **legend: Any,
) -> dict[str, Any]:
    """Encodings of points that tell the values of a column apart by colour and shape, with one legend.

    Args:
        field: name of a nominal column with at most seven values.
        title: of the legend; none when None.
        order: of the values; alphabetical when None.
        roles: a colour, such as `theme.TREATED`, for values in `order` that have one.
        **legend: properties of the legend, such as `orient`.
    """
    options: dict[str, Any] = {"title": title, "legend": alt.Legend(**legend)}
    domain = None if order is None else [plain(value) for value in order]
    scale, shapes = alt.Scale(**colors(domain, roles)), alt.Scale(**colors(domain, None))
    return {
        "color": alt.Color(f"{field}:N", scale=scale, **options),
        "shape": alt.Shape(f"{field}:N", scale=shapes, **options),
    }


def same_color(look: Mapping[str, Any], channel: type[alt.Stroke] | type[alt.Fill]) -> Any:
    """The colours of `looks` or `series` for a stroke or a fill, without a legend of their own."""
    color = look["color"].to_dict()
    options = {key: color[key] for key in ("field", "type", "scale") if key in color}
    if "domain" in options.get("scale", {}):
        # Vega-Lite would merge equal domains, and drop the legend of both.
        options["scale"] = {**options["scale"], "domain": [*options["scale"]["domain"], ""]}
    return channel(**options, legend=None)


def tips(form: str, *names: str) -> list[alt.Tooltip]:
    """Tooltips of numbers in one format."""
    return [alt.Tooltip(name, format=form) for name in names]


def dashed(frame: pd.DataFrame, **position: float) -> alt.Chart:
    """A dashed line at `x` or `y`; over the frame of the other layers, so that panels can share it."""
    rule = alt.Chart(frame).transform_aggregate(rows="count()").mark_rule(strokeDash=[4, 4], color=MUTED)
    if "x" in position:
        return rule.encode(x=alt.datum(position["x"]))
    # A layer of one value has no grid, and the first layer of a chart decides for all.
    return rule.encode(y=alt.datum(position["y"], axis=alt.Axis(grid=True)))


Layers = alt.Chart | alt.LayerChart | alt.FacetChart  # the last is what altair says that a sum may be


def panels(
    chart: Layers,
    field: str,
    order: Iterable[Any] | None = None,
    *,
    columns: int | None = None,
    independent: Sequence[str] = (),
) -> alt.FacetChart:
    """A panel for each value of a column, side by side.

    Args:
        chart: of one panel.
        field: name of the column.
        order: of the panels; alphabetical when None.
        columns: panels in one row; all when None.
        independent: channels with a scale of their own in each panel, such as "y".
    """
    sort = alt.Undefined if order is None else axis_order(order)
    one, columns = _full_rows(cast(alt.LayerChart, chart), field, columns)
    facet = alt.Facet(f"{field}:N", title=None, sort=sort)
    faceted = one.facet(facet, columns=alt.Undefined if columns is None else columns)
    apart: dict[str, Any] = dict.fromkeys(independent, "independent")
    return faceted.resolve_scale(**apart) if independent else faceted


def _full_rows(chart: alt.LayerChart, field: str, columns: int | None) -> tuple[alt.LayerChart, int | None]:
    """All panels in one row, if the last row would have a gap, where axes of nothing would stand."""
    count = cast(pd.DataFrame, chart.data)[field].nunique()
    if columns is None or count % columns == 0 or count < columns:
        return chart, columns
    if not isinstance(chart.width, int | float):
        return chart, columns
    width = int(chart.width * columns / count)
    return (chart.properties(width=width), None) if width >= _NARROWEST else (chart, 1)


def numbered_cells(
    base: alt.Chart,
    color: alt.Color,
    tooltip: Sequence[Any],
    *,
    bright: Any,
    text: alt.Text | None,
    size: float = 12,
) -> alt.Chart | alt.LayerChart:
    """A heat map with numbers or words written into its cells.

    Args:
        base: with its positions encoded.
        color: of the cells.
        tooltip: of the cells.
        bright: condition under which a cell is so bright that its text has to be dark.
        text: what is written; None where it would not fit.
        size: of the text in pixels.
    """
    cells = base.mark_rect().encode(color=color, tooltip=list(tooltip))
    if text is None:
        return cells
    written = base.mark_text(fontSize=size).encode(
        text=text, color=alt.when(bright).then(alt.value(ON_BRIGHT)).otherwise(alt.value(ON_DIM))
    )
    return alt.LayerChart(layer=[cells, written])
