"""Charts of any size: how many categories and rows are drawn, and what is said of the rest."""

import random
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from workbench.charts.theme import DASHES, SHAPES

MAX_ROWS = 5000  # of a data set; more would make pictures slow and reports large
LIMITS = {"y": 150, "x": 60, "facet": 24, "row": 24, "column": 24, "detail": 300}  # categories
GROUPS = 21  # that colours, shapes and dashes tell apart
WIDEST, HIGHEST = 1500, 3000  # pixels of a chart
_NUMBERED = 1200  # cells of a heat map whose numbers can be read
_FEWEST = 8  # categories that are kept however many rows they have
_CONCATENATED = ("hconcat", "vconcat", "concat")
_GUIDED = ("color", "fill", "stroke", "shape", "strokeDash", "size", "opacity")
_LOOKS = {"color", "fill", "stroke", "shape", "strokeDash", "xOffset", "yOffset"}

Rows = list[dict[str, Any]]


class Unit(NamedTuple):
    """One layer: its specification, the name of its data, and all its encodings with a field."""

    spec: dict[str, Any]
    data: str | None
    encodings: list[tuple[str, dict[str, Any]]]  #: (channel, definition), those of its panels included


def units(spec: dict[str, Any], data: str | None = None, outer: Iterable[Any] = ()) -> Iterator[Unit]:
    """All layers of a specification.

    Args:
        spec: as Altair writes it, with named data sets.
        data: of the chart around this one.
        outer: encodings of the chart around this one.
    """
    data = (spec.get("data") or {}).get("name", data)
    facet = spec.get("facet") if "spec" in spec else None
    facets = [("facet", facet)] if facet and "field" in facet else list((facet or {}).items())
    own = [*facets, *spec.get("encoding", {}).items()]
    encodings = [*outer, *((name, one) for name, one in own if _has_field(one))]
    if "mark" in spec:
        yield Unit(spec, data, encodings)
    inner = [spec["spec"]] if isinstance(spec.get("spec"), dict) else []
    for name in ("layer", *_CONCATENATED):
        inner += spec.get(name, [])
    for part in inner:
        yield from units(part, data, encodings)


def _has_field(definition: Any) -> bool:
    return isinstance(definition, dict) and isinstance(definition.get("field"), str)  # else it is repeated


def bound(spec: dict[str, Any]) -> list[str]:
    """Leave so much of a specification as can be drawn and read; return what has to be said of the rest."""
    of_data: dict[str, list[Unit]] = {}
    for unit in units(spec):
        if unit.data is not None and unit.data in spec.get("datasets", {}):
            of_data.setdefault(unit.data, []).append(unit)
    notes = []
    for name, layers in of_data.items():
        rows = spec["datasets"][name]
        fields = {field for row in rows[:1] for field in row}
        rows, notes_of_categories = _fewer_categories(rows, layers, fields)
        rows, notes_of_rows = _fewer_rows(rows, layers, fields)
        spec["datasets"][name] = rows
        notes += [*notes_of_categories, *notes_of_rows, *_without_values(rows, layers, fields)]
        _tell_apart(rows, layers, fields)
    _without_crowded_numbers(spec, spec.get("datasets", {}))
    _sizes(spec)
    return list(dict.fromkeys(notes))


