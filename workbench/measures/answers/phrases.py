"""The number that a phrase gives as its answer, if it stands alone: not 5 of "5√2", "x > 5", "5 to 10"."""

import re

from workbench.measures.answers.number_words import leading_number
from workbench.measures.answers.numerals import Number, Token, last_number, numbers_in, whole_number
from workbench.measures.answers.spelling import plain

_MONTH = (
    r"(?:Jan(?:uary|\.)?|Feb(?:ruary|\.)?|Mar(?:ch|\.)?|Apr(?:il|\.)?|May|June?|July?|Aug(?:ust|\.)?|"
    r"Sept?(?:ember|\.)?|Oct(?:ober|\.)?|Nov(?:ember|\.)?|Dec(?:ember|\.)?)"
)
_FUNCTION = r"(?:log|ln|lg|exp|sin|cos|tan|cot|csc|sqrt|cbrt|gcd|lcm|mod|abs|floor|ceil|factorial)"
_COMPARED = r"(?:more|less|fewer|greater|larger|smaller|higher|lower|bigger|longer|shorter|older|younger)"
_OPERATOR = r"(?:[-+/×÷^xX]|(?<!\*)\*(?!\*))"

# What stands before a number that is only part of something: "√", "x >", "2 *", "root of", "more than".
_PART_OF = re.compile(
    rf"""(?:[\\^_{{√π≤≥≠±<]|(?<![-=])>|\+/|√\s*\[|\\[A-Za-z]+\s*\[|[0-9)\]°%]\s*{_OPERATOR}\s*\(?|[0-9]\s?(?:-|~|\.{{2,3}})|[0-9]—
      |(?<![\w'])[b-hj-z]\s*[-+*/×÷^]|[A-Za-z0-9]\(|[0-9]\ +|(?:^|[(:])\s*-\ +|-\s?\(
      |\b{_FUNCTION}[\s(]*|\b(?:root|half|third|quarter|power|logarithm|cube|multiple|percent)\ of\ (?:the\ )?
      |%\ of|\b{_COMPARED}\ than|\bat\ (?:least|most)
      |(?<!round\ )(?<!rounds\ )(?<!rounded\ )(?<!rounding\ )\bup\ to
      |\b(?:over|under|above|below|exceeds|between)
      |\b(?:twice|double|triple|thrice|not)|n't|\b(?:plus|times|minus|divided\ by|multiplied\ by)
      |\b{_MONTH})\s*$|(?:^|[\s=(])\|$|(?:^|\s)—$""",
    re.VERBOSE,
)
# What stands after a number that is not all: an expression, a second number, a date.
_GOES_ON = re.compile(
    rf"""\s*(?:=|{_OPERATOR}\s*\(?[0-9.\\√π]|[-+^*×]\s*\(*[a-z]\b|/\s*\(*[nxyz]\b|[-+^×÷]\s*\(
      |(?:plus|times|minus|over|divided\ by|multiplied\ by)\ \(?[0-9])""",
    re.VERBOSE,
)
_UNIT_GOES_ON = re.compile(
    r"\s?[A-Za-z°%]+(?:\s(?!times|plus|minus|and|or|but|so)[A-Za-z]+)?\s*(?:=|[-+*/×÷x]\s*\(?[0-9.])"
)
_EQUALS = re.compile(r"(?<![<>!])[=≈]")
_WITH_MORE = re.compile(
    rf"""\s*[√πφθ∞_\\^±{{<>≤≥≠‰!]|\||\(\s*[-0-9\\a-zA-Z]\s*[-+)\d]|\s*\+/-
      |(?:[b-fi-jn-qt-zXYZ]|[xyzn]{{2,3}})(?![\w'])|\ [b-fi-jn-rt-zXYZ](?![\w.'])
      |\s?(?:[-~]|\.\.\.?|\bto\b|\bthrough\b)\s?[-+]?\.?[0-9]|—[0-9]|'\s?[0-9]
      |\ ?(?:h[0-9]|[A-Za-z]+[0-9]+[A-Za-z])  # 2h30, 5ft3in
      |\ ?(?:st|nd|rd|th)?(?:\ of)?\ ?{_MONTH}\b|\s*{_FUNCTION}\b|\ (?:squared|cubed|choose|factorial)\b
      |\ (?:thirds|fourths|fifths|sixths|sevenths|eighths|ninths|tenths|hundredths|thousandths|halves)\b
      |\ +[-+]?\.?[0-9]|\ of\ [0-9]|\ {_COMPARED}\ than\ [0-9]|\ out\ of\ [0-9]
      |\ ?(?!(?:in|on|at|for|of|by|from|with|after|before|per|since|as|not|than|is|are|was|were|because|so
           |when|if|but|via|within|during|every|about|around|over|minus|negative)\b)[A-Za-z]+\.?\ [0-9]""",
    re.VERBOSE,
)
_ENDLESS = re.compile(r"\.{2,3}")
# "3 and 5", "May 5, 2021"
_ANOTHER = re.compile(r"(?:\s?[A-Za-z%]+)?\s*(?:[,;]|,?\s*\b(?:and|or)\b|&)\s*(?:[-+(]*\.?[0-9]|[a-z]\s*=)")
_TAG = re.compile(r"</?[A-Za-z][^<>]{0,40}>")
_MATH = re.compile(r"[\\^√π±∞≤≥≠<>]|[0-9]!|\b[a-z]\b\s*[-+*/=]|[0-9][a-z]\b")
_BEFORE = re.compile(
    r"[\s*_`'\"(\[:~≈→>]*(?:(?:about|around|roughly|approximately|exactly|only|just|an?)\s)?"
)
_REFUSAL = re.compile(
    r"(?i)[\s*_:'\"]*(?:(?:actually|still|therefore|clearly|likely|probably|definitely|just|that it is)\s)*"
    r"(?:not\b|in?correct\b|wrong\b|unknown\b|undefined\b|unclear\b|undetermined\b|impossible\b|invalid\b"
    r"|cannot\b|can't\b|none\b|no\b|infinit)"
)


