"""Word problems from outside: GSM8K, SVAMP, MultiArith, ASDiv, AQuA, and plain rows of question and answer.

A file's kind is recognised by the fields of its first row (each kind in `KINDS`), or named before the path:
"gsm8k:PATH". Files are .jsonl, .json, .parquet, ASDiv's .xml, a folder of them, or a hub data set.
"""

import math
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from workbench.corpora.loaders import rows
from workbench.corpora.loaders.rows import Malformed
from workbench.errors import UserError

_QUESTIONS = ("question", "prompt", "problem", "instruction")
_ANSWERS = ("answer", "completion", "solution", "output", "response")
_GOLDS = ("gold", "final_answer", "final_ans", "expected_answer")
_MARK = re.compile(r"<<[^<>]*>>")  # GSM8K's calculator marks, <<48/2=24>>
_FINAL = re.compile(r"(?s)(.*)(?:####|\b[Tt]he answer is\b:?)\s*([^\n]+?)\.?\s*")
_SHORT = re.compile(r"[-+$\d.,/%]+|\(?[A-E]\)?")  # an answer without any working


@dataclass(frozen=True)
class FileProblem:
    """One problem of a file."""

    id: str  #: the row's own, else the file's name and the row's number
    question: str  #: the text, with the options of a multiple choice
    rationale: str  #: the working without the final answer; an equation where the file has no more; or ""
    gold: str  #: the final answer as the file writes it (51.0 becomes "51"), or "" where it names none

    @property
    def completion(self) -> str:
        """The rationale, then "The answer is GOLD."."""
        return " ".join(
            part for part in (self.rationale, self.gold and f"The answer is {self.gold}.") if part
        )


def load_problems(spec: str, limit: int | None = None) -> list[FileProblem]:
    """The problems of a file, a folder or a hub data set, in their order.

    Args:
        spec: a path or `org/name` (see `rows.of_source`), with "gsm8k:", "svamp:", "multiarith:", "asdiv:",
            "aqua:" or "plain:" before it to name the kind.
        limit: read this many at most.

    Raises:
        UserError: nothing there, a kind that is not known, or a malformed row, with its number.
    """
    rows.check_limit(limit, "problems")
    kind, source = rows.kind_and_source(spec, KINDS)
    problems = []
    for where, row in islice(_rows(source, limit), limit):
        with rows.checked(where, row):
            kind = kind or _recognise(row)
            fields, parse = KINDS[kind]
            if missing := [name for name in fields if name not in row]:
                raise Malformed(f"has no {' and no '.join(missing)}, as {kind} has")
            question, rationale, gold = parse(row)
            if not question:
                raise Malformed("has an empty question")
        stated = (row[name] for name in ("id", "ID", "iIndex") if row.get(name) not in (None, ""))
        problems.append(FileProblem(str(next(stated, _name(where))), question, rationale, gold))
    if not problems:
        raise UserError(f"{source} holds no problem.")
    return problems


def _rows(source: str, limit: int | None) -> Iterator[tuple[str, Any]]:
    if Path(source).is_file() and Path(source).suffix.lower() == ".xml":
        yield from _xml(Path(source))
    else:
        yield from rows.of_source(source, limit)


def _xml(path: Path) -> Iterator[tuple[str, Any]]:
    try:
        with rows.opened(path) as file:
            problems = ElementTree.fromstring(file.read()).iter("Problem")
    except ElementTree.ParseError as error:
        raise UserError(f"{path} is not XML: {error}.") from error
    for number, problem in enumerate(problems, start=1):
        fields = {part.tag: part.text or "" for part in problem}
        yield f"{path} problem {number}", {**problem.attrib, **fields}


def _name(where: str) -> str:
    """ "train:12" of "folder/train.jsonl line 12"."""
    path, _, number = where.rsplit(" ", 2)
    return f"{Path(path).name.split('.')[0]}:{number}"


def _recognise(row: dict[str, Any]) -> str:
    for kind, (fields, _) in KINDS.items():
        if fields and set(fields) <= row.keys() and (kind != "gsm8k" or "####" in str(row["answer"])):
            return kind
    if any(name in row for name in _QUESTIONS) and any(name in row for name in _ANSWERS + _GOLDS):
        return "plain"
    raise Malformed(
        f"has no question ({', '.join(_QUESTIONS)}) with an answer ({', '.join(_ANSWERS + _GOLDS)}); "
        f"its fields are: {', '.join(map(str, row)) or 'none'}"
    )


