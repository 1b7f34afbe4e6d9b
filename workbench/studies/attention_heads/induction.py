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
from workbench.engine.tokens import begin, word_tokenizer
from workbench.engine.training.common import TrainConfig
from workbench.engine.training.train import train
from workbench.measures.summaries import summarise
from workbench.studies.attention_heads.method import INDEX

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
    folder: Path, tokens: int, seed: int, log: Callable[[dict[str, float]], None], device: str = "auto"
) -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """Trains a model of two layers and four heads on repeats, or loads the one that is finished.

    A GPT-Neo: its attention scores are not scaled down, so that heads sharpen within few steps.
    """
    tokenizer = word_tokenizer([f"w{number}" for number in range(1, N_WORDS + 1)])
    config = models.config("tiny:0.3M", len(tokenizer), "gpt-neo", n_layers=2, hidden_size=64, context=LENGTH)
    config.num_heads = 4
    train(
        models.build(config, seed).to(loading.pick_device(device)),
        tokenizer,
        examples(tokens // LENGTH, seed),
        TrainConfig(tokens=tokens, batch_size=16, context=LENGTH, learning_rate=3e-3, warmup=50, seed=seed),
        folder=folder,
        log=log,
    )
    return loading.load(folder, device)


def score_repeats(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, n: int = 40
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Induction heads and what they are for, on n rows of random tokens of the vocabulary that come twice.

    Returns:
        Columns layer, head, value, low, high, n: attention from the second copy to the token behind the same
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
        frames.append(pd.DataFrame(scores).melt(var_name="head").assign(layer=layer))
    heads = summarise(pd.concat(frames), INDEX, "value")
    logprobs = torch.log_softmax(logits[:, :-1].float(), -1).cpu()
    nats = -logprobs.gather(2, ids[:, 1:, None])[..., 0].mean(0)
    position = np.arange(1, ids.shape[1])
    copy = np.where(position < second, "first", "second")
    return heads, pd.DataFrame({"position": position, "nats": nats.numpy(), "copy": copy})


def compare(
    pairs: Mapping[str, tuple[PreTrainedModel, PreTrainedTokenizerFast]],
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """`score_repeats` of several models (column model); losses also as a share of the first copy's mean."""
    heads, losses = [], []
    for name, pair in pairs.items():
        scores, nats = score_repeats(*pair)
        heads.append(scores.assign(model=name))
        first = nats.loc[nats["copy"] == "first", "nats"].mean()
        losses.append(nats.assign(model=name, share=nats["nats"] / first))
    return pd.concat(heads, ignore_index=True), pd.concat(losses, ignore_index=True)
