"""The Hugging Face hub: whether a name can be a model's there, and whether it answers."""

import os
import re
from contextlib import suppress
from pathlib import Path

from workbench.errors import UserError, choices, nearest
from workbench.sources import SAMPLERS

# What anybody tries first: named where what was typed is near.
_WELL_KNOWN = ("gpt2", "distilgpt2", "HuggingFaceTB/SmolLM2-135M", "EleutherAI/pythia-70m",
               "roneneldan/TinyStories-33M", "Qwen/Qwen2.5-0.5B")  # fmt: skip


def check_known(name: str) -> None:
    """Whether a hub id can be loaded: it is in the cache, or the hub has it.

    Raises:
        UserError: neither, or the name cannot be an id; a near name is given.
    """
    import httpx
    from huggingface_hub import HfApi, try_to_load_from_cache
    from huggingface_hub.errors import RepositoryNotFoundError

    check_id(name)
    if isinstance(try_to_load_from_cache(name, "config.json"), str):
        return
    near = nearest(name, [*_WELL_KNOWN, *_beside(name)])
    meant = f" (did you mean {near}?)" if near else ""
    if not hub_answers():
        raise UserError(
            f"{name!r} is no folder here, not in the cache of the Hugging Face hub, and the hub cannot be "
            f"reached{meant}: check the name (`workbench models` lists what is here) and the network."
        )
    with suppress(httpx.HTTPError, OSError):  # it answers, but not this: whoever loads the model says why
        try:
            HfApi().model_info(name, timeout=5)
        except RepositoryNotFoundError as error:
            raise UserError(
                f"There is no folder {name!r} here, and no public model of that name on the Hugging Face hub"
                f"{meant}: check the name (`workbench models` lists what is here)."
            ) from error


def _beside(name: str) -> list[str]:
    """What lies where a name would lie if it were a path."""
    folder = Path(name).parent
    with suppress(OSError):
        return [str(path) for path in folder.iterdir()]
    return []


def check_data_set(name: str) -> None:
    """Whether a data set of the hub can be read: it is in a cache, or the hub has it.

    Raises:
        UserError: neither.
    """
    import httpx
    from huggingface_hub import HfApi, constants
    from huggingface_hub.errors import RepositoryNotFoundError

    caches = {Path(constants.HF_HUB_CACHE): f"datasets--{name.replace('/', '--')}",
              Path(os.environ.get("HF_DATASETS_CACHE") or Path(constants.HF_HOME) / "datasets"):
              name.replace("/", "___").lower()}  # fmt: skip
    if any((cache / folder).exists() for cache, folder in caches.items()):
        return
    if not hub_answers():
        raise UserError(
            f"There is no file or folder {name}, and the Hugging Face hub cannot be reached: check the name "
            "and the network."
        )
    with suppress(httpx.HTTPError, OSError):  # it answers, but not this: whoever reads the data says why
        try:
            HfApi().dataset_info(name, timeout=5)
        except RepositoryNotFoundError as error:
            raise UserError(
                f"There is no file {name} here, and no public data set {name} on the hub."
            ) from error


def check_id(name: str) -> None:
    """Whether a name that is no folder can be a model's on the Hugging Face hub.

    Raises:
        UserError: it cannot; where it looks like a sampler's, the one that is meant is named.
    """
    if not re.fullmatch(r"[\w-][\w.-]*(/[\w.-]+)?", name) or len(name) > 96:
        scheme, colon, _ = name[:300].partition(":")
        hint = f", and no sampler {scheme!r}: {choices(scheme, SAMPLERS)}" if colon else ""
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
