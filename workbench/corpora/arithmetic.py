"""Arithmetic exercises by stated cells (an operation and the digits of each operand), with exact answers.

Every operand is uniform among the numbers of its digits, so that short and long numbers come equally often.
An exercise belongs to the training or to the test split by a hash of its operation and operands: the same
sum never stands on both sides, in no wording and no order.
"""

import hashlib
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from operator import add, mul, sub, truediv
from typing import Literal

from workbench.corpora import long_arithmetic
from workbench.errors import UserError

Kind = Literal["whole", "decimal", "fraction", "percent"]
Split = Literal["train", "test"]
OPERATIONS: dict[str, tuple[Callable[[Fraction, Fraction], Fraction], tuple[str, ...]]] = {
    "+": (add, ("What do {a} and {b} make together?", "Add {b} to {a}.", "What is {a} plus {b}?")),
    "-": (sub, ("Take {b} away from {a}.", "How much more than {b} is {a}?", "What is {a} minus {b}?")),
    "*": (mul, ("How much is {a} times {b}?", "Multiply {a} by {b}.", "What are {a} lots of {b}?")),
    "/": (truediv, ("Split {a} into {b} equal parts.", "Divide {a} by {b}.", "What is {a} over {b}?")),
}
"""What each operation does, and its wordings."""
_MIXED = ("Work out {e}.", "What does {e} come to?")
_TEST_SHARE = 5  # one exercise in so many is kept for the test
_TRIES = 2000  # for numbers that fit a cell
_NEW_TRIES = 30  # for an exercise that has not come yet


@dataclass(frozen=True)
class Cell:
    """An operation ("+", "-", "*", "/", "mixed" for an expression of several) and each operand's digits."""

    operation: str
    digits: tuple[int, ...]


@dataclass(frozen=True)
class Exercise:
    """One exercise."""

    cell: Cell  #: what it was drawn for
    operands: tuple[Fraction, ...]  #: exact
    question: str  #: a bare expression with "= ?", or a sentence
    solution: str  #: equations, then "The answer is N."
    answer: Fraction  #: exact


@dataclass(frozen=True)
class _Unworded:
    """An exercise before it is worded; `key` is what the split looks at."""

    operands: tuple[Fraction, ...]
    expression: str
    equations: tuple[str, ...]
    answer: Fraction
    key: str


def grid(operations: Sequence[str], largest: int) -> list[Cell]:
    """The cells of two operands of 1 to `largest` digits each, but those that hold next to nothing.

    Left out are differences below zero, and quotients below one.
    """
    sizes = range(1, largest + 1)
    return [Cell(o, (a, b)) for o in operations for a in sizes for b in sizes if o in "+*" or a >= b]


def draw(
    cells: Sequence[Cell],
    n: int,
    seed: int,
    *,
    split: Split = "train",
    kind: Kind = "whole",
    steps: bool = False,
    worded: float = 0.5,
    negative: bool = False,
    largest: int | None = None,
) -> list[Exercise]:
    """n exercises of every cell, in random order; few come twice before their cell is used up.

    Args:
        split: no operands of one split come in the other.
        kind: of the operands. "decimal": so many digits around the point, one or two behind it. "fraction":
            so many digits above, 2 to 9 below. "percent": the first operand of a product is a percentage.
            Quotients of whole numbers are whole, all others exact.
        steps: write long additions, subtractions, multiplications and divisions digit by digit.
        worded: the share of questions that are sentences.
        negative: let results fall below zero.
        largest: bound of every operand and of the result.

    Raises:
        UserError: a cell that holds no such exercise, or settings that do not go together.
    """
    if steps and kind != "whole":
        raise UserError(
            "Only exercises of whole numbers are written in steps: set kind='whole' or steps=False."
        )
    drawn = []
    for cell in cells:
        _check(cell, kind)
        rng, seen, tries = random.Random(f"{seed}/{split}/{kind}/{cell}"), set(), _NEW_TRIES
        for _ in range(n):
            for _ in range(tries):
                unworded = _draw(cell, rng, split, kind, negative, largest)
                if unworded.operands not in seen:
                    break
            else:
                tries = 1  # the cell is as good as used up
            seen.add(unworded.operands)
            drawn.append(_worded(cell, unworded, rng, kind, steps, worded))
    random.Random(seed).shuffle(drawn)
    return drawn


