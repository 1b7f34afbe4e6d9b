"""Which way of decoding is right for a model, found out by trying it against passes over whole texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from workbench.engine.batches import padded
from workbench.engine.models import evaluating
from workbench.engine.sampling.decoding import EqualRows, LlamaStep, PlainStep, Window, prefill
from workbench.engine.sampling.scoring import last_logits, not_a_number
from workbench.errors import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

STEPS = 3  # tokens of each text of the probe that are read one by one
_LENGTHS = (6, 6, 4)  # tokens of each that are read at once


@dataclass(frozen=True)
class Path:
    """A way of decoding."""

    columns: bool = False  #: rows of any lengths in one store of keys and values; else of equal lengths
    cached: bool = True  #: a step reads the newest tokens alone; else the whole texts
    alone: bool = False  #: one row at a time


COLUMNS = Path(columns=True)
EQUAL_LENGTHS = (Path(), Path(cached=False), Path(alone=True), Path(cached=False, alone=True))
_KNOWN: WeakKeyDictionary[PreTrainedModel, dict[bool, Path]] = WeakKeyDictionary()


def decoding_path(model: PreTrainedModel, longest: int) -> Path:
    """The fastest way of decoding that gives what the model gives for each text alone, read at once.

    Args:
        longest: tokens of the longest text there may be.

    Raises:
        UserError: there is none, or what the model computes is not a number.
    """
    if LlamaStep.fits(model):
        return COLUMNS
    known = _KNOWN.setdefault(model, {})
    columns = longest <= rope_switch(model)
    if columns not in known:
        known[columns] = _probe(model, (COLUMNS, *EQUAL_LENGTHS) if columns else EQUAL_LENGTHS)
    return known[columns]


def rope_switch(model: PreTrainedModel) -> int:
    """The longest text before longrope turns *all* its tokens by other angles (arXiv:2402.13753)."""
    ropes = getattr(model.config.get_text_config(), "rope_parameters", None) or {}
    kinds = [ropes, *(value for value in ropes.values() if isinstance(value, dict))]
    switches = [
        kind["original_max_position_embeddings"] for kind in kinds if kind.get("rope_type") == "longrope"
    ]
    return min(switches, default=1 << 30)


@torch.inference_mode()
def _probe(model: PreTrainedModel, candidates: Sequence[Path]) -> Path:
    texts = _texts(model)
    with evaluating(model):
        alone = torch.cat([last_logits(model, text[None], STEPS + 1) for text in texts])
        if not alone.isfinite().all():
            raise not_a_number(model)
        for path in candidates:
            if _agrees(_tried(model, texts, path), alone):
                return path
    raise UserError(
        f"{type(model).__name__} cannot be sampled here: it computes something else token by token than for "
        "a whole text. Sample it with vLLM (vllm:FOLDER)."
    )


def _texts(model: PreTrainedModel) -> list[Tensor]:
    """Texts of `_LENGTHS` and `STEPS` more tokens, from the middle of the vocabulary: no special ones."""
    size, count = model.get_input_embeddings().num_embeddings, sum(_LENGTHS) + STEPS * len(_LENGTHS)
    ids = torch.linspace(size // 4, size - 1 - size // 4, count, device=model.device).long()
    ids = ids[torch.arange(count, device=model.device) * 7 % count]  # out of order
    return list(ids.split([length + STEPS for length in _LENGTHS]))


def _agrees(logits: Tensor | None, alone: Tensor) -> bool:
    if logits is None or logits.shape != alone.shape:
        return False
    # Ways of reading round differently; what a wrong cache gives is far off.
    most = 1e-3 if alone.dtype == torch.float32 else 0.1
    logits, alone = logits.float(), alone.float()
    spread = (alone - alone.mean(-1, keepdim=True)).norm(dim=-1)
    return bool(((logits - alone).norm(dim=-1) <= most * spread).all())


def _tried(model: PreTrainedModel, texts: list[Tensor], path: Path) -> Tensor | None:
    """Logits `[texts, STEPS + 1, vocabulary]` at the last tokens as a path reads them; None if it cannot."""
    try:
        if path.columns:
            return _in_columns(model, texts)
        groups = [[text] for text in texts] if path.alone else [texts[:2], texts[2:]]
        return torch.cat([_in_equal_rows(model, torch.stack(group), path.cached) for group in groups])
    except torch.OutOfMemoryError:
        raise
    except Exception:  # whatever a model raises that expects another cache
        return None


def _in_columns(model: PreTrainedModel, texts: list[Tensor]) -> Tensor:
    lengths = torch.tensor(_LENGTHS, device=model.device)
    first, read = prefill(model, padded([text[:-STEPS] for text in texts]), lengths)
    width, starts = max(_LENGTHS), max(_LENGTHS) - lengths
    layers, two, rows, heads, _, dim = read.shape
    store = read.new_zeros(layers, two, rows, heads, width + STEPS, dim)
    for row, length in enumerate(_LENGTHS):
        store[:, :, row, :, width - length : width] = read[:, :, row, :, :length]
    step, logits = PlainStep(model), [first]
    for number in range(STEPS):
        tokens = torch.stack([text[number - STEPS] for text in texts])
        hidden = torch.arange(width + number + 1, device=model.device) < starts[:, None]
        logits.append(step(tokens, lengths + number, store, Window(0, width + number, hidden)))
    return torch.stack(logits, 1)


def _in_equal_rows(model: PreTrainedModel, texts: Tensor, cached: bool) -> Tensor:
    read = EqualRows(model, cached)
    ends = range(texts.shape[1] - STEPS, texts.shape[1] + 1)
    return torch.stack([read(texts[:, :end]) for end in ends], 1)
