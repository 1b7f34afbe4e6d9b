"""What the students of 08_siked learn and are asked, and that no question stands on both sides."""

import difflib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from workbench.corpora.problem_files import FileProblem, load_problems
from workbench.corpora.problems import Problem, draw
from workbench.corpora.rationales import STRATEGIES, Rationale, load_rationales
from workbench.engine import models
from workbench.errors import UserError
from workbench.measures.answers import judge
from workbench.measures.vocabulary import words
from workbench.studies import siked, teachers
from workbench.studies.arithmetic_task import apart
from workbench.studies.mixing import first_correct
from workbench.studies.solving import Question
from workbench.studies.students import two_steps

if TYPE_CHECKING:
    from workbench.studies.rounds import Sizes

FEWEST = 4  # questions to learn from: one of them is held out


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


@dataclass(frozen=True)
class _Read:
    """Questions to learn from and to be asked; solutions, or None where a sampler has still to write them."""

    questions: list[Question]
    tests: dict[str, list[Question]]
    solutions: list[Rationale] | None
    notes: list[str]


def task(params: Any, sizes: "Sizes", folder: Path) -> Task:
    """Questions and the teacher's solutions: the embedded solver's, those of files, or a sampler's.

    Args:
        params: data, teacher, model and seed.
        sizes: how many questions, and how often a sampler is asked each.
        folder: of what a sampler wrote (`teachers.solutions`).

    Raises:
        UserError: data and teacher do not go together, training and test share questions, there are too few,
            no solution of the teacher's is right, or there is no such model (before a teacher is asked).
    """
    if params.model != "embedded":
        models.check(params.model)
    n = sizes.train + sizes.held_out
    embedded = params.data == "embedded"
    read = _embedded(params, n, sizes) if embedded else _from_files(params, n, sizes.asked)
    n_tests = sum(map(len, read.tests.values()))
    if len(read.questions) < FEWEST or not n_tests:
        raise UserError(
            f"There are {len(read.questions)} questions to learn from and {n_tests} to be asked: give data "
            f"with {FEWEST} or more of the first and one of the second."
        )
    asked = [question.text for kind in read.tests.values() for question in kind]
    compared = apart(asked, [question.text for question in read.questions])
    n_held = min(sizes.held_out, len(read.questions) // FEWEST)
    learnt, kept_back = read.questions[: len(read.questions) - n_held], read.questions[-n_held:]
    found = read.solutions
    if found is None:
        asking = {"samples": sizes.lesson.samples, "seed": params.seed, "device": params.device}
        found = teachers.solutions(params.teacher, learnt, folder, **asking)
    known = {each.id for each in learnt}
    found = [each for each in found if each.id in known]
    notes = [*read.notes, *_told(found), compared]
    return Task(first_correct(found, "teacher"), learnt, kept_back, read.tests, notes)


def _told(found: Sequence[Rationale]) -> list[str]:
    """How many of the teacher's solutions are right, and which strategies it cannot teach."""
    n = Counter(each.strategy for each in found)
    right = Counter(each.strategy for each in found if each.verdict == "correct")
    counts = ", ".join(f"{name} {right[name]:,} of {n[name]:,}" for name in STRATEGIES)
    if not right:
        raise UserError(f"No solution of the teacher's is right ({counts}): choose another teacher.")
    notes = [f"right solutions of the teacher: {counts}"]
    if missing := [name for name in STRATEGIES if not right[name]]:
        notes.append(f"none is right in {' and '.join(missing)}, so students learn the rest")
    if idle := sum(each.verdict == "not run" for each in found):
        notes.append(f"programs not run because no sandbox works here: {idle:,}")
    return notes


def _in_files(teacher: str) -> bool:
    """Whether the teacher's solutions are in files; a file that nothing calls solutions is refused."""
    scheme, colon, _ = teacher.partition(":")
    if colon and scheme == "rationales":
        return True
    if Path(teacher).is_file() or difflib.get_close_matches(scheme, ["rationales"]):
        raise UserError(f"{teacher!r} is no sampler: solutions in files are named rationales:PATH.")
    return False


# ------------------------------------------------------------------------------- the grammar
def kinds(of_base: bool) -> list[str]:
    """Templates of two steps: those of every third scenario, which the base has read, or the others."""
    known = set(sorted({_scenario(name) for name in two_steps()})[::3])
    return [name for name in two_steps() if (_scenario(name) in known) == of_base]


def _scenario(template: str) -> str:
    return template.partition("/")[0]


def _embedded(params: Any, n: int, sizes: "Sizes") -> _Read:
    if _in_files(params.teacher):
        raise UserError(
            "data and teacher go together: solutions of a file need its questions, such as data=svamp:PATH."
        )
    how = {"largest": sizes.course.largest, "n_words": sizes.course.n_words}
    drawn = draw(n, params.seed, templates=kinds(of_base=False), **how)
    known = {each.question for each in drawn}
    asked = {"familiar": kinds(of_base=False), "unseen": two_steps(held_out=True)}
    tests = {
        name: [_question(each)
               for each in draw(2 * sizes.asked, params.seed + 1, templates=names, **how)
               if each.question not in known][:sizes.asked]
        for name, names in asked.items()
    }  # fmt: skip
    solutions = siked.taught(drawn) if params.teacher == "embedded" else None
    return _Read([_question(each) for each in drawn], tests, solutions, [])


def _question(problem: Problem | FileProblem) -> Question:
    gold = problem.answer if isinstance(problem, Problem) else problem.gold
    return Question(problem.id, problem.question, str(gold))


# ------------------------------------------------------------------------------- files
def _from_files(params: Any, n: int, asked: int) -> _Read:
    """What the teacher's files solve in each of their strategies is for training, the rest for the test.

    A sampler solves any: then the first `n` of the shuffled questions are for training.
    """
    if params.teacher == "embedded":
        raise UserError(
            "data and teacher go together: the embedded solver knows only its own questions, so name a "
            "teacher for these, rationales:PATH or a sampler such as transformers:FOLDER."
        )
    problems = load_problems(params.data)
    name, times = Counter(each.id for each in problems).most_common(1)[0]
    if times > 1:
        raise UserError(f"{times} questions of the data have the id {name!r}: give each its own, or none.")
    scorable = [each for each in problems if judge("", each.gold).verdict != "unscorable"]
    notes = _left_out(len(problems) - len(scorable), "their answer is no number")
    order = np.random.default_rng(params.seed).permutation(len(scorable))
    if not _in_files(params.teacher):
        fresh = {" ".join(words(scorable[at].question)): scorable[at] for at in order}
        notes += _left_out(len(scorable) - len(fresh), "they stand in the data twice")
        shuffled = [_question(each) for each in fresh.values()]
        return _Read(shuffled[:n], {"the others": shuffled[n : n + asked]}, None, notes)
    paths = params.teacher.removeprefix("rationales:").split(",")
    if not all(paths):
        raise UserError(f"{params.teacher!r} names an empty path: write rationales:PATH or rationales:A,B.")
    found = load_rationales(paths, scorable)
    if found.n_foreign:
        notes.append(f"solutions of the teacher to other questions: {found.n_foreign:,}")
    strategies = {each.strategy for each in found.rationales}
    solved = set.intersection(
        *({each.id for each in found.rationales if each.strategy == name} for name in strategies)
    )
    shuffled = [_question(scorable[at]) for at in order]
    own = [each for each in shuffled if each.id in solved]
    others = [each for each in shuffled if each.id not in solved]
    if not others:
        raise UserError("The teacher solved every problem of the data: none is left to test on.")
    return _Read(own[:n], {"the others": others[:asked]}, found.rationales, notes)


def _left_out(n: int, which: str) -> list[str]:
    return [f"questions left out because {which}: {n:,}"] if n else []
