"""Texts to tokens, in the one way that training, sampling and scoring share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


def encode(tokenizer: PreTrainedTokenizerFast, texts: Sequence[str]) -> list[list[int]]:
    """Token ids of each text behind the tokenizer's beginning-of-text token (where it has one).

    Special tokens spelled out *inside* a text are read as ordinary characters, so data cannot end a document.
    """
    if not len(texts):
        return []
    begin = [] if tokenizer.bos_token_id is None else [tokenizer.bos_token_id]
    rows = tokenizer(list(texts), add_special_tokens=False, split_special_tokens=True, verbose=False)[
        "input_ids"
    ]
    return [begin + row for row in rows]


def encode_pairs(
    tokenizer: PreTrainedTokenizerFast, pairs: Sequence[tuple[str, str]]
) -> list[tuple[list[int], list[int]]]:
    """Token ids of prompts and of the completions that follow them.

    The joint text is encoded where that leaves the prompt's own tokens as they are (so that a completion
    reads as the model would write it), else the two apart: sampling sees the prompt alone.
    """
    prompts = encode(tokenizer, [prompt for prompt, _ in pairs])
    joint = encode(tokenizer, [prompt + completion for prompt, completion in pairs])
    begin = tokenizer.bos_token_id is not None
    result = []
    for (_, completion), prompt, both in zip(pairs, prompts, joint, strict=True):
        if both[: len(prompt)] == prompt:
            result.append((prompt, both[len(prompt) :]))
        else:
            result.append((prompt, encode(tokenizer, [completion])[0][begin:]))
    return result
