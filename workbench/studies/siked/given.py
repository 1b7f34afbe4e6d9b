"""Questions and solutions of files: which are learnt from, and a test of others."""

from collections import Counter
from pathlib import Path

import numpy as np

from workbench import sources
from workbench.corpora.loaders.problems import KINDS, FileProblem, load_problems
from workbench.corpora.loaders.solutions import Rationale, load_rationales
from workbench.errors import UserError
from workbench.measures.answers.grading import scorable
from workbench.studies.common.contamination import distinct_problems
from workbench.studies.siked.solving import Question

Source = tuple[list[Question], dict[str, list[Question]], list[Rationale] | None, list[str]]
"""Questions to learn from, tests by kind, solutions (None where a sampler has still to write them), notes."""


def from_files(data: str, test: str | None, teacher: str | None, *, seed: int, n: int, n_test: int) -> Source:
    """Questions of files, in random order.

    Without `test` a fifth of the questions, drawn before anybody looks who solves them, is the test. Of the
    rest those are learnt from to which the teacher has a solution in some strategy.

    Args:
        data: the questions.
        test: files of the test, by `load_problems`' names.
        teacher: files of solutions, such as "rationales:PATH"; None where a sampler will be asked.
        seed: of the order.
        n: questions to learn from, at most.
        n_test: questions of each test, at most.

    Raises:
        UserError: nothing there, a row of another kind, an id that two questions have, or no solution that
            belongs to one of the questions.
    """
    notes: list[str] = []
    problems = _read(data, seed, notes)
    if test is None:
        tested = min(n_test, len(problems) // 5)
        tests, problems = {"the others": problems[:tested]}, problems[tested:]
    else:
        tests = _tests(test, seed, notes)
    tested = {kind: [_question(one) for one in group[:n_test]] for kind, group in tests.items()}
    solutions = None
    if teacher is not None:
        loaded = load_rationales([teacher], problems)
        if loaded.n_unmatched:
            notes.append(f"solutions of the teacher to other questions: {loaded.n_unmatched:,}")
        solutions = loaded.rationales
        solved = {solution.id for solution in solutions}
        problems = [problem for problem in problems if problem.id in solved]
    return [_question(problem) for problem in problems[:n]], tested, solutions, notes


def _tests(test: str, seed: int, notes: list[str]) -> dict[str, list[FileProblem]]:
    """The problems of each test file, by a name of its own."""
    tests: dict[str, list[FileProblem]] = {}
    for source in sources.parse(test, KINDS):
        names = (source.kind, f"{source.kind or ''} {Path(source.name).stem}".strip(), str(source))
        name = next((name for name in names if name and name not in tests), None)
        if name is None:
            raise UserError(f"test names {source} twice: once is enough.")
        tests[name] = _read(str(source), seed, notes, default="test")
    return tests


def _read(spec: str, seed: int, notes: list[str], default: str = "train") -> list[FileProblem]:
    """The problems of files in random order, each question once, if an answer to it can be judged."""
    problems = load_problems(spec, default=default)
    can_be_judged = scorable([problem.gold for problem in problems])
    judged = [problem for problem, can in zip(problems, can_be_judged, strict=True) if can]
    if lacking := len(problems) - len(judged):
        notes.append(
            f"questions left out because their answer is neither a number nor a formula: {lacking:,}"
        )
    kept, repeated = distinct_problems(judged)
    notes += repeated
    if kept:
        name, times = Counter(problem.id for problem in kept).most_common(1)[0]
        if times > 1:
            raise UserError(
                f"{times} questions of the data have the id {name!r}: give each its own, or none."
            )
    return [kept[at] for at in np.random.default_rng(seed).permutation(len(kept))]


def _question(problem: FileProblem) -> Question:
    return Question(problem.id, problem.question, problem.gold)
