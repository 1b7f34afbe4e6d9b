"""Rows of one file: .jsonl, .json, .csv, .parquet, each but parquet also compressed, or a saved data set.

Every fault of the input ends as one `UserError`, with the line where there is one. What a file may unpack to
is bounded, so that neither a damaged file nor a hostile one fills the memory.
"""

import bz2
import csv
import gzip
import io
import json
import lzma
import os
import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any

from workbench.errors import UserError

SAVED = ".arrow"
"""The format of a folder that `Dataset.save_to_disk` wrote, and of a file in the cache of `datasets`."""
LONGEST_LINE = 8 << 20  # characters of a line, a story or a text
LONGEST_JSON = 256 << 20  # characters of a .json file, which is read at once
UNPACKED = 100  # times its size that a compressed file may unpack to: text comes to some 20
_SMALL = 16 << 20  # bytes that any file may unpack to
_SOON = 5 << 20  # bytes of a compressed file up to which it is unpacked once before it is read
_FEW_ROWS = 1_000_000  # rows that any parquet file may have, whatever its size
_CHUNK = 1 << 20
_BATCH = 64  # rows of a parquet file at a time
_CELL = 4 << 20  # bytes of a parquet column that may be packed as tightly as they like
_HALF_PAIR = re.compile("[\ud800-\udfff]")
_STREAMS = (gzip.BadGzipFile, zlib.error, lzma.LZMAError, EOFError)


def _open_zstandard(path: Path, mode: str) -> Any:
    import pyarrow

    return pyarrow.input_stream(str(path), compression="zstd")


_OPENERS: dict[str, Callable[[Path, str], Any]] = {
    ".gz": gzip.open,
    ".bz2": bz2.open,
    ".xz": lzma.open,
    ".zst": _open_zstandard,
}


def suffix(path: Path) -> str:
    """The format, ".jsonl" for a.jsonl.gz too; of a folder with a saved data set `SAVED`."""
    if is_saved(path):
        return SAVED
    return Path(path.stem if path.suffix.lower() in _OPENERS else path).suffix.lower()


def is_saved(path: Path) -> bool:
    """Whether a folder was written by `Dataset.save_to_disk`."""
    return (path / "state.json").is_file() and (path / "dataset_info.json").is_file()


def of_file(path: Path, single: bool = False) -> Iterator[tuple[str, Any]]:
    """(where, row) of every row of a file; a .csv's entries are all text.

    Args:
        path: of a known format.
        single: a .json file may hold one row instead of a list of rows.

    Raises:
        UserError: it cannot be read, is damaged, or is another format than its name says.
    """
    readers = {".parquet": _parquet, SAVED: _saved}
    if suffix(path) in readers:
        yield from readers[suffix(path)](path)
        return
    readers = {".jsonl": _json_lines, ".csv": _csv}
    with opened(path) as file:
        yield from readers.get(suffix(path), partial(_json, single=single))(file, path)


# ------------------------------------------------------------------------------- text
class _Unpacked(io.RawIOBase):
    """The bytes of a compressed file, as long as they are not far more than text unpacks to."""

    def __init__(self, file: Any, path: Path) -> None:
        self._file, self._path, self._n = file, path, 0
        self._most = max(_SMALL, UNPACKED * path.stat().st_size)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._file.read(len(buffer))
        self._n += len(data)
        if self._n > self._most:
            raise UserError(f"{self._path} unpacks to more than {UNPACKED} times its size: no text does.")
        buffer[: len(data)] = data
        return len(data)


@contextmanager
def opened(path: Path) -> Iterator[IO[str]]:
    """The text of a file, plain or compressed; what goes wrong while it is read is the user's to mend.

    Raises:
        UserError: it cannot be read, is damaged, empty, binary or no UTF-8.
    """
    try:
        _refuse_empty(path)
        with _bytes(path) as file:
            if b"\0" in file.read(_CHUNK):
                raise UserError(f"{path} is a binary file (or UTF-16), not UTF-8 text.")
            while path.suffix.lower() in _OPENERS and path.stat().st_size < _SOON and file.read(_CHUNK):
                pass  # `_Unpacked` refuses a bomb before millions of its rows are read
        with _bytes(path) as file, io.TextIOWrapper(file, encoding="utf-8-sig") as text:
            yield text
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path} is not UTF-8 text (byte 0x{error.object[error.start]:02x}): save it as UTF-8 first."
        ) from error
    except _STREAMS as error:
        raise UserError(f"{path} cannot be read: it is damaged, or compressed in another way.") from error
    except OSError as error:
        raise _unreadable(path, error) from error


@contextmanager
def _bytes(path: Path) -> Iterator[Any]:
    opener = _OPENERS.get(path.suffix.lower())
    with (opener or open)(path, "rb") as file:
        yield io.BufferedReader(_Unpacked(file, path), _CHUNK) if opener else file


def lines(file: IO[str], path: Path) -> Iterator[tuple[int, str]]:
    """The numbered lines of a text.

    Raises:
        UserError: one is longer than `LONGEST_LINE`.
    """
    for number, line in enumerate(iter(partial(file.readline, LONGEST_LINE + 1), ""), start=1):
        if len(line) > LONGEST_LINE:
            raise UserError(f"{path} line {number} is longer than {LONGEST_LINE:,} characters: split it.")
        yield number, line


def _json_lines(file: IO[str], path: Path) -> Iterator[tuple[str, Any]]:
    for number, line in lines(file, path):
        if line.strip():
            try:
                yield f"{path} line {number}", decoded(line)
            except (ValueError, RecursionError) as error:
                raise _not_json(f"{path} line {number}", error) from error


