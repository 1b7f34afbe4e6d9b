"""Numbers in English words: three and a half, two thirds, one hundred and twenty-five."""

import re
from fractions import Fraction

_ONES = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
]  # fmt: skip
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_UNITS = {word: n for n, word in enumerate(_ONES)} | {word: 10 * n for n, word in enumerate(_TENS, 2)}
_LARGE = {"thousand": 10**3, "million": 10**6, "billion": 10**9}
_PARTS = ["half", "third", "quarter", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"]
PARTS = {word: n for n, word in enumerate(_PARTS, 2)} | {"fourth": 4, "halve": 2}
"""Names of fractions in the singular, and what they divide by."""

_WORD = "|".join([*_UNITS, *_LARGE, "hundred"])
_WHOLE = rf"(?:{_WORD})(?:(?:[ -]|(?<=d) and )(?:{_WORD})\b)*"  # "and" after hundred and thousand only
_PART = rf"(?P<top>an?|{'|'.join(_ONES[1:10])})[ -](?P<part>{'|'.join(PARTS)})s?"
_PART_OF = _PART.replace("top>", "top_of>").replace("part>", "part_of>")  # of a mixed number
_NUMBER = re.compile(
    rf"(?P<sign>minus |negative )?(?:{_PART}|(?P<half>half)|(?P<whole>{_WHOLE})(?: and {_PART_OF})?)"
    r"\b(?!['’-]|\ (?:of|one)\b)",
    re.IGNORECASE,
)


def leading_number(text: str) -> tuple[Fraction, int] | None:
    """The number that a text begins with in words, and where it ends; None without one ("one of them")."""
    match = _NUMBER.match(text)
    if match is None:
        return None
    value = Fraction(1, 2) if match["half"] else Fraction(0)
    if match["whole"] and (value := _whole(match["whole"].lower())) is None:
        return None
    top, part = match["top"] or match["top_of"], match["part"] or match["part_of"]
    value += fraction(top, part) if part else 0
    return -value if match["sign"] else value, match.end()


def fraction(top: str, part: str) -> Fraction:
    """The value of "a", "half", or of "two", "third"."""
    top = top.lower()
    return Fraction(1 if top in ("a", "an") else _UNITS[top], PARTS[part.lower()])


def _whole(words: str) -> Fraction | None:
    """The value of words in their order; None where it makes no number ("five six")."""
    total = group = 0
    last = 10**12  # what a smaller number may follow
    for word in re.sub(r"-| and ", " ", words).split():
        if word in _LARGE:
            total, group, last = total + max(group, 1) * _LARGE[word], 0, 10**12
        elif word == "hundred":
            group, last = max(group, 1) * 100, 100
        else:
            value = _UNITS[word]
            if value >= last or (last < 10**12 and last <= 10 and value >= 10):
                return None
            group, last = group + value, 10 if value >= 20 else 1
    return Fraction(total + group)
