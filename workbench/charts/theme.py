"""The house style of charts: typography, colours, and a shape and a dash beside each."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any, cast

import altair as alt

PALETTE = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442"]
"""Okabe and Ito (2008); black left out because it vanishes on a dark page, yellow last: it is faint."""

INK = "#222222"
MUTED = "#666666"

# What a colour says in every study; a shape, a dash or a word says it as well.
TREATED = PALETTE[0]  # what the study is about
CONTROL = MUTED  # what it is held against
PAPER = PALETTE[4]  # as the paper does it
RIGHT = PALETTE[2]
WRONG = PALETTE[1]
IMPOSSIBLE = PALETTE[3]  # what cannot be true
QUIET = "#b3aea5"  # no label, no class, not reached: what the eye should pass over
CONTROLS = (CONTROL, "#8a8a86", QUIET)  # where there are several
_ROLES = {
    "right": RIGHT, "right answer": RIGHT, "true": RIGHT, "met": RIGHT,
    "wrong": WRONG, "wrong answer": WRONG, "false": WRONG, "not met": WRONG,
    "cannot be true": IMPOSSIBLE,
}  # fmt: skip
_ROLE_COLORS = (RIGHT, WRONG, IMPOSSIBLE)

ON_BRIGHT = "#111111"  # text on a bright cell: stays dark when a page turns the other two light
ON_DIM = "#ffffff"
SHAPES = ["circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "triangle-right"]
DASHES = [[1, 0], [6, 3], [2, 2], [8, 3, 2, 3], [12, 4], [4, 2, 1, 2, 1, 2], [1, 3]]
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"


def mark_looks(kinds: Sequence[str]) -> list[int]:
    """The number in the palette for each kind of marked text: that of its role, or one no role has.

    Args:
        kinds: of marks, each once.
    """
    free = [number for number, color in enumerate(PALETTE[:6]) if color not in _ROLE_COLORS]
    others = [kind for kind in kinds if kind not in _ROLES]
    looks = {kind: free[number % len(free)] for number, kind in enumerate(others)}
    looks |= {kind: PALETTE.index(_ROLES[kind]) for kind in kinds if kind in _ROLES}
    return [looks[kind] for kind in kinds]


def colors(order: Sequence[Any] | None, roles: Mapping[str, str] | None) -> dict[str, Any]:
    """The scale of a colour channel: those of their roles for values that have one, else the palette.

    Args:
        order: of the values; alphabetical when None.
        roles: a colour by value; without any, the palette in the order of the values.
    """
    if order is None:
        return {}
    domain = {"domain": list(order)}
    if not roles:
        return domain
    taken = {roles[value] for value in order if value in roles}
    free = cycle([color for color in PALETTE if color not in taken] or PALETTE)
    return {**domain, "range": [roles[value] if value in roles else next(free) for value in order]}


def series(
    field: str,
    title: str | None = None,
    order: Sequence[str] | None = None,
    roles: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return encodings that tell the values of `field` apart by colour, by point shape and by dash.

    For line charts: `alt.Chart(frame).mark_line(point=True).encode(x=…, y=…, **series("model", "Model"))`.
    One legend names them all, drawn as short lines.

    Args:
        field: name of a nominal column with at most seven values.
        title: legend title; the field's name when None.
        order: of the values; alphabetical when None.
        roles: a colour, such as `TREATED`, for values in `order` that have one.
    """
    stroke = alt.Legend(symbolType="stroke", symbolSize=500, symbolStrokeWidth=2.5)
    common: dict[str, Any] = {"type": "nominal", "title": title or field}
    ordered = colors(order, None)
    # Of equal domains Vega-Lite would merge the legends, of which the shapes have none.
    shapes: dict[str, Any] = {} if order is None else {"domain": [*order, ""]}
    return {
        "color": alt.Color(field, legend=stroke, scale=alt.Scale(**colors(order, roles)), **common),
        "strokeDash": alt.StrokeDash(field, scale=alt.Scale(**ordered, range=DASHES), **common),
        "shape": alt.Shape(field, legend=None, scale=alt.Scale(**shapes), **common),
    }


@alt.theme.register("workbench", enable=True)
def _house() -> alt.theme.ThemeConfig:
    return {"config": cast(Any, CONFIG)}


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
        "symbolBaseFillColor": MUTED,  # of sizes: black would vanish on a dark page
        "symbolBaseStrokeColor": MUTED,
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
