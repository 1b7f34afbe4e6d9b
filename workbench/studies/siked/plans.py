"""Whether a solution takes a valid path, whatever its answer: the plan, apart from luck and slips.

An answer can be right by a wrong plan. The embedded tasks know every valid path, so a plan is graded
exactly: in the house of the logic task by `logic.check`, in word problems as the calculation that leads to
the answer.
"""

import re
from collections.abc import Iterable
from typing import cast

from workbench.corpora import logic
from workbench.corpora.loaders.solutions import STRATEGIES
from workbench.corpora.logic import LogicProblem
from workbench.studies.siked.solving import Question

_STEP = re.compile(r"(?:(\w+)\s*=\s*)?\b([\w.]+)\s*(\+|-|\*|//?)\s*([\w.]*\w)(?:\s*=\s*([\d.]*\d))?")
Calculation = str | tuple["Calculation", str, "Calculation"]
"""A number of the text, or an operation on two calculations."""


def plan_is_right(question: Question, strategy: str, text: str) -> float:
    """1.0 if the steps are those of a valid solution, 0.0 if not, NaN for questions of files.

    Steps that do not depend on each other may stand in any order; a solution without a strategy has no plan.
    """
    problem = question.problem
    if problem is None:
        return float("nan")
    if strategy not in STRATEGIES:
        return 0.0
    if isinstance(problem, LogicProblem):
        return float(logic.check(problem, text, strategy).plan)
    return float(calculation(text) == calculation(problem.rationale(strategy)))


def plans(questions: Iterable[Question], strategies: Iterable[str], texts: Iterable[str]) -> list[float]:
    """`plan_is_right` of each."""
    return [plan_is_right(*one) for one in zip(questions, strategies, texts, strict=True)]


def calculation(text: str) -> Calculation | None:
    """What a solution's last step calculates, `7 - 2` or `left = 7 - a`, with earlier results in their place.

    None where it has no step. Operands of sums and products have no order.
    """
    earlier: dict[str, Calculation] = {}
    step: Calculation | None = None
    for name, left, sign, right, result in _STEP.findall(text):
        operands = [earlier.get(operand, operand) for operand in (left, right)]
        first, second = sorted(operands, key=repr) if sign in "+*" else operands
        step = cast(Calculation, (first, sign[0], second))
        earlier |= {known: step for known in (name, result) if known}
    return step
