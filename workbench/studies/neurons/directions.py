"""The luck of random directions: the best of one set of them hits far more or less than the best of another.

In the pilot (the starter, 160 stories of seed 100, six sets of as many directions as neurons) the hits of the
best one varied by .19 from set to set. So several sets are drawn, and a neuron is set against their mean.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from transformers import PreTrainedModel

from workbench.corpora.labelled_tokens import LabelledTokens
from workbench.measures.roc import resampled_hits
from workbench.studies.neurons.search import hits_of, resampled_stories
from workbench.studies.neurons.units import Half, activations, random_directions, split_halves, usable

SETS = 8  # of random directions
_APART = 1_000  # between the seeds of two sets


def best_directions(
    model: PreTrainedModel,
    texts: LabelledTokens,
    labels: Sequence[str],
    *,
    seed: int,
    sets: int = SETS,
    layers: Sequence[int] | None = None,
) -> pd.DataFrame:
    """The hits of the best direction of every set, chosen on half of the stories and judged on the others.

    Args:
        model: any transformers causal language model that `anatomy` can read.
        texts: labelled texts.
        labels: those that are searched for; what too few tokens have is left out.
        seed: of the directions and of the bootstrap, whose stories are those of `search.survey`.
        sets: how many, each of as many directions as there are neurons.
        layers: that are searched; None for all.

    Returns:
        Columns label, set, hits, hits_draws (bootstrap samples over stories).
    """
    halves, columns = split_halves(texts), usable(texts)
    weights = resampled_stories(halves[1], seed)
    known = {label: columns[label] for label in dict.fromkeys(labels) if label in columns}
    best: dict[tuple[str, int], tuple[float, np.ndarray]] = {}
    for layer, values in activations(model, texts, layers):
        for number in range(sets):
            mixed = random_directions(values, seed + _APART * (number + 1) + layer)
            for label, column in known.items():
                _keep_best(best, (label, number), mixed, halves, column)
    rows = [
        (label, number, *_judged(scores, halves[1], known[label], weights))
        for (label, number), (_, scores) in best.items()
    ]
    return pd.DataFrame(rows, columns=["label", "set", "hits", "hits_draws"])


def _keep_best(
    best: dict[tuple[str, int], tuple[float, np.ndarray]],
    key: tuple[str, int],
    mixed: np.ndarray,
    halves: Sequence[Half],
    column: int,
) -> None:
    """Puts the direction with the most hits on the first half in the place of a worse one of its set."""
    first, second = halves
    mask = first.masks[:, column]
    count = int(mask.sum())
    ends = np.argpartition(mixed[:, first.tokens], [count - 1, len(mask) - count], axis=1)
    for sign, strongest in ((1, ends[:, -count:]), (-1, ends[:, :count])):
        hits = mask[strongest].mean(1)
        unit = int(hits.argmax())
        if key not in best or hits[unit] > best[key][0]:
            best[key] = (float(hits[unit]), sign * mixed[unit, second.tokens])


def _judged(scores: np.ndarray, half: Half, column: int, weights: np.ndarray) -> tuple[float, np.ndarray]:
    """A direction's hits on the stories of a half, and on resampled ones."""
    mask = half.masks[:, column]
    return float(hits_of(scores[None], mask)[0]), resampled_hits(scores, mask, half.story, weights)


def mean_of_sets(directions: pd.DataFrame, label: str, seed: int = 0) -> tuple[float, np.ndarray]:
    """The mean hits of the sets' best directions, and its values on resampled stories and sets: `[DRAWS]`."""
    rows = directions[directions["label"] == label]
    drawn = np.stack(rows["hits_draws"].tolist())  # [sets, DRAWS]
    sets = np.random.default_rng(seed).integers(len(rows), size=drawn.shape)
    return float(rows["hits"].mean()), np.take_along_axis(drawn, sets, 0).mean(0)
