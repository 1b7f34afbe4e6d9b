"""The loss of a model on texts, in nats and in bits per byte."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from workbench.engine.models import context_length, evaluating
from workbench.engine.sampling.scoring import token_logprobs
from workbench.engine.tokens import encode, encode_pairs
from workbench.engine.training.packing import Example
from workbench.errors import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast


@dataclass(frozen=True)
class Loss:
    """Loss on held-out texts."""

    nats_per_token: float  #: mean over all scored tokens
    #: total loss in bits over the bytes of the scored text: comparable between tokenizers.
    bits_per_byte: float
    nats: np.ndarray  #: total of each text, float64 `[texts]`
    n_tokens: int
    n_bytes: int


@torch.inference_mode()
def loss(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    texts: Sequence[Example],
    context: int | None = None,
    batch_size: int = 32,
) -> Loss:
    """Loss of texts (all but the beginning-of-text token is scored) or of completions after their prompts.

    Args:
        texts: each is scored by itself, in float32, without the end-of-text token.
        context: longest sequence, the rest of a text is left out; None for the model's own.

    Raises:
        UserError: nothing to score.
    """
    longest = context_length(model)
    context = min(context or longest, longest)
    if len(texts) and isinstance(texts[0], str):
        rows = [(ids[:1], ids[1:context]) for ids in encode(tokenizer, texts)]
    else:
        rows = [(prompt, rest[: context - len(prompt)]) for prompt, rest in encode_pairs(tokenizer, texts)]
    rows = [(before, scored if before else []) for before, scored in rows]
    kept = [index for index, (_, scored) in enumerate(rows) if scored]
    if not kept:
        raise UserError("There is no text to measure the loss on.")
    nats = np.zeros(len(rows))
    with evaluating(model):
        for part, values in token_logprobs(model, [rows[index] for index in kept], batch_size):
            nats[[kept[index] for index in part]] = [-row.sum() for row in values]
    n_tokens = sum(len(rows[index][1]) for index in kept)
    n_bytes = sum(_bytes(tokenizer, *rows[index]) for index in kept)
    total = float(nats.sum())
    return Loss(total / n_tokens, total / math.log(2) / max(1, n_bytes), nats, n_tokens, n_bytes)


def _bytes(tokenizer: PreTrainedTokenizerFast, before: list[int], scored: list[int]) -> int:
    # Only the last token before: it settles whether the tokenizer drops the first space.
    head = tokenizer.decode(before[-1:], skip_special_tokens=True)
    return len(tokenizer.decode(before[-1:] + scored, skip_special_tokens=True).encode()) - len(head.encode())
