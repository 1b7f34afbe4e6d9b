"""Word problems from outside: GSM8K, SVAMP, MultiArith, ASDiv, AQuA, MATH, and rows of question and answer.

A file's kind is recognised by the fields of its first row (each kind in `KINDS`, capitals do not count), or
named before the path: "gsm8k:PATH". Files are of the formats of `rows`, ASDiv's .xml, a folder of them, or a
hub data set. What stands beside a question and belongs to it (body, passage, input …) is joined to it.
"""

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from workbench.corpora.loaders import rows
from workbench.corpora.loaders.fields import INPUT, QUESTIONS, is_there, lowered, question_of, text
from workbench.corpora.loaders.formats import opened
from workbench.corpora.loaders.rows import Malformed
from workbench.errors import UserError
from workbench.measures.answers.extraction import braced
from workbench.sources import Source

_ANSWERS = ("answer", "completion", "solution", "output", "response")
_GOLDS = ("gold", "final_answer", "final_ans", "expected_answer", "answer_number")
_WORKINGS = ("rationale", "reasoning", "chain_of_thought", "cot")
_ABOUT_MATH = ("level", "subject", "type")
_IDS = ("id", "iindex", "unique_id")
_MARK = re.compile(r"<<[^<>]*>>")  # GSM8K's calculator marks, <<48/2=24>>
_FINAL = re.compile(r"####|\b[Tt]he answer is\b:?")
_SHORT = re.compile(r"[-+$\d.,/%]+|\(?[A-E]\)?|\\text\{[^{}]+\}")  # an answer without any working
_BOXED = re.compile(r"\\f?box(?=\s*\{)|\\f?boxed(?![A-Za-z])")
_LONGEST_ANSWER = 200  # characters of an answer that stands beside its working
_LONGEST_XML = 64 << 20  # characters, read at once


@dataclass(frozen=True)
class FileProblem:
    """One problem of a file."""

    id: str  #: the row's own, else the file's name and the row's number
    question: str  #: the text, with the options of a multiple choice
    rationale: str  #: the working without the final answer; an equation where the file has no more; or ""
    #: the final answer as the file writes it (51.0 becomes "51"), or "" where it names none; MATH's in LaTeX.
    gold: str
    kind: str = ""  #: "math" of MATH's problems, whose gold answers are formulas
    level: str = ""  #: of difficulty, where the file names it: "1" of "Level 1"
    subject: str = ""  #: such as "Prealgebra", where the file names it

    @property
    def completion(self) -> str:
        """The rationale, then "The answer is GOLD."."""
        return " ".join(
            part for part in (self.rationale, self.gold and f"The answer is {self.gold}.") if part
        )


def load_problems(spec: str, limit: int | None = None, default: str = "train") -> list[FileProblem]:
    """The problems of files, folders or hub data sets, in their order.

    What a second file repeats word for word is read once (a snapshot beside its cache, say).

    Args:
        spec: paths or `org/name` (see `workbench.sources`), with a kind of `KINDS` before it or not.
        limit: read this many at most.
        default: split of a folder or hub data set that names none; "test" for what is only asked.

    Raises:
        UserError: nothing there, a kind that is not known, or a malformed row, with its number.
    """
    rows.check_limit(limit, "problems")
    problems: list[FileProblem] = []
    first_file: dict[Any, str] = {}
    for source in rows.parsed(spec, KINDS):
        for where, problem in islice(_problems(source, limit, default), limit):
            content = (source, problem.question, problem.rationale, problem.gold)
            file = where.rsplit(" ", 2)[0]
            if first_file.setdefault(content, file) == file:
                problems.append(problem)
    if not problems:
        raise UserError(f"{spec} holds no problem.")
    return problems[:limit]


