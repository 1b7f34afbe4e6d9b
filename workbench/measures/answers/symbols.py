"""Answers that are neither a number nor a formula: letters of a choice, times of day, ratios, words."""

import re
from fractions import Fraction

from workbench.measures.answers.spelling import one_spelling, plain

_LETTER = r"[A-J]"
_GOLD_CHOICE = re.compile(rf"\s*\(?({_LETTER})\)?[.:]?\s*")
# "B", "(B) 21", "B: 21", "option B", "B because"; not "A dog", "I think", "B or C"
_CHOICE = re.compile(
    rf"""[\s*_`"'\[($]*(?:(?:is|the|option|choice|answer|letter|case)\s+)*[\s*_`"'\[($]*
    (?P<letter>{_LETTER})(?![\w'^])
    (?P<closed>[\])*_.:"'`$]+)?
    (?:\s*$|(?<=[\])*.:"'`$])|\s*(?:[,;=(]|[-—–]\s)|\s+(?=because|since|as\b|which|with|for|from|is\b|[0-9$\\]))""",
    re.VERBOSE | re.IGNORECASE,
)
_SEVERAL = re.compile(rf"[\])*_.\s]*(?:,|/|&|\band\b|\bor\b)[\s*(\[]*{_LETTER}\b(?!['’])")
_IN_BRACKETS = re.compile(rf"\(({_LETTER})\)")
_CLOCK = re.compile(
    r"\s*\$?(?P<hour>[01]?[0-9]|2[0-4])\s?:\s?(?P<minute>[0-5][0-9])(?::[0-5][0-9])?(?![0-9:])\$?\s*"
    r"(?P<half>[ap]\.?\s?m\b\.?)?\s*(?:o'clock)?[\s.)*]*"
    r"(?:in the (?P<part>morning|afternoon|evening)|on\b.*)?$",
    re.IGNORECASE,
)
_PART = r"[0-9]+(?:\.[0-9]+)?"
_RATIO = re.compile(rf"({_PART}(?:\s?(?::|\bto\b)\s?{_PART})+)(?![0-9:])")
_WORDS = re.compile(r"\\(?:text|textbf|textit|textrm|mathrm|mathbf|mbox)\s*\{([^{}]*)\}")
_FOLLOWED = re.compile(r"\s*(?:$|[,.;:(!]|because\b|since\b|as\b|with\b|who\b|which\b)")


def choice_in(text: str, gold: bool = False) -> str | None:
    """The letter of the choice that an answer gives; "" where it gives several, None where it gives none.

    Args:
        gold: the text must be the letter and no more.
    """
    text = plain(text)
    if gold:
        match = _GOLD_CHOICE.fullmatch(text)
        return match[1] if match else None
    match = _CHOICE.match(text)
    if match and not (match["letter"].islower() and not match["closed"] and match.end() < len(text)):
        return "" if _SEVERAL.match(text, match.end("letter")) else match["letter"].upper()
    letters = set(_IN_BRACKETS.findall(text))
    return letters.pop() if len(letters) == 1 else "" if letters else None


def clock(text: str) -> int | None:
    """A time of day in minutes, 14:30 or 2:30 p.m.; None where the text is none. 2:30 stays as it is."""
    match = _CLOCK.match(plain(text))
    if match is None:
        return None
    hour, half = int(match["hour"]), (match["half"] or "").lower()[:1]
    half = half or {"morning": "a", "afternoon": "p", "evening": "p"}.get(match["part"] or "", "")
    if half and 1 <= hour <= 12:
        hour = hour % 12 + (12 if half == "p" else 0)
    return 60 * hour + int(match["minute"])


def proportion(text: str) -> tuple[Fraction, ...] | None:
    """The parts of a ratio, 1:2:3 or "2 to 3", as shares of their sum; None where the text is none."""
    match = _RATIO.search(plain(text))
    parts = [Fraction(part) for part in re.split(r"\s?(?::|to)\s?", match[1])] if match else []
    return tuple(part / sum(parts) for part in parts) if sum(parts) else None


def words_of(text: str, gold: bool = False) -> str:
    """A text's words in lower case, without punctuation; of a gold only where it is all `\\text{}`."""
    if gold and not (_WORDS.search(text) and not re.search(r"[0-9A-Za-z\\]", _WORDS.sub("", text))):
        return ""
    return " ".join(re.findall(r"\w+", plain(text).casefold()))


def said_words(text: str, right: str, boxed: bool) -> bool | None:
    """Whether an answer gives the words of a gold; None where it says too much to know."""
    said = words_of(text)
    if not said or said == right:
        return True if said else None
    if boxed:
        return False
    begins = re.match(r"\W*".join(map(re.escape, right.split())), plain(text).casefold().lstrip(" *_`\"'$("))
    if begins and _FOLLOWED.match(one_spelling(text).lstrip(" *_`\"'$("), begins.end()):
        return True
    return False if len(said.split()) <= 4 and right not in said else None
