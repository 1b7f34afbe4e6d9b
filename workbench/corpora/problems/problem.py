"""A word problem with its worked solution in three strategies."""

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Literal

Strategy = Literal["cot", "l2m", "pot"]


@dataclass(frozen=True)
class Step:
    """One operation of the solution: what it answers, and `left operation right = result`.

    `name` is the program's variable for the result ("ans" in the last step), `terms` are the operands as the
    program writes them: a number, or the variable of an earlier step.
    """

    question: str
    left: Fraction
    operation: str
    right: Fraction
    result: Fraction
    name: str
    terms: tuple[str, str]

    @property
    def equation(self) -> str:
        """ "3 + 4 = 7"."""
        return f"{self.left} {self.operation} {self.right} = {self.result}"

    @property
    def line(self) -> str:
        """ "marbles = 3 + 4", with whole division."""
        return f"{self.name} = {self.terms[0]} {self.operation.replace('/', '//')} {self.terms[1]}"


@dataclass(frozen=True)
class Problem:
    """A question, its answer and the operations that lead there."""

    id: str  #: the template and a digest of the question: equal if and only if the questions are equal
    question: str  #: the text, one to five sentences and the question
    answer: Fraction  #: the result of the last step
    template: str  #: "scenario/structure"
    steps: tuple[Step, ...]  #: one to four
    n_distractors: int  #: sentences with a number that is not needed
    #: the question with holes for its numbers, `{0}`, `{1}`, the unneeded ones last.
    frame: str = field(repr=False)
    largest: int = field(repr=False)  #: no number of the text and no result is larger

    def rationale(self, strategy: Strategy = "cot") -> str:
        """The worked solution.

        Args:
            strategy: "cot" (chain of thought), equations and "The answer is N."; "l2m" (least to most), the
                same with the sub-question before each equation; "pot" (program of thought), Python lines of
                which the last assigns `ans`.

        Raises:
            ValueError: another strategy.
        """
        if strategy == "pot":
            return "\n".join(step.line for step in self.steps)
        if strategy == "cot":
            parts = [f"{step.equation}." for step in self.steps]
        elif strategy == "l2m":
            parts = [f"{step.question} {step.equation}." for step in self.steps]
        else:
            raise ValueError(f"the strategy must be cot, l2m or pot, not {strategy!r}")
        return " ".join([*parts, f"The answer is {self.answer}."])
