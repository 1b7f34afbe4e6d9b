"""The heart of 03_attention_heads: pick a head, see what it does, switch it off, see what the model loses."""

import copy
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import ipywidgets
import numpy as np
import pandas as pd
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from workbench.charts.atlas import Atlas, Attention, Card, Cell, Strip
from workbench.charts.live_view import live_or_why_not
from workbench.charts.view import MarkedText, View, menu
from workbench.corpora.labelled_tokens import guess_labels, label_tokens
from workbench.corpora.stories import Probe, make_probes
from workbench.engine.interpretability.capture import capture
from workbench.engine.interpretability.interventions import Ablation, ablate_heads
from workbench.engine.interpretability.reference import Reference
from workbench.engine.live import block
from workbench.engine.sampling.sampler import SamplingParams
from workbench.engine.sampling.transformers_sampler import TransformersSampler
from workbench.errors import UserError
from workbench.studies.attention_heads.ablation import Head, token_losses
from workbench.studies.attention_heads.method import CLASSES, INDEX, LIFT, POSITIONAL, SINK, classify, wide
from workbench.studies.tiny_models.views import objections

FACTS = {  # measure: (name, format)
    "distance": ("distance", "{:.1f} tokens"),
    "positional": ("explained by offset", "{:.0%}"),
    "one_offset": ("largest at one offset", "{:.0%}"),
    "previous_token": ("to the previous token", "{:.0%}"),
    "first_token": ("to the first token", "{:.0%}"),
    "duplicate": ("to equal tokens", "{:.0%}"),
    "induction": ("to what followed", "{:.0%}"),
    "name_lift": ("far names, times chance", "{:.2f}"),
    "noun_lift": ("far nouns, times chance", "{:.2f}"),
    "normalised_entropy": ("entropy, of the most possible", "{:.0%}"),
}


