"""What attention heads do: their measures over a corpus, classes, a swap test, and the study's claims.

Eldan & Li 2023 (TinyStories, arXiv 2305.07759, section on attention heads) see two kinds by eye: heads that
look back a fixed distance, and heads that look for a name or a noun wherever it stands. `head_measures` puts
numbers to both.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pandas as pd
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from workbench.corpora.stories import words
from workbench.engine import models
from workbench.engine.anatomy import anatomy
from workbench.engine.capture import Batch, Place, capture, stream
from workbench.engine.tokens import encode
from workbench.errors import UserError
from workbench.measures.statistics import Interval, bootstrap_mean, bootstrap_ratios
from workbench.studies import ladder
from workbench.studies.head_measures import (
    FIRST_ROW,
    HELD_OUT,
    MEASURES,
    OffsetFit,
    Text,
    describe,
    entropies,
    measure,
)
from workbench.studies.neurons import Texts, guessed, read, simulated

CLASSES = ("positional", "semantic", "sink", "mixed")
NAMES = (
    "main character, introduced",
    "main character, again",
    "other character, introduced",
    "other character, again",
)
INDEX = ["layer", "head"]


@dataclass(frozen=True)
class Sizes:
    """How much is read.

    Attributes:
        texts: to measure heads on; half choose heads, the other half confirm them.
        scored: texts for the loss when a head is off.
        beginnings: stories continued with a head off.
        probes: questions of each name asked with a head off.
        pairs: pairs of texts patched into one another, and of texts whose name is swapped.
        repeats: tokens that the model trained on repeats reads.
    """

    texts: int
    scored: int
    beginnings: int
    probes: int
    pairs: int
    repeats: int


SIZES = {
    "tiny": Sizes(texts=300, scored=60, beginnings=30, probes=20, pairs=30, repeats=700_000),
    "small": Sizes(texts=1_000, scored=200, beginnings=100, probes=50, pairs=100, repeats=2_000_000),
    "paper": Sizes(texts=2_000, scored=500, beginnings=300, probes=100, pairs=200, repeats=2_000_000),
}


def sizes(params: Any) -> Sizes:
    """The profile's sizes; `n_texts` replaces the number of texts measured."""
    chosen = SIZES[params.profile]
    if params.n_texts is None:
        return chosen
    if params.n_texts < 16:
        raise UserError(f"n_texts={params.n_texts} is too few: half choose heads and half confirm; give 16.")
    return replace(chosen, texts=params.n_texts)


def load_model(params: Any, folder: Path) -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """The model to look into: the largest of 02's ladder, the preset trained there, a folder or a hub id."""
    if not ladder.is_ladder(params.model):
        return models.load(params.model, params.device)
    sized = [rung.name for rung in ladder.SIZES[params.profile].rungs if rung.part == "size"]
    name = sized[-1] if params.model == "ladder" else params.model.removeprefix("tiny:")
    return models.load(folder / name, params.device)


Corpus = tuple[list[list[int]], list[np.ndarray]]
"""Tokens of texts, and `flags` for them."""


