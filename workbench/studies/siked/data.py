"""What the students of 08_siked learn and are asked, and that no question stands on both sides."""

import difflib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from workbench.corpora.loaders.problems import FileProblem, load_problems
from workbench.corpora.loaders.solutions import STRATEGIES, Rationale, load_rationales
from workbench.corpora.problems import Problem, draw
from workbench.engine import loading
from workbench.errors import UserError
from workbench.measures.answers.grading import grade
from workbench.measures.vocabulary import words
from workbench.studies.common.contamination import contamination_report
from workbench.studies.common.word_problems import StudentConfig, two_steps
from workbench.studies.siked import method
from workbench.studies.siked import teacher as siked_teacher
from workbench.studies.siked.method import DistillConfig
from workbench.studies.siked.mixing import check, first_correct
from workbench.studies.siked.solving import Question


@dataclass(frozen=True)
class Sizes:
    """How much is learnt and asked.

    Attributes:
        course: of the base (`students`).
        lesson: of every student.
        train: questions to learn from.
        held_out: training questions that choose the round.
        asked: test questions of each kind.
        seeds: repetitions.
    """

    course: StudentConfig
    lesson: DistillConfig
    train: int
    held_out: int
    asked: int
    seeds: int


LONG = 512  # tokens, at least, that a question and its solution may fill where they come from files
FEWEST = 4  # questions to learn from: one of them is held out

SIZES = {
    "tiny": Sizes(StudentConfig("tiny:0.3M", 800, 0, 16, 0, largest=10, n_words=5),
                  DistillConfig(3, 3, 2, 4, context=160, least_gain=-0.1), 160, 50, 250, 3),
    "small": Sizes(StudentConfig("tiny:1M", 4_000, 0, 32, 0), DistillConfig(8, 4, 3, 10, 32), 1_000, 200, 1_000, 4),
    "paper": Sizes(StudentConfig("tiny:28M", 20_000, 0, 64, 0), DistillConfig(3, 3, 4, 10, 8, 1024, 2e-4),
                   6_700, 700, 1_319, 3),
}  # fmt: skip


def sizes(params: Any) -> Sizes:
    """The profile's sizes; `iterations` and `samples` replace what they name.

    Questions and solutions of files are longer than the grammar's: they get rows of `LONG` tokens or more, as
    many tokens a step, and half of that for a solution.

    Raises:
        UserError: no iterations or samples, or alpha and mixture do not go together.
    """
    chosen = SIZES[params.profile]
    named = {"rounds": params.iterations, "samples": params.samples}
    given = {name: value for name, value in named.items() if value is not None}
    if given and min(given.values()) < 1:
        raise UserError("iterations and samples must be 1 or more.")
    check(params.mixture, params.alpha)
    course, lesson = chosen.course, chosen.lesson
    if params.data != "embedded":
        context = max(lesson.context, LONG)
        course = replace(course, context=context)
        batch_size = lesson.batch_size * lesson.context // context
        lesson = replace(lesson, context=context, batch_size=batch_size, max_new_tokens=context // 2)
    lesson = replace(lesson, tuning=params.tuning, restart=params.restart, **given)
    return replace(chosen, course=course, lesson=lesson)


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


def task(params: Any, sizes: Sizes, folder: Path) -> Task:
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
        loading.check(params.model)
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
    compared = contamination_report(asked, [question.text for question in read.questions])
    n_held = min(sizes.held_out, len(read.questions) // FEWEST)
    learnt, kept_back = read.questions[: len(read.questions) - n_held], read.questions[-n_held:]
    found = read.solutions
    if found is None:
        asking = {"samples": sizes.lesson.samples, "seed": params.seed, "device": params.device}
        found = siked_teacher.solutions(params.teacher, learnt, folder, **asking)
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


def _embedded(params: Any, n: int, sizes: Sizes) -> _Read:
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
    solutions = method.solver_solutions(drawn) if params.teacher == "embedded" else None
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
    scorable = [each for each in problems if grade("", each.gold).verdict != "unscorable"]
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
    if found.n_unmatched:
        notes.append(f"solutions of the teacher to other questions: {found.n_unmatched:,}")
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
