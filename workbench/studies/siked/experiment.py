"""The students of 08_siked: who learns what, for how long, and how they are compared.

All students of a seed begin from one base and go through their examples equally often, as in the paper.
`cot`, `l2m` and `pot` learn one strategy of the teacher's, `combined` all three for as many rounds as the
others; `SIKeD` goes on with its own solutions; `off-policy` does so with those that it wrote at first, `self
only` without the teacher's.
"""

import shutil
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from workbench.corpora.loaders.solutions import STRATEGIES
from workbench.corpora.problems import Problem
from workbench.engine import loading
from workbench.engine.sampling.transformers_sampler import TransformersSampler
from workbench.files import atomic_folder, cached_table
from workbench.studies.common import word_problems
from workbench.studies.common.arms import arm_folder, collect, run_arms
from workbench.studies.siked import method
from workbench.studies.siked.data import CONTROL, Plan, Task, kinds
from workbench.studies.siked.method import DistillConfig
from workbench.studies.siked.solving import Question

SHARED = {
    "SIKeD": {"combined": "round-0"},
    "off-policy": {"combined": "round-0", "SIKeD": "round-1"},
    "self only": {"combined": "round-0", "SIKeD": "round-1/wrote"},
}  # what a student need not repeat, as another has begun with the same


def arms(task: Task, plan: Plan) -> dict[str, dict[str, Any]]:
    """Each student's arguments of `method.distill`; `only` names the one strategy that it learns."""
    siked = {"mixture": plan.mixture, "alpha": plan.alpha}
    strategies = [name for name in STRATEGIES if name in set(task.teacher["strategy"])]
    every = {
        **{name: {"mixture": "teacher-only", "only": name} for name in strategies},
        CONTROL: {"mixture": "teacher-only"},
        "SIKeD": siked,
        "off-policy": {**siked, "on_policy": False},
        "self only": {"mixture": "self-only"},
    }
    return {name: how for name, how in every.items() if name in plan.sizes.students}


def base(folder: Path, plan: Plan, log: Callable[..., None]) -> str:
    """The model that all students begin from; it has read other problems, in each strategy."""

    def format_problem(problem: Problem) -> str:
        strategy = STRATEGIES[zlib.crc32(problem.id.encode()) % len(STRATEGIES)]
        return f"{problem.question} [{strategy}] {problem.rationale(strategy)}"

    course, templates = plan.sizes.course, kinds(of_base=True)
    return word_problems.base(
        folder, course, plan.model, plan.seed, log, format_problem, templates, plan.device
    )


def train_all(folder: Path, base: str, task: Task, plan: Plan) -> pd.DataFrame:
    """Teaches every student of every seed, and asks it the test: columns seed, arm, kind, item, strategy,
    text, verdict.

    On the CPU they are shared out between its cores; what is done stays in `folder`.

    Raises:
        UserError: see `run_arms`.
    """
    students, seeds = list(arms(task, plan)), plan.seeds
    device = loading.pick_device(plan.device)
    train = partial(train_arm, base, task, replace(plan, device=device))
    together = [name for name in (CONTROL, *SHARED) if name in students]
    placebo_of = CONTROL if plan.placebo else None
    run_arms(
        folder,
        students,
        seeds,
        train,
        unit="student",
        together=together,
        device=device,
        placebo_of=placebo_of,
    )
    return collect(folder, students, seeds, "test")


def rounds(folder: Path, task: Task, plan: Plan) -> pd.DataFrame:
    """The rounds of every student and seed: the columns of `DistillResult.rounds`, and arm and seed."""
    return collect(folder, list(arms(task, plan)), plan.seeds, "rounds")


def held_out(folder: Path, rounds: pd.DataFrame) -> pd.DataFrame:
    """Answers to the held-out training questions in every round of `rounds`: columns seed, arm, round, id,
    right.
    """
    frames = []
    for row in rounds[["seed", "arm", "round"]].itertuples(index=False):
        path = arm_folder(folder, row.arm, row.seed) / f"round-{row.round}" / "held_out.parquet"
        if path.exists():  # a round in which nothing was learnt has none
            answers = pd.read_parquet(path, columns=["id", "verdict"])
            frames.append(answers.assign(right=answers["verdict"] == "correct", **row._asdict()))
    return pd.concat(frames, ignore_index=True).drop(columns="verdict")


def train_arm(
    base: str,
    task: Task,
    plan: Plan,
    folder: Path,
    arm: str,
    seed: int,
    *,
    log: Callable[[dict[str, float]], None],
) -> None:
    """One student: takes over what another has begun with, learns, and is asked the test."""
    arguments, teacher, config = arms(task, plan)[arm], task.teacher, plan.sizes.lesson
    if only := arguments.pop("only", None):
        teacher = teacher[teacher["strategy"] == only]
    elif plan.bias != "none":
        arguments["priority"] = [plan.bias, *(name for name in STRATEGIES if name != plan.bias)]
    for other, part in SHARED.get(arm, {}).items():
        shared = folder.with_name(other) / part
        if shared.exists() and not (folder / part).exists():
            with atomic_folder(folder / part) as new:
                shutil.copytree(shared, new, dirs_exist_ok=True)
    arguments |= {"device": plan.device, "seed": seed}
    result = method.distill(folder, base, teacher, task.train, task.held_out, config, **arguments)
    cached_table(folder / "rounds.parquet", lambda: result.rounds)
    cached_table(folder / "test.parquet", lambda: _test(result.folder, task.tests, config, plan.device))


def _test(
    folder: Path, tests: Mapping[str, Sequence[Question]], config: DistillConfig, device: str
) -> pd.DataFrame:
    sampler = TransformersSampler(*loading.load(folder, device))
    frames = []
    for kind, questions in tests.items():
        answers = method.answer(sampler, questions, config)[["strategy", "text", "verdict"]]
        texts = [question.text for question in questions]
        frames.append(answers.assign(kind=kind, item=range(len(answers)), question=texts))
    return pd.concat(frames, ignore_index=True)
