"""Whether a solution's final answer is right: read exactly, by the rule of its format, and graded.

A gold is a number, a time, a letter of a choice, words (in `\\text{}`) or a formula. Numbers are compared
exactly: nothing is rounded, 8.5 is not 9, and 5.000000000000002, which a program prints for 5, differs from
it by float noise only. Formulas, √2/2 or x = ±3, are compared by math-verify, in processes of their own. What
cannot be read is counted, never guessed: an answer is *correct*, *wrong* or *unparsed*; a gold that is none
of these makes its item *unscorable*.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Literal, cast

from workbench.measures.answers import latex
from workbench.measures.answers.extraction import Answer, AnswerFormat, candidates, completion, extract
from workbench.measures.answers.formulas import formula_in, is_formula, last_formula
from workbench.measures.answers.numerals import Number, from_program, is_equation, whole_number
from workbench.measures.answers.symbols import choice_in, clock, proportion, said_words, words_of

Verdict = Literal["correct", "wrong", "unparsed", "unscorable"]
Gold = str | int | float | Fraction


@dataclass(frozen=True)
class Grade:
    """A verdict, and the answer that it is about."""

    verdict: Verdict
    answer: Answer


@dataclass(frozen=True)
class _Right:
    """A gold, read: one of the fields is set; of a ratio of two parts also its number."""

    number: Number | None = None
    clock: int | None = None  #: minutes
    proportion: tuple[Fraction, ...] | None = None  #: of a ratio of several parts
    choice: str = ""
    words: str = ""
    formula: str = ""


def grade(given: object, gold: Gold, answer_format: AnswerFormat = "cot") -> Grade:
    """The verdict on one solution; `given` in its format is read as by `extraction.extract`.

    "25%" is right for 25 and for 0.25, "5 million" for 5 and for 5,000,000; units do not count.

    Args:
        gold: the right answer, plain or in LaTeX; of a whole solution what follows "####", or is boxed.

    Raises:
        UserError: math-verify is needed and is not installed.
    """
    return grade_many([given], [gold], answer_format)[0]


def grade_many(
    given: Sequence[object],
    golds: Sequence[Gold],
    answer_format: AnswerFormat | Sequence[AnswerFormat] = "cot",
) -> list[Grade]:
    """The verdict on each of many solutions, as `grade` gives it, with all formulas compared together.

    Formulas are compared in processes of their own; where everything is a plain number none is started. A
    formula that takes too long, or ends its process, is unparsed.

    Args:
        given: solutions, each read as by `extraction.extract`.
        golds: right answers, plain or in LaTeX.
        answer_format: of all, or of each.

    Raises:
        UserError: math-verify is needed and is not installed.
    """
    if isinstance(answer_format, str):
        answer_format = cast(Sequence[AnswerFormat], [answer_format] * len(golds))
    grades, pairs = [], {}
    for index, (text, gold, form) in enumerate(zip(given, golds, answer_format, strict=True)):
        item, pair = _grade(text, gold, form)
        grades.append(item)
        if pair:
            pairs[index] = pair
    if pairs:
        verdicts: dict[latex.Outcome, Verdict]
        verdicts = {"same": "correct", "different": "wrong", "gold": "unscorable"}
        for index, outcome in zip(pairs, latex.compare(list(pairs.values())), strict=True):
            grades[index] = Grade(verdicts.get(outcome, "unparsed"), grades[index].answer)
    return grades


def scorable(golds: Sequence[Gold]) -> list[bool]:
    """Of each gold whether an answer to it can be graded; see this module's beginning.

    Raises:
        UserError: math-verify is needed and is not installed.
    """
    read = [_read(gold) for gold in golds]
    formulas = [(right.formula, right.formula) for right in read if right and right.formula]
    outcomes = iter(latex.compare(formulas))
    return [right is not None and (not right.formula or next(outcomes) != "gold") for right in read]


def read_gold(gold: Gold) -> Number | None:
    """A right answer as a number; None where it is a name, a list, a formula, or anything else."""
    return right.number if (right := _read(gold)) else None


def _grade(given: object, gold: Gold, form: AnswerFormat) -> tuple[Grade, tuple[str, str] | None]:
    """The verdict, and the (gold, answer) that math-verify has to compare for it."""
    right, answer = _read(gold), extract(given, form)
    if right is None:
        return Grade("unscorable", answer), None
    if right.number is not None:
        return _of_number(answer, right.number, right.proportion)
    if right.choice:
        return _of_choice(given, right.choice, answer, form), None
    if right.formula:
        return _of_formula(given, right.formula, answer, form)
    if form == "pot" and right.words and isinstance(given, str):  # a program that computes a name
        return Grade(_verdict(said_words(given, right.words, boxed=True)), answer), None
    return Grade(_verdict(_of_symbols(answer, right)), answer), None


def _of_number(
    answer: Answer, right: Number, parts: tuple[Fraction, ...] | None
) -> tuple[Grade, tuple[str, str] | None]:
    if answer.number is not None:
        return Grade(_verdict(answer.number.equals(right)), answer), None
    if parts and (ratio := proportion(answer.text)):
        return Grade(_verdict(ratio == parts), answer), None
    minutes = clock(answer.text)
    if minutes is not None:  # 6:15 is not 0.4, though as a ratio it might be
        ratio = proportion(answer.text)
        time = re.search("[ap]\\.?m", answer.text, re.IGNORECASE)
        maybe = not time and ratio and ratio[1] and Number(ratio[0] / ratio[1]).equals(right)
        hour = minutes % 60 == 0
        return Grade("unparsed" if maybe or hour else "wrong", answer), None
    formula = formula_in(answer.text)
    if not formula:
        return Grade("unparsed", answer), None
    percent = "\\%" if right.scale == Fraction(1, 100) else ""
    value = right.value * (1 if percent else right.scale)
    # Decimals say where to round: 4.123106 is √17.
    decimals = next((n for n in range(13) if (value * 10**n).denominator == 1), 0)
    written = f"{Decimal(int(value * 10**decimals)).scaleb(-decimals):f}" if decimals else str(value)
    return Grade("unparsed", answer), (f"{written}{percent}", formula)


def _of_choice(given: object, right: str, answer: Answer, form: AnswerFormat) -> Grade:
    for candidate, _ in candidates(given, form):
        letter = choice_in(candidate.text)
        if letter is not None:
            return Grade(_verdict(letter == right if letter else None), candidate)
    return Grade("unparsed", answer)


def _of_formula(
    given: object, right: str, answer: Answer, form: AnswerFormat
) -> tuple[Grade, tuple[str, str] | None]:
    if form == "pot":
        formula = str(given)[:200] if answer.number else ""
        return Grade("unparsed", answer), (right, formula)
    for candidate, _ in candidates(given, form):
        if candidate.source != "last number" and (formula := formula_in(candidate.text, any_number=True)):
            return Grade("unparsed", candidate), (right, formula)
    formula = last_formula(completion(given, form)) if form in ("cot", "l2m") else ""
    return Grade("unparsed", answer), (right, formula)


def _of_symbols(answer: Answer, right: _Right) -> bool | None:
    """Whether an answer is the time, the ratio or the words that a gold is; None where it is none of them."""
    if right.clock is not None:
        minutes = clock(answer.text)
        return None if minutes is None else minutes == right.clock
    if right.proportion:
        ratio = proportion(answer.text)
        return None if ratio is None else ratio == right.proportion
    return said_words(answer.text, right.words, boxed=answer.source == "boxed")


@lru_cache(maxsize=4096)
def _read_text(gold: str) -> _Right | None:
    boxed = "\\boxed" in gold
    answer = extract(gold, "boxed") if boxed else None
    text = answer.text if answer else gold.rpartition("####")[2].strip()
    number = answer.number if answer else whole_number(text)
    if number is not None and not ("=" in text and is_equation(text)):
        return _Right(number=number, proportion=proportion(text) if ":" in text else None)
    if choice := choice_in(text, gold=True):
        return _Right(choice=choice)
    if (minutes := clock(text)) is not None:
        return _Right(clock=minutes)
    if ratio := proportion(text):
        return _Right(proportion=ratio)
    if words := words_of(text, gold=True):
        return _Right(words=words)
    formula = formula_in(text, any_number=True) if "$" in text or is_formula(text) else ""
    return _Right(formula=formula) if formula else None


def _read(gold: Gold) -> _Right | None:
    if isinstance(gold, str):
        return _read_text(str(gold))
    number = from_program(gold)
    return None if number is None else _Right(number=number)


def _verdict(same: object) -> Verdict:
    return "unparsed" if same is None else "correct" if same else "wrong"
