"""The map of neurons, layer by rank: a click shows what makes a neuron fire, what it writes, what it does."""

from dataclasses import dataclass
from typing import Any

import ipywidgets
import numpy as np
import pandas as pd
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from workbench.charts.atlas import Atlas, Card, Cell, Strip
from workbench.charts.view import menu
from workbench.corpora.labelled_tokens import LabelledTokens
from workbench.corpora.stories.labels import GROUPS
from workbench.engine.interpretability.reference import Reference
from workbench.studies.neurons.method import along, is_gated
from workbench.studies.neurons.search import INTERPRETABLE, ranked
from workbench.studies.neurons.value_vectors import changed, continuations, losses
from workbench.studies.neurons.views import in_a_row, window

UNCLEAR = "no clear label"
CLASSES = (*GROUPS, UNCLEAR)
SHORT = dict(zip(GROUPS, ("who", "word", "what", "said", "ends", "mood"), strict=True))
BEFORE, AFTER = 60, 24  # characters shown around the strongest token
LOSS_TEXTS = 8


@dataclass(frozen=True)
class Known:
    """All that was found about one model's neurons.

    Attributes:
        pair: the model and its tokenizer.
        texts: those that were read.
        contexts: of `neurons.Extremes.contexts`.
        statistics: of `neurons.Extremes.statistics`.
        written: of `neuron_writes.writes`.
        surveyed: of `neuron_search.survey`, the neurons' rows.
        chance: of `neuron_search.chance_of_best`.
        kept: means of all neurons over other texts.
    """

    pair: tuple[PreTrainedModel, PreTrainedTokenizerFast]
    texts: LabelledTokens
    contexts: pd.DataFrame
    statistics: pd.DataFrame
    written: pd.DataFrame
    surveyed: pd.DataFrame
    chance: pd.DataFrame
    kept: Reference


def neuron_map(known: Known, question: str, n: int, number: int, beginning: str) -> Atlas:
    """In every layer the best n neurons for a label, the best for every kind of label, and any other one.

    Args:
        known: what was found.
        question: the label chosen first.
        n: neurons a layer.
        number: of the neuron that stands in the last column, unless it is among the others.
        beginning: a text that the model goes on with: as it is, with the neuron switched off, and turned up.
    """
    layers, neurons = (int(known.statistics[name].max()) + 1 for name in ("layer", "neuron"))
    shows = _Cards(known)
    return Atlas(
        lambda question, number, **_: _cells(known, question, n, number),
        shows.card,
        "A map of neurons",
        "Each row is a layer: first its best neurons for the question, then the best for every kind of "
        "label, last one of any number. Colour and shape: the kind of a neuron's best label, if its AUC is "
        f"{INTERPRETABLE:g} or more. Click one to see what makes it fire, what it writes, and what it does.",
        rows=[f"layer {layer}" for layer in range(layers)],
        columns=[*(str(rank + 1) for rank in range(n)), *SHORT.values(), "№"],
        classes=CLASSES,
        size_name="AUC for the question",
        question=menu(known.surveyed["label"], question),
        number=ipywidgets.BoundedIntText(number, min=0, max=neurons - 1),
        strength=ipywidgets.FloatSlider(1, min=-2, max=3, step=0.5, continuous_update=False),
        beginning=ipywidgets.Textarea(beginning, continuous_update=False),
    )


def _cells(known: Known, question: str, n: int, number: int) -> list[Cell]:
    groups = {label: name for name, labels in GROUPS.items() for label in labels}
    every = known.surveyed.assign(group=known.surveyed["label"].map(groups))
    every = every.sort_values("select", ascending=False, kind="stable")
    cells = []
    for _, layer in every.groupby("layer"):
        asked = layer[layer["label"] == question].set_index("unit")["confirm"]
        columns = dict(zip(asked.index[:n], range(n), strict=False))
        for column, group in enumerate(GROUPS, start=n):
            left = layer[(layer["group"] == group) & ~layer["unit"].isin(list(columns))]
            columns |= dict.fromkeys(left["unit"].head(1), column)
        columns = {number: n + len(GROUPS)} | columns
        best = layer[layer["best"] & layer["unit"].isin(list(columns))].drop_duplicates("unit")
        cells += [_cell(row, columns[row.unit], float(asked[row.unit])) for row in best.itertuples()]
    return cells


def _cell(best: Any, column: int, score: float) -> Cell:
    """The cell of a neuron: `best` is its best label's row, `score` its AUC for the question."""
    group = best.group if best.confirm >= INTERPRETABLE else UNCLEAR
    return Cell(
        f"{best.layer}.{best.unit}",
        int(best.layer),
        column,
        f"L{best.layer} N{best.unit}",
        CLASSES.index(group),
        float(np.clip(2 * score - 1, 0, 1)),
        f"best label: {best.label}, AUC {best.confirm:.3f}; AUC for the question {score:.3f}",
    )


