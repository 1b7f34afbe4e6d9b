"""What attention heads do: their measures over a corpus, classes, a swap test, and the study's claims.

Eldan & Li 2023 (TinyStories, arXiv 2305.07759, section on attention heads) see two kinds by eye: heads that
look back a fixed distance, and heads that look for a name or a noun wherever it stands. `head_measures` puts
numbers to both.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from transformers import PreTrainedModel

from workbench.engine.interpretability.anatomy import anatomy
from workbench.engine.interpretability.capture import HookPoint
from workbench.engine.interpretability.stream import Batch, stream
from workbench.errors import UserError
from workbench.measures.statistics import bootstrap_ratios
from workbench.studies.attention_heads.scores import (
    FIRST_ROW,
    HELD_OUT,
    MEASURES,
    OffsetFit,
    Text,
    describe,
    entropies,
    measure,
)

CLASSES = ("positional", "semantic", "sink", "mixed")
POSITIONAL, LIFT, SINK = 0.5, 2.0, 0.5  # thresholds of the classes, see `classify`
ONE_OFFSET = 0.9  # a head is positional too where so many rows attend most to one offset (Voita et al. 2019)
NOT_POSITIONAL = 0.4  # a head can be semantic below this part of the threshold of positional ones
INDEX = ["layer", "head"]


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
        UserError: fewer than four texts, or none longer than `2 * FIRST_ROW`, or as `stream`.
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
            pattern: torch.Tensor, place: HookPoint, batch: Batch, half: int = half, indices: range = indices
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
