"""The map of neurons, layer by rank: a click shows what makes a neuron fire, what it writes, what it does."""

from dataclasses import dataclass, field
from functools import cached_property

import ipywidgets
import numpy as np
import pandas as pd
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from workbench.charts.atlas import Atlas, Card, Cell, Strip
from workbench.charts.live_view import live_or_why_not
from workbench.charts.view import View, menu
from workbench.corpora.labelled_tokens import LabelledTokens
from workbench.corpora.stories.labels import GROUPS
from workbench.engine.interpretability.reference import Reference
from workbench.engine.live import block
from workbench.studies.neurons.method import along, is_gated
from workbench.studies.neurons.search import INTERPRETABLE, ranked
from workbench.studies.neurons.value_vectors import changed, continuations, losses
from workbench.studies.neurons.views import tokens_written, window

UNCLEAR = "no clear label"
CLASSES = (*GROUPS, UNCLEAR)
SHORT = dict(zip(GROUPS, ("who", "word", "what", "said", "ends", "mood"), strict=True))
BEFORE, AFTER = 60, 24  # characters shown around the strongest token
ACTIVATION = (
    "mean {mean:.2f}, standard deviation {sd:.2f}, from {smallest:.1f} to {largest:.1f}; above zero at "
    "{above_zero:.0%} of tokens"
)


@dataclass(frozen=True)
class Neurons:
    """All that is known about one model's neurons, and a card for each."""

    pair: tuple[PreTrainedModel, PreTrainedTokenizerFast]  #: the model and its tokenizer
    texts: LabelledTokens  #: those that were read
    contexts: pd.DataFrame  #: of `method.TopActivations.contexts`
    statistics: pd.DataFrame  #: of `method.TopActivations.statistics`
    written: pd.DataFrame  #: of `value_vectors.writes`
    surveyed: pd.DataFrame  #: of `search.survey`, the neurons' rows
    chance: pd.DataFrame  #: of `search.chance_of_best`
    means: Reference  #: of all neurons over other texts
    reply: int = 40  #: tokens of a continuation
    loss_texts: int = 8  #: texts read with a neuron off
    usual: dict[str, str] = field(default_factory=dict)  #: how the model goes on as it is, by beginning

    def card(self, name: str, question: str, strength: float, beginning: str, **_: object) -> Card:
        """What is known of the neuron `layer.number`, and what the model does with it off and turned up."""
        layer, neuron = map(int, name.split("."))
        (moments,) = self.statistics.query("layer == @layer and neuron == @neuron").to_dict("records")
        labels = self.surveyed.query("layer == @layer and unit == @neuron")
        answer = ranked(labels, question, self.chance).iloc[0]
        strongest = moments["largest" if answer["fires"] == "present" else "smallest"]
        value = float(strongest * strength)
        tokenizer = self.pair[1]
        return Card(
            f"Layer {layer}, neuron {neuron}",
            facts=[
                *_label_facts(question, answer, labels[labels["best"]].iloc[0]),
                ("activation", ACTIVATION.format_map(moments)),
                ("when above zero it raises", tokens_written(self.written, tokenizer, layer, neuron, "top")),
                ("and lowers", tokens_written(self.written, tokenizer, layer, neuron, "bottom")),
                ("added loss", self._added_loss(layer, neuron, value)),
            ],
            strips=self._strips(layer, neuron),
            texts=self._texts(layer, neuron, value, beginning),
        )

    def _losses(self) -> np.ndarray:
        """Of the model as it now is, over the first texts."""
        which = range(min(self.loss_texts, len(self.texts)))
        return np.concatenate(losses(self.pair[0], self.texts, which))

    @cached_property
    def _usual_losses(self) -> np.ndarray:
        return self._losses()

    def _added_loss(self, layer: int, neuron: int, value: float) -> str:
        usual, added = self._usual_losses, []
        for change in ("off", "steered"):
            with changed(self.pair[0], layer, neuron, change, value, self.means):
                added.append(float((self._losses() - usual).mean()))
        off, held = (f"{loss:.4f}".replace("-0.0000", "0.0000") for loss in added)
        return f"{off} nats a token when off, {held} when held at {value:.1f}"

    def _strips(self, layer: int, neuron: int) -> list[Strip]:
        """The strongest contexts, with the activation at every token."""
        sides = {"top": ("strongest", 4)}
        if is_gated(self.contexts):
            sides["bottom"] = ("most negative", 3)
        contexts, pieces = self.contexts.query("layer == @layer and neuron == @neuron"), self.texts.pieces
        rows = pd.concat([contexts[contexts["side"] == side].head(n) for side, (_, n) in sides.items()])
        values = along(self.pair[0], self.texts, layer, neuron, rows["text"].tolist())
        strips = []
        for row, activation in zip(rows.itertuples(), values, strict=True):
            shown = window(pieces[row.text], row.position, BEFORE, AFTER)
            title = f"{sides[row.side][0]}: {row.activation:.1f}, story {row.text}"
            tokens = [piece.replace("\n", "↵") for piece in pieces[row.text][shown]]
            strips.append(Strip(title, tokens, activation[shown], "activation"))
        return strips

    def _texts(self, layer: int, neuron: int, value: float, beginning: str) -> list[dict[str, str]]:
        arguments = (self.pair, beginning, layer, neuron, value, self.means, self.reply)
        written = continuations(*arguments, self.usual.get(beginning))
        self.usual[beginning] = written["as it is"]
        names = {"off": "neuron held at its mean", "steered": f"neuron held at {value:.1f}"}
        return [{"label": names.get(change, change), "text": text} for change, text in written.items()]


