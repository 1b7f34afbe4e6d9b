"""What the models of 07_arithmetic read and are asked: word problems, drawn or given, and exercises."""

import zlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import pandas as pd

from workbench import sources
from workbench.corpora.loaders.problems import KINDS, FileProblem, load_problems
from workbench.corpora.problems import Problem, draw, templates, twin
from workbench.errors import UserError
from workbench.measures.answers.grading import scorable
from workbench.studies.arithmetic.settings import FEWEST, Plan, Sizes
from workbench.studies.arithmetic.stages import Pair, exercises
from workbench.studies.common.contamination import contamination_report, distinct_problems

_Row = tuple[str, str, int, str, str, str]  # test, kind, steps, question, solution, gold


@dataclass(frozen=True)
class Task:
    """What there is to learn and to be asked."""

    #: all questions, columns test, kind, steps, question, solution, gold, item. Tests are "words" and "twins"
    #: (the same items with other numbers) of the kinds "familiar" and "unseen" (of held-out templates), or of
    #: a kind for each given file, which have no twins and 0 steps; and each first stage, whose kinds are
    #: cells such as "+ 2, 1", or numbers of steps.
    asked: pd.DataFrame
    given: list[Pair] | None  #: the word problems of files that may be learnt; None: they are drawn
    notes: list[str]  #: what was noticed, such as how many questions resemble one that is learnt


def task(plan: Plan) -> Task:
    """Questions and word problems: of the embedded grammar, or of files.

    Raises:
        UserError: files without enough problems, or training and test share questions.
    """
    sizes, seed = plan.sizes, plan.seed
    if plan.data != "embedded":
        rows, given, notes = _from_files(plan)
    else:
        rows, given, notes = _from_grammar(plan), None, []
    for stage in sizes.first:
        kept = {one.question: one for one in exercises(stage, seed, sizes, "test")}.values()
        rows += [(stage, one.kind, 1, one.question, one.solution, one.answer) for one in kept]
    frame = pd.DataFrame(rows, columns=["test", "kind", "steps", "question", "solution", "gold"])
    made = Task(frame.assign(item=frame.groupby(["test", "kind"]).cumcount()), given, notes)
    if given is None:
        learnt = {question for one in plan.seeds for question, _ in words(made, sizes, one)}
        asked = frame.loc[frame["test"].isin(["words", "twins"]), "question"]
        made.notes.append(contamination_report(set(asked), learnt))
    return made


def words(task: Task, sizes: Sizes, seed: int) -> list[Pair]:
    """The word problems that the trainings of a seed read; none of them is asked."""
    if task.given is not None:
        return Random(f"{seed}/words").sample(task.given, min(sizes.problems, len(task.given)))
    drawn_with, asked = zlib.crc32(f"{seed}/words".encode()), set(task.asked["question"])
    problems = draw(sizes.problems + len(asked), drawn_with, templates=_told(sizes), **_language(sizes))
    pairs = [(one.question, " " + one.rationale()) for one in problems if one.question not in asked]
    return pairs[: sizes.problems]


# ------------------------------------------------------------------------------- word problems, drawn
def _from_grammar(plan: Plan) -> list[_Row]:
    sizes, seed, rows = plan.sizes, plan.seed, []
    for number, kind in enumerate(("familiar", "unseen"), 1):
        names = _told(sizes, held_out=kind == "unseen")
        problems = draw(sizes.n_test, seed + number, templates=names, **_language(sizes))
        rows += [("words", kind, *_columns(problem)) for problem in problems]
        if sizes.twins:
            rows += [("twins", kind, *_columns(twin(problem, seed))) for problem in problems]
    return rows


def _language(sizes: Sizes) -> dict[str, Any]:
    return {"largest": sizes.largest, "n_words": sizes.n_words}


def _told(sizes: Sizes, held_out: bool = False) -> list[str]:
    """Templates in the first scenarios, and of those held out the scenario that is told in no training."""
    names = few_steps(sizes.steps, held_out)
    told = list(dict.fromkeys(map(_scenario, few_steps(sizes.steps))))[: sizes.scenarios]
    everywhere = {_scenario(name) for name in few_steps(sizes.steps)}
    return [name for name in names if _scenario(name) in told or _scenario(name) not in everywhere]


def _scenario(template: str) -> str:
    return template.partition("/")[0]


@cache
def few_steps(most: int, held_out: bool = False) -> list[str]:
    """Templates of at most so many steps."""
    return [name for name in templates(held_out) if len(draw(1, 0, templates=[name])[0].steps) <= most]


def _columns(problem: Problem) -> tuple[int, str, str, str]:
    return len(problem.steps), problem.question, problem.rationale(), str(problem.answer)


# ------------------------------------------------------------------------------- word problems, given
def _from_files(plan: Plan) -> tuple[list[_Row], list[Pair], list[str]]:
    """Those of a file, and a test of other files or of its fifth."""
    notes: list[str] = []
    problems = _read(plan.data, plan.seed, notes)
    if len(problems) < FEWEST:
        raise UserError(f"{plan.data} holds {len(problems)} problems with an answer: give {FEWEST} or more.")
    if plan.test is None:
        n_test = len(problems) // 5
        tests, problems = {"held out": problems[:n_test]}, problems[n_test:]
    else:
        tests = {}
        for source in sources.parse(plan.test, KINDS):
            names = (source.kind, f"{source.kind or ''} {Path(source.name).stem}".strip(), str(source))
            name = next((name for name in names if name and name not in tests), None)
            if name is None:
                raise UserError(f"test names {source} twice: once is enough.")
            tests[name] = _read(str(source), plan.seed, notes, default="test")
    questions = [problem.question for kind in tests.values() for problem in kind]
    notes.append(contamination_report(questions, [problem.question for problem in problems]))
    rows = [
        ("words", kind, 0, problem.question, problem.completion, problem.gold)
        for kind, tested in tests.items()
        for problem in tested[: plan.sizes.n_test]
    ]
    return rows, [(problem.question, " " + problem.completion) for problem in problems], notes


def _read(spec: str, seed: int, notes: list[str], default: str = "train") -> list[FileProblem]:
    """The problems of files in random order, each question once, if an answer to it can be judged."""
    problems, repeated = distinct_problems(load_problems(spec, default=default))
    can_be_judged = scorable([problem.gold for problem in problems])
    judged = [problem for problem, can in zip(problems, can_be_judged, strict=True) if can]
    notes += [f"{spec}: {note}" for note in repeated]
    if lacking := len(problems) - len(judged):
        notes.append(
            f"{lacking:,} problems of {spec} are left out: their answers are neither numbers nor formulas"
        )
    return Random(seed).sample(judged, len(judged))
