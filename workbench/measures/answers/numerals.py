"""Numbers as people and models write them, read exactly: 1,234.56, -$5, 3 1/2, 1.5e3, 25%, 2:3, 5 million."""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

import numpy as np

from workbench.measures.answers.number_words import PARTS, fraction
from workbench.measures.answers.spelling import plain

_NOISE = Fraction(1, 10**9)  # relative; what a chain of float operations loses is far below
_LONGEST = 400  # characters and powers of ten, so that 1e999999999 costs nothing

_SPACED = r"[0-9]{1,3}(?:\ [0-9]{3})+(?![0-9])(?:[.,][0-9]+)?(?![0-9/])"
_DIGITS = rf"(?:{_SPACED}|[0-9]+(?:[.,'_][0-9]+)*|(?<![0-9])\.[0-9]+)"
_PART_WORDS = (
    rf"\b(?P<top>an?|one|two|three|four|five|six|seven|eight|nine)[ -](?P<bottom>{'|'.join(PARTS)})s?\b"
)
_TOKEN = re.compile(
    rf"""(?<![A-Za-z0-9_])(?<![0-9][.,'])(?<![A-Za-z]\^)(?<![A-Za-z]\^-)
    (?P<minus>(?:(?<![\w)\]}}°%'])-|\b(?:minus|negative)\s)?[-+]?)
    (?P<body>{_DIGITS}(?:[eE][-+]?[0-9]+\b)?(?:(?:[/:]|\ [/:]\ ){_DIGITS})*)
    (?:(?:\ {{1,2}}|(?P<joined>-\ ?|\ (?:and|&)\ {{1,2}}))(?P<part>[0-9]+/[0-9]+)(?![0-9/])
      |(?:\ [a-z]+)?\ and\ {_PART_WORDS})?
    (?:(?P<ten>\ ?(?:×|x|\*)\ ?10)?\ ?(?:\^|\*\*)\ ?\(?(?P<power>[-+]?[0-9]+)\)?)?
    (?:\ ?(?P<scale>%|‰|(?:percent|pct|per\ cent|hundred|dozens?|thousands?|lakhs?|lacs?|crores?
        |millions?|billions?|trillions?)\b)(?P<more>\ (?:thousand|million|billion|crore)s?\b)?
      |(?P<letter>(?-i:\ ?k|[KMB]|bn|mn))(?![A-Za-z0-9]))?""",
    re.VERBOSE | re.IGNORECASE,
)
_SCALES = {
    "hundred": 100, "dozen": 12, "thousand": 10**3, "k": 10**3, "lakh": 10**5, "lac": 10**5, "million": 10**6,
    "m": 10**6, "mn": 10**6, "crore": 10**7, "billion": 10**9, "b": 10**9, "bn": 10**9, "trillion": 10**12,
}  # fmt: skip
_PLAIN = re.compile(r"[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?")
_GROUPED = re.compile(r"[0-9]{1,3}(?:,[0-9]{2,3})*,[0-9]{3}(?:\.[0-9]+)?")  # also 1,00,000
_APART = re.compile(r"[0-9]{1,3}(?:[ '_][0-9]{3})+(?:[.,][0-9]+)?")
_EUROPEAN = re.compile(r"[0-9]{1,3}(?:\.[0-9]{3})+,[0-9]+|[0-9]{1,3}(?:\.[0-9]{3}){2,}")
_EQUALS = re.compile("(?<![<>!])=")
_BRACKETS = re.compile(r"\([^()]*\)")
_SEVERAL = re.compile(r"[,;]|\b(?:and|or)\b")
_CLOCK = re.compile(r"(?:[01]?[0-9]|2[0-4])\s?:\s?[0-5][0-9]")  # or a ratio: nobody can tell
_VARIABLE = r"[b-fi-jn-rt-zB-EG-IM-UX-Z]"
_UNIT = re.compile(
    rf"(?:°[CFK]\b|(?!{_VARIABLE}\b|[α-λν-ωΓΔΘΛΞΠΣΦΨ])[^\W\d_]\w*+(?:\^-?[1-9]\b)?|[°*/().'×\s-])*+"
)
_LABEL = re.compile(
    r"(?:[A-Z]{3}|Rs\.?|US|≈|~|about|approximately|approx\.?|around|roughly|exactly|only|[A-Za-z ]+:)?"
)


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
class Token:
    """What looks like a number in a text, and where it stands; `number` is None for dates, lists, times."""

    number: Number | None
    text: str
    start: int
    end: int


def numbers_in(text: str) -> Iterator[Token]:
    """What looks like a number in a text (see `spelling.plain`), in order; nothing within a name as "x2"."""
    return (_token(match) for match in _TOKEN.finditer(text))


def last_number(text: str) -> Token | None:
    """The last of `numbers_in`."""
    match = None
    for match in _TOKEN.finditer(text):  # noqa: B007  the last is wanted
        pass
    return match and _token(match)


def _token(match: re.Match[str]) -> Token:
    return Token(_number(match), match[0], match.start(), match.end())


def whole_number(text: str) -> Number | None:
    """The number that a text is, with or without a unit; None where it is more or less than one.

    An equation counts by its right side: "x = 5"; an approximation by what it approximates.
    """
    if len(text) > _LONGEST:
        return None
    *names, text = _EQUALS.split(plain(text))
    if names and _SEVERAL.search(_BRACKETS.sub("", "".join(names))):
        return None
    exact, *approximations = text.split("≈")
    number = _alone(exact)
    return _alone(approximations[-1]) if number is None and approximations else number