def _csv(file: IO[str], path: Path) -> Iterator[tuple[str, Any]]:
    reader = csv.DictReader(line for _, line in lines(file, path))
    try:
        names = reader.fieldnames or []
        if twice := [name for name in names if names.count(name) > 1]:
            raise UserError(f"{path} has two columns with the name {twice[0]!r}: rename one.")
        for number, row in enumerate(reader, start=1):
            if None in row:
                raise UserError(f"{path} row {number} has more entries than the first line has names.")
            yield f"{path} row {number}", row
    except csv.Error as error:
        raise UserError(f"{path} is not a readable table: {error}.") from error


def _json(file: IO[str], path: Path, single: bool) -> Iterator[tuple[str, Any]]:
    text = file.read(LONGEST_JSON + 1)
    if len(text) > LONGEST_JSON:
        raise UserError(
            f"{path} is longer than {LONGEST_JSON:,} characters: save it as .jsonl, one row a line."
        )
    try:
        content = decoded(text)
    except (ValueError, RecursionError) as error:
        if isinstance(error, json.JSONDecodeError) and error.msg == "Extra data" and error.lineno > 1:
            yield from _json_lines(io.StringIO(text), path)  # lines of JSON, whatever the name says
            return
        line = f" line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise _not_json(f"{path}{line}", error) from error
    if single and isinstance(content, dict):
        content = [content]
    if not isinstance(content, list):
        raise UserError(f"{path} holds no list of rows but a JSON {type(content).__name__}.")
    yield from ((f"{path} entry {number}", row) for number, row in enumerate(content, start=1))


def decoded(text: str) -> Any:
    """JSON; half a surrogate pair, which is no text, is replaced."""
    content = json.loads(text)
    return _whole(content) if "\\u" in text or _HALF_PAIR.search(text) else content


def _whole(value: Any) -> Any:
    if isinstance(value, str):
        return _HALF_PAIR.sub("\ufffd", value)
    if isinstance(value, list):
        return [_whole(entry) for entry in value]
    if isinstance(value, dict):
        return {_whole(name): _whole(entry) for name, entry in value.items()}
    return value


def _not_json(where: str, error: Exception) -> UserError:
    if isinstance(error, json.JSONDecodeError):
        return UserError(f"{where} is not JSON: {error.msg}.")
    reason = "nested too deeply" if isinstance(error, RecursionError) else "a number has too many digits"
    return UserError(f"{where} is not readable JSON: {reason}.")


def _refuse_empty(path: Path) -> None:
    if path.stat().st_size == 0:
        raise UserError(f"{path} is empty.")


def _unreadable(path: Path, error: Exception) -> UserError:
    return UserError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}.")


# ------------------------------------------------------------------------------- tables
def _parquet(path: Path) -> Iterator[tuple[str, Any]]:
    import pyarrow
    import pyarrow.parquet

    try:
        _refuse_empty(path)
        with pyarrow.parquet.ParquetFile(path) as table:
            _refuse_bomb(table.metadata, path)
            yield from _rows(table.iter_batches(_BATCH), path, os.path.getsize(path))
    except (pyarrow.ArrowException, UnicodeDecodeError) as error:
        reason = (str(error).splitlines() or ["damaged"])[0]
        raise UserError(f"{path} is not a readable parquet file: {reason[:200]}") from error
    except OSError as error:
        raise _unreadable(path, error) from error


def _refuse_bomb(metadata: Any, path: Path) -> None:
    """Before a page is unpacked: rows or texts that would become far more than there can be."""
    if metadata.num_rows > max(_FEW_ROWS, 8 * path.stat().st_size):
        raise UserError(f"{path} claims {metadata.num_rows:,} rows in {path.stat().st_size:,} bytes.")
    for group in range(metadata.num_row_groups):
        for number in range(metadata.num_columns):
            column = metadata.row_group(group).column(number)
            most = max(_CELL, UNPACKED * column.total_compressed_size)
            if column.physical_type == "BYTE_ARRAY" and column.total_uncompressed_size > most:
                raise UserError(f"{path} unpacks to more than {UNPACKED} times its size: no text does.")


def _rows(batches: Iterator[Any], path: Path, size: int) -> Iterator[tuple[str, Any]]:
    n = unpacked = 0
    for batch in batches:
        unpacked += batch.nbytes
        if unpacked > max(_SMALL, UNPACKED * size):
            raise UserError(f"{path} unpacks to more than {UNPACKED} times its size: no text does.")
        try:
            rows = batch.to_pylist()
        except UnicodeDecodeError as error:
            raise UserError(f"{path} has a text in rows {n + 1} and on that is not UTF-8.") from error
        for row in rows:
            n += 1
            yield f"{path} row {n}", {name: _as_text(value, path, n) for name, value in row.items()}


def _as_text(value: Any, path: Path, number: int) -> Any:
    """Bytes as the text they hold; some writers store texts as bytes."""
    if not isinstance(value, bytes):
        return value
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise UserError(f"{path} row {number} has bytes that are no UTF-8 text.") from None


def _saved(path: Path) -> Iterator[tuple[str, Any]]:
    import datasets

    try:
        read = datasets.Dataset.from_file if path.is_file() else datasets.load_from_disk
        table = read(str(path)).with_format("arrow")
        size = sum(file.stat().st_size for file in (path.iterdir() if path.is_dir() else [path]))
        batches = (batch for part in table.iter(_BATCH) for batch in part.to_batches())
        yield from _rows(batches, path, size)
    except UserError:
        raise
    except Exception as error:  # the library raises whatever its readers do
        raise UserError(f"{path} is not a readable saved data set ({type(error).__name__}).") from error
