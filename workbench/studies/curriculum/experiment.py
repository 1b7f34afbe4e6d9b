"""Breadth, depth and forgetting: facts and walks in known shares and orders, for one budget.

Curricula of data are what TinyStories left as future work (Eldan & Li 2023, arXiv 2305.07759); the orders are
those that others tried since (arXiv 2509.24356). Breadth is how many facts a model knows by heart
without being told them; depth is after how many steps of a walk it still knows where it is.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from transformers import PreTrainedModel

from workbench.corpora import walks
from workbench.corpora.facts import Fact
from workbench.engine import loading, models
from workbench.engine.tokens import encode_pairs
from workbench.engine.training.common import TrainConfig
from workbench.engine.training.train import train
from workbench.errors import UserError
from workbench.files import cached_table
from workbench.studies.common.arms import arm_folder, collect, run_arms
from workbench.studies.curriculum.data import ORDERS, SHARES, Sizes, Task, known, tokenizer_of

CHECKS = 8  # tests while a model learns
_FEWEST_UPDATES = 500  # between checkpoints: a shorter training is begun again
_GIVEN_RATE = 1e-4  # learning rate of models that have learnt before
_AT_ONCE = 256  # questions


@dataclass(frozen=True)
class Arm:
    """What a model reads and its shape; `shape` None: the given model's."""

    share: float
    order: str
    shape: tuple[int, int] | None

    @property
    def name(self) -> str:
        """As a folder's name."""
        shape = f"-{self.shape[0]}x{self.shape[1]}" if self.shape else ""
        return f"{self.share:g}-{self.order.replace(' ', '-')}{shape}"


def shaped(shape: tuple[int, int]) -> str:
    """Layers and width, as they are shown."""
    return f"{shape[0]} × {shape[1]}"


def arms(params: Any, sizes: Sizes) -> list[Arm]:
    """Every share shuffled, one half in every order, and one half shuffled for every shape of new models."""
    new = params.model == "embedded"
    base = sizes.shapes[0] if new else None
    found = [Arm(share, "shuffled", base) for share in SHARES]
    found += [Arm(0.5, order, base) for order in ORDERS[1:]]
    return found + [Arm(0.5, "shuffled", shape) for shape in sizes.shapes[1:] if new]


# ------------------------------------------------------------------------------- beginning
def start(folder: Path, params: Any, sizes: Sizes) -> str:
    """The model that `model` names, or a folder with the tokenizer of new ones.

    Raises:
        UserError: the given model cannot be loaded, or breaks the words of walks into pieces.
    """
    if params.model != "embedded":
        loading.check(params.model)
        return params.model
    if not (folder / "config.json").exists():
        facts = [fact for seed in range(sizes.seeds) for fact in known(params, sizes, seed)]
        tokenizer = tokenizer_of(facts, sizes)
        loading.save(_new(sizes.shapes[0], len(tokenizer), sizes, params.seed), tokenizer, folder)
    return str(folder)


def _new(shape: tuple[int, int], vocab_size: int, sizes: Sizes, seed: int) -> PreTrainedModel:
    layers, width = shape
    config = models.config(vocab_size=vocab_size, n_layers=layers, hidden_size=width, context=sizes.context)
    return models.build(config, seed)


def tasks(begin: str, params: Any, sizes: Sizes) -> list[Task]:
    """Facts, town and questions of every repetition."""
    _, tokenizer = loading.load(begin, "cpu")
    words = walks.words(tokenizer, sizes.places, sizes.ways)
    found = []
    for seed in range(sizes.seeds):
        own_facts = known(params, sizes, seed)
        _check_lengths(own_facts, tokenizer, sizes.context)
        town = walks.town(sizes.places, sizes.ways, np.random.default_rng([params.seed, seed, 3]))
        found.append(Task(1000 * params.seed + seed, own_facts, town, words, tokenizer, sizes))
    return found


def _check_lengths(facts: list[Fact], tokenizer: Any, context: int) -> None:
    pairs = encode_pairs(tokenizer, [fact.pair() for fact in facts])
    for fact, (prompt, value) in zip(facts, pairs, strict=True):
        if len(prompt) + len(value) > context:
            raise UserError(
                f"The fact {''.join(fact.pair())[:60]!r} takes {len(prompt) + len(value)} tokens, and a page "
                f"holds {context}: leave it out, or take a larger profile."
            )


# ------------------------------------------------------------------------------- training
def train_all(
    folder: Path, begin: str, params: Any, tasks: list[Task], log: Callable[..., None]
) -> pd.DataFrame:
    """Trains every arm in every repetition and asks it everything, at the end or all the time.

    Trainings are shared out between the processor's cores, or follow each other on another device. Each is
    kept in `folder` with its answers, so that a killed call goes on.

    Returns:
        Columns share, order, layers, width (0 of a given model), seed, update, measure ("facts", or the
        number of steps), value (share of right answers), n (questions).
    """
    sizes, device = tasks[0].sizes, loading.pick_device(params.device)
    named, repetitions = {arm.name: arm for arm in arms(params, sizes)}, range(len(tasks))
    run_arms(
        folder,
        list(named),
        repetitions,
        partial(train_arm, named, tasks, begin, device),
        unit="update",
        total=sizes.updates,
        device=device,
        log=lambda arm, seed, row: log(model=f"{arm}-{seed}", **row),
    )
    frame = collect(folder, list(named), repetitions, "right-*").drop(columns="arm")
    return frame.assign(seed=[tasks[repetition].seed for repetition in frame["seed"]])


