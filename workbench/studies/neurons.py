"""What makes MLP neurons fire: labelled texts in tokens, and every neuron's strongest contexts in one pass.

Eldan & Li 2023 (TinyStories, arXiv 2305.07759), the section on neurons, after Li et al. 2015 (arXiv
1506.01066). A neuron is one coordinate of the MLP's hidden layer behind the activation (in a gated layer: the
product), as `engine.capture` names it.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from workbench.corpora.stories import story_at
from workbench.corpora.stories.labels import LABELS, Spans, guess, label
from workbench.engine import models
from workbench.engine.anatomy import anatomy
from workbench.engine.capture import Batch, Place, stream
from workbench.engine.tokens import encode
from workbench.errors import UserError
from workbench.studies import ladder

FRESH = 1_000_000  # stories from this number on: the corpus of 01_stories never gets that far


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
@dataclass(frozen=True)
class Texts:
    """Texts as a model reads them.

    Attributes:
        texts: as far as they fit into the context.
        rows: tokens of each text, its beginning-of-text token (where there is one) first.
        pieces: the characters of every token behind that one.
        labels: bool `[tokens, labels]` for the same tokens.
        names: of the labels.
        first: 1 if rows start with a beginning-of-text token, else 0.
        cut: number of texts that were longer than the context.
    """

    texts: list[str]
    rows: list[list[int]]
    pieces: list[list[str]]
    labels: list[np.ndarray]
    names: list[str]
    first: int
    cut: int

    def __len__(self) -> int:
        return len(self.rows)


def simulated(n: int, seed: int) -> list[tuple[str, Spans]]:
    """n stories that no model was trained on, with their exact labels."""
    stories = (story_at(FRESH + index, seed=seed) for index in range(n))
    return [(story.text, label(story)) for story in stories]


def guessed(texts: Sequence[str]) -> list[tuple[str, Spans]]:
    """Other texts with guessed labels."""
    return [(text, guess(text)) for text in texts]


def read(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, labelled: Sequence[tuple[str, Spans]]
) -> Texts:
    """Texts and labels in tokens: a token has a label if it holds a character of one of its spans.

    Raises:
        UserError: no text, an empty one, a tokenizer that cannot say where its tokens lie, or that gives
            tokens the model does not have.
    """
    texts = [text for text, _ in labelled]
    if not texts or not all(texts):
        raise UserError("There is no text, or an empty one: give at least one word of text.")
    if not tokenizer.is_fast:
        raise UserError("The tokenizer cannot say where its tokens lie: load the fast one (tokenizer.json).")
    first = int(tokenizer.bos_token_id is not None)
    room = (getattr(model.config, "max_position_embeddings", None) or 1 << 30) - first
    options = {"add_special_tokens": False, "split_special_tokens": True, "verbose": False}
    offsets = tokenizer(texts, return_offsets_mapping=True, **options)["offset_mapping"]
    rows = encode(tokenizer, texts)
    return Texts(
        [text[: at[:room][-1][1]] for text, at in zip(texts, offsets, strict=True)],
        [row[: room + first] for row in rows],
        [_pieces(text, at[:room]) for text, at in zip(texts, offsets, strict=True)],
        [_in_tokens(spans, np.array(at[:room])) for (_, spans), at in zip(labelled, offsets, strict=True)],
        list(LABELS),
        first,
        sum(len(at) > room for at in offsets),
    )


def opening(text: str, sentences: int = 2) -> str:
    """The first sentences of a text."""
    ends = [match.end() for match in re.finditer(r"[.!?][\"”]?(?=\s)", text)]
    return text[: ends[min(sentences, len(ends)) - 1]] if ends else text


def _pieces(text: str, offsets: Sequence[tuple[int, int]]) -> list[str]:
    # From one token's end to the next: some tokenizers leave the space before a word to no token.
    ends = [0, *(end for _, end in offsets)]
    return [text[before:end] for before, end in pairwise(ends)]


def _in_tokens(spans: Spans, offsets: np.ndarray) -> np.ndarray:
    flags = np.zeros((len(offsets), len(LABELS)), dtype=bool)
    for column, name in enumerate(LABELS):
        for start, end in spans[name]:
            flags[:, column] |= (offsets[:, 0] < end) & (offsets[:, 1] > start)
    return flags


# ------------------------------------------------------------------------------- models
def load_models(model: str, device: str, trained: Any) -> ladder.Fitted:
    """The models to look into, the largest last: those of the ladder that differ in size, or the one given.

    Args:
        model: ladder, a preset, or a folder or hub id.
        device: a torch device, or auto.
        trained: the run of 02_tiny_models, whose artifacts hold the ladder.
    """
    if not ladder.is_ladder(model):
        return {"given": models.load(model, device)}
    rungs = [rung for rung in ladder.sizes(trained.params).rungs if rung.part == "size"]
    return {rung.name: models.load(trained.artifact("models") / rung.name, device) for rung in rungs}


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
class Extremes:
    """The k strongest activations of every neuron, at most one a text, and moments, as a corpus passes by.

    A hook for `engine.capture.stream` on `neuron.*`; its memory does not grow with the corpus.

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

    def __call__(self, value: Tensor, place: Place, batch: Batch) -> None:
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


def extremes(model: PreTrainedModel, texts: Texts, k: int = 10, batch_size: int = 8) -> Extremes:
    """One pass over the texts: the k strongest contexts of every neuron, and its moments."""
    parts = anatomy(model)
    found = Extremes(parts.n_layers, parts.n_neurons, k, texts.first, model.device)
    for _ in stream(model, texts.rows, {"neuron.*": found}, batch_size=batch_size):
        pass
    return found


def is_gated(statistics: pd.DataFrame) -> bool:
    """Whether neurons go far below zero, as gated ones do: GELU alone ends at -0.17, SiLU at -0.28."""
    return bool((statistics["smallest"] < -0.3).any())


@torch.inference_mode()
def along(
    model: PreTrainedModel, texts: Texts, layer: int, neuron: int, which: Sequence[int]
) -> list[np.ndarray]:
    """A neuron's activation at every token (behind the beginning-of-text token) of some of the texts."""
    found: dict[int, np.ndarray] = {}

    def keep(value: Tensor, _place: Place, batch: Batch) -> None:
        for row, index in enumerate(batch.index):
            inside = value[row, texts.first : int(batch.lengths[row]), neuron]
            found[index] = inside.float().cpu().numpy()

    for _ in stream(model, [texts.rows[index] for index in which], {f"neuron.{layer}": keep}, batch_size=16):
        pass
    return [found[index] for index in range(len(which))]
