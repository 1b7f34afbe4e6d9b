"""The models of 12_pluralism: before, and tuned in three ways, at equal budgets; all are asked everything."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from workbench.corpora import populations
from workbench.corpora.loaders.opinions import Question
from workbench.engine import loading
from workbench.engine.sampling import load
from workbench.engine.sampling.transformers_sampler import TransformersSampler
from workbench.engine.training.common import TrainConfig
from workbench.engine.training.lora import Lora
from workbench.files import cached_table
from workbench.studies.common.arms import arm_folder, collect, run_arms
from workbench.studies.common.profiles import REAL
from workbench.studies.pluralism import budget, majorities, spectrum, tuning
from workbench.studies.pluralism.elicitation import best_readout, readouts, sample_replies
from workbench.studies.pluralism.method import NOBODY, Task, ask, fitting, load_task, some

BEFORE, DPO, SFT, SPECTRUM = "before", "DPO majority", "SFT majority", "spectrum"
ARMS = (BEFORE, DPO, SFT, SPECTRUM)
_PLACEBO = 10_000  # seeds of a placebo run's arms are so far apart, see `run_arms`


@dataclass(frozen=True)
class Sizes:
    """How much is learnt and asked."""

    preset: str  #: shape of the embedded model
    steps: int  #: of its training on the villages' texts
    batch_size: int  #: rows of `tuning.CONTEXT` tokens a step
    base_rate: float  #: learning rate of that training, the highest
    tuning_steps: int  #: of each tuning, `pairs` answers a step
    pairs: int  #: see there
    learning_rate: float  #: of the tuning, the highest
    kl: float  #: budget: how far a tuned model may be from the one before, in nats
    populations: int  #: each with villages of its own
    seeds: int  #: trainings of each arm in each population
    samples: int  #: answers drawn for each question, about
    questions: int  #: read from a file at most
    arms: tuple[str, ...] = ARMS  #: that are trained
    fractions: tuple[float, ...] = budget.FRACTIONS  #: see there
    groups: int | None = None  #: that a given model is asked as, at most; None: all
    lora: bool = False  #: whether a given model learns through an adapter unless told otherwise


SIZES = {
    "quick": Sizes("tiny:0.1M", 220, 16, 8e-3, 30, 16, 1e-3, 0.2, 1, 1, 12, 60),
    "laptop": Sizes("tiny:0.1M", 400, 16, 8e-3, 40, 16, 1e-3, 0.2, 8, 2, 24, 300),
    REAL: Sizes(
        preset="",
        steps=0,
        batch_size=0,
        base_rate=0.0,
        tuning_steps=4,
        pairs=8,
        learning_rate=5e-4,
        kl=0.2,
        populations=1,
        seeds=1,
        samples=6,
        questions=20,
        arms=(BEFORE, DPO, SPECTRUM),
        fractions=(0.0, 1.0),
        groups=2,
        lora=True,
    ),
    "paper": Sizes("tiny:8M", 10_000, 64, 1e-3, 1_000, 64, 1e-5, 0.2, 8, 5, 120, 2_000),
}


@dataclass(frozen=True)
class Plan:
    """What is done: the tasks and the chances to be asked, the arms, and the notebook's parameters."""

    tasks: tuple[Task, ...]  #: one a population
    chances: Task
    sizes: Sizes
    arms: tuple[str, ...]
    model: str
    beta: float
    device: str
    seed: int
    placebo: bool = False  #: train every arm as a second model before tuning
    lora: Lora | None = None  #: what learns of a given model: an adapter, or all weights

    @property
    def task(self) -> Task:
        """That of the first population."""
        return self.tasks[0]

    @property
    def extent(self) -> str:
        """How many populations there are; of others a single one says nothing."""
        n = len(self.tasks)
        return f"{n} populations" if n > 1 else "one population, of which alone the claims are"

    @property
    def all_seeds(self) -> range:
        """The seed of each training: those of the first population, then those of the next."""
        return range(self.seed, self.seed + len(self.tasks) * self.sizes.seeds)

    def population(self, seed: int) -> int:
        """The number of the population that a training is about."""
        return (seed - self.seed) % _PLACEBO // self.sizes.seeds

    @property
    def embedded(self) -> bool:
        """Whether the model is trained here, on the villages."""
        return self.model == "embedded"

    def tuned(self, population: int) -> set[str]:
        """Ids of a population's questions that are tuned on."""
        if len(self.arms) == 1:
            return set()
        return majorities.tuned_on(self.tasks[population].questions, self.seed + population)

    def tuning_questions(self, population: int) -> list[Question]:
        """The questions that are tuned on, as they are put."""
        task, ids = self.tasks[population], self.tuned(population)
        return tuning.tuning_questions(task, ids, self.seed + population, self.embedded)


