"""What the students of 08_siked learn and are asked, and that no question stands on both sides."""

import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import pandas as pd

from workbench.corpora.loaders.solutions import STRATEGIES, Rationale
from workbench.engine import loading
from workbench.errors import UserError
from workbench.sources import SOLUTIONS
from workbench.studies.common.contamination import contamination_report
from workbench.studies.common.profiles import REAL
from workbench.studies.siked import embedded, given
from workbench.studies.siked.embedded import Course
from workbench.studies.siked.method import DistillConfig
from workbench.studies.siked.mixing import Mixture, first_correct
from workbench.studies.siked.plans import plans
from workbench.studies.siked.solving import Question
from workbench.studies.siked.teacher import sampled_solutions, solver_solutions

CONTROL, LONGER, SIKED, ON_POLICY = "combined", "combined, longer", "SIKeD", "on-policy distillation"
GIVEN = "as given"  # the model before it learns, asked without a tag
BIASED = {f"biased to {name}": name for name in STRATEGIES}
STUDENTS = (CONTROL, LONGER, SIKED, "off-policy", "self only", ON_POLICY)
SIDE_STUDENTS = ("all", *STRATEGIES, *BIASED)
APART = 10_000  # seeds between those of a placebo's trainings and those whose questions they are asked


@dataclass(frozen=True)
class Sizes:
    """How much is learnt and asked."""

    course: Course  #: of the base
    lesson: DistillConfig  #: of every student
    train: int  #: questions to learn from
    held_out: int  #: training questions that nothing is learnt from: gates, and the choice among arms
    n_test: int  #: test questions of each kind
    seeds: int  #: trainings of each student
    side_seeds: int = 0  #: trainings of each of the `side` students
    students: tuple[str, ...] = STUDENTS  #: who is taught, and asked the test
    side: tuple[str, ...] = SIDE_STUDENTS  #: and who for the smaller questions
    coverage: float = 0.7  #: share of questions and strategies that the embedded teacher solves
    guide: Course | None = None  #: of the model whose probabilities `ON_POLICY` learns from


LONG = 512  # tokens, at least, that a question and its solution may fill where they come from files
FEWEST = 4  # questions to learn from: one of them is held out (see `check`)
REAL_RATES = {"lora": 1e-3, "full": 1e-4}  # of a given model that makes few steps

SIZES = {
    "quick": Sizes(Course("tiny:0.3M", 580, 8, 192, 10, 5, 3000, hidden_size=56, moves=(3,)),
                   DistillConfig(8, 2, 1, 3, 4, 192, max_new_tokens=64), 60, 30, 40, 1,
                   students=(CONTROL, LONGER, SIKED), side=()),
    "laptop": Sizes(Course("tiny:0.3M", 1000, 8, 192, 10, 5, hidden_size=56, moves=(3,)),
                    DistillConfig(5, 2, 3, 5, 4, 192, max_new_tokens=64), 100, 40, 120, 12, 5,
                    side=(*STRATEGIES, *BIASED),
                    guide=Course("tiny:0.3M", 850, 8, 192, 10, 5, 1500, hidden_size=96, moves=(3,))),
    "paper": Sizes(Course("tiny:28M", 20_000, 64, 1024),
                   DistillConfig(3, 3, 3, 10, 8, 1024, 2e-4, max_new_tokens=160), 6_700, 700, 1_319, 12, 5,
                   guide=Course("tiny:33M", 20_000, 64, 1024)),
    REAL: Sizes(Course("tiny:0.3M", 580, 2, 384),
                DistillConfig(2, 1, 1, 2, 1, 384, max_new_tokens=128), 20, 6, 32, 1,
                students=(GIVEN, CONTROL, LONGER, SIKED), side=()),
}  # fmt: skip


@dataclass(frozen=True)
class Plan:
    """What the notebook's parameters of the same names ask for, and the sizes that they choose."""

    sizes: Sizes
    data: str
    test: str | None
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

    @property
    def side_seeds(self) -> range:
        """Of the trainings of each side student."""
        return self.seeds[: self.sizes.side_seeds]


