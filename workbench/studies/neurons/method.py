"""What makes MLP neurons fire: every neuron's strongest contexts, from one pass over stories.

Eldan & Li 2023 (TinyStories, arXiv 2305.07759), the section on neurons, after Li et al. 2015 (arXiv
1506.01066). A neuron is one coordinate of the MLP's hidden layer behind the activation (in a gated layer: the
product). As published: the tokens at which a neuron is largest, beginning with the first two neurons of
the last layer but one, since a neuron's number means nothing. Otherwise than published: a story counts once
in a neuron's list, or one phrase would fill it; the gated neurons of Llama models may be strongest below
zero, so both ends are listed; 150 stories and more are read, not 20; and what the paper saw by eye, `search`
counts with controls.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from workbench.corpora.labelled_tokens import LabelledTokens
from workbench.engine import loading
from workbench.engine.cost import measure
from workbench.engine.interpretability.anatomy import anatomy
from workbench.engine.interpretability.capture import HookPoint
from workbench.engine.interpretability.stream import Batch, stream
from workbench.errors import UserError
from workbench.studies.common.profiles import REAL
from workbench.studies.tiny_models.ladder import ASIDE, Fitted, Rung, trained


@dataclass(frozen=True)
class Sizes:
    """How much is done."""

    read: int  #: texts in the pass for the strongest contexts
    searched: int  #: the first of them, for the search by labels
    shuffles: int  #: of each label, for the chance that the best neuron is nothing
    shown: int  #: best neurons a layer on the map
    reply: int  #: tokens of a continuation there
    sets: int  #: of random directions, for their hits
    per_training: int  #: texts for the search in each training of the ladder; 0: none is searched
    layers: int | None = None  #: that are searched, from the first to the last; None: every one
    lost: int | None = None  #: texts read with neurons off; None: half of those searched
    cards: int | None = None  #: of the map that a page carries; None: as many as it can
    card_texts: int = 8  #: texts read with a card's neuron off


SIZES = {
    "quick": Sizes(read=100, searched=80, shuffles=30, shown=1, reply=20, sets=3, per_training=0),
    "laptop": Sizes(read=800, searched=300, shuffles=100, shown=3, reply=40, sets=8, per_training=200),
    REAL: Sizes(
        read=80, searched=60, shuffles=30, shown=1, reply=20, sets=3, per_training=0, layers=8, lost=10,
        cards=24, card_texts=2,
    ),
    "paper": Sizes(read=20_000, searched=600, shuffles=500, shown=5, reply=40, sets=8, per_training=600),
}  # fmt: skip
# What work takes, in passes over a text: all searches of neurons, the losses without some of them, a
# card of the map; and minutes of ranking and resampling a layer, whatever the model.
SEARCHES, WITHOUT, CARD, PER_LAYER = 5, 7, 8, 0.25


def sizes(params: Any) -> Sizes:
    """The profile's sizes; `n_texts` replaces the number read, and bounds the number searched."""
    chosen = SIZES[params.profile]
    if params.n_texts:
        bounded = {name: min(getattr(chosen, name), params.n_texts) for name in ("searched", "per_training")}
        chosen = replace(chosen, read=params.n_texts, **bounded)
    return chosen


def opening(text: str) -> str:
    """The first two sentences of a text."""
    ends = [match.end() for match in re.finditer(r"[.!?][\"”]?(?=\s)", text)]
    return text[: ends[min(2, len(ends)) - 1]] if ends else text


# ------------------------------------------------------------------------------- models
def load_given(model: str, device: str) -> Fitted:
    """The one model to look into, by the name it has here: starter, or given for a folder or hub id."""
    return {model if model == "starter" else "given": loading.load(model, device)}


