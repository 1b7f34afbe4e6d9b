"""Log-probabilities of given texts, and the tokens of prompts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from workbench.engine.batches import batches, padded
from workbench.engine.tokens import encode
from workbench.errors import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast


def token_logprobs(
    model: PreTrainedModel, rows: Sequence[tuple[list[int], list[int]]], batch_size: int
) -> Iterator[tuple[list[int], list[np.ndarray]]]:
    """Log-probabilities of the second half of each row after the first, in batches of similar length.

    Args:
        rows: (tokens before, tokens to score), the first not empty.
        batch_size: most rows at a time; fewer where the logits would pass about half a gigabyte.

    Yields:
        Indices into `rows`, and float64 arrays of natural log-probabilities, one a token.
    """
    texts = [before + scored for before, scored in rows]
    for part in batches(list(map(len, texts)), (1 << 27) // model.config.vocab_size, batch_size):
        # Padding on the right cannot reach back to what is scored.
        ids = padded([texts[index] for index in part]).to(model.device)
        first = min(len(rows[index][0]) for index in part) - 1  # of small models, logits are the dearest part
        kept = ids.shape[1] - 1 - first
        logits = model(ids[:, :-1], use_cache=False, logits_to_keep=kept).logits.float()
        picked = logits.gather(2, ids[:, first + 1 :, None])[..., 0] - logits.logsumexp(-1)
        picked = picked.double().cpu().numpy()
        values = []
        for number, index in enumerate(part):
            before, scored = map(len, rows[index])
            values.append(picked[number, before - 1 - first : before - 1 - first + scored])
        yield part, values


def prompt_tokens(tokenizer: PreTrainedTokenizerFast, prompts: Sequence[str]) -> list[list[int]]:
    """Tokens of each prompt as it is sampled from: at least the one that begins a text.

    Raises:
        UserError: a prompt is empty, and the tokenizer has no such token.
    """
    return [row or [_first_token(tokenizer)] for row in encode(tokenizer, prompts)]


def _first_token(tokenizer: PreTrainedTokenizerFast) -> int:
    first = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
    if first is None:
        raise UserError("An empty prompt needs a tokenizer with a beginning-of-text or end-of-text token.")
    return first
