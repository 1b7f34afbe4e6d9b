"""The students of 08_siked: who learns what, for how long, and how they are compared.

All students of a seed begin from one base and go through their examples equally often, as in the paper.
`cot`, `l2m` and `pot` learn one strategy of the teacher's, `combined` all three for as many rounds as the
others; `SIKeD` goes on with its own solutions; `off-policy` does so with those that it wrote at first, `self
only` without the teacher's.
"""

import shutil
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from workbench.corpora.problems import Problem
from workbench.corpora.rationales import STRATEGIES
from workbench.engine import models
from workbench.engine.folders import kept, replacing
from workbench.engine.generate import TransformersSampler
from workbench.engine.parallel import side_by_side
from workbench.errors import UserError
from workbench.studies import siked, siked_task, students
from workbench.studies.mixing import check
from workbench.studies.siked import Lesson
from workbench.studies.siked_task import Task
from workbench.studies.solving import Question
from workbench.studies.students import Course


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

    course: Course
    lesson: Lesson
    train: int
    held_out: int
    asked: int
    seeds: int


SHARED = {
    "SIKeD": {"combined": "round-0"},
    "off-policy": {"combined": "round-0", "SIKeD": "round-1"},
    "self only": {"combined": "round-0", "SIKeD": "round-1/wrote"},
}  # what a student need not repeat, as another has begun with the same
LONG = 512  # tokens, at least, that a question and its solution may fill where they come from files
SIZES = {
    "tiny": Sizes(Course("tiny:0.3M", 800, 0, 16, 0, largest=10, n_words=5),
                  Lesson(3, 3, 2, 4, context=160, least_gain=-0.1), 160, 50, 250, 3),
    "small": Sizes(Course("tiny:1M", 4_000, 0, 32, 0), Lesson(8, 4, 3, 10, 32), 1_000, 200, 1_000, 4),
    "paper": Sizes(Course("tiny:28M", 20_000, 0, 64, 0), Lesson(3, 3, 4, 10, 8, 1024, 2e-4),
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

    return students.base(folder, sizes.course, params, log, told, siked_task.kinds(of_base=True))


def fit_all(folder: Path, base: str, task: Task, sizes: Sizes, params: Any) -> pd.DataFrame:
    """Teaches every student of every seed, and asks it the test: columns seed, arm, kind, item, strategy,
    text, verdict.

    On the CPU they are shared out between its cores; what is done stays in `folder`.
    """
    learners = arms(params, task)
    device = models.pick_device(params.device)
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
        side_by_side(
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
                with replacing(place / part) as new:
                    shutil.copytree(folder / other / part, new, dirs_exist_ok=True)
        given = (base, rows, task.train, task.held_out, sizes.lesson)
        learnt = siked.distil(place, *given, device=device, seed=seed, **settings)
        kept(place / "rounds.parquet", lambda found=learnt.rounds: found)
        kept(place / "test.parquet", partial(_asked, learnt.folder, task.tests, sizes.lesson, device))
        log({"tokens": number})


def _asked(
    folder: Path, tests: Mapping[str, Sequence[Question]], lesson: Lesson, device: str
) -> pd.DataFrame:
    sampler = TransformersSampler(*models.load(folder, device))
    frames = []
    for kind, questions in tests.items():
        found = siked.answers(sampler, questions, lesson)
        columns = found[["strategy", "text", "verdict"]].assign(kind=kind, item=range(len(found)))
        frames.append(columns.assign(question=[each.text for each in questions]))
    return pd.concat(frames, ignore_index=True)