def _gsm8k(row: dict[str, Any]) -> tuple[str, str, str]:
    working, mark, gold = _text(row, "answer").rpartition("####")
    if not mark or not gold.strip():
        raise Malformed("has an answer without '####' and a number at its end")
    return _text(row, "question"), _MARK.sub("", working).strip(), gold.strip()


def _svamp(row: dict[str, Any]) -> tuple[str, str, str]:
    gold = _text(row, "Answer")
    return _body_and_question(row), _equation(_text(row, "Equation"), gold), gold


def _asdiv(row: dict[str, Any]) -> tuple[str, str, str]:
    gold = re.sub(r"\s*\([^()]*\)", "", _text(row, "Answer")).strip()
    return _body_and_question(row), _text(row, "Formula"), gold


def _multiarith(row: dict[str, Any]) -> tuple[str, str, str]:
    equations, solutions = row["lEquations"], row["lSolutions"]
    if not (isinstance(equations, list) and isinstance(solutions, list) and equations and solutions):
        raise Malformed("has no list of equations and solutions")
    gold = _text({"lSolutions": solutions[0]}, "lSolutions")
    return _text(row, "sQuestion"), _equation(str(equations[0]), gold), gold


def _aqua(row: dict[str, Any]) -> tuple[str, str, str]:
    options = row["options"]
    if not (isinstance(options, list) and options and all(isinstance(option, str) for option in options)):
        raise Malformed("has no list of options")
    gold = _text(row, "correct")
    if gold not in {option[:1] for option in options}:
        raise Malformed(f"names the option {gold!r}, which it does not have")
    return f"{_text(row, 'question')} Options: {', '.join(options)}", _text(row, "rationale"), gold


def _plain(row: dict[str, Any]) -> tuple[str, str, str]:
    question = next((name for name in _QUESTIONS if name in row), _QUESTIONS[0])
    answer = next((name for name in _ANSWERS if name in row), None)
    stated = next((name for name in _GOLDS if name in row), None)
    if answer is None and stated is None:
        raise Malformed(f"has no answer: one of {', '.join(_ANSWERS + _GOLDS)}")
    working = _MARK.sub("", _text(row, answer)) if answer else ""
    final = _FINAL.fullmatch(working)
    gold = final[2] if final else working if _SHORT.fullmatch(working) else ""
    rationale = final[1].strip() if final else "" if gold else working
    return _text(row, question), rationale, _text(row, stated) if stated else gold


def _text(row: dict[str, Any], name: str) -> str:
    """A field as text; of whole numbers without ".0"."""
    value = row.get(name)
    if isinstance(value, float) and math.isfinite(value):
        return str(int(value) if value.is_integer() else value)
    text = rows.text_of(value)
    if text is None:
        raise Malformed(f"has no text or number {name!r} but {value!r:.40}")
    return text


def _body_and_question(row: dict[str, Any]) -> str:
    """Body and question; many bodies lack their full stop."""
    body, question = _text(row, "Body"), _text(row, "Question")
    return f"{body}{'' if not body or body[-1] in '.?!,;:' else '.'} {question}".strip()


def _equation(equation: str, gold: str) -> str:
    """ "(32 + 42) - 35 = 39." of "X=((32.0+42.0)-35.0)"."""
    plain = re.sub(r"\.0\b|\s|^X=", "", equation)
    if re.fullmatch(r"\((?:[^()]|\([^()]*\))*\)", plain):  # one pair of brackets around it all
        plain = plain[1:-1]
    return re.sub(r"(?<=[\d)])([-+*/])", r" \1 ", plain) + f" = {gold}."


KINDS: dict[str, tuple[tuple[str, ...], Callable[[dict[str, Any]], tuple[str, str, str]]]] = {
    "asdiv": (("Body", "Question", "Answer", "Formula"), _asdiv),
    "svamp": (("Body", "Question", "Answer", "Equation"), _svamp),
    "multiarith": (("sQuestion", "lEquations", "lSolutions"), _multiarith),
    "aqua": (("question", "options", "rationale", "correct"), _aqua),
    "gsm8k": (("question", "answer"), _gsm8k),
    "plain": ((), _plain),
}
