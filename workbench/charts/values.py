"""Values of any kind as what JSON and JavaScript hold without a change, and frames as rows of a chart."""

import math
from collections.abc import Hashable, Iterable, Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd

from workbench.sanitize import sanitize

MAX_TEXT = 400  # characters of one string inside a chart or a table cell
LARGEST_INTEGER = 2**53  # beyond it JavaScript rounds


def plain(value: Any) -> Any:
    """Return the value as something JSON can hold, with text visible and not too long.

    Integers that JavaScript would round become text. What was returned once is returned as it is again.
    """
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, bool | str):
        return value if isinstance(value, bool) else _cut(value)
    if isinstance(value, np.datetime64 | np.timedelta64):
        return plain(pd.Timestamp(value) if isinstance(value, np.datetime64) else pd.Timedelta(value))
    if hasattr(value, "item") and getattr(value, "size", 1) == 1:
        value = value.item()
    if isinstance(value, bool | str):
        return plain(value)
    if isinstance(value, int):
        return value if abs(value) <= LARGEST_INTEGER else _digits(value)
    if isinstance(value, float | Decimal | Fraction):
        return _number(value)
    return _cut(_text(value))


def _number(value: float | Decimal | Fraction) -> float | None:
    try:
        number = float(value)
    except (OverflowError, ValueError):  # a fraction beyond 1e308; a signalling NaN
        return None
    return number if math.isfinite(number) else None


def _digits(value: int) -> str:
    return str(value) if value.bit_length() < 10_000 else f"an integer of {value.bit_length():,} bits"


def _text(value: Any) -> str:
    if isinstance(value, bytes | bytearray):
        return bytes(value).decode("utf-8", "backslashreplace")
    try:
        return str(value)
    except Exception:  # an object's own __str__ may raise anything; its picture goes on
        return f"[{type(value).__name__}]"


def _cut(text: str) -> str:
    """At most MAX_TEXT characters with the note on the others, so that a second cut changes nothing."""
    shown = sanitize(text)
    if len(shown) <= MAX_TEXT:
        return shown
    return sanitize(shown, MAX_TEXT - len(f"… [{len(shown):,} more characters]"))


def chart_frame(frame: pd.DataFrame) -> pd.DataFrame:
    """A copy whose columns have different names that are texts, and values that Altair knows the type of.

    Args:
        frame: of any index, columns and types.
    """
    columns = zip(_different(map(_name, frame.columns)), range(frame.shape[1]), strict=True)
    return pd.DataFrame({name: _column(frame.iloc[:, number]) for name, number in columns})


def chart_rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a `chart_frame` as JSON."""
    columns = {name: _written(_column(frame[name])) for name in frame.columns}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _written(values: pd.Series) -> list[Any]:
    if pd.api.types.is_datetime64_any_dtype(values.dtype):  # as JavaScript reads them
        return [None if moment is pd.NaT else moment.isoformat() for moment in values]
    return [plain(value) for value in values]


def _name(name: Hashable) -> str:
    return " / ".join(map(str, name)) if isinstance(name, tuple) else str(name)


def _different(names: Iterable[str]) -> Iterator[str]:
    """The names, each made different by a number where it came before."""
    given: set[str] = set()
    for name in names:
        wish, number = name, 1
        while wish in given:
            number += 1
            wish = f"{name} ({number})"
        given.add(wish)
        yield wish


def _column(values: pd.Series) -> pd.Series:
    kind = values.dtype
    if isinstance(kind, pd.CategoricalDtype | pd.SparseDtype):
        return _column(pd.Series(list(values), dtype=None if len(values) else object))
    values = values.reset_index(drop=True)
    if pd.api.types.is_timedelta64_dtype(kind):
        return values.dt.total_seconds()
    if pd.api.types.is_datetime64_any_dtype(kind):
        return values
    if pd.api.types.is_bool_dtype(kind) or isinstance(kind, pd.StringDtype):
        return values
    if pd.api.types.is_numeric_dtype(kind) and not pd.api.types.is_complex_dtype(kind):
        return values.astype(float) if str(kind) in ("float16", "Float32", "Float64") else values
    written = [plain(value) for value in values]
    known = {type(value) for value in written if value is not None}
    if known and known <= {int, float}:
        return pd.Series([np.nan if value is None else value for value in written])
    return pd.Series(written, dtype=object if known else str)
