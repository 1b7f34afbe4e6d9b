"""From an Altair chart to a Vega-Lite specification that is safe to draw anywhere."""

import math
import textwrap
from typing import Any

import altair as alt
import pandas as pd

from workbench.errors import UserError
from workbench.sanitize import sanitize

MAX_ROWS = 5000
MAX_TEXT = 400  # characters of one string inside a chart or a table cell


def specification(chart: Any, record: dict[str, Any]) -> dict[str, Any]:
    """Return the chart's Vega-Lite specification, titled, with text made visible and nothing to load.

    Args:
        chart: an Altair chart of any kind.
        record: the view's title and sentence.

    Raises:
        UserError: too many rows, or something that a browser would have to fetch or open.
    """
    try:
        with alt.data_transformers.enable("default", max_rows=MAX_ROWS):
            spec = chart.to_dict()
    except alt.MaxRowsError:
        raise UserError(
            f"The chart '{record['title']}' would carry more than {MAX_ROWS:,} rows: aggregate or sample the "
            "data first (bins, means, a heat map), so that the picture stays quick and the report small."
        ) from None
    _refuse_loading(spec, record["title"])
    spec["datasets"] = {
        name: [{key: plain(value) for key, value in row.items()} for row in rows]
        for name, rows in spec.get("datasets", {}).items()
    }
    # Vega-Lite 6 specifications are drawn by 5 as they are; only the label would raise a warning.
    spec["$schema"] = "https://vega.github.io/schema/vega-lite/v5.json"
    composed = bool({"facet", "hconcat", "vconcat", "concat", "repeat"} & spec.keys()) or _faceted(spec)
    width = spec.get("width")
    columns = 85 if composed or not isinstance(width, int | float) else max(50, int(width / 6.6))
    spec["title"] = {
        "text": textwrap.wrap(record["title"], int(columns * 0.8)),
        "subtitle": textwrap.wrap(record["sentence"], columns),
    }
    if not composed:
        # A vertical axis is named above it, to be read without turning the head.
        upright = {"titleAngle": 0, "titleAlign": "left", "titleBaseline": "bottom", "titleAnchor": "end"}
        spec["config"] = {**spec["config"], "axisLeft": {**upright, "titleX": 0, "titleY": -10}}
    return spec


def _faceted(spec: dict[str, Any]) -> bool:
    return bool({"row", "column", "facet"} & spec.get("encoding", {}).keys())


def _refuse_loading(node: Any, title: str) -> None:
    """Raise UserError where the specification would make a browser fetch or open something."""
    if isinstance(node, list):
        for child in node:
            _refuse_loading(child, title)
    if not isinstance(node, dict):
        return
    image = node.get("mark") == "image" or (
        isinstance(node.get("mark"), dict) and node["mark"].get("type") == "image"
    )
    data = node.get("data")
    if image or "href" in node.get("encoding", {}) or (isinstance(data, dict) and "url" in data):
        raise UserError(
            f"The chart '{title}' loads data or images or opens links: pass a data frame, draw marks."
        )
    for key, child in node.items():
        if key == "datasets":
            # Vega's stock tooltip, which JupyterLab uses, makes an <img> of a field called image.
            if any("image" in row for rows in child.values() for row in rows if isinstance(row, dict)):
                raise UserError(f"The chart '{title}' has a column called 'image': rename it.")
        else:
            _refuse_loading(child, title)


def plain(value: Any) -> Any:
    """Return the value as something JSON can hold, with text visible and not too long."""
    if value is None or isinstance(value, bool):
        return value
    if hasattr(value, "item") and not isinstance(value, str) and getattr(value, "size", 1) == 1:
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, int):
        return value
    if value is pd.NA or value is pd.NaT:
        return None
    return sanitize(value, MAX_TEXT)
