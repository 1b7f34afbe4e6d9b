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
from workbench.measures.statistics import bootstrap_mean
from workbench.studies import siked, students
from workbench.studies.mixing import biased, check
from workbench.studies.siked import Lesson
from workbench.studies.siked_task import Task
from workbench.studies.solving import Question
from workbench.studies.students import Course
from workbench.studies.subsets import plain


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


LONG = 512  # tokens, at least, that a question and its solution may fill where they come from files
SIZES = {
    "tiny": Sizes(Course("tiny:0.3M", 800, 50, 16, 0), Lesson(10, 5, 2, 4, context=160, least_gain=-0.1),
                  150, 50, 300, 2),
    "small": Sizes(Course("tiny:1M", 4_000, 200, 32, 0), Lesson(8, 4, 3, 10, 32), 1_000, 200, 1_000, 4),
    "paper": Sizes(Course("tiny:28M", 20_000, 1_000, 64, 0), Lesson(3, 3, 4, 10, 8, 1024, 2e-4),
                   6_700, 700, 1_319, 3),
}  # fmt: skip


def sizes(params: Any) -> Sizes:
    """The profile's sizes; `iterations` and `samples` replace what they name.

    Questions and solutions of files are longer than the grammar's: they get `LONG` rows, as many tokens a
    step.

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
    if params.data != "embedded" and lesson.context < LONG:
        course = replace(course, context=LONG)
        batch_size = lesson.batch_size * lesson.context // LONG
        lesson = replace(lesson, context=LONG, batch_size=batch_size, max_new_tokens=LONG // 2)
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
    """The model that all students begin from; it has seen problems of one step in each strategy."""

    def told(problem: Problem) -> str:
        strategy = STRATEGIES[zlib.crc32(problem.id.encode()) % len(STRATEGIES)]
        return f"{problem.question} [{strategy}] {problem.rationale(strategy)}"

    return students.base(folder, sizes.course, params, log, told)


def fit_all(folder: Path, base: str, task: Task, sizes: Sizes, params: Any) -> pd.DataFrame:
    """Teaches every student of every seed, and asks it the test: columns seed, arm, kind, item, strategy,
    text, verdict.

    On the CPU seeds are shared out between its cores; what is done stays in `folder`.
    """
    learners = arms(params, task)
    last = _name(list(learners)[-1])
    waiting = [
        seed for seed in range(sizes.seeds) if not (folder / f"seed-{seed}" / last / "test.parquet").exists()
    ]
    device = models.pick_device(params.device)
    common = (base, task, sizes, params.bias, device, learners)
    tasks = {f"seed-{seed}": (folder / f"seed-{seed}", *common, params.seed + seed) for seed in waiting}
    if tasks:
        side_by_side(
            _teach,
            tasks,
            total=len(learners),
            log=lambda *_: None,
            processes=min(torch.get_num_threads(), len(tasks)) if device == "cpu" else 1,
            unit="student",
        )
    return _collected(folder, "test", sizes, learners)


def rounds(folder: Path, task: Task, sizes: Sizes, params: Any) -> pd.DataFrame:
    """The rounds of every student and seed: the columns of `siked.Learnt`, and arm and seed."""
    return _collected(folder, "rounds", sizes, arms(params, task))


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
    stop: Callable[[], bool],
) -> None:
    for number, (arm, settings) in enumerate(arms.items(), 1):
        place, settings = folder / _name(arm), dict(settings)
        rows = task.teacher
        if only := settings.pop("only", None):
            rows = rows[rows["strategy"] == only]
        elif bias != "none":
            rows = biased(rows, [bias, *(name for name in STRATEGIES if name != bias)])
        first = folder / "combined" / "round-0"
        if "only" not in arms[arm] and arm != "combined" and not (place / "round-0").exists():
            with replacing(place / "round-0") as new:  # they learn the same from the teacher
                shutil.copytree(first, new, dirs_exist_ok=True)
        given = (base, rows, task.train, task.held_out, sizes.lesson)
        learnt = siked.distil(place, *given, device=device, seed=seed, stop=stop, **settings)
        if stop():
            return
        learnt.rounds.to_parquet(place / "rounds.parquet")
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


# ------------------------------------------------------------------------------- results
def accuracies(answers: pd.DataFrame) -> pd.DataFrame:
    """Share of right answers, over questions with all seeds: columns arm, kind, value, low, high, n."""
    rows = []
    for (arm, kind), part in answers.groupby(["arm", "kind"], sort=False):
        found = bootstrap_mean(part["verdict"] == "correct", groups=part["item"])
        rows.append((arm, kind, found.value, found.low, found.high, found.n))
    return pd.DataFrame(rows, columns=["arm", "kind", "value", "low", "high", "n"])


def verdicts(answers: pd.DataFrame) -> pd.DataFrame:
    """Shares of correct, wrong and unparsed answers by arm and strategy: arm, strategy, verdict, share, n."""
    counts = answers.groupby(["arm", "strategy", "verdict"], sort=False).size().rename("n").reset_index()
    return counts.assign(share=counts["n"] / counts["arm"].map(answers["arm"].value_counts()))


def shares(frame: pd.DataFrame) -> pd.DataFrame:
    """What students choose by themselves: columns arm, round, strategy, share (mean over seeds)."""
    rows = []
    for name in STRATEGIES:
        chosen = frame[[f"chose_{each}" for each in STRATEGIES]].sum(axis=1)
        rows.append(frame[["arm", "round"]].assign(strategy=name, share=frame[f"chose_{name}"] / chosen))
    return pd.concat(rows).groupby(["arm", "round", "strategy"], sort=False)["share"].mean().reset_index()


def solved(folder: Path) -> pd.DataFrame:
    """Training questions by the strategies that solved them after learning from the teacher alone.

    Columns solved_by, questions.
    """
    wrote = pd.read_parquet(folder / "seed-0" / "self-only" / "round-1" / "wrote")
    right = wrote.assign(right=wrote["verdict"] == "correct").pivot_table(
        index="id", columns="strategy", values="right", aggfunc="max"
    )
    by = right.astype(bool).apply(lambda row: ", ".join(row.index[row]) or "none", axis=1)
    return by.value_counts().rename_axis("solved_by").rename("questions").reset_index()


def progress(frame: pd.DataFrame) -> pd.DataFrame:
    """What each round brings to the students of several strategies: columns arm, round, measure, value."""
    names = {
        "alpha_all": "alpha (share of the teacher)",
        "held_out": "right, held out",
        "divergence": "KL, mixture from student",
    }
    own = frame[~frame["arm"].isin(STRATEGIES)].rename(columns=names)
    long = own.melt(["arm", "round"], list(names.values()), "measure", "value")
    return long.groupby(["arm", "round", "measure"], sort=False)["value"].mean().reset_index()


def remarks(frame: pd.DataFrame) -> list[str]:
    """Strategies in which a student learnt no solution of its own, by round, or that it never chose."""
    several = frame[~frame["arm"].isin(STRATEGIES)]
    found = []
    for (arm, number), part in several[several["round"] > 0].groupby(["arm", "round"], sort=False):
        own = {name: part[f"n_{name}"] * (1 - part[f"alpha_{name}"].fillna(1)) for name in STRATEGIES}
        times = {name: (own[name] < 0.5).sum() for name in STRATEGIES}
        silent = [f"{name} ({n} of {len(part)} repetitions)" for name, n in times.items() if n]
        if arm != "combined" and silent:
            found.append(f"{arm}, round {number}: learnt no solution of its own in {', '.join(silent)}")
    for arm, part in several[several["chosen"]].groupby("arm", sort=False):
        if never := [name for name in STRATEGIES if (part[f"chose_{name}"] == 0).all()]:
            found.append(f"{arm}: never chose {', '.join(never)} by itself in the end")
    return found


def claims(answers: pd.DataFrame) -> list[dict[str, Any]]:
    """SIKeD against the others, paired over questions and seeds, as `run.claim` takes it."""
    right = answers.assign(right=answers["verdict"] == "correct").pivot_table(
        index=["kind", "item", "seed"], columns="arm", values="right", aggfunc="mean"
    )
    items = [f"{kind}/{item}" for kind, item, _ in right.index]
    best = max(right.columns.intersection(STRATEGIES), key=lambda name: right[name].mean())
    paper = "SIKeD solves more than single strategies and their combination (up to +5 points)"
    view = "Right answers by student"
    compared = [
        ("siked-beats-combined", "SIKeD", "combined", paper,
         "SIKeD solves more than a student of all three strategies that is trained for as long."),
        ("combined-beats-single", "combined", best, paper,
         f"A student of three strategies solves more than the best student of one ({best})."),
        ("on-policy-beats-off-policy", "SIKeD", "off-policy", "On-policy data matter",
         "Learning from its newest solutions is better than from its first ones."),
        ("teacher-still-helps", "SIKeD", "self only", "Mixing the teacher's data in matters",
         "Learning from itself with the teacher's solutions is better than from itself alone."),
    ]  # fmt: skip
    return [
        {"name": name, "says": says, "paper": said, "unit": "share of questions", "view": view,
         **plain(bootstrap_mean(right[more] - right[less], groups=items))}
        for name, more, less, said, says in compared
    ]  # fmt: skip