def plan(params: Any) -> Plan:
    """The plan that the notebook's parameters make.

    `tuning_rate`, `tuning_steps`, `kl`, `samples`, `limit`, `populations` and `seeds` replace what they name
    in the profile's sizes; questions too long for a given model are left out.

    Raises:
        UserError: no question fits, or there is nothing to tune on.
    """
    sizes, embedded = _sizes(params), params.model == "embedded"
    numbers = range(params.seed, params.seed + (sizes.populations if embedded else 1))
    tasks = [load_task(params.questions, params.persona, sizes.questions, number) for number in numbers]
    if not embedded:
        sampler = load.sampler(params.model, params.device)
        if params.tune and isinstance(sampler, TransformersSampler):
            tuning.check_tunable(sampler.model, sampler.tokenizer)
        tasks = [fitting(some(task, sizes.questions, sizes.groups), sampler) for task in tasks]
        sizes = sizes if params.tune else replace(sizes, seeds=1)
    arms, chances = sizes.arms if params.tune else ARMS[:1], Task(populations.truths())
    lora = Lora() if params.tuning == "lora" or (params.tuning is None and sizes.lora) else None
    about = (params.model, params.beta, params.device, params.seed, params.placebo, lora)
    made = Plan(tuple(map(_noted, tasks)) if params.tune else tuple(tasks), chances, sizes, arms, *about)
    for number in range(len(made.tasks)):
        made.tuned(number)  # refuses before anything is trained
    return made


def _sizes(params: Any) -> Sizes:
    fields = {"learning_rate": params.tuning_rate, "tuning_steps": params.tuning_steps, "kl": params.kl,
              "samples": params.samples, "questions": params.limit, "populations": params.populations,
              "seeds": params.seeds}  # fmt: skip
    changes = {name: value for name, value in fields.items() if value is not None}
    return replace(SIZES[params.profile], **changes)


def _noted(task: Task) -> Task:
    return replace(task, notes=[*task.notes, *majorities.check_opinions(task.questions)])


def model_folders(folder: Path, plan: Plan, seed: int) -> dict[str, str]:
    """Where the model of each arm is, by the arm's name."""
    tuned = {arm: str(arm_folder(folder, arm, seed) / "model") for arm in plan.arms if arm != BEFORE}
    return {BEFORE: _before(folder, plan, seed), **tuned}


def read_before(folder: Path, plan: Plan) -> pd.DataFrame:
    """The model before tuning, of the first seed, by every read-out: the columns of `method.ask`."""
    sampler = load.sampler(_before(folder, plan, plan.seed), plan.device)
    return ask(readouts(sampler, plan.sizes.samples, plan.seed), plan.task)


