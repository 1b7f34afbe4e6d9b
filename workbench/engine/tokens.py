"""Texts to tokens, in the one way that training, sampling and scoring share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, cast

from workbench.engine.models import CHAT_TEMPLATE, END_OF_TEXT, begins_with, n_rows, text_config
from workbench.engine.templates import rendered
from workbench.errors import UserError
from workbench.sanitize import sanitize

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast


class Framed(str):
    """A prompt as a chat template writes it: its special tokens are tokens, its beginning is its own."""

    def __add__(self, more: str) -> Framed:
        return Framed(str(self) + more)


def framed(tokenizer: PreTrainedTokenizerFast, question: str, reply: str) -> tuple[str, str]:
    """A question and (the beginning of) its reply, as the model behind the tokenizer is asked and replies.

    An instruct model is asked through its chat template, the question being the user's message; a base model
    reads question and reply one after the other.

    Args:
        reply: what follows the question, with the space that parts it from it.

    Returns:
        The prompt, and the reply; their sum is the whole text.

    Raises:
        UserError: as `chat_prompt`.
    """
    if not converses(tokenizer):
        return question, reply
    prompt = chat_prompt(tokenizer, [{"role": "user", "content": question}])
    return prompt, reply.lstrip() if prompt[-1:].isspace() else reply


def converses(tokenizer: PreTrainedTokenizerFast) -> bool:
    """Whether it is an instruct model's: ours of base models have a template that changes nothing."""
    return tokenizer.chat_template not in (None, CHAT_TEMPLATE)


def chat_prompt(tokenizer: PreTrainedTokenizerFast, messages: Sequence[dict[str, str]]) -> Framed:
    """Messages (role, content) as an instruct model's template writes them, up to the reply to the last one.

    Raises:
        UserError: a message spells out one of the tokens that a chat is made of, or the template fails, does
            not end, or leaves out what a message says.
    """
    for token in _special_tokens(tokenizer):
        if any(token in message["content"] for message in messages):
            raise UserError(f"A question spells out the model's token {token!r}: take it out of the data.")
    return Framed(rendered(tokenizer, messages))


def _special_tokens(tokenizer: PreTrainedTokenizerFast) -> dict[str, int]:
    """Every special token and its number: those of Llama 3's chats have no role that transformers knows."""
    added = tokenizer.added_tokens_decoder.items()
    named = zip(tokenizer.all_special_tokens, tokenizer.all_special_ids, strict=True)
    return {**dict(named), **{token.content: number for number, token in added if token.special}}


def begin(tokenizer: PreTrainedTokenizerFast) -> list[int]:
    """The tokens that the tokenizer itself puts in front of a text: often one, with some (SmolLM2) none.

    A beginning-of-text token that it merely knows is not among them: its model never read one there.
    """
    encoding = tokenizer("a", verbose=False)
    ids = encoding["input_ids"]
    if encoding.encodings:  # by a fast tokenizer
        added = encoding.encodings[0].special_tokens_mask
        return ids[: added.index(0)] if 0 in added else ids[:1]
    plain = tokenizer("a", add_special_tokens=False, verbose=False)["input_ids"]
    starts = range(len(ids) - len(plain) + 1)
    return ids[: next(start for start in starts if ids[start : start + len(plain)] == plain)]


def set_beginning(tokenizer: PreTrainedTokenizerFast, begins: bool) -> None:
    """Let a tokenizer put its beginning-of-text token before every text, or nothing; saved, it stays so.

    Raises:
        UserError: it has no such token, or none of the fast backend.
    """
    from tokenizers.processors import TemplateProcessing

    if begins and tokenizer.bos_token_id is None:
        raise UserError("The tokenizer has no beginning-of-text token (bos_token), so none can be put first.")
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise UserError("Where the texts of a slow tokenizer begin cannot be changed: convert it first.")
    token, number = cast(str, tokenizer.bos_token), cast(int, tokenizer.bos_token_id)
    own = begins_with(token, number) if begins else TemplateProcessing("$A", "$A $B", [])
    backend.post_processor = own
    tokenizer.init_kwargs |= {"add_bos_token": begins, "add_eos_token": False}


def first_token(tokenizer: PreTrainedTokenizerFast) -> int:
    """The token that a row begins with which has to begin with one, and has no text.

    Raises:
        UserError: the tokenizer has neither a beginning nor an end of text.
    """
    for token in (*begin(tokenizer)[-1:], tokenizer.bos_token_id, tokenizer.eos_token_id):
        if token is not None:
            return cast(int, token)
    raise UserError(
        "The tokenizer has neither a beginning-of-text nor an end-of-text token, so nothing can be written "
        "from nothing: set bos_token or eos_token in its tokenizer_config.json, or take another model."
    )