def train_arm(
    arms: Mapping[str, Arm],
    tasks: Sequence[Task],
    begin: str,
    device: str,
    folder: Path,
    name: str,
    repetition: int,
    *,
    log: Callable[[dict[str, float]], None],
) -> None:
    """One arm: reads its pages and is asked, at the end or all the time."""
    arm, task = arms[name], tasks[repetition]
    sizes = task.sizes
    if arm.shape:
        model = _new(arm.shape, len(task.tokenizer), sizes, task.seed).to(device)
    else:
        model = loading.load(begin, device)[0].float()  # half-precision weights would lose small steps
    often = arm.share == 0.5 and arm.shape in (None, sizes.shapes[0])
    at = {round(sizes.updates * check / CHECKS) for check in (range(1, CHECKS + 1) if often else [CHECKS])}

    def check(step: int) -> None:
        cached_table(folder / f"right-{step:08}.parquet", lambda: _asked(model, arm, task, step))

    def note(row: dict[str, float]) -> None:
        if row["step"] in at:
            check(row["step"])
        log({**row, "done": row["step"]})

    check(0)
    train(
        model,
        task.tokenizer,
        task.pages(arm.share, arm.order),
        TrainConfig(
            steps=sizes.updates,
            batch_size=sizes.batch,
            context=sizes.context,
            learning_rate=sizes.learning_rate if arm.shape else _GIVEN_RATE,
            schedule="constant",
            warmup=sizes.updates // 10,
            seed=task.seed,
            checkpoint_every=max(_FEWEST_UPDATES, sizes.updates // 10),
        ),
        folder=folder / "model",
        log=note,
    )


# ------------------------------------------------------------------------------- asking
def _asked(model: PreTrainedModel, arm: Arm, task: Task, update: int) -> pd.DataFrame:
    right = walked(model, task) == task.asked_walks().ends
    measures = {"facts": facts_right(model, task)} | {str(n): column for n, column in enumerate(right.T, 1)}
    rows = [(update, name, column.mean(), len(column)) for name, column in measures.items()]
    layers, width = arm.shape or (0, 0)
    frame = pd.DataFrame(rows, columns=["update", "measure", "value", "n"])
    return frame.assign(share=arm.share, order=arm.order, layers=layers, width=width)


def facts_right(model: PreTrainedModel, task: Task) -> np.ndarray:
    """Whether the most likely continuation of each asked fact is its value, bool `[facts]`."""
    asked = encode_pairs(task.tokenizer, [fact.pair() for fact in task.facts[: task.sizes.asked]])
    longest = max(len(prompt) + len(value) for prompt, value in asked)
    ids = np.full((len(asked), longest), task.words.begin)  # what follows a value cannot change it
    for row, (prompt, value) in enumerate(asked):
        ids[row, : len(prompt) + len(value)] = prompt + value
    said = _most_likely(model, ids)
    right = [
        said[row, len(prompt) - 1 : len(prompt) + len(value) - 1].tolist() == value
        for row, (prompt, value) in enumerate(asked)
    ]
    return np.array(right)


def walked(model: PreTrainedModel, task: Task) -> np.ndarray:
    """Where the model is after each step of the asked walks, `[walks, steps]`; −1 where it names no place."""
    said = _most_likely(model, walks.tokens(task.asked_walks(), task.words))[:, 2:]
    number = {int(token): place for place, token in enumerate(task.words.places)}
    return np.vectorize(lambda token: number.get(int(token), -1))(said)


@torch.inference_mode()
def _most_likely(model: PreTrainedModel, ids: np.ndarray) -> np.ndarray:
    was_training = model.training
    model.eval()
    parts: list[Tensor] = []
    for at in range(0, len(ids), _AT_ONCE):
        part = torch.from_numpy(ids[at : at + _AT_ONCE]).long().to(model.device)
        parts.append(model(part, use_cache=False).logits.argmax(-1).cpu())
    model.train(was_training)
    return torch.cat(parts).numpy()


# ------------------------------------------------------------------------------- shapes and models
def counts(task: Task, params: Any) -> pd.DataFrame:
    """Parameters of every shape: columns layers, width, non-embedding, embedding."""
    rows = []
    for shape in {arm.shape for arm in arms(params, task.sizes)}:
        if shape:
            found = models.count_parameters(_new(shape, len(task.tokenizer), task.sizes, 0))
            rows.append((*shape, found.non_embedding, found.embedding))
    return pd.DataFrame(sorted(rows), columns=["layers", "width", "non-embedding", "embedding"])


def load(folder: Path, params: Any, sizes: Sizes) -> dict[str, PreTrainedModel]:
    """The models of the first repetition, by what they read."""
    found = {}
    for arm in arms(params, sizes):
        shape = "" if arm.shape in (None, sizes.shapes[0]) else f", {shaped(arm.shape)}"
        name = f"{arm.share:.0%} facts, {arm.order}{shape}"
        found[name] = loading.load(arm_folder(folder, arm.name, 0) / "model", "cpu")[0]
    return found
