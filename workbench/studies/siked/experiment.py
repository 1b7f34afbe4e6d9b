"""The students of 08_siked: who learns what, for how long, and how they are compared.

All students of a seed begin from one base, are taught the same questions by the same solutions and asked
the same test. `combined` learns the teacher's solutions in all three strategies, `combined, longer` for as
many rounds as the others; `SIKeD` goes on with its own solutions; `off-policy` does so with those that it
wrote at first, `self only` without the teacher's, `all` with all of both; the `biased` ones keep to one
strategy where they can. `cot`, `l2m` and `pot` learn one strategy. `on-policy distillation` learns a larger
model's probabilities of what it writes. `as given` is a given model before it learns, in its own words.
"""

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from workbench.corpora.loaders.solutions import STRATEGIES
from workbench.engine import loading
from workbench.engine.cost import measure, reads_per_learnt
from workbench.engine.tokens import encode_pairs
from workbench.files import atomic_folder, cached_table
from workbench.studies.common.arms import arm_folder, collect, run_arms
from workbench.studies.siked import embedded, method
from workbench.studies.siked.data import (
    APART,
    BIASED,
    CONTROL,
    GIVEN,
    LONGER,
    ON_POLICY,
    SIKED,
    Plan,
    Task,
    task_of,
)
from workbench.studies.siked.method import DistillConfig
from workbench.studies.siked.solving import Question

_FIRST = {CONTROL: "round-0"}
_WROTE = {**_FIRST, SIKED: "round-1/wrote"}
SHARED = {
    LONGER: _FIRST,
    SIKED: _FIRST,
    "off-policy": {**_FIRST, SIKED: "round-1"},
    "self only": _WROTE,
    "all": _WROTE,
    ON_POLICY: _FIRST,
}  # what a student need not repeat, as another has begun with the same


def arms(plan: Plan, tasks: Mapping[int, Task]) -> dict[str, dict[str, Any]]:
    """Each student's arguments of `method.distill`; `only` names the one strategy that it learns."""
    siked = {"mixture": plan.mixture, "alpha": plan.alpha}
    taught = {name for task in tasks.values() for name in task.teacher["strategy"]}
    every = {
        GIVEN: {},
        CONTROL: {"mixture": "teacher-only", "rounds": 0},
        LONGER: {"mixture": "teacher-only"},
        SIKED: siked,
        "off-policy": {**siked, "on_policy": False},
        "self only": {"mixture": "self-only"},
        ON_POLICY: {"mixture": "teacher-only", "guide": True},
        "all": {"mixture": "all"},
        **{name: {"mixture": "teacher-only", "rounds": 0, "only": name} for name in STRATEGIES},
        **{arm: {**siked, "bias": strategy} for arm, strategy in BIASED.items()},
    }
    wanted = {*plan.sizes.students, *plan.sizes.side}
    if plan.sizes.guide is None or plan.model != "embedded" or plan.data not in embedded.TASKS:
        wanted.discard(ON_POLICY)  # nobody has the probabilities of a teacher
    if plan.mixture == "all":
        wanted.discard("all")
    if plan.placebo:
        wanted.discard(GIVEN)
    wanted -= {one for name in STRATEGIES if name not in taught for one in (name, f"biased to {name}")}
    return {name: how for name, how in every.items() if name in wanted}


def base(folder: Path, plan: Plan, log: Callable[..., None]) -> str:
    """The model that all students begin from: one that has read simpler problems, or the given one."""
    if plan.model != "embedded":
        return plan.model
    task = embedded.TASKS.get(plan.data, embedded.TASKS["embedded"])
    about = {"seed": plan.seed, "device": plan.device, "log": log}
    return embedded.train_base(folder, task, plan.sizes.course, **about)


