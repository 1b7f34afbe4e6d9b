"""Texts from outside: .txt, .jsonl, .json, .parquet (each also .gz but parquet), a folder of them, the hub.

Texts are stripped, exact repeats dropped, lone surrogates (not text) replaced; nothing else is changed, and
what was noticed is said in `Corpus.notes`. Every fault of the input ends as one `UserError`.
"""

import difflib
import gzip
import hashlib
import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from workbench.errors import UserError

END_OF_TEXT = "<|endoftext|>"
FORMATS = (".txt", ".jsonl", ".json", ".parquet")
_FIELDS = ("text", "story", "content")  # tried in this order when the field is not named
_SEPARATORS = {"line": "\n", "blank line": "\n\n"}
_CHUNK = 1 << 20
_PATIENCE = 8 << 20  # characters without a separator after which a text file is given up
_HUB = re.compile(r"[\w.-]+/[\w.-]+")
_SURROGATE = re.compile("[\ud800-\udfff]")
# UTF-8 read as Windows-1252 (â€œ for “, Ã© for é), and the character for what could not be read.
_ARTEFACT = re.compile("â€|Ã[\u00a0-\u00bf]|\ufffd")


@dataclass(frozen=True)
class Corpus:
    """Texts, where they came from, a digest of what was kept, and what was noticed on the way."""

    texts: list[str]
    source: str
    digest: str
    notes: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return "; ".join(
            [f"{len(self.texts):,} texts from {self.source} (digest {self.digest})", *self.notes]
        )


def load_texts(
    source: str, *, field: str | None = None, limit: int | None = None, separator: str = END_OF_TEXT
) -> list[str]:
    """The texts of `load_corpus` alone."""
    return load_corpus(source, field=field, limit=limit, separator=separator).texts


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
    if limit is not None and limit < 1:
        raise UserError(f"The number of texts to load must be 1 or more, not {limit}.")
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
    return _corpus(list(kept), source, repeated, unfinished)


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


def _corpus(texts: list[str], source: str, repeated: int, unfinished: int) -> Corpus:
    digest = hashlib.sha256("\0".join(texts).encode()).hexdigest()[:12]
    artefacts = [found for text in texts if (found := _ARTEFACT.search(text))]
    notes = []
    if repeated:
        notes.append(f"{repeated:,} repeated texts dropped")
    if unfinished:
        notes.append(f"{unfinished} unfinished last story dropped")
    if artefacts:
        notes.append(
            f"{len(artefacts):,} texts hold encoding artefacts such as {artefacts[0][0]!r}, kept as they are"
        )
    return Corpus(texts, source, digest, notes)


def _read(source: str, field: str | None, separator: str, limit: int | None) -> Iterator[tuple[str, bool]]:
    """Yields (text, finished)."""
    name, split = _name_and_split(source)
    path = Path(name)
    if os.path.isdir(name):
        for file in _files(path, split):
            yield from _read_file(file, field, separator)
    elif os.path.exists(name):
        yield from _read_file(path, field, separator)
    elif _HUB.fullmatch(name) and not Path(name.split("/")[0]).is_dir() and _format(path) not in FORMATS:
        yield from _read_hub(name, split or "train", field, limit)
    else:
        raise UserError(f"There is no file or folder {source}.{_near(path)}")


def _name_and_split(source: str) -> tuple[str, str | None]:
    name, colon, split = source.rpartition(":")
    if not colon or os.path.exists(source) or "/" in split or "\\" in split:
        return source, None
    return name, split


def _near(path: Path) -> str:
    try:
        names = os.listdir(path.parent)
    except OSError:
        return f" The folder {path.parent} does not exist either."
    close = difflib.get_close_matches(path.name, names, n=1)
    return f" Did you mean {path.parent / close[0]}?" if close else ""


def _format(path: Path) -> str:
    return Path(path.stem).suffix.lower() if path.suffix.lower() == ".gz" else path.suffix.lower()


