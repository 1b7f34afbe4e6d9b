"""The Hugging Face hub: whether a name can be a model's there, and whether it answers."""

import re
from pathlib import Path

from workbench.engine.models import near
from workbench.errors import UserError
from workbench.sources import SAMPLERS


def check_known(name: str) -> None:
    """Whether a hub id can be loaded: it is in the cache, or the hub answers.

    Raises:
        UserError: neither, or the name cannot be an id.
    """
    from huggingface_hub import try_to_load_from_cache

    check_id(name)
    if not isinstance(try_to_load_from_cache(name, "config.json"), str) and not hub_answers():
        raise UserError(
            f"{name!r} is no folder here, not in the cache of the Hugging Face hub, and the hub cannot be "
            "reached: check the name (`workbench models` lists what is here) and the network."
        )


def check_id(name: str) -> None:
    """Whether a name that is no folder can be a model's on the Hugging Face hub.

    Raises:
        UserError: it cannot; where it looks like a sampler's, the one that is meant is named.
    """
    if not re.fullmatch(r"[\w-][\w.-]*(/[\w.-]+)?", name) or len(name) > 96:
        scheme, colon, _ = name[:300].partition(":")
        hint = f", and no sampler {scheme!r}{near(scheme, SAMPLERS)}" if colon else ""
        raise UserError(f"There is no folder {name[:300]!r}{hint}.")


def downloaded(name: str) -> Path:
    """A model's folder in the hub's cache, fetched where it is not there.

    Raises:
        UserError: as `check_known`.
    """
    from huggingface_hub import snapshot_download

    check_known(name)
    kinds = ["*.json", "*.safetensors", "*.model", "*.jinja", "*.txt", "*.md"]
    return Path(snapshot_download(name, allow_patterns=kinds))


def hub_answers() -> bool:
    """Whether the Hugging Face hub can be reached.

    One quick question: the hub's own client repeats each of its requests for half a minute.
    """
    import httpx
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return False
    try:
        httpx.head(constants.ENDPOINT, timeout=5)
    except httpx.HTTPError:
        return False
    return True
