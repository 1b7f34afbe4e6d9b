"""What can be read before a task: sums from a table, chains of rules, straight-line programs, or algebra.

Each stage is a formal language with exact answers that can be written without end, in numbers no larger than
the task's. Solutions end as those of word problems do ("The answer is 7."), so that no stage has the
advantage of a familiar ending.
"""

import difflib
import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import pairwise, product
from operator import add, floordiv, mul, sub
from string import ascii_lowercase
from typing import Literal

from workbench.corpora.arithmetic import OPERATIONS
from workbench.errors import UserError

Split = Literal["train", "test"]
Fact = tuple[int, str, int, int]
"""Left operand, operation, right operand, result."""

_SIGNS = {"+": add, "-": sub, "*": mul, "/": floordiv}
_UNDONE = {"+": "-", "-": "+", "*": "/", "/": "*"}
_LEAST = 2  # number of an exercise: word problems speak of several of everything
_TEST_SHARE = 5  # one question in so many is kept for the test
_TRIES = 30  # for a question that is new
_FEWEST = 9  # the largest number may not be below: programs of two steps would run out of numbers
_BARE = 0.5  # share of the sums that are read as bare equations


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
            other ("So 3 + 4 =", "Add 4 to 3." …), and in the test in one form that is always the same;
            "rules", which letter follows from which, told out of order; "programs", a few assignments and a
            print; "algebra", one equation.
        largest: number, in an exercise and as its answer.

    Raises:
        UserError: there is no such stage, or numbers are too small for it.
    """
    if stage not in STAGES:
        (near,) = difflib.get_close_matches(stage, STAGES, n=1, cutoff=0)
        raise UserError(
            f"No one knows a first stage {stage!r}: did you mean {near!r}? There are {', '.join(STAGES)}."
        )
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
    worded = [wording.format(a=left, b=right) for wording in OPERATIONS[sign][1]]
    if split == "test":
        question = [bare, *worded][_digest(bare) % (1 + len(worded))]
    else:
        question = bare if rng.random() < _BARE else rng.choice(worded)
    solution = f"{result}." if question == bare else f"{equation} The answer is {result}."
    return Drill(f"{sign} {len(str(left))}, {len(str(right))}", question, solution, str(result))


# ------------------------------------------------------------------------------- rules, programs, algebra
def _others(stage: str, n: int, rng: random.Random, largest: int, split: Split) -> list[Drill]:
    drawn, seen = [], set[str]()
    for _ in range(n):
        drill = _new(stage, rng, largest, split)
        for _ in range(_TRIES):
            if drill.question not in seen:
                break
            drill = _new(stage, rng, largest, split)
        seen.add(drill.question)
        drawn.append(drill)
    return drawn


def _new(stage: str, rng: random.Random, largest: int, split: Split) -> Drill:
    while True:
        drill = _MAKERS[stage](rng, largest)
        if (_digest(drill.question) % _TEST_SHARE == 0) == (split == "test"):
            return drill


def _rules(rng: random.Random, largest: int) -> Drill:
    """ "If c then d. If a then b. If b then c. What follows from a?", and one more rule that leads away."""
    steps = rng.choice((2, 3))
    letters = rng.sample(ascii_lowercase, steps + 3)
    chain = list(pairwise(letters[: steps + 1]))
    rules = rng.sample([*chain, tuple(letters[-2:])], steps + 1)
    told = " ".join(f"If {first} then {then}." for first, then in rules)
    followed = " ".join(f"{first} so {then}." for first, then in chain)
    end = letters[steps]
    return Drill(
        f"{steps} steps",
        f"{told} What follows from {letters[0]}?",
        f"{followed} The answer is {end}.",
        rf"\text{{{end}}}",
    )


def _programs(rng: random.Random, largest: int) -> Drill:
    """ "x = 3; y = 4; z = x * y; print(z)": its lines in order, a number that is not needed among them."""
    steps = rng.choice((1, 2))
    names = rng.sample(ascii_lowercase, steps + 3)
    first = rng.choice(facts(largest) if steps == 1 else _continued(largest))
    left, sign, right, result = first
    lines = [f"{names[0]} = {left}", f"{names[1]} = {rng.randint(_LEAST, largest)}"]
    rng.shuffle(lines)
    lines.append(f"{names[2]} = {names[0]} {_code(sign)} {right}")
    worked = [f"{left} {sign} {right} = {result}."]
    if steps == 2:
        _, sign, right, last = rng.choice([fact for fact in facts(largest) if fact[0] == result])
        lines.append(f"{names[3]} = {names[2]} {_code(sign)} {right}")
        worked.append(f"{result} {sign} {right} = {last}.")
        result = last
    asked = f"{'; '.join(lines)}; print({names[steps + 1]})"
    solution = f"{' '.join(worked)} The answer is {result}."
    return Drill(f"{steps} step{'s' * (steps > 1)}", asked, solution, str(result))


@cache
def _continued(largest: int) -> tuple[Fact, ...]:
    """Facts whose result another one begins with."""
    begun = {fact[0] for fact in facts(largest)}
    return tuple(fact for fact in facts(largest) if fact[3] in begun)


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
