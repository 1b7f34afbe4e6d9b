"""From an Altair chart to a Vega-Lite specification that is safe to draw anywhere, whatever its data hold."""

from collections.abc import Iterable
from typing import Any

import altair as alt
import pandas as pd

from workbench.charts import labels
from workbench.charts.bounds import MAX_ROWS, bound, count, units
from workbench.charts.lean import lean
from workbench.charts.values import MAX_TEXT, chart_frame, chart_rows, plain
from workbench.errors import UserError
from workbench.sanitize import sanitize

__all__ = ["MAX_ROWS", "MAX_TEXT", "plain", "specification"]

_PAGE = 720  # pixels that a legend may be wide
_SYMBOL = 45  # pixels of a legend's symbol, with what is beside it
_MOST_COLUMNS = 12
_KEYED = ("color", "fill", "stroke", "shape", "strokeDash")
_LINES = 8  # of a chart's title and of its sentence
# What every object of JavaScript has: Vega looks its functions up in such objects and would find these.
_INHERITED = {
    "constructor", "hasOwnProperty", "isPrototypeOf", "propertyIsEnumerable", "toLocaleString", "toString",
    "valueOf", "__proto__", "__defineGetter__", "__defineSetter__", "__lookupGetter__", "__lookupSetter__",
}  # fmt: skip
_VALUES = ("sort", "domain", "value", "values", "equal", "oneOf")  # keys whose texts are values of the data
_NAMES = ("field", "fields", "groupby", "lookup", "key")  # keys whose texts are columns of the data
_PATHS = str.maketrans(dict.fromkeys(".[]'\"\\\n\r\t", "_"))  # a field's name would be read as a path


def specification(chart: Any, record: dict[str, Any]) -> dict[str, Any]:
    """Return the chart's Vega-Lite specification, titled, with text made visible and nothing to load.

    Data of any size and type are drawn: where not all of them can be, the record's sentence says so.

    Args:
        chart: an Altair chart of any kind.
        record: the view's title and sentence.

    Raises:
        UserError: something that a browser would have to fetch or open.
    """
    with alt.data_transformers.enable("workbench"):
        spec = _with_clean_frames(chart.copy(deep=True)).to_dict()
    _refuse_loading(spec, record["title"])
    spec["datasets"] = {name: list(rows) for name, rows in spec.get("datasets", {}).items()}
    spec = _renamed(_visible(spec))
    _numbers(spec)
    notes = bound(spec)
    record["sentence"] = " ".join([record["sentence"], *map(sanitize, notes)])
    _shorten(spec)
    lean(spec)
    # Vega-Lite 6 specifications are drawn by 5 as they are; only the label would raise a warning.
    spec["$schema"] = "https://vega.github.io/schema/vega-lite/v5.json"
    composed = bool({"facet", "hconcat", "vconcat", "concat", "repeat"} & spec.keys()) or _faceted(spec)
    width = spec.get("width")
    columns = 85 if composed or not isinstance(width, int | float) else max(50, int(width / 6.6))
    spec["title"] = {
        "text": labels.wrap(" ".join(record["title"].split()), int(columns * 0.8), _LINES),
        "subtitle": labels.wrap(" ".join(record["sentence"].split()), columns, _LINES),
    }
    if composed:
        spec["config"] = {**spec["config"], "legend": spec["config"]["legend"] | _legend_below(spec)}
    else:
        _set_height(spec)
        # A vertical axis is named above it, to be read without turning the head.
        upright = {"titleAngle": 0, "titleAlign": "left", "titleBaseline": "bottom", "titleAnchor": "end"}
        spec["config"] = {**spec["config"], "axisLeft": {**upright, "titleX": 0, "titleY": -10}}
    return spec


