"""What can be read before a task: sums from a table, chains of rules, straight-line programs, or algebra.

Each stage is a formal language with exact answers that can be written without end, in numbers no larger than
the task's. Solutions end as those of word problems do ("The answer is 7."), so that no stage has the
advantage of a familiar ending.
"""

import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import product
from operator import add, floordiv, mul, sub
from string import ascii_lowercase
from typing import Literal

from workbench.corpora.arithmetic import OPERATIONS
from workbench.errors import UserError, choices

Split = Literal["train", "test"]
Fact = tuple[int, str, int, int]
"""Left operand, operation, right operand, result."""

_SIGNS = {"+": add, "-": sub, "*": mul, "/": floordiv}
_UNDONE = {"+": "-", "-": "+", "*": "/", "/": "*"}
_LEAST = 2  # number of an exercise: word problems speak of several of everything
_TEST_SHARE = 5  # one question in so many is kept for the test
_TRIES = 30  # for a question that is new
_FEWEST = 9  # the largest number may not be below: programs of two steps would run out of numbers
_LETTERS, _RULES = ascii_lowercase[:20], ("red", "blue", "green", "white")
_NAMES = "xyz"  # of a program's variables
_SMALL_STEP = 3  # the largest number that a line of a program adds, takes away, or multiplies or divides by
_BARE = 0.65  # share of the sums that are read as bare equations


@dataclass(frozen=True)
class Drill:
    """One exercise of a stage."""

    kind: (
        str  #: of sums the operation and the digits of its operands ("+ 1, 2"), else how many steps it takes
    )
    question: str
    solution: str  #: steps, then "The answer is N."; of a bare sum the number alone
    answer: str  #: a number, or a letter


def draw(stage: str, n: int, seed: int, *, largest: int = 12, split: Split = "train") -> list[Drill]:
    """n exercises of a stage. But of sums, no question of one split comes in the other.

    Sums are a table that can be known by heart: there is nothing beyond it, and the test asks all of it.

    Args:
        stage: "arithmetic", sums, differences, products and exact quotients, each fact as often as any
            other, as "So 3 + 4 =" or "What is 3 plus 4?", in the test always in the same of these forms;
            "rules", which letter a fixed book of rules makes of another, one rule or two in a row;
            "programs", assignments that go on from each other, and a print; "algebra", one equation.
        largest: number, in an exercise and as its answer.

    Raises:
        UserError: there is no such stage, or numbers are too small for it.
    """
    if stage not in STAGES:
        raise UserError(f"No one knows a first stage {stage!r}: {choices(stage, STAGES)}.")
    if largest < _FEWEST:
        raise UserError(f"Exercises need numbers up to {_FEWEST} or more, not {largest}.")
    rng = random.Random(f"{stage}/{seed}/{split}/{largest}")
    return _sums(n, rng, largest, split) if stage == "arithmetic" else _others(stage, n, rng, largest, split)


@cache
def facts(largest: int) -> tuple[Fact, ...]:
    """All sums, differences, products and exact quotients of numbers from 2 to `largest`; results from 1."""
    numbers = range(_LEAST, largest + 1)
    rows = [
        (left, sign, right, result(left, right))
        for left, right in product(numbers, repeat=2)
        for sign, result in _SIGNS.items()
        if sign != "/" or left % right == 0
    ]
    return tuple(row for row in rows if 1 <= row[3] <= largest)


# ------------------------------------------------------------------------------- sums
def _sums(n: int, rng: random.Random, largest: int, split: Split) -> list[Drill]:
    known = list(facts(largest))
    drawn: list[Drill] = []
    while len(drawn) < n:
        rng.shuffle(known)
        drawn += [_sum(fact, rng, split) for fact in known[: n - len(drawn)]]
    return drawn


def _sum(fact: Fact, rng: random.Random, split: Split) -> Drill:
    left, sign, right, result = fact
    equation = f"{left} {sign} {right} = {result}."
    bare = f"So {left} {sign} {right} ="  # no number begins a text, where tokens have no space in front
    worded = OPERATIONS[sign][1][-1].format(a=left, b=right)
    in_words = _digest(bare) % 2 == 0 if split == "test" else rng.random() >= _BARE
    question = worded if in_words else bare
    solution = f"{equation} The answer is {result}." if in_words else f"{result}."
    return Drill(f"{sign} {len(str(left))}, {len(str(right))}", question, solution, str(result))


