"""Problems of a file, for GRPO with a given model: some to be rewarded for, others that are only asked."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from workbench.corpora.loaders.problems import load_problems
from workbench.corpora.problems import draw
from workbench.errors import UserError
from workbench.measures.answers.grading import grade, scorable
from workbench.studies.common.contamination import contamination_report, distinct_problems
from workbench.studies.common.word_problems import LARGEST, one_step

FEWEST = 10  # problems to learn from, and to ask


@dataclass(frozen=True)
class Problem:
    """A question of a file, and its right answer."""

    question: str
    gold: str

    def right(self, reply: str) -> bool:
        """Whether the final answer of a reply is the right one."""
        return grade(reply, self.gold).verdict == "correct"


def load(data: str, test: str | None, seed: int) -> tuple[list[Problem], list[Problem]]:
    """Problems to be rewarded for, and those to ask: of `test`, or a fifth of `data`; in random order.

    Those whose answers cannot be judged are left out.

    Raises:
        UserError: there are too few of either, or both hold the same question.
    """
    rewarded, asked = _read(data, seed), _read(test, seed, default="test") if test else []
    if test is None:
        cut = len(rewarded) // 5
        asked, rewarded = rewarded[:cut], rewarded[cut:]
    for problems, source in ((rewarded, data), (asked, test or f"a fifth of {data}")):
        if len(problems) < FEWEST:
            raise UserError(
                f"{source} holds {len(problems)} problems whose answers can be judged: give {FEWEST}."
            )
    contamination_report([one.question for one in asked], [one.question for one in rewarded])
    return rewarded, asked


def easy(n: int, n_asked: int, seed: int) -> tuple[list[Problem], list[Problem]]:
    """Word problems of one step, drawn: some to be rewarded for, and others to ask."""
    drawn = draw(n + n_asked, seed, templates=one_step(), largest=LARGEST)
    chosen = [Problem(problem.question, str(problem.answer)) for problem in drawn]
    return chosen[:n], chosen[n:]


def _read(spec: str, seed: int, default: str = "train") -> list[Problem]:
    problems, _ = distinct_problems(load_problems(spec, default=default))
    judged = scorable([problem.gold for problem in problems])
    chosen: Sequence[Problem] = [
        Problem(problem.question, problem.gold)
        for problem, can_be_judged in zip(problems, judged, strict=True)
        if can_be_judged
    ]
    return Random(seed).sample(chosen, len(chosen))
