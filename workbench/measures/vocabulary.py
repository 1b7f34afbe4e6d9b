"""What makes a question that question, and how much of a word list texts use."""

import unicodedata
from collections.abc import Iterable

import regex

from workbench.words import JOINERS, words

# What tells questions apart: words, numbers, signs of calculation.
_NUMBER = r"\d{1,3}(?:,\d{3})+(?![\d,])(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+"
_TOKEN = regex.compile(rf"(?V1)({_NUMBER})|(\\?[\p{{L}}\p{{M}}]+(?:'[\p{{L}}\p{{M}}]+)*)|(\S)")
_NUMERIC, _WORDY = 1, 2  # groups of it
_SAME_SIGN = str.maketrans("−–—‐‑×·⋅∙÷∕⁄：（）", "-----****///:()")
_SAME_COMMAND = {"\\times": "*", "\\cdot": "*", "\\div": "/", "\\dfrac": "\\frac", "\\tfrac": "\\frac",
                 "\\left": "", "\\right": ""}  # fmt: skip
_OPENING, _CLOSING = set("([{"), set(")]}")
_SIGNS = {*"-*/%!:_|^", *_OPENING, *_CLOSING}  # of calculation beside numbers, letters and each other
_Token = tuple[int, str, int, int]
"""Group, text, start and end."""


def question_key(question: str) -> str:
    """What makes a question that question: its words, numbers and signs of calculation, without the rest.

    Two spellings of one question have one key (capitals, spaces, punctuation, 1,000 and 1000, × and *);
    "5 + 3" and "5 - 3" have two. A hyphen, slash, colon or bracket counts beside a number, a single letter or
    another sign only.
    """
    text = unicodedata.normalize("NFC", JOINERS.sub("", question)).casefold()
    text = text.replace("’", "'").translate(_SAME_SIGN)
    tokens = [(match.lastindex or 0, match[0], *match.span()) for match in _TOKEN.finditer(text)]
    around = zip([None, *tokens], tokens, [*tokens[1:], None], strict=False)
    kept = (_kept(before, token, after) for before, token, after in around)
    return " ".join(token for token in kept if token)


def _kept(before: _Token | None, token: _Token, after: _Token | None) -> str:
    """A token as the key has it; "" of what tells no questions apart."""
    group, text, *_ = token
    if group == _NUMERIC:
        digits = "".join(str(unicodedata.decimal(sign, sign)) for sign in text if sign != ",")
        whole, point, rest = digits.partition(".")
        rest = rest.rstrip("0")
        return (whole or "0") + (point + rest if rest else "")
    if group == _WORDY:
        return _SAME_COMMAND.get(text, text)
    if text in _SIGNS:
        return text if _calculates(before, token, after) else ""
    return text if unicodedata.category(text) in ("Sm", "No", "Nl", "So") else ""


def _calculates(before: _Token | None, token: _Token, after: _Token | None) -> bool:
    """Whether a sign is one of calculation here, not a hyphen, a stop or a bracket of prose."""
    sign, start = token[1], token[2]
    hyphenated = before is not None and before[3] == start and before[0] == _WORDY
    hyphenated = hyphenated and not _is_mathematical(before)
    left = _is_mathematical(before) and not hyphenated
    right = _is_mathematical(after)
    if sign == "-":
        return right and not hyphenated
    if sign in "%!:":
        numeric = (
            before is not None and (before[0] == _NUMERIC or before[1] in _CLOSING) and before[3] == start
        )
        return numeric and (sign != ":" or (after is not None and after[0] == _NUMERIC))
    if sign in "^|":
        return left or right
    return right if sign in _OPENING else left if sign in _CLOSING else left and right


def _is_mathematical(token: _Token | None) -> bool:
    if token is None:
        return False
    group, text, *_ = token
    if group == _WORDY:
        return len(text) == 1 or text.startswith("\\")
    return group == _NUMERIC or text in _SIGNS or unicodedata.category(text) in ("Sm", "No")


def coverage(texts: Iterable[str], word_list: Iterable[str]) -> float:
    """Share of `word_list` that occurs as a word anywhere in `texts`.

    Raises:
        ValueError: the word list is empty.
    """
    wanted = {word.lower() for word in word_list}
    if not wanted:
        raise ValueError("coverage needs a word list that is not empty")
    seen = {word for text in texts for word in words(text)}
    return len(wanted & seen) / len(wanted)