# ------------------------------------------------------------------------------- rules, programs, algebra
def _others(stage: str, n: int, rng: random.Random, largest: int, split: Split) -> list[Drill]:
    drawn, seen, tries = [], set[str](), _TRIES
    for _ in range(n):
        for _ in range(tries):
            drill = _new(stage, rng, largest, split)
            if drill.question not in seen:
                break
        else:
            tries = 1  # there are hardly any others
        seen.add(drill.question)
        drawn.append(drill)
    return drawn


def _new(stage: str, rng: random.Random, largest: int, split: Split) -> Drill:
    while True:
        drill = _MAKERS[stage](rng, largest)
        if (_digest(drill.question) % _TEST_SHARE == 0) == (split == "test"):
            return drill


@cache
def rule_book() -> dict[tuple[str, str], str]:
    """What each rule makes of each letter: the one fixed world that "rules" speak of."""
    rng, letters = random.Random("rules"), list(_LETTERS)
    book = {}
    for rule in _RULES:
        made = rng.sample(letters, len(letters))
        book |= {(rule, letter): other for letter, other in zip(letters, made, strict=True)}
    return book


def _rules(rng: random.Random, largest: int) -> Drill:
    """ "From c: red, then blue?": one rule of the book or two, one after the other."""
    rules = [rng.choice(_RULES) for _ in range(rng.choice((1, 2)))]
    begin = at = rng.choice(_LETTERS)
    worked = []
    for rule in rules:
        worked.append(f"{at} {rule} {rule_book()[rule, at]}.")
        at = rule_book()[rule, at]
    return Drill(
        f"{len(rules)} step{'s' * (len(rules) > 1)}",
        f"From {begin}: {', then '.join(rules)}?",
        f"{' '.join(worked)} The answer is {at}.",
        rf"\text{{{at}}}",
    )


def _programs(rng: random.Random, largest: int) -> Drill:
    """ "x = 3; z = x + 2; y = z * 2; print(y)": one operation or two, by small numbers, line by line."""
    steps = rng.choice((1, 2))
    names = rng.sample(_NAMES, steps + 1)
    value = rng.choice(_chained(largest, steps))
    lines, worked = [f"{names[0]} = {value}"], []
    for number in range(1, steps + 1):
        open_to = set(_chained(largest, steps - number))
        steps_on = [fact for fact in _small_steps(largest) if fact[0] == value and fact[3] in open_to]
        left, sign, right, value = rng.choice(steps_on)
        lines.append(f"{names[number]} = {names[number - 1]} {_code(sign)} {right}")
        worked.append(f"{left} {sign} {right} = {value}.")
    asked = f"{'; '.join(lines)}; print({names[-1]})"
    solution = f"{' '.join(worked)} The answer is {value}."
    return Drill(f"{steps} step{'s' * (steps > 1)}", asked, solution, str(value))


@cache
def _small_steps(largest: int) -> tuple[Fact, ...]:
    """Facts that a program's lines are made of: what is learnt is to follow them, not the whole table."""
    return tuple(fact for fact in facts(largest) if fact[2] <= _SMALL_STEP)


@cache
def _chained(largest: int, steps: int) -> tuple[int, ...]:
    """Numbers from which so many small steps can be taken."""
    if steps == 0:
        return tuple(range(1, largest + 1))
    ends = set(_chained(largest, steps - 1))
    return tuple(dict.fromkeys(fact[0] for fact in _small_steps(largest) if fact[3] in ends))


def _code(sign: str) -> str:
    return "//" if sign == "/" else sign


def _algebra(rng: random.Random, largest: int) -> Drill:
    """ "x + 4 = 7, so x = ?": undone by the operation that goes the other way."""
    left, sign, right, result = rng.choice(facts(largest))
    name = rng.choice(ascii_lowercase)
    return Drill(
        "1 step",
        f"{name} {sign} {right} = {result}, so {name} = ?",
        f"{result} {_UNDONE[sign]} {right} = {left}. The answer is {left}.",
        str(left),
    )


_MAKERS: dict[str, Callable[[random.Random, int], Drill]] = {
    "rules": _rules,
    "programs": _programs,
    "algebra": _algebra,
}
STAGES = ("arithmetic", *_MAKERS)
"""What may come first."""


def _digest(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4])
