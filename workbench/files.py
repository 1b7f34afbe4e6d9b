"""Write files and folders atomically, cache tables, and append lines that survive a kill."""

from __future__ import annotations

import errno
import json
import math
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextmanager
def explain_write_error(path: Path) -> Iterator[None]:
    """Turn an operating system's refusal to write `path` into one clear sentence.

    Raises:
        UserError: The disk is full, or the file or folder cannot be written.
    """
    try:
        yield
    except TimeoutError:  # a lock that another process holds, not a refusal
        raise
    except OSError as error:
        if error.errno in _FULL:
            raise UserError(
                f"The disk is full ({path.parent}): free some space, then give the same command again;"
                " it continues with what is already written."
            ) from error
        raise UserError(
            f"Cannot write in {path.parent} ({error.strerror or error}): make it writable, or choose"
            " another folder (WORKBENCH_RUNS moves the runs)."
        ) from error


# ------------------------------------------------------------------------------- whole or not there
@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """A temporary name for a file, which replaces `path` when the block ends well.

    Several processes or machines may write one file at once: the last one's stays, whole.

    Raises:
        UserError: It cannot be written (permissions, full disk).
    """
    new = path.with_name(f".{path.name}.{os.getpid()}{secrets.token_hex(4)}.new")
    with explain_write_error(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield new
            sync(new)
            new.replace(path)
        finally:
            with suppress(OSError):
                new.unlink()


def atomic_write(path: Path, data: bytes) -> None:
    """Write `data` so that `path` holds either all of it or what was there before, even after SIGKILL."""
    with atomic_file(path) as new:
        new.write_bytes(data)


def write_json(path: Path, value: Any) -> None:
    """Write `value` atomically as readable JSON; NaN and infinities become null."""
    atomic_write(path, encoded(json.dumps(plain(value), indent=1, ensure_ascii=False) + "\n"))


def cached_table(path: Path, make: Callable[[], pd.DataFrame]) -> pd.DataFrame:
    """The table in a parquet file; made if it is not there.

    Raises:
        UserError: It cannot be written (permissions, full disk).
    """
    import pandas

    if not path.exists():
        table = make()
        with atomic_file(path) as new:
            table.to_parquet(new, index=False)
    return pandas.read_parquet(path)


@contextmanager
def atomic_folder(folder: str | Path) -> Iterator[Path]:
    """A temporary folder that replaces `folder` when the block ends well."""
    folder = Path(folder)
    new, old = (folder.with_name(f".{folder.name}.{os.getpid()}.{part}") for part in ("new", "old"))
    try:
        new.mkdir(parents=True)
        yield new
        sync(new)
        if folder.exists():
            folder.rename(old)
        new.rename(folder)
    except UserError:
        raise
    except Exception as error:  # safetensors has its own class for a full disk
        raise UserError(
            f"The folder {folder} could not be written ({error}): make room or choose another folder."
        ) from error
    finally:
        for rest in (new, old):
            shutil.rmtree(rest, ignore_errors=True)


def recover_folder(folder: Path) -> None:
    """Finish a replacement that a kill cut short between its renames, and remove what a kill left behind."""
    olds = list(folder.parent.glob(f".{folder.name}.*.old"))
    for old in olds:
        new = old.with_suffix(".new")
        if not folder.exists():
            (new if new.exists() else old).rename(folder)
    for rest in [*olds, *folder.parent.glob(f".{folder.name}.*.new")]:
        shutil.rmtree(rest, ignore_errors=True)


def orphans(folder: Path) -> list[Path]:
    """Temporary files and folders that killed processes left under a folder."""
    new = (path for path in folder.rglob(".*.new") if not path.with_suffix(".old").exists())  # else it counts
    return sorted([*folder.rglob(".*.part.*"), *new])


def sync(folder: Path) -> None:
    """Force a file, or a folder's files, to disk."""
    for path in [*folder.rglob("*"), folder]:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def stamp(folder: Path) -> str:
    """Names, sizes and times of a folder's files: another text when they were written anew."""
    stats = [(path.name, path.stat()) for path in sorted(folder.iterdir())]
    return "".join(f"{name} {stat.st_size} {stat.st_mtime_ns}\n" for name, stat in stats)


# ------------------------------------------------------------------------------- text and JSON
def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        UserError: The file is missing or is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"Cannot read {path} ({error.strerror}).") from error
    except ValueError as error:
        raise UserError(f"{path} is not valid JSON ({error}).") from error


def append_line(path: Path, line: str) -> None:
    """Append one line and hand it to the disk; a line that does not fit is taken back."""
    with explain_write_error(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "ab", buffering=0) as file:
            size = file.tell()
            try:
                data = encoded(line + "\n")
                if file.write(data) != len(data):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            except OSError:
                with suppress(OSError):
                    file.truncate(size)
                raise


def drop_torn_line(path: Path) -> None:
    """Cut a last line that a killed process left without its end."""
    if path.exists():
        data = path.read_bytes()
        if not data.endswith(b"\n"):
            with explain_write_error(path):
                os.truncate(path, data.rfind(b"\n") + 1)


def encoded(text: str) -> bytes:
    """UTF-8; half a surrogate pair, which models do write, is spelled out as JSON would spell it."""
    return text.encode("utf-8", "backslashreplace")


def plain(value: Any) -> Any:
    """Reduce to what JSON knows: NumPy scalars become numbers; NaN and infinities become None."""
    if isinstance(value, dict):
        return {str(name): plain(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, str | int | bool) else str(value)
