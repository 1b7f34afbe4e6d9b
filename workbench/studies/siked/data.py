"""What the students of 08_siked learn and are asked, and that no question stands on both sides."""

import difflib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from workbench.corpora.loaders.problems import FileProblem, load_problems
from workbench.corpora.loaders.solutions import STRATEGIES, Rationale, load_rationales
from workbench.corpora.problems import Problem, draw
from workbench.engine import loading
from workbench.errors import UserError
from workbench.measures.answers.grading import scorable
from workbench.sources import SOLUTIONS
from workbench.studies.common.contamination import contamination_report, distinct_problems
from workbench.studies.common.word_problems import StudentConfig, two_steps
from workbench.studies.siked.method import DistillConfig
from workbench.studies.siked.mixing import Mixture, check, first_correct
from workbench.studies.siked.solving import Question
from workbench.studies.siked.teacher import sampled_solutions, solver_solutions

CONTROL = "combined"
STUDENTS = (*STRATEGIES, CONTROL, "SIKeD", "off-policy", "self only")


@dataclass(frozen=True)
class Sizes:
    """How much is learnt and asked."""

    course: StudentConfig  #: of the base
    lesson: DistillConfig  #: of every student
    train: int  #: questions to learn from
    held_out: int  #: training questions that choose the round
    n_test: int  #: test questions of each kind
    seeds: int  #: trainings of each student
    students: tuple[str, ...] = STUDENTS  #: who is taught, and asked the test


LONG = 512  # tokens, at least, that a question and its solution may fill where they come from files
FEWEST = 4  # questions to learn from: one of them is held out

SIZES = {
    "quick": Sizes(StudentConfig("tiny:0.3M", 250, 0, 8, 0, largest=10, n_words=5, problems=2000),
                   DistillConfig(3, 3, 1, 3, 4, 160, least_gain=-0.1), 100, 30, 60, 1,
                   (CONTROL, "SIKeD", "self only")),
    "laptop": Sizes(StudentConfig("tiny:0.3M", 500, 0, 16, 0, largest=10, n_words=5),
                    DistillConfig(3, 3, 2, 3, 8, 160, least_gain=-0.1), 120, 40, 100, 5),
    "paper": Sizes(StudentConfig("tiny:28M", 20_000, 0, 64, 0), DistillConfig(3, 3, 4, 10, 8, 1024, 2e-4),
                   6_700, 700, 1_319, 5),
}  # fmt: skip


@dataclass(frozen=True)
class Plan:
    """What the notebook's parameters of the same names ask for, and the sizes that they choose."""

    sizes: Sizes
    data: str
    teacher: str
    model: str
    mixture: Mixture
    alpha: float | None
    bias: str
    seed: int
    device: str
    placebo: bool

    @property
    def seeds(self) -> range:
        """Of the trainings of each student."""
        return range(self.seed, self.seed + self.sizes.seeds)


