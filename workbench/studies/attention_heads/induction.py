"""The positive control of 03: a model trained on random tokens that come twice must grow induction heads.

An induction head attends from a token to what followed the same token before (Olsson et al. 2022, arXiv
2209.11895); on repeated random tokens nothing else predicts the second copy.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from workbench.engine import loading, models
from workbench.engine.interpretability.capture import capture
from workbench.engine.tokens import word_tokenizer
from workbench.engine.training.common import TrainConfig
from workbench.engine.training.train import train
from workbench.measures.statistics import bootstrap_mean

N_WORDS = 64
LENGTH = 48  # tokens of a training example
COPY = 16  # tokens of a copy when heads are tested: as long as the longest that was trained


def examples(n: int, seed: int) -> list[tuple[str, str]]:
    """Random words, and then stretches of them from random places: no fixed distance leads to the next word,
    only the same word before does.
    """
    rng = np.random.default_rng(seed)
    pairs = []
    for _ in range(n):
        words = [f"w{number}" for number in rng.choice(N_WORDS, rng.integers(8, 17), replace=False) + 1]
        again: list[str] = []
        while len(words) + len(again) < LENGTH:
            start = rng.integers(len(words) - 2)
            again += words[start : start + rng.integers(3, 9)]
        pairs.append((" ".join(words), " " + " ".join(again[: LENGTH - len(words)])))
    return pairs


def fit(
    folder: Path, tokens: int, seed: int, log: Callable[[dict[str, float]], None]
) -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """Trains a model of two layers and four heads on repeats, or loads the one that is finished.

    A GPT-Neo: its attention scores are not scaled down, so that heads sharpen within few steps.
    """
    tokenizer = word_tokenizer([f"w{number}" for number in range(1, N_WORDS + 1)])
    config = models.config("tiny:0.3M", len(tokenizer), "gpt-neo", n_layers=2, hidden_size=64, context=LENGTH)
    config.num_heads = 4
    train(
        models.build(config, seed),
        tokenizer,
        examples(tokens // LENGTH, seed),
        TrainConfig(tokens=tokens, batch_size=16, context=LENGTH, learning_rate=3e-3, warmup=50, seed=seed),
        folder=folder,
        log=log,
    )
    return loading.load(folder)


def score_repeats(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, n: int = 40, seed: int = 0
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Induction heads and what they are for, on random tokens of the model's vocabulary that come twice.

    Returns:
        Columns layer, head, value, low, high, n: attention from the second copy to the token behind the same
        token in the first; and position, nats, copy: mean loss by position.
    """
    rng = np.random.default_rng(seed)
    special = {*tokenizer.all_special_ids}
    usual = [token for token in range(len(tokenizer)) if token not in special]
    drawn = torch.tensor(rng.choice(usual, (n, COPY)))
    first = tokenizer.bos_token_id
    begin = torch.full((n, 0 if first is None else 1), first or 0)
    start = begin.shape[1]
    ids = torch.cat([begin, drawn, drawn], 1)
    values, logits = capture(model, ids, ["pattern.*"])
    queries = torch.arange(start + COPY, start + 2 * COPY - 1)
    rows = []
    for layer in range(len(values)):
        scores = values[f"pattern.{layer}"][:, :, queries, queries - COPY + 1].mean(-1).cpu().numpy()
        for head, by_text in enumerate(scores.T):
            rows.append({"layer": layer, "head": head, **bootstrap_mean(by_text).row()})
    heads = pd.DataFrame(rows)
    logprobs = torch.log_softmax(logits[:, :-1].float(), -1).cpu()
    nats = -logprobs.gather(2, ids[:, 1:, None])[..., 0].mean(0).numpy()
    position = np.arange(1, ids.shape[1])
    copy = np.where(position < start + COPY, "first", "second")
    return heads, pd.DataFrame({"position": position, "nats": nats, "copy": copy})


def compare(
    named: Mapping[str, tuple[PreTrainedModel, PreTrainedTokenizerFast]],
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """`score_repeats` of several models (column model); losses also as a share of the first copy's mean."""
    heads, losses = [], []
    for name, pair in named.items():
        own, nats = score_repeats(*pair)
        heads.append(own.assign(model=name))
        first = nats.loc[nats["copy"] == "first", "nats"].mean()
        losses.append(nats.assign(model=name, share=nats["nats"] / first))
    return pd.concat(heads, ignore_index=True), pd.concat(losses, ignore_index=True)
