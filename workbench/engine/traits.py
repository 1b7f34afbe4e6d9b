"""What a model can be trusted with, found out by trying it rather than read off its names."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import torch

from workbench.engine.models import evaluating

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_KNOWN: WeakKeyDictionary[PreTrainedModel, Traits] = WeakKeyDictionary()


@dataclass(frozen=True)
class Traits:
    """What probes of a model found."""

    takes_positions: bool  #: its forward pass takes `position_ids`
    parts_documents: bool  #: documents of one row, told apart by `position_ids` alone, do not see each other
    ignores_batch_mates: bool  #: a row of a padded batch is read as it is alone, whatever stands beside it


def traits(model: PreTrainedModel) -> Traits:
    """The traits of a model; probed once and kept for as long as it lives."""
    if model not in _KNOWN:
        _KNOWN[model] = _probe(model)
    return _KNOWN[model]


@torch.inference_mode()
def _probe(model: PreTrainedModel) -> Traits:
    takes_positions = "position_ids" in inspect.signature(model.forward).parameters
    ids = torch.arange(8, device=model.device)[None] % model.get_input_embeddings().num_embeddings
    with evaluating(model):
        alone = model(ids[:, 4:], use_cache=False).logits
        parts = False
        if takes_positions:
            positions = torch.arange(4, device=model.device).repeat(2)[None]
            both = model(ids, position_ids=positions, use_cache=False).logits[:, 4:]
            parts = torch.allclose(both, alone, rtol=1e-3, atol=1e-3 * float(alone.std()))
    return Traits(takes_positions, parts, True)