def end_tokens(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> list[int]:
    """The tokens behind which a text is over: those of the model's own settings, and the tokenizer's.

    A setting that names an ordinary token is left out where the tokenizer has an end of its own: classes of
    transformers bring such numbers along, and texts would break off at a quotation mark.
    """
    rows = n_rows(model)
    special = {*tokenizer.all_special_ids, *tokenizer.added_tokens_decoder, *range(len(tokenizer), rows)}
    own = cast("int | None", tokenizer.eos_token_id)
    named = set[int]()
    for settings in (model.config, text_config(model), model.generation_config):
        ends = getattr(settings, "eos_token_id", None)
        ends = ends if isinstance(ends, list | tuple) else [ends]
        named |= {token for token in ends if isinstance(token, int)}
    ends = named if own is None else {own} | named & special
    return sorted(token for token in ends if 0 <= token < rows)


def encode(tokenizer: PreTrainedTokenizerFast, texts: Sequence[str]) -> list[list[int]]:
    """Token ids of each text behind what the tokenizer itself puts in front of it (see `begin`).

    Special tokens spelled out *inside* a text are read as ordinary characters, so data cannot end a document;
    but those of a `Framed` prompt are the template's, with its own beginning of text.

    Raises:
        UserError: as `check_texts`.
    """
    check_texts(texts)
    if not len(texts):
        return []
    first = begin(tokenizer)

    def ids(part: list[str], spelled_out: bool) -> Iterator[list[int]]:
        if not part:
            return iter([])
        read = tokenizer(part, add_special_tokens=False, split_special_tokens=spelled_out, verbose=False)
        return iter(read["input_ids"])

    chats = ids([text for text in texts if isinstance(text, Framed)], False)
    plain = ids([text for text in texts if not isinstance(text, Framed)], True)
    return [next(chats) if isinstance(text, Framed) else first + next(plain) for text in texts]


def check_texts(texts: Iterable[str]) -> None:
    """Whether tokenizers can read texts.

    Raises:
        UserError: one holds half a character (a lone surrogate), which has no bytes.
    """
    for text in texts:
        try:
            text.encode()
        except UnicodeEncodeError:
            raise UserError(
                f"A text holds half a character (a lone surrogate: {sanitize(text, 60)!r}): mend the data."
            ) from None


def encode_pairs(
    tokenizer: PreTrainedTokenizerFast, pairs: Sequence[tuple[str, str]]
) -> list[tuple[list[int], list[int]]]:
    """Token ids of prompts and of the completions that follow them.

    The joint text is encoded where that leaves the prompt's own tokens as they are (so that a completion
    reads as the model would write it), else the two apart: sampling sees the prompt alone.
    """
    prompts = encode(tokenizer, [prompt for prompt, _ in pairs])
    joint = encode(tokenizer, [prompt + completion for prompt, completion in pairs])
    special = set(_special_tokens(tokenizer).values())
    result = []
    for (text, completion), prompt, both in zip(pairs, prompts, joint, strict=True):
        end = both[len(prompt) :]
        # What a completion spells out is never a special token.
        spells = isinstance(text, Framed) and not special.isdisjoint(end)
        if both[: len(prompt)] != prompt or spells:
            end = continued(tokenizer, completion)
        result.append((prompt, end))
    return result


def continued(tokenizer: PreTrainedTokenizerFast, text: str) -> list[int]:
    """Token ids of a text that follows another: at a beginning, pieces of sentencepiece put a space first."""
    first = len(begin(tokenizer))
    for before in ("a", ".", "\n"):  # not all of them may stay apart from the text
        alone, both = (ids[first:] for ids in encode(tokenizer, [before, before + text]))
        if both[: len(alone)] == alone:
            return both[len(alone) :]
    return encode(tokenizer, [text])[0][first:]


def word_tokenizer(words: Sequence[str]) -> PreTrainedTokenizerFast:
    """One token for each word of a closed language whose texts are words and single spaces."""
    from tokenizers import Tokenizer, pre_tokenizers
    from tokenizers.models import WordLevel
    from transformers import PreTrainedTokenizerFast

    names = [END_OF_TEXT, *words]
    tokenizer = Tokenizer(WordLevel({name: number for number, name in enumerate(names)}, unk_token=names[0]))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = begins_with(END_OF_TEXT)
    special = dict.fromkeys(("bos_token", "eos_token", "pad_token"), END_OF_TEXT)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special)


def with_beginning(tokenizer: PreTrainedTokenizerFast) -> PreTrainedTokenizerFast:
    """The tokenizer; one of `word_tokenizer` that older runs saved begins texts as their models do."""
    backend: Any = getattr(tokenizer, "backend_tokenizer", None)
    model: Any = getattr(backend, "model", None)
    is_ours = type(model).__name__ == "WordLevel" and model.unk_token == tokenizer.bos_token == END_OF_TEXT
    if is_ours and not begin(tokenizer):
        backend.post_processor = begins_with(END_OF_TEXT, cast(int, tokenizer.bos_token_id))
    return tokenizer