def read_texts(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    stories: Sequence[str],
    sizes: Sizes,
    params: Any,
) -> tuple[Texts, Corpus, Corpus, list[list[int]]]:
    """Texts that the model was not trained on: new ones of the simulator, or held-out ones of the data.

    Returns:
        All texts; half of the measured ones to choose heads on, the other half to confirm them; and as many
        again for means, or all of the others.

    Raises:
        UserError: there are too few texts.
    """
    if params.data == "embedded":
        labelled = simulated(2 * sizes.texts, params.seed)
    else:
        given = not ladder.is_ladder(params.model)
        labelled = guessed(ladder.split(stories, params.seed, given=given)[1][: 2 * sizes.texts])
    if len(labelled) < 16:
        raise UserError(
            f"Measuring heads needs 16 held-out texts, and there are {len(labelled)}: give more data."
        )
    texts = read(model, tokenizer, labelled)
    flagged, middle = flags(texts), min(sizes.texts, len(texts) // 2)
    corpora = [(texts.rows[a:b], flagged[a:b]) for a, b in ((0, middle // 2), (middle // 2, middle))]
    return texts, *corpora, texts.rows[middle:]


def opening(texts: Texts, words: int = 70) -> str:
    """The beginning of the first text, at a sentence's end, for people to look at."""
    ends = [match.end() for match in re.finditer(r"[.!?][\"”]?", texts.texts[0])]
    counts = [len(texts.texts[0][:end].split()) for end in ends]
    return next(
        (texts.texts[0][:end] for end, n in zip(ends, counts, strict=True) if n >= words), texts.texts[0]
    )


def flags(texts: Texts) -> list[np.ndarray]:
    """For each token of each row whether it belongs to a name, and to another noun: bool `[tokens, 2]`."""
    names = [texts.names.index(name) for name in NAMES]
    noun = texts.names.index("noun")
    first = np.zeros((texts.first, 2), dtype=bool)
    columns = (np.stack([label[:, names].any(1), label[:, noun]], 1) for label in texts.labels)
    return [np.concatenate([first, found]) for found in columns]


# ------------------------------------------------------------------------------- measures
def measure_heads(
    model: PreTrainedModel,
    rows: Sequence[Sequence[int]],
    flagged: Sequence[np.ndarray],
    *,
    batch_size: int = 2,
    seed: int = 0,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Every measure of every head over a corpus; the patterns of one layer at a time are in memory.

    The first half of the texts fits the measures by offset, the second half scores them.

    Args:
        model: any transformers causal language model.
        rows: tokens of each text, its beginning-of-text token first.
        flagged: for each token whether it belongs to a name, and to another noun (`flags`).
        batch_size: texts at a time.
        seed: of the bootstrap over texts.

    Returns:
        Columns layer, head, measure, value, low, high, n (texts); and the profiles: layer, head, offset,
        attention (mean over the first half's queries from `FIRST_ROW` on).

    Raises:
        UserError: fewer than four texts, or none longer than `2 * FIRST_ROW`, or as `engine.capture.stream`.
    """
    longest = max(map(len, rows), default=0)
    if len(rows) < 4 or longest <= 2 * FIRST_ROW:
        raise UserError(f"Heads are measured on four texts or more, some longer than {2 * FIRST_ROW} tokens.")
    parts = anatomy(model)
    shape = (len(rows), parts.n_layers, parts.n_heads)
    plain = torch.zeros(2, *shape, len(MEASURES))
    held_out = torch.zeros(2, *shape, len(HELD_OUT))
    fit = OffsetFit(parts.n_layers, parts.n_heads, longest, model.device)
    described: list[tuple[Batch, Text]] = []

    def text_of(batch: Batch, indices: Sequence[int]) -> Text:
        if not described or described[0][0] is not batch:
            kinds = torch.zeros(*batch.ids.shape, 2, dtype=torch.bool)
            for row, index in enumerate(batch.index):
                kinds[row, : int(batch.lengths[row])] = torch.as_tensor(flagged[indices[index]])
            kinds = kinds.to(batch.ids.device).unbind(-1)
            described[:] = [(batch, describe(batch.ids, batch.lengths, *kinds))]
        return described[0][1]

    for half in (0, 1):
        indices = range(half, len(rows), 2)

        def see(
            pattern: torch.Tensor, place: Place, batch: Batch, half: int = half, indices: range = indices
        ) -> None:
            text, pattern = text_of(batch, indices), pattern.float()
            entropy = entropies(pattern)
            at = [indices[index] for index in batch.index]
            plain[:, at, place.layer] = torch.stack(measure(pattern, entropy, text)).cpu()
            if half == 0:
                fit.add(pattern, text, place.layer)
            else:
                held_out[:, at, place.layer] = torch.stack(
                    fit.score(pattern, entropy, text, place.layer)
                ).cpu()

        for _ in stream(model, [rows[index] for index in indices], {"pattern.*": see}, batch_size=batch_size):
            pass
        if half == 0:
            fit.settle()
    names = [*MEASURES, *HELD_OUT]
    index = pd.MultiIndex.from_product(
        [range(parts.n_layers), range(parts.n_heads), names], names=["layer", "head", "measure"]
    )
    over, under = torch.cat([plain, held_out], -1).flatten(2).double().numpy()
    value, low, high = bootstrap_ratios(over, under, seed=seed)
    table = pd.DataFrame({"value": value, "low": low, "high": high, "n": (under > 0).sum(0)}, index=index)
    table = table.reset_index()
    unexplained = table["measure"].isin(["positional", "positional_softmax"])
    table.loc[unexplained, ["value", "low", "high"]] = (
        1 - table.loc[unexplained, ["value", "high", "low"]].to_numpy()
    )
    return table, _profiles(fit.profile)


def _profiles(profile: torch.Tensor) -> pd.DataFrame:
    index = pd.MultiIndex.from_product(map(range, profile.shape), names=["layer", "head", "offset"])
    return pd.DataFrame({"attention": profile.flatten().cpu().numpy()}, index=index).reset_index()


def wide(table: pd.DataFrame) -> pd.DataFrame:
    """One row a head, one column a measure."""
    return table.pivot(index=INDEX, columns="measure", values="value").reset_index()


def classify(
    measured: pd.DataFrame,
    positional: float = 0.5,
    one_offset: float = 0.9,
    lift: float = 2.0,
    sink: float = 0.5,
) -> pd.Series:
    """The class of each head, one of `CLASSES`, by thresholds.

    Args:
        measured: one row a head (`wide`).
        positional: held-out share of variance explained by offset from which a head is positional; below two
            fifths of it a head can be semantic.
        one_offset: or the share of its rows with the largest attention at one offset (Voita et al. 2019).
        lift: attention to far names, or to far nouns, over chance from which a head is semantic.
        sink: attention to the first token from which it is a sink.
    """
    is_positional = (measured["positional"] >= positional) | (measured["one_offset"] >= one_offset)
    best = measured[["name_lift", "noun_lift"]].max(axis=1)
    is_semantic = (best >= lift) & (measured["positional"] < 0.4 * positional)
    chosen = np.select([is_positional, is_semantic, measured["first_token"] >= sink], CLASSES[:3], CLASSES[3])
    return pd.Series(chosen, index=measured.index)


# ------------------------------------------------------------------------------- swapping a name
def swap_names(
    tokenizer: PreTrainedTokenizerFast, texts: Sequence[str], n: int, seed: int
) -> list[tuple[list[int], list[int], list[int]]]:
    """Texts with one name put in another's place throughout, by as many tokens.

    Returns:
        (tokens before, tokens after, positions of the name) of the first n texts where it can be done.
    """
    pairs = []
    for number, text in enumerate(texts):
        names = [name for name in words.GIRLS + words.BOYS if re.search(rf"\b{name}\b", text)]
        others = [name for name in words.GIRLS + words.BOYS if name not in names]
        if len(pairs) == n or not names:
            continue
        name = max(names, key=lambda name: len(re.findall(rf"\b{name}\b", text)))
        before = encode(tokenizer, [text])[0]
        for other in Random(f"{seed}/{number}").sample(others, min(20, len(others))):
            after = encode(tokenizer, [re.sub(rf"\b{name}\b", other, text)])[0]
            changed = [place for place, (a, b) in enumerate(zip(before, after, strict=False)) if a != b]
            if len(after) == len(before) and changed:
                pairs.append((before, after, changed))
                break
    return pairs


def swap_test(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, texts: Texts, n: int, seed: int
) -> pd.DataFrame:
    """How alike a head attends to a name before and after it was swapped for another.

    The correlation, over all pairs of a later token and a token of the name, of the attention before and
    after: 1 for a head that looks at places only. Columns layer, head, value, low, high, n: means over texts.
    """
    found: dict[tuple[int, int], list[float]] = {}
    for before, after, places in swap_names(tokenizer, texts.texts, n, seed):
        ids, length = torch.tensor([before, after]), len(before)
        values, _ = capture(model, ids, ["pattern.*"])
        for layer in range(len(values)):
            both = values[f"pattern.{layer}"][..., places]  # [2, heads, tokens, tokens of the name]
            later = (torch.arange(length)[:, None] > torch.tensor(places)).to(both.device)
            old, new = both[:, :, later].double()
            for head in range(len(old)):
                found.setdefault((layer, head), []).append(_correlation(old[head], new[head]))
    rows = [(*key, *_columns(bootstrap_mean(values))) for key, values in found.items()]
    return pd.DataFrame(rows, columns=[*INDEX, "value", "low", "high", "n"])


def _correlation(a: torch.Tensor, b: torch.Tensor) -> float:
    a, b = a - a.mean(), b - b.mean()
    return float((a * b).sum() / (a.norm() * b.norm()).clamp(min=1e-12))


def _columns(interval: Interval) -> tuple[float, float, float, int]:
    return interval.value, interval.low, interval.high, interval.n


# ------------------------------------------------------------------------------- positions by design
def alibi_slopes(n_heads: int) -> np.ndarray:
    """The slopes m of ALiBi, score(q, k) -= m (q - k): Press et al. 2021, arXiv 2108.12409, section 3.

    For a power of two the geometric series from 2^(-8/n); otherwise that of the power of two below, filled up
    with every second slope of the one above.
    """
    power = 2 ** int(np.log2(n_heads))
    slopes = 2.0 ** (-8 / power * np.arange(1, power + 1))
    if power == n_heads:
        return slopes
    return np.concatenate([slopes, alibi_slopes(2 * power)[0::2][: n_heads - power]])
