"""Quotes, minus signs and intervals as in print: for prose, never for code, data or what models wrote."""

import re

_THIN, _FIXED = "\u202f", "\u00a0"  # spaces at which no line ends
_RULES = (
    (re.compile(r"(^|[\s(\[{/“‘–—-])\"(?=\S|$)"), r"\1“"),
    (re.compile(r'"'), "”"),
    (re.compile(r"(^|[\s(\[{/“–—])'(?=[^\W\d])"), r"\1‘"),
    (re.compile(r"'"), "’"),
    (re.compile(r"(^|[\s(\[,])-(?=\.?\d)"), r"\1−"),
    (re.compile(r"(\[[−+]?[\d.]+ ?%?,) (?=[−+]?[\d.]+ ?%?\])"), rf"\1{_FIXED}"),
    (re.compile(r"(?<=\d) (?=%)"), _THIN),
)


def smart(text: str) -> str:
    """A text of prose with curly quotes, real minus signs, and intervals and percentages in one piece."""
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return text
