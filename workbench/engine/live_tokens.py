"""A tokenizer as `charts/live.js` reads it: byte-level BPE, or one token for each word."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from workbench.errors import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


def tokenizer_block(tokenizer: PreTrainedTokenizerFast) -> dict[str, Any]:
    """A byte-level BPE tokenizer, or one of whole words, as `live.js` reads it.

    Raises:
        UserError: another kind of tokenizer, or a setting that the page does not know; it is named.
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise UserError("A page runs tokenizers of the tokenizers library only.")
    saved = json.loads(backend.to_str())
    model, before = saved["model"], saved["pre_tokenizer"] or {}
    if (strange := _strange(saved)) is not None:
        raise UserError(f"A page cannot run this tokenizer: {strange}.")
    tokens = {index: token for token, index in model["vocab"].items()}
    tokens |= {added["id"]: added["content"] for added in saved["added_tokens"]}
    if sorted(tokens) != list(range(len(tokens))):
        raise UserError("A page cannot run this tokenizer: its tokens are not numbered without gaps.")
    written = {
        "tokens": [tokens[index] for index in range(len(tokens))],
        "special": [added["id"] for added in saved["added_tokens"]],
        "first": tokenizer("")["input_ids"],
    }
    if model["type"] == "WordLevel":
        return written | {"unknown": model["vocab"][model["unk_token"]]}
    merges = [merge.split(" ") if isinstance(merge, str) else merge for merge in model["merges"]]
    return written | {
        "merges": [[model["vocab"][left], model["vocab"][right]] for left, right in merges],
        "nfc": saved["normalizer"] is not None,
        "prefix_space": before["add_prefix_space"],
    }


def _strange(saved: dict[str, Any]) -> str | None:
    """What about a tokenizer the page does not know; None where it knows all."""
    model, before = saved["model"], saved["pre_tokenizer"] or {}
    normalizer = (saved["normalizer"] or {"type": None})["type"]
    words = model["type"] == "WordLevel"
    if words and (before.get("type") != "WhitespaceSplit" or model["unk_token"] not in model["vocab"]):
        return "its words are not what stands between blanks"
    if not words and model["type"] != "BPE":
        return f"it is no BPE but {model['type']}"
    if not words and (before.get("type") != "ByteLevel" or not before.get("use_regex", True)):
        return "it does not split texts into bytes as GPT-2 does"
    settings = ("dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix")
    settings += ("byte_fallback", "ignore_merges")
    if not words and (name := next((name for name in settings if model.get(name)), None)):
        return f"it sets {name}"
    if normalizer not in ((None,) if words else (None, "NFC")):
        return f"it normalizes by {normalizer}"
    if any(added[name] for added in saved["added_tokens"] for name in ("lstrip", "rstrip", "single_word")):
        return "an added token takes the blanks around it"
    if not all(added["content"] for added in saved["added_tokens"]):
        return "an added token is empty"
    after = saved["post_processor"] or {"type": "ByteLevel"}
    ends = after["type"] == "TemplateProcessing" and "Sequence" not in after["single"][-1]
    if after["type"] not in ("TemplateProcessing", "ByteLevel") or ends:
        return "it adds tokens behind a text"
    return None