def guide(folder: Path, base: str, tasks: Mapping[int, Task], plan: Plan, log: Callable[..., None]) -> str:
    """The larger model that is the teacher of on-policy distillation; "" where no student learns from one.

    It has read what the base has, and the solver's solutions, in every strategy, of problems of the part that
    students learn from.
    """
    course = plan.sizes.guide
    if course is None or ON_POLICY not in arms(plan, tasks) or plan.placebo:
        return ""
    about = {"seed": plan.seed, "device": plan.device, "log": log}
    return embedded.train_guide(folder, embedded.TASKS[plan.data], base, course, **about)


def guide_right(folder: Path, guide: str, tasks: Mapping[int, Task], plan: Plan) -> float:
    """Share of all seeds' held-out questions that the larger teacher solves; NaN without one."""
    if not guide:
        return float("nan")
    questions, config = [one for task in tasks.values() for one in task.held_out], plan.sizes.lesson
    answers = cached_table(
        folder / "guide.parquet", lambda: method.answer(Path(guide), questions, config, plan.device)
    )
    return float((answers["verdict"] == "correct").mean())


def expected(plan: Plan, tasks: Mapping[int, Task]) -> list[str]:
    """What the students of a given model will take, at the size that is made for one; else nothing."""
    if GIVEN not in plan.sizes.students:
        return []
    model, tokenizer = loading.load(plan.model, plan.device)
    cost, task, lesson = measure(model, tokenizer, writes=True), tasks[plan.seed], plan.sizes.lesson
    pairs = encode_pairs(tokenizer, method.training_pairs(task.teacher, tokenizer))
    whole = sum(len(prompt) + len(reply) for prompt, reply in pairs)
    reply = sum(len(reply) for _, reply in pairs) / len(pairs)
    n_test, rounds, n_held_out = sum(map(len, task.tests.values())), lesson.rounds, len(task.held_out)
    learnt = whole * (lesson.epochs + 2 * rounds * lesson.round_epochs)
    sampled = rounds * len(STRATEGIES) * lesson.samples * len(task.train)
    answered = 3 * n_test + n_held_out * (1 + 2 * rounds + len(STRATEGIES))
    written = reply * (sampled + answered) + 1.5 * lesson.max_new_tokens * n_test
    read = reads_per_learnt(model, lesson.tuning) * learnt
    embedded_ones = [
        "The questions are word problems of the workbench's grammar: no given model knows the house."
    ]
    return [*embedded_ones * (plan.data == "embedded"), cost.sentence(cost.minutes(read=read, write=written))]


def train_all(folder: Path, base: str, guide: str, tasks: Mapping[int, Task], plan: Plan) -> pd.DataFrame:
    """Teaches every student of every seed, and asks it the test: columns seed, arm, kind, item, strategy,
    text, verdict, plan.

    On the CPU they are shared out between its cores; what is done stays in `folder`.

    Raises:
        UserError: see `run_arms`.
    """
    students = list(arms(plan, tasks))
    device = loading.pick_device(plan.device)
    train = partial(train_arm, base, guide, tasks, replace(plan, device=device))
    options = {"unit": "student", "device": device, "placebo_of": LONGER if plan.placebo else None}
    main = [name for name in students if name in plan.sizes.students]
    run_arms(folder, main, plan.seeds, train, together=main, **options)
    if side := [name for name in students if name not in main]:
        others = partial(_numbered_on, train, len(main)) if plan.placebo else train
        run_arms(folder, side, plan.side_seeds, others, **options)
    return collect(folder, students, plan.seeds, "test")


def _numbered_on(
    train: Callable[..., None], n: int, folder: Path, arm: str, seed: int, *, log: Callable[..., None]
) -> None:
    """Trains a side student of a placebo run with a seed that none of the n main ones has."""
    train(folder, arm, seed + n * APART, log=log)


def rounds(folder: Path, tasks: Mapping[int, Task], plan: Plan) -> pd.DataFrame:
    """The rounds of every student and seed: the columns of `DistillResult.rounds`, and arm and seed."""
    return collect(folder, list(arms(plan, tasks)), plan.seeds, "rounds")