def _auc(row: pd.Series) -> str:
    interval = f" [{row['low']:.4f}, {row['high']:.4f}]" if np.isfinite(row["low"]) else ""
    return f"AUC {row['confirm']:.4f}{interval}"


class _Cards:
    """Makes cards; what all cards share is computed once."""

    def __init__(self, known: Known) -> None:
        self.known, self.gated = known, is_gated(known.statistics)
        self.contexts = dict(iter(known.contexts.groupby(["layer", "neuron"])))
        self.moments = known.statistics.set_index(["layer", "neuron"])
        self.written = dict(iter(known.written.groupby(["layer", "neuron"])))
        self.read = range(min(LOSS_TEXTS, len(known.texts)))
        self.usual = np.concatenate(losses(known.pair[0], known.texts, self.read))
        self.units = dict(iter(known.surveyed.groupby(["layer", "unit"])))

    def card(self, name: str, question: str, strength: float, beginning: str, **_: object) -> Card:
        layer, neuron = map(int, name.split("."))
        moments = self.moments.loc[(layer, neuron)]
        strongest = moments["largest"] if self._fires(layer, neuron, question) else moments["smallest"]
        value = float(strongest * strength)
        return Card(
            f"Layer {layer}, neuron {neuron}",
            facts=[
                *self._labels(layer, neuron, question),
                *self._facts(layer, neuron),
                ("added loss", self._loss(layer, neuron, value)),
            ],
            strips=self._strips(layer, neuron),
            texts=self._texts(layer, neuron, value, beginning),
        )

    def _fires(self, layer: int, neuron: int, question: str) -> bool:
        part = self.units[layer, neuron]
        return bool((part.loc[part["label"] == question, "fires"] == "present").all())

    def _labels(self, layer: int, neuron: int, question: str) -> list[tuple[str, str]]:
        part = self.units[layer, neuron]
        asked = ranked(part, question, self.known.chance).iloc[0]
        best = part[part["best"]].iloc[0]
        way = "" if asked["fires"] == "present" else ", low where the label is"
        facts = [(question, f"{_auc(asked)}, p = {asked['p']:.2g} corrected{way}")]
        same = best["label"] == question
        return [*facts, ("best label", "the same" if same else f"{best['label']}: {_auc(best)}")]

    def _facts(self, layer: int, neuron: int) -> list[tuple[str, str]]:
        moments = self.moments.loc[(layer, neuron)]
        activation = (
            f"mean {moments['mean']:.2f}, standard deviation {moments['sd']:.2f}, from "
            f"{moments['smallest']:.1f} to {moments['largest']:.1f}; above zero at "
            f"{moments['above_zero']:.0%} of tokens"
        )
        return [
            ("activation", activation),
            ("when above zero it raises", self._tokens(layer, neuron, "top")),
            ("and lowers", self._tokens(layer, neuron, "bottom")),
        ]

    def _tokens(self, layer: int, neuron: int, side: str) -> str:
        part = self.written[layer, neuron]
        return in_a_row(self.known.pair[1], part.loc[part["side"] == side, "token"])

    def _loss(self, layer: int, neuron: int, value: float) -> str:
        """Off and turned up, over the first texts: nats a token."""
        model, texts = self.known.pair[0], self.known.texts
        more = []
        for change in ("off", "steered"):
            with changed(model, layer, neuron, change, value, self.known.kept):
                more.append(float((np.concatenate(losses(model, texts, self.read)) - self.usual).mean()))
        off, held = (f"{loss:.4f}".replace("-0.0000", "0.0000") for loss in more)
        return f"{off} nats a token when off, {held} when held at {value:.1f}"

    def _strips(self, layer: int, neuron: int) -> list[Strip]:
        part, texts = self.contexts[layer, neuron], self.known.texts
        wanted = [("top", "strongest", 4), *([("bottom", "most negative", 3)] if self.gated else [])]
        rows = pd.concat([part[part["side"] == side].head(count) for side, _, count in wanted])
        values = along(self.known.pair[0], texts, layer, neuron, rows["text"].tolist())
        names = {side: name for side, name, _ in wanted}
        strips = []
        for row, activation in zip(rows.itertuples(), values, strict=True):
            shown = window(texts.pieces[row.text], row.position, BEFORE, AFTER)
            title = f"{names[row.side]}: {row.activation:.1f}, story {row.text}"
            tokens = [piece.replace("\n", "↵") for piece in texts.pieces[row.text][shown]]
            strips.append(Strip(title, tokens, activation[shown], "activation"))
        return strips

    def _texts(self, layer: int, neuron: int, value: float, beginning: str) -> list[dict[str, str]]:
        written = continuations(self.known.pair, beginning, layer, neuron, value, self.known.kept)
        names = {"off": "neuron held at its mean", "steered": f"neuron held at {value:.1f}"}
        return [{"label": names.get(change, change), "text": text} for change, text in written.items()]
