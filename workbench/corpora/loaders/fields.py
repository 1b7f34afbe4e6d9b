"""Fields of a row whose names vary: what is asked, with all that belongs to it; nothing of it is dropped."""

import ast
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from workbench.corpora.loaders.rows import Malformed, text_of

QUESTIONS = ("question", "prompt", "problem", "instruction")
"""What may be asked, under which name."""
CONTEXTS = ("context", "passage", "body", "story", "background", "paragraph", "document")
"""What stands before a question."""
INPUT = "input"  # stands behind an instruction (Alpaca), or is the question where there is no other
_LONGEST_LITERAL = 1 << 20  # characters of a list or dict as Python writes it
_RENDERED = ("text", "content")  # a whole row as one text, in many data sets
# What changes a question and cannot be joined by a general rule.
_CHOICES = ("options", "choices", "selections")
_REFUSED = (
    *_CHOICES,
    "system",
    "messages",
    "conversation",
    "conversations",
    "history",
    "image",
    "images",
    "table",
)
_OPTION = re.compile(
    r"(?:option|choice|answer|ending|op)?[ _]?[a-e]"
)  # one of them a field: A, option_b, opa


def lowered(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row with its field names in lower case.

    Raises:
        Malformed: two names differ in capitals alone, with different contents.
    """
    fields: dict[str, Any] = {}
    for name, value in row.items():
        small = str(name).strip().lower()
        if small in fields and fields[small] != value:
            raise Malformed(f"has two different fields {small}: rename one")
        fields[small] = value
    return fields


def is_there(row: Mapping[str, Any], name: str) -> bool:
    """Whether a field has any content."""
    value = row.get(name)
    return value is not None and not (isinstance(value, (str, list, dict)) and not value)


def question_of(row: Mapping[str, Any], names: Sequence[str] = QUESTIONS, used: Collection[str] = ()) -> str:
    """What a row asks, joined of its fields.

    Args:
        row: with names in lower case (`lowered`).
        names: of the question itself, the one that counts first.
        used: fields that the row's kind reads otherwise.

    Raises:
        Malformed: no question, or fields that carry content and cannot be joined; they are named.
    """
    name = next((name for name in names if name in row), INPUT if is_there(row, INPUT) else None)
    if name is None:
        raise Malformed(f"has no question ({', '.join(names)})")
    question = text(row, name)
    _refuse_content(row, question, {name, *used})
    contexts = [one for one in CONTEXTS if is_there(row, one) and one not in used]
    for context in reversed(contexts):
        question = joined(text(row, context), question)
    behind = name != INPUT and INPUT not in used and is_there(row, INPUT)
    return f"{question}\n{text(row, INPUT)}" if behind else question


def joined(first: str, second: str) -> str:
    """Two texts as one; many bodies of word problems lack their full stop."""
    return f"{first}{'' if not first or first[-1] in '.?!,;:…।。？！' else '.'} {second}".strip()


def text(row: Mapping[str, Any], name: str) -> str:
    """A field as text; of whole numbers without ".0"."""
    value = text_of(row.get(name))
    if value is None:
        raise Malformed(f"has no text or number {name!r} but {row.get(name)!r:.40}")
    return value


def literal(row: Mapping[str, Any], name: str, kind: type) -> Any:
    """A list or dict, or one as Python's `repr` writes it (a defaultdict too); nothing in it is run.

    Raises:
        Malformed: it is something else.
    """
    value = row.get(name)
    if isinstance(value, str):
        written = value.strip()
        if match := re.fullmatch(r"(?s)(?:defaultdict\(<class '\w+'>,|OrderedDict\()\s*(.*)\)", written):
            written = match[1]
        try:
            value = ast.literal_eval(written) if len(written) <= _LONGEST_LITERAL else None
        except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
            value = None
    if not isinstance(value, kind):
        raise Malformed(f"has {name} that are no {kind.__name__}: {row.get(name)!r:.40}")
    return value


def _refuse_content(row: Mapping[str, Any], question: str, used: Collection[str]) -> None:
    """A field that holds the question, as a row rendered for training does, says nothing more."""
    begins = question.splitlines()[0][:80] if question else ""
    may_ask = (*QUESTIONS, *_RENDERED, *_REFUSED)
    unread = [name for name in may_ask if name not in used and is_there(row, name)]
    unread = [name for name in unread if name in _CHOICES or begins not in str(row[name])]
    options = [name for name in row if _OPTION.fullmatch(name) and is_there(row, name) and name not in used]
    unread += options if len(options) > 1 else []
    if unread:
        raise Malformed(
            f"has also {' and '.join(unread)}, which may belong to the question: "
            "join them to it, or leave them out"
        )
