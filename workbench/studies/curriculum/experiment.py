"""Breadth, depth and forgetting: facts and walks in known shares and orders, for one budget.

Curricula of data are what TinyStories left as future work (Eldan & Li 2023, arXiv 2305.07759); the orders are
those that others tried since (arXiv 2509.24356). Breadth is how many facts a model knows by heart without
being told them; depth is after how many steps of a walk it still knows where it is. One arm reads questions
that need a fact and a step, as in two-hop experiments (Balesni et al. 2024, arXiv 2411.16353): there large
models were tuned on invented facts, here new ones read them from the beginning.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from transformers import PreTrainedModel

from workbench.engine import loading, models
from workbench.engine.cost import measure, reads_per_learnt
from workbench.engine.tokens import encode_pairs
from workbench.engine.training.common import TrainConfig
from workbench.engine.training.memory import master_weights
from workbench.engine.training.train import train
from workbench.files import cached_table
from workbench.studies.common.arms import Row, arm_folder, collect, run_arms
from workbench.studies.curriculum import asking, data
from workbench.studies.curriculum.data import Settings, Task

CHECKS = 8  # tests while a model learns
_FEWEST_UPDATES = 500  # between checkpoints: a shorter training is begun again


@dataclass(frozen=True)
class Arm:
    """What a model reads and its shape; `shape` None: the given model's."""

    share: float
    order: str
    shape: tuple[int, int] | None
    combined: float = 0.0  #: of all pages, those with combined questions

    @property
    def name(self) -> str:
        """As a folder's name."""
        shape = f"-{self.shape[0]}x{self.shape[1]}" if self.shape else ""
        together = f"-{self.combined:g}-combined" if self.combined else ""
        return f"{self.share:g}-{self.order.replace(' ', '-')}{shape}{together}"


def shape_name(layers: int, width: int) -> str:
    """Layers and width, as they are shown."""
    return f"{layers} × {width}"


def arms(settings: Settings) -> list[Arm]:
    """Every share, every order, a share of combined questions, and every shape of new models.

    All but the shares read facts on one half of the pages, and all but the orders are shuffled.
    """
    base, *others = settings.shapes if settings.model == "embedded" else [None]
    return [
        *(Arm(share, "shuffled", base) for share in settings.shares),
        *(Arm(0.5, order, base) for order in settings.orders[1:]),
        Arm(0.5, "shuffled", base, data.COMBINED),
        *(Arm(0.5, "shuffled", shape) for shape in others),
    ]


def start(folder: Path, settings: Settings) -> str:
    """The given model, or a folder with the tokenizer of new ones.

    Raises:
        UserError: the given model cannot be loaded.
    """
    if settings.model != "embedded":
        loading.read_config(settings.model)
        return settings.model
    if not (folder / "config.json").exists():
        tokenizer = data.word_level_tokenizer(data.every_word(settings), settings)
        model = new_model(settings.shapes[0], len(tokenizer), settings.context, settings.seed)
        loading.save(model, tokenizer, folder)
    return str(folder)


def expected(task: Task, settings: Settings) -> list[str]:
    """What it will take with a given model at `real-laptop`, measured, as a sentence."""
    if settings.shares == data.SHARES:
        return []
    model, tokenizer = loading.load(task.start, settings.device)
    cost, all_arms = measure(model, tokenizer), arms(settings)
    learnt = reads_per_learnt(model, "full") * len(all_arms) * settings.n_pages * settings.context
    in_facts = sum(len(prompt + rest) for prompt, rest in encode_pairs(
        tokenizer, [fact.pair() for fact in task.facts[: settings.n_test]]))  # fmt: skip
    a_test = in_facts + settings.n_test * (settings.n_steps + 2)
    n_tests = sum(1 + len(tests(arm, settings)) for arm in all_arms)
    return [cost.sentence(cost.minutes(read=learnt + n_tests * a_test))]


def new_model(
    shape: tuple[int, int], vocab_size: int, context: int, seed: int, device: str = "cpu"
) -> PreTrainedModel:
    """A model of this many layers and this width that has read nothing."""
    layers, width = shape
    config = models.config(vocab_size=vocab_size, n_layers=layers, hidden_size=width, context=context)
    return models.build(config, seed, device)


# ------------------------------------------------------------------------------- training
def train_all(folder: Path, start: str, settings: Settings, log: Callable[..., None]) -> pd.DataFrame:
    """Trains every arm with every seed and asks it everything, at the end or all the time.

    Trainings are shared out between the processor's cores, or follow each other on another device. Each is
    kept in `folder` with its answers, so that a killed call goes on.

    Returns:
        Columns share, order, combined, layers, width (0 of a given model), seed, update, measure ("facts",
        or the number of steps), item (of the facts or walks in the test) and value (1 where it is right,
        else 0).
        In a placebo run every arm bears its own name, whatever it has read.
    """
    by_name = {arm.name: arm for arm in arms(settings)}
    run_arms(
        folder,
        list(by_name),
        settings.all_seeds,
        partial(train_arm, by_name, start, settings),
        unit="update",
        total=settings.updates,
        device=settings.device,
        processes=settings.processes,
        placebo_of=control(settings).name if settings.placebo else None,
        log=lambda arm, seed, row: log(model=f"{arm}-{seed}", **row),
    )
    return kept(folder, settings, "right-*")


