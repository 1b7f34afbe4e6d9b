"""The students of 08_siked: who learns what, for how long, and how they are compared.

All students of a seed begin from one base and go through their examples equally often, as in the paper.
`cot`, `l2m` and `pot` learn one strategy of the teacher's, `combined` all three for as many rounds as the
others; `SIKeD` goes on with its own solutions; `off-policy` does so with those that it wrote at first, `self
only` without the teacher's.
"""

import shutil
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from workbench.corpora.loaders.solutions import STRATEGIES
from workbench.corpora.problems import Problem
from workbench.engine import loading
from workbench.engine.parallel import run_parallel
from workbench.engine.sampling.transformers_sampler import TransformersSampler
from workbench.files import atomic_folder, cached_table
from workbench.studies.common import word_problems
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


def fit_all(folder: Path, base: str, task: Task, sizes: Sizes, params: Any) -> pd.DataFrame:
    """Teaches every student of every seed, and asks it the test: columns seed, arm, kind, item, strategy,
    text, verdict.

    On the CPU they are shared out between its cores; what is done stays in `folder`.
    """
    learners = arms(params, task)
    device = loading.pick_device(params.device)
    common = (base, task, sizes, params.bias, device)
    singly = {arm: how for arm, how in learners.items() if "only" in how}
    several = {arm: how for arm, how in learners.items() if "only" not in how}
    tasks = {}
    for group, own in (("several", several), ("single", singly)):
        for seed in range(sizes.seeds):
            place = folder / f"seed-{seed}"
            if not (place / _name(list(own)[-1]) / "test.parquet").exists():
                tasks[f"{group}-{seed}"] = (place, *common, own, params.seed + seed)
    if tasks:
        run_parallel(
            _teach,
            tasks,
            total=len(several),
            log=lambda *_: None,
            processes=min(torch.get_num_threads(), len(tasks)) if device == "cpu" else 1,
            unit="student",
        )
    return _collected(folder, "test", sizes, learners)


def rounds(folder: Path, task: Task, sizes: Sizes, params: Any) -> pd.DataFrame:
    """The rounds of every student and seed: the columns of `siked.Learnt`, and arm and seed."""
    return _collected(folder, "rounds", sizes, arms(params, task))


def held_out(folder: Path, told: pd.DataFrame) -> pd.DataFrame:
    """Answers to the held-out training questions in every round of `rounds`: columns seed, arm, round, id,
    right.
    """
    frames = []
    for row in told[["seed", "arm", "round"]].itertuples(index=False):
        path = folder / f"seed-{row.seed}" / _name(row.arm) / f"round-{row.round}" / "held_out.parquet"
        if path.exists():  # a round in which nothing was learnt has none
            found = pd.read_parquet(path, columns=["id", "verdict"])
            frames.append(found.assign(right=found["verdict"] == "correct", **row._asdict()))
    return pd.concat(frames, ignore_index=True).drop(columns="verdict")


def _collected(folder: Path, name: str, sizes: Sizes, learners: Iterable[str]) -> pd.DataFrame:
    """One table of each student and seed, put together."""
    frames = [
        pd.read_parquet(folder / f"seed-{seed}" / _name(arm) / f"{name}.parquet").assign(seed=seed, arm=arm)
        for seed in range(sizes.seeds)
        for arm in learners
    ]
    return pd.concat(frames, ignore_index=True)


def _name(arm: str) -> str:
    return arm.replace(" ", "-")


def _teach(
    folder: Path,
    base: str,
    task: Task,
    sizes: Sizes,
    bias: str,
    device: str,
    arms: Mapping[str, dict[str, Any]],
    seed: int,
    *,
    log: Callable[[dict[str, float]], None],
) -> None:
    for number, (arm, settings) in enumerate(arms.items(), 1):
        place, settings = folder / _name(arm), dict(settings)
        if (place / "test.parquet").exists():
            log({"tokens": number})
            continue
        rows = task.teacher
        if only := settings.pop("only", None):
            rows = rows[rows["strategy"] == only]
        elif bias != "none":
            settings["priority"] = [bias, *(name for name in STRATEGIES if name != bias)]
        for other, part in SHARED.get(arm, {}).items():
            if (folder / other / part).exists() and not (place / part).exists():
                with atomic_folder(place / part) as new:
                    shutil.copytree(folder / other / part, new, dirs_exist_ok=True)
        given = (base, rows, task.train, task.held_out, sizes.lesson)
        learnt = method.distill(place, *given, device=device, seed=seed, **settings)
        cached_table(place / "rounds.parquet", lambda found=learnt.rounds: found)
        cached_table(place / "test.parquet", partial(_asked, learnt.folder, task.tests, sizes.lesson, device))
        log({"tokens": number})


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
