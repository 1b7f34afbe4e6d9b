"""The models of 12_pluralism: before, tuned by preferences, and two controls; all are asked everything."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from workbench.corpora import populations
from workbench.engine.sampling import load
from workbench.engine.sampling.sampler import Sampler
from workbench.errors import UserError
from workbench.files import cached_table
from workbench.studies.common.arms import arm_folder, collect, run_arms
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
        if params.tune and not sampler.logprobs:
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
    """Where the model of an arm is, once `train_all` has made it."""
    if arm == BEFORE:
        return str(folder / f"seed-{seed}" / "base") if plan.model == "embedded" else plan.model
    return str(arm_folder(folder, arm, seed) / "model")


def read_before(folder: Path, plan: Plan) -> pd.DataFrame:
    """The model before tuning, of the first seed, by every read-out: the columns of `pluralism.ask`."""
    sampler = load.sampler(source(folder, plan), plan.device)
    return ask(sampler, plan.task, method.every_readout(sampler, plan.sizes.samples, plan.seed))


def train_all(folder: Path, plan: Plan) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Every model of every seed, and what it answers.

    Seeds are shared out between the processor's cores; what is done stays in `folder`.

    Returns:
        Distributions, with the columns of `pluralism.ask`, seed and arm; and sampled replies: columns id,
        replies (list), seed, arm.
    """
    seeds = range(plan.sizes.seeds)
    run_arms(
        folder,
        plan.arms,
        seeds,
        partial(train_arm, plan, folder),
        unit="model",
        together=plan.arms,
        processes=None if plan.model == "embedded" else 1,
    )
    return collect(folder, plan.arms, seeds, "answers"), collect(folder, plan.arms, seeds, "replies")


def train_arm(
    plan: Plan,
    root: Path,
    folder: Path,
    arm: str,
    seed: int,
    *,
    log: Callable[[dict[str, float]], None],
) -> None:
    """One arm: is tuned, if it is, and answers; the model before all tuning is in `root`."""
    before = source(root, plan, BEFORE, seed)
    if arm != BEFORE:
        _tune(folder / "model", before, plan, arm, seed)
    elif plan.model == "embedded":
        pretrain(Path(before), plan.sizes, plan.seed, plan.seed + seed)
    model = before if arm == BEFORE else str(folder / "model")
    cached_table(folder / "answers.parquet", partial(_answers, model, plan, seed))
    cached_table(folder / "replies.parquet", partial(_replies, model, plan, seed))


def _tune(folder: Path, before: str, plan: Plan, arm: str, seed: int) -> None:
    questions = lesson_questions(plan.task, plan.tuned, plan.seed, plan.model == "embedded")
    n = plan.sizes.pairs * plan.sizes.tuning_steps
    rows = lessons(questions, n, plan.seed + seed, drawn=arm == DRAWN)
    if arm == DPO:
        prefer(folder, before, rows, plan.sizes, plan.beta, seed, plan.device)
    else:
        imitate(folder, before, rows, plan.sizes, seed, plan.device)


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
