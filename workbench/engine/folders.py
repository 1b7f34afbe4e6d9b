"""Folders and files that are whole or not there."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import UserError

if TYPE_CHECKING:
    import pandas as pd


@contextmanager
def replacing(folder: str | Path) -> Iterator[Path]:
    """A temporary folder that takes the place of `folder` when the block ends well."""
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
            f"The model could not be written to {folder} ({error}): make room or choose another folder."
        ) from error
    finally:
        for rest in (new, old):
            shutil.rmtree(rest, ignore_errors=True)


def take_up(folder: Path) -> None:
    """Finish a replacement that a kill cut short between its renames, and remove what a kill left behind."""
    olds = list(folder.parent.glob(f".{folder.name}.*.old"))
    for old in olds:
        new = old.with_suffix(".new")
        if not folder.exists():
            (new if new.exists() else old).rename(folder)
    for rest in [*olds, *folder.parent.glob(f".{folder.name}.*.new")]:
        shutil.rmtree(rest, ignore_errors=True)


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
    found = [(path.name, path.stat()) for path in sorted(folder.iterdir())]
    return "".join(f"{name} {stat.st_size} {stat.st_mtime_ns}\n" for name, stat in found)


def write_json(path: Path, content: Any) -> None:
    """Write a file that is whole or not there, also when several machines write it at once."""
    new = path.with_name(f".{path.name}.{secrets.token_hex(4)}.new")
    try:
        with new.open("w") as file:
            json.dump(content, file)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)


def kept(path: Path, make: Callable[[], pd.DataFrame]) -> pd.DataFrame:
    """The table in a parquet file; made if it is not there, and written whole or not at all.

    Raises:
        UserError: it cannot be written (permissions, full disk).
    """
    import pandas

    if not path.exists():
        table = make()
        with whole_file(path) as new:
            table.to_parquet(new, index=False)
    return pandas.read_parquet(path)


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A temporary name for a file, which takes the place of `path` when the block ends well.

    Raises:
        UserError: it cannot be written (permissions, full disk).
    """
    new = path.with_name(f".{path.name}.{os.getpid()}.new")
    with writable(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield new
            sync(new)
            new.replace(path)
        finally:
            new.unlink(missing_ok=True)


@contextmanager
def writable(path: Path) -> Iterator[None]:
    """Says in one sentence that a file could not be written."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"{path} could not be written ({error}): make room and run again to go on."
        ) from error


@contextmanager
def without_bars() -> Iterator[None]:
    """Silence transformers' progress bars, which take longer to draw than a small model to load or write."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()
