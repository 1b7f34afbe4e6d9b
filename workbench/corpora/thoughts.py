"""Sums to think about: chains of operations modulo 10, with or without their steps written down.

"3 +4 *7 _ _ _ = <t> 7 9 </t> 9 ." asks for (3 + 4) * 7: the start, an operation in each slot ("_" where
there is none), "=", and the answer, with a thought between "<t>" and "</t>" before it or without. A useful
thought holds the value after each operation, an idle one the operations in another order.

A second kind of question has many right answers: "make 9 3 = +4 7 *7 ." goes from 3 to 9 by two operations,
with the value between them.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

MODULUS = 10
# All of them can be undone, so that no value says less than the one before it.
OPERATIONS = (*(f"+{operand}" for operand in range(1, MODULUS)), "*3", "*7", "*9")
OPENING, CLOSING, EMPTY, END = " <t>", " </t>", "_", " ."
VOCABULARY = (*map(str, range(MODULUS)), *OPERATIONS, EMPTY, "make", "=", "<t>", "</t>", ".")


def apply(value: int, operation: str) -> int:
    """The value after an operation such as `+4` or `*7`, modulo 10."""
    operand = int(operation[1:])
    return (value + operand if operation[0] == "+" else value * operand) % MODULUS


@dataclass(frozen=True)
class Chain:
    """A start, and the operations to carry out on it in order, written in so many slots."""

    start: int
    operations: tuple[str, ...]
    slots: int

    @property
    def values(self) -> tuple[int, ...]:
        """The value after each operation."""
        return tuple(accumulate(self.operations, apply, initial=self.start))[1:]

    @property
    def question(self) -> str:
        """The text up to and with "="."""
        padded = (*self.operations, *[EMPTY] * (self.slots - len(self.operations)))
        return " ".join([str(self.start), *padded, "="])

    @property
    def answer(self) -> str:
        """The text after "=" that gives the answer at once."""
        return f" {self.values[-1]}{END}"

    @property
    def thought(self) -> str:
        """The useful thought, as it stands between "<t>" and "</t>"."""
        return "".join(f" {value}" for value in self.values)

    def right(self, reply: str) -> bool:
        """Whether a reply to the question, thought or not, ends with the answer."""
        words = reply.removesuffix(END).split()
        return bool(words) and words[-1] == str(self.values[-1])


@dataclass(frozen=True)
class Aim:
    """A start and a goal that two operations shall lead to."""

    start: int
    goal: int

    @property
    def question(self) -> str:
        """The text up to and with "="."""
        return f"make {self.goal} {self.start} ="

    def right(self, reply: str) -> bool:
        """Whether a reply names two operations that lead to the goal, and the value between them."""
        words = reply.removesuffix(END).split()
        if len(words) != 3 or not {words[0], words[2]} <= set(OPERATIONS):
            return False
        between = apply(self.start, words[0])
        return words[1] == str(between) and apply(between, words[2]) == self.goal


def parse_question(question: str) -> Chain | None:
    """The chain that a question is about; None if it is about something else."""
    match = re.fullmatch(r"(\d)((?: [+*]\d)+)((?: _)*) =", question)
    if not match:
        return None
    operations = tuple(match[2].split())
    return Chain(int(match[1]), operations, len(operations) + len(match[3]) // 2)


def draw(n: int, lengths: Sequence[int], slots: int, rng: np.random.Generator) -> list[Chain]:
    """`n` random chains, each of one of the lengths."""
    return [
        Chain(int(rng.integers(MODULUS)), tuple(rng.choice(OPERATIONS, rng.choice(lengths)).tolist()), slots)
        for _ in range(n)
    ]


def all_aims() -> list[Aim]:
    """Every start with every goal."""
    return [Aim(start, goal) for start in range(MODULUS) for goal in range(MODULUS)]


def worked_document(chain: Chain) -> str:
    """The document that thinks usefully and answers."""
    return _document(chain, chain.values)


def raw_document(chain: Chain, useful: float, noise: float, rng: np.random.Generator) -> str:
    """A document as it comes, unfiltered: half answer at once, the others after a thought.

    Args:
        useful: share of the thoughts that hold the values; the others are idle.
        noise: share of those values that are replaced by random ones, the last step being the answer.
    """
    if rng.random() < 0.5:
        return chain.question + chain.answer
    if rng.random() >= useful:
        return _document(chain, rng.permutation(chain.operations))
    values = [int(rng.integers(MODULUS)) if rng.random() < noise else value for value in chain.values]
    return _document(chain, values)


def _document(chain: Chain, thought: Iterable[object]) -> str:
    words = "".join(f" {word}" for word in thought)
    return f"{chain.question}{OPENING}{words}{CLOSING}{chain.answer}"


def aim_document(rng: np.random.Generator) -> str:
    """A document of the second kind: two random operations."""
    start, (first, second) = int(rng.integers(MODULUS)), rng.choice(OPERATIONS, 2)
    between = apply(start, first)
    return f"{Aim(start, apply(between, second)).question} {first} {between} {second}{END}"
