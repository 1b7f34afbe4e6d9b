"""The positive control of 03: models trained on random words that come again must grow induction heads.

An induction head attends from a token to what followed the same token before (Olsson et al. 2022, arXiv
2209.11895); in repeated random words nothing else predicts what comes next. The arm beside it reads as many
words, of which none says what the next one is.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from workbench.engine import loading, models
from workbench.engine.interpretability.capture import capture
from workbench.engine.tokens import begin, word_tokenizer
from workbench.engine.training.common import TrainConfig
from workbench.engine.training.train import train
from workbench.studies.attention_heads.experiment import fit_arms
from workbench.studies.attention_heads.method import INDEX

REPEATS, CONTROL = "trained on repeats", "trained on random words"
ARMS = (REPEATS, CONTROL)
THIS_MODEL = "this model"
N_WORDS = 32
LENGTH = 48  # tokens of a training example
HALF = 0.5  # of its attention: from there on a head of a given model is said to be an induction head
COPY = 16  # tokens of a copy when heads are tested: as long as the longest that was trained


@dataclass(frozen=True)
class Shape:
    """How a model is made."""

    layers: int
    heads: int  #: in each layer
    width: int  #: of the residual stream
    tokens: int  #: that it reads
    batch_size: int  #: rows of `LENGTH` a step


def examples(n: int, seed: int, *, repeats: bool = True) -> list[tuple[str, str]]:
    """Random words, and then stretches of them from random places: no fixed distance leads to the next word,
    only the same word before does. Without `repeats` other random words follow in their place.
    """
    rng, others = (np.random.default_rng([seed, number]) for number in (0, 1))
    pairs = []
    for _ in range(n):
        words = [f"w{number}" for number in rng.choice(N_WORDS, rng.integers(8, 17), replace=False) + 1]
        again: list[str] = []
        while len(words) + len(again) < LENGTH:
            start = rng.integers(len(words))
            again += (words + words)[start : start + rng.integers(6, 17)]
        again = again[: LENGTH - len(words)]
        if not repeats:
            again = [f"w{number}" for number in others.integers(1, N_WORDS + 1, len(again))]
        pairs.append((" ".join(words), " " + " ".join(again)))
    return pairs


def fit(
    folder: Path,
    shape: Shape | None,
    seeds: Sequence[int],
    log: Callable[..., None],
    device: str = "auto",
    *,
    placebo: bool = False,
) -> dict[tuple[str, int], tuple[PreTrainedModel, PreTrainedTokenizerFast]]:
    """Trains both arms of every seed, or loads those that are finished; by arm and seed.

    Args:
        folder: of the models.
        shape: of each of them; None: nothing is trained.
        seeds: of the weights and of the words, which both arms of a seed share as far as they go.
        log: takes what is logged of a training, with model and seed.
        device: see `loading.pick_device`.
        placebo: whether to train `REPEATS` as a second control.
    """
    if shape is None:
        return {}
    device = loading.pick_device(device)
    return fit_arms(
        folder,
        ARMS,
        seeds,
        partial(train_arm, shape, device),
        shape.tokens,
        log,
        device,
        placebo_of=CONTROL if placebo else None,
    )


def train_arm(
    shape: Shape,
    device: str,
    folder: Path,
    arm: str,
    seed: int,
    *,
    log: Callable[[dict[str, float]], None],
) -> None:
    """Trains one model into `folder`.

    A GPT-Neo: its attention scores are not scaled down, so that heads sharpen within few steps.
    """
    tokenizer = word_tokenizer([f"w{number}" for number in range(1, N_WORDS + 1)])
    config = models.config("tiny:0.3M", len(tokenizer), "gpt-neo", shape.layers, shape.width, LENGTH)
    config.num_heads = shape.heads
    train(
        models.build(config, seed, device),
        tokenizer,
        examples(shape.tokens // LENGTH, seed, repeats=arm == REPEATS),
        TrainConfig(
            tokens=shape.tokens,
            batch_size=shape.batch_size,
            context=LENGTH,
            learning_rate=1e-2 * (32 / shape.width) ** 0.5,
            warmup=50,
            seed=seed,
        ),
        folder=folder,
        log=lambda row: log({**row, "done": row["tokens"]}),
    )


def score_repeats(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, n: int = 40
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Induction heads and what they are for, on n rows of random tokens of the vocabulary that come twice.

    Returns:
        Columns layer, head, item (row), value: attention from the second copy to the token behind the same
        token in the first; and position, nats, copy: mean loss by position.
    """
    special = {*tokenizer.all_special_ids}
    usual = [token for token in range(len(tokenizer)) if token not in special]
    drawn = torch.tensor(np.random.default_rng(0).choice(usual, (n, COPY)))
    first = torch.tensor(begin(tokenizer), dtype=drawn.dtype).expand(n, -1)
    ids, second = torch.cat([first, drawn, drawn], 1), first.shape[1] + COPY
    values, logits = capture(model, ids, ["pattern.*"])
    queries = torch.arange(second, second + COPY - 1)
    frames = []
    for layer in range(len(values)):
        scores = values[f"pattern.{layer}"][:, :, queries, queries - COPY + 1].mean(-1).cpu().numpy()
        scores = pd.DataFrame(scores).rename_axis(index="item").reset_index()
        frames.append(scores.melt("item", var_name="head").assign(layer=layer))
    logprobs = torch.log_softmax(logits[:, :-1].float(), -1).cpu()
    nats = -logprobs.gather(2, ids[:, 1:, None])[..., 0].mean(0)
    position = np.arange(1, ids.shape[1])
    copy = np.where(position < second, "first", "second")
    losses = pd.DataFrame({"position": position, "nats": nats.numpy(), "copy": copy})
    return pd.concat(frames, ignore_index=True)[[*INDEX, "item", "value"]], losses


def score_all(
    fitted: Mapping[tuple[str, int], tuple[PreTrainedModel, PreTrainedTokenizerFast]],
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """`score_repeats` of several models, by name and seed (columns model, seed); losses also as a share of
    the first copy's mean.
    """
    heads, losses = [], []
    for (name, seed), pair in fitted.items():
        scores, nats = score_repeats(*pair)
        heads.append(scores.assign(model=name, seed=seed))
        first = nats.loc[nats["copy"] == "first", "nats"].mean()
        losses.append(nats.assign(model=name, seed=seed, share=nats["nats"] / first))
    return pd.concat(heads, ignore_index=True), pd.concat(losses, ignore_index=True)


def strongest(heads: pd.DataFrame) -> pd.DataFrame:
    """The strongest head of every model and seed, chosen on every second row: its values on the others."""
    parts = []
    for _, part in heads.groupby(["model", "seed"], sort=False):
        chooses = part["item"] % 2 == 0
        layer, head = part[chooses].groupby(INDEX)["value"].mean().idxmax()
        parts.append(part[~chooses & (part["layer"] == layer) & (part["head"] == head)])
    return pd.concat(parts, ignore_index=True)