# ------------------------------------------------------------------------------- categories
def _fewer_categories(rows: Rows, layers: list[Unit], fields: set[str]) -> tuple[Rows, list[str]]:
    limits = _limits(layers, fields)
    total = {field: len({row[field] for row in rows} - {None}) for field in limits}
    shown, kept = rows, {}
    while True:
        kept = {field: _first(rows, field, limits[field], layers) for field in limits}
        cut = [field for field in limits if len(kept[field]) < total[field]]
        shown = [row for row in rows if all(row[field] is None or row[field] in kept[field] for field in cut)]
        cells = len({tuple(row[field] for field in limits) for row in shown})
        largest = max(limits, key=lambda field: len(kept[field]), default=None)
        if largest is None or len(shown) <= MAX_ROWS or 2 * cells < len(shown):
            break
        if len(kept[largest]) <= _FEWEST:
            break
        limits[largest] = max(_FEWEST, len(kept[largest]) // 2)
    for field in cut:
        _forget(layers, field, kept[field])
    notes = [
        f"Drawn are the first {len(kept[field])} of {total[field]:,} ({title}); the other "
        f"{total[field] - len(kept[field]):,} are in the run's tables."
        for field, title in ((field, _title(layers, field)) for field in cut)
    ]
    return shown, notes


def _limits(layers: list[Unit], fields: set[str]) -> dict[str, int]:
    """How many values of each discrete field can be told apart where it is drawn."""
    limits: dict[str, int] = {}
    along = {one["field"] for layer in layers for name, one in layer.encodings if name in ("x", "y")}
    for channel, one in (pair for layer in layers for pair in layer.encodings):
        field = one["field"]
        if one.get("type") not in ("nominal", "ordinal") or field not in fields or "aggregate" in one:
            continue
        if channel in LIMITS or (channel in _LOOKS and field not in along):
            limits[field] = min(limits.get(field, GROUPS * 99), LIMITS.get(channel, GROUPS))
    return limits


def _first(rows: Rows, field: str, most: int, layers: list[Unit]) -> dict[Any, None]:
    """The first values in the order of the picture."""
    ordered = _ordered({row[field]: None for row in rows if row[field] is not None}, field, layers)
    return dict.fromkeys(ordered[:most])


def _ordered(values: dict[Any, None], field: str, layers: list[Unit]) -> list[Any]:
    definitions = [one for layer in layers for _, one in layer.encodings if one["field"] == field]
    for one in definitions:
        given = one["sort"] if isinstance(one.get("sort"), list) else (one.get("scale") or {}).get("domain")
        if isinstance(given, list):
            first = [value for value in given if _hashable(value) and value in values]
            return list(dict.fromkeys([*first, *values]))
    if any("sort" in one and not isinstance(one["sort"], str) for one in definitions):
        return list(values)
    down = any(one.get("sort") == "descending" for one in definitions)
    return sorted(values, key=lambda value: (isinstance(value, str), value), reverse=down)


def _hashable(value: Any) -> bool:
    return not isinstance(value, dict | list)


def _forget(layers: list[Unit], field: str, kept: dict[Any, None]) -> None:
    """Leave the values that are not drawn out of orders and domains, which would keep a place for them."""
    for one in (one for layer in layers for _, one in layer.encodings if one["field"] == field):
        for holder, name in ((one, "sort"), (one.get("scale") or {}, "domain")):
            if isinstance(holder.get(name), list):
                holder[name] = [value for value in holder[name] if not _hashable(value) or value in kept]


def _title(layers: list[Unit], field: str) -> str:
    definitions = [one for layer in layers for _, one in layer.encodings if one["field"] == field]
    titles = [one["title"] for one in definitions if isinstance(one.get("title"), str) and one["title"]]
    return (titles or [field])[0]


# ------------------------------------------------------------------------------- rows
def _fewer_rows(rows: Rows, layers: list[Unit], fields: set[str]) -> tuple[Rows, list[str]]:
    if len(rows) <= MAX_ROWS:
        return rows, []
    lines = [layer for layer in layers if _mark(layer) in ("line", "area", "trail", "errorband")]
    kept = _thinned(rows, lines[0], fields) if lines else _sampled(rows)
    drawn = "evenly spaced" if lines else "drawn at random"
    sums = any("aggregate" in one or _mark(layer) == "bar" for layer in layers for _, one in layer.encodings)
    whole = "; sums and counts are those of the sample" if sums else ""
    return kept, [f"The picture shows {len(kept):,} of {len(rows):,} rows, {drawn}{whole}."]


def _mark(layer: Unit) -> str:
    mark = layer.spec["mark"]
    return mark["type"] if isinstance(mark, dict) else mark


def _sampled(rows: Rows) -> Rows:
    return [rows[index] for index in sorted(random.Random(0).sample(range(len(rows)), MAX_ROWS))]


def _thinned(rows: Rows, line: Unit, fields: set[str]) -> Rows:
    """Every so many points of each line, and its last one."""
    names = {one["field"] for _, one in line.encodings if one.get("type") in ("nominal", "ordinal")}
    names = sorted(names & fields)
    of_line: dict[tuple[Any, ...], list[int]] = {}
    for index, row in enumerate(rows):
        of_line.setdefault(tuple(row[name] for name in names), []).append(index)
    series = list(of_line.values())[: MAX_ROWS // 2]
    most = max(2, MAX_ROWS // len(series))
    kept: list[int] = []
    for indices in series:
        step = -(-len(indices) // most)
        kept += indices[::-1][::step]
    return [rows[index] for index in sorted(kept)]


def _without_values(rows: Rows, layers: list[Unit], fields: set[str]) -> list[str]:
    """Where no number is to be drawn, drop the legends: Vega would give the picture no end."""
    drawn = [one["field"] for layer in layers for name, one in layer.encodings
             if name in ("x", "y") and one.get("type") == "quantitative"]  # fmt: skip
    computed = rows and not fields.issuperset(drawn)  # by a transform
    if not drawn or computed or any(row.get(field) is not None for row in rows for field in drawn):
        return []
    for channel, one in (pair for layer in layers for pair in layer.encodings):
        if channel in _GUIDED:
            one["legend"] = None
    return ["There are no numbers to draw."]


# ------------------------------------------------------------------------------- looks and sizes
def _tell_apart(rows: Rows, layers: list[Unit], fields: set[str]) -> None:
    """Where there are more groups than shapes and dashes, change these only when the colours begin again."""
    for channel, one in (pair for layer in layers for pair in layer.encodings):
        drawn = {"shape": SHAPES, "strokeDash": DASHES, "color": None}
        if channel not in drawn or one.get("type") != "nominal" or one["field"] not in fields:
            continue
        scale = one.get("scale") or {}
        different = {row[one["field"]]: None for row in rows if row[one["field"]] is not None}
        if len(different) > len(SHAPES):
            domain = scale.get("domain") or _ordered(different, one["field"], layers)
            # Vega-Lite would merge scales of equal domains, and give the legend of one to both.
            alone = [""] if one.get("legend", "") is None else []
            one["scale"] = {**scale, "domain": [*domain, *alone]}
            looks = drawn[channel]
            if looks:
                numbers = range(len(one["scale"]["domain"]))
                one["scale"]["range"] = [looks[number // len(looks) % len(looks)] for number in numbers]


def _without_crowded_numbers(node: dict[str, Any], data: dict[str, Rows], name: str | None = None) -> None:
    """Leave out what is written into the cells of a heat map too large to read it."""
    name = (node.get("data") or {}).get("name", name)
    layers = list(units(node, name))
    rows = max((len(data.get(layer.data or "", ())) for layer in layers), default=0)
    if "layer" in node and rows > _NUMBERED and any(_mark(layer) == "rect" for layer in layers):
        node["layer"] = [part for part in node["layer"] if {_mark(one) for one in units(part)} != {"text"}]
    for part in (*(part for key in _CONCATENATED for part in node.get(key, [])), node.get("spec")):
        if isinstance(part, dict):
            _without_crowded_numbers(part, data, name)


def _sizes(spec: dict[str, Any]) -> None:
    """Keep charts within a page, and many panels in rows of four."""
    facet = spec.get("facet") if "spec" in spec else None
    if facet and "field" in facet and "columns" not in spec:
        values = {row.get(facet["field"]) for rows in spec.get("datasets", {}).values() for row in rows}
        if len(values) > _FEWEST:
            spec["columns"] = 4
    _cap(spec, spec.get("datasets", {}))


def _cap(node: dict[str, Any], data: dict[str, Rows]) -> None:
    for name, channel, most in (("width", "x", WIDEST), ("height", "y", HIGHEST)):
        size = node.get(name)
        if isinstance(size, int | float):
            node[name] = min(size, most)
        elif isinstance(size, dict) and "step" in size:
            size["step"] = min(size["step"], most / max(1, count(node, channel, data)))
    for name in ("layer", *_CONCATENATED):
        for part in node.get(name, []):
            _cap(part, data)
    if isinstance(node.get("spec"), dict):
        _cap(node["spec"], data)


def count(node: dict[str, Any], channel: str, data: dict[str, Rows]) -> int:
    """The most categories along an axis; of all data sets, as a layer may inherit its own."""
    fields = {one["field"] for unit in units(node) for name, one in unit.encodings if name == channel}
    counts = [len({row.get(field) for row in rows}) for rows in data.values() for field in fields]
    return max(counts, default=1)