def _alone(text: str) -> Number | None:
    text = re.sub(r"^-\s+(?=[0-9.])", "-", text.strip(" *\n\t"))
    token = _TOKEN.search(text)
    if token is None or not _LABEL.fullmatch(text[: token.start()].strip("$(* ")):
        return None
    endless = "." in token[0] and text.startswith("...", token.end())
    return _number(token) if _UNIT.fullmatch(text, token.end()) and not endless else None


def is_equation(text: str) -> bool:
    """Whether a text is an equation, as 2x + z = 1, and not a value of something, as f(x) = 1, 5 + 3 = 8."""
    *left, _ = _EQUALS.split(plain(text))
    names = "=".join(left)
    return bool(re.search("[A-Za-z]", names) and re.search(r"[-+*/^=]|(?<![\w{])[0-9]+ ?[A-Za-z]", names))


def from_program(value: object) -> Number | None:
    """The number that a program computed; None for truth values, infinities, giants, lists of several."""
    if isinstance(value, (list, tuple)) and len(value) == 1:
        value = value[0]
    if isinstance(value, (np.generic, np.ndarray)) and value.size == 1:
        value = value.item()
    if isinstance(value, str):
        return whole_number(value)
    if isinstance(value, complex) and value.imag == 0:
        value = value.real
    if isinstance(value, bool) or not isinstance(value, (int, float, Fraction, Decimal)):
        return None
    if isinstance(value, Decimal) and (not value.is_finite() or abs(value.adjusted()) > _LONGEST):
        return None
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if max(abs(part).bit_length() for part in Fraction(value).as_integer_ratio()) > 4 * _LONGEST:
        return None
    return Number(Fraction(value), exact=not isinstance(value, float))


def _same(first: Fraction, second: Fraction, exact: bool) -> bool:
    return first == second or (not exact and abs(first - second) <= _NOISE * max(1, abs(second)))


def _number(token: re.Match[str]) -> Number | None:
    """The value of a token; None for what only looks like a number: a date, a time, a division by zero."""
    body = token["body"]
    if len(token[0]) > _LONGEST:
        return None
    if body.isdecimal() and len(token[0]) == len(body):  # most of them
        return Number(Fraction(int(body)))
    pieces = [piece.strip() for piece in re.split("[/:]", body)]
    values = [value for piece in pieces if (value := read_digits(piece)) is not None]
    if len(pieces) > 2 or len(values) < len(pieces) or _CLOCK.fullmatch(body):
        return None
    if len(values) == 2 and not values[1]:
        return None
    value = values[0] / values[1] if len(values) == 2 else values[0]
    part = _part(token, value, single=len(values) == 1)
    power = _power(token, value if len(values) == 1 and not part else None)
    if part is None or power is None:
        return None
    value = (value + part) * power
    if re.search("-|minus|negative", token["minus"], re.IGNORECASE):
        value = -value
    noisy = any("." in piece and sum(map(str.isdigit, piece)) >= 15 for piece in pieces)
    return _scaled(token, value, exact=not noisy)


def _part(token: re.Match[str], value: Fraction, single: bool) -> Fraction | None:
    """The fraction of a mixed number, 1/2 of 3 1/2 or "3 and a half"; 0 without; None of what is none."""
    if token["bottom"]:
        part = fraction(token["top"], token["bottom"])
    elif token["part"]:
        top, bottom = map(int, token["part"].split("/"))
        if not bottom or (token["joined"] and top >= bottom):
            return None
        part = Fraction(top, bottom)
    else:
        return Fraction(0)
    return part if single and value.denominator == 1 else None


def _power(token: re.Match[str], base: Fraction | None) -> Fraction | None:
    """What the value is multiplied by: 10⁵ of 3 × 10⁵, 10 of 10²; 1 without; None of what is no number."""
    if token["power"] is None:
        return Fraction(1)
    power = int(token["power"]) if len(token["power"]) < 6 else _LONGEST + 1
    if token["ten"]:
        return Fraction(10) ** power if abs(power) <= _LONGEST else None
    if not base or abs(power) * len(token["body"]) > _LONGEST:
        return None
    return base ** (power - 1)


def _scaled(token: re.Match[str], value: Fraction, exact: bool) -> Number:
    """The number with its sign of percent, its word or its letter of magnitude."""
    letter, scale = (token["letter"] or "").strip(), (token["scale"] or "").lower().removesuffix("s")
    if letter == "k":
        return Number(value * 1000, exact=exact)
    if scale.startswith(("%", "per", "pct")):
        return Number(value, Fraction(1, 100), exact)
    factor = Fraction(1, 1000) if scale == "‰" else _SCALES.get(scale or letter.lower(), 1)
    more = (token["more"] or "").strip().lower().removesuffix("s")
    return Number(value, Fraction(factor * _SCALES.get(more, 1)), exact)


def read_digits(text: str) -> Fraction | None:
    """The value of digits with points and commas; None where their order says nothing, as in 3,5 or 1.2.3."""
    if _GROUPED.fullmatch(text):
        text = text.replace(",", "")
    elif _APART.fullmatch(text):
        text = re.sub("[ '_]", "", text).replace(",", ".")
    elif _EUROPEAN.fullmatch(text):
        text = text.replace(".", "").replace(",", ".")
    if not _PLAIN.fullmatch(text) or abs(int((re.split("[eE]", text)[1:] or ["0"])[0][:9])) > _LONGEST:
        return None
    return Fraction(text)
