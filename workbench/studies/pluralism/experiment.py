"""The models of 12_pluralism: before, tuned by preferences, and two controls; all are asked everything."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from workbench.corpora import populations
from workbench.corpora.loaders.opinions import Question
from workbench.engine.parallel import run_parallel
from workbench.engine.sampling import load
from workbench.engine.sampling.sampler import Sampler
from workbench.engine.sampling.transformers_sampler import TransformersSampler
from workbench.errors import UserError
from workbench.files import cached_table
from workbench.studies.pluralism import method
from workbench.studies.pluralism.elicitation import by_samples, readable
from workbench.studies.pluralism.method import NOBODY, Task, ask
from workbench.studies.pluralism.tuning import (
    Sizes,
    imitate,
    lesson_questions,
    lessons,
    prefer,
    pretrain,
    tuned_on,
)

BEFORE, DPO, SFT, DRAWN = "before", "DPO majority", "SFT majority", "SFT drawn"
ARMS = (BEFORE, DPO, SFT, DRAWN)
SIZES = {
    "tiny": Sizes("tiny:0.3M", 500, 16, 40, 16, 5e-4, 2, 24, 60),
    "small": Sizes("tiny:1M", 3_000, 32, 100, 32, 3e-4, 4, 60, 300),
    "paper": Sizes("tiny:8M", 10_000, 64, 1_000, 64, 1e-5, 4, 120, 2_000),
}


def sizes(params: Any) -> Sizes:
    """The profile's sizes; `tuning_rate`, `tuning_steps`, `samples` and `limit` replace what they name."""
    named = {"learning_rate": params.tuning_rate, "tuning_steps": params.tuning_steps,
             "samples": params.samples, "questions": params.limit}  # fmt: skip
    given = {name: value for name, value in named.items() if value is not None}
    if min(given.values(), default=1) <= 0:
        raise UserError("tuning_rate, tuning_steps, samples and limit must be above 0.")
    return replace(SIZES[params.profile], **given)


@dataclass(frozen=True)
class Plan:
    """What is done: the task and the chances to be asked, the arms, and the notebook's parameters."""

    task: Task
    chances: Task
    sizes: Sizes
    arms: tuple[str, ...]
    model: str
    beta: float
    device: str
    seed: int

    @property
    def tuned(self) -> set[str]:
        """Ids of the questions that are tuned on."""
        return tuned_on(self.task.questions, self.seed) if len(self.arms) > 1 else set()


def plan(params: Any) -> Plan:
    """The plan that the notebook's parameters make; questions too long for a given model are left out.

    Raises:
        UserError: model and questions do not go together, or no question is left.
    """
    chosen, embedded = sizes(params), params.model == "embedded"
    if embedded and params.questions != "embedded":
        raise UserError("The embedded model knows the villages only: name a model for questions of a file.")
    task = method.task(params, chosen.questions)
    if not embedded:
        sampler = load.sampler(params.model, params.device)
        if params.tune and not isinstance(sampler, TransformersSampler):
            raise UserError(f"{params.model} cannot be tuned from here: set tune to False, or give a folder.")
        task = _fitting(task, sampler)
    if not (embedded or params.tune):
        chosen = replace(chosen, seeds=1)
    arms = ARMS if params.tune else ARMS[:1]
    chances = Task(populations.truths(), [], "", "", [])
    return Plan(task, chances, chosen, arms, params.model, params.beta, params.device, params.seed)


def _fitting(task: Task, sampler: Sampler) -> Task:
    kept = [
        each for each in task.questions
        if all(readable(sampler, task.prompted(group, [each])[0]) for group in [NOBODY, *task.groups])
    ]  # fmt: skip
    left_out = len(task.questions) - len(kept)
    if not kept:
        raise UserError("No question fits into the model's context: take shorter questions or another model.")
    notes = [f"{left_out:,} questions are longer than the model's context and left out"] if left_out else []
    return replace(task, questions=kept, notes=[*task.notes, *notes])


