"""Digests of values and of what stands on disk, and the locks of run folders."""

import hashlib
import json
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from filelock import FileLock

from workbench.errors import UserError
from workbench.files import explain_write_error, plain, version


def canonical(value: Any) -> bytes:
    """JSON that is the same bytes for the same value."""
    return json.dumps(plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def digest(data: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def digest_path(path: Path) -> str:
    """SHA-256 of a file's bytes, or of a folder's file names and bytes (hidden files left out).

    Raises:
        UserError: It cannot be read.
    """
    try:
        return _digest_path(path)
    except OSError as error:
        raise UserError(f"Cannot read {error.filename or path} ({error.strerror or error}).") from error


def _digest_path(path: Path) -> str:
    if path.is_file():
        return _digest_file(path.resolve(), version(path))
    pairs = [[file.relative_to(path).as_posix(), _digest_path(file)] for file in _files(path)]
    return digest(canonical(pairs))


def _files(folder: Path, above: tuple[Path, ...] = ()) -> Iterator[Path]:
    """The files that are not hidden, those behind links to folders too, as readers follow these."""
    above = (*above, folder.resolve())
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir():
            yield from () if path.resolve() in above else _files(path, above)  # a link may lead back up
        elif path.is_file():
            yield path


@lru_cache(maxsize=4096)
def _digest_file(path: Path, version: tuple[int, ...]) -> str:
    # The version is there for the cache alone: several notebooks may name the same large file.
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def map_texts(value: Any, change: Callable[[str], str]) -> Any:
    """JSON with every text in it changed, names of fields too."""
    if isinstance(value, dict):
        return {change(name): map_texts(entry, change) for name, entry in value.items()}
    if isinstance(value, list):
        return [map_texts(entry, change) for entry in value]
    return change(value) if isinstance(value, str) else value


def lock(folder: Path, role: str) -> FileLock:
    """The lock of a run folder, beside it (a copied folder carries no lock); role is "runner" or "writer"."""
    with explain_write_error(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
    path = lock_path(folder, role)
    if path.is_symlink():
        raise UserError(f"{path} is a link, and nothing is written through those: delete it.")
    # Not bound to a thread: a notebook may call finish() from another thread than start().
    return FileLock(path, thread_local=False)


def lock_path(folder: Path, role: str) -> Path:
    """Where the lock of a run folder lies."""
    return folder.parent / f".{folder.name}.{role}.lock"
