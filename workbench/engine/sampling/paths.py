"""Which way of decoding is right for a model, found out by trying it against passes over whole texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from workbench.engine.batches import padded
from workbench.engine.checks import probing, random_tokens
from workbench.engine.models import context_length, rope_kinds, text_config
from workbench.engine.sampling.decoding import EqualRows, LlamaStep, PlainStep, Window, prefill
from workbench.engine.sampling.scoring import last_logits, not_a_number
from workbench.errors import UserError, reason

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_LONGEST, _STEPS = 18, 12  # tokens of the probe's texts, and how many of them are read one by one


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
    name = "original_max_position_embeddings"
    own = getattr(text_config(model), name, None) or 1 << 30
    long = [kind for kind in rope_kinds(model) if kind.get("rope_type") == "longrope"]
    return min((kind.get(name) or own for kind in long), default=1 << 30)


@torch.inference_mode()
def _probe(model: PreTrainedModel, candidates: Sequence[Path]) -> Path:
    longest = min(_LONGEST, context_length(model), rope_switch(model))
    steps = max(1, min(_STEPS, longest // 2))
    rows = random_tokens(model, 3, longest)
    texts = [rows[0], rows[1], rows[2, longest // 6 :]]
    with probing(model):
        alone = _whole(model, texts, steps)
        half = model.dtype.itemsize < 4
        limit = 1e-6 + 1e-4 * float(alone.float().std())
        if half:  # rounding moves what a text gives even alone, by a few tokens more
            limit = max(500 * limit, 3 * _off(_tried(model, texts, steps, EQUAL_LENGTHS[-1]), alone, half))
        for path in candidates:
            if _off(_tried(model, texts, steps, path), alone, half) <= limit:
                return path
    raise UserError(
        f"{type(model).__name__} cannot be sampled here: it computes something else token by token than for "
        "a whole text, so sample it with vLLM (vllm:FOLDER)."
    )


def _whole(model: PreTrainedModel, texts: list[Tensor], steps: int) -> Tensor:
    try:
        logits = torch.cat([last_logits(model, text[None], steps + 1) for text in texts])
    except (RuntimeError, ValueError, TypeError) as error:
        raise UserError(f"{type(model).__name__} cannot read a text here: {reason(error)}.") from error
    if not logits.isfinite().all():
        raise not_a_number(model)
    return logits


def _off(logits: Tensor | None, alone: Tensor, half: bool) -> float:
    if logits is None:
        return float("inf")
    off = (logits.float() - alone.float()).pow(2).mean(-1).sqrt()
    # In half precision a mixture of experts may send a few tokens elsewhere; a wrong cache moves them all.
    return float(off.median() if half else off.max())


def _tried(model: PreTrainedModel, texts: list[Tensor], steps: int, path: Path) -> Tensor | None:
    """Logits `[texts, steps + 1, vocabulary]` at the last tokens as a path reads them; None if it cannot."""
    groups = [[text] for text in texts] if path.alone else [texts[:2], texts[2:]]
    try:
        if path.columns:
            return _in_columns(model, texts, steps)
        return torch.cat([_in_equal_rows(model, torch.stack(group), steps, path.cached) for group in groups])
    except torch.OutOfMemoryError:
        raise
    except Exception:  # whatever a model raises that expects another cache
        return None


def _in_columns(model: PreTrainedModel, texts: list[Tensor], steps: int) -> Tensor:
    lengths = torch.tensor([len(text) - steps for text in texts], device=model.device)
    width = int(lengths.max())
    first, read = prefill(model, padded([text[:-steps] for text in texts]), lengths)
    store = torch.cat((torch.zeros_like(read), read.new_zeros(*read.shape[:4], steps, read.shape[5])), 4)
    for row, length in enumerate(lengths.tolist()):
        store[:, :, row, :, width - length : width] = read[:, :, row, :, :length]
    step, logits, starts = PlainStep(model), [first], (width - lengths)[:, None]
    for number in range(steps):
        tokens = torch.stack([text[number - steps] for text in texts])
        hidden = torch.arange(width + number + 1, device=model.device) < starts
        logits.append(step(tokens, lengths + number, store, Window(0, width + number, hidden)))
    return torch.stack(logits, 1)


def _in_equal_rows(model: PreTrainedModel, texts: Tensor, steps: int, cached: bool) -> Tensor:
    read = EqualRows(model, cached)
    ends = range(texts.shape[1] - steps, texts.shape[1] + 1)
    return torch.stack([read(texts[:, :end]) for end in ends], 1)
