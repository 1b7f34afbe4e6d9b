"""Which solutions of one problem give the same answer: 1/2 and 0.5, √2/2 and 1/√2."""

from collections.abc import Sequence
from itertools import combinations

from workbench.measures.answers import latex
from workbench.measures.answers.extraction import candidates, extract
from workbench.measures.answers.formulas import formula_in


def final_answers(problems: Sequence[Sequence[str]]) -> list[list[str | None]]:
    """The final answer of each solution of each problem, None without one; equal ones are written alike.

    Formulas are compared by math-verify, those of all problems together.

    Raises:
        UserError: math-verify is needed and is not installed.
    """
    answers = [[final_answer(solution) for solution in solutions] for solutions in problems]
    distinct = [list(dict.fromkeys(answer for answer in group if answer)) for group in answers]
    pairs = [
        (first, second)
        for group in distinct
        for first, second in combinations(group, 2)
        if not (_is_number(first) and _is_number(second))
    ]
    same = {pair for pair, outcome in zip(pairs, latex.compare(pairs), strict=True) if outcome == "same"}
    written = [
        {one: next(first for first in group if first == one or (first, one) in same) for one in group}
        for group in distinct
    ]
    return [
        [names[answer] if answer else None for answer in group]
        for names, group in zip(written, answers, strict=True)
    ]


def final_answer(solution: str) -> str | None:
    """The final answer of a text: an integer, a fraction, or a formula in LaTeX; None without one."""
    number = extract(solution).number
    if number is not None:
        return str(number.value)
    formulas = (
        formula_in(answer.text) for answer, _ in candidates(solution) if answer.source != "last number"
    )
    return next(filter(None, formulas), None)


def _is_number(answer: str) -> bool:
    return answer.removeprefix("-").replace("/", "", 1).isdecimal()
