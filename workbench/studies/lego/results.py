"""From answers to claims: accuracy by position in the chain, heads that associate."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from transformers import PreTrainedModel

from workbench.corpora.lego import Chains, Words, draw
from workbench.engine import loading
from workbench.engine.interpretability.capture import capture
from workbench.measures.statistics import bootstrap_mean, paired_difference, wilson
from workbench.studies.lego.method import CHECKS, Sizes, layers, right


def head_scores(fitted: Mapping[str, PreTrainedModel], chains: Chains) -> pd.DataFrame:
    """Association and manipulation of every head: columns model, layer, head, score, value, low, high, n.

    Association: attention to earlier equal words, over words that have some; manipulation: attention to the
    word's own clause. Means over strings.
    """
    ids = torch.from_numpy(chains.ids)
    place = torch.arange(ids.shape[1])
    clause = (place - 1) // 3
    same = (ids[:, :, None] == ids[:, None]) & (place[:, None] > place)
    within = (clause[:, None] == clause) & (place > 0)
    rows = []
    for name, model in fitted.items():
        values, _ = capture(model, ids, ["pattern.*"])
        for layer in range(len(values)):
            pattern = values[f"pattern.{layer}"]
            has = same.any(-1)[:, None]
            equal = (pattern * same[:, None]).sum(-1).masked_fill(~has, 0).sum(-1) / has.sum(-1)
            own = (pattern * within).sum(-1)[..., 1:].mean(-1)
            for score, each in (("association", equal), ("manipulation", own)):
                for head, column in enumerate(each.T.numpy()):
                    found = bootstrap_mean(column)
                    rows.append((name, layer, head, score, found.value, found.low, found.high, found.n))
    return pd.DataFrame(rows, columns=["model", "layer", "head", "score", "value", "low", "high", "n"])


def load(folder: Path, names: Mapping[str, str]) -> tuple[dict[str, PreTrainedModel], dict[str, np.ndarray]]:
    """Trained models and their checks by name; `names` gives each one's folder."""
    return (
        {name: loading.load(folder / inner, "cpu")[0] for name, inner in names.items()},
        {name: np.load(folder / inner / "checks.npy") for name, inner in names.items()},
    )


def accuracies(checks: Mapping[str, np.ndarray], sizes: Sizes) -> pd.DataFrame:
    """Columns model, step, position (from 1), value, low, high, n (strings), with Wilson's intervals."""
    rows = []
    for name, found in checks.items():
        for number, correct in enumerate(found, 1):
            for position, column in enumerate(correct.T, 1):
                each = wilson(int(column.sum()), len(column))
                step = number * sizes.steps // CHECKS
                rows.append((name, step, position, each.value, each.low, each.high, each.n))
    return pd.DataFrame(rows, columns=["model", "step", "position", "value", "low", "high", "n"])


def broken_links(
    fitted: Mapping[str, PreTrainedModel], vocabulary: Words, sizes: Sizes, seed: int
) -> pd.DataFrame:
    """Answers for a clause that refers to nobody: columns model, position, value, low, high, n.

    At each trained position in turn the clause there refers to a name of which nothing is said. The value is
    the share that is answered as if the link were whole: one half where the model looks up, since nothing can
    be known; near 1 where it answers from what else the string holds.
    """
    rows = []
    for position in range(2, sizes.n_train + 1):
        rng = np.random.default_rng([seed, 4, position])
        chains = draw(vocabulary, sizes.tested, sizes.n, rng, broken=position - 1)
        for name, model in fitted.items():
            correct = right(model, chains, vocabulary)[:, position - 1]
            each = wilson(int(correct.sum()), len(correct))
            rows.append((name, position, each.value, each.low, each.high, each.n))
    return pd.DataFrame(rows, columns=["model", "position", "value", "low", "high", "n"])


def claims(checks: Mapping[str, np.ndarray], sizes: Sizes) -> list[dict[str, Any]]:
    """What the trainings say, as `run.claim` takes it; intervals are over test strings, one training each."""
    trained = slice(0, sizes.n_train)
    area = {name: found[:, :, trained].mean((0, 2)) for name, found in checks.items()}
    last = {name: found[-1] for name, found in checks.items()}
    shallow, deep = layers(min(sizes.depths)), layers(max(sizes.depths))
    paper = "Pre-trained models learn the task faster, and mimicking recovers most of it"
    pairs = [
        ("mimicking-speeds-up", "Learning curves", paper, area["mimicking"], area["scratch"],
         "Over the whole training, a model that mimicked the two kinds of heads first is right more often on "
         "trained positions than one from scratch."),
        ("stories-speed-up", "Learning curves", paper, area["stories"], area["scratch"],
         "Over the whole training, a model that read stories first is right more often on trained positions "
         "than one from scratch."),
        ("falls-past-trained-length", "Accuracy by position", "Accuracy falls beyond the trained positions",
         last["mimicking"][:, trained].mean(1), last["mimicking"][:, sizes.n_train :].mean(1),
         "At the end, trained positions are answered better than longer ones."),
        ("layers-bound-steps", "Layers and steps", "Each layer follows the chain a step further",
         last[deep][:, trained].mean(1), last[shallow][:, trained].mean(1),
         f"With {deep} more trained positions are right than with {shallow}."),
    ]  # fmt: skip
    found = []
    for name, view, said, more, less, says in pairs:
        effect = paired_difference(more, less)
        found.append(
            {"name": name, "says": says, "paper": said, "unit": "share of answers", "view": view,
             "effect": effect.value, "low": effect.low, "high": effect.high, "n": effect.n}
        )  # fmt: skip
    return found
