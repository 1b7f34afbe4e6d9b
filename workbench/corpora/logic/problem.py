"""A problem of the house with its worked solutions."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from workbench.corpora.logic.world import follow, step
from workbench.corpora.problems.problem import Strategy


@dataclass(frozen=True)
class LogicProblem:
    """A question, its answer and the moves that lead there."""

    id: str  #: the rule set and a digest of the question: equal if and only if the questions are equal
    question: str  #: one sentence, or one for each rule before it
    answer: str  #: a name
    template: str  #: the rule set, "relational/right+above+behind"
    start: str  #: the name that the question gives
    moves: tuple[str, ...]  #: relations, in the order in which the question's words are unfolded
    wording: int  #: below `N_WORDINGS`

    @property
    def gold(self) -> str:
        """The answer as `measures.answers.grading` reads words."""
        return rf"\text{{{self.answer}}}"

    def paths(self) -> list[tuple[str, ...]]:
        """Every order of the moves, the question's own first; all lead to the answer."""
        return [self.moves, *(path for path in _orders(self.moves) if path != self.moves)]

    def rationale(self, strategy: Strategy = "cot", path: Sequence[str] | None = None) -> str:
        """The worked solution along one path.

        Args:
            strategy: "cot" gives the rule steps, "Right of Ann is Bob.", and "The answer is Bob."; "l2m" a
                proof search, which says before each step what is left of the goal; "pot" Python lines that
                call `PRELUDE`'s functions and leave the result in `ans`.
            path: one of `paths()` (default: the question's own).

        Raises:
            ValueError: another strategy, or a path that is not valid.
        """
        path = self.moves if path is None else tuple(path)
        if sorted(path) != sorted(self.moves):
            raise ValueError(f"{'+'.join(path)} is no order of {'+'.join(self.moves)}")
        if strategy == "pot":
            return _program(self.start, path)
        if strategy not in ("cot", "l2m"):
            raise ValueError(f"the strategy must be cot, l2m or pot, not {strategy!r}")
        people = [self.start]
        for move in path:
            people.append(follow(people[-1], move) or "")
        parts = []
        for at, (move, (person, result)) in enumerate(zip(path, pairwise(people), strict=True)):
            if strategy == "l2m":
                parts.append(f"Goal: {' '.join(path[at:])} from {person}.")
            parts.append(step(person, move, result))
        return " ".join([*parts, f"The answer is {people[-1]}."])


def _orders(moves: Sequence[str]) -> list[tuple[str, ...]]:
    """Every different order, sorted."""
    if not moves:
        return [()]
    firsts = sorted(set(moves))
    rests = {first: [*moves[: moves.index(first)], *moves[moves.index(first) + 1 :]] for first in firsts}
    return [(first, *rest) for first in firsts for rest in _orders(rests[first])]


def _program(start: str, path: Sequence[str]) -> str:
    lines = []
    for at, move in enumerate(path):
        name = "ans" if at == len(path) - 1 else "p"
        lines.append(f"{name} = {move}({'p' if at else repr(start)})")
    return "\n".join(lines).replace("'", '"')
