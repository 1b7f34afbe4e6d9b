"""A written solution in two parts: its plan (which operations, on which numbers), and what it works out.

Whoever plans well and calculates badly writes "3 + 4 = 8. 8 * 2 = 16.": its plan (3 + 4, and twice that) is
right, and one of its equations is false. Only the second of these can be mended by knowing sums.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from workbench.measures.answers.equations import equations

_NUMBER = r"-?[0-9]+(?:,[0-9]{3})*(?:\.[0-9]+)?"
_OPERATION = re.compile(rf"\s*({_NUMBER})\s*([-+*/])\s*({_NUMBER})\s*")
_EITHER_WAY = "+*"  # operations whose operands may change places


@dataclass(frozen=True)
class Step:
    """`left operation right = result`, as written."""

    left: Fraction
    operation: str
    right: Fraction
    result: Fraction
    true: bool


def steps(text: str) -> list[Step] | None:
    """The equations of a solution as steps; None where one is no single operation on two numbers."""
    read = []
    for equation in equations(text):
        left, right = _OPERATION.fullmatch(equation.left), re.fullmatch(_NUMBER, equation.right.strip())
        if left is None or right is None:
            return None
        first, last, result = (Fraction(one.replace(",", "")) for one in (left[1], left[3], right[0]))
        read.append(Step(first, left[2], last, result, equation.true))
    return read


def same_plan(question: str, solution: str, reply: str) -> bool | None:
    """Whether a reply plans as the solution does: the same operations in order, each on the same numbers.

    What a step takes from an earlier one is what the reply itself has written there, right or wrong.

    Args:
        question: whose numbers a step may take.
        solution: a right one. A problem that can be solved in other ways counts these as wrong.
        reply: what is judged.

    Returns:
        None where the solution is not told in steps of two numbers.
    """
    right = steps(solution)
    if not right:
        return None
    own = steps(reply)
    if own is None or len(own) != len(right):
        return False
    told = {Fraction(number.replace(",", "")) for number in re.findall(_NUMBER, question)}
    return all(_same(right, own, at, told) for at in range(len(right)))


def _same(right: Sequence[Step], own: Sequence[Step], at: int, told: set[Fraction]) -> bool:
    gold, step = right[at], own[at]
    first, last = (set(_allowed(value, right[:at], own, told)) for value in (gold.left, gold.right))
    as_told = step.left in first and step.right in last
    turned = gold.operation in _EITHER_WAY and step.left in last and step.right in first
    return step.operation == gold.operation and (as_told or turned)


def _allowed(
    value: Fraction, before: Sequence[Step], own: Sequence[Step], told: set[Fraction]
) -> Iterator[Fraction]:
    """The numbers that stand for an operand of the right solution: told, or the reply's earlier results."""
    earlier = [mine.result for gold, mine in zip(before, own, strict=False) if gold.result == value]
    yield from earlier
    if value in told or not earlier:
        yield value
