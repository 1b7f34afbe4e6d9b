"""Texts from outside: .txt and the formats of `rows`, a folder of them, the hub.

Texts are stripped, exact repeats dropped, lone surrogates (not text) replaced; nothing else is changed, and
what was noticed is said in `Corpus.notes`. Every fault of the input ends as one `UserError`.
"""

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.corpora.loaders import rows
from workbench.corpora.loaders.fields import lowered
from workbench.corpora.loaders.formats import LONGEST_LINE, of_file, opened, suffix
from workbench.errors import UserError
from workbench.sources import TEXTS, Source

END_OF_TEXT = "<|endoftext|>"
FORMATS = (".txt", *rows.FORMATS)
_FIELDS = ("text", "story", "content", "body", "passage", "document", "article")
"""Names of the field with the text; capitals do not count."""
_SEPARATORS = {"lines": "\n", "paragraphs": "\n\n"}
_CHUNK = 1 << 20
_PATIENCE = 8 << 20  # characters without a separator, or with nothing between them, that end the reading
_SURROGATE = re.compile("[\ud800-\udfff]")
# UTF-8 read as Windows-1252 or Latin-1 (â€œ for “, Ã© for é), and the character for what could not be read.
_ARTEFACT = re.compile(
    "â€|[ÃÂ][\u00a0-\u00bf]|[\u00c2-\u00f4][\u0080-\u009f]|[ÐÑ][\u00b0-\u00bf€‚ƒ„…†‡ˆ‰Š‹ŒŽ]|\ufffd"
)
_STOPS = ".!?…\"'”’»)"
_COMMAS = "，、；：،؛·"


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


def load_corpus(source: str, *, field: str | None = None, limit: int | None = None) -> Corpus:
    """Distinct texts of files, folders or hub data sets, read only as far as `limit` asks.

    A last story that breaks off in a sentence, with no separator after it, is dropped: heads of large
    files end so. In a folder a text file without separators is one text.

    Args:
        source: paths or `org/name` (see `workbench.sources`); "lines:" or "paragraphs:" before a path says
            how a .txt is divided.
        field: of JSON and table rows; by default the one of `_FIELDS`. `a.b` reads b inside a.
        limit: number of texts to keep.

    Raises:
        UserError: nothing there, a wrong or broken format, no text in it, or the hub out of reach.
    """
    rows.check_limit(limit, "texts")
    kept: dict[str, None] = {}
    repeated = unfinished = 0
    for text, finished in _read(source, field, limit):
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


def _read(spec: str, field: str | None, limit: int | None) -> Iterator[tuple[str, bool]]:
    """Yields (text, finished)."""
    for source in rows.parsed(spec, TEXTS):
        yield from _read_one(source, field, _SEPARATORS.get(source.kind or "", END_OF_TEXT), limit)


def _read_one(
    source: Source, field: str | None, separator: str, limit: int | None
) -> Iterator[tuple[str, bool]]:
    files, hub = rows.find(source, FORMATS)
    texts = [path for path in files if suffix(path) == ".txt"]
    for path in files:
        if path in texts:
            yield from _stories(path, separator, len(texts) > 1 or separator != END_OF_TEXT)
        else:
            yield from ((_text(row, field, where), True) for where, row in of_file(path, len(files) > 1))
    if hub is not None:
        yield from ((_text(row, field, where), True) for where, row in rows.of_hub(hub, limit))


def _stories(path: Path, separator: str, may_be_one: bool) -> Iterator[tuple[str, bool]]:
    """The texts between separators; a file without any is one text if it may be."""
    rest, separated, blank = "", False, 0
    with opened(path) as file:
        while chunk := file.read(_CHUNK):
            *stories, rest = (rest + chunk).split(separator)
            separated |= bool(stories)
            full = [story for story in stories if story and not story.isspace()]
            blank = 0 if full else blank + len(chunk)
            _refuse_endless(path, rest, blank)
            yield from ((story, True) for story in full)
            if not separated and len(rest) > _PATIENCE - _CHUNK:
                break
    if not separated and not may_be_one:
        raise UserError(
            f"{path} has no separator {separator!r} between its texts: name it as paragraphs:{path} if blank "
            f"lines divide them, as lines:{path} if each is a line, or give a folder with a file for each."
        )
    yield rest, not separated or _is_finished(rest.rstrip())


def _refuse_endless(path: Path, rest: str, blank: int) -> None:
    if blank > _PATIENCE and rest.isspace() | (not rest):
        raise UserError(f"{path} holds no text in {_PATIENCE:,} characters, only separators.")
    if len(rest) > LONGEST_LINE:
        raise UserError(f"{path} holds a text of more than {LONGEST_LINE:,} characters: divide it.")


def _is_finished(text: str) -> bool:
    """Whether a text ends as a sentence does; of scripts that write no stops that cannot be seen."""
    if not text or text[-1].isascii():
        return not text or text[-1] in _STOPS
    last = text[-1]
    marks = unicodedata.category(last) in ("Po", "Pe", "Pf", "So") and last not in _COMMAS
    return marks or "\u0e00" <= last <= "\u0eff"


def _text(row: Any, field: str | None, where: str) -> str:
    """The text of one row: the row itself, or its field."""
    if isinstance(row, str) and field is None:
        return row
    if not isinstance(row, dict):
        raise UserError(f"{where} is neither a text nor an object with a text field.")
    value = _inside(row, field) if field else _only_text(row, where)
    if not isinstance(value, str):
        wanted = (
            f"text in the field {field}" if field else f"text: its field must be one of {', '.join(_FIELDS)}"
        )
        raise UserError(f"{where} has no {wanted}; it has {', '.join(map(str, row))[:300] or 'none'}.")
    return value


def _inside(row: dict[str, Any], field: str) -> Any:
    value: Any = row
    for part in field.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _only_text(row: dict[str, Any], where: str) -> Any:
    """The field with the text; where several could be it, none is left out in silence."""
    with rows.checked(where, row):
        fields = lowered(row)
        texts = {name: fields[name] for name in _FIELDS if isinstance(fields.get(name), str)}
        longest = max(texts.values(), key=len, default=None)
        if any(text not in longest for text in texts.values()):
            raise rows.Malformed(
                f"has {' and '.join(texts)}, each of which may be the text: rename all but one"
            )
        return longest
