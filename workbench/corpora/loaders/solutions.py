"""Worked solutions of a teacher, from files: chain of thought, least-to-most, programs of thought.

Three kinds of rows are read: {instruction, output} (a chain of thought, or sub-questions with their answers;
files whose name holds "BSM" or "l2m" have the latter), {passage, question, generated, executed} (programs and
the value that they gave), and our own {question, strategy, rationale}. Each row is tied to the problem that
it solves by the words of its question; rows about other problems are counted and left out.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from workbench.corpora.loaders import rows
from workbench.corpora.loaders.problems import FileProblem
from workbench.errors import UserError
from workbench.measures.answers import lm_eval
from workbench.measures.answers.grading import grade
from workbench.measures.vocabulary import words

Strategy = Literal["cot", "l2m", "pot"]
STRATEGIES: tuple[Strategy, ...] = ("cot", "l2m", "pot")


@dataclass(frozen=True)
class Rationale:
    """One solution of one problem.

    Attributes:
        id: of the problem.
        question: its text.
        strategy: how it is solved; of a student that named none of the three "none".
        text: the solution; of "pot" a program that leaves its result in `ans`.
        gold: the right answer.
        source: who wrote it: a file's name, or a model and round.
        verdict: correct, wrong, unparsed or unscorable.
    """

    id: str
    question: str
    strategy: Strategy | Literal["none"]
    text: str
    gold: str
    source: str
    verdict: str


@dataclass(frozen=True)
class Teacher:
    """A teacher's solutions in the order of the files, and how many rows belonged to no problem."""

    rationales: list[Rationale]
    n_foreign: int


def load_rationales(
    paths: Sequence[str | Path], problems: Sequence[FileProblem], *, last_number: bool = False
) -> Teacher:
    """Every solution of `problems` in some files or folders, judged against the problem's gold answer.

    Of a program the value that the file says it gave is judged; nothing is run here.

    Args:
        paths: files or folders.
        problems: what is to be solved.
        last_number: judge texts by their last number (lm-eval's flexible rule), as published counts do, and
            not by their final answer: then "The answer is 10, not 13" is right for 13.

    Raises:
        UserError: no such file, a row of another kind (named), an empty solution, or no row that belongs to
            one of the problems.
    """
    known = {_key(problem.question): problem for problem in problems}
    found, foreign = [], 0
    for path in _files(paths):
        for question, strategy, text, answer in _read(path):
            problem = known.get(_key(question))
            if problem is None:
                foreign += 1
                continue
            lenient = last_number and strategy != "pot"
            verdict = (
                lm_eval.judge(text, problem.gold)
                if lenient
                else grade(answer, problem.gold, strategy).verdict
            )
            found.append(
                Rationale(
                    problem.id,
                    problem.question,
                    strategy,
                    text,
                    problem.gold,
                    path.name.split(".")[0],
                    verdict,
                )
            )
    if not found:
        raise UserError(
            "No solution in the teacher's files belongs to one of the problems: check both paths."
        )
    return Teacher(found, foreign)


def _key(question: str) -> str:
    return " ".join(words(question))


def _files(paths: Sequence[str | Path]) -> Iterator[Path]:
    for path in paths:
        files, hub = rows.find(str(path), rows.FORMATS)
        if hub is not None:
            raise UserError(f"There is no file or folder {path} with a teacher's solutions.")
        yield from files


def _read(path: Path) -> Iterator[tuple[str, Strategy, str, Any]]:
    """(question, strategy, solution, what is judged) of each row."""
    least_to_most = "BSM" in path.name or "l2m" in path.name.lower()
    for where, row in rows.of_file(path):
        if not isinstance(row, dict):
            raise UserError(f"{where} is no object with fields.")
        if {"passage", "question", "generated"} <= row.keys():
            text, answer = str((row["generated"] or [""])[0]).strip(), row.get("executed")
            question, strategy = f"{row['passage']} {row['question']}", "pot"
        elif {"instruction", "output"} <= row.keys():
            text = answer = str(row["output"]).strip()
            question, strategy = str(row["instruction"]), "l2m" if least_to_most else "cot"
        elif {"question", "strategy", "rationale"} <= row.keys() and row["strategy"] in STRATEGIES:
            text = str(row["rationale"]).strip()
            question, strategy, answer = str(row["question"]), row["strategy"], row.get("value", text)
        elif "demonstration" in row:  # a prompt's header, in files of programs
            continue
        else:
            raise UserError(
                f"{where} is no solution: it needs instruction and output; passage, question and generated; "
                "or question, strategy (cot, l2m, pot) and rationale."
            )
        if not text:
            raise UserError(f"{where} has an empty solution: leave the row out.")
        yield question, strategy, text, answer
