"""From answers to claims: accuracy by position in the chain, heads that associate."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from transformers import PreTrainedModel

from workbench.claims import Claim, Gate
from workbench.corpora.lego import Chains, Words, draw
from workbench.engine import loading
from workbench.engine.interpretability.capture import capture
from workbench.measures.statistics import wilson
from workbench.measures.summaries import summarise
from workbench.studies.common.arms import arm_folder
from workbench.studies.common.evidence import over_seeds
from workbench.studies.lego.method import CHECKS, MIMICKING, SCRATCH, STORIES, Sizes, layers, right

_LEARNT = 0.7  # share of trained positions right, below which there is nothing that could fall
Checks = Mapping[str, np.ndarray]
"""By arm: whether each answer was right, bool `[seeds, checks, strings, positions]`."""


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


def load(folder: Path, arms: Mapping[str, str], seeds: Sequence[int]) -> tuple[dict, Checks]:
    """The models of the first seed, and the checks of all.

    Args:
        folder: of `method.train_all`.
        arms: the arm behind each name to show.
        seeds: of the trainings.
    """
    first = {name: arm_folder(folder, arm, seeds[0]) for name, arm in arms.items()}
    checks = {
        name: np.stack([np.load(arm_folder(folder, arm, seed) / "checks.npy") for seed in seeds])
        for name, arm in arms.items()
    }
    return {name: loading.load(inner, "cpu")[0] for name, inner in first.items()}, checks


def accuracies(checks: Checks, sizes: Sizes, seeds: Sequence[int]) -> pd.DataFrame:
    """Columns model, seed, step, position (from 1), value, low, high, n (strings): Wilson's intervals."""
    return pd.DataFrame(
        {
            "model": name,
            "seed": seed,
            "step": number * sizes.steps // CHECKS,
            "position": position,
            **_share(column),
        }
        for name, checked in checks.items()
        for seed, of_seed in zip(seeds, checked, strict=True)
        for number, correct in enumerate(of_seed, 1)
        for position, column in enumerate(correct.T, 1)
    )


def over_trainings(accuracy: pd.DataFrame) -> pd.DataFrame:
    """The means of `accuracies` over seeds, n counting trainings; of one seed, as it is."""
    if accuracy["seed"].nunique() == 1:
        return accuracy
    table = summarise(accuracy, ["model", "step", "position"], "value")
    return table.assign(low=table["low"].clip(lower=0), high=table["high"].clip(upper=1))


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


def claims(checks: Checks, sizes: Sizes, *, placebo: bool = False) -> list[Claim]:
    """What the trainings say; the arms of a seed answered the same strings.

    In a placebo run only what compares two arms.
    """
    trained = slice(0, sizes.n_train)
    area = {name: checked[..., trained].mean((1, 3)) for name, checked in checks.items()}
    last = {name: checked[:, -1] for name, checked in checks.items()}
    ended = {name: right[..., trained].mean(-1) for name, right in last.items()}
    shallow, deep = layers(min(sizes.depths)), layers(max(sizes.depths))
    paper = "Pre-trained models learn the task faster, and mimicking recovers most of it"
    made = [
        _claim("mimicking-speeds-up", "Learning curves", paper, area[MIMICKING] - area[SCRATCH],
               "Over the whole training, a model that mimicked the two kinds of heads first is right more "
               "often on trained positions than one from scratch.", headline=True),
        _claim("stories-speed-up", "Learning curves", paper, area[STORIES] - area[SCRATCH],
               "Over the whole training, a model that read stories first is right more often on trained "
               "positions than one from scratch."),
        _claim("layers-bound-steps", "Layers and steps", "Each layer follows the chain a step further",
               ended[deep] - ended[shallow],
               f"With {deep} more trained positions are right than with {shallow}."),
    ]  # fmt: skip
    if placebo:
        return made
    learnt = Gate("trained positions right at the end", float(ended[MIMICKING].mean()), low=_LEARNT)
    longer = last[MIMICKING][..., sizes.n_train :].mean(-1)
    falls = _claim("falls-past-trained-length", "Accuracy by position",
                   "Accuracy falls beyond the trained positions", ended[MIMICKING] - longer,
                   "At the end, trained positions are answered better than longer ones.",
                   gates=(learnt,))  # fmt: skip
    return [*made, falls]


def _claim(name: str, view: str, paper: str, effects: np.ndarray, says: str, **about: Any) -> Claim:
    """A claim from effects `[seeds, strings]`."""
    frame = pd.DataFrame(effects).rename_axis("seed").reset_index()
    evidence = over_seeds(frame.melt("seed", var_name="string", value_name="effect"), items="strings")
    return evidence.claim(name=name, says=says, paper=paper, unit="share of answers", view=view, **about)