def load_ladder(rungs: Sequence[Rung], folder: Path, device: str) -> Fitted:
    """The models of the ladder that differ in size, the largest last.

    Args:
        rungs: that were trained in 02_tiny_models.
        folder: that holds them.
        device: a torch device, or auto.
    """
    names = [rung.name for rung in rungs if rung.name not in ASIDE]
    return {name: loading.load(trained(folder, name), device) for name in names}


def pick(model: PreTrainedModel, layer: int | None, neuron: int | None) -> tuple[int, int | None]:
    """The layer (by default the last but one, as in the paper) and neuron to look at.

    Raises:
        UserError: one of them does not exist.
    """
    parts = anatomy(model)
    layer = max(0, parts.n_layers - 2) if layer is None else layer
    if not (0 <= layer < parts.n_layers and 0 <= (neuron or 0) < parts.n_neurons):
        raise UserError(
            f"There is no neuron {neuron or 0} in layer {layer}: layers are 0 to {parts.n_layers - 1}, "
            f"neurons 0 to {parts.n_neurons - 1}."
        )
    return layer, neuron


def searched_layers(model: PreTrainedModel, n: int | None, first: int) -> list[int]:
    """At most n layers (None: all) at equal distances, the first and the last among them, and the one to look
    at first in the place of the one nearest to it.
    """
    n_layers = anatomy(model).n_layers
    if n is None or n >= n_layers:
        return list(range(n_layers))
    chosen = [round(layer) for layer in np.linspace(0, n_layers - 1, max(2, n))]
    nearest = min(range(len(chosen)), key=lambda number: abs(chosen[number] - first))
    chosen[nearest] = first
    return sorted(set(chosen))


def expected(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, texts: LabelledTokens, chosen: Sizes
) -> str:
    """What a look into a given model will take, and which of its layers are searched."""
    cost = measure(model, tokenizer)
    length = float(np.mean([len(row) for row in texts.rows]))
    passes = chosen.read + SEARCHES * chosen.searched + WITHOUT * (chosen.lost or 0)
    passes += (chosen.cards or 0) * (CARD + 2 * chosen.card_texts)
    return cost.sentence(cost.minutes(read=length * passes) + PER_LAYER * (chosen.layers or 0))


# ------------------------------------------------------------------------------- what makes it fire
def token_values(value: Tensor, batch: Batch, first: int) -> list[Tensor]:
    """What a hook sees `[rows, tokens, ...]`, row by row, without padding and the beginning-of-text token."""
    return [row[first : int(n)].float() for row, n in zip(value, batch.lengths, strict=True)]