def train_all(folder: Path, plan: Plan) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Every model of every seed, and what it answers.

    Seeds are shared out between the processor's cores, or follow each other on another device; what is done
    stays in `folder`.

    Returns:
        Distributions, with the columns of `method.ask`, seed and arm; sampled replies: columns id, replies
        (list), seed, arm; and distributions on the way to the budget: those of `budget.bring_to`, seed, arm,
        nothing where nothing was tuned.
    """
    arms, seeds, train = plan.arms, plan.all_seeds, partial(train_arm, plan, folder)
    where = {"device": loading.pick_device(plan.device), "processes": None if plan.embedded else 1}
    control = BEFORE if plan.placebo else None
    run_arms(folder, arms, seeds, train, unit="model", together=arms, placebo_of=control, **where)
    answers, replies, path = (collect(folder, arms, seeds, name) for name in ("answers", "replies", "path"))
    return answers, replies, path


def train_arm(
    plan: Plan, root: Path, folder: Path, arm: str, seed: int, *, log: Callable[[dict[str, float]], None]
) -> None:
    """One arm: is tuned, if it is, and answers; the model before all tuning is in `root`."""
    sizes, model, task = plan.sizes, _before(root, plan, seed), plan.tasks[plan.population(seed)]
    if arm == BEFORE and plan.embedded:
        shape = (sizes.preset, sizes.steps, sizes.batch_size, sizes.base_rate)
        tuning.pretrain(Path(model), *shape, plan.seed + plan.population(seed), seed, plan.device)

    def path() -> pd.DataFrame:
        _tune(folder / ".tuned", model, plan, arm, seed)
        between = budget.Between(model, folder / ".tuned", plan.device)
        prompts = plan.tuning_questions(plan.population(seed))
        readout = partial(best_readout, k=sizes.samples, seed=seed)
        return budget.bring_to(
            folder / "model", between, prompts, sizes.kl, lambda it: ask(readout(it), task), sizes.fractions
        )

    if arm != BEFORE:
        cached_table(folder / "path.parquet", path)
        model = str(folder / "model")
    _ask_all(plan, folder, model, seed)


def _ask_all(plan: Plan, folder: Path, model: str, seed: int) -> None:
    """Distributions as everybody and as every group, and sampled replies."""
    task, samples = plan.tasks[plan.population(seed)], plan.sizes.samples
    sampler = load.sampler(model, plan.device)
    questions = [*task.prompted(), *plan.chances.questions]

    def answers() -> pd.DataFrame:
        readout = best_readout(sampler, samples, seed)
        asked = [ask(readout, task, [NOBODY, *task.groups]), ask(readout, plan.chances)]
        return pd.concat(asked, ignore_index=True)

    def replies() -> pd.DataFrame:
        sampled = sample_replies(sampler, questions, samples, seed)
        return pd.DataFrame({"id": [question.id for question in questions], "replies": sampled})

    cached_table(folder / "answers.parquet", answers)
    cached_table(folder / "replies.parquet", replies)


def _before(folder: Path, plan: Plan, seed: int) -> str:
    """Where the model before all tuning is, or will be."""
    return str(folder / f"seed-{seed}" / "base") if plan.embedded else plan.model


def _tune(folder: Path, before: str, plan: Plan, arm: str, seed: int) -> None:
    """All are meant to go once through as many answers, at one learning rate.

    A row of spectrum tuning holds three people where a fourth does not fit, and so fewer answers.
    """
    sizes, questions = plan.sizes, plan.tuning_questions(plan.population(seed))
    n = sizes.pairs * sizes.tuning_steps
    schedule = {"learning_rate": sizes.learning_rate, "schedule": "linear", "warmup": 0}
    config = TrainConfig(epochs=1, batch_size=sizes.pairs, seed=seed, lora=plan.lora, **schedule)
    if arm == SPECTRUM:
        people = spectrum.IN_CONTEXT
        rows = spectrum.rows_of_people(questions, max(1, n // people), seed)
        config = replace(config, batch_size=max(1, sizes.pairs // people))
        spectrum.tune(folder, before, rows, config, plan.device)
    elif arm == DPO:
        rows = tuning.preferences(questions, n, seed)
        tuning.prefer(folder, before, rows, config, plan.device, plan.beta)
    else:
        tuning.imitate(folder, before, tuning.preferences(questions, n, seed), config, plan.device)
