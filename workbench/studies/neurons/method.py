"""What makes MLP neurons fire: labelled texts in tokens, and every neuron's strongest contexts in one pass.

Eldan & Li 2023 (TinyStories, arXiv 2305.07759), the section on neurons, after Li et al. 2015 (arXiv
1506.01066). A neuron is one coordinate of the MLP's hidden layer behind the activation (in a gated layer: the
product), as `engine.interpretability.capture` names it.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from transformers import PreTrainedModel

from workbench.corpora.labelled_tokens import LabelledTokens
from workbench.engine import loading
from workbench.engine.interpretability.anatomy import anatomy
from workbench.engine.interpretability.capture import HookPoint
from workbench.engine.interpretability.stream import Batch, stream
from workbench.errors import UserError
from workbench.studies.tiny_models import ladder


@dataclass(frozen=True)
class Sizes:
    """How much is done.

    Attributes:
        read: texts in the pass for the strongest contexts.
        searched: the first of them, for the search by labels.
        shuffles: of each label, for the chance that the best neuron is nothing.
        shown: best neurons a layer on the map.
    """

    read: int
    searched: int
    shuffles: int
    shown: int


SIZES = {
    "tiny": Sizes(read=600, searched=240, shuffles=200, shown=4),
    "small": Sizes(read=4_000, searched=600, shuffles=500, shown=5),
    "paper": Sizes(read=20_000, searched=600, shuffles=500, shown=5),
}


def sizes(params: Any) -> Sizes:
    """The profile's sizes; `n_texts` replaces the number read, and bounds the number searched."""
    chosen = SIZES[params.profile]
    if params.n_texts:
        if params.n_texts < 20:
            raise UserError(
                f"n_texts={params.n_texts} is too few: half of them select, half confirm; give 20."
            )
        chosen = replace(chosen, read=params.n_texts, searched=min(chosen.searched, params.n_texts))
    return chosen


# ------------------------------------------------------------------------------- texts


def opening(text: str, sentences: int = 2) -> str:
    """The first sentences of a text."""
    ends = [match.end() for match in re.finditer(r"[.!?][\"”]?(?=\s)", text)]
    return text[: ends[min(sentences, len(ends)) - 1]] if ends else text


# ------------------------------------------------------------------------------- models
def load_models(model: str, device: str, trained: Any) -> ladder.Fitted:
    """The models to look into, the largest last: those of the ladder that differ in size, or the one given.

    Args:
        model: ladder, a preset, or a folder or hub id.
        device: a torch device, or auto.
        trained: the run of 02_tiny_models, whose artifacts hold the ladder.
    """
    if not ladder.is_ladder(model):
        return {"given": loading.load(model, device)}
    rungs = [rung for rung in ladder.sizes(trained.params).rungs if rung.part == "size"]
    return {rung.name: loading.load(trained.artifact("models") / rung.name, device) for rung in rungs}


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