def _legend_below(spec: dict[str, Any]) -> dict[str, Any]:
    """A legend below its panels, in as many columns as fit on a page where one line does not hold it."""
    columns = _MOST_COLUMNS
    for unit in units(spec):
        for channel, one in unit.encodings:
            if channel not in _KEYED or one.get("type") != "nominal" or one.get("legend", "") is None:
                continue
            rows = spec["datasets"].get(unit.data, [])
            named = {str(row[one["field"]]) for row in rows if row.get(one["field"]) is not None}
            widths = [_SYMBOL + labels.PIXELS * min(labels.text_width(name), labels.LEGEND) for name in named]
            if sum(widths) > _PAGE:
                columns = min(columns, max(1, int(_PAGE / max(widths))))
    return {"orient": "bottom", "offset": 8} | ({"columns": columns} if columns < _MOST_COLUMNS else {})


def _set_height(spec: dict[str, Any]) -> None:
    """A number for the height of rows: Vega-Lite warns where a page gives it the width alone."""
    height = spec.get("height", {"step": spec["config"]["view"]["discreteHeight"]["step"]})
    encodings = [pair for unit in units(spec) for pair in unit.encodings]
    discrete = any(name == "y" and one.get("type") in ("nominal", "ordinal") for name, one in encodings)
    offset = any(name == "yOffset" for name, _ in encodings)
    if discrete and isinstance(height, dict) and (not offset or height.get("for") == "position"):
        spec["height"] = height["step"] * max(1, count(spec, "y", spec["datasets"]))


def _transformed(data: Any) -> Any:
    return {"values": chart_rows(data)} if isinstance(data, pd.DataFrame) else alt.to_values(data)


alt.data_transformers.register("workbench", _transformed)


def _with_clean_frames(node: Any, cleaned: dict[int, Any] | None = None) -> Any:
    """The chart with every data frame in it as a `chart_frame`; the chart itself is changed."""
    cleaned = {} if cleaned is None else cleaned  # holds the frames, too, so that no id comes twice
    values = node._kwds if isinstance(node, alt.SchemaBase) else node if isinstance(node, dict) else {}
    for name, value in values.items():
        if isinstance(value, pd.DataFrame):
            if id(value) not in cleaned:
                cleaned[id(value)] = value, chart_frame(value)
            values[name] = cleaned[id(value)][1]
        elif isinstance(value, alt.SchemaBase | dict | list):
            _with_clean_frames(value, cleaned)
    for child in node if isinstance(node, list) else ():
        _with_clean_frames(child, cleaned)
    return node


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


# ------------------------------------------------------------------------------- texts
def _visible(spec: dict[str, Any]) -> dict[str, Any]:
    """The specification with every text of it made harmless, those of data, orders and domains alike."""
    rows = {
        name: [{_text(key): _value(value) for key, value in row.items()} for row in data]
        for name, data in spec["datasets"].items()
    }
    return {**_mapped({key: value for key, value in spec.items() if key != "datasets"}, ""), "datasets": rows}


def _mapped(node: Any, key: str) -> Any:
    if isinstance(node, dict):
        # A selection's value holds rows of the data, whose keys are columns.
        return {_text(name): _mapped(child, key if key == "value" else name) for name, child in node.items()}
    if isinstance(node, list):
        return [_mapped(child, key) for child in node]
    if isinstance(node, str):
        return _value(node) if key in _VALUES else _text(node)
    return plain(node)


def _text(text: str) -> str:
    shown = sanitize(text)
    return f"{shown}\u00a0" if shown in _INHERITED else shown


def _value(value: Any) -> Any:
    shown = plain(value)
    return f"{shown}\u00a0" if isinstance(shown, str) and shown in _INHERITED else shown


