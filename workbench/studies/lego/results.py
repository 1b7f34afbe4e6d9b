"""From answers to claims: accuracy by position in the chain, heads that associate."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from transformers import PreTrainedModel

from workbench.claims import Claim
from workbench.corpora.lego import Chains, Words, draw
from workbench.engine import loading
from workbench.engine.interpretability.capture import capture
from workbench.measures.statistics import paired_difference, wilson
from workbench.measures.summaries import summarise
from workbench.studies.common.arms import arm_folder
from workbench.studies.lego.method import CHECKS, Sizes, layers, right


def head_scores(fitted: Mapping[str, PreTrainedModel], chains: Chains) -> pd.DataFrame:
    """Association and manipulation of every head: columns model, layer, head, score, value, low, high, n.

    Association: attention to earlier equal words, over words that have some; manipulation: attention to the
    word's own clause. Means over strings.
    """
    ids = torch.from_numpy(chains.ids)
    position = torch.arange(ids.shape[1])
    clause = (position - 1) // 3
    same = (ids[:, :, None] == ids[:, None]) & (position[:, None] > position)
    within = (clause[:, None] == clause) & (position > 0)
    repeated = same.any(-1)[:, None]
    frames = []
    for name, model in fitted.items():
        values, _ = capture(model, ids, ["pattern.*"])
        for layer in range(len(values)):
            pattern = values[f"pattern.{layer}"]
            equal = (pattern * same[:, None]).sum(-1).masked_fill(~repeated, 0).sum(-1) / repeated.sum(-1)
            inside = (pattern * within).sum(-1)[..., 1:].mean(-1)
            for score, by_string in (("association", equal), ("manipulation", inside)):
                frame = pd.DataFrame(by_string.numpy()).melt(var_name="head")
                frames.append(frame.assign(model=name, layer=layer, score=score))
    return summarise(pd.concat(frames), ["model", "layer", "head", "score"], "value")


def load(folder: Path, names: Sequence[str]) -> tuple[dict[str, PreTrainedModel], dict[str, np.ndarray]]:
    """Trained models and their checks by name."""
    folders = {name: arm_folder(folder, name) for name in names}
    fitted = {name: loading.load(inner, "cpu")[0] for name, inner in folders.items()}
    return fitted, {name: np.load(inner / "checks.npy") for name, inner in folders.items()}


def accuracies(checks: Mapping[str, np.ndarray], sizes: Sizes) -> pd.DataFrame:
    """Columns model, step, position (from 1), value, low, high, n (strings), with Wilson's intervals."""
    return pd.DataFrame(
        {"model": name, "step": number * sizes.steps // CHECKS, "position": position, **_share(column)}
        for name, checked in checks.items()
        for number, correct in enumerate(checked, 1)
        for position, column in enumerate(correct.T, 1)
    )


def _share(correct: np.ndarray) -> dict[str, Any]:
    return wilson(int(correct.sum()), len(correct)).row()


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
            rows.append({"model": name, "position": position, **_share(correct)})
    return pd.DataFrame(rows, columns=["model", "position", "value", "low", "high", "n"])


def claims(checks: Mapping[str, np.ndarray], sizes: Sizes) -> list[Claim]:
    """What the trainings say; intervals are over test strings, one training each."""
    trained = slice(0, sizes.n_train)
    area = {name: checked[:, :, trained].mean((0, 2)) for name, checked in checks.items()}
    last = {name: checked[-1] for name, checked in checks.items()}
    shallow, deep = layers(min(sizes.depths)), layers(max(sizes.depths))
    paper = "Pre-trained models learn the task faster, and mimicking recovers most of it"
    compared = [
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
    unit = "share of answers"
    return [
        Claim.of(paired_difference(more, less), name=name, says=says, paper=paper, unit=unit, view=view)
        for name, view, paper, more, less, says in compared
    ]
