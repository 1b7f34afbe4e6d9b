"""A problem with a solution to train on, and what is judged before it becomes one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

Pair = tuple[str, str]
"""What a model reads: a question, and the worked answer that follows it."""


@dataclass(frozen=True)
class Item:
    """A problem with a solution to train on."""

    id: str  #: no other item of the pool has it
    problem: str  #: the text of the question
    solution: str  #: worked, ends with the answer
    answer: str  #: as the task reads it
    source: str  #: the problem's structure, `given`, or `sampler`
    round: int  #: in which it came to the pool; 0 for what was there before
    wording: int = -1  #: number of the way it is put, where a grammar put it

    @property
    def pair(self) -> Pair:
        """What a model reads: prompt and completion."""
        return self.problem, " " + self.solution

    @property
    def text(self) -> str:
        """Problem and solution, a line each."""
        return f"{self.problem}\n{self.solution}"


@dataclass(frozen=True)
class Candidate:
    """A problem that a generator wrote, and its attempts to solve it."""

    problem: str  #: its text; where it could not be read, all that was written
    source: str  #: its structure, or `sampler`
    solutions: tuple[str, ...] = ()  #: one for each attempt
    answers: tuple[str | None, ...] = ()  #: theirs; None where a solution gives none
    readable: bool = True  #: whether a problem was found in what was written, short enough to be asked
    wording: int = -1  #: as of an `Item`


Generate = Callable[[Sequence[Item], int, int], list[Candidate]]
"""(examples, number of candidates, seed) → candidates, at most so many."""
