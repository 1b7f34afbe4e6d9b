"""What the students of 08_siked learn and are asked, and that no question stands on both sides."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from workbench.corpora.problem_files import FileProblem, load_problems
from workbench.corpora.problems import Problem, draw
from workbench.corpora.rationales import load_rationales
from workbench.errors import UserError
from workbench.measures.overlap import contamination
from workbench.studies import siked
from workbench.studies.mixing import first_correct
from workbench.studies.siked import Question
from workbench.studies.students import LARGEST, two_steps

GRAMS = 10  # words in a row that test questions are searched for in training


@dataclass(frozen=True)
class Task:
    """What there is to learn and to be asked.

    Attributes:
        teacher: correct solutions of the training questions.
        train: questions.
        held_out: questions of the same kind, for choosing the round.
        tests: questions by kind.
        notes: what was noticed, such as how many solutions of the teacher were wrong.
    """

    teacher: pd.DataFrame
    train: list[Question]
    held_out: list[Question]
    tests: dict[str, list[Question]]
    notes: list[str]


def task(params: Any, train: int, held_out: int, asked: int) -> Task:
    """Questions and the teacher's solutions: of the embedded grammar and its solver, or of files.

    Args:
        params: data, teacher and seed.
        train: questions to learn from.
        held_out: training questions that choose the round.
        asked: test questions of each kind.

    Raises:
        UserError: only one of data and teacher is a file, training and test share questions, or too few.
    """
    if (params.data == "embedded") != (params.teacher == "embedded"):
        raise UserError(
            "data and teacher go together: both embedded, or both files (svamp:… and rationales:…)."
        )
    if params.data != "embedded":
        return _from_files(params, train + held_out, held_out, asked)
    drawn = draw(train + held_out, params.seed, templates=two_steps(), largest=LARGEST)
    known = {each.question for each in drawn}
    kinds = {"familiar": two_steps(), "unseen": two_steps(held_out=True)}
    tests = {
        name: [each for each in draw(2 * asked, params.seed + 1, templates=kind, largest=LARGEST)
               if each.question not in known][:asked]
        for name, kind in kinds.items()
    }  # fmt: skip
    teacher = first_correct(siked.taught(drawn[:train]), "teacher")
    questions = [_question(each) for each in drawn]
    kinds = {name: [_question(each) for each in kind] for name, kind in tests.items()}
    return _checked(teacher, questions, kinds, held_out, [])


def _question(problem: Problem | FileProblem) -> Question:
    gold = problem.answer if isinstance(problem, Problem) else problem.gold
    return Question(problem.id, problem.question, str(gold))


def _from_files(params: Any, taught: int, held_out: int, asked: int) -> Task:
    """Questions that the teacher solved are for training, the others of the file for the test."""
    problems = load_problems(params.data)
    path = params.teacher.removeprefix("rationales:")
    found = load_rationales(path.split(","), problems)
    solved = {each.id for each in found.rationales}
    right = sum(each.verdict == "correct" for each in found.rationales)
    notes = [f"{right:,} of {len(found.rationales):,} solutions of the teacher are right"]
    if found.n_foreign:
        notes.append(f"{found.n_foreign:,} are of other questions")
    own = [_question(each) for each in problems if each.id in solved]
    others = [_question(each) for each in problems if each.id not in solved]
    if not others:
        raise UserError("The teacher solved every problem of the data: none is left to test on.")
    rng = np.random.default_rng(params.seed)
    own = [own[at] for at in rng.permutation(len(own))][:taught]
    others = [others[at] for at in rng.permutation(len(others))][:asked]
    return _checked(first_correct(found.rationales, "teacher"), own, {"the others": others}, held_out, notes)


def _checked(
    teacher: pd.DataFrame,
    questions: list[Question],
    tests: dict[str, list[Question]],
    held_out: int,
    notes: list[str],
) -> Task:
    asked = [each.text for kind in tests.values() for each in kind]
    shared, alike = contamination(asked, [each.text for each in questions], GRAMS)
    if shared:
        raise UserError(f"Training and test share {shared} questions: take them out of one of the two.")
    notes = [*notes, f"{alike} test questions share {GRAMS} words in a row with training"]
    n_held = min(held_out, len(questions) // 4)
    train = questions[: len(questions) - n_held]
    rows = teacher[teacher["id"].isin({each.id for each in train})].reset_index(drop=True)
    return Task(rows, train, questions[len(questions) - n_held :], tests, notes)
