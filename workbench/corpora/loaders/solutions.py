"""Worked solutions of a teacher, from files: chain of thought, least-to-most, programs of thought.

Three kinds of rows are read: {instruction, output} (a chain of thought, or sub-questions with their answers;
files whose name holds "BSM" or "l2m" have the latter), {passage, question, generated, executed} (programs and
the value that they gave), and our own {question, strategy, rationale}. Each row is tied to the problem that
it solves by its question (`question_key`); rows about other problems are counted and left out.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from workbench.corpora.loaders import rows
from workbench.corpora.loaders.fields import lowered, question_of
from workbench.corpora.loaders.formats import of_file
from workbench.corpora.loaders.problems import FileProblem
from workbench.corpora.loaders.rows import Malformed
from workbench.corpora.problems import Strategy
from workbench.errors import UserError
from workbench.measures.answers.grading import grade_many
from workbench.measures.vocabulary import question_key
from workbench.sources import SOLUTIONS

STRATEGIES: tuple[Strategy, ...] = ("cot", "l2m", "pot")


@dataclass(frozen=True)
class Rationale:
    """One solution of one problem."""

    id: str  #: of the problem
    question: str  #: its text
    #: how it is solved; of a student that named none of the three "none".
    strategy: Strategy | Literal["none"]
    text: str  #: the solution; of "pot" a program that leaves its result in `ans`
    gold: str  #: the right answer
    source: str  #: who wrote it: a file's name, or a model and round
    verdict: str  #: correct, wrong, unparsed or unscorable


@dataclass(frozen=True)
class TeacherRationales:
    """A teacher's solutions in the order of the files, and how many rows belonged to no problem."""

    rationales: list[Rationale]
    n_unmatched: int


def load_rationales(paths: Sequence[str | Path], problems: Sequence[FileProblem]) -> TeacherRationales:
    """Every solution of `problems` in some files or folders, judged against the problem's gold answer.

    Of a program the value that the file says it gave is judged; nothing is run here.

    Args:
        paths: files and folders, or texts that name them, such as "rationales:A,B".
        problems: what is solved; each question once.

    Raises:
        UserError: no such file, a row of another kind (named), an empty solution, or no row that belongs to
            one of the problems.
    """
    by_question = {question_key(problem.question): problem for problem in problems}
    solved, answers, n_unmatched = [], [], 0
    for path in _files(paths):
        source = path.name.split(".")[0]
        for question, strategy, text, answer in _read(path):
            problem = by_question.get(question_key(question))
            if problem is None:
                n_unmatched += 1
                continue
            solved.append((problem.id, problem.question, strategy, text, problem.gold, source))
            answers.append((answer, problem.gold, strategy))
    if not solved:
        raise UserError(
            "No solution in the teacher's files belongs to one of the problems: check both paths."
        )
    grades = grade_many(*map(list, zip(*answers, strict=True)))
    rationales = [
        Rationale(*fields, verdict=grade.verdict) for fields, grade in zip(solved, grades, strict=True)
    ]
    return TeacherRationales(rationales, n_unmatched)


def _files(paths: Sequence[str | Path]) -> Iterator[Path]:
    for source in (source for path in paths for source in rows.parsed(str(path), SOLUTIONS)):
        files, hub = rows.find(source, rows.FORMATS)
        if hub is not None:
            raise UserError(f"There is no file or folder {source.name} with a teacher's solutions.")
        yield from files


def _read(path: Path) -> Iterator[tuple[str, Strategy, str, Any]]:
    """(question, strategy, solution, what is graded) of each row."""
    chain: Strategy = "l2m" if "BSM" in path.name or "l2m" in path.name.lower() else "cot"
    for where, row in of_file(path):
        with rows.checked(where, row):
            solution = _solution(row, chain)
            if solution and not solution[2]:
                raise Malformed("has an empty solution: leave the row out")
        if solution:
            yield solution


def _solution(entries: dict[str, Any], chain: Strategy) -> tuple[str, Strategy, str, Any] | None:
    row = lowered(entries)
    if {"passage", "question", "generated"} <= row.keys():
        listed = row["generated"] if isinstance(row["generated"], list) else [row["generated"]]
        program = str(listed[0] if listed else "").strip()
        return question_of(row, ("question",)), "pot", program, row.get("executed")
    if {"instruction", "output"} <= row.keys():
        solution = str(row["output"] or "").strip()
        return question_of(row, ("instruction",)), chain, solution, solution
    if {"question", "strategy", "rationale"} <= row.keys() and row["strategy"] in STRATEGIES:
        solution = str(row["rationale"] or "").strip()
        return question_of(row, ("question",)), row["strategy"], solution, row.get("value", solution)
    if "demonstration" in row:  # a prompt's header, in files of programs
        return None
    raise Malformed(
        "is no solution: it needs instruction and output; passage, question and generated; "
        "or question, strategy (cot, l2m, pot) and rationale"
    )
