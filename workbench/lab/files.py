"""Bytes on disk that survive a kill: atomic writes, digests, locks, and no secrets."""

import errno
import hashlib
import json
import math
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from filelock import FileLock

from workbench.errors import UserError

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_SECRETS = [
    (re.compile(r"(://)[^/@\s\"']+@"), r"\1***@"),
    (re.compile(r"(?i)((?:api[_-]?key|token|secret|password)=)[^&\s\"'#]+"), r"\1***"),
    (re.compile(r"\b(?:hf_|sk-)[A-Za-z0-9_-]{16,}"), "***"),
]


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn an operating system's refusal to write under `path` into one clear sentence.

    Raises:
        UserError: The disk is full, or the place cannot be written.
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
            f"Cannot write in {path.parent} ({error.strerror or error}): make it writable, or set"
            " WORKBENCH_RUNS to a folder that is."
        ) from error


def atomic_write(path: Path, data: bytes) -> None:
    """Write `data` so that `path` holds either all of it or what was there before, even after SIGKILL."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part{path.suffix}")
    with writing(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(temporary, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise


def encoded(text: str) -> bytes:
    """UTF-8; half a surrogate pair, which models do write, is spelled out as JSON would spell it."""
    return text.encode("utf-8", "backslashreplace")


def orphans(folder: Path) -> list[Path]:
    """Temporary files and folders (`engine.folders`) that killed processes left under a folder."""
    new = (path for path in folder.rglob(".*.new") if not path.with_suffix(".old").exists())  # else it counts
    return sorted([*folder.rglob(".*.part.*"), *new])


def write_json(path: Path, value: Any) -> None:
    """Write `value` atomically as readable JSON; NaN and infinities become null."""
    atomic_write(path, encoded(json.dumps(plain(value), indent=1, ensure_ascii=False) + "\n"))


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
    with writing(path):
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
            with writing(path):
                os.truncate(path, data.rfind(b"\n") + 1)


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


def canonical(value: Any) -> bytes:
    """JSON that is the same bytes for the same value."""
    return json.dumps(plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def digest(data: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def digest_path(path: Path) -> str:
    """SHA-256 of a file's bytes, or of a folder's file names and bytes (hidden files left out)."""
    if path.is_file():
        state = path.stat()
        return _digest_file(path.resolve(), state.st_size, state.st_mtime_ns)
    names = sorted(found for found in path.rglob("*") if found.is_file())
    names = [found for found in names if not any(p.startswith(".") for p in found.relative_to(path).parts)]
    return digest(canonical([[found.relative_to(path).as_posix(), digest_path(found)] for found in names]))


@lru_cache(maxsize=4096)
def _digest_file(path: Path, size: int, modified: int) -> str:
    # Size and time are there for the cache alone: several notebooks may name the same large file.
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def strip_credentials(text: str) -> str:
    """Blank passwords in URLs, key=… arguments and access tokens, before anything is kept."""
    for pattern, blank in _SECRETS:
        text = pattern.sub(blank, text)
    return text


def lock(folder: Path, role: str) -> FileLock:
    """The lock of a run folder, beside it (a copied folder carries no lock); role is "runner" or "writer"."""
    with writing(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
    # Not bound to a thread: a notebook may call finish() from another thread than start().
    return FileLock(folder.parent / f".{folder.name}.{role}.lock", thread_local=False)