def format_number(number: Fraction, kind: Kind = "whole") -> str:
    """A number as exercises write it: "7"; "2.5" where its decimals end; "7/3", as fractions always are."""
    if number.denominator == 1:
        return str(number.numerator)
    twos_and_fives = number.denominator
    for factor in (2, 5):
        while twos_and_fives % factor == 0:
            twos_and_fives //= factor
    if kind == "fraction" or twos_and_fives > 1:
        return str(number)
    places = next(k for k in range(1, 64) if 10**k % number.denominator == 0)
    whole, rest = divmod(abs(number.numerator) * 10**places // number.denominator, 10**places)
    return f"{'-' * (number < 0)}{whole}.{rest:0{places}}"


# ------------------------------------------------------------------------------- numbers
def _check(cell: Cell, kind: Kind) -> None:
    if cell.operation not in OPERATIONS and cell.operation != "mixed":
        raise UserError(
            f"There is no operation {cell.operation!r}: take one of {' '.join(OPERATIONS)} or mixed."
        )
    if any(digits < 1 for digits in cell.digits) or (len(cell.digits) != 2) != (cell.operation == "mixed"):
        raise UserError(f"{cell} needs two operands of 1 digit or more, a mixed expression three or more.")
    if kind == "percent" and cell.operation != "*":
        raise UserError("Percentages are exercises of multiplication: leave the other operations out.")


def _draw(
    cell: Cell, rng: random.Random, split: Split, kind: Kind, negative: bool, largest: int | None
) -> _Unworded:
    for _ in range(_TRIES):
        unworded = (_mixed if cell.operation == "mixed" else _single)(cell, rng, kind, largest)
        if unworded is None or (unworded.answer < 0 and not negative):
            continue
        if largest is not None and max(*unworded.operands, abs(unworded.answer)) > largest:
            continue
        digest = hashlib.sha256(unworded.key.encode()).digest()
        if (int.from_bytes(digest[:4]) % _TEST_SHARE == 0) == (split == "test"):
            return unworded
    raise UserError(
        f"No {split} exercise fits {cell} with kind={kind!r}: leave this cell out, or widen its bounds."
    )


def _single(cell: Cell, rng: random.Random, kind: Kind, largest: int | None) -> _Unworded | None:
    left, right = (_number(digits, rng, kind, largest) for digits in cell.digits)
    if kind == "percent":
        left, right = left / 100, _number(cell.digits[1], rng, "whole", largest)
    if cell.operation == "/" and right == 0:
        return None
    if cell.operation == "/" and kind == "whole":
        low, high = _range(cell.digits[0], largest)
        least, most = max(1, -(-low // int(right))), high // int(right)
        if least > most:
            return None
        left = right * rng.randint(least, most)
    answer = OPERATIONS[cell.operation][0](left, right)
    ordered = sorted((left, right)) if cell.operation in "+*" else (left, right)
    key = f"{cell.operation} {ordered[0]} {ordered[1]}"
    if kind == "percent":
        expression = f"{format_number(right)} * {format_number(left * 100)} / 100"
    else:
        expression = f"{_term(left, kind)} {cell.operation} {_term(right, kind)}"
    equation = f"{expression} = {format_number(answer, kind)}."
    return _Unworded((left, right), expression, (equation,), answer, key)


def _mixed(cell: Cell, rng: random.Random, kind: Kind, largest: int | None) -> _Unworded | None:
    """Operands joined pair by pair in random order; whole numbers stay whole, no part falls below zero."""
    operands = tuple(_number(digits, rng, kind, largest) for digits in cell.digits)
    parts = [(number, _term(number, kind), 3) for number in operands]  # value, text, how tightly it binds
    equations = []
    while len(parts) > 1:
        at, sign = rng.randrange(len(parts) - 1), rng.choice(list(OPERATIONS))
        (left, before, tight), (right, after, other) = parts[at], parts[at + 1]
        if sign == "/" and right == 0:
            return None
        value = OPERATIONS[sign][0](left, right)
        if (kind == "whole" and value.denominator > 1) or value < 0:
            return None
        equations.append(f"{_term(left, kind)} {sign} {_term(right, kind)} = {format_number(value, kind)}.")
        binds = 1 if sign in "+-" else 2
        before = before if tight >= binds else f"({before})"
        after = after if other > binds or (other == binds and sign in "+*" and tight == 3) else f"({after})"
        parts[at : at + 2] = [(value, f"{before} {sign} {after}", binds)]
    answer, expression, _ = parts[0]
    return _Unworded(operands, expression, tuple(equations), answer, expression)


def _number(digits: int, rng: random.Random, kind: Kind, largest: int | None) -> Fraction:
    number = Fraction(rng.randint(*_range(digits, largest if kind == "whole" else None)))
    if kind == "decimal":
        return number / 10 ** rng.randint(1, 2)
    return number / rng.randint(2, 9) if kind == "fraction" else number


def _range(digits: int, largest: int | None) -> tuple[int, int]:
    low, high = (10 ** (digits - 1) if digits > 1 else 0), 10**digits - 1
    return low, high if largest is None else max(low, min(high, largest))  # too large ones are drawn again


def _term(number: Fraction, kind: Kind) -> str:
    text = format_number(number, kind)
    return f"({text})" if "/" in text else text


# ------------------------------------------------------------------------------- words
def _worded(
    cell: Cell, unworded: _Unworded, rng: random.Random, kind: Kind, steps: bool, worded: float
) -> Exercise:
    equations = unworded.equations
    if steps and cell.operation != "mixed":
        left, right = map(int, unworded.operands)
        equations = (*long_arithmetic.steps(cell.operation, left, right), *equations)
    question = f"{unworded.expression} = ?"
    if cell.operation == "mixed":
        question = rng.choice(_MIXED).format(e=unworded.expression) if rng.random() < worded else question
    elif kind == "percent":
        share, whole = unworded.operands
        question = f"What is {format_number(share * 100)}% of {format_number(whole)}?"
    elif rng.random() < worded:
        a, b = (format_number(number, kind) for number in unworded.operands)
        question = rng.choice(OPERATIONS[cell.operation][1]).format(a=a, b=b)
    solution = " ".join([*equations, f"The answer is {format_number(unworded.answer, kind)}."])
    return Exercise(cell, unworded.operands, question, solution, unworded.answer)
