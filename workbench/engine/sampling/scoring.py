"""Log-probabilities of given texts, and the tokens of prompts."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from workbench.engine.batches import batches, padded
from workbench.engine.checks import check_weights
from workbench.engine.models import n_rows
from workbench.engine.tokens import encode, first_token
from workbench.engine.traits import traits
from workbench.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor
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

    Raises:
        UserError: what the model computes is not a number.
    """
    if not rows:
        return
    texts = [before + scored for before, scored in rows]
    most_tokens = (1 << 27) // n_rows(model)
    mixed = traits(model).ignores_batch_mates
    for part in batches(list(map(len, texts)), most_tokens, batch_size if mixed else 1):
        # Padding on the right cannot reach back to what is scored.
        ids = padded([texts[index] for index in part]).to(model.device)
        first = min(len(rows[index][0]) for index in part) - 1  # of small models, logits are the dearest part
        kept = ids.shape[1] - 1 - first
        # The last token is read only where its being there changes what is before it.
        logits = last_logits(model, ids[:, :-1], kept) if mixed else last_logits(model, ids, kept + 1)[:, :-1]
        logits = logits.float()
        picked = logits.gather(2, ids[:, first + 1 :, None])[..., 0] - logits.logsumexp(-1)
        picked = picked.double().cpu().numpy()
        values = []
        for number, index in enumerate(part):
            before, scored = map(len, rows[index])
            values.append(picked[number, before - 1 - first : before - 1 - first + scored])
        if np.isnan(np.concatenate(values)).any():
            raise not_a_number(model)
        yield part, values


def last_logits(model: PreTrainedModel, ids: Tensor, kept: int) -> Tensor:
    """Logits `[rows, kept, vocabulary]` at the last `kept` tokens of texts, read at once without a cache."""
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    spares = "logits_to_keep" in inspect.signature(base.forward).parameters
    return model(ids, use_cache=False, **({"logits_to_keep": kept} if spares else {})).logits[:, -kept:]


def not_a_number(model: PreTrainedModel) -> UserError:
    """What there is to say of a model whose probabilities are not numbers."""
    try:
        check_weights(model)
    except UserError as error:
        return error
    return UserError(
        f"What the model computes is not a number (NaN), although its weights are: {model.dtype} may be too "
        "narrow for its values, so load it in float32 (device=cpu)."
    )


def prompt_tokens(tokenizer: PreTrainedTokenizerFast, prompts: Sequence[str]) -> list[list[int]]:
    """Tokens of each prompt as it is sampled from: at least the one that begins a text.

    Raises:
        UserError: a prompt is empty, and the tokenizer has no such token, or it holds half a character.
    """
    return [row or [first_token(tokenizer)] for row in encode(tokenizer, prompts)]