def _renamed(spec: dict[str, Any]) -> dict[str, Any]:
    """The specification with columns called so that no name can be read as a path into a value."""
    known = dict.fromkeys(key for rows in spec["datasets"].values() for row in rows[:1] for key in row)
    odd = [name for name in known if not name or name.translate(_PATHS) != name]
    if not odd:
        return spec
    names: dict[str, str] = {}
    for name in odd:
        wish = name.translate(_PATHS) or "_"
        while wish in known or wish in names.values():
            wish += "_"
        names[name] = wish
    titles = {new: old for old, new in names.items()}
    escaped = {"".join(f"\\{c}" if c in ".[]'\"\\" else c for c in name): new for name, new in names.items()}
    rows = {
        name: [{names.get(key, key): value for key, value in row.items()} for row in data]
        for name, data in spec["datasets"].items()
    }
    rest = {key: value for key, value in spec.items() if key != "datasets"}
    return {**_refer(rest, "", escaped | names, titles), "datasets": rows}


def _refer(node: Any, key: str, names: dict[str, str], titles: dict[str, str]) -> Any:
    if isinstance(node, list):
        return [_refer(child, key, names, titles) for child in node]
    if isinstance(node, dict):
        new = {name: _refer(child, name, names, titles) for name, child in node.items()}
        if new.get("field") in titles and "type" in new and "aggregate" not in new:
            new.setdefault("title", titles[new["field"]])
        return new
    return names.get(node, node) if isinstance(node, str) and key in _NAMES else node


def _numbers(spec: dict[str, Any]) -> None:
    """Integers that had to become text are numbers again where they are drawn as numbers."""
    for unit in units(spec):
        for channel, one in unit.encodings:
            if one.get("type") != "quantitative" or channel == "tooltip":
                continue
            for row in spec["datasets"].get(unit.data, []):
                if isinstance(row.get(one["field"]), str):
                    row[one["field"]] = _float(row[one["field"]])


def _float(text: str) -> float | None:
    try:
        return plain(float(text))
    except ValueError:
        return None


# ------------------------------------------------------------------------------- labels
def _shorten(spec: dict[str, Any]) -> None:
    """Give long categories short labels, and let Vega cut nothing."""
    for unit in units(spec):
        rows = spec["datasets"].get(unit.data, [])
        for channel, one in unit.encodings:
            guide = "axis" if channel in ("x", "y") else "header" if channel in _FACETS else "legend"
            if one.get("type") in ("nominal", "ordinal") and channel in _LABELLED and _has(one, guide):
                _label(one, guide, [row.get(one["field"]) for row in rows])
    _without_limits(spec)


_FACETS = ("facet", "row", "column")
_LABELLED = (*_FACETS, "x", "y", "color", "fill", "stroke", "shape", "strokeDash", "size", "opacity")


def _has(one: dict[str, Any], guide: str) -> bool:
    return guide not in one or (isinstance(one[guide], dict) and "labelExpr" not in one[guide])


def _label(one: dict[str, Any], guide: str, values: Iterable[Any]) -> None:
    options = one.get(guide) or {}
    columns = {"legend": labels.LEGEND, "header": labels.HEADER}.get(guide, labels.AXIS)
    if isinstance(options.get("labelLimit"), int | float) and options["labelLimit"] > 0:
        columns = int(12 * options["labelLimit"] / (labels.PIXELS * options.get("labelFontSize", 12)))
    short = labels.short_labels((value for value in values if isinstance(value, str)), columns)
    if short:
        one[guide] = {**options, "labelExpr": labels.label_expression(short)}


def _without_limits(node: Any) -> None:
    """No limit in pixels anywhere but in the configuration, and no title wider than the page."""
    if isinstance(node, list):
        for child in node:
            _without_limits(child)
    if not isinstance(node, dict):
        return
    for name in ("labelLimit", "titleLimit", "limit"):
        if isinstance(node.get(name), int | float):
            node[name] = 0
    if isinstance(node.get("title"), str):
        # Vega-Lite writes titles into expressions, where a backslash would begin an escape.
        title = " ".join(node["title"].replace("\\", "\u2216").splitlines())
        node["title"] = labels.shorten(title, labels.TITLE)
    for name, child in node.items():
        if name != "datasets":
            _without_limits(child)