def _files(folder: Path, split: str | None) -> list[Path]:
    visible = (path for path in folder.rglob("[!.]*") if not path.parent.name.startswith("."))
    files = sorted(path for path in visible if path.is_file() and _format(path) in FORMATS)
    chosen = [path for path in files if split is None or split in path.stem]
    if not chosen:
        which = f"no file of the split {split}" if files else "no " + ", ".join(FORMATS) + " file"
        raise UserError(f"The folder {folder} holds {which}.")
    return chosen


def _read_file(path: Path, field: str | None, separator: str) -> Iterator[tuple[str, bool]]:
    kind = _format(path)
    if kind not in FORMATS:
        raise UserError(f"{path} has a format that is not read here; known are {', '.join(FORMATS)}.")
    try:
        if path.stat().st_size == 0:
            raise UserError(f"{path} is empty.")
        if kind == ".parquet":
            yield from ((text, True) for text in _parquet(path, field))
            return
        with _open(path) as file:
            if kind == ".txt":
                yield from _stories(file, path, separator)
            else:
                rows = _json_lines(file, path) if kind == ".jsonl" else _json_array(file, path)
                yield from ((_text(row, field, where), True) for where, row in rows)
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path} is not UTF-8 text (byte 0x{error.object[error.start]:02x}): save it as UTF-8 first."
        ) from error
    except (OSError, EOFError) as error:
        raise UserError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}.") from error


def _open(path: Path) -> IO[str]:
    opener: Any = gzip.open if path.suffix.lower() == ".gz" else open
    with opener(path, "rb") as file:
        if b"\0" in file.read(_CHUNK):
            raise UserError(f"{path} is a binary file (or UTF-16), not UTF-8 text.")
    return opener(path, "rt", encoding="utf-8-sig")


def _stories(file: IO[str], path: Path, separator: str) -> Iterator[tuple[str, bool]]:
    rest, separated = "", False
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


def _json_lines(file: IO[str], path: Path) -> Iterator[tuple[str, Any]]:
    for number, line in enumerate(file, start=1):
        if line.strip():
            try:
                yield f"{path} line {number}", json.loads(line)
            except (json.JSONDecodeError, RecursionError) as error:
                raise UserError(f"{path} line {number} is not JSON: {_reason(error)}.") from error


def _json_array(file: IO[str], path: Path) -> Iterator[tuple[str, Any]]:
    try:
        rows = json.load(file)
    except (json.JSONDecodeError, RecursionError) as error:
        line = f" line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise UserError(f"{path}{line} is not JSON: {_reason(error)}.") from error
    if not isinstance(rows, list):
        raise UserError(f"{path} holds no list of texts but a JSON {type(rows).__name__}.")
    yield from ((f"{path} entry {number}", row) for number, row in enumerate(rows, start=1))


def _reason(error: Exception) -> str:
    return error.msg if isinstance(error, json.JSONDecodeError) else "nested too deeply"


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


def _parquet(path: Path, field: str | None) -> Iterator[str]:
    import pyarrow
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(path) as table:
            for batch in table.iter_batches(1024):
                yield from (_text(row, field, f"{path}") for row in batch.to_pylist())
    except pyarrow.ArrowException as error:
        raise UserError(f"{path} is not a readable parquet file: {str(error).splitlines()[0]}") from error


def _read_hub(name: str, split: str, field: str | None, limit: int | None) -> Iterator[tuple[str, bool]]:
    """Rows of a hub data set, streamed when only some are wanted."""
    from datasets import load_dataset
    from huggingface_hub import HfApi
    from huggingface_hub.constants import HF_HUB_OFFLINE
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        if not HF_HUB_OFFLINE:
            HfApi().dataset_info(name, timeout=10)  # fails at once, where load_dataset retries for long
        rows = load_dataset(name, split=split, streaming=limit is not None)
        for row in rows:
            yield _text(row, field, f"{name}:{split}"), True
    except UserError:
        raise
    except RepositoryNotFoundError as error:
        raise UserError(f"There is no file {name} here, and no public data set {name} on the hub.") from error
    except Exception as error:  # the hub's clients raise errors of three libraries
        raise UserError(
            f"The data set {name}:{split} could not be fetched from the hub ({type(error).__name__}): check "
            "the network and the split, or give a local copy (a folder, .txt, .jsonl, .json or .parquet)."
        ) from error