def _problems(source: Source, limit: int | None, default: str) -> Iterator[tuple[str, FileProblem]]:
    kind = source.kind
    for where, entries in _rows(source, limit, default):
        with rows.checked(where, entries):
            row = lowered(entries)
            if kind is None:
                kind = _recognise(row, entries)
            fields, parse = KINDS[kind]
            if missing := [name for name in fields if name.lower() not in row]:
                raise Malformed(f"has no {' and no '.join(missing)}, as {kind} has")
            problem = parse(row)
            if not problem.question:
                raise Malformed("has an empty question")
            stated = next((row[name] for name in _IDS if row.get(name) not in (None, "")), None)
            name = _name(where) if stated is None else rows.name_of(stated, "an id")
        yield where, replace(problem, id=name)


def _rows(source: Source, limit: int | None, default: str) -> Iterator[tuple[str, Any]]:
    path = Path(source.name).expanduser()
    if path.suffix.lower() == ".xml" and path.is_file():
        yield from _xml(path)
    else:
        yield from rows.of_one(source, limit, default=default)


def _xml(path: Path) -> Iterator[tuple[str, Any]]:
    try:
        with opened(path) as file:
            content = file.read(_LONGEST_XML + 1)
        if len(content) > _LONGEST_XML:
            raise UserError(f"{path} is longer than {_LONGEST_XML:,} characters: split it.")
        problems = ElementTree.fromstring(content).iter("Problem")
    except (ElementTree.ParseError, ValueError) as error:  # a ValueError of an encoding that is not known
        raise UserError(f"{path} is not XML: {error}.") from error
    for number, problem in enumerate(problems, start=1):
        fields = {part.tag: part.text or "" for part in problem}
        yield f"{path} problem {number}", {**problem.attrib, **fields}


def _name(where: str) -> str:
    """ "train:12" of "folder/train.jsonl line 12"."""
    path, _, number = where.rsplit(" ", 2)
    return f"{Path(path).name.split('.')[0]}:{number}"


def _recognise(row: dict[str, Any], entries: Mapping[str, Any]) -> str:
    for kind, (fields, _) in KINDS.items():
        if fields and {name.lower() for name in fields} <= row.keys() and _fits(kind, row):
            return kind
    asked = any(name in row for name in (*QUESTIONS, INPUT))
    if asked and any(name in row for name in _ANSWERS + _GOLDS):
        return "plain"
    raise Malformed(
        f"has no question ({', '.join(QUESTIONS)}) with an answer ({', '.join(_ANSWERS + _GOLDS)}); "
        f"its fields are: {', '.join(map(str, entries))[:300] or 'none'}"
    )


def _fits(kind: str, row: dict[str, Any]) -> bool:
    if kind == "gsm8k":
        return "####" in str(row["answer"])
    boxed = kind == "math" and _BOXED.search(str(row["solution"])) is not None
    return kind != "math" or boxed or any(name in row for name in _ABOUT_MATH)


# ------------------------------------------------------------------------------- kinds of rows
def _gsm8k(row: dict[str, Any]) -> FileProblem:
    working, mark, gold = text(row, "answer").rpartition("####")
    if not mark or not gold.strip():
        raise Malformed("has an answer without '####' and a number at its end")
    return FileProblem("", question_of(row), _MARK.sub("", working).strip(), gold.strip())


def _svamp(row: dict[str, Any]) -> FileProblem:
    gold = text(row, "answer")
    return FileProblem("", question_of(row), _equation(text(row, "equation"), gold), gold)


def _asdiv(row: dict[str, Any]) -> FileProblem:
    gold = " ".join(re.sub(r"\([^()]*\)", "", text(row, "answer")).split())
    return FileProblem("", question_of(row), text(row, "formula"), gold)


def _multiarith(row: dict[str, Any]) -> FileProblem:
    equations, solutions = row["lequations"], row["lsolutions"]
    if not (isinstance(equations, list) and isinstance(solutions, list) and equations and solutions):
        raise Malformed("has no list of equations and solutions")
    gold = text({"lSolutions": solutions[0]}, "lSolutions")
    return FileProblem("", question_of(row, ("squestion",)), _equation(str(equations[0]), gold), gold)