def kept(folder: Path, settings: Settings, table: str) -> pd.DataFrame:
    """A table of every arm and seed, with what the arm has read, put together.

    Args:
        folder: of `train_all`.
        settings: of the study.
        table: "right-*" (see `train_all`), "combined" (see `asking.combined`) or "losses" (columns first and
            last: nats a token at the beginning and the end of a training).
    """
    by_name = {arm.name: arm for arm in arms(settings)}
    frame = collect(folder, list(by_name), settings.all_seeds, table)
    return pd.concat(
        [part.assign(**_about(by_name[name])) for name, part in frame.groupby("arm", sort=False)],
        ignore_index=True,
    ).drop(columns="arm")


def control(settings: Settings) -> Arm:
    """The arm that all others are held against: half facts, half walks, shuffled."""
    return next(arm for arm in arms(settings) if arm.share == 0.5 and arm.order == "shuffled")


def _about(arm: Arm) -> dict[str, float | str | int]:
    layers, width = arm.shape or (0, 0)
    about = {"share": arm.share, "order": arm.order, "combined": arm.combined}
    return {**about, "layers": layers, "width": width}


def train_arm(
    arms: Mapping[str, Arm],
    start: str,
    settings: Settings,
    folder: Path,
    name: str,
    seed: int,
    *,
    log: Callable[[Row], None],
) -> None:
    """One arm: reads its pages and is asked, at the end or all the time."""
    arm, (task,) = arms[name], data.tasks(start, settings, [seed])
    settings = task.settings
    if arm.shape:
        model = new_model(arm.shape, len(task.tokenizer), settings.context, task.seed, settings.device)
    else:
        model = loading.load(task.start, settings.device)[0]
    master_weights(model)  # before the first test
    updates = tests(arm, settings)

    def test(update: int) -> None:
        cached_table(folder / f"right-{update:08}.parquet", lambda: evaluate(model, task, update))

    def note(row: Row) -> None:
        if row["step"] in updates:
            test(row["step"])
        log({**row, "done": row["step"]})

    test(0)
    config = TrainConfig(
        steps=settings.updates,
        batch_size=settings.batch_size,
        context=settings.context,
        learning_rate=settings.learning_rate if arm.shape else settings.given_rate,
        schedule="constant",
        warmup=settings.updates // 10,
        seed=task.seed,
        checkpoint_every=max(_FEWEST_UPDATES, settings.updates // 10),
    )
    pages = task.pages(arm.share, arm.order, arm.combined)
    history = train(model, task.tokenizer, pages, config, folder=folder / "model", log=note)
    losses = [row["loss"] for row in history.rows]
    pd.DataFrame([{"first": losses[0], "last": losses[-1]}]).to_parquet(folder / "losses.parquet")
    asking.combined(model, task).to_parquet(folder / "combined.parquet")


def tests(arm: Arm, settings: Settings) -> set[int]:
    """The updates after which an arm is asked: all the time where orders are compared, else at the end."""
    if arm.share != 0.5 or arm.combined or arm.shape not in (None, settings.shapes[0]):
        return {settings.updates}
    regular = (round(settings.updates * check / CHECKS) for check in range(1, CHECKS + 1))
    return {*regular, *data.last_blocks(settings.updates)}


def evaluate(model: PreTrainedModel, task: Task, update: int) -> pd.DataFrame:
    """What is answered rightly: columns update, measure, item, value."""
    asked = task.test_walks()
    right = asking.places_named(model, task, asked) == asked.ends
    facts = [fact.pair() for fact in task.facts[: task.settings.n_test]]
    measures = {"facts": asking.completed(model, task, facts)}
    measures |= {str(n): column for n, column in enumerate(right.T, 1)}
    frames = [
        pd.DataFrame({"measure": name, "item": range(len(column)), "value": column.astype(np.int8)})
        for name, column in measures.items()
    ]
    return pd.concat(frames, ignore_index=True).assign(update=update)


# ------------------------------------------------------------------------------- shapes and models
def parameter_counts(task: Task) -> pd.DataFrame:
    """Parameters of every shape of new models: columns layers, width, non-embedding, embedding."""
    settings, rows = task.settings, []
    for shape in sorted(settings.shapes) if settings.model == "embedded" else ():
        model = new_model(shape, len(task.tokenizer), settings.context, 0)
        counts = models.count_parameters(model)
        rows.append((*shape, counts.non_embedding, counts.embedding))
    return pd.DataFrame(rows, columns=["layers", "width", "non-embedding", "embedding"])


def load(folder: Path, settings: Settings) -> dict[str, PreTrainedModel]:
    """The models of the first seed, by what they read."""
    by_label = {}
    for arm in arms(settings):
        shape = "" if arm.shape in (None, settings.shapes[0]) else f", {shape_name(*arm.shape)}"
        together = ", combined questions" if arm.combined else ""
        label = f"{arm.share:.0%} facts, {arm.order}{shape}{together}"
        by_label[label] = loading.load(arm_folder(folder, arm.name, settings.seed) / "model", "cpu")[0]
    return by_label