def source(folder: Path, plan: Plan, arm: str = BEFORE, seed: int = 0) -> str:
    """Where the model of an arm is, once `fit_all` has made it."""
    if arm == BEFORE:
        return str(folder / f"seed-{seed}" / "base") if plan.model == "embedded" else plan.model
    return str(folder / f"seed-{seed}" / _name(arm))


def read_before(folder: Path, plan: Plan) -> pd.DataFrame:
    """The model before tuning, of the first seed, by every read-out: the columns of `pluralism.ask`."""
    sampler = load.sampler(source(folder, plan), plan.device)
    return ask(sampler, plan.task, method.every_readout(sampler, plan.sizes.samples, plan.seed))


def fit_all(folder: Path, plan: Plan) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Every model of every seed, and what it answers.

    Seeds are shared out between the processor's cores; what is done stays in `folder`.

    Returns:
        Distributions, with the columns of `pluralism.ask`, seed and arm; and sampled replies: columns id,
        replies (list), seed, arm.
    """
    tasks = {f"seed-{seed}": (folder / f"seed-{seed}", plan, seed) for seed in range(plan.sizes.seeds)}
    last = f"{_name(plan.arms[-1])}-replies.parquet"
    waiting = {name: each for name, each in tasks.items() if not (each[0] / last).exists()}
    if waiting:
        processes = min(torch.get_num_threads(), len(waiting)) if plan.model == "embedded" else 1
        run_parallel(
            _seed, waiting, total=len(plan.arms), log=lambda *_: None, processes=processes, unit="model"
        )
    return _collected(folder, plan, "answers"), _collected(folder, plan, "replies")


def _collected(folder: Path, plan: Plan, what: str) -> pd.DataFrame:
    frames = [
        pd.read_parquet(folder / f"seed-{seed}" / f"{_name(arm)}-{what}.parquet").assign(seed=seed, arm=arm)
        for seed in range(plan.sizes.seeds)
        for arm in plan.arms
    ]
    return pd.concat(frames, ignore_index=True)


def _name(arm: str) -> str:
    return arm.replace(" ", "-")


def _seed(
    folder: Path,
    plan: Plan,
    seed: int,
    *,
    log: Callable[[dict[str, float]], None],
) -> None:
    if plan.model == "embedded":
        pretrain(folder / "base", plan.sizes, plan.seed, plan.seed + seed)
    questions = lesson_questions(plan.task, plan.tuned, plan.seed, plan.model == "embedded")
    for number, arm in enumerate(plan.arms, 1):
        if arm != BEFORE:
            _tune(folder, plan, questions, arm, seed)
        where = source(folder.parent, plan, arm, seed)
        asking = partial(_answers, where, plan, seed)
        cached_table(folder / f"{_name(arm)}-answers.parquet", asking)
        cached_table(folder / f"{_name(arm)}-replies.parquet", partial(_replies, where, plan, seed))
        log({"tokens": number})


def _tune(folder: Path, plan: Plan, questions: Sequence[Question], arm: str, seed: int) -> None:
    before, place = source(folder.parent, plan, BEFORE, seed), folder / _name(arm)
    n = plan.sizes.pairs * plan.sizes.tuning_steps
    rows = lessons(questions, n, plan.seed + seed, drawn=arm == DRAWN)
    if arm == DPO:
        prefer(place, before, rows, plan.sizes, plan.beta, seed, plan.device)
    else:
        imitate(place, before, rows, plan.sizes, seed, plan.device)


def _answers(where: str, plan: Plan, seed: int) -> pd.DataFrame:
    sampler = load.sampler(where, plan.device)
    how = method.best_readout(sampler, plan.sizes.samples, seed)
    asked = [ask(sampler, plan.task, how, [NOBODY, *plan.task.groups]), ask(sampler, plan.chances, how)]
    return pd.concat(asked, ignore_index=True)


def _replies(where: str, plan: Plan, seed: int) -> pd.DataFrame:
    sampler = load.sampler(where, plan.device)
    questions = [*plan.task.prompted(), *plan.chances.questions]
    _, replies = by_samples(sampler, questions, plan.sizes.samples, seed)
    return pd.DataFrame({"id": [each.id for each in questions], "replies": replies})