# ------------------------------------------------------------------------------- what makes it fire
class TopActivations:
    """The k strongest activations of every neuron, at most one a text, and moments, as a corpus passes by.

    A hook for `engine.interpretability.stream.stream` on `neuron.*`; its memory does not grow with the corpus.

    Attributes:
        value: `[2, layers, neurons, k]`: the largest activations, and the largest of minus the activation.
        text: the same shape: in which text, -1 where there were fewer than k.
        position: the same shape: at which token, counted from the first behind the beginning-of-text token.
    """

    def __init__(self, n_layers: int, n_neurons: int, k: int, first: int, device: torch.device) -> None:
        self.k, self.first = k, first
        shape = (2, n_layers, n_neurons, k)
        self.value = torch.full(shape, -torch.inf, device=device)
        self.text = torch.full(shape, -1, device=device)
        self.position = torch.full(shape, -1, device=device)
        self.moments = torch.zeros(3, n_layers, n_neurons, dtype=torch.float64, device=device)
        self.count = 0

    def __call__(self, value: Tensor, place: HookPoint, batch: Batch) -> None:
        # text by text: whole rows of memory are reduced, and padding is never touched
        inside = [row[self.first : int(n)].float() for row, n in zip(value, batch.lengths, strict=True)]
        for row in inside:
            moments = torch.stack([row.sum(0), (row * row).sum(0), (row > 0).sum(0)])
            self.moments[:, place.layer] += moments.double()
        self.count += sum(map(len, inside)) if place.layer == 0 else 0
        index = torch.tensor(batch.index, device=value.device)
        for side, sign in enumerate((1, -1)):
            best = torch.stack([row.amax(0) if sign > 0 else -row.amin(0) for row in inside], 1)
            self._merge(side, place.layer, best, index, lambda r, n, sign=sign: _where(inside, sign, r, n))

    def _merge(
        self, side: int, layer: int, best: Tensor, index: Tensor, where: Callable[[Tensor, Tensor], Tensor]
    ) -> None:
        """Lets the best of some texts, `[neurons, texts]`, compete with what was kept."""
        value, text, position = (kept[side, layer] for kept in (self.value, self.text, self.position))
        new, order = torch.cat([value, best], 1).topk(self.k)
        entered = order >= self.k
        neuron, row = entered.nonzero()[:, 0], order[entered] - self.k
        for kept in (text, position):
            kept.copy_(kept.gather(1, order.clamp(max=self.k - 1)))
        value.copy_(new)
        text[entered], position[entered] = index[row], where(row, neuron)

    def contexts(self) -> pd.DataFrame:
        """Columns layer, neuron, side (top, bottom), rank, activation, text, position."""
        sides, layers, neurons, ranks = (self.text >= 0).nonzero().T.cpu().numpy()
        at = (self.text >= 0).cpu()
        signed = self.value.cpu() * torch.tensor([1.0, -1.0])[:, None, None, None]
        return pd.DataFrame(
            {
                "layer": layers,
                "neuron": neurons,
                "side": np.array(["top", "bottom"])[sides],
                "rank": ranks,
                "activation": signed[at].numpy(),
                "text": self.text.cpu()[at].numpy(),
                "position": self.position.cpu()[at].numpy(),
            }
        )

    def statistics(self) -> pd.DataFrame:
        """Columns layer, neuron, mean, sd, largest, smallest, above_zero (share of tokens)."""
        mean, square, above = (self.moments / self.count).cpu()
        layers, neurons = mean.shape
        columns = {
            "layer": np.repeat(np.arange(layers), neurons),
            "neuron": np.tile(np.arange(neurons), layers),
            "mean": mean.ravel(),
            "sd": (square - mean**2).clamp(min=0).sqrt().ravel(),
            "largest": self.value[0, ..., 0].cpu().ravel(),
            "smallest": -self.value[1, ..., 0].cpu().ravel(),
            "above_zero": above.ravel(),
        }
        return pd.DataFrame({name: np.asarray(column) for name, column in columns.items()})


def _where(texts: Sequence[Tensor], sign: int, row: Tensor, neuron: Tensor) -> Tensor:
    """At which token of a text a neuron is strongest: for pairs of text and neuron, `[pairs]`."""
    found = torch.empty_like(row)
    for number, activations in enumerate(texts):
        here = row == number
        found[here] = (sign * activations[:, neuron[here]]).argmax(0)
    return found


def extremes(
    model: PreTrainedModel, texts: LabelledTokens, k: int = 10, batch_size: int = 8
) -> TopActivations:
    """One pass over the texts: the k strongest contexts of every neuron, and its moments."""
    parts = anatomy(model)
    found = TopActivations(parts.n_layers, parts.n_neurons, k, texts.first, model.device)
    for _ in stream(model, texts.rows, {"neuron.*": found}, batch_size=batch_size):
        pass
    return found


def is_gated(statistics: pd.DataFrame) -> bool:
    """Whether neurons go far below zero, as gated ones do: GELU alone ends at -0.17, SiLU at -0.28."""
    return bool((statistics["smallest"] < -0.3).any())


@torch.inference_mode()
def along(
    model: PreTrainedModel, texts: LabelledTokens, layer: int, neuron: int, which: Sequence[int]
) -> list[np.ndarray]:
    """A neuron's activation at every token (behind the beginning-of-text token) of some of the texts."""
    found: dict[int, np.ndarray] = {}

    def keep(value: Tensor, _place: HookPoint, batch: Batch) -> None:
        for row, index in enumerate(batch.index):
            inside = value[row, texts.first : int(batch.lengths[row]), neuron]
            found[index] = inside.float().cpu().numpy()

    for _ in stream(model, [texts.rows[index] for index in which], {f"neuron.{layer}": keep}, batch_size=16):
        pass
    return [found[index] for index in range(len(which))]
