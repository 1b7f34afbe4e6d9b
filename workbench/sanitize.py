"""Make the text of models and data sets safe to show: invisible characters become visible."""

import re

_INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)


def _escape(match: re.Match) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def sanitize(text: object, limit: int | None = None) -> str:
    """Return the text with invisible characters escaped as in Python, and a long tail cut off.

    Control characters, directional overrides, zero-width characters and lone surrogates can hide or
    reorder what a reader sees, and a lone surrogate cannot be written as UTF-8. Newlines and tabs stay.

    Args:
        text: anything; what is not a string is converted with `str`.
        limit: number of characters to keep; a note says how many were cut. None keeps all.
    """
    text = str(text)
    tail = f"… [{len(text) - limit:,} more characters]" if limit is not None and len(text) > limit else ""
    kept = text[:limit].replace("\r\n", "\n")
    return _INVISIBLE.sub(_escape, kept) + tail
