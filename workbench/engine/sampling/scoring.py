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
    mixed, most_tokens = traits(model).ignores_batch_mates, (1 << 27) // n_rows(model)
    # Rows that differ in their last token alone, such as one-word answers to a question, are read once.
    alike: dict[tuple[int, ...], list[int]] = {}
    for index, (before, scored) in enumerate(rows):
        key = (len(before), len(scored), *before, *scored[:-1]) if mixed else (index,)
        alike.setdefault(key, []).append(index)
    groups = list(alike.values())
    texts = [before + scored for before, scored in (rows[first] for first, *_ in groups)]
    for part in batches(list(map(len, texts)), most_tokens, batch_size if mixed else 1):
        # Padding on the right cannot reach back to what is scored.
        ids = padded([texts[number] for number in part]).to(model.device)
        first = min(len(rows[groups[number][0]][0]) for number in part) - 1
        kept = ids.shape[1] - 1 - first  # of small models, logits are the dearest part
        # The last token is read only where its being there changes what is before it.
        logits = last_logits(model, ids[:, :-1], kept) if mixed else last_logits(model, ids, kept + 1)[:, :-1]
        logits = logits.float()
        total = logits.logsumexp(-1)
        picked = (logits.gather(2, ids[:, first + 1 :, None])[..., 0] - total).double().cpu().numpy()
        indices, values = list[int](), list[np.ndarray]()
        for row, number in enumerate(part):
            for index in groups[number]:
                before, scored = rows[index]
                end = len(before) + len(scored) - 1 - first
                of_row = picked[row, end - len(scored) : end].copy()
                if index != groups[number][0]:
                    of_row[-1] = (logits[row, end - 1, scored[-1]] - total[row, end - 1]).item()
                indices.append(index)
                values.append(of_row)
        if np.isnan(np.concatenate(values)).any():
            raise not_a_number(model)
        yield indices, values


def last_logits(model: PreTrainedModel, ids: Tensor, kept: int) -> Tensor:
    """Logits `[rows, kept, vocabulary]` at the last `kept` tokens of texts, read at once without a cache."""
    base = getattr(model, "get_base_model", lambda: model)()
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
