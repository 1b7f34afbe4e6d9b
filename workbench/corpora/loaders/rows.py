"""Rows from outside: .jsonl, .json, .csv, .parquet (each also .gz but parquet), a folder of them, the hub.

Every fault of the input ends as one `UserError`, with the line where there is one.
"""

import csv
import difflib
import gzip
import json
import os
import re
from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from workbench.errors import UserError

FORMATS = (".jsonl", ".json", ".parquet")
TABLES = (*FORMATS, ".csv")  # where rows have names but no nesting
_CHUNK = 1 << 20
_HUB = re.compile(r"[\w.-]+/[\w.-]+")


class Malformed(Exception):
    """What is wrong with a row, said so that it can follow where the row stands: "has no question"."""


@contextmanager
def checked(where: str, row: Any) -> Iterator[dict[str, Any]]:
    """The fields of a row; a `Malformed` that is raised inside names the row.

    Raises:
        UserError: the row is no object, or malformed.
    """
    try:
        if not isinstance(row, dict):
            raise Malformed("is no object with fields")
        yield row
    except Malformed as error:
        raise UserError(f"{where} {error}.") from error


def text_of(value: Any) -> str | None:
    """A text or a whole number as stripped text, lone surrogates replaced; None of anything else."""
    if not isinstance(value, (str, int)) or isinstance(value, bool):
        return None
    return str(value).encode("utf-8", "replace").decode().strip()


def kind_and_source(spec: str, kinds: Container[str]) -> tuple[str | None, str]:
    """("gsm8k", PATH) of "gsm8k:PATH", (None, PATH) where no kind is named."""
    kind, colon, source = spec.partition(":")
    return (kind.lower(), source) if colon and kind.lower() in kinds else (None, spec)


def check_limit(limit: int | None, things: str) -> None:
    """Refuses to load less than one.

    Raises:
        UserError: the limit is below 1.
    """
    if limit is not None and limit < 1:
        raise UserError(f"The number of {things} to load must be 1 or more, not {limit}.")


def of_source(
    source: str, limit: int | None = None, formats: Sequence[str] = FORMATS
) -> Iterator[tuple[str, Any]]:
    """(where, row) of every row of a file, of the files of a folder, or of a hub data set.

    Args:
        source: a path, or `org/name` on the hub with an optional `:split` (default train). A local folder
            takes `:split` too: files with that word in their name.
        limit: how many rows of the hub are wanted (it is streamed then).
        formats: of files that are read: FORMATS, or TABLES.

    Raises:
        UserError: nothing there, a wrong or broken format, or the hub out of reach.
    """
    files, hub = find(source, formats)
    for path in files:
        yield from of_file(path)
    if hub is not None:
        yield from of_hub(*hub, limit)


def find(source: str, formats: Sequence[str]) -> tuple[list[Path], tuple[str, str] | None]:
    """(files of these formats, None), or (no files, name and split on the hub)."""
    name, split = _name_and_split(source)
    path = Path(name)
    if os.path.isdir(name):
        return _files(path, split, formats), None
    if os.path.exists(name):
        if suffix(path) not in formats:
            raise UserError(f"{path} has a format that is not read here; known are {', '.join(formats)}.")
        return [path], None
    if _HUB.fullmatch(name) and not Path(name.split("/")[0]).is_dir() and suffix(path) not in formats:
        return [], (name, split or "train")
    raise UserError(f"There is no file or folder {source}.{_near(path)}")


def suffix(path: Path) -> str:
    """The format, ".jsonl" for a.jsonl.gz too."""
    return Path(path.stem).suffix.lower() if path.suffix.lower() == ".gz" else path.suffix.lower()


def of_file(path: Path) -> Iterator[tuple[str, Any]]:
    """(where, row) of every row of a .jsonl, .json, .csv or .parquet file; a .csv's entries are all text."""
    if suffix(path) == ".parquet":
        yield from _parquet(path)
        return
    readers = {".jsonl": _json_lines, ".csv": _csv}
    with opened(path) as file:
        yield from readers.get(suffix(path), _json_array)(file, path)


