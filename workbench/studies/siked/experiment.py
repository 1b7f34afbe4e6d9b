"""The students of 08_siked: who learns what, for how long, and how they are compared.

All students of a seed begin from one base and go through their examples equally often, as in the paper.
`cot`, `l2m` and `pot` learn one strategy of the teacher's, `combined` all three for as many rounds as the
others; `SIKeD` goes on with its own solutions; `off-policy` does so with those that it wrote at first, `self
only` without the teacher's.
"""

import shutil
import zlib
from collections.abc import Callable, Mapping, Sequence
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
from workbench.studies.siked import data, method
from workbench.studies.siked.data import Sizes, Task
from workbench.studies.siked.method import DistillConfig
from workbench.studies.siked.solving import Question

SHARED = {
    "SIKeD": {"combined": "round-0"},
    "off-policy": {"combined": "round-0", "SIKeD": "round-1"},
    "self only": {"combined": "round-0", "SIKeD": "round-1/wrote"},
}  # what a student need not repeat, as another has begun with the same


# ------------------------------------------------------------------------------- the students
def arms(params: Any, task: Task) -> dict[str, dict[str, Any]]:
    """Each student's mixture, and which strategies of the teacher's it learns."""
    known = [name for name in STRATEGIES if name in set(task.teacher["strategy"])]
    single = {name: {"how": "teacher-only", "only": name} for name in known}
    ours = {"how": params.mixture, "alpha": params.alpha}
    return {
        **single,
        "combined": {"how": "teacher-only"},
        "SIKeD": ours,
        "off-policy": {**ours, "on_policy": False},
        "self only": {"how": "self-only"},
    }


def base(folder: Path, sizes: Sizes, params: Any, log: Callable[..., None]) -> str:
    """The model that all students begin from; it has read other problems, in each strategy."""

    def told(problem: Problem) -> str:
        strategy = STRATEGIES[zlib.crc32(problem.id.encode()) % len(STRATEGIES)]
        return f"{problem.question} [{strategy}] {problem.rationale(strategy)}"

    return word_problems.base(folder, sizes.course, params, log, told, data.kinds(of_base=True))


def train_all(folder: Path, base: str, task: Task, sizes: Sizes, params: Any) -> pd.DataFrame:
    """Teaches every student of every seed, and asks it the test: columns seed, arm, kind, item, strategy,
    text, verdict.

    On the CPU they are shared out between its cores; what is done stays in `folder`.
    """
    learners, device = arms(params, task), loading.pick_device(params.device)
    run_arms(
        folder,
        list(learners),
        range(sizes.seeds),
        partial(train_arm, learners, base, task, sizes, params.bias, params.seed, device),
        unit="student",
        together=[arm for arm in learners if arm in ("combined", *SHARED)],
        device=device,
    )
    return collect(folder, list(learners), range(sizes.seeds), "test")


def rounds(folder: Path, task: Task, sizes: Sizes, params: Any) -> pd.DataFrame:
    """The rounds of every student and seed: the columns of `siked.Learnt`, and arm and seed."""
    return collect(folder, list(arms(params, task)), range(sizes.seeds), "rounds")


def held_out(folder: Path, told: pd.DataFrame) -> pd.DataFrame:
    """Answers to the held-out training questions in every round of `rounds`: columns seed, arm, round, id,
    right.
    """
    frames = []
    for row in told[["seed", "arm", "round"]].itertuples(index=False):
        path = arm_folder(folder, row.arm, row.seed) / f"round-{row.round}" / "held_out.parquet"
        if path.exists():  # a round in which nothing was learnt has none
            found = pd.read_parquet(path, columns=["id", "verdict"])
            frames.append(found.assign(right=found["verdict"] == "correct", **row._asdict()))
    return pd.concat(frames, ignore_index=True).drop(columns="verdict")


def train_arm(
    arms: Mapping[str, dict[str, Any]],
    base: str,
    task: Task,
    sizes: Sizes,
    bias: str,
    first_seed: int,
    device: str,
    folder: Path,
    arm: str,
    seed: int,
    *,
    log: Callable[[dict[str, float]], None],
) -> None:
    """One student: takes over what another has begun with, learns, and is asked the test."""
    settings, rows = dict(arms[arm]), task.teacher
    if only := settings.pop("only", None):
        rows = rows[rows["strategy"] == only]
    elif bias != "none":
        settings["priority"] = [bias, *(name for name in STRATEGIES if name != bias)]
    for other, part in SHARED.get(arm, {}).items():
        shared = folder.with_name(other) / part
        if shared.exists() and not (folder / part).exists():
            with atomic_folder(folder / part) as new:
                shutil.copytree(shared, new, dirs_exist_ok=True)
    given = (base, rows, task.train, task.held_out, sizes.lesson)
    learnt = method.distill(folder, *given, device=device, seed=first_seed + seed, **settings)
    cached_table(folder / "rounds.parquet", lambda: learnt.rounds)
    cached_table(folder / "test.parquet", lambda: _asked(learnt.folder, task.tests, sizes.lesson, device))


def _asked(
    folder: Path, tests: Mapping[str, Sequence[Question]], lesson: DistillConfig, device: str
) -> pd.DataFrame:
    sampler = TransformersSampler(*loading.load(folder, device))
    frames = []
    for kind, questions in tests.items():
        found = method.answers(sampler, questions, lesson)
        columns = found[["strategy", "text", "verdict"]].assign(kind=kind, item=range(len(found)))
        frames.append(columns.assign(question=[each.text for each in questions]))
    return pd.concat(frames, ignore_index=True)
