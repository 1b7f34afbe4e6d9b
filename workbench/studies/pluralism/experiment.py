"""The models of 12_pluralism: before, tuned by preferences, and two controls; all are asked everything."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from itertools import compress
from pathlib import Path
from typing import Any

import pandas as pd

from workbench.corpora import populations
from workbench.engine import loading
from workbench.engine.sampling import load
from workbench.engine.sampling.sampler import Sampler
from workbench.engine.sampling.transformers_sampler import TransformersSampler
from workbench.engine.training.common import TrainConfig
from workbench.errors import UserError
from workbench.files import cached_table
from workbench.studies.common.arms import collect, run_arms
from workbench.studies.pluralism import tuning
from workbench.studies.pluralism.elicitation import best_readout, readable, readouts, sample_replies
from workbench.studies.pluralism.method import NOBODY, Task, ask, load_task

BEFORE, DPO, SFT, DRAWN = "before", "DPO majority", "SFT majority", "SFT drawn"
ARMS = (BEFORE, DPO, SFT, DRAWN)


@dataclass(frozen=True)
class Sizes:
    """How much is learnt and asked."""

    preset: str  #: shape of the embedded model
    steps: int  #: of its training on the villages' texts
    batch_size: int  #: rows of `tuning.CONTEXT` tokens a step
    tuning_steps: int  #: of each tuning, `pairs` questions a step
    pairs: int  #: see there
    learning_rate: float  #: of the tuning, the highest
    seeds: int  #: trainings of each arm
    samples: int  #: answers drawn for each question, about
    questions: int  #: read from a file at most


SIZES = {
    "quick": Sizes("tiny:0.1M", 180, 16, 25, 16, 1e-3, 1, 12, 60),
    "laptop": Sizes("tiny:0.3M", 400, 16, 40, 16, 5e-4, 5, 24, 300),
    "paper": Sizes("tiny:8M", 10_000, 64, 1_000, 64, 1e-5, 5, 120, 2_000),
}


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
    placebo: bool = False  #: train every arm as a second model before tuning

    @property
    def all_seeds(self) -> range:
        """The seed of each training."""
        return range(self.seed, self.seed + self.sizes.seeds)

    @property
    def embedded(self) -> bool:
        """Whether the model is trained here, on the villages."""
        return self.model == "embedded"

    @property
    def tuned(self) -> set[str]:
        """Ids of the questions that are tuned on."""
        return tuning.tuned_on(self.task.questions, self.seed) if len(self.arms) > 1 else set()


def plan(params: Any) -> Plan:
    """The plan that the notebook's parameters make.

    `tuning_rate`, `tuning_steps`, `samples`, `limit` and `seeds` replace what they name in the profile's
    sizes; questions too long for a given model are left out.

    Raises:
        UserError: one of these is not above 0, model and questions do not go together, no question fits, or
            seeds or a placebo are asked for where nothing is trained.
    """
    fields = {"learning_rate": params.tuning_rate, "tuning_steps": params.tuning_steps,
              "samples": params.samples, "questions": params.limit, "seeds": params.seeds}  # fmt: skip
    changes = {name: value for name, value in fields.items() if value is not None}
    if min(changes.values(), default=1) <= 0:
        raise UserError("tuning_rate, tuning_steps, samples, limit and seeds must be above 0.")
    sizes, embedded = replace(SIZES[params.profile], **changes), params.model == "embedded"
    if embedded and params.questions != "embedded":
        raise UserError("The embedded model knows the villages only: name a model for questions of a file.")
    if not (embedded or params.tune) and (params.placebo or params.seeds):
        raise UserError(
            f"{params.model} is only asked, not trained: leave out seeds and placebo, or tune it."
        )
    task = load_task(params.questions, params.persona, sizes.questions, params.seed)
    if not embedded:
        sampler = load.sampler(params.model, params.device)
        if params.tune and not sampler.logprobs:
            raise UserError(f"{params.model} cannot be tuned from here: set tune to False, or give a folder.")
        if params.tune and isinstance(sampler, TransformersSampler):
            tuning.check_tunable(sampler.model, sampler.tokenizer)
        task = _fitting(task, sampler)
        sizes = sizes if params.tune else replace(sizes, seeds=1)
    arms, chances = ARMS if params.tune else ARMS[:1], Task(populations.truths())
    given = (params.model, params.beta, params.device, params.seed, params.placebo)
    return Plan(task, chances, sizes, arms, *given)


def _fitting(task: Task, sampler: Sampler) -> Task:
    """The questions that fit into the model's context, whoever is asked."""
    prompted = zip(*(task.prompted(group) for group in (NOBODY, *task.groups)), strict=True)
    fits = [all(readable(sampler, question) for question in questions) for questions in prompted]
    kept = list(compress(task.questions, fits))
    if not kept:
        raise UserError("No question fits into the model's context: take shorter questions or another model.")
    left_out = len(task.questions) - len(kept)
    notes = [f"{left_out:,} questions are longer than the model's context and left out"] if left_out else []
    return replace(task, questions=kept, notes=[*task.notes, *notes])