def plan(params: Any) -> Plan:
    """What the parameters ask for: the profile's sizes, with `iterations` and `samples` in their place.

    Questions and solutions of files are longer than the grammar's: they get rows of `LONG` tokens or more, as
    many tokens a step, and half of that for a solution.

    Raises:
        UserError: no iterations or samples, or alpha and mixture do not go together.
    """
    sizes = SIZES[params.profile]
    sizes = replace(sizes, seeds=params.seeds or sizes.seeds)
    replaced = {"rounds": params.iterations, "samples": params.samples}
    replaced = {name: value for name, value in replaced.items() if value is not None}
    if replaced and min(replaced.values()) < 1:
        raise UserError("iterations and samples must be 1 or more.")
    check(params.mixture, params.alpha)
    course, lesson = sizes.course, sizes.lesson
    if params.data != "embedded":
        context = max(lesson.context, LONG)
        course = replace(course, context=context)
        batch_size = max(1, lesson.batch_size * lesson.context // context)
        lesson = replace(lesson, context=context, batch_size=batch_size, max_new_tokens=context // 2)
    lesson = replace(lesson, tuning=params.tuning, restart=params.restart, **replaced)
    names = [field.name for field in fields(Plan)[1:]]
    return Plan(
        replace(sizes, course=course, lesson=lesson), **{name: getattr(params, name) for name in names}
    )


@dataclass(frozen=True)
class Task:
    """What there is to learn and to be asked."""

    teacher: pd.DataFrame  #: correct solutions of the training questions
    train: list[Question]  #: questions
    held_out: list[Question]  #: questions of the same kind, for choosing the round
    tests: dict[str, list[Question]]  #: questions by kind
    notes: list[str]  #: what was noticed, such as how many solutions of the teacher were wrong


_Source = tuple[list[Question], dict[str, list[Question]], list[Rationale] | None, list[str]]
"""Questions to learn from, tests, solutions (None where a sampler has still to write them), and notes."""


def task(folder: Path, plan: Plan) -> Task:
    """Questions and the teacher's solutions: the embedded solver's, those of files, or a sampler's.

    Args:
        folder: of what a sampler wrote (`teacher.sampled_solutions`).
        plan: where questions and solutions come from, and how many are read.

    Raises:
        UserError: data and teacher do not go together, training and test share questions, there are too few,
            no solution of the teacher's is right, or there is no such model (before a teacher is asked).
    """
    sizes = plan.sizes
    if plan.model != "embedded":
        loading.read_config(plan.model)
    read = _embedded if plan.data == "embedded" else _from_files
    questions, tests, solutions, notes = read(plan)
    test_questions = [question.text for group in tests.values() for question in group]
    if len(questions) < FEWEST or not test_questions:
        raise UserError(
            f"There are {len(questions)} questions to learn from and {len(test_questions)} to be "
            f"asked: give data with {FEWEST} or more of the first and one of the second."
        )
    report = contamination_report(test_questions, [question.text for question in questions])
    n_train = len(questions) - min(sizes.held_out, len(questions) // FEWEST)
    train, held_out = questions[:n_train], questions[n_train:]
    if solutions is None:
        solutions = sampled_solutions(
            plan.teacher, train, folder, samples=sizes.lesson.samples, seed=plan.seed, device=plan.device
        )
    ids = {question.id for question in train}
    solutions = [solution for solution in solutions if solution.id in ids]
    notes = [*notes, *_notes(solutions), report]
    return Task(first_correct(solutions, "teacher"), train, held_out, tests, notes)


def _notes(solutions: Sequence[Rationale]) -> list[str]:
    """How many of the teacher's solutions are right, and which strategies it cannot teach."""
    n = Counter(solution.strategy for solution in solutions)
    right = Counter(solution.strategy for solution in solutions if solution.verdict == "correct")
    counts = ", ".join(f"{name} {right[name]:,} of {n[name]:,}" for name in STRATEGIES)
    if not right:
        raise UserError(f"No solution of the teacher's is right ({counts}): choose another teacher.")
    notes = [f"right solutions of the teacher: {counts}"]
    if missing := [name for name in STRATEGIES if not right[name]]:
        notes.append(f"none is right in {' and '.join(missing)}, so students learn the rest")
    if idle := sum(solution.verdict == "not run" for solution in solutions):
        notes.append(f"programs not run because no sandbox works here: {idle:,}")
    return notes


def _in_files(teacher: str) -> bool:
    """Whether the teacher's solutions are in files; a file that nothing calls solutions is refused."""
    scheme, colon, _ = teacher.partition(":")
    if colon and scheme in SOLUTIONS:
        return True
    if Path(teacher).is_file() or difflib.get_close_matches(scheme, ["rationales"]):
        raise UserError(f"{teacher!r} is no sampler: solutions in files are named rationales:PATH.")
    return False


def _question(problem: Problem | FileProblem) -> Question:
    gold = problem.answer if isinstance(problem, Problem) else problem.gold
    return Question(problem.id, problem.question, str(gold))


# ------------------------------------------------------------------------------- the grammar
def kinds(of_base: bool) -> list[str]:
    """Templates of two steps: those of every third scenario, which the base has read, or the others."""
    scenario = {name: name.partition("/")[0] for name in two_steps()}
    of_base_scenarios = set(sorted(set(scenario.values()))[::3])
    return [name for name in scenario if (scenario[name] in of_base_scenarios) == of_base]


def _embedded(plan: Plan) -> _Source:
    sizes, seed = plan.sizes, plan.seed
    if _in_files(plan.teacher):
        raise UserError(
            "data and teacher go together: solutions of a file need its questions, such as data=svamp:PATH."
        )
    language = {"largest": sizes.course.largest, "n_words": sizes.course.n_words}
    trained = kinds(of_base=False)
    problems = draw(sizes.train + sizes.held_out, seed, templates=trained, **language)
    known = {problem.question for problem in problems}
    tests = {}
    for kind, names in (("familiar", trained), ("unseen", two_steps(held_out=True))):
        drawn = draw(2 * sizes.n_test, seed + 1, templates=names, **language)
        fresh = [_question(problem) for problem in drawn if problem.question not in known]
        tests[kind] = fresh[: sizes.n_test]
    solutions = solver_solutions(problems) if plan.teacher == "embedded" else None
    return [_question(problem) for problem in problems], tests, solutions, []


# ------------------------------------------------------------------------------- files
def _from_files(plan: Plan) -> _Source:
    """What the teacher's files solve in each of their strategies is for training, the rest for the test.

    A sampler solves any: then the first of the shuffled questions are for training.
    """
    if plan.teacher == "embedded":
        raise UserError(
            "data and teacher go together: the embedded solver knows only its own questions, so name a "
            "teacher for these, rationales:PATH or a sampler such as transformers:FOLDER."
        )
    n, n_test = plan.sizes.train + plan.sizes.held_out, plan.sizes.n_test
    problems = load_problems(plan.data)
    name, times = Counter(problem.id for problem in problems).most_common(1)[0]
    if times > 1:
        raise UserError(f"{times} questions of the data have the id {name!r}: give each its own, or none.")
    can_be_judged = scorable([problem.gold for problem in problems])
    judged = [problem for problem, can in zip(problems, can_be_judged, strict=True) if can]
    notes = _left_out(len(problems) - len(judged), "their answer is neither a number nor a formula")
    judged, repeated = distinct_problems(judged)
    notes += repeated
    shuffled = [judged[at] for at in np.random.default_rng(plan.seed).permutation(len(judged))]
    if not _in_files(plan.teacher):
        questions = [_question(problem) for problem in shuffled]
        return questions[:n], {"the others": questions[n : n + n_test]}, None, notes
    if any(not part.strip() for part in plan.teacher.partition(":")[2].split(",")):
        raise UserError(f"{plan.teacher!r} names an empty path: write rationales:PATH or rationales:A,B.")
    loaded = load_rationales([plan.teacher], shuffled)
    if loaded.n_unmatched:
        notes.append(f"solutions of the teacher to other questions: {loaded.n_unmatched:,}")
    solved_by: dict[str, set[str]] = {}
    for solution in loaded.rationales:
        solved_by.setdefault(solution.strategy, set()).add(solution.id)
    solved = set.intersection(*solved_by.values())
    train = [_question(problem) for problem in shuffled if problem.id in solved]
    others = [_question(problem) for problem in shuffled if problem.id not in solved]
    if not others:
        raise UserError("The teacher solved every problem of the data: none is left to test on.")
    return train[:n], {"the others": others[:n_test]}, loaded.rationales, notes


def _left_out(n: int, reason: str) -> list[str]:
    return [f"questions left out because {reason}: {n:,}"] if n else []