def plan(params: Any) -> Plan:
    """What the parameters ask for: the profile's sizes, with `iterations` and `samples` in their place.

    Questions and solutions of files are longer than the embedded ones: they get rows of `LONG` tokens or
    more, as many tokens a step, and half of that for a solution.

    At `real-laptop` word problems take the place of the house, which no given model knows.
    """
    real = params.profile == REAL
    sizes = SIZES[params.profile]
    seeds = params.seeds or sizes.seeds
    sizes = replace(sizes, seeds=seeds, side_seeds=min(seeds, sizes.side_seeds))
    replaced = {"rounds": params.iterations, "samples": params.samples}
    replaced = {name: value for name, value in replaced.items() if value is not None}
    course, lesson = sizes.course, sizes.lesson
    if real:
        lesson = replace(lesson, learning_rate=REAL_RATES[params.tuning])
    elif params.data not in embedded.TASKS:
        context = max(lesson.context, LONG)
        course = replace(course, context=context)
        batch_size = max(1, lesson.batch_size * lesson.context // context)
        lesson = replace(lesson, context=context, batch_size=batch_size, max_new_tokens=context // 2)
    lesson = replace(lesson, tuning=params.tuning, restart=params.restart, **replaced)
    named = {field.name: getattr(params, field.name) for field in fields(Plan)[1:]}
    if real and params.data == "logic":
        named["data"] = "embedded"
    return Plan(replace(sizes, course=course, lesson=lesson), **named)


@dataclass(frozen=True)
class Task:
    """What there is to learn and to be asked in the trainings of a seed."""

    teacher: pd.DataFrame  #: correct solutions of the training questions
    train: list[Question]  #: questions
    held_out: list[Question]  #: questions of the same kind that nothing is learnt from
    tests: dict[str, list[Question]]  #: questions by kind
    notes: list[str]  #: what was noticed, such as how many solutions of the teacher were wrong


def tasks(folder: Path, plan: Plan) -> dict[int, Task]:
    """The task of each seed: questions, teacher's solutions and tests of its own where they are embedded.

    Files' questions, and what a sampler has to be asked for, are the same for all seeds.

    Args:
        folder: of what a sampler wrote (`teacher.sampled_solutions`).
        plan: where questions and solutions come from, and how many are read.

    Raises:
        UserError: as `task`.
    """
    if plan.data in embedded.TASKS and plan.teacher == "embedded":
        return {seed: task(folder, plan, seed) for seed in plan.seeds}
    return dict.fromkeys(plan.seeds, task(folder, plan, plan.seed))


def task_of(tasks: Mapping[int, Task], seed: int) -> Task:
    """The task of a training; in a placebo run its seed is far from that of its questions."""
    return tasks[min(tasks) + (seed - min(tasks)) % APART]


def task(folder: Path, plan: Plan, seed: int) -> Task:
    """Questions and the teacher's solutions: the embedded solver's, those of files, or a sampler's.

    Raises:
        UserError: training and test share questions, there are too few, no solution of the teacher's is right
            or takes a valid path, or the model cannot be used (before a teacher is asked).
    """
    sizes = plan.sizes
    if plan.model != "embedded":
        loading.read_config(plan.model)
    in_files = plan.teacher.partition(":")[0] in SOLUTIONS
    if plan.data in embedded.TASKS:
        questions, tests, solutions, notes = _embedded(plan, seed)
    else:
        questions, tests, solutions, notes = given.from_files(
            plan.data,
            plan.test,
            plan.teacher if in_files else None,
            seed=plan.seed,
            n=sizes.train + sizes.held_out,
            n_test=sizes.n_test,
        )
    test_questions = [question.text for group in tests.values() for question in group]
    if len(questions) < FEWEST or not test_questions:
        raise UserError(
            f"There are {len(questions)} questions to learn from and {len(test_questions)} to be "
            f"asked: give data with {FEWEST} or more of the first and one of the second."
        )
    report = contamination_report(test_questions, [question.text for question in questions])
    n_train = len(questions) - _n_held_out(sizes, len(questions))
    train, held_out = questions[:n_train], questions[n_train:]
    if solutions is None:
        solutions = sampled_solutions(
            plan.teacher, train, folder, samples=sizes.lesson.samples, seed=plan.seed, device=plan.device
        )
    ids = {question.id for question in train}
    solutions = [solution for solution in solutions if solution.id in ids]
    notes = [*notes, *_notes(solutions), report]
    taught = first_correct(solutions, "teacher")
    return Task(taught, train, held_out, tests, [*notes, *_of_plans(taught, train)])


def _n_held_out(sizes: Sizes, n: int) -> int:
    """How many of n questions, the last ones, nothing is learnt from."""
    return min(sizes.held_out, n // FEWEST)


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


def _of_plans(taught: pd.DataFrame, questions: Sequence[Question]) -> list[str]:
    """How many of the teacher's right solutions do not take a valid path; nothing where that is not known."""
    by_id = {question.id: question for question in questions}
    asked = [by_id[name] for name in taught["id"]]
    known = pd.Series(plans(asked, taught["strategy"], taught["text"])).dropna()
    if len(known) and not known.any():
        raise UserError(
            f"None of the teacher's {len(known):,} right answers comes of a valid path: take another teacher."
        )
    lucky = int((known == 0).sum())
    return [f"right answers of the teacher by a path that is not valid: {lucky:,}"] if lucky else []


def _embedded(plan: Plan, seed: int) -> given.Source:
    """Drawn questions: to learn from, held out, and tests of kinds that are taught and that are not.

    No two of these groups share the start and the moves of a question, or a template and its numbers
    (`embedded.part_of`); the kinds that are not taught have templates of their own.
    """
    sizes = plan.sizes
    embedded_task, course, n = embedded.TASKS[plan.data], sizes.course, sizes.train + sizes.held_out
    n_held_out = _n_held_out(sizes, n)
    problems = [
        *embedded.drawn(embedded_task, n - n_held_out, seed, "train", course),
        *embedded.drawn(embedded_task, n_held_out, seed, "held out", course),
    ]
    asked = {
        "familiar": embedded.drawn(embedded_task, sizes.n_test, test_seed(seed), "test", course),
        "unseen": embedded_task.draw(sizes.n_test, test_seed(seed), True, course),
    }
    tests = {kind: [embedded.question(problem) for problem in group] for kind, group in asked.items()}
    solutions = None
    if plan.teacher == "embedded":
        solutions = solver_solutions(problems, sizes.coverage, seed)
    return [embedded.question(problem) for problem in problems], tests, solutions, []


def test_seed(seed: int) -> int:
    """Of the draws that the trainings of a seed are asked."""
    return zlib.crc32(f"{seed}/test".encode())