def _label_facts(question: str, answer: pd.Series, best: pd.Series) -> list[tuple[str, str]]:
    def auc(row: pd.Series) -> str:
        interval = f" [{row['low']:.4f}, {row['high']:.4f}]" if np.isfinite(row["low"]) else ""
        return f"AUC {row['confirm']:.4f}{interval}"

    way = "" if answer["fires"] == "present" else ", low where the label is"
    said = "the same" if best["label"] == question else f"{best['label']}: {auc(best)}"
    return [(question, f"{auc(answer)}, p = {answer['p']:.2g} corrected{way}"), ("best label", said)]


def neuron_map(
    neurons: Neurons, question: str, n: int, number: int, beginning: str, cards: int | None = None
) -> Atlas:
    """In every layer the best n neurons for a label, the best for every kind of label, and any other one.

    Args:
        neurons: of the model.
        question: the label chosen first.
        n: neurons a layer.
        number: of the neuron that stands in the last column, unless it is among the others.
        beginning: a text that the model goes on with: as it is, with the neuron switched off, and turned up.
        cards: that a page carries, of the neurons with the highest AUC; None for as many as it can.
    """
    layers = sorted(neurons.surveyed["layer"].unique())
    n_neurons = int(neurons.statistics["neuron"].max()) + 1
    return Atlas(
        lambda question, number, **_: _cells(neurons.surveyed, question, n, number),
        neurons.card,
        "A map of neurons",
        "Each row is a layer: first its best neurons for the question, then the best for every kind of "
        "label, last one of any number. Colour and shape: the kind of a neuron's best label, if its AUC is "
        f"{INTERPRETABLE:g} or more. Click one to see what makes it fire, what it writes, and what it does.",
        rows=[f"layer {layer}" for layer in layers],
        columns=[*(str(rank + 1) for rank in range(n)), *SHORT.values(), "№"],
        classes=CLASSES,
        quiet=UNCLEAR,
        size_name="AUC for the question",
        most_cards=cards,
        question=menu(neurons.surveyed["label"], question),
        number=ipywidgets.BoundedIntText(number, min=0, max=n_neurons - 1),
        strength=ipywidgets.FloatSlider(1, min=-2, max=3, step=0.5, continuous_update=False),
        beginning=ipywidgets.Textarea(beginning, continuous_update=False),
    )


def live_neuron(neurons: Neurons, question: str, beginning: str) -> View:
    """The best neuron for a label, or any other, switched off or pushed in the page itself."""
    best = ranked(neurons.surveyed, question, by="hits_select").iloc[0]
    state = {"layer": int(best["layer"]), "neuron": int(best["unit"])}
    return live_or_why_not(
        lambda: {"the model": block(*neurons.pair)},
        "Any neuron, your own text",
        f"It begins with the best neuron for “{question}”. Switch it off, or push its activation up or down, "
        "and read what the text becomes; the last line shows where it fires in your text, orange above zero "
        "and purple below. The model is part of this page: nothing is sent anywhere, and no kernel runs.",
        text=beginning,
        parts=["neurons"],
        state=state,
    )


def _cells(surveyed: pd.DataFrame, question: str, n: int, number: int) -> list[Cell]:
    groups = {label: name for name, labels in GROUPS.items() for label in labels}
    units = surveyed.assign(group=surveyed["label"].map(groups))
    units = units.sort_values("select", ascending=False, kind="stable")
    cells = []
    for place, (_, layer) in enumerate(units.groupby("layer")):
        scores = layer[layer["label"] == question].set_index("unit")["confirm"]
        columns = dict(zip(scores.index[:n], range(n), strict=False))
        for column, group in enumerate(GROUPS, start=n):
            others = layer[(layer["group"] == group) & ~layer["unit"].isin(list(columns))]
            columns |= dict.fromkeys(others["unit"].head(1), column)
        columns = {number: n + len(GROUPS)} | columns
        best = layer[layer["best"] & layer["unit"].isin(list(columns))].drop_duplicates("unit")
        for row in best.itertuples():
            score = float(scores[row.unit])
            group = row.group if row.confirm >= INTERPRETABLE else UNCLEAR
            cells.append(
                Cell(
                    f"{row.layer}.{row.unit}",
                    place,
                    columns[row.unit],
                    f"L{row.layer} N{row.unit}",
                    CLASSES.index(group),
                    float(np.clip(2 * score - 1, 0, 1)),
                    f"best label: {row.label}, AUC {row.confirm:.3f}; AUC for the question {score:.3f}",
                )
            )
    return cells
