"""Write files and folders atomically, cache tables, and append lines that survive a kill."""

from __future__ import annotations

import errno
import json
import math
import os
import secrets
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import UserError, reason

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
    except Exception as error:
        # What Rust writes (safetensors, tokenizers) fails with classes of its own.
        refused = isinstance(error, OSError) or "os error" in str(error)
        hint = ": make room or choose another folder" if refused else ""
        raise UserError(f"The folder {folder} could not be written ({reason(error)}){hint}.") from error
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


def version(path: Path) -> tuple[int, ...]:
    """Of a file: another one when it was written anew, also with its old size and time."""
    state = path.stat()
    return state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns


def stamp(folder: Path) -> str:
    """Names and versions of a folder's files: another text when they were written anew."""
    return "".join(f"{path.name} {version(path)}\n" for path in sorted(folder.iterdir()))


# ------------------------------------------------------------------------------- reading what others wrote
def read_bytes(path: Path, limit: int = 2**28, follow: bool = True) -> bytes:
    """Read a regular file; a pipe or a device, which may keep a reader waiting, is refused.

    Args:
        limit: most bytes that it may have.
        follow: whether it may be a link to another file.

    Raises:
        UserError: it cannot be read, is too large, or is no regular file.
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | (0 if follow else getattr(os, "O_NOFOLLOW", 0))
    try:
        with open(os.open(path, flags), "rb") as file:
            state = os.fstat(file.fileno())
            if not stat.S_ISREG(state.st_mode):
                raise UserError(f"Cannot read {path}: it is not a file.")
            if state.st_size > limit:
                raise UserError(f"Cannot read {path}: it is larger than {limit / 2**20:g} MiB.")
            return file.read(limit)
    except (OSError, ValueError) as error:
        link = getattr(error, "errno", 0) == errno.ELOOP
        said = "it is a link" if link else getattr(error, "strerror", None) or error
        raise UserError(f"Cannot read {path} ({said}).") from error


def read_json(path: Path, limit: int = 2**28, follow: bool = True) -> Any:
    """Read a JSON file as `read_bytes` reads; NaN becomes None.

    Raises:
        UserError: the file is missing, cannot be read or is not JSON.
    """
    data = read_bytes(path, limit, follow)
    try:
        return json.loads(data.decode("utf-8-sig"), parse_constant=lambda _: None)
    except (ValueError, RecursionError, MemoryError) as error:
        raise UserError(f"{path} is not valid JSON ({error}).") from error


def read_table(path: Path, cells: int = 10**8) -> pd.DataFrame:
    """Read a parquet file of a run folder that others may have written.

    Args:
        cells: most values that it may have; a few hundred bytes can stand for billions.

    Raises:
        UserError: it is a link, damaged, or too large.
    """
    import pandas
    import pyarrow
    import pyarrow.parquet

    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            raise UserError(f"Cannot read {path}: it is not a file.")
        metadata = pyarrow.parquet.read_metadata(path)
        if metadata.num_rows * max(metadata.num_columns, 1) > cells:
            raise UserError(f"Cannot read {path}: it has more than {cells:,} values.")
        return pandas.read_parquet(path)
    except (OSError, ValueError, pyarrow.ArrowException, RecursionError, MemoryError) as error:
        raise UserError(f"Cannot read {path} ({reason(error)}).") from error


def check_no_links(folder: Path) -> None:
    """Check that nothing in a folder leads a writer out of it or keeps it waiting.

    Raises:
        UserError: there is a link, a pipe or a device.
    """
    for parent, folders, names in os.walk(folder):
        for name in (*folders, *names):
            mode = os.lstat(os.path.join(parent, name)).st_mode
            if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISSOCK(mode)):
                inside = (Path(parent) / name).relative_to(folder)
                raise UserError(
                    f"{folder} holds {inside}, which is a link or a pipe, and nothing is written through"
                    " those: delete it, or the whole folder."
                )


def remove(path: Path) -> None:
    """Delete a file, a link (not what it leads to), or a folder with all that is in it."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


# ------------------------------------------------------------------------------- text and JSON
def no_link(path: str, flags: int) -> int:
    """For `open(…, opener=no_link)`: a link to another file is refused by the operating system."""
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o666)


def append_line(path: Path, line: str) -> None:
    """Append one line and hand it to the disk; a line that does not fit is taken back."""
    with explain_write_error(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "ab", buffering=0, opener=no_link) as file:
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
