"""The house style of charts: typography, the Okabe-Ito palette, and a shape and dash beside every colour."""

from typing import Any

import altair as alt

PALETTE = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442"]
"""Okabe and Ito (2008); black left out because it vanishes on a dark page, yellow last: it is faint."""

INK = "#222222"
MUTED = "#666666"
ON_BRIGHT = "#111111"  # text on a bright cell: stays dark when a page turns the other two light
ON_DIM = "#ffffff"
SHAPES = ["circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "triangle-right"]
DASHES = [[1, 0], [6, 3], [2, 2], [8, 3, 2, 3], [12, 4], [4, 2, 1, 2, 1, 2], [1, 3]]
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"


def series(field: str, title: str | None = None) -> dict[str, Any]:
    """Return encodings that tell the values of `field` apart by colour, by point shape and by dash.

    For line charts: `alt.Chart(frame).mark_line(point=True).encode(x=…, y=…, **series("model", "Model"))`.
    One legend names them all, drawn as short lines.

    Args:
        field: name of a nominal column with at most seven values.
        title: legend title; the field's name when None.
    """
    stroke = alt.Legend(symbolType="stroke", symbolSize=500, symbolStrokeWidth=2.5)
    common = {"type": "nominal", "title": title or field}
    return {
        "color": alt.Color(field, legend=stroke, **common),
        "strokeDash": alt.StrokeDash(field, scale=alt.Scale(range=DASHES), **common),
        "shape": alt.Shape(field, legend=None, **common),
    }


@alt.theme.register("workbench", enable=True)
def _house() -> alt.theme.ThemeConfig:
    return {"config": CONFIG}


CONFIG: dict[str, Any] = {
    "background": "#ffffff",
    "font": FONT,
    "padding": 8,
    "view": {
        "continuousWidth": 560,
        "continuousHeight": 300,
        "discreteWidth": 560,
        "discreteHeight": {"step": 30},
        "stroke": None,
    },
    "range": {
        "category": PALETTE,
        "symbol": SHAPES,
        "heatmap": {"scheme": "viridis"},
        "ramp": {"scheme": "viridis"},
        "ordinal": {"scheme": "viridis"},
        "diverging": {"scheme": "purpleorange"},
    },
    "axis": {
        "labelColor": INK,
        "labelFontSize": 12,
        "labelPadding": 6,
        "titleColor": INK,
        "titleFontSize": 12.5,
        "titleFontWeight": 600,
        "titlePadding": 12,
        "gridColor": "#e6e6e3",
        "domainColor": "#8a8a86",
        "tickColor": "#8a8a86",
        "tickSize": 4,
        "labelLimit": 0,  # labels are cut in Python, see charts/labels.py
        "titleLimit": 0,
        "labelOverlap": "greedy",
    },
    "axisX": {"grid": False, "tickCount": 8, "labelSeparation": 10},
    "axisXBand": {"labelAngle": 0},
    "axisXPoint": {"labelAngle": 0},
    "axisY": {"domain": False, "ticks": False, "tickCount": 6},
    "legend": {
        "labelColor": INK,
        "labelFontSize": 12,
        "labelLimit": 0,
        "titleLimit": 0,
        "titleColor": INK,
        "titleFontSize": 12.5,
        "titleFontWeight": 600,
        "symbolSize": 90,
        "rowPadding": 4,
        "offset": 16,
    },
    "header": {
        "labelColor": INK,
        "labelFontSize": 12.5,
        "labelFontWeight": 600,
        "labelLimit": 0,
        "titleColor": MUTED,
        "titleLimit": 0,
    },
    "title": {
        "anchor": "start",
        "limit": 0,
        "color": INK,
        "fontSize": 16,
        "fontWeight": 600,
        "offset": 16,
        "subtitleColor": MUTED,
        "subtitleFontSize": 13,
        "subtitleLineHeight": 18,
        "subtitlePadding": 6,
    },
    "mark": {"color": PALETTE[0]},
    "line": {"strokeWidth": 2.2},
    "point": {"filled": True, "size": 60, "opacity": 0.9},
    "bar": {"cornerRadiusEnd": 1.5},
    "rule": {"color": MUTED},
    "text": {"color": INK, "fontSize": 12},
    "area": {"opacity": 0.75},
    "errorband": {"opacity": 0.22},
}
