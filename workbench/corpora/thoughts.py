"""Sums to think about: chains of operations modulo 10, with or without their steps written down.

"3 +4 *7 _ _ _ = <t> 7 9 </t> 9 ." asks for (3 + 4) * 7: the start, an operation in each slot ("_" where
there is none), "=", and the answer, with a thought between "<t>" and "</t>" before it or without. A useful
thought holds the value after each operation, an idle one the operations in another order.

A second kind asks for what the text has said before: "ann hats = <t> red </t> 4 ." says that there are four
hats in Ann's house, and the thought that it is the red one. Whoever has read it often knows it at once.

A third kind has many right answers: "who hats 4 = ann ." names somebody in whose house there are four hats.
"""

import re
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate

import numpy as np

MODULUS = 10
# All of them can be undone, so that no value says less than the one before it.
OPERATIONS = (*(f"+{operand}" for operand in range(1, MODULUS)), "*3", "*7", "*9")
OPENING, CLOSING, EMPTY, END = " <t>", " </t>", "_", " ."
DIGITS = tuple(map(str, range(MODULUS)))
NAMES = (
    "ann", "ben", "cat", "dan", "eve", "fay", "gus", "hal", "ida", "jim", "kay", "leo", "mia", "ned",
    "ora", "pam", "quin", "ray", "sue", "tom", "una", "val", "wes", "zoe", "abe", "bea", "cy", "dot",
    "eli", "flo", "gil", "hope",
)  # fmt: skip
HOUSES = ("red", "blue", "green", "white")
THINGS = ("hats", "cups", "keys", "pens", "toys", "maps", "pots", "rugs")
MARKS = (EMPTY, "who", "=", "<t>", "</t>", ".")
VOCABULARY = (*DIGITS, *OPERATIONS, *NAMES, *HOUSES, *THINGS, *MARKS)
_HELD_OUT = 10  # one chain in so many is only asked


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
    def steps(self) -> tuple[str, ...]:
        """The words of the useful thought: the value after each operation."""
        return tuple(map(str, self.values))

    @property
    def idle(self) -> tuple[str, ...]:
        """The words of an idle thought, in any order."""
        return self.operations

    @property
    def held_out(self) -> bool:
        """Whether the chain is only asked, never learnt from: one in ten of every length."""
        return zlib.crc32(self.question.replace(f" {EMPTY}", "").encode()) % _HELD_OUT == 0

    @property
    def question(self) -> str:
        """The text up to and with "="."""
        padded = (*self.operations, *[EMPTY] * (self.slots - len(self.operations)))
        return " ".join([str(self.start), *padded, "="])

    @property
    def answer(self) -> str:
        """The text after "=" that gives the answer at once."""
        return f" {self.values[-1]}{END}"

    def right(self, reply: str) -> bool:
        """Whether a reply to the question, thought or not, ends with the answer."""
        return _last_word(reply) == self.steps[-1]


@dataclass(frozen=True)
class Count:
    """How many of a thing there are in somebody's house; the text says it again and again."""

    name: str
    thing: str

    @property
    def house(self) -> str:
        """Where the name lives."""
        return _home(self.name)

    @property
    def steps(self) -> tuple[str, ...]:
        """The word of the useful thought: the house."""
        return (self.house,)

    @property
    def idle(self) -> tuple[str, ...]:
        """The words of an idle thought, in any order."""
        return (self.thing, self.name)

    @property
    def question(self) -> str:
        """The text up to and with "="."""
        return f"{self.name} {self.thing} ="

    @property
    def answer(self) -> str:
        """The text after "=" that gives the answer at once."""
        return f" {_number(self.house, self.thing)}{END}"

    def right(self, reply: str) -> bool:
        """Whether a reply to the question, thought or not, ends with the answer."""
        return _last_word(reply) == _number(self.house, self.thing)


def _last_word(reply: str) -> str:
    return (reply.removesuffix(END).split() or [""])[-1]


@cache
def _home(name: str) -> str:
    """The house of a name, always the same; as many names live in each."""
    shuffled = np.random.default_rng(4).permutation(len(NAMES))
    return HOUSES[int(shuffled[NAMES.index(name)]) % len(HOUSES)]


@cache
def _number(house: str, thing: str) -> str:
    """How many of a thing a house holds, always the same."""
    table = np.random.default_rng(5).integers(MODULUS, size=(len(HOUSES), len(THINGS)))
    return str(table[HOUSES.index(house), THINGS.index(thing)])


@dataclass(frozen=True)
class Who:
    """Who lives where there are so many of a thing: all names of a house, or of several."""

    thing: str
    number: str

    @property
    def question(self) -> str:
        """The text up to and with "="."""
        return f"who {self.thing} {self.number} ="

    @property
    def names(self) -> tuple[str, ...]:
        """All right answers."""
        return tuple(name for name in NAMES if _number(_home(name), self.thing) == self.number)

    def right(self, reply: str) -> bool:
        """Whether a reply is one of the names, and no more."""
        return reply.removesuffix(END).strip() in self.names


def parse_question(question: str) -> Chain | Count | None:
    """The chain or the count that a question is about; None if it is about something else."""
    match question.split():
        case [name, thing, "="] if name in NAMES and thing in THINGS:
            return Count(name, thing)
    match = re.fullmatch(r"(\d)((?: [+*]\d)+)((?: _)*) =", question)
    if not match:
        return None
    operations = tuple(match[2].split())
    return Chain(int(match[1]), operations, len(operations) + len(match[3]) // 2)


def draw(
    n: int, lengths: Sequence[int], slots: int, rng: np.random.Generator, held_out: bool = False
) -> list[Chain]:
    """`n` random chains, each of one of the lengths: of those to learn from, or of those only asked."""
    chains: list[Chain] = []
    while len(chains) < n:
        operations = tuple(rng.choice(OPERATIONS, rng.choice(lengths)).tolist())
        chain = Chain(int(rng.integers(MODULUS)), operations, slots)
        if chain.held_out == held_out:
            chains.append(chain)
    return chains


def all_counts() -> list[Count]:
    """Every name with every thing."""
    return [Count(name, thing) for name in NAMES for thing in THINGS]


@cache
def all_who() -> list[Who]:
    """Every thing with every number of it that a house holds."""
    numbers = {thing: {_number(house, thing) for house in HOUSES} for thing in THINGS}
    return [Who(thing, number) for thing in THINGS for number in sorted(numbers[thing])]


def worked_document(item: Chain | Count) -> str:
    """The document that thinks usefully and answers."""
    return _document(item, item.steps)


def raw_document(item: Chain | Count, useful: float, noise: float, rng: np.random.Generator) -> str:
    """A document as it comes, unfiltered: half answer at once, the others after a thought.

    Args:
        useful: share of the thoughts that hold the steps; the others are idle.
        noise: share of those steps that are replaced by random ones, the last of a chain being the answer.
    """
    if rng.random() < 0.5:
        return item.question + item.answer
    if rng.random() >= useful:
        return _document(item, rng.permutation(item.idle))
    words = DIGITS if isinstance(item, Chain) else HOUSES
    steps = [words[int(rng.integers(len(words)))] if rng.random() < noise else step for step in item.steps]
    return _document(item, steps)


def _document(item: Chain | Count, thought: Iterable[str]) -> str:
    words = "".join(f" {word}" for word in thought)
    return f"{item.question}{OPENING}{words}{CLOSING}{item.answer}"


def who_document(rng: np.random.Generator) -> str:
    """A document of the third kind: one of the right names."""
    item = all_who()[int(rng.integers(len(all_who())))]
    return f"{item.question} {rng.choice(item.names)}{END}"
