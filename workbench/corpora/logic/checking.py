"""Whether a solution takes a valid path, states what is true, and ends at the answer: each apart."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from workbench.corpora.logic.problem import LogicProblem
from workbench.corpora.logic.world import OF, RELATIONS, follow
from workbench.corpora.problems.problem import Strategy

_SAID = {said: relation for relation, said in OF.items()}
_STEP = re.compile(rf"\b({'|'.join(_SAID)}) (\w+) is (\w+)\s*\.", re.IGNORECASE)
_ANSWER = re.compile(r"the answer is (\w+)", re.IGNORECASE)
_LINE = re.compile(rf"(\w+) = ({'|'.join(RELATIONS)})\((?:(\w+)|[\"'](\w+)[\"'])\)")


@dataclass(frozen=True)
class Check:
    """What is right in a solution."""

    plan: bool  #: its moves are those of a valid path, each from where the one before has led
    facts: bool  #: it has steps, and every one is true in the house
    answer: bool  #: what it says last is the answer


def check(problem: LogicProblem, text: str, strategy: Strategy) -> Check:
    """A solution's plan, facts and answer; a program is read, not run: only lines as ours are its steps.

    Raises:
        ValueError: another strategy.
    """
    if strategy not in ("cot", "l2m", "pot"):
        raise ValueError(f"the strategy must be cot, l2m or pot, not {strategy!r}")
    steps = list(_of_program(text) if strategy == "pot" else _of_text(text))
    moves = [move for move, _, _ in steps]
    chained = [start for _, start, _ in steps] == [problem.start, *(end for _, _, end in steps)][: len(steps)]
    true = all(move in RELATIONS and follow(start, move) == end for move, start, end in steps)
    if strategy == "pot":
        said = steps[-1][2] if steps and "ans" in text else None
    else:
        answers = _ANSWER.findall(text)
        said = answers[-1] if answers else None
    return Check(
        plan=chained and sorted(moves) == sorted(problem.moves),
        facts=bool(steps) and true,
        answer=said == problem.answer,
    )


_Step = tuple[str, str, str | None]


def _of_text(text: str) -> Iterator[_Step]:
    """(relation, from whom, to whom) of each step that is written."""
    for said, start, end in _STEP.findall(text):
        yield _SAID[said.lower()], start, end


def _of_program(text: str) -> Iterator[_Step]:
    """The steps that a program's lines take; a line that is none, or an unknown variable, ends them."""
    values: dict[str, str | None] = {}
    for line in text.strip().splitlines():
        match = _LINE.fullmatch(line.strip())
        start = match and (match[4] or values.get(match[3]))
        if not match or not start:
            yield "", "", None
            return
        end = follow(start, match[2])
        values[match[1]] = end
        yield match[2], start, end
