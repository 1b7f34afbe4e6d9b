"""Texts to tokens, in the one way that training, sampling and scoring share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from workbench.engine.models import CHAT_TEMPLATE, END_OF_TEXT
from workbench.errors import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


class Framed(str):
    """A prompt as a chat template writes it: its special tokens are tokens, its beginning is its own."""

    def __add__(self, more: str) -> Framed:
        return Framed(str(self) + more)


def framed(tokenizer: PreTrainedTokenizerFast, question: str, reply: str) -> tuple[str, str]:
    """A question and (the beginning of) its reply, as the model behind the tokenizer is asked and replies.

    An instruct model is asked through its chat template, the question being the user's message; a base model
    reads question and reply one after the other.

    Args:
        tokenizer: the model's.
        question: what a user asks.
        reply: what follows, with the space that parts it from the question.

    Returns:
        The prompt, and the reply; their sum is the whole text.

    Raises:
        UserError: the question spells out one of the tokens that a chat is made of.
    """
    if tokenizer.chat_template in (None, CHAT_TEMPLATE):
        return question, reply
    for token in tokenizer.all_special_tokens:
        if token in question:
            raise UserError(
                f"A question spells out the model's own token {token!r}: take it out of the data."
            )
    asked = [{"role": "user", "content": question}]
    prompt = tokenizer.apply_chat_template(asked, tokenize=False, add_generation_prompt=True)
    return Framed(prompt), reply.lstrip() if prompt[-1:].isspace() else reply


def encode(tokenizer: PreTrainedTokenizerFast, texts: Sequence[str]) -> list[list[int]]:
    """Token ids of each text behind the tokenizer's beginning-of-text token (where it has one).

    Special tokens spelled out *inside* a text are read as ordinary characters, so data cannot end a document;
    but those of a `Framed` prompt are the template's, with its own beginning of text.
    """
    if not len(texts):
        return []
    begin = [] if tokenizer.bos_token_id is None else [tokenizer.bos_token_id]

    def ids(part: list[str], spelled_out: bool) -> Iterator[list[int]]:
        options = {"add_special_tokens": False, "split_special_tokens": spelled_out, "verbose": False}
        return iter(tokenizer(part, **options)["input_ids"] if part else [])

    chats = ids([text for text in texts if isinstance(text, Framed)], False)
    plain = ids([text for text in texts if not isinstance(text, Framed)], True)
    return [next(chats) if isinstance(text, Framed) else begin + next(plain) for text in texts]


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
    special = set(tokenizer.all_special_ids)
    result = []
    for (asked, completion), prompt, both in zip(pairs, prompts, joint, strict=True):
        # What a completion spells out is never a special token.
        spells = isinstance(asked, Framed) and not special.isdisjoint(both[len(prompt) :])
        if both[: len(prompt)] == prompt and not spells:
            result.append((prompt, both[len(prompt) :]))
        else:
            result.append((prompt, encode(tokenizer, [completion])[0][begin:]))
    return result


def word_tokenizer(words: Sequence[str]) -> PreTrainedTokenizerFast:
    """One token for each word of a closed language whose texts are words and single spaces."""
    from tokenizers import Tokenizer, pre_tokenizers
    from tokenizers.models import WordLevel
    from transformers import PreTrainedTokenizerFast

    names = [END_OF_TEXT, *words]
    tokenizer = Tokenizer(WordLevel({name: place for place, name in enumerate(names)}, unk_token=names[0]))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    special = dict.fromkeys(("bos_token", "eos_token", "pad_token"), END_OF_TEXT)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special)
