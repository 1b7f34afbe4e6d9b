"""Sketched gradients of single examples, read in batches of like length with one backward pass each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from workbench.engine.batches import batches
from workbench.engine.checks import check, check_weights
from workbench.engine.gradients.one_by_one import Row
from workbench.engine.gradients.reader import Reader, frozen
from workbench.engine.gradients.sketches import Method
from workbench.engine.models import context_length, text_config
from workbench.engine.templates import rendered, says
from workbench.engine.tokens import Framed, chat_prompt, encode, encode_pairs
from workbench.engine.traits import traits
from workbench.errors import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast


@dataclass(frozen=True)
class Sketches:
    """Sketched gradients of examples, in the order of the examples."""

    #: `[examples, d]` float32, unit length: their dot products estimate the gradients' cosines.
    vectors: np.ndarray
    norms: np.ndarray  #: length of each sketched gradient, `[examples]`
    losses: np.ndarray  #: mean loss of each completion, nats per token, `[examples]`
    n_tokens: np.ndarray  #: scored tokens, `[examples]`
    n_truncated: int  #: examples that lost their end


def sketch(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    examples: Sequence[tuple[str, str]],
    *,
    dimension: int = 1024,
    seed: int = 0,
    method: Method = "exact",
    truncate: bool = False,
    chat: bool = False,
    batch_tokens: int = 2048,
    ids: Sequence[str] | None = None,
) -> Sketches:
    """Sketched gradients of −log P(completion | prompt) over all weights, as G-Vendi compares them.

    Jung et al. 2025, arXiv 2505.20161, section 2.1. The loss is the mean over the completion's tokens and
    the end-of-text token behind it; the model is in evaluation mode.

    Args:
        model: the proxy, any transformers causal language model.
        examples: (prompt, completion) pairs.
        dimension: d of the sketch; its cost does not hang on d.
        method: `exact`, or `kronecker` where tensors of the weights' size do not fit (see `sketches`).
        truncate: cut examples to the model's context instead of refusing them: they lose their end, and
            where the prompt alone fills the context, its beginning too, down to half the context.
        chat: write each pair in the tokenizer's chat template, a completion without spaces around it.
        batch_tokens: tokens of a batch, padding included.
        ids: names of the examples in errors; their numbers, counted from 0, when None.

    Raises:
        UserError: an empty completion, an example beyond the context, a gradient that is zero or not finite,
            or a model that is not what it should be (`checks.check`) or is quantised.
    """
    ids = ids or [str(index) for index in range(len(examples))]
    rows, n_truncated = prepare(model, tokenizer, examples, ids, truncate=truncate, chat=chat)
    return read(Reader(model, dimension, seed, method), rows, ids, n_truncated, batch_tokens)


def read(
    reader: Reader, rows: Sequence[Row], ids: Sequence[str], n_truncated: int, batch_tokens: int = 2048
) -> Sketches:
    """`sketch` for rows that are prepared, with a reader that can be used again."""
    model = reader.model
    vectors = np.zeros((len(rows), reader.into.dimension), dtype=np.float32)
    norms, losses = np.zeros(len(rows)), np.zeros(len(rows))
    with frozen(model):
        most = min(batch_tokens, _most_tokens(model))
        most_rows = 1 << 30 if traits(model).ignores_batch_mates else 1
        for part in batches([len(tokens) for tokens, _ in rows], most, most_rows):
            sketched, loss = reader.read([rows[index] for index in part])
            lengths = sketched.norm(dim=1)
            for index, length in zip(part, lengths.tolist(), strict=True):
                if length == 0:
                    raise UserError(f"The gradient of example {ids[index]} is zero: leave it out.")
                if not length < float("inf"):
                    check_weights(model)  # which may be broken, and not the example
                    half = "" if model.dtype == torch.float32 else ", or load the model in float32"
                    raise UserError(
                        f"The gradient of example {ids[index]} is not finite: leave it out{half}."
                    )
            vectors[part] = (sketched / lengths[:, None]).cpu().numpy()
            norms[part], losses[part] = lengths.cpu().numpy(), loss.cpu().numpy()
    n_tokens = np.array([len(tokens) - prompt for tokens, prompt in rows])
    return Sketches(vectors, norms, losses, n_tokens, n_truncated)


def _most_tokens(model: PreTrainedModel) -> int:
    """Tokens of a batch whose logits (on the CPU: all that a backward pass needs) take about a gigabyte."""
    config = text_config(model)
    logits = (1 << 27) // config.vocab_size
    if model.device.type != "cpu":
        return logits
    # Numbers a token: logits, their logarithms and gradients, and what a layer of usual shape keeps.
    kept = 3 * config.vocab_size + 24 * config.num_hidden_layers * config.hidden_size
    return max(1, min(logits, (1 << 28) // kept))


def fold(vectors: np.ndarray, dimension: int) -> np.ndarray:
    """The unit vectors `[examples, dimension]` that `sketch` gives with a smaller dimension.

    Entries that share a bucket of the smaller sketch have theirs a multiple of `dimension` apart in the
    larger one, so nothing is computed anew.

    Raises:
        ValueError: `dimension` does not divide that of the vectors.
    """
    if vectors.shape[1] % dimension:
        raise ValueError(f"{dimension} does not divide the sketch's dimension {vectors.shape[1]}")
    folded = vectors.reshape(len(vectors), -1, dimension).sum(1)
    return folded / np.linalg.norm(folded, axis=1, keepdims=True)


def prepare(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    examples: Sequence[tuple[str, str]],
    ids: Sequence[str],
    *,
    truncate: bool = False,
    chat: bool = False,
) -> tuple[list[Row], int]:
    """Tokens of each example and the number of tokens of its prompt; and how many examples were cut.

    Raises:
        UserError: as `sketch`.
    """
    check(model, tokenizer)
    pairs = _chat_pairs(tokenizer, examples) if chat else encode_pairs(tokenizer, examples)
    end = [] if chat or tokenizer.eos_token_id is None else [tokenizer.eos_token_id]
    context = context_length(model)
    rows, n_truncated = [], 0
    for index, (prompt, completion) in zip(ids, pairs, strict=True):
        if not completion:
            raise UserError(f"Example {index} has an empty completion, and so no gradient: leave it out.")
        if not prompt:
            raise UserError(f"Example {index} has an empty prompt: give it at least a word.")
        if (length := len(prompt + completion + end)) > context:
            if not truncate:
                raise UserError(
                    f"Example {index} has {length} tokens, more than the model's context of {context}: "
                    "set truncate=True, or leave it out."
                )
            n_truncated += 1
            if len(prompt) >= context:
                prompt = prompt[-(context // 2) :]
        rows.append(((prompt + completion + end)[:context], len(prompt)))
    return rows, n_truncated


def _chat_pairs(
    tokenizer: PreTrainedTokenizerFast, examples: Sequence[tuple[str, str]]
) -> list[tuple[list[int], list[int]]]:
    if not tokenizer.chat_template:
        raise UserError("The tokenizer has no chat template: set chat=False, or choose an instruct model.")
    prompts, texts = [], []
    for prompt, completion in examples:
        # The space that parts a completion from its prompt would be the template's to write.
        turns = [{"role": "user", "content": prompt}, {"role": "assistant", "content": completion.strip()}]
        prompts.append(chat_prompt(tokenizer, turns[:1]))
        texts.append(Framed(rendered(tokenizer, turns, add_generation_prompt=False)))
        if not says(texts[-1], completion):
            raise UserError(
                f"The model's chat template leaves out a part of the completion {turns[1]['content'][:40]!r} "
                "(thoughts, often): take it out of the data, or set chat to False."
            )
    pairs = []
    for before, both, (_, completion) in zip(
        encode(tokenizer, prompts), encode(tokenizer, texts), examples, strict=True
    ):
        # Some templates open a reply that is there in another way than one that is asked for.
        same = [a == b for a, b in zip(before, both, strict=False)]
        shared = same.index(False) if False in same else len(same)
        pairs.append((both[:shared], both[shared:] if completion.strip() else []))
    return pairs
