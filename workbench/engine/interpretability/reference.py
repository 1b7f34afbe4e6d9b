"""Mean and resampled values of heads and neurons over a set of texts, for ablations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor

from workbench.engine.interpretability.anatomy import anatomy
from workbench.engine.interpretability.hooks import HookPoint, match_names
from workbench.engine.interpretability.stream import Batch, stream
from workbench.errors import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class Reference:
    """What named values are in a set of texts, position by position."""

    #: by name, `[positions + 1, ...]`: the mean over the texts that reach a position. The last entry, for all
    #: positions beyond, and those that fewer than `least` texts reach, are the mean over all tokens but each
    #: text's first, which is often far from all others.
    means: dict[str, Tensor]
    texts: dict[str, Tensor]  #: by name, `[texts kept, positions, ...]`: the values themselves in a few texts
    lengths: list[int]  #: tokens of the texts kept

    def table(self, name: str, ablation: Literal["mean", "resample"], seed: int) -> Tensor:
        """The values `[positions + 1, ...]` that replace those of `name`, the last one for all beyond.

        Args:
            name: such as `head.2`.
            ablation: `mean`, or `resample`: the values of one text, drawn from those kept, at the same
                positions; where it ends, those of the next text in the drawn order that is longer, in the
                end the means' last entry.
            seed: of the order; the same for every name, so that all values are of one text.

        Raises:
            UserError: the reference has no such values.
        """
        if name not in self.means:
            raise UserError(f"The reference holds no {name!r} but {', '.join(self.means)}: make it anew.")
        if ablation == "mean":
            return self.means[name]
        if not self.lengths:
            raise UserError("The reference keeps no text to resample from: make it with keep=8.")
        table = self.means[name][-1:].expand_as(self.means[name]).clone()
        for text in np.random.default_rng(seed).permutation(len(self.lengths))[::-1]:
            length = self.lengths[text]
            table[:length] = self.texts[name][text, :length]
        return table


def reference(
    model: PreTrainedModel,
    rows: Sequence[Sequence[int]],
    names: Sequence[str],
    *,
    batch_size: int = 8,
    least: int = 8,
    keep: int = 8,
    seed: int = 0,
) -> Reference:
    """Means of named values at each position over a set of texts, summed up as the texts pass by.

    Memory grows with the longest text times (1 + `keep`), and not with the number of texts.

    Args:
        rows: tokens of each text; other texts than those to be looked at afterwards.
        names: names or patterns of names, of any kind but `pattern`.
        least: texts that must reach a position (all of them, if they are fewer) for a mean of that position.
        keep: texts whose values are kept for resampling, drawn at random.

    Raises:
        UserError: as `stream`; or a pattern of attention is asked for.
    """
    matched = match_names(dict.fromkeys(names), anatomy(model).names())
    if any(name.startswith("pattern.") for name in matched):
        raise UserError("A reference has no attention patterns: freeze a pattern with freeze_pattern.")
    drawn = np.random.default_rng(seed).permutation(len(rows))[:keep].tolist()
    longest = max(map(len, rows), default=0)
    sums: dict[str, Tensor] = {}
    texts: dict[str, Tensor] = {}

    def add(value: Tensor, point: HookPoint, batch: Batch) -> None:
        if point.name not in sums:
            sums[point.name] = torch.zeros(longest, *value.shape[2:], dtype=torch.float64)
            texts[point.name] = torch.zeros(len(drawn), longest, *value.shape[2:], dtype=value.dtype)
        mask = batch.mask.view(*batch.mask.shape, *[1] * (value.dim() - 2))
        sums[point.name][: value.shape[1]] += value.masked_fill(~mask, 0).sum(0).cpu()
        for row, index in enumerate(batch.index):
            if index in drawn:
                length = int(batch.lengths[row])
                texts[point.name][drawn.index(index), :length] = value[row, :length].cpu()

    for _ in stream(model, rows, dict.fromkeys(matched, add), batch_size=batch_size):
        pass
    lengths = torch.tensor([len(row) for row in rows])
    means = {name: _means(total, lengths, min(least, len(rows))) for name, total in sums.items()}
    return Reference(means, texts, [len(rows[index]) for index in drawn])


def _means(sums: Tensor, lengths: Tensor, least: int) -> Tensor:
    """Means `[positions + 1, ...]` of sums `[positions, ...]`; see `Reference.means`."""
    reached = (lengths[:, None] > torch.arange(len(sums))).sum(0)
    first = 1 if len(sums) > 1 else 0
    overall = sums[first:].sum(0) / reached[first:].sum()
    means = torch.cat((sums / reached.view(-1, *[1] * (sums.dim() - 1)), overall[None]))
    means[:-1][reached < least] = overall
    return means.float()
