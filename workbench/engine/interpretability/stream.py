"""Run a corpus through a model in padded batches, with hooks that read or change its inside."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from workbench.engine.batches import padded
from workbench.engine.interpretability.anatomy import anatomy
from workbench.engine.interpretability.capture import check_finite, check_rows, hooked
from workbench.engine.interpretability.hooks import HookPoint, match_names
from workbench.engine.models import evaluating
from workbench.engine.traits import traits

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class Batch:
    """Some rows of a corpus, padded on the right, where padding cannot reach what stands before it."""

    index: list[int]  #: number of each row in the corpus
    ids: Tensor  #: tokens `[rows, tokens]`
    lengths: Tensor  #: tokens of each row, `[rows]`

    @property
    def mask(self) -> Tensor:
        """bool `[rows, tokens]`: true for tokens, false for padding."""
        return torch.arange(self.ids.shape[1], device=self.ids.device) < self.lengths[:, None]


class _AllSeen(Exception):
    """Every hook of a pass was called: nobody wants the rest."""


@torch.inference_mode()
def stream(
    model: PreTrainedModel,
    rows: Sequence[Sequence[int]],
    hooks: Mapping[str, Callable[[Tensor, HookPoint, Batch], Tensor | None]],
    *,
    batch_size: int = 8,
    logits: bool = False,
    to_the_end: bool = True,
) -> Iterator[tuple[Batch, Tensor | None]]:
    """Runs a corpus through the model; the hooks see each value as it arises, and nothing is kept.

    Args:
        hooks: as for `hooked`, with the batch as third argument.
        batch_size: rows at a time; rows of like length go together. One row where the model reads a row
            otherwise beside a longer one (`traits`).
        to_the_end: False ends a pass when its last hook was called, which must look for numbers itself
            (`check_finite`).

    Yields:
        Each batch after its hooks were called, with its logits `[rows, tokens, vocabulary]` or None. The
        hooks are on until the loop over them ends.

    Raises:
        UserError: as `hooked` and `check_rows`.
    """
    check_rows(model, rows)
    batch_size = batch_size if traits(model).ignores_batch_mates else 1
    current: list[Batch] = []
    n_hooks, n_called = sum(map(len, match_names(hooks, anatomy(model).names()).values())), 0

    def call(hook: Callable, value: Tensor, point: HookPoint) -> Tensor | None:
        nonlocal n_called
        changed, n_called = hook(value, point, current[0]), n_called + 1
        if n_called == n_hooks and not to_the_end:
            raise _AllSeen
        return changed

    bound = {name: partial(call, hook) for name, hook in hooks.items()}
    order = sorted(range(len(rows)), key=lambda index: len(rows[index]))
    with evaluating(model), hooked(model, bound):
        for start in range(0, len(order), batch_size):
            index = order[start : start + batch_size]
            lengths = torch.tensor([len(rows[number]) for number in index], device=model.device)
            ids = padded([rows[number] for number in index]).long().to(model.device)
            current[:], output, n_called = [Batch(index, ids, lengths)], None, 0
            run = model if logits else model.get_decoder()
            with suppress(_AllSeen):
                output = run(current[0].ids, use_cache=False)
                check_finite(output[0])
            yield current[0], output[0] if logits and output is not None else None
