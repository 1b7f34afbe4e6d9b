"""What a model can be trusted with, found out by trying it rather than read off its names."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from workbench.engine.batches import padded
from workbench.engine.checks import difference, probing, random_tokens, tolerance
from workbench.engine.models import context_length, n_rows, rope_kinds, text_config

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_KNOWN: WeakKeyDictionary[PreTrainedModel, dict[str, Traits]] = WeakKeyDictionary()
# Shares of the documents of a probe: one reaches over the windows and chunks of attention.
_SHARES = (0.02, 0.88, 0.1)
_LEAST, _MOST = 48, 320  # tokens of a probe
_WORK = 1_000_000_000  # weights times tokens of a probe on the CPU: about half a second
_LARGE = 50_000_000  # weights


@dataclass(frozen=True)
class Traits:
    """What probes of a model found."""

    takes_positions: bool  #: its forward pass takes `position_ids`
    parts_documents: bool  #: documents of one row, told apart by `position_ids` alone, do not see each other
    ignores_batch_mates: bool  #: a row of a padded batch is read as it is alone, whatever stands beside it


def traits(model: PreTrainedModel) -> Traits:
    """The traits of a model; probed once and kept for as long as it lives."""
    known = _KNOWN.setdefault(model, {})
    attention = getattr(model.config, "_attn_implementation", "")
    if attention not in known:
        known[attention] = _probe(model)
    return known[attention]


def changes_with_length(model: PreTrainedModel) -> bool:
    """Whether the longest row of a batch sets the rotary angles of all of its rows."""
    return any(kind.get("rope_type") in ("longrope", "dynamic") for kind in rope_kinds(model))


@torch.no_grad()
def _probe(model: PreTrainedModel) -> Traits:
    base = getattr(model, "get_base_model", lambda: model)()
    takes_positions = "position_ids" in inspect.signature(base.forward).parameters
    length = min(context_length(model), _n_tokens(model))
    if changes_with_length(model) or length < 8:  # such a probe would itself move what later passes compute
        return Traits(takes_positions, False, False)
    model = _precise(model)
    row = random_tokens(model, 1, length)[0]
    lengths = [max(1, int(share * length)) for share in _SHARES]
    documents = list(row[: sum(lengths)].split(lengths))
    with probing(model):
        alone = [_logits(model, document[None])[0] for document in documents]
        limit = tolerance(model) * float(torch.cat(alone).std())
        parts = takes_positions and _parts(model, documents, alone, limit)
        return Traits(takes_positions, parts, _ignores_mates(model, documents, alone, limit, takes_positions))


def _parts(
    model: PreTrainedModel, documents: Sequence[Tensor], alone: Sequence[Tensor], limit: float
) -> bool:
    """Whether documents in rows, of which the second has them the other way round, are read as alone."""
    if "chunked_attention" in (getattr(text_config(model), "layer_types", None) or []):
        return False  # chunks are counted from the row's beginning, and may be longer than any probe
    orders = [list(range(len(documents))), list(range(len(documents)))[::-1]]
    ids = torch.stack([torch.cat([documents[number] for number in order]) for order in orders])
    positions = [torch.cat([torch.arange(len(documents[number])) for number in order]) for order in orders]
    packed = _logits(model, ids, position_ids=torch.stack(positions).to(ids.device))
    for order, logits in zip(orders, packed, strict=True):
        pieces = logits.split([len(documents[number]) for number in order])
        for number, piece in zip(order, pieces, strict=True):
            if not difference(piece, alone[number]) <= limit:
                return False
    return True


def _ignores_mates(
    model: PreTrainedModel,
    documents: Sequence[Tensor],
    alone: Sequence[Tensor],
    limit: float,
    takes_positions: bool,
) -> bool:
    """Whether rows of several lengths, padded on the right and on the left, are read as alone."""
    for side in ("right", "left"):
        ids = padded(documents, side=side)
        mask = padded([torch.ones_like(document) for document in documents], side=side)
        options: dict[str, Any] = {"attention_mask": mask} if side == "left" else {}
        if side == "left" and takes_positions:
            options["position_ids"] = (mask.cumsum(1) - 1).clamp(min=0)
        batch = _logits(model, ids, **options)
        for logits, kept, expected in zip(batch, mask.bool(), alone, strict=True):
            if not difference(logits[kept], expected) <= limit:
                return False
    return True


def _logits(model: PreTrainedModel, ids: Tensor, **options: Any) -> Tensor:
    return model(ids, use_cache=False, **options).logits.float()


def _precise(model: PreTrainedModel) -> PreTrainedModel:
    """A small model in half precision as a copy in float32, whose rounding cannot hide a leak."""
    attention = getattr(model.config, "_attn_implementation", None) or ""
    if model.dtype == torch.float32 or _n_weights(model) > _LARGE or "flash" in attention:
        return model
    return copy.deepcopy(model).float()


def _n_tokens(model: PreTrainedModel) -> int:
    """How many tokens a probe reads: fewer where a pass takes long, or its logits much memory."""
    length = _MOST if model.device.type != "cpu" else min(_MOST, _WORK // _n_weights(model))
    return max(_LEAST, min(length, (1 << 25) // n_rows(model)))


def _n_weights(model: PreTrainedModel) -> int:
    return sum(value.numel() for value in model.parameters())
