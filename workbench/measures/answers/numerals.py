"""Numbers as people and models write them, read exactly: 1,234.56, -$5, 1/2, 1.5e3, 25%, 2:3, 5 million."""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from unicodedata import normalize

_NOISE = Fraction(1, 10**9)  # relative; what a chain of float operations loses is far below
_LONGEST = 400  # characters and powers of ten, so that 1e999999999 costs nothing

_DIGITS = r"(?:[0-9]+(?:[.,\u00a0\u2009\u202f][0-9]+)*|(?<![0-9])\.[0-9]+)"
_TOKEN = re.compile(
    rf"""(?<![A-Za-z0-9_])(?<![0-9][.,])
    (?P<minus>(?:(?<![\w)\]])[-−]|\b(?:minus|negative)\s)?(?:US)?[$€£¥]?[-−+]?)
    (?P<body>{_DIGITS}(?:[eE][-+]?[0-9]+\b)?(?:[/⁄:]{_DIGITS})*)
    (?:\ (?P<part>[0-9]+[/⁄][0-9]+)(?![0-9/]))?
    (?:\ ?(?:×|x|\*|\\times)\ ?10\ ?(?:\^|\*\*)\ ?\{{?(?P<power>[-−]?[0-9]+)\}}?)?
    (?:\ ?(?P<scale>%|percent\b|per\ cent\b|dozen\b|hundred\b|thousand\b|million\b|billion\b|trillion\b))?""",
    re.VERBOSE | re.IGNORECASE,
)
_SCALES = {
    "dozen": 12,
    "hundred": 100,
    "thousand": 10**3,
    "million": 10**6,
    "billion": 10**9,
    "trillion": 10**12,
}
_PLAIN = re.compile(r"[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?")
_GROUPED = re.compile(r"[0-9]{1,3}(?:,[0-9]{2,3})*,[0-9]{3}(?:\.[0-9]+)?")  # also 1,00,000
_SPACED = re.compile(r"[0-9]{1,3}(?:[\u00a0\u2009\u202f][0-9]{3})+(?:[.,][0-9]+)?")
_EUROPEAN = re.compile(r"[0-9]{1,3}(?:\.[0-9]{3})+,[0-9]+|[0-9]{1,3}(?:\.[0-9]{3}){2,}")
_UNIT = re.compile(r"(?:(?![b-fi-jn-rt-zB-EG-IM-UX-Z]\b)[^\W\d_]\w*+|[°²$€£¥*/().'’\s-])*+")
_VULGAR = {ord(sign): f" {normalize('NFKC', sign).replace('⁄', '/')}" for sign in "½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞"}


@dataclass(frozen=True)
class Number:
    """A number of a text or a program."""

    value: Fraction  #: as written, without its sign of percent or its word of magnitude
    scale: Fraction = Fraction(1)  #: what these stand for: 1/100 for %, 10⁶ for "million"; 1 without
    #: False for floats and for the long decimals that programs print, which carry float noise.
    exact: bool = True

    def equals(self, other: "Number") -> bool:
        """Whether both are the same number; 25% is 1/4, and also 25, with the sign as a mere unit."""
        if _same(self.value * self.scale, other.value * other.scale, self.exact and other.exact):
            return True
        unit = self.scale == 1 or other.scale == 1
        return unit and _same(self.value, other.value, self.exact and other.exact)


@dataclass(frozen=True)
class Found:
    """A number in a text, and where it ends; `number` is None for dates, lists and the like."""

    number: Number | None
    text: str
    end: int


def numbers_in(text: str) -> Iterator[Found]:
    """The numbers of a text, in order; numbers inside names, as in "x2", are none."""
    text = plain(text)
    for token in _TOKEN.finditer(text):
        yield Found(_number(token), token[0], token.end())


def whole_number(text: str) -> Number | None:
    """The number that a text is, with or without a unit; None where it is more or less than one.

    An equation counts by its right side: "x = 5".
    """
    text = plain(text.rpartition("=")[2] if len(text) <= _LONGEST else "").strip(" *\n\t")
    token = _TOKEN.search(text)
    if token is None or text[: token.start()].strip("$(* "):
        return None
    return _number(token) if _UNIT.fullmatch(text, token.end()) else None


