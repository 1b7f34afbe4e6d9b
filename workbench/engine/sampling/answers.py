"""What a server sends back, read as a stranger's: every field is looked at before it is used."""

from __future__ import annotations

import json
import math
import reprlib
import time
from collections.abc import Iterator
from typing import Any

from workbench.engine.sampling.sampler import Completion
from workbench.errors import UserError
from workbench.sanitize import redact, redact_keys, sanitize

MOST_BYTES = 1 << 26  # of an answer; a prompt of 100,000 tokens has a hundredth of them
_CUT = ("length", "max_tokens", "content_filter", "abort", "error")
Json = dict[str, Any]


def limit_body(response: Any, most_seconds: float) -> None:
    """Have an answer's body end in an error where it is too large or comes too slowly (a hook of the client).

    The body is counted behind decompression, and time over all of it: the client counts from byte to byte.
    """
    original, begin, url = response.iter_bytes, time.monotonic(), _without_query(response)

    def limited(chunk_size: int | None = None) -> Iterator[bytes]:
        size = 0
        for chunk in original(chunk_size):
            size += len(chunk)
            if size > MOST_BYTES:
                raise UserError(
                    f"{url} sends more than {MOST_BYTES >> 20} MB at once: check what answers there."
                )
            if time.monotonic() - begin > most_seconds:
                raise UserError(
                    f"{url} gave no whole answer in {most_seconds:.0f} seconds: ask for fewer tokens."
                )
            yield chunk

    response.iter_bytes = limited


def _without_query(response: Any) -> str:
    return sanitize(redact(str(response.url).partition("?")[0]), 200)


def choices_of(body: bytes, url: str, key: str) -> list[Json]:
    """The choices in an answer's body.

    Raises:
        UserError: it is not JSON, or not an answer with choices.
    """
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):  # not UTF-8, not JSON, a number of too many digits
        answer = None
    choices = answer.get("choices") if isinstance(answer, dict) else None
    if (
        not isinstance(choices, list)
        or not choices
        or not all(isinstance(choice, dict) for choice in choices)
    ):
        raise UserError(
            f"{url} answers, but not with completions: the address usually ends in /v1 "
            f"(it said: {short(body[:5000].decode('utf-8', 'replace'), key)})."
        )
    return choices


def completion(choice: Json, url: str, key: str) -> Completion:
    """A choice of `/completions`.

    Raises:
        UserError: a field is not what the protocol says.
    """
    text, tokens, logprobs = choice.get("text"), choice.get("token_ids") or [], choice.get("logprobs") or {}
    if not isinstance(text, str):
        raise _strange(url, "text", text, key)
    if not isinstance(tokens, list) or not all(type(token) is int and token >= 0 for token in tokens):
        raise _strange(url, "token_ids", tokens, key)
    values = logprobs.get("token_logprobs") or [] if isinstance(logprobs, dict) else logprobs
    if not isinstance(values, list) or not all(map(_is_logprob, values)):
        raise _strange(url, "token_logprobs", values, key)
    if tokens and values and len(tokens) != len(values):
        raise UserError(
            f"{url} gives {len(values)} log-probabilities for {len(tokens)} tokens: they cannot be matched."
        )
    numbers = [math.nan if value is None else float(value) for value in values]
    return Completion(clean(text, key), tokens, numbers, _finish_reason(choice))


def reply(choice: Json, url: str, key: str) -> Completion:
    """A choice of `/chat/completions`.

    Raises:
        UserError: a field is not what the protocol says, or there is no reply but reasoning alone.
    """
    message = choice.get("message")
    content = message.get("content") if isinstance(message, dict) else message
    if isinstance(message, dict) and not content:
        reasons = message.get("reasoning_content") or message.get("reasoning")
        if reasons:
            raise UserError(
                f"{url} replies with reasoning alone and no answer behind it (finish_reason "
                f"{short(choice.get('finish_reason'))}): raise max_tokens, or switch its reasoning off."
            )
        if message.get("refusal"):
            raise UserError(
                f"{url} refuses to reply ({short(message['refusal'], key)}): change the question."
            )
    if not isinstance(content, str):
        raise _strange(url, "content", content, key)
    return Completion(clean(content, key), [], [], _finish_reason(choice))


def clean(text: str, key: str) -> str:
    """A text that can be written down: halves of characters joined or replaced, the actual key blanked."""
    return redact_keys(text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace"), key)


def short(said: Any, key: str = "") -> str:
    """What a server said, on one line of a message; some repeat the key that they refuse."""
    text = " ".join(str(said)[:5000].split()).rstrip(".")
    text = redact(text.replace(key, "***") if len(key) > 4 else text, key)
    return sanitize(text if len(text) <= 300 else text[:300] + "…")


def _strange(url: str, name: str, value: Any, key: str) -> UserError:
    return UserError(
        f"{url} answers with {name} that the protocol does not know ({short(reprlib.repr(value), key)}): "
        "check which server it is, and that its model computes numbers."
    )


def _is_logprob(value: Any) -> bool:
    # Rounding may lift a certain token a little above 0.
    return value is None or (type(value) in (int, float) and math.isfinite(value) and value < 1e-2)


def _finish_reason(choice: Json) -> Any:
    """Servers have many words for a text that is over (`stop`, `eos_token`), few for one that is cut."""
    return "length" if choice.get("finish_reason") in _CUT else "stop"
