"""Labels short enough for a chart, cut in Python: Vega counts UTF-16 units and would cut an emoji in two."""

import json
import textwrap
import unicodedata
from collections.abc import Iterable, Mapping

AXIS, LEGEND, HEADER, TITLE = 40, 34, 28, 110  # columns of Latin letters; Chinese ones and emoji take two
PIXELS = 6.5  # of a column of the usual letters
_JOINER, _SELECTORS = "\u200d", ("\ufe00", "\ufe0f")
_SKINS = ("\U0001f3fb", "\U0001f3ff")


def text_width(text: str) -> int:
    """Columns that a text takes in a line."""
    return sum(map(_columns, text))


def shorten(text: str, columns: int) -> str:
    """The beginning of a text, with an ellipsis where it is wider than so many columns.

    Args:
        text: of one line.
        columns: that it may take; see `text_width`.
    """
    return text if text_width(text) <= columns else _beginning(text, columns - 1) + "…"


def wrap(text: str, columns: int, lines: int) -> list[str]:
    """A text in lines of about so many columns; the last of so many lines says that there are more.

    Args:
        text: whose line breaks stay.
        columns: of a line, of Latin letters.
        lines: at most.
    """
    wide = max(1.0, text_width(text) / max(1, len(text)))
    parts = [textwrap.wrap(line, max(10, int(columns / wide))) or [""] for line in text.splitlines()]
    wrapped = [line for part in parts for line in part]
    return wrapped if len(wrapped) <= lines else [*wrapped[: lines - 1], "…"]


def short_labels(texts: Iterable[str], columns: int) -> dict[str, str]:
    """Those of the texts that are too wide, each with its label.

    Two that would read alike keep their ends instead, as names of models differ there.
    """
    different = list(dict.fromkeys(texts))
    short = {text: shorten(text, columns) for text in different}
    shown = list(short.values())
    alike = {label for label in shown if shown.count(label) > 1} if len(shown) > len(set(shown)) else set()
    return {
        text: _both_ends(text, columns) if label in alike else label
        for text, label in short.items()
        if label != text
    }


def label_expression(labels: Mapping[str, str]) -> str:
    """A Vega expression that writes a short label for each long text, and others as they are."""
    long, short = json.dumps(list(labels)), json.dumps(list(labels.values()))
    return f"indexof({long}, datum.label) < 0 ? datum.label : {short}[indexof({long}, datum.label)]"


def _columns(letter: str) -> int:
    if unicodedata.combining(letter) or letter == _JOINER or _is_selector(letter):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1


def _is_selector(letter: str) -> bool:
    return _SELECTORS[0] <= letter <= _SELECTORS[1]


def _beginning(text: str, columns: int) -> str:
    used = end = 0
    for end, letter in enumerate(text):  # noqa: B007  where it ends is wanted
        used += _columns(letter)
        if used > columns:
            break
    while end and _continues(text[end - 1], text[end]):
        end -= 1
    return text[:end]


def _continues(before: str, letter: str) -> bool:
    """Whether a letter belongs to the one before it: accents, joined emoji, skins, flags (kept in pairs)."""
    flag = "\U0001f1e6" <= letter <= "\U0001f1ff" and "\U0001f1e6" <= before <= "\U0001f1ff"
    skin = _SKINS[0] <= letter <= _SKINS[1]
    return (
        bool(unicodedata.combining(letter))
        or _is_selector(letter)
        or skin
        or flag
        or _JOINER in (before, letter)
    )


def _both_ends(text: str, columns: int) -> str:
    ending = _beginning(text[::-1], columns // 2 - 1)[::-1]
    while ending and _continues(text[-len(ending) - 1], ending[0]):
        ending = ending[1:]
    return f"{_beginning(text, columns - columns // 2)}…{ending}"
