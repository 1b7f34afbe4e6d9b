"""Texts from outside: .txt, .jsonl, .json, .parquet (each also .gz but parquet), a folder of them, the hub.

Texts are stripped, exact repeats dropped, lone surrogates (not text) replaced; nothing else is changed, and
what was noticed is said in `Corpus.notes`. Every fault of the input ends as one `UserError`.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.corpora.loaders import rows
from workbench.errors import UserError

END_OF_TEXT = "<|endoftext|>"
FORMATS = (".txt", *rows.FORMATS)
_FIELDS = ("text", "story", "content")  # tried in this order when the field is not named
_SEPARATORS = {"line": "\n", "blank line": "\n\n"}
_CHUNK = 1 << 20
_PATIENCE = 8 << 20  # characters without a separator after which a text file is given up
_SURROGATE = re.compile("[\ud800-\udfff]")
# UTF-8 read as Windows-1252 (â€œ for “, Ã© for é), and the character for what could not be read.
_ARTEFACT = re.compile("â€|Ã[\u00a0-\u00bf]|\ufffd")


@dataclass(frozen=True)
class Corpus:
    """Texts, where they came from, a digest of what was kept, and what was noticed on the way."""

    texts: list[str]
    source: str
    digest: str
    notes: list[str]

    def __str__(self) -> str:
        return "; ".join(
            [f"{len(self.texts):,} texts from {self.source} (digest {self.digest})", *self.notes]
        )


def load_corpus(
    source: str, *, field: str | None = None, limit: int | None = None, separator: str = END_OF_TEXT
) -> Corpus:
    """Distinct texts of a file, a folder or a hub data set, read only as far as `limit` asks.

    A last story that breaks off in a sentence, with no separator after it, is dropped: heads of large
    files end so.

    Args:
        source: a path (formats: see the module), or `org/name` on the hub with an optional `:split`
            (default train). A local folder takes `:split` too: files with that word in their name.
        field: of JSON and table rows; by default text, story or content. `a.b` reads b inside a.
        limit: number of texts to keep.
        separator: between the stories of a .txt; "line" and "blank line" are understood.

    Raises:
        UserError: nothing there, a wrong or broken format, no text in it, or the hub out of reach.
    """
    rows.check_limit(limit, "texts")
    kept: dict[str, None] = {}
    repeated = unfinished = 0
    for text, finished in _read(source, field, _SEPARATORS.get(separator, separator), limit):
        text = _SURROGATE.sub("\ufffd", text).strip()
        if not finished:
            unfinished += 1
        elif text in kept:
            repeated += 1
        elif text:
            kept[text] = None
            if len(kept) == limit:
                break
    if not kept:
        raise UserError(f"{source} holds no text.")
    digest = hashlib.sha256("\0".join(kept).encode()).hexdigest()[:12]
    return Corpus(list(kept), source, digest, _notes(kept, repeated, unfinished))


def hold_out(texts: Sequence[str], share: float, seed: int = 0) -> tuple[list[str], list[str]]:
    """(training, held out) by a hash of each text's content, so that no text stands on both sides.

    A text's side depends on it and the seed alone, not on order or on the other texts; capitals and
    spacing do not count. Of two or more different texts at least one is held out.

    Raises:
        ValueError: the share is not between 0 and 1.
    """
    if not 0 < share < 1:
        raise ValueError(f"the held-out share must lie between 0 and 1, not {share}")
    positions = [_position(text, seed) for text in texts]
    border = max(share, min(positions, default=0)) if len(set(positions)) > 1 else share
    training = [text for text, position in zip(texts, positions, strict=True) if position > border]
    held_out = [text for text, position in zip(texts, positions, strict=True) if position <= border]
    return training, held_out


def _position(text: str, seed: int) -> float:
    content = f"{seed}\n{' '.join(text.lower().split())}".encode()
    return int.from_bytes(hashlib.sha256(content).digest()[:8]) / 2**64


def _notes(texts: Iterable[str], repeated: int, unfinished: int) -> list[str]:
    artefacts = [artefact for text in texts if (artefact := _ARTEFACT.search(text))]
    notes = []
    if repeated:
        notes.append(f"{repeated:,} repeated texts dropped")
    if unfinished:
        notes.append(f"{unfinished} unfinished last story dropped")
    if artefacts:
        notes.append(
            f"{len(artefacts):,} texts hold encoding artefacts such as {artefacts[0][0]!r}, kept as they are"
        )
    return notes


def _read(source: str, field: str | None, separator: str, limit: int | None) -> Iterator[tuple[str, bool]]:
    """Yields (text, finished)."""
    files, hub = rows.find(source, FORMATS)
    for path in files:
        if rows.suffix(path) == ".txt":
            yield from _stories(path, separator)
        else:
            yield from ((_text(row, field, where), True) for where, row in rows.of_file(path))
    if hub is not None:
        yield from ((_text(row, field, where), True) for where, row in rows.of_hub(*hub, limit))


def _stories(path: Path, separator: str) -> Iterator[tuple[str, bool]]:
    rest, separated = "", False
    with rows.opened(path) as file:
        while chunk := file.read(_CHUNK):
            *stories, rest = (rest + chunk).split(separator)
            separated |= bool(stories)
            yield from ((story, True) for story in stories)
            if not separated and len(rest) > _PATIENCE:
                break
    if not separated:
        raise UserError(
            f"{path} has no separator {separator!r} between its stories: "
            'set separator to what divides them, for example "blank line" or "line".'
        )
    yield rest, not rest.strip() or rest.rstrip()[-1] in ".!?…\"'”’»)"


def _text(row: Any, field: str | None, where: str) -> str:
    """The text of one row: the row itself, or its field."""
    if isinstance(row, str) and field is None:
        return row
    if not isinstance(row, dict):
        raise UserError(f"{where} is neither a text nor an object with a text field.")
    name = field or next((name for name in _FIELDS if name in row), None)
    value: Any = row
    for part in name.split(".") if name else ():
        value = value.get(part) if isinstance(value, dict) else None
    if name is None or not isinstance(value, str):
        wanted = f"text field {name!r}" if name else f"field {', '.join(_FIELDS)}"
        raise UserError(f"{where} has no {wanted}; it has {', '.join(map(str, row)) or 'none'}: set field.")
    return value
