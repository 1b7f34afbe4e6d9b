"""Whether a solution's final answer is right: read exactly, by the rule of its format, and graded.

Nothing is rounded and no floats are compared: 8.5 is not 9, 0 is a number, and 5.000000000000002, which a
program prints for 5, differs from it by float noise only. What cannot be read is counted, never guessed:
an answer is *correct*, *wrong* or *unparsed*; a gold that is no number makes its item *unscorable*.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from workbench.measures.answers import latex
from workbench.measures.answers.numerals import Number, from_program, numbers_in, plain, whole_number

AnswerFormat = Literal["cot", "l2m", "pot", "gsm8k", "boxed"]
Verdict = Literal["correct", "wrong", "unparsed", "unscorable"]

_LAST = 20_000  # characters that are read; a final answer stands at the end
_ENDED = re.compile(r"</s>|<eos>|<\|(?:im_end|eot_id|end_of_text|endoftext)\|>")
_NEXT_QUESTION = re.compile(r"\n[ \t]*(?:Question|Problem|Input|Q|#+ ?Instruction):")
_MARKER = re.compile(r"(?i)####|\\(?:boxed|fbox)\b|\banswer\b[*_]*(?: is\b|\s*[:=])[*_: ]*")
_SENTENCE_END = re.compile(r"[.!?][*_)\"]*\s+(?=[A-Z])|\n")
# Goes on as an expression.
_OPERATION = re.compile(r"\s*(?:=|(?:[-−+*/×÷x^]|\\times|\\div)\s*[$(]*[0-9.\\]|[-+^]\s*[a-z]\b)")
# "3 and 5", "May 5, 2021"
_ANOTHER = re.compile(r"(?:\s?[A-Za-z%]+)?\s*(?:,|,?\s*\b(?:and|or)\b|&)\s*[-−$€£]*[0-9]")
_CHOICE = re.compile(r"\s*[\[($*]*([A-E])\b")
_CALCULATOR = re.compile(r"<<[^<>]*>>")


@dataclass(frozen=True)
class Answer:
    """What a solution gives as its final answer."""

    number: Number | None  #: None where it is no number, or more than one
    text: str = ""  #: as written, from the marker on
    #: where it was found: after a "marker" ("The answer is", "Final answer:", "####"), "boxed", the "last
    #: number" of a text without a marker, a "program"'s value; or "nothing" was found.
    source: Literal["marker", "boxed", "last number", "program", "nothing"] = "nothing"


@dataclass(frozen=True)
class Grade:
    """A verdict, and the answer that it is about."""

    verdict: Verdict
    answer: Answer


def extract(given: object, answer_format: AnswerFormat = "cot") -> Answer:
    """The final answer of a solution.

    Args:
        given: the completion; for "pot" the value that its program computed (number, text, list of one).
        answer_format: "cot" (chain of thought) and "l2m" (least to most) take what follows the last marker,
            so that a correction counts and a recited example does not; of an equation the right side;
            without a marker the text's last number. "cot" stops where the model goes on to a question of
            its own. "gsm8k" takes what follows the last "####", "boxed" the last `\\boxed{…}`, neither
            anything else.

    Raises:
        ValueError: another format.
    """
    if answer_format == "pot":
        number = from_program(given)
        return Answer(number, str(given)[:200] if number else type(given).__name__, "program")
    if answer_format not in ("cot", "l2m", "gsm8k", "boxed"):
        raise ValueError(f"the format must be cot, l2m, pot, gsm8k or boxed, not {answer_format!r}")
    text = _ENDED.split(str(given), maxsplit=1)[0]
    if answer_format == "cot":
        text = _NEXT_QUESTION.split(text, maxsplit=1)[0]
    text = _CALCULATOR.sub("", text[-_LAST:])
    prefix = {"gsm8k": "####", "boxed": "\\"}.get(answer_format, "")  # of the format's markers
    marks = [mark for mark in _MARKER.finditer(text) if mark[0].startswith(prefix)]
    if marks:
        return _after(text[marks[-1].end() :], boxed=marks[-1][0].startswith("\\"))
    numbers = list(numbers_in(text)) if answer_format in ("cot", "l2m") else []
    return Answer(numbers[-1].number, numbers[-1].text, "last number") if numbers else Answer(None)


def grade(given: object, gold: str | int | float | Fraction, answer_format: AnswerFormat = "cot") -> Grade:
    """The verdict on one solution, exact; `given` in its format is read as by `extract`.

    "25%" is right for 25 and for 0.25, "5 million" for 5 and for 5,000,000; units do not count. A gold of one
    letter, A to E, is compared with the letter given.

    Args:
        gold: the right answer; of a whole solution what follows "####", or is boxed.
    """
    answer = extract(given, answer_format)
    if isinstance(gold, str) and (choice := re.fullmatch(r"\s*\(?([A-E])\)?\s*", gold)):
        letter = _CHOICE.match(plain(answer.text))
        return Grade(_verdict(letter and letter[1] == choice[1]), answer)
    right = read_gold(gold)
    if right is None:
        return Grade("unscorable", answer)
    return Grade(_verdict(answer.number and answer.number.equals(right)), answer)


def grade_many(
    given: Sequence[object],
    golds: Sequence[str | int | float | Fraction],
    answer_format: AnswerFormat | Sequence[AnswerFormat] = "cot",
) -> list[Grade]:
    """The verdict on each of many solutions: `grade`, and math-verify where a gold or an answer is a formula.

    The one way to grade what problems of files may be answered with. Formulas are compared in processes of
    their own, all of a call together; where everything is a plain number none is started. An answer is
    unparsed when it cannot be read, takes too long, or ends its process; an item is unscorable when
    math-verify cannot read its gold either.

    Args:
        given: solutions, each read as by `extract`.
        golds: right answers, plain or in LaTeX.
        answer_format: of all, or of each.

    Raises:
        UserError: math-verify is needed and is not installed.
    """
    formats = [answer_format] * len(golds) if isinstance(answer_format, str) else answer_format
    grades = [grade(*item) for item in zip(given, golds, formats, strict=True)]
    unsettled = [
        index
        for index, item in enumerate(grades)
        if item.verdict == "unscorable" or (item.verdict == "unparsed" and _formula(item.answer.text))
    ]
    pairs = [(_inside(str(golds[index])), _inside(grades[index].answer.text)) for index in unsettled]
    for index, outcome in zip(unsettled, latex.compare(pairs), strict=True):
        verdict = {"same": "correct", "different": "wrong"}.get(outcome, "unparsed")
        if outcome == "gold" and read_gold(golds[index]) is None:
            verdict = "unscorable"
        grades[index] = Grade(verdict, grades[index].answer)
    return grades


def scorable(golds: Sequence[str | int | float | Fraction]) -> list[bool]:
    """Of each gold whether an answer to it can be graded: it is a number, a letter of a choice, or a formula.

    Raises:
        UserError: math-verify is needed and is not installed.
    """
    boxes = [f"\\boxed{{{gold}}}" for gold in golds]
    return [item.verdict != "unscorable" for item in grade_many(boxes, golds, "boxed")]


def _formula(text: str) -> bool:
    """Whether a text is LaTeX without words, so that "likely five" or a date is not computed."""
    return bool(re.search(r"[\\^]", text)) and not re.search(r"(?<![\\A-Za-z])[A-Za-z]{2,}", text)


def _inside(text: str) -> str:
    """What stands in the last box, or all, without the signs that open and close a formula."""
    return (extract(text, "boxed").text or text).strip(" $*.").removeprefix(r"\(").removesuffix(r"\)")


def read_gold(gold: str | int | float | Fraction) -> Number | None:
    """A right answer as a number; None where it is a name, a list, or anything else."""
    if not isinstance(gold, str):
        return from_program(gold)
    return extract(gold, "boxed").number if "\\boxed" in gold else whole_number(gold.rpartition("####")[2])


def _verdict(same: object) -> Verdict:
    return "unparsed" if same is None else "correct" if same else "wrong"


def _after(rest: str, boxed: bool) -> Answer:
    """The answer that follows a marker: its first number, unless an expression or a list begins with it."""
    if boxed:
        inside = _braced(rest)
        return Answer(whole_number(inside), inside, "boxed")
    sentence = plain(_SENTENCE_END.split(rest.strip(), maxsplit=1)[0][:500])
    number, goes_on = _first(sentence)
    if goes_on:  # "35 - 14 = 21": the right side; an expression that nobody worked out is no answer
        _, equals, right = sentence.rpartition("=")
        number, goes_on = _first(right) if equals else (None, False)
    return Answer(None if goes_on else number, sentence[:200].rstrip(". "), "marker")


def _first(text: str) -> tuple[Number | None, bool]:
    """The first number of a text, None where it begins a list; and whether it begins an expression."""
    first = next(numbers_in(text), None)
    if first is None or re.match("(?i)not ", text):
        return None, False
    number = None if _ANOTHER.match(text, first.end) else first.number
    return number, bool(_OPERATION.match(text, first.end))


def _braced(text: str) -> str:
    r"""The content of the group that follows \boxed, or the next word; to the end where it is not closed."""
    text = text.lstrip()
    if not text.startswith("{"):
        return text.split(maxsplit=1)[0].rstrip(".$") if text else ""
    depth = 0
    for index, letter in enumerate(text):
        depth += (letter == "{") - (letter == "}")
        if not depth:
            return text[1:index]
    return text[1:]
