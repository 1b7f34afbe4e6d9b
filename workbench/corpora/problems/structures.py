"""What a problem computes: a structure is a row of relations, and each relation adds one or two operations.

A structure is named by its relations in the order they are told, "groups-lose-fill"; the opening "has" goes
without saying ("gain-lose": somebody has some, gets some, loses some).
"""

import random
from dataclasses import dataclass
from operator import add, floordiv, mul, sub

_OPENINGS = ("groups", "rate")
_RESULTS = {"+": add, "-": sub, "*": mul, "/": floordiv}
_SMALL = 12  # a count of bags, friends, days, times: more would not be natural
_ADDED = {"gain": "+", "lose": "-", "share": "/", "fill": "/", "earn": "*"}
_COMPARED = {"more": "+", "fewer": "-", "times": "*"}
COMPARISONS = (*_COMPARED, "other", "gap")  # these speak of the owner before, and of another
NEW_OWNER = ("has", *_OPENINGS, *_COMPARED, "other")


class DeadEnd(Exception):
    """The numbers so far leave none for the next operation."""


@dataclass(frozen=True)
class Move:
    """One operation. An operand is a number of the text (its index), or the result of move i (~i).

    `named` says what the result is: the owner's own amount, a part "added" to it, or the amount "together".
    `few` is the operand of a product (0 or 1) that counts groups.
    """

    relation: str
    owner: int
    operation: str
    operands: tuple[int, int]
    named: str = "own"
    few: int = 1


def relations(structure: str) -> list[str]:
    """The relations of a structure, its opening first."""
    parts = structure.split("-")
    return parts if parts[0] in _OPENINGS else ["has", *parts]


def count_numbers(relation: str) -> int:
    """How many numbers the relation's sentence holds."""
    return {"groups": 2, "rate": 2, "packs": 2, "total": 0, "gap": 0}.get(relation, 1)


def plan(structure: str) -> list[Move]:
    """The operations of a structure, in order."""
    moves: list[Move] = []
    amounts: list[int] = []  # of each owner, as an operand
    n = 0

    def move(relation: str, operation: str, left: int, right: int, named: str = "own", few: int = 1) -> int:
        moves.append(Move(relation, len(amounts) - 1, operation, (left, right), named, few))
        return ~(len(moves) - 1)

    for relation in relations(structure):
        if relation in ("has", "other"):
            amounts.append(n)
        elif relation in _OPENINGS:
            amounts.append(n)
            amounts[-1] = move(relation, "*", n, n + 1, few=_OPENINGS.index(relation))
        elif relation in _ADDED:
            amounts[-1] = move(relation, _ADDED[relation], amounts[-1], n)
        elif relation in _COMPARED:
            amounts.append(n)
            amounts[-1] = move(relation, _COMPARED[relation], amounts[-2], n)
        elif relation == "packs":
            part = move(relation, "*", n, n + 1, "added", few=0)
            amounts[-1] = move(relation, "+", amounts[-1], part)
        elif relation == "goal":
            amounts[-1] = move(relation, "-", n, amounts[-1])
        elif relation == "gap":
            amounts[-1] = move(relation, "-", amounts[-2], amounts[-1])
        elif relation == "total":
            for owner in range(1, len(amounts)):
                amounts[0] = move(relation, "+", amounts[0], amounts[owner], "together")
            amounts[:] = amounts[:1]
        n += count_numbers(relation)
    return moves


def work(moves: list[Move], numbers: list[int]) -> list[tuple[int, int, int]]:
    """(left, right, result) of every move, for exact divisions."""
    done: list[tuple[int, int, int]] = []
    for move in moves:
        left, right = (numbers[i] if i >= 0 else done[~i][2] for i in move.operands)
        done.append((left, right, _RESULTS[move.operation](left, right)))
    return done


def choose(moves: list[Move], rng: random.Random, largest: int) -> list[int]:
    """Numbers with which every division is exact and every result at most `largest`.

    Numbers and results between are at least 2, so that the plural is always right; the answer at least 1.

    Raises:
        DeadEnd: an early number left none for a later operation; try again.
    """
    numbers: dict[int, int] = {}
    results: list[int] = []
    for move in moves:
        known = [numbers.get(i) if i >= 0 else results[~i] for i in move.operands]
        left, right = _pair(move, known[0], known[1], rng, largest)
        numbers.update((i, value) for i, value in zip(move.operands, (left, right), strict=True) if i >= 0)
        results.append(_RESULTS[move.operation](left, right))
        if not (1 if move is moves[-1] else 2) <= results[-1] <= largest:
            raise DeadEnd
    return [numbers[i] for i in range(len(numbers))]


def _pair(
    move: Move, left: int | None, right: int | None, rng: random.Random, largest: int
) -> tuple[int, int]:
    """Both operands, those that are not known yet drawn so that the result fits.

    Where both are free the result is drawn first: else sums would be large and differences small.
    """
    if move.operation == "*":
        few, many = (left, right) if move.few == 0 else (right, left)
        few = few or _between(rng, 2, min(_SMALL, largest // (many or 2)))
        many = many or _between(rng, 2, largest // few)
        return (few, many) if move.few == 0 else (many, few)
    if left is None and right is None:
        return _free_pair(move.operation, rng, largest)
    if move.operation == "+":
        left = left or _between(rng, 2, largest - (right or 0))
        return left, right or _between(rng, 2, largest - left)
    if move.operation == "-":
        left = left or _between(rng, (right or 0) + 1, largest)
        return left, right or _between(rng, 2, left - 1)
    assert left is not None  # a divisor is never known before its dividend
    exact = [divisor for divisor in range(2, _SMALL + 1) if left % divisor == 0 and left > divisor]
    if not exact:
        raise DeadEnd
    return left, rng.choice(exact)


def _free_pair(operation: str, rng: random.Random, largest: int) -> tuple[int, int]:
    if operation == "+":
        result = _between(rng, 4, largest)
        left = _between(rng, 2, result - 2)
        return left, result - left
    if operation == "-":
        result = _between(rng, 1, largest - 2)
        right = _between(rng, 2, largest - result)
        return result + right, right
    result = _between(rng, 2, largest // 2)
    right = _between(rng, 2, min(_SMALL, largest // result))
    return result * right, right


def _between(rng: random.Random, low: int, high: int) -> int:
    if high < low:
        raise DeadEnd
    return low + int(rng.random() * (high - low + 1))
