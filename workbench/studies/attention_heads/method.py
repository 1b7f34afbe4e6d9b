"""Measures of every attention head over a corpus, and the classes that heads belong to by them.

Eldan & Li 2023 (TinyStories, arXiv 2305.07759), the section on attention heads.

As published: two kinds of heads, those that look back a fixed distance and those that look for a name or a
noun wherever it stands.
What differs: the paper looks at the maps of one model of one layer over one paragraph and gives no number.
Here every head of any model is measured over many texts (`scores`): how much of it relative offset alone
explains on texts that were not fitted, and how much it gives to far names and nouns beyond chance.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedModel

from workbench.engine.interpretability.anatomy import anatomy
from workbench.engine.interpretability.capture import HookPoint, check_finite
from workbench.engine.interpretability.stream import Batch, stream
from workbench.errors import UserError
from workbench.measures.statistics import bootstrap_ratios
from workbench.studies.attention_heads import scores
from workbench.studies.attention_heads.scores import FIRST_ROW, HELD_OUT, MEASURES, OffsetFit, Text

CLASSES = ("positional", "semantic", "sink", "mixed")
POSITIONAL, LIFT, SINK = 0.5, 2.0, 0.5  # thresholds of the classes, see `classify`
ONE_OFFSET = 0.9  # a head is positional too where so many rows attend most to one offset (Voita et al. 2019)
NOT_POSITIONAL = 0.4  # a head can be semantic below this part of the threshold of positional ones
INDEX = ["layer", "head"]


# ------------------------------------------------------------------------------- measures
def measure_heads(
    model: PreTrainedModel,
    rows: Sequence[Sequence[int]],
    flags: Sequence[np.ndarray],
    *,
    batch_size: int = 2,
    seed: int = 0,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Every measure of every head over a corpus; the patterns of one layer at a time are in memory.

    Every second text fits the measures by offset, and the others score them.

    Args:
        model: any transformers causal language model.
        rows: tokens of each text, its beginning-of-text token first.
        flags: for each token whether it belongs to a name, and to another noun (`data.flags`).
        batch_size: texts at a time.
        seed: of the bootstrap over texts.

    Returns:
        Columns layer, head, measure, value, low, high, n (texts); and the profiles: layer, head, offset,
        attention (mean over the fitted texts' queries from `FIRST_ROW` on).

    Raises:
        UserError: fewer than four texts, or none longer than `2 * FIRST_ROW`, or as `stream`.
    """
    longest = max(map(len, rows), default=0)
    if len(rows) < 4 or longest <= 2 * FIRST_ROW:
        raise UserError(f"Heads are measured on four texts or more, some longer than {2 * FIRST_ROW} tokens.")
    parts = anatomy(model)
    fit = OffsetFit(parts.n_layers, parts.n_heads, longest, model.device)
    n_plain = len(MEASURES)
    shape = (len(rows), parts.n_layers, parts.n_heads, n_plain + len(HELD_OUT))
    sums = torch.zeros(2, *shape)  # numerators and denominators
    text: list[Text] = []  # what the batch that is read holds: it serves all layers

    def see(half: int, pattern: Tensor, point: HookPoint, batch: Batch) -> None:
        numbers, layer, pattern = [2 * index + half for index in batch.index], point.layer, pattern.float()
        if layer == 0:
            kinds = pad_sequence([torch.as_tensor(flags[number]) for number in numbers], batch_first=True)
            text[:] = [Text(batch.ids, batch.lengths, *kinds.to(batch.ids.device).unbind(-1))]
        check_finite(pattern[:, :, -1])  # the last token looks at all: what is broken in one shows here
        entropy = scores.entropies(pattern, point.logits)
        plain = scores.measure(pattern, entropy, text[0])
        sums[:, numbers, layer, :, :n_plain] = torch.stack(plain).cpu()
        if half == 0:
            fit.add(pattern, text[0], layer)
        else:
            held_out = fit.score(pattern, entropy, text[0], layer)
            sums[:, numbers, layer, :, n_plain:] = torch.stack(held_out).cpu()

    for half in (0, 1):
        hooks, options = {"pattern.*": partial(see, half)}, {"batch_size": batch_size, "to_the_end": False}
        for _ in stream(model, rows[half::2], hooks, **options):
            pass
        if half == 0:
            fit.finish()
    heads = {"layer": range(parts.n_layers), "head": range(parts.n_heads)}
    attention = fit.profile.flatten().cpu().numpy()
    return _ratios(sums, heads, seed), product_frame({"attention": attention}, **heads, offset=range(longest))


def _ratios(sums: Tensor, heads: Mapping[str, Iterable[int]], seed: int) -> pd.DataFrame:
    """Sums `[numerator or denominator, texts, layers, heads, measures]` as measures with their intervals."""
    over, under = sums.flatten(2).double().numpy()
    value, low, high = bootstrap_ratios(over, under, seed=seed)
    columns = {"value": value, "low": low, "high": high, "n": (under > 0).sum(0)}
    table = product_frame(columns, **heads, measure=[*MEASURES, *HELD_OUT])
    unexplained = table["measure"].isin(["positional", "positional_softmax"])
    turned = 1 - table.loc[unexplained, ["value", "high", "low"]].to_numpy()
    table.loc[unexplained, ["value", "low", "high"]] = turned
    return table


def product_frame(columns: Mapping[str, Any], **levels: Iterable[Any]) -> pd.DataFrame:
    """A row for every combination of the levels, the last one changing fastest."""
    index = pd.MultiIndex.from_product(levels.values(), names=list(levels))
    return pd.DataFrame(columns, index=index).reset_index()


def wide(table: pd.DataFrame) -> pd.DataFrame:
    """One row a head, one column a measure."""
    return table.pivot(index=INDEX, columns="measure", values="value").reset_index()


def classify(
    measured: pd.DataFrame, positional: float = POSITIONAL, lift: float = LIFT, sink: float = SINK
) -> pd.Series:
    """The class of each head, one of `CLASSES`, by thresholds.

    Args:
        measured: one row a head (`wide`).
        positional: held-out share of variance explained by offset from which a head is positional.
        lift: attention to far names, or to far nouns, over chance from which a head is semantic.
        sink: attention to the first token from which it is a sink.
    """
    is_positional = (measured["positional"] >= positional) | (measured["one_offset"] >= ONE_OFFSET)
    best = measured[["name_lift", "noun_lift"]].max(axis=1)
    is_semantic = (best >= lift) & (measured["positional"] < NOT_POSITIONAL * positional)
    chosen = np.select([is_positional, is_semantic, measured["first_token"] >= sink], CLASSES[:3], CLASSES[3])
    return pd.Series(chosen, index=measured.index)


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