def of_hub(name: str, split: str, limit: int | None) -> Iterator[tuple[str, Any]]:
    """(where, row) of a hub data set, streamed when only some are wanted."""
    from datasets import load_dataset
    from huggingface_hub import HfApi
    from huggingface_hub.constants import HF_HUB_OFFLINE
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        if not HF_HUB_OFFLINE:
            HfApi().dataset_info(name, timeout=10)  # fails at once, where load_dataset retries for long
        rows = load_dataset(name, split=split, streaming=limit is not None)
        for number, row in enumerate(rows, start=1):
            yield f"{name}:{split} row {number}", row
    except RepositoryNotFoundError as error:
        raise UserError(f"There is no file {name} here, and no public data set {name} on the hub.") from error
    except Exception as error:  # the hub's clients raise errors of three libraries
        raise UserError(
            f"The data set {name}:{split} could not be fetched from the hub ({type(error).__name__}): check "
            "the network and the split, or give a local copy (a folder, .txt, .jsonl, .json or .parquet)."
        ) from error


@contextmanager
def opened(path: Path) -> Iterator[IO[str]]:
    """The text of a file, plain or gzipped; what goes wrong while it is read is the user's to mend."""
    opener: Any = gzip.open if path.suffix.lower() == ".gz" else open
    try:
        _refuse_empty(path)
        with opener(path, "rb") as file:
            if b"\0" in file.read(_CHUNK):
                raise UserError(f"{path} is a binary file (or UTF-16), not UTF-8 text.")
        with opener(path, "rt", encoding="utf-8-sig") as file:
            yield file
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path} is not UTF-8 text (byte 0x{error.object[error.start]:02x}): save it as UTF-8 first."
        ) from error
    except (OSError, EOFError) as error:
        raise _unreadable(path, error) from error


def _refuse_empty(path: Path) -> None:
    if path.stat().st_size == 0:
        raise UserError(f"{path} is empty.")


def _unreadable(path: Path, error: Exception) -> UserError:
    return UserError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}.")


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


def _files(folder: Path, split: str | None, formats: Sequence[str]) -> list[Path]:
    visible = (path for path in folder.rglob("[!.]*") if not path.parent.name.startswith("."))
    files = sorted(path for path in visible if path.is_file() and suffix(path) in formats)
    chosen = [path for path in files if split is None or split in path.stem]
    if not chosen:
        which = f"no file of the split {split}" if files else "no " + ", ".join(formats) + " file"
        raise UserError(f"The folder {folder} holds {which}.")
    return chosen


def _json_lines(file: IO[str], path: Path) -> Iterator[tuple[str, Any]]:
    for number, line in enumerate(file, start=1):
        if line.strip():
            try:
                yield f"{path} line {number}", json.loads(line)
            except (json.JSONDecodeError, RecursionError) as error:
                raise _not_json(f"{path} line {number}", error) from error


def _csv(file: IO[str], path: Path) -> Iterator[tuple[str, Any]]:
    try:
        for number, row in enumerate(csv.DictReader(file), start=1):
            if None in row:
                raise UserError(f"{path} row {number} has more entries than the first line has names.")
            yield f"{path} row {number}", row
    except csv.Error as error:
        raise UserError(f"{path} is not a readable table: {error}.") from error


def _json_array(file: IO[str], path: Path) -> Iterator[tuple[str, Any]]:
    try:
        rows = json.load(file)
    except (json.JSONDecodeError, RecursionError) as error:
        line = f" line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise _not_json(f"{path}{line}", error) from error
    if not isinstance(rows, list):
        raise UserError(f"{path} holds no list of texts but a JSON {type(rows).__name__}.")
    yield from ((f"{path} entry {number}", row) for number, row in enumerate(rows, start=1))


def _not_json(where: str, error: Exception) -> UserError:
    reason = error.msg if isinstance(error, json.JSONDecodeError) else "nested too deeply"
    return UserError(f"{where} is not JSON: {reason}.")


def _parquet(path: Path) -> Iterator[tuple[str, Any]]:
    import pyarrow
    import pyarrow.parquet

    try:
        _refuse_empty(path)
        with pyarrow.parquet.ParquetFile(path) as table:
            rows = (row for batch in table.iter_batches(1024) for row in batch.to_pylist())
            yield from ((f"{path} row {number}", row) for number, row in enumerate(rows, start=1))
    except pyarrow.ArrowException as error:
        raise UserError(f"{path} is not a readable parquet file: {str(error).splitlines()[0]}") from error
    except OSError as error:
        raise _unreadable(path, error) from error