class TopActivations:
    """The k strongest activations of every neuron, at most one a text, and moments, as a corpus passes by.

    A hook for `stream` on `neuron.*`; its memory does not grow with the corpus.

    Attributes:
        value: `[2, layers, neurons, k]`: the largest activations, and the largest of minus the activation.
        text: the same shape: in which text, -1 where there were fewer than k.
        position: the same shape: at which token, counted from the first behind the beginning-of-text token.
    """

    def __init__(self, model: PreTrainedModel, k: int, first: int) -> None:
        parts = anatomy(model)
        self.k, self.first, self.n_tokens = k, first, 0
        shape = (2, parts.n_layers, parts.n_neurons, k)
        self.value = torch.full(shape, -torch.inf, device=model.device)
        self.text = torch.full(shape, -1, device=model.device)
        self.position = torch.full(shape, -1, device=model.device)
        self.moments = torch.zeros(3, *shape[1:3], dtype=torch.float64, device=model.device)

    def __call__(self, value: Tensor, point: HookPoint, batch: Batch) -> None:
        # text by text: whole rows of memory are reduced, and padding is never touched
        rows = token_values(value, batch, self.first)
        for row in rows:
            moments = torch.stack([row.sum(0), (row * row).sum(0), (row > 0).sum(0)])
            self.moments[:, point.layer] += moments.double()
        self.n_tokens += sum(map(len, rows)) if point.layer == 0 else 0
        texts = torch.tensor(batch.index, device=value.device)
        for side in (0, 1):
            self._merge(side, point.layer, rows, texts)

    def _merge(self, side: int, layer: int, rows: Sequence[Tensor], texts: Tensor) -> None:
        """Lets the strongest token of each row, a whole text, compete with those that were kept."""
        value, text, position = (table[side, layer] for table in (self.value, self.text, self.position))
        best = torch.stack([-row.amin(0) if side else row.amax(0) for row in rows], 1)  # [neurons, rows]
        strongest, order = torch.cat([value, best], 1).topk(self.k)
        value.copy_(strongest)
        for table in (text, position):
            table.copy_(table.gather(1, order.clamp(max=self.k - 1)))
        entered = order >= self.k
        neurons, new = entered.nonzero()[:, 0], order[entered] - self.k
        text[entered], position[entered] = texts[new], _positions(rows, side, new, neurons)

    def contexts(self) -> pd.DataFrame:
        """Columns layer, neuron, side (top, bottom), rank, activation, text, position."""
        filled = (self.text >= 0).cpu().numpy()
        sides, layers, neurons, ranks = filled.nonzero()
        tables = (self.value, self.text, self.position)
        value, text, position = (table.cpu().numpy()[filled] for table in tables)
        return pd.DataFrame(
            {
                "layer": layers,
                "neuron": neurons,
                "side": np.where(sides, "bottom", "top"),
                "rank": ranks,
                "activation": np.where(sides, -value, value),
                "text": text,
                "position": position,
            }
        )

    def statistics(self) -> pd.DataFrame:
        """Columns layer, neuron, mean, sd, largest, smallest, above_zero (share of tokens)."""
        mean, square, above = (self.moments / self.n_tokens).cpu()
        layers, neurons = np.indices(mean.shape)
        columns = {
            "layer": layers,
            "neuron": neurons,
            "mean": mean,
            "sd": (square - mean**2).clamp(min=0).sqrt(),
            "largest": self.value[0, ..., 0].cpu(),
            "smallest": -self.value[1, ..., 0].cpu(),
            "above_zero": above,
        }
        return pd.DataFrame({name: np.ravel(column) for name, column in columns.items()})


def _positions(rows: Sequence[Tensor], side: int, row: Tensor, neuron: Tensor) -> Tensor:
    """At which token of a row a neuron is strongest: for pairs of row and neuron, `[pairs]`."""
    positions = torch.empty_like(row)
    for number, activations in enumerate(rows):
        here = row == number
        inside = activations[:, neuron[here]]
        positions[here] = (-inside if side else inside).argmax(0)
    return positions


def extremes(
    model: PreTrainedModel, texts: LabelledTokens, k: int = 10, batch_size: int = 8
) -> TopActivations:
    """One pass over the texts: the k strongest contexts of every neuron, and its moments."""
    strongest = TopActivations(model, k, texts.first)
    for _ in stream(model, texts.rows, {"neuron.*": strongest}, batch_size=batch_size):
        pass
    return strongest


def is_gated(contexts: pd.DataFrame) -> bool:
    """Whether neurons go far below zero, as gated ones do: GELU alone ends at -0.17, SiLU at -0.28."""
    return bool((contexts["activation"] < -0.3).any())


@torch.inference_mode()
def along(
    model: PreTrainedModel, texts: LabelledTokens, layer: int, neuron: int, which: Sequence[int]
) -> list[np.ndarray]:
    """A neuron's activation at every token (behind the beginning-of-text token) of some of the texts."""
    activations = [np.empty(0)] * len(which)

    def keep(value: Tensor, _point: HookPoint, batch: Batch) -> None:
        for index, row in zip(batch.index, token_values(value[..., neuron], batch, texts.first), strict=True):
            activations[index] = row.cpu().numpy()

    rows, hooks = [texts.rows[index] for index in which], {f"neuron.{layer}": keep}
    for _ in stream(model, rows, hooks, batch_size=16, to_the_end=False):
        pass
    return activations
