"""Which revision of a model or data set of the Hugging Face hub a run reads: the hub's, or the cache's."""

import os
import re
import time
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from workbench.sources import located, models_in, parse

UNKNOWN = "unknown"
_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}(/[A-Za-z0-9][\w.-]{0,95})?", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40}")


def revisions(values: Iterable[Any]) -> dict[str, str]:
    """Hub ids among the values of parameters, each with the commit that the cache holds of it.

    Returns:
        Id to commit; "unknown" for what looks like an id, a name within a name, but is not in the cache.
    """
    known = {name: _cached(name) for name in _ids(values)}
    return {name: commit or UNKNOWN for name, commit in known.items() if commit or "/" in name}


def planned_revisions(params: Any) -> dict[str, str]:
    """Hub ids among a notebook's parameters, each with the commit that would be read now.

    That is the newest on the hub; where the hub does not answer, or is not to be asked, the cache's: what is
    then read. A bare name, such as gpt2, is asked for where a parameter names a model.
    """
    values = params.model_dump().values()
    known = revisions(values)
    if not is_offline():
        bare = {name for _, name in models_in(params) if _ID.fullmatch(name)} & {*_ids(values)}
        address = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
        known |= _newest(tuple(sorted({*known} | bare)), address, int(time.time() // 60))
    return known


def is_offline() -> bool:
    """Whether the hub's libraries read their cache alone, so that it is known beforehand what they read."""
    words = (os.environ.get(name, "") for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"))
    return any(word.lower() in ("1", "true", "yes", "on") for word in words)


def _ids(values: Iterable[Any]) -> list[str]:
    """What may be an id of the hub and is nothing here."""
    names = (source.name for text in _texts(values) for source in parse(text))
    return [
        name for name in dict.fromkeys(names) if _ID.fullmatch(name) and not os.path.exists(located(name))
    ]


def _texts(values: Iterable[Any]) -> Iterator[str]:
    for value in values:
        if isinstance(value, str):
            yield value
        elif isinstance(value, list):
            yield from _texts(value)


@lru_cache(maxsize=8)
def _newest(names: tuple[str, ...], address: str, minute: int) -> dict[str, str]:
    """The newest commits of ids that a hub knows; asked once a minute, since one command plans many times.

    By plain requests: the hub's own client repeats each of its for half a minute where nothing answers.
    """
    if not names:
        return {}
    import httpx
    from huggingface_hub import get_token

    token, commits = get_token(), {}
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        with httpx.Client(headers=headers, timeout=3, follow_redirects=True) as client:
            for name in names:
                pages = (client.get(f"{address}/api/{kind}/{name}") for kind in ("models", "datasets"))
                page = next((page for page in pages if page.is_success), None)
                commit = page and page.json().get("sha")
                if isinstance(commit, str) and _COMMIT.fullmatch(commit):
                    commits[name] = commit
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, AttributeError):
        return commits  # the others are read from the cache
    return commits


def _cached(name: str) -> str | None:
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
