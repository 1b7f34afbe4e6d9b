"""The loss of a model on texts, in nats and in bits per byte."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np
import torch

from workbench.engine.checks import check
from workbench.engine.models import context_length, evaluating
from workbench.engine.sampling.scoring import token_logprobs
from workbench.engine.tokens import Framed, begin, encode, encode_pairs
from workbench.engine.training.packing import Example
from workbench.errors import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast


@dataclass(frozen=True)
class Loss:
    """Loss on held-out texts."""

    nats_per_token: float  #: mean over all scored tokens
    #: total loss in bits over the bytes of the texts, as far as they are read: comparable between tokenizers.
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

    Where a tokenizer begins no text, the first token has nothing before it: it costs nothing.

    Args:
        texts: each is scored by itself, in float32, without the end-of-text token.
        context: longest sequence, the rest of a text is left out; None for the model's own. Of a completion
            whose prompt fills it nothing is scored.

    Raises:
        UserError: nothing to score.
    """
    check(model, tokenizer)
    longest = context_length(model)
    context = min(context or longest, longest)
    written = [("", text) if isinstance(text, str) else text for text in texts]
    if len(texts) and isinstance(texts[0], str):
        first = len(begin(tokenizer))
        pairs = [(ids[:first], ids[first:]) for ids in encode(tokenizer, [text for _, text in written])]
    else:
        pairs = encode_pairs(tokenizer, written)
    # Something has to be read before the first token that is scored.
    starts = [0 if prompt else 1 for prompt, _ in pairs]
    ends = [max(0, min(len(rest), context - len(prompt))) for prompt, rest in pairs]
    rows = [
        (prompt + rest[:start], rest[start:end])
        for (prompt, rest), start, end in zip(pairs, starts, ends, strict=True)
    ]
    kept = [index for index, (_, scored) in enumerate(rows) if scored]
    if not kept:
        raise UserError(f"There is no text to measure the loss on within {context:,} tokens.")
    nats = np.zeros(len(rows))
    with evaluating(model):
        for part, values in token_logprobs(model, [rows[index] for index in kept], batch_size):
            nats[[kept[index] for index in part]] = [-row.sum() for row in values]
    n_tokens = sum(len(rows[index][1]) for index in kept)
    n_bytes = sum(_bytes(tokenizer, *written[index], pairs[index][1], ends[index]) for index in kept)
    total = float(nats.sum())
    return Loss(total / n_tokens, total / math.log(2) / max(1, n_bytes), nats, n_tokens, n_bytes)


def _bytes(tokenizer: PreTrainedTokenizerFast, before: str, text: str, ids: list[int], end: int) -> int:
    """Bytes of the part of `text` that its tokens up to `end` stand for.

    Of the text itself, not of what tokens decode to: that lacks unknown characters and what a tokenizer
    normalises away.
    """
    if end < len(ids):
        text = text[: _stops(tokenizer, before, text, ids)[end - 1]]
    return len(text.encode())


def _stops(tokenizer: PreTrainedTokenizerFast, before: str, text: str, ids: list[int]) -> list[int]:
    """Where in the text each of its tokens ends; it is read again as `tokens.encode_pairs` has read it."""
    if not tokenizer.is_fast:
        raise UserError(
            f"{type(tokenizer).__name__} does not say where in a text its tokens stand: save the model with "
            "a fast tokenizer, or give texts that fit into the context."
        )
    for head in (before, "a", ".", "\n", ""):
        both = head + text
        read = tokenizer(
            both,
            add_special_tokens=False,
            split_special_tokens=not isinstance(both, Framed),
            return_offsets_mapping=True,
            verbose=False,
        )
        if read["input_ids"][-len(ids) :] == ids:
            stops = [stop - len(head) for _, stop in read["offset_mapping"][-len(ids) :]]
            return list(accumulate(stops, max, initial=0))[1:]
    raise UserError(f"The tokenizer reads {text[:40]!r} now in one way and now in another: take it out.")
