"""Chat templates, which are programs that a model's folder brings along: rendered, checked and stopped."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

from workbench.errors import UserError
from workbench.sanitize import sanitize

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

#: The day that every template is told it is (the one that Llama 3's takes where it is told none): prompts
#: that change with the calendar would give other results under one key.
TODAY = datetime(2024, 7, 26)
LONGEST = 200_000  # characters of a template; published ones have up to 30,000
PATIENCE = 1.0  # processor seconds that a rendering may take; published templates take a thousandth
_ADVICE = "mend chat_template.jinja in its folder (or tokenizer_config.json), or take the base model."
_CODES = "aAbBcdDeFHIjmMpSTuUVwWxXyYzZ"


class _Endless(Exception):
    pass


def rendered(
    tokenizer: PreTrainedTokenizerFast, messages: Sequence[dict[str, str]], add_generation_prompt: bool = True
) -> str:
    """Messages (role, content) as the model's template writes them, on the day `TODAY`.

    Args:
        add_generation_prompt: whether the assistant's turn is opened behind them.

    Raises:
        UserError: the template fails, does not end, or leaves out what a message says.
    """
    try:
        template = dated(tokenizer.get_chat_template())
        with _deadline():
            text = str(
                tokenizer.apply_chat_template(
                    list(messages),
                    chat_template=template,
                    tokenize=False,
                    add_generation_prompt=add_generation_prompt,
                )
            )
    except UserError:
        raise
    except Exception as error:  # whatever a program of a stranger may raise
        raise UserError(f"The model's chat template fails ({_first_line(error)}): {_ADVICE}") from error
    for message in messages:
        if message["role"] != "assistant" and not says(text, message["content"]):
            raise UserError(
                f"The model's chat template leaves out what the {message['role']} says: {_ADVICE}"
            )
    return text


def dated(template: str) -> str:
    """The template with the date fixed, by a macro in the place of transformers' function of the clock.

    Raises:
        UserError: it is longer than any.
    """
    if len(template) > LONGEST:
        raise UserError(
            f"The model's chat template has {len(template):,} characters, more than any: {_ADVICE}"
        )
    if "strftime_now" not in template:
        return template
    codes = {f"%{flag}{code}": TODAY.strftime(f"%{flag}{code}") for code in _CODES for flag in ("", "-")}
    # A line of its own: blanks that begin the template are trimmed as before.
    return (
        f"{{%- macro strftime_now(format) -%}}{{%- set ns = namespace(text=format) -%}}"
        f"{{%- for code, value in {json.dumps(codes)}.items() -%}}"
        "{%- set ns.text = ns.text.replace(code, value) -%}{%- endfor -%}"
        "{{- ns.text -}}{%- endmacro %}\n" + template
    )


def says(text: str, content: str) -> bool:
    """Whether a content is there, but for blanks, as it is or as JSON writes it."""
    without_blanks = "".join(text.split())
    written = (content, json.dumps(content)[1:-1], json.dumps(content, ensure_ascii=False)[1:-1])
    return any("".join(form.split()) in without_blanks for form in written)


@contextmanager
def _deadline() -> Iterator[None]:
    """End a template that does not end by itself: Python reports each of its lines."""
    end, before = time.thread_time() + PATIENCE, sys.gettrace()

    def watch(frame: Any, event: str, arg: object) -> Any:
        if time.thread_time() > end:
            raise _Endless("it does not end")
        return watch if frame.f_code.co_filename == "<template>" else None

    sys.settrace(watch)
    try:
        yield
    finally:
        sys.settrace(before)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return sanitize(lines[0].rstrip(".") if lines else type(error).__name__, 200)