def read(phrase: str) -> tuple[Number | None, bool]:
    """The number that a phrase gives, and whether it gives an answer at all, be it one that cannot be read.

    Args:
        phrase: in one spelling (`spelling.plain`). "5 + 3 = 8 apples" gives 8; "10 to 12", "√16" and "wrong"
            give none but are answers; "consistent with this" gives none.
    """
    phrase = _TAG.sub("", phrase) if "<" in phrase else phrase
    before = _BEFORE.match(phrase)
    start = before.end() if before else 0
    words = leading_number(phrase[start : start + 200]) if phrase[start : start + 1].isalpha() else None
    token = next(numbers_in(phrase), None)
    if words:
        return _in_words(phrase, start + words[1], Number(words[0]), token), True
    if re.match("(?i)not ", phrase):
        return None, True
    if token is None:
        return None, bool(_MATH.search(phrase) or _REFUSAL.match(phrase))
    return _standing(phrase, token), True


_SCALED = re.compile(
    r"[\s$]*(\\?%|percent\b|pct\b|hundred\b|thousand\b|million\b|billion\b|k\b|\\text\{[^{}]*\})",
    re.IGNORECASE,
)
_BOUND = re.compile(r"[\s$]*(?:\^|\\sqrt|\\pi|\\frac|[√π]|[-+*/]\s*[0-9(])")


def boxed(inside: str, rest: str) -> Number | None:
    """The number that a box gives, with the sign of percent or the word of magnitude that stands after it."""
    scaled = _SCALED.match(rest)
    if scaled:
        return whole_number(f"{inside} {scaled[1]}") or whole_number(inside)
    if _BOUND.match(rest):
        return None
    number = whole_number(inside)
    words = leading_number(plain(inside).strip()) if number is None and inside[:1].isalpha() else None
    return Number(words[0]) if words and words[1] == len(plain(inside).strip()) else number


def answers(inside: str) -> bool:
    """Whether a box that holds no number holds an answer, not a word for what should stand there."""
    text = plain(inside)
    return bool(_REFUSAL.match(text) or any(map(str.isdigit, text)) or _MATH.search(text))


def last_alone(text: str) -> tuple[Number | None, str]:
    """The last number of a text, None where it is part of something; and as it is written."""
    token = last_number(_TAG.sub("", text) if "<" in text else text)
    if token is None:
        return None, ""
    before = text[max(0, token.start - 40) : token.start]
    bullet = re.search(r"(?:^|\n)\s*[-*]\ +$", before)
    alone = bullet or not _PART_OF.search(before)
    return (token.number if alone and not _tied(text, token) else None), token.text


def _standing(phrase: str, token: Token) -> Number | None:
    """The value of a phrase's first number, or of the right side of the equations that begin with it."""
    first = None  # a number on the left: 18 of "18 = 9 + 9"
    for _ in range(20):
        part_of = _PART_OF.search(phrase[max(0, token.start - 40) : token.start])
        goes_on = _GOES_ON.match(phrase, token.end)
        if not (part_of or goes_on or _UNIT_GOES_ON.match(phrase, token.end)):
            alone = not _ANOTHER.match(phrase, token.end) and not _tied(phrase, token)
            return _agreed(first, token.number if alone else None)
        if not part_of and goes_on and goes_on[0].strip() == "=":
            first = first or token.number
        equals = _EQUALS.search(phrase, token.end)
        phrase = phrase[equals.end() :] if equals else ""
        following = next(numbers_in(phrase), None)
        if following is None or phrase[: following.start].strip(" (*_≈="):
            return first
        token = following
    return None


def _agreed(left: Number | None, right: Number | None) -> Number | None:
    """The right side, the left one where that says nothing; None where whole numbers differ ("6 = 3!")."""
    if left is None or right is None:
        return right or left
    whole = left.value.denominator == right.value.denominator == 1
    return None if whole and not left.equals(right) else right


def _tied(text: str, token: Token) -> bool:
    """Whether more follows that belongs to the number."""
    rest = text[token.end : token.end + 60]
    if rest.startswith("!") and not re.match(r"!\s*[-+*/×÷^=0-9)]", rest):
        rest = rest[1:]
    endless = "." in token.text and _ENDLESS.match(rest)
    return bool(endless or _WITH_MORE.match(rest))


def _in_words(phrase: str, end: int, number: Number, digits: Token | None) -> Number | None:
    """A number in words, where nothing belongs to it; "five (5)" must agree with itself."""
    rest = phrase[end : end + 60]
    if digits and re.fullmatch(r"\s*[A-Za-z]*\s*\(\s*", phrase[end : digits.start]):
        return number if digits.number and digits.number.equals(number) else None
    tied = re.match(
        rf"\s*(?:[-+*/×÷^=√π0-9]|(?:and|or|to|plus|minus|times|{_COMPARED}) |percent|%|,\s*\w+\s*$)", rest
    )
    return None if tied else number
