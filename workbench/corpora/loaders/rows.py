"""Rows from outside: files of several formats (see `formats`), a folder of them (see `splits`), the hub.

Every fault of the input ends as one `UserError`, with the line where there is one.
"""

import math
import os
import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from workbench import sources
from workbench.corpora.loaders.formats import SAVED, of_file, suffix
from workbench.corpora.loaders.splits import SPLITS, canonical, choose
from workbench.errors import UserError, nearest
from workbench.sources import Source

FORMATS = (".jsonl", ".json", ".parquet", SAVED)
TABLES = (*FORMATS, ".csv")  # where rows have names but no nesting
_LONGEST_REASON = 600  # characters of what is wrong with a row
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
        raise UserError(f"{where} {str(error)[:_LONGEST_REASON]}.") from error


def text_of(value: Any) -> str | None:
    """A text or a number as stripped text, whole numbers without ".0"; None of anything else."""
    if isinstance(value, float) and math.isfinite(value):
        value = int(value) if value.is_integer() else value
    elif not isinstance(value, (str, int)) or isinstance(value, bool):
        return None
    return str(value).encode("utf-8", "replace").decode().strip()


def name_of(value: Any, what: str) -> str:
    """The text of an id or a name: whole numbers as such, however a table writes them.

    Raises:
        Malformed: it is no text and no whole number, or a number that has lost its last digits.
    """
    if isinstance(value, float) and not (value.is_integer() and abs(value) < 2**53):
        raise Malformed(f"has {what} {value!r}, which is no whole number that is kept exactly: write a text")
    text = text_of(value)
    if not text:
        raise Malformed(
            f"lacks {what}" if value in (None, "") else f"has {what} {value!r:.40}, which is no text"
        )
    return text


def check_limit(limit: int | None, things: str) -> None:
    """Refuses to load less than one.

    Raises:
        UserError: the limit is below 1.
    """
    if limit is not None and limit < 1:
        raise UserError(f"The number of {things} to load must be 1 or more, not {limit}.")


def of_source(
    text: str, limit: int | None = None, formats: Sequence[str] = FORMATS, default: str = "train"
) -> Iterator[tuple[str, Any]]:
    """(where, row) of every row of the files, folders and hub data sets that a text names.

    Args:
        text: see `workbench.sources`; without kinds.
        limit: how many rows of the hub are wanted (it is streamed then).
        formats: of files that are read: FORMATS, or TABLES.
        default: split of a folder or hub data set that names none.

    Raises:
        UserError: nothing there, a wrong or broken format, or the hub out of reach.
    """
    for source in parsed(text, ()):
        yield from of_one(source, limit, formats, default)


def of_one(
    source: Source, limit: int | None = None, formats: Sequence[str] = FORMATS, default: str = "train"
) -> Iterator[tuple[str, Any]]:
    """As `of_source`, of a single source that has been taken apart; its kind is not looked at."""
    files, hub = find(source, formats, default)
    single = Path(source.name).expanduser().is_dir()
    for path in files:
        yield from of_file(path, single)
    if hub is not None:
        yield from of_hub(hub, limit)


def parsed(text: str, kinds: Collection[str]) -> list[Source]:
    """The sources that a text names.

    Raises:
        UserError: it names none.
    """
    found = sources.parse(text, kinds)
    if not found:
        raise UserError(f"{text!r} names no file: give a path, or several with commas between them.")
    return found


def find(source: Source, formats: Sequence[str], default: str = "train") -> tuple[list[Path], Source | None]:
    """(files of these formats, None), or (no files, a data set on the hub with its split).

    Raises:
        UserError: there is nothing, or it is of another format.
    """
    name = os.path.expanduser(source.name)
    path = Path(name)
    if _is_there(name) and (os.path.isdir(name)):
        return choose(source, formats, default), None
    if _is_there(name):
        if source.split is not None:
            raise UserError(
                f"{path} is one file and has no split: leave {str(source).rpartition(name)[2]} out."
            )
        if suffix(path) not in formats:
            raise UserError(f"{path} has a format that is not read here; known are {', '.join(formats)}.")
        return [path], None
    if is_of_hub(source, formats):
        return [], replace(source, kind=None, split=canonical(source.split or default))
    written = str(replace(source, kind=None))
    raise UserError(f"There is no file or folder {written}.{_near_kind(written) or _near(path)}")


def is_of_hub(source: Source, formats: Sequence[str]) -> bool:
    """Whether a source is a data set of the hub: nothing here has its name, which is an id's.

    Args:
        source: that has been taken apart.
        formats: of files that are read: a name with such an ending is a file's.
    """
    name = os.path.expanduser(source.name)
    if _is_there(name) or not _HUB.fullmatch(name):
        return False
    return not Path(name.split("/")[0]).is_dir() and suffix(Path(name)) not in formats


def _is_there(name: str) -> bool:
    try:
        return os.path.exists(name)
    except ValueError:  # a null byte
        return False


def of_hub(source: Source, limit: int | None) -> Iterator[tuple[str, Any]]:
    """(where, row) of a hub data set, streamed when only some are wanted."""
    from datasets import get_dataset_config_names, load_dataset
    from huggingface_hub import HfApi
    from huggingface_hub.constants import HF_HUB_OFFLINE
    from huggingface_hub.errors import RepositoryNotFoundError

    name, configuration, split = source.name, source.configuration, source.split
    try:
        if not HF_HUB_OFFLINE:
            HfApi().dataset_info(name, timeout=10)  # fails at once, where load_dataset retries for long
        known = []
        with suppress(Exception):  # load_dataset says what is wrong, and may have a copy here
            known = get_dataset_config_names(name)
        if configuration is None and split in known and split not in SPLITS:
            configuration, split = split, "train"
        if configuration is None and len(known) > 1 and "default" not in known:
            raise UserError(
                f"The data set {name} has several configurations ({', '.join(known[:8])}): "
                f"name one, as in {name}:{known[0]}:{split}."
            )
        rows = load_dataset(name, configuration, split=split, streaming=limit is not None)
        for number, row in enumerate(rows, start=1):
            yield f"{name}:{split} row {number}", row
    except UserError:
        raise
    except RepositoryNotFoundError as error:
        raise UserError(f"There is no file {name} here, and no public data set {name} on the hub.") from error
    except Exception as error:  # the hub's clients raise errors of three libraries
        raise UserError(
            f"The data set {name}:{split} could not be fetched from the hub ({type(error).__name__}): check "
            "the network and the split, or give a local copy (a folder, .txt, .jsonl, .json or .parquet)."
        ) from error


def _near_kind(written: str) -> str:
    """The kind that may be meant by what stands before the first colon."""
    kind, colon, rest = written.partition(":")
    near = nearest(kind, sources.KINDS) if colon else None
    return f" Did you mean {near}:{rest}?" if near else ""


def _near(path: Path) -> str:
    try:
        names = os.listdir(path.parent)
    except (OSError, ValueError):
        return f" The folder {path.parent} does not exist either."
    near = nearest(path.name, names)
    return f" Did you mean {path.parent / near}?" if near else ""
