"""The data of a chart as one table: which columns, under which names, from which of the chart's data sets."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

_CHANNELS = (
    "facet", "row", "column", "x", "y", "color", "fill", "stroke", "shape", "strokeDash", "size", "opacity",
    "text", "x2", "y2", "tooltip",
)  # fmt: skip
_CATEGORIES = ("nominal", "ordinal")
_LAST = ("low", "high", "n")  # in this order, behind what they belong to
PANEL = "panel"


@dataclass
class _Part:
    """One data set as one panel of the chart draws it."""

    data: str
    panel: str
    titles: dict[str, str] = field(default_factory=dict)  #: field to its name in the chart
    categories: list[str] = field(default_factory=list)
    is_read: bool = False  #: Whether a pointer reads it: what no one can read is a line to look along


def layout(spec: dict[str, Any]) -> dict[str, Any]:
    """How the data sets of a Vega-Lite specification are one table.

    Returns:
        columns: their names; parts: of each data set, in the order of its panels, its name (`data`), its
        panel, and the field behind each column.
    """
    parts = _parts(spec)
    read = [part for part in parts if part.is_read or part.categories] or parts
    names = _names(read)
    panels = len({part.panel for part in read}) > 1
    columns = dict.fromkeys(names[name] for part in read for name in part.titles)
    categories = {names[name] for part in read for name in part.categories}
    ordered = sorted(columns, key=lambda name: _rank(name, categories))
    return {
        "columns": [*([PANEL] if panels else []), *ordered],
        "parts": [
            {"data": part.data, PANEL: part.panel, "fields": {names[name]: name for name in part.titles}}
            for part in read
        ],
    }


def rows(spec: dict[str, Any], table: dict[str, Any]) -> Iterator[list[Any]]:
    """The rows of the table that `layout` lays out; None where a data set has no such column."""
    for part in table["parts"]:
        fields = part["fields"]
        for row in spec["datasets"].get(part["data"], []):
            yield [
                part[PANEL] if name == PANEL and PANEL not in fields else row.get(fields.get(name))
                for name in table["columns"]
            ]


def _rank(name: str, categories: set[str]) -> int:
    return _LAST.index(name) + 2 if name in _LAST else int(name not in categories)


def _parts(spec: dict[str, Any]) -> list[_Part]:
    parts: dict[tuple[str, str], _Part] = {}
    for unit, data, title, facets in _units({**spec, "title": None}, "", "", {}):
        encoding = {**facets, **unit.get("encoding", {})}
        panel = title or _axis(encoding)
        same = (part for part in parts.values() if part.data == data and (not title or part.panel == title))
        part = next(same, None) or parts.setdefault((data, panel), _Part(data, panel))
        part.is_read = part.is_read or "tooltip" in encoding
        known = set().union(*(row.keys() for row in spec.get("datasets", {}).get(data, [])[:50]))
        for channel in _CHANNELS:
            for one in _definitions(encoding.get(channel)):
                _take(part, channel, one, known)
    first = next((part.panel for part in parts.values() if part.panel), "")
    for part in parts.values():
        part.panel = part.panel or first  # what is laid over a panel belongs to it
    return [part for part in parts.values() if part.titles]


def _take(part: _Part, channel: str, one: dict[str, Any], known: set[str]) -> None:
    """Add what a channel shows to the columns of a part."""
    name, title = one.get("field"), one.get("title")
    if not isinstance(name, str) or name not in known:
        return  # or computed while it is drawn
    is_category = one.get("type") in _CATEGORIES
    if channel in ("x", "y") and not is_category and ("axis" in one and one["axis"] is None):
        return  # where it stands, which says nothing
    if is_category and name not in part.categories:
        part.categories.append(name)
    shown = title if isinstance(title, str) and name not in _LAST else ""
    part.titles[name] = part.titles.get(name) or shown


def _names(parts: list[_Part]) -> dict[str, str]:
    """The column of each field: its title where all panels give it the same, and no other field has it."""
    titles: dict[str, set[str]] = {}
    for part in parts:
        for name, title in part.titles.items():
            titles.setdefault(name, set()).update(filter(None, [title]))
    names = {name: next(iter(all_of)) if len(all_of) == 1 else name for name, all_of in titles.items()}
    taken = list(names.values())
    return {
        name: (title if taken.count(title) == 1 else name).replace("_", " ") for name, title in names.items()
    }


def _units(
    view: dict[str, Any], data: str, title: str, facets: dict[str, Any]
) -> Iterator[tuple[dict[str, Any], str, str, dict[str, Any]]]:
    """Every single view within a view, with its data set, the title above it and the encoding it inherits."""
    data = (view.get("data") or {}).get("name", data)
    title = _words(view.get("title")) or title
    facet = view.get("facet") or {}
    facets = facets | ({"facet": facet} if "field" in facet else facet)
    facets |= view.get("encoding", {}) if "mark" not in view else {}
    inner = [
        *(one for name in ("layer", "concat", "hconcat", "vconcat") for one in view.get(name) or ()),
        *([view["spec"]] if "spec" in view else []),
    ]
    if "mark" in view:
        yield view, data, title, facets
    for one in inner:
        yield from _units(one, data, title, facets)


def _words(title: Any) -> str:
    text = title.get("text") if isinstance(title, dict) else title
    return " ".join(text) if isinstance(text, list) else text if isinstance(text, str) else ""


def _axis(encoding: dict[str, Any]) -> str:
    """The title of the axis of values, which names a panel without a title."""
    axes = [encoding.get(channel) or {} for channel in ("y", "x")]
    titles = [one.get("title") for one in axes if one.get("type") == "quantitative"]
    return next((title for title in titles if isinstance(title, str)), "")


def _definitions(value: Any) -> list[dict[str, Any]]:
    return [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, dict)]
