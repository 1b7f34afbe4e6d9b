"""Chart data no larger than the picture needs: four digits that count, and no column that nothing draws."""

import math
from collections.abc import Iterable, Iterator
from typing import Any

_DIGITS = 4


def lean(spec: dict[str, Any]) -> None:
    """Leave of a specification's data what is drawn, hovered over or computed with, in as many digits.

    Of a number stay four digits, and all that the range of its column has four digits of: what is moved is
    moved by less than a pixel.
    """
    rest = {key: value for key, value in spec.items() if key != "datasets"}
    words = set(_words(rest))
    exact = {name for rows in _selected(rest) for name in rows}  # a selection must find its rows again
    for name, rows in spec["datasets"].items():
        columns = list(dict.fromkeys(column for row in rows for column in row))
        drawn = [column for column in columns if any(column in word for word in words)]
        kept = columns if _shows_all(rest) or not drawn else drawn
        finest = {column: _finest(row.get(column) for row in rows) for column in set(kept) - exact}
        spec["datasets"][name] = [
            {column: _rounded(row[column], finest.get(column)) for column in kept if column in row}
            for row in rows
        ]


def _words(node: Any) -> Iterator[str]:
    """Every text of a specification, names and expressions alike: a column in none of them is not drawn."""
    if isinstance(node, str):
        yield node
    for child in _children(node):
        yield from _words(child)
    if isinstance(node, dict):
        yield from node


def _selected(node: Any) -> Iterator[dict[str, Any]]:
    """The rows that selections begin with."""
    if isinstance(node, dict) and "select" in node and isinstance(node.get("value"), list):
        yield from (row for row in node["value"] if isinstance(row, dict))
    for child in _children(node):
        yield from _selected(child)


def _shows_all(node: Any) -> bool:
    """Whether some mark shows every column of its row when it is hovered over."""
    if isinstance(node, dict) and node.get("content") == "data":
        return True
    return any(map(_shows_all, _children(node)))


def _children(node: Any) -> Iterable[Any]:
    if isinstance(node, dict):
        return node.values()
    return node if isinstance(node, list) else ()


def _finest(values: Iterable[Any]) -> int | None:
    """The power of ten that is the last of four digits of a column's range; None where it has none."""
    numbers = [value for value in values if isinstance(value, float) and math.isfinite(value)]
    spread = max(numbers) - min(numbers) if numbers else 0.0
    return _last_digit(spread) if 0 < spread < math.inf else None


def _last_digit(number: float) -> int:
    return math.floor(math.log10(abs(number))) - _DIGITS + 1


def _rounded(value: Any, finest: int | None) -> Any:
    if not isinstance(value, float) or finest is None or value.is_integer():
        return value
    return round(value, -min(finest, _last_digit(value)))