def from_program(value: object) -> Number | None:
    """The number that a program computed; None for truth values, infinities, giants, lists of several."""
    if isinstance(value, (list, tuple)) and len(value) == 1:
        value = value[0]
    if isinstance(value, str):
        return whole_number(value)
    if isinstance(value, complex) and value.imag == 0:
        value = value.real
    if isinstance(value, bool) or not isinstance(value, (int, float, Fraction, Decimal)):
        return None
    if isinstance(value, (float, Decimal)) and not math.isfinite(value):
        return None
    if isinstance(value, Decimal) and abs(value.adjusted()) > _LONGEST:
        return None
    if max(abs(part).bit_length() for part in Fraction(value).as_integer_ratio()) > 4 * _LONGEST:
        return None
    return Number(Fraction(value), exact=not isinstance(value, float))


def plain(text: str) -> str:
    r"""Simple LaTeX as plain characters: "\frac{1}{2}" as "1/2", "1{,}000" as "1,000"; the rest as it is."""
    text = text.translate(_VULGAR)
    if "\\" not in text and "{" not in text:
        return text
    text = re.sub(r"(?<=[0-9])\s*(?=\\[dtc]?frac)", " ", text)  # 3\frac{1}{2} is 3 1/2
    text = re.sub(r"\\[dtc]?frac\s*\{\s*(-?[0-9.]+)\s*\}\s*\{\s*([0-9.]+)\s*\}", r"\1/\2", text)
    text = re.sub(r"\\[dtc]?frac\s*([0-9])\s*([0-9])", r"\1/\2", text)
    text = re.sub(r"\\(?:text|textbf|mathbf|mathrm|mbox)\s*\{([^{}]*)\}", r"\1", text)
    text = re.sub(
        r"\\[,!;: ]|\{,\}(?=[0-9])|\\(?:left|right)\b", lambda m: "," if m[0] == "{,}" else "", text
    )
    return re.sub(r"\^\s*\{?\s*\\circ\s*\}?", "°", text).replace("\\$", "$").replace("\\%", "%")


def _same(first: Fraction, second: Fraction, exact: bool) -> bool:
    return first == second or (not exact and abs(first - second) <= _NOISE * max(1, abs(second)))


def _number(token: re.Match[str]) -> Number | None:
    """The value of a token; None for what only looks like a number: a date, a list, a division by zero."""
    if len(token[0]) > _LONGEST:
        return None
    pieces = [piece.strip() for piece in re.split(r"[/⁄:]", token["body"])]
    values = [_decimal(piece) for piece in pieces]
    if len(values) > 2 or None in values or (len(values) == 2 and not values[1]):
        return None
    value = values[0] / values[1] if len(values) == 2 else values[0]
    if token["part"]:
        top, bottom = map(int, re.split("[/⁄]", token["part"]))
        if len(values) == 2 or value.denominator != 1 or not bottom:
            return None
        value += Fraction(top, bottom)
    power = int((token["power"] or "0").replace("−", "-"))
    if abs(power) > _LONGEST:
        return None
    value *= Fraction(10) ** power
    if re.search(r"[-−]|minus|negative", token["minus"], re.IGNORECASE):
        value = -value
    scale = (token["scale"] or "").lower()
    percent = scale.startswith(("%", "per"))
    noisy = any("." in piece and sum(map(str.isdigit, piece)) >= 15 for piece in pieces)
    return Number(value, Fraction(1, 100) if percent else Fraction(_SCALES.get(scale, 1)), exact=not noisy)


def _decimal(text: str) -> Fraction | None:
    """The value of digits with points and commas; None where their order says nothing, as in 3,5 or 1.2.3."""
    if _GROUPED.fullmatch(text):
        text = text.replace(",", "")
    elif _SPACED.fullmatch(text):
        text = re.sub(r"[\u00a0\u2009\u202f]", "", text).replace(",", ".")
    elif _EUROPEAN.fullmatch(text):
        text = text.replace(".", "").replace(",", ".")
    if not _PLAIN.fullmatch(text) or abs(int((re.split("[eE]", text)[1:] or ["0"])[0])) > _LONGEST:
        return None
    return Fraction(text)
