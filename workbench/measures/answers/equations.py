"""Equations inside a text, and whether each is true: `3 + 4 = 7` of "So 3 + 4 = 7 apples are left.".

Only whole equations count. One that is torn from a larger one ("√16 + 1 = 5", "10:30 + 2 = 12:30"), whose
units differ ("2 hours + 30 minutes = 150 minutes") or that can be read in two ways is passed over.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from workbench.measures.answers.expressions import Expression, read_expression, singular
from workbench.measures.answers.spelling import plain

_CALCULATOR = re.compile(r"<<[^<>]*>>")
_BULLET = re.compile(r"(?m)^[ \t]*(?:[-•>]|\*(?!\*)|\(?[0-9]{1,2}[.)])[ \t]+")
_INSIDE = r"\{([-+*/^()0-9., ×%]+)\}"
_SIGNS = [
    (re.compile(rf"\\frac\s*{_INSIDE}\s*{_INSIDE}"), r"((\1)/(\2))"),
    (re.compile(rf"\\boxed\s*{_INSIDE}"), r"\1"),
    (re.compile(r"(?<=[0-9)]) (?:times|multiplied by) (?=[0-9(])"), " * "),
    (re.compile(r"(?<=[0-9)]) plus (?=[0-9(])"), " + "),
    (re.compile(r"(?<=[0-9)]) minus (?=[0-9(])"), " - "),
    (re.compile(r"(?<=[0-9)]) divided by (?=[0-9(])"), " / "),
    (re.compile(r"(?<=[0-9)]) [xX] (?=[0-9(.])"), " * "),
    (re.compile(r"(?<=[0-9])[xX](?=[0-9])|[×∗]"), "*"),
    (re.compile(r"(?<=%) of (?=[0-9(])|(?<=[0-9]/[0-9]) of (?=[0-9(])"), " * "),
    (re.compile(r"={2,}(?!>)|&="), "="),
    (re.compile(r"\s*(?:\\\\)?\n[ \t]*(?==)"), " "),
    (re.compile(r"[⟦⟧]"), "\ufffd"),
    (re.compile("÷"), "/"),
]
_PROSE = (
    r"(?:and|or|so|which|in|for|per|because|but|left|more|total|each|every|of|at|on|to|by|is|are|as|an|the|then"
    r"|since|when|if|with|from|all|altogether|was|were|will|this|that|remaining|x|pi)"
)
_UNIT = re.compile(
    rf"(?<=[0-9)%])( ?(?!{_PROSE}\b(?<!per))[A-Za-z]{{2,}}(?: (?!{_PROSE}\b)[A-Za-z]{{3,}})?)"
    r"(?= *[+*/=)]| *-[ 0-9(])"
)
_CHAIN = re.compile(r"(?:[0-9]+(?:[,.' ][0-9]+)*|\.[0-9]+|[-+*/^()=%\[\]]|⟦[^⟦⟧]*⟧|[ \t]+)+")
# What stands before arithmetic that it belongs to: a function, a variable, any sign but of prose.
_BELONGS_TO = re.compile(
    r"(?:\b(?:root|half|third|quarter|square|cube|%|percent|logarithm) of"
    r"|(?<!['’])\b(?:log|ln|lg|exp|sin|cos|tan|sqrt|root|mod|gcd|lcm|twice|double|half|triple|factorial|squared|cubed"
    rf"|plus|minus|times|(?:divided|multiplied) by|[b-hj-zB-HJ-Z])|[0-9] ?(?!{_PROSE}\b)[A-Za-z]+"
    r"|[^\w\s\"'(\[{:;,.!?<>≤≥→≠`*|&~—#])[ \t]*\Z"
)
_GOES_ON = re.compile(
    r"[ \t]*(?:\\(?!end\b|q?quad|text|\\)|[√π^_±∞{]|mod\b|and an? |and [0-9]+/"
    r"|(?![agmhslAIJKLNVW]\b)[a-zA-Z]\b(?!['’])"
    r"|(?:squared|cubed)\b|(?:plus|minus|times|divided by|over) [0-9(])"
    r"|[A-Za-z](?![A-Za-z])|[.,:'][0-9]|\.{2,}\s*%"
)
_REMAINDER = re.compile(r"[ \t]*(?:[Rr]\.? ?[0-9]|[,;]? ?(?:and |with )?(?:an? )?rem(?:ainder\b|\.)"
                        r"|,? with [0-9]+ (?:left|remaining)\b)")  # fmt: skip
_FOLLOWING = re.compile(r"[ \t]*([A-Za-z]{2,})(?: ([A-Za-z]{3,}))?")
_SCALES = {"hundred", "thousand", "million", "billion", "dozen", "percent"}
_SCALE = re.compile(rf"(?<=[0-9])( ?(?:{'|'.join(_SCALES)})s?)\b(?!⟧)")


@dataclass(frozen=True)
class Equation:
    """`left = right` as written, the left side with an operation, and whether it is true."""

    left: str
    right: str
    true: bool


def equations(text: str) -> list[Equation]:
    """Every equation between numbers in a text, in order.

    Of a chain `a = b = c` each neighbouring pair is one. Where the right side has decimals, the left one is
    rounded to them (10 / 3 = 3.33 is true). Calculator marks (`<<3+4=7>>`), currency signs, thousands' commas
    and a unit that all numbers share do not count. What is no arithmetic is passed over.
    """
    if "=" not in text and "＝" not in text:
        return []
    text = _BULLET.sub("", plain(_CALCULATOR.sub("", text)))
    for words, signs in _SIGNS:
        text = words.sub(signs, text)
    text = _SCALE.sub(r"⟦\1⟧", _UNIT.sub(r"⟦\1⟧", text))
    return [
        equation
        for chain in _CHAIN.finditer(text)
        if "=" in chain[0]
        for equation in _of_chain(
            chain[0], text[max(0, chain.start() - 40) : chain.start()], text[chain.end() : chain.end() + 40]
        )
    ]


def _of_chain(chain: str, before: str, after: str) -> Iterator[Equation]:
    first, *sides = chain.split("=")
    *middle, last = sides
    read = [_first(first, before), *map(read_expression, middle), _last(last, after)]
    for number, (left, right) in enumerate(pairwise(read), 1):
        ends = after if number == len(sides) else ""
        if left is None or right is None or not left.operates or _units_differ(left, right, ends):
            continue
        true = left.equals(right, endless=ends.startswith(".."))
        unsure = ends.startswith("!") or (
            right.units & _SCALES and not left.units
        )  # 7! and 8 thousand are more
        if true is not None and (true or not unsure):
            yield Equation(left.text, right.text, true)


def _units_differ(left: Expression, right: Expression, after: str) -> bool:
    units = left.units | right.units
    following = _FOLLOWING.match(after) if left.units and not right.units else None
    if left.units & _SCALES and any(side.n_units < len(side.numbers) for side in (left, right)):
        return True
    if following and not re.fullmatch(_PROSE, following[1], re.IGNORECASE):
        said = {singular(following[1]), singular(f"{following[1]} {following[2]}")}
        return len(units) > 1 or not units & said
    return len(units) > 1


def _first(side: str, before: str) -> Expression | None:
    """The first side of a chain; None where it is torn from what stands before."""
    bare, prose = side.lstrip(" \t"), before.rstrip(" \t")
    glued, last = bare == side and prose == before, prose[-1:]
    number_before = last.isalnum() or last in tuple(")]%")
    if _BELONGS_TO.search(prose) or (glued and (last.isalnum() or re.search(r"[0-9][.,:']\Z", prose))):
        return None
    sign = re.match(r"[-+*/^)%]+(?=[0-9(]?)", bare)
    if sign and not number_before and re.fullmatch(r"\*+", sign[0]) and last != ".":  # bold
        bare = bare[sign.end() :]
    elif sign and not re.match("-[0-9(]", bare):
        return None
    if bare[:1] == "-" and number_before and (glued or not re.search("[A-Za-z]{2,}$", prose)):
        return None
    return read_expression(_after_bracket(bare))


def _after_bracket(side: str) -> str:
    """What follows a bracket of the prose, as in "She has 15 (10 + 5 = 15) apples"; else the side itself."""
    depth = 0
    for index in range(len(side) - 1, -1, -1):
        depth += (side[index] in ")]") - (side[index] in "([")
        if depth < 0:
            ahead = side[:index].strip("( ")
            prose = not ahead or (side[index - 1] == " " and ahead[-1] not in "+-*/^")
            prose = prose and "(" not in side[:index]
            return side[index + 1 :] if prose else ""
    return side


def _last(side: str, after: str) -> Expression | None:
    """The last side of a chain; None where it is torn from what stands behind."""
    bare = re.sub(r"[ \t]*\*+$", "", side.rstrip(" \t"))
    if re.match(r"[ \t]*[A-Za-z]{2,}", after):
        bare = re.sub(r"[ \t]-$", "", bare)  # a dash
    ended = _before_bracket(bare)
    rest = side[len(side.rstrip(" \t")) :] + after
    if (ended == bare and _GOES_ON.match(rest)) or _REMAINDER.match(rest):
        return None
    return read_expression(ended)


def _before_bracket(side: str) -> str:
    """What stands before the end or the beginning of a bracket of the prose; else the side itself."""
    depth, opened = 0, -1
    for index, sign in enumerate(side):
        depth += (sign in "([") - (sign in ")]")
        if depth < 0:
            return "" if re.search(r"[^\s*)\]]", side[index:]) else side[:index]
        if depth == 1 and sign in "([":
            opened = index
    prose = opened > 0 and side[opened - 1] == " " and side[opened - 2 : opened - 1].isalnum()
    return side[:opened].rstrip() if prose else side
