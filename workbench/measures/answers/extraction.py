"""The final answer of a solution, by the rule of its format: a number, a letter, or a formula."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Literal

from workbench.measures.answers import phrases
from workbench.measures.answers.numerals import Number, from_program
from workbench.measures.answers.spelling import plain
from workbench.measures.answers.turns import first_turn

AnswerFormat = Literal["cot", "l2m", "pot", "gsm8k", "boxed"]

_LAST = 20_000  # characters that are read; a final answer stands at the end
_MARKS = 60  # markers that are looked at, from the end
_BOXES = 10  # that one answer may fill
_LONGEST = 2_000  # characters of a box
_MARKER = re.compile(
    r"(?i)####|\\(?:boxed|fbox)(?![A-Za-z])|<answer>|\banswer\b[*_]*(?: is\b|\s*[:=：])[*_: ]*"
)
_SENTENCE_END = re.compile(r"[.!?][*_)\"]*\s+(?=[A-Z])|[。।]|\n")
_DISPLAY = re.compile(
    r"[\s*_`]*(?:\\\[(.{1,2000}?)\\\]|\$\$(.{1,2000}?)\$\$|\\\((.{1,2000}?)\\\))", re.DOTALL
)
_BULLET = re.compile(r"[*_ \t:]*\n\s*[-*+•>][ \t]+(?=\S)")
_WORD = re.compile(r"[^\s$]*\$?")
_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)
_CALCULATOR = re.compile(r"<<[^<>]*>>")
_CHANNEL = re.compile(r"<[|｜][^<>|｜\n]{1,40}[|｜]>")
_LIST_OF_BOXES = re.compile(r"(?:[\s$,;&]|and\b|or\b|\\quad|\\,)*")


@dataclass(frozen=True)
class Answer:
    """What a solution gives as its final answer."""

    number: Number | None  #: None where it is no number, or more than one
    text: str = ""  #: as written, from the marker on
    #: where it was found: after a "marker" ("The answer is", "Final answer:", "####"), "boxed", the "last
    #: number" of a text without a marker, a "program"'s value; or "nothing" was found.
    source: Literal["marker", "boxed", "last number", "program", "nothing"] = "nothing"


def extract(given: object, answer_format: AnswerFormat = "cot") -> Answer:
    """The final answer of a solution.

    Args:
        given: the completion; for "pot" the value that its program computed (number, text, list of one).
        answer_format: "cot" (chain of thought) and "l2m" (least to most) take what follows the last marker
            that an answer follows, so that a correction counts and neither a recited example nor a remark
            ("the answer is consistent"); of an equation the right side; without a marker the text's last
            number. All stop where the model goes on to another turn, "cot" also at a question of its own.
            "gsm8k" takes what follows "####", "boxed" a `\\boxed{…}`, neither anything else.

    Raises:
        ValueError: another format.
    """
    first = None
    for answer, settled in candidates(given, answer_format):
        if settled:
            return answer
        first = first or answer
    return first or Answer(None)


def candidates(given: object, answer_format: AnswerFormat = "cot") -> Iterator[tuple[Answer, bool]]:
    """What stands after each marker, from the last on, and whether it is an answer or a mere remark.

    Raises:
        ValueError: another format.
    """
    if answer_format == "pot":
        number = from_program(given)
        yield Answer(number, str(given)[:200] if number else type(given).__name__, "program"), True
        return
    if answer_format not in ("cot", "l2m", "gsm8k", "boxed"):
        raise ValueError(f"the format must be cot, l2m, pot, gsm8k or boxed, not {answer_format!r}")
    text = completion(given, answer_format)
    prefix = {"gsm8k": "####", "boxed": "\\"}.get(answer_format, "")  # of the format's markers
    marks = [mark for mark in _MARKER.finditer(text) if mark[0].startswith(prefix)]
    for mark, after in islice(zip(reversed(marks), [None, *reversed(marks)], strict=False), _MARKS):
        if mark[0].startswith("\\"):
            yield _boxed(text, mark, marks)
        else:
            yield _after(text[mark.end() : after.start() if after else None])
    if not marks and answer_format in ("cot", "l2m"):
        number, written = phrases.last_alone(plain(text))
        if written:
            yield Answer(number, written, "last number"), True


def completion(given: object, answer_format: AnswerFormat = "cot") -> str:
    """The part of a completion that is read: its own turn behind what it thinks, without calculator marks."""
    try:
        text = given if isinstance(given, str) else str(given)
    except ValueError:  # an integer of more digits than Python writes
        return ""
    thought, ends, reply = text.partition("</think>")
    if ends and reply.strip() and "<think>" not in thought.lstrip().removeprefix("<think>"):
        text = reply
    text = first_turn(text, asks_itself=answer_format == "l2m")[-_LAST:]
    return _CHANNEL.sub(" ", _CALCULATOR.sub("", text)) if "<" in text else text


def _after(rest: str) -> tuple[Answer, bool]:
    """The answer that follows a marker, to the end of its sentence or of its formula."""
    if "\\" in rest or "$$" in rest:
        display = _DISPLAY.match(rest)
        if display:
            formula = " ".join(next(filter(None, display.groups())).split())
            rest = f"${formula}$ {rest[display.end() :].lstrip(' ')}"
    if "\n" in rest:
        rest = _BULLET.sub("", rest, count=1) if _BULLET.match(rest) else rest
    sentence = _SENTENCE_END.split(rest.partition("</answer>")[0].strip(), maxsplit=1)[0][:500]
    number, settled = phrases.read(plain(sentence))
    return Answer(number, sentence.rstrip(". "), "marker"), settled


def _boxed(text: str, mark: re.Match[str], marks: list[re.Match[str]]) -> tuple[Answer, bool]:
    """What stands in a box, or in it and those just before it, as in "\\boxed{5} and \\boxed{6}"."""
    inside, end = braced(text, mark.end())
    number, before = phrases.boxed(inside, text[end : end + 40]), mark
    boxes = [inside]
    for other in islice((other for other in reversed(marks) if other.start() < mark.start()), _BOXES):
        content, end = braced(text, other.end())
        between = text[end : before.start()]
        if not (other[0][0] == "\\" and _LIST_OF_BOXES.fullmatch(between) and phrases.answers(content)):
            break
        boxes, before = [content, *boxes], other
    if len(set(boxes)) > 1:
        number, inside = None, ", ".join(boxes)
    return Answer(number, inside, "boxed"), number is not None or phrases.answers(inside)


def braced(text: str, start: int) -> tuple[str, int]:
    r"""The content of the group that follows \boxed, or the next word, and where it ends."""
    text_start = len(text) - len(text[start:].lstrip())
    if text[text_start : text_start + 1] != "{":
        word = _WORD.match(text, text_start)
        assert word is not None  # it may be empty
        return word[0].rstrip(".$"), word.end()
    depth = 0
    for brace in _BRACE.finditer(text, text_start, text_start + _LONGEST):
        depth += {"{": 1, "}": -1}.get(brace[0], 0)
        if not depth:
            return text[text_start + 1 : brace.start()], brace.end()
    return "", len(text)  # cut off: it may go on
