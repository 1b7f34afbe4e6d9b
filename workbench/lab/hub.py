"""Which revision of a model or data set of the Hugging Face hub a run reads, as far as the cache tells."""

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from workbench.sources import parse

UNKNOWN = "unknown"
_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}(/[A-Za-z0-9][\w.-]{0,95})?", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40}")


def revisions(values: Iterable[Any]) -> dict[str, str]:
    """Hub ids among the values of parameters, each with the commit that the cache holds of it.

    Returns:
        Id to commit; "unknown" for what looks like an id, a name within a name, but is not in the cache.
    """
    ids = [source.name for text in _texts(values) for source in parse(text) if _ID.fullmatch(source.name)]
    known = {name: _commit(name) for name in dict.fromkeys(ids) if not os.path.exists(name)}
    return {name: commit or UNKNOWN for name, commit in known.items() if commit or "/" in name}


def is_offline() -> bool:
    """Whether the hub's libraries read their cache alone, so that it is known beforehand what they read."""
    words = (os.environ.get(name, "") for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"))
    return any(word.lower() in ("1", "true", "yes", "on") for word in words)


def _texts(values: Iterable[Any]) -> Iterator[str]:
    for value in values:
        if isinstance(value, str):
            yield value
        elif isinstance(value, list):
            yield from _texts(value)


def _commit(name: str) -> str | None:
    for kind in ("models", "datasets"):
        path = _cache() / f"{kind}--{name.replace('/', '--')}" / "refs" / "main"
        try:
            commit = path.read_text(encoding="ascii").strip()
        except (OSError, ValueError):
            continue
        if _COMMIT.fullmatch(commit):
            return commit
    return None


def _cache() -> Path:
    """Where the hub's library keeps what it fetched (huggingface_hub.constants, too slow to import here)."""
    given = os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE")
    caches = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    home = os.environ.get("HF_HOME") or os.path.join(caches, "huggingface")
    return Path(given or os.path.join(home, "hub")).expanduser()
