"""Pictures of 04_neurons: labelled stories, top contexts, what neurons write, and what the model loses."""

from collections.abc import Iterable, Sequence

import altair as alt
import numpy as np
import pandas as pd
from transformers import PreTrainedTokenizerFast

from workbench.charts.intervals import intervals
from workbench.charts.parts import looks, numbered_cells, panels, tips
from workbench.charts.theme import CONTROL
from workbench.charts.view import Chart, MarkedText, Texts, with_rows
from workbench.corpora.labelled_tokens import LabelledTokens
from workbench.corpora.stories.labels import Spans
from workbench.studies.neurons.method import is_gated
from workbench.studies.neurons.results import agreement_by_layer
from workbench.studies.neurons.value_vectors import token_text

BEFORE, AFTER = 22, 3  # characters of a line around the strongest token
SHOWN_LABELS = (
    "main character, introduced",
    "main character, again",
    "other character, introduced",
    "verb",
    "new thing",
    "place",
)


def labelled_stories(labelled: Sequence[tuple[str, Spans]]) -> Texts:
    """The first two stories with some of their labels marked."""
    items = [
        {
            "label": f"story {number}",
            "text": text,
            "marks": [(*span, name) for name in SHOWN_LABELS for span in spans[name]],
        }
        for number, (text, spans) in enumerate(labelled[:2])
    ]
    return Texts(
        items,
        "What the words are",
        "Six of the labels, as known from the simulator or guessed from spelling; a word may have several.",
    )


def first_neurons(contexts: pd.DataFrame, texts: LabelledTokens, layer: int, neurons: Sequence[int]) -> Texts:
    """The strongest contexts of a few neurons, one line each, the token marked."""
    sides = {"top": "strongest"} | ({"bottom": "most negative"} if is_gated(contexts) else {})
    rows = contexts[(contexts["layer"] == layer) & (contexts["rank"] < 6)]
    items = []
    for neuron in neurons:
        for side, name in sides.items():
            chosen = rows[(rows["neuron"] == neuron) & (rows["side"] == side)]
            lines = _lines(texts, chosen["text"], chosen["position"])
            items.append(lines.item(f"L{layer} N{neuron}, {name}"))
    return Texts(
        items,
        "The first neurons of a layer",
        "One line for each of the six stories in which the neuron is strongest; the marked token is where. A "
        "gated neuron can go below zero as far as above: both ends are shown.",
    )


def _lines(texts: LabelledTokens, indices: Iterable[int], positions: Iterable[int]) -> MarkedText:
    lines = MarkedText()
    for index, position in zip(indices, positions, strict=True):
        pieces = [piece.replace("\n", " ") for piece in texts.pieces[index]]
        shown = window(pieces, position, BEFORE, AFTER)
        lines.add("\n" * bool(lines.text) + "… " * bool(shown.start))
        lines.add("".join(pieces[shown.start : position]).lstrip(' .!?",'))
        piece = pieces[position]
        piece = piece.lstrip() if lines.text.endswith((" ", "\n")) or not lines.text else piece
        blank = len(piece) - len(piece.lstrip()) if piece.strip() else 0
        lines.add(piece[:blank])
        lines.add(piece[blank:], "strongest token")
        lines.add("".join(pieces[position + 1 : shown.stop]))
    return lines


def window(pieces: Sequence[str], position: int, before: int, after: int) -> slice:
    """The tokens around one: about so many characters on either side, in whole words."""
    start, length = position, 0
    while start and (length < before or not pieces[start][:1].isspace()):
        start -= 1
        length += len(pieces[start])
    stop, length = position + 1, 0
    while stop < len(pieces) and (length < after or not pieces[stop][:1].isspace()):
        length += len(pieces[stop])
        stop += 1
    return slice(start, stop)


def tokens_written(
    written: pd.DataFrame, tokenizer: PreTrainedTokenizerFast, layer: int, neuron: int, side: str
) -> str:
    """The tokens that a neuron raises (side top) or lowers (bottom), with dots between them."""
    rows = written[(written["layer"] == layer) & (written["neuron"] == neuron) & (written["side"] == side)]
    return " · ".join(token_text(tokenizer, token).strip(" ") or "␣" for token in rows["token"].tolist())


# ------------------------------------------------------------------------------- writing
def agreement_chart(agreed: pd.DataFrame) -> Chart:
    """Share of neurons whose favourite token follows their strongest trigger, by layer, and chance."""
    frame, x = agreement_by_layer(agreed), alt.X("layer:O", title="layer")
    chart = intervals(frame, x, "share of neurons", form=".1%", tooltip=["layer", *tips(".1%", "chance")])
    chance = alt.Chart(frame).mark_tick(thickness=2, width=36, color=CONTROL).encode(x=x, y="chance:Q")
    return Chart(
        (chart + chance).properties(width=70 * len(frame)),
        "Do neurons write what comes next?",
        "Points: share of a layer's neurons whose favourite token is the one that really follows their "
        "strongest trigger, with 95 % intervals. Grey bars: the same with tokens paired at random.",
    )


def lens_chart(looked: pd.DataFrame) -> Chart:
    """What each layer would say next, token by token."""
    last = looked["layer"].max()
    frame = looked.assign(
        place=looked["position"].astype(str).str.zfill(3) + " " + looked["token"].str.replace("\n", "↵"),
        read=looked["layer"].map(lambda layer: "answer" if layer == last else f"into layer {layer}"),
        said=looked["says"].str.strip(" ").str.replace("\n", "↵").str.slice(0, 7),
    )
    x = alt.X("place:O", title="after the token")
    base = alt.Chart(frame, width=alt.Step(46), height=alt.Step(28)).encode(
        x=x.axis(labelExpr="slice(datum.label, 4)", labelOverlap=False, labelAngle=-45),
        y=alt.Y("read:N", sort=list(dict.fromkeys(frame["read"]))[::-1], title=None),
    )
    color = alt.Color("probability:Q", title="probability of the right token").scale(domain=[0, 1])
    color = color.legend(orient="top", gradientLength=160, titleLimit=300)
    tooltip, bright = ["read", "token", "says", *tips(".3f", "probability")], "datum.probability > 0.55"
    return Chart(
        numbered_cells(base, color, tooltip, bright=bright, text=alt.Text("said:N"), size=10.5),
        "What each layer would say",
        "The residual stream before each layer, read as if the model ended there: the word in a cell is its "
        "most likely next token, the colour the probability of the one that really follows. The lowest row "
        "has read no more than the token itself.",
    )


@with_rows
def without_chart(lost: pd.DataFrame, question: str) -> Chart:
    """Loss of the model with neurons switched off, after the label and elsewhere."""
    groups = np.where(lost["neurons"] == "best", "best for the label", "others, same layers")
    x, title = alt.X("count:O", title="neurons switched off"), "added loss (nats per token)"
    order = ["best for the label", "others, same layers"]
    look = looks("group", None, order, {order[1]: CONTROL})
    look["xOffset"] = alt.XOffset("group:N", sort=order)
    style = {"form": ".4f", "tooltip": ["group", "where", "count"], "look": look}
    chart = intervals(lost.assign(group=groups), x, title, **style).properties(width=230, height=220)
    return Chart(
        panels(chart, "where", ["after the label", "elsewhere"]),
        "Does the model use them?",
        f"Added loss when the best neurons for “{question}” are held at their means, beside as many others; "
        "lines are 95 % intervals over stories.",
    )