def read_before(folder: Path, plan: Plan) -> pd.DataFrame:
    """The model before tuning, of the first seed, by every read-out: the columns of `method.ask`."""
    sampler = load.sampler(_before(folder, plan, plan.seed), plan.device)
    return ask(readouts(sampler, plan.sizes.samples, plan.seed), plan.task)


def train_all(folder: Path, plan: Plan) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Every model of every seed, and what it answers.

    Seeds are shared out between the processor's cores, or follow each other on another device; what is done
    stays in `folder`.

    Returns:
        Distributions, with the columns of `method.ask`, seed and arm; and sampled replies: columns id,
        replies (list), seed, arm.
    """
    arms, seeds, train = plan.arms, plan.all_seeds, partial(train_arm, plan, folder)
    where = {"device": loading.pick_device(plan.device), "processes": None if plan.embedded else 1}
    control = BEFORE if plan.placebo else None
    run_arms(folder, arms, seeds, train, unit="model", together=arms, placebo_of=control, **where)
    return collect(folder, arms, seeds, "answers"), collect(folder, arms, seeds, "replies")


def train_arm(
    plan: Plan, root: Path, folder: Path, arm: str, seed: int, *, log: Callable[[dict[str, float]], None]
) -> None:
    """One arm: is tuned, if it is, and answers; the model before all tuning is in `root`."""
    sizes, model = plan.sizes, _before(root, plan, seed)
    if arm != BEFORE:
        _tune(folder / "model", model, plan, arm, seed)
        model = str(folder / "model")
    elif plan.embedded:
        seeds = plan.seed, seed
        tuning.pretrain(Path(model), sizes.preset, sizes.steps, sizes.batch_size, *seeds, plan.device)
    sampler = load.sampler(model, plan.device)
    questions = [*plan.task.prompted(), *plan.chances.questions]

    def answers() -> pd.DataFrame:
        readout = best_readout(sampler, sizes.samples, seed)
        asked = [ask(readout, plan.task, [NOBODY, *plan.task.groups]), ask(readout, plan.chances)]
        return pd.concat(asked, ignore_index=True)

    def replies() -> pd.DataFrame:
        sampled = sample_replies(sampler, questions, sizes.samples, seed)
        return pd.DataFrame({"id": [question.id for question in questions], "replies": sampled})

    cached_table(folder / "answers.parquet", answers)
    cached_table(folder / "replies.parquet", replies)


def _before(folder: Path, plan: Plan, seed: int) -> str:
    """Where the model before all tuning is, or will be."""
    return str(folder / f"seed-{seed}" / "base") if plan.embedded else plan.model


def _tune(folder: Path, before: str, plan: Plan, arm: str, seed: int) -> None:
    """DPO and imitation go once through as many questions, at one learning rate."""
    sizes = plan.sizes
    questions = tuning.tuning_questions(plan.task, plan.tuned, plan.seed, plan.embedded)
    n = sizes.pairs * sizes.tuning_steps
    rows = tuning.preferences(questions, n, seed, drawn=arm == DRAWN)
    schedule = {"learning_rate": sizes.learning_rate, "schedule": "linear", "warmup": 0}
    config = TrainConfig(epochs=1, batch_size=sizes.pairs, seed=seed, **schedule)
    if arm == DPO:
        tuning.prefer(folder, before, rows, config, plan.device, plan.beta)
    else:
        tuning.imitate(folder, before, rows, config, plan.device)