def _aqua(row: dict[str, Any]) -> FileProblem:
    options = row["options"]
    if not (isinstance(options, list) and options and all(isinstance(option, str) for option in options)):
        raise Malformed("has no list of options")
    gold = text(row, "correct")
    if gold not in {option[:1] for option in options}:
        raise Malformed(f"names the option {gold!r:.40}, which it does not have")
    question = question_of(row, ("question",), used=("options",))
    return FileProblem("", f"{question} Options: {', '.join(options)}", text(row, "rationale"), gold)


def _math(row: dict[str, Any]) -> FileProblem:
    solution = text(row, "solution")
    gold = text(row, "answer") if is_there(row, "answer") else last_boxed(solution)
    subject = next((text(row, name) for name in ("subject", "type") if is_there(row, name)), "")
    level = re.sub(r"(?i)^level\s+", "", text(row, "level")) if is_there(row, "level") else ""
    return FileProblem("", question_of(row), solution, gold, "math", level, subject)


def _plain(row: dict[str, Any]) -> FileProblem:
    stated = next((text(row, name) for name in _GOLDS if is_there(row, name)), None)
    working, answer = _working_and_answer(row)
    if working is None and stated is None:
        raise Malformed(f"has no answer: one of {', '.join(_ANSWERS + _GOLDS)}")
    rationale, gold = _parted(_MARK.sub("", working or ""))
    rationale = rationale or next((text(row, name) for name in _WORKINGS if is_there(row, name)), "")
    gold = next((one for one in (stated, answer) if one is not None), gold)
    return FileProblem("", question_of(row), rationale, gold)


def _working_and_answer(row: dict[str, Any]) -> tuple[str | None, str | None]:
    """The working, and the answer where a second field has it alone."""
    texts = {name: text(row, name) for name in _ANSWERS if name in row and (is_there(row, name))}
    if not texts and (name := next((name for name in _ANSWERS if row.get(name) is not None), None)):
        return text(row, name), None
    different = list(dict.fromkeys(texts.values()))
    if len(different) < 2:
        return (different[0] if different else None), None
    short, long = sorted(different[:2], key=len)
    if len(different) > 2 or len(short) > _LONGEST_ANSWER or "\n" in short:
        raise Malformed(f"has {' and '.join(texts)}, each of which may be the answer: rename all but one")
    return long, short


def _parted(working: str) -> tuple[str, str]:
    """Rationale and final answer: behind the last "####" or "The answer is", boxed, or the whole if short."""
    marks = list(_FINAL.finditer(working))
    final = working[marks[-1].end() :].strip() if marks else ""
    if final and "\n" not in final:
        return working[: marks[-1].start()].strip(), final.removesuffix(".").strip() or final
    if gold := last_boxed(working):
        return working, gold
    return ("", working) if _SHORT.fullmatch(working) else (working, "")


def last_boxed(solution: str) -> str:
    r"""What stands in the last `\boxed{…}` of a solution, braces within it too; "" if it has none."""
    boxes = list(_BOXED.finditer(solution))
    return braced(solution, boxes[-1].end())[0].strip() if boxes else ""


def _equation(equation: str, gold: str) -> str:
    """ "(32 + 42) - 35 = 39." of "X=((32.0+42.0)-35.0)"."""
    plain = re.sub(r"\.0\b|\s|^X=", "", equation)
    if re.fullmatch(r"\((?:[^()]|\([^()]*\))*\)", plain):  # one pair of brackets around it all
        plain = plain[1:-1]
    return re.sub(r"(?<=[\d)])([-+*/])", r" \1 ", plain) + f" = {gold}."


KINDS: dict[str, tuple[tuple[str, ...], Callable[[dict[str, Any]], FileProblem]]] = {
    "asdiv": (("Body", "Question", "Answer", "Formula"), _asdiv),
    "svamp": (("Body", "Question", "Answer", "Equation"), _svamp),
    "multiarith": (("sQuestion", "lEquations", "lSolutions"), _multiarith),
    "aqua": (("question", "options", "rationale", "correct"), _aqua),
    "math": (("problem", "solution"), _math),
    "gsm8k": (("question", "answer"), _gsm8k),
    "plain": ((), _plain),
}