class LiveAblation:
    """A model, a text, and what a head that is switched off changes in it.

    Args:
        model: copied, so that its hooks meet no other cell's.
        tokenizer: its tokenizer.
        reference: per-position means of `head.*`, and texts to resample from.
        reply: tokens of a continuation.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerFast,
        reference: Reference,
        reply: int = 60,
    ) -> None:
        self.model, self.tokenizer, self.reference = copy.deepcopy(model), tokenizer, reference
        self.sampler, self.reply = TransformersSampler(self.model, tokenizer), reply
        self.whole, self.asked = lru_cache(8)(self._whole), lru_cache(8)(self._asked)

    def _whole(self, text: str) -> tuple[list[int], list[str], np.ndarray, str]:
        """Tokens, their display strings, the surprise of each, and how the model goes on."""
        texts = label_tokens(self.model, self.tokenizer, guess_labels([text]))
        if texts.cut:
            raise UserError("The text is longer than the model's context: shorten it.")
        pieces = [*["⟨begin⟩"] * texts.first, *texts.pieces[0]]
        return texts.rows[0], pieces, token_losses(self.model, texts.rows[0]), self._go_on(text)

    def _go_on(self, text: str) -> str:
        return self.sampler.sample([text], SamplingParams(max_tokens=self.reply, temperature=0))[0][0].text

    def _asked(self, probes: tuple[Probe, ...]) -> list[np.ndarray]:
        """How likely the model finds both answers to each question, as it is or as it is changed here."""
        options = [(probe.right, probe.wrong) for probe in probes]
        return self.sampler.score([probe.beginning for probe in probes], options)

    def without(self, text: str, head: Head, ablation: Ablation) -> tuple[np.ndarray, str]:
        """Surprise of each token and continuation with the head switched off."""
        ids = self.whole(text)[0]
        with ablate_heads(self.model, [head], ablation, self.reference):
            return token_losses(self.model, ids), self._go_on(text)

    def answers(self, head: Head, ablation: Ablation, probes: Sequence[Probe]) -> dict[str, Any]:
        """What the model answers to questions, whole and without the head, as a text with marks."""
        whole = self.asked(tuple(probes))
        with ablate_heads(self.model, [head], ablation, self.reference):
            off = self._asked(tuple(probes))
        text = MarkedText()
        for probe, *scores in zip(probes, whole, off, strict=True):
            text.add(f"… {probe.beginning.rpartition('. ')[2]}")
            for (right, wrong), lead in zip(scores, (" ", "\n    off: "), strict=True):
                answer, kind = (probe.right, "right") if right > wrong else (probe.wrong, "wrong")
                text.add(lead)
                text.add(answer.strip(), f"{kind} answer")
                text.add(f" (by {abs(right - wrong):.1f} nats)")
            text.add("\n")
        return text.item("Questions, whole and with this head off")

    def pattern(self, text: str, head: Head) -> np.ndarray:
        """What the head attends to, `[tokens, tokens]`."""
        name = f"pattern.{head[0]}"
        values, _ = capture(self.model, torch.tensor([self.whole(text)[0]]), [name])
        return values[name][0, head[1]].float().cpu().numpy()


def head_map(
    live: LiveAblation,
    table: pd.DataFrame,
    changed: pd.DataFrame,
    swapped: pd.DataFrame,
    text: str,
    *,
    exact: bool,
    cards: int | None = None,
) -> Atlas:
    """Click a head: its class and scores, what it looks at, and the model without it.

    Args:
        live: the model to switch heads off in.
        table: measures of all heads.
        changed: `ablation.changes`.
        swapped: `name_swap.swap_test`.
        text: to begin with.
        exact: whether the exact grader reads continuations.
        cards: that a page carries, of the heads that cost most; None for as many as it can.
    """
    measured, measures = wide(table), table.set_index([*INDEX, "measure"])
    measured.index = [f"{layer}.{head}" for layer, head in measured[INDEX].to_numpy()]
    lost = changed[changed["part"] == "loss"].set_index("condition")["value"]
    names = ("what one does", "what one chose", "what is in the box", "who is there")
    questions = [probe for probe in make_probes(1, seed=1) if probe.name in names] if exact else []

    def cells(positional: float, lift: float, sink: float, off: str, text: str) -> list[Cell]:
        kinds = classify(measured, positional=positional, lift=lift, sink=sink)
        return [_cell(row, kind, lost) for row, kind in zip(measured.itertuples(), kinds, strict=True)]

    def card(name: str, positional: float, lift: float, sink: float, off: Ablation, text: str) -> Card:
        head = (int(measured.loc[name, "layer"]), int(measured.loc[name, "head"]))
        kind = classify(measured, positional=positional, lift=lift, sink=sink)[name]
        _, pieces, before, written = live.whole(text)
        after, rewritten = live.without(text, head, off)
        correlations = swapped.loc[swapped[INDEX].eq(list(head)).all(axis=1), "value"]
        return Card(
            title=f"Layer {head[0]}, head {head[1]}: {kind}",
            facts=[
                *_facts(measures.loc[head]),
                *(("alike after a name is swapped", f"r = {value:.2f}") for value in correlations),
                *_changes(changed[changed["condition"] == name]),
                (
                    f"off ({off}): loss of this text, nats",
                    f"{np.nanmean(before):.3f} → {np.nanmean(after):.3f}",
                ),
            ],
            attention=Attention(pieces, live.pattern(text, head)),
            strips=[Strip("Surprise when this head is off, minus before", pieces, after - before, "nats")],
            texts=[
                _continuation("The model goes on", text, written, exact=exact),
                _continuation(f"… with this head off ({off})", text, rewritten, exact=exact),
                *([live.answers(head, off, questions)] if exact else []),
            ],
        )

    off = menu(["mean", "zero", "resample"])
    off.description = "switched off by"
    return Atlas(
        cells,
        card,
        "Pick a head, switch it off",
        "Every glyph is a head; colour and shape give its class, size the loss it costs to switch it off. "
        "Its card shows what it looks at, the surprise at each token, and how the model goes on, with and "
        "without it" + ("; marked is what is not a sentence, or cannot be true." if exact else "."),
        rows=[f"layer {layer}" for layer in range(measured["layer"].max() + 1)],
        columns=[f"H{head}" for head in range(measured["head"].max() + 1)],
        classes=list(CLASSES),
        quiet=CLASSES[-1],
        size_name="loss when off",
        most_cards=cards,
        positional=_threshold(POSITIONAL, 0.05, 0.95, "positional: explained by offset from"),
        lift=_threshold(LIFT, 1.0, 4.0, "semantic: far names or nouns, times chance, from"),
        sink=_threshold(SINK, 0.05, 0.95, "sink: to the first token from"),
        off=off,
        text=ipywidgets.Textarea(text, continuous_update=False, layout={"width": "480px"}),
    )


def _threshold(value: float, low: float, high: float, description: str) -> ipywidgets.FloatSlider:
    return ipywidgets.FloatSlider(
        value, min=low, max=high, step=0.05, readout_format=".2f", description=description,
        continuous_update=False,
    )  # fmt: skip


def _cell(row: Any, kind: str, lost: pd.Series) -> Cell:
    size = max(0.0, lost.get(row.Index, 0.0)) / max(lost.max(), 1e-9)
    tip = f"layer {row.layer}, head {row.head}: {kind}; {row.distance:.1f} tokens back, offset explains "
    cost = lost.get(row.Index)
    tip += f"{row.positional:.0%}, " + ("not switched off" if cost is None else f"costs {cost:.3f} nats")
    label = f"L{row.layer} H{row.head}"
    return Cell(row.Index, row.layer, row.head, label, CLASSES.index(kind), min(size, 1), tip)


def _continuation(label: str, text: str, written: str, *, exact: bool) -> dict[str, Any]:
    """What was written, without the empty lines it begins with, and the exact grader's objections to it."""
    shown = written.lstrip()
    cut = len(written) - len(shown)
    marks = objections(text, written) if exact else []
    shifted = [(max(0, start - cut), end - cut, kind) for start, end, kind in marks]
    return {"label": label, "text": shown, "marks": shifted}


def _facts(measures: pd.DataFrame) -> list[tuple[str, str]]:
    facts = []
    for measure, (name, form) in FACTS.items():
        value, low, high = map(form.format, measures.loc[measure, ["value", "low", "high"]])
        facts.append((name, f"{value} [{low.rstrip('% tokens')}, {high.rstrip('% tokens')}]"))
    return facts


def _changes(changed: pd.DataFrame) -> list[tuple[str, str]]:
    facts = []
    for row in changed.itertuples():
        scale, digits, unit = (1, 3, "nats") if row.part == "loss" else (100, 0, "points")
        numbers = [f"{scale * number:+.{digits}f}" for number in (row.value, row.low, row.high)]
        value, low, high = (number.replace("-", "−") for number in numbers)
        interval = "" if np.isnan(row.low) else f" [{low}, {high}]"  # of one item there is none
        facts.append((f"off (mean): {row.part}", f"{value} {unit}{interval}"))
    return facts


def live_heads(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    reference: Reference,
    beginning: str,
) -> View:
    """Any set of heads switched off in the page itself, over the reader's own text."""
    return live_or_why_not(
        lambda: {"the model": block(model, tokenizer, reference=reference)},
        "Any heads off, your own text",
        "Press heads to switch them off, as many as you like: the text goes on beside what it was, and each "
        "word is coloured by how much harder (orange) or easier (purple) it became. The model is part of "
        "this page: nothing is sent anywhere, and no kernel runs.",
        text=beginning,
        parts=["heads", "layers"],
    )
