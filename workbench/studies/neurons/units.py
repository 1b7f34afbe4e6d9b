"""What is searched for a label: neurons' activations and their rivals, halves of the stories, and labels.

Every second story selects, and the others confirm. A few layers' activations are in memory at a time.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor
from transformers import PreTrainedModel

from workbench.corpora.labelled_tokens import LabelledTokens
from workbench.engine import models
from workbench.engine.interpretability.anatomy import anatomy
from workbench.engine.interpretability.capture import HookPoint, check_finite
from workbench.engine.interpretability.stream import Batch, stream
from workbench.errors import UserError
from workbench.studies.neurons.method import token_values

LEAST = 10  # tokens with a label that each half must have
_MEMORY = 1 << 29  # bytes of activations held at once, if one layer needs no more


def activations(
    model: PreTrainedModel, texts: LabelledTokens, layers: Sequence[int] | None = None
) -> Iterator[tuple[int, np.ndarray]]:
    """Layer by layer the neurons' activations over all tokens of all texts: float32 `[neurons, tokens]`.

    One pass over the texts serves as many layers as `_MEMORY` allows.

    Args:
        layers: in ascending order; None for all.
    """
    parts = anatomy(model)
    wanted = range(parts.n_layers) if layers is None else layers
    starts = np.cumsum([0, *(len(row) - texts.first for row in texts.rows)])
    step = max(1, _MEMORY // (4 * parts.n_neurons * sum(map(len, texts.rows))))
    for first in range(0, len(wanted), step):
        some = wanted[first : first + step]
        values = {layer: np.empty((parts.n_neurons, starts[-1]), dtype=np.float32) for layer in some}

        def keep(value: Tensor, point: HookPoint, batch: Batch, values: dict = values) -> None:
            check_finite(value[:, 0])  # what is broken shows at every token
            for index, row in zip(batch.index, token_values(value, batch, texts.first), strict=True):
                values[point.layer][:, starts[index] : starts[index + 1]] = row.T.cpu().numpy()

        hooks = {f"neuron.{layer}": keep for layer in some}
        for _ in stream(model, texts.rows, hooks, to_the_end=False):
            pass
        for layer in some:
            yield layer, values.pop(layer)


def random_directions(values: np.ndarray, seed: int) -> np.ndarray:
    """As many random directions of a layer's activations as it has neurons.

    A direction is a sum of all neurons, brought to one scale, with normally distributed weights: all that the
    layer knows is in them, but none lies on an axis that the activation function singles out.
    """
    scale = values.std(1, keepdims=True)
    mixing = np.random.default_rng(seed).normal(size=(len(values), len(values))).astype(np.float32)
    return mixing @ (values / np.where(scale > 0, scale, 1))


def shuffled(labels: Sequence[np.ndarray], rng: np.random.Generator) -> list[np.ndarray]:
    """Each story with the labels of another one, at the same positions, cut or filled up with none."""
    mixed = [np.zeros_like(flags) for flags in labels]
    for flags, index in zip(mixed, rng.permutation(len(labels)), strict=True):
        flags[: len(labels[index])] = labels[index][: len(flags)]
    return mixed


@dataclass(frozen=True)
class Half:
    """Half of the stories: which tokens are theirs, labels `[tokens, labels]`, and each token's story."""

    tokens: np.ndarray
    masks: np.ndarray
    story: np.ndarray


def split_halves(texts: LabelledTokens, rng: np.random.Generator | None = None) -> list[Half]:
    """Every second story selects, the others confirm; with `rng` under shuffled labels."""
    lengths = np.array([len(flags) for flags in texts.labels])
    both = []
    for side in (0, 1):
        labels = texts.labels[side::2]
        masks = np.concatenate(shuffled(labels, rng) if rng else labels)
        tokens = np.repeat(np.arange(len(texts)) % 2 == side, lengths)
        both.append(Half(tokens, masks, np.repeat(np.arange(len(labels)), lengths[side::2])))
    return both


def usable(texts: LabelledTokens) -> dict[str, int]:
    """Labels that enough tokens of both halves have, and their columns."""
    counts = np.min([half.masks.sum(0) for half in split_halves(texts)], axis=0)
    return {name: column for column, name in enumerate(texts.names) if counts[column] >= LEAST}


def check_label(texts: LabelledTokens, label: str) -> dict[str, int]:
    """`usable`, if the label is among them.

    Raises:
        UserError: it is no label, or too few tokens of these texts have it.
    """
    labels = usable(texts)
    if label not in labels:
        reason = "too few tokens have it" if label in texts.names else "it is no label"
        known = "; ".join(labels) or "none"
        raise UserError(f"'{label}' cannot be searched for, {reason}: there are {known}.")
    return labels


def untrained(model: PreTrainedModel, seed: int) -> PreTrainedModel:
    """A model of the same shape with random weights."""
    return models.build(model.config, seed + 1, model.device)
