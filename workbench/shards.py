"""A folder of numbered shards that several processes fill, every shard whole or not there.

`manifest.json` says what the shards depend on; `total.json` is there once a process has seen every item.
"""

import hashlib
from collections.abc import Iterable, Iterator
from itertools import count, islice
from pathlib import Path
from typing import Any, TypeVar

from workbench.errors import UserError
from workbench.files import read_json, write_json

Part = tuple[int, int]
"""(i, n): the i-th of n processes, from 0, which takes every n-th shard."""
Item = TypeVar("Item")


def open_folder(folder: Path, manifest: dict[str, Any], what: str) -> None:
    """Note what the shards depend on, or compare it with what those in the folder were made with.

    Args:
        manifest: name → value, as JSON keeps it.
        what: the shards hold, for messages.

    Raises:
        UserError: they were made with something else, or the folder cannot be written.
    """
    path = folder / "manifest.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            write_json(path, manifest)
            return
        before = read_json(path)
    except (OSError, UserError) as error:
        raise UserError(f"{folder} cannot be used for {what} ({error}): choose another folder.") from error
    before = before if isinstance(before, dict) else {}
    differing = sorted(name for name in manifest if before.get(name) != manifest[name])
    if differing:
        raise UserError(
            f"{folder} holds {what} with another {', '.join(differing)}: delete it or choose another."
        )


def assigned_shards(
    folder: Path, items: Iterable[Item], size: int, part: Part
) -> Iterator[tuple[int, list[Item]]]:
    """(number, items) of the shards that this process makes; all items are read, and then counted.

    Raises:
        UserError: there are no items, or the folder cannot be written.
    """
    stream, n_items = iter(items), 0
    for number in count():
        shard = list(islice(stream, size))
        if not shard:
            break
        n_items += len(shard)
        if number % part[1] == part[0]:
            yield number, shard
    if not n_items:
        raise UserError(f"There is nothing to put into {folder}: the data is empty.")
    write_json(folder / "total.json", {"items": n_items, "shards": number})


def n_shards(folder: Path) -> int:
    """How many shards there are to be, 0 where nobody has seen everything yet.

    Raises:
        UserError: what the folder says of them cannot be read.
    """
    total = folder / "total.json"
    content = read_json(total) if total.exists() else {}
    shards = content.get("shards", 0) if isinstance(content, dict) else None
    if not isinstance(shards, int):
        raise UserError(f"{total} is damaged: delete it and give the command again.")
    return shards


def digest(*parts: str) -> str:
    """A short hash of texts in their order."""
    joined = "".join(f"{len(part)}:{part}" for part in parts)
    return hashlib.sha256(joined.encode(errors="surrogatepass")).hexdigest()[:16]