def forced(folder: Path, plan: Plan) -> pd.DataFrame:
    """Held-out questions as the combined student answers them in each strategy: seed, id, strategy, right."""
    answers = collect(folder, [CONTROL], plan.seeds, "forced")
    return answers.assign(right=answers["verdict"] == "correct") if len(answers) else answers


def held_out(folder: Path, rounds: pd.DataFrame) -> pd.DataFrame:
    """Answers to the held-out questions in every round of `rounds`: seed, arm, round, id, right, plan."""
    frames = []
    for row in rounds[["seed", "arm", "round"]].itertuples(index=False):
        path = arm_folder(folder, row.arm, row.seed) / f"round-{row.round}" / "held_out.parquet"
        if path.exists():  # a round in which nothing was learnt has none
            answers = pd.read_parquet(path, columns=["id", "verdict", "plan"])
            frames.append(answers.assign(right=answers["verdict"] == "correct", **row._asdict()))
    return pd.concat(frames, ignore_index=True).drop(columns="verdict")


def train_arm(
    base: str,
    guide: str,
    tasks: Mapping[int, Task],
    plan: Plan,
    folder: Path,
    arm: str,
    seed: int,
    *,
    log: Callable[[dict[str, float]], None],
) -> None:
    """One student: takes over what another has begun with, learns, and is asked the test."""
    arguments, task, config = arms(plan, tasks)[arm], task_of(tasks, seed), plan.sizes.lesson
    if arm == GIVEN:
        ask = partial(method.answer_freely, base, config=config, device=plan.device)
        cached_table(folder / "test.parquet", lambda: _asked(task.tests, ask))
        return
    teacher, bias = task.teacher, arguments.pop("bias", plan.bias)
    if only := arguments.pop("only", None):
        arguments["whole"], teacher = teacher, teacher[teacher["strategy"] == only]
    elif bias != "none":
        arguments["priority"] = [bias, *(name for name in STRATEGIES if name != bias)]
    if arguments.pop("guide", False):
        arguments["guide"] = guide
    if not plan.placebo:
        _take_over(folder, arm)
    arguments |= {"device": plan.device, "seed": seed}
    arguments["progress"] = lambda share: log({"done": share})
    result = method.distill(folder, base, teacher, task.train, task.held_out, config, **arguments)
    cached_table(folder / "rounds.parquet", lambda: result.rounds)
    if arm == CONTROL:
        cached_table(folder / "forced.parquet", lambda: _forced(result.folder, task, config, plan.device))
    ask = partial(method.answer, result.folder, config=config, device=plan.device)
    cached_table(folder / "test.parquet", lambda: _asked(task.tests, ask))


def _take_over(folder: Path, arm: str) -> None:
    for other, part in SHARED.get(arm, {}).items():
        shared = arm_folder(folder.parent, other) / part
        if shared.exists() and not (folder / part).exists():
            with atomic_folder(folder / part) as new:
                shutil.copytree(shared, new, dirs_exist_ok=True, copy_function=_link)


def _link(source: str, target: str) -> None:
    """One file under a second name, where the disk can do that: nothing changes a file that is written."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _forced(model: Path, task: Task, config: DistillConfig, device: str) -> pd.DataFrame:
    answers = [method.answer(model, task.held_out, config, device, name) for name in STRATEGIES]
    return pd.concat(answers, ignore_index=True)[["id", "strategy", "verdict", "plan"]]


def _asked(
    tests: Mapping[str, Sequence[Question]], ask: Callable[[Sequence[Question]], pd.DataFrame]
) -> pd.DataFrame:
    frames = []
    for kind, questions in tests.items():
        answers = ask(questions)[["strategy", "text", "verdict", "plan"]]
        texts = [question.text for question in questions]
        frames.append(answers.assign(kind=kind, item=range(len(answers)), question=texts))
    return pd.concat(frames, ignore_index=True)
