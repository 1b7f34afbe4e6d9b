"""Load models from folders and the hub, checked beforehand, and save them whole."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.engine.models import SHAPES, near
from workbench.errors import UserError
from workbench.files import atomic_folder

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerFast


def load(source: str | Path, device: str = "auto") -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """Model (evaluation mode) and tokenizer from a folder or a hub id; code and pickles in it are never run.

    Args:
        source: a folder with `config.json`, `*.safetensors` and a tokenizer, or a hub id such as `org/name`.
        device: a torch device, or `auto` for the GPU if there is one. On the CPU weights become float32,
            where sampling in bf16 is slower; on a GPU they keep the checkpoint's type.

    Raises:
        UserError: nothing loadable is there, or the hub cannot be reached.
    """
    device = pick_device(device)
    model, tokenizer = _from_pretrained(source, device)
    return model.to(device).eval(), tokenizer


def check(source: str | Path) -> tuple[PretrainedConfig, PreTrainedTokenizerFast]:
    """Configuration and tokenizer of a model that is there to `load`; no weights are read.

    Raises:
        UserError: as `load`.
    """
    return _from_pretrained(source, None)


def pick_device(device: str) -> str:
    """The device itself, or for `auto` the GPU if there is one.

    Raises:
        UserError: a GPU is asked for and there is none, or the name means nothing to torch.
    """
    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"device={device!r} cannot be used here: take auto or cpu.") from error
    return device


def _from_pretrained(source: str | Path, device: str | None) -> tuple[Any, Any]:
    """Model and tokenizer; without a device the configuration instead of the model."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    source = _resolve(str(source))
    options = {"local_files_only": is_offline(source), "trust_remote_code": False}
    try:
        with without_bars():
            tokenizer = AutoTokenizer.from_pretrained(source, **options)
            if device is None:
                return AutoConfig.from_pretrained(source, **options), tokenizer
            dtype = torch.float32 if torch.device(device).type == "cpu" else "auto"
            model = AutoModelForCausalLM.from_pretrained(source, use_safetensors=True, dtype=dtype, **options)
    except Exception as error:  # transformers raises OSError, ValueError, httpx and safetensors errors alike
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        if Path(source).exists():
            raise UserError(f"The model in {source} cannot be loaded: {first}") from error
        raise UserError(
            f"{source!r} is no folder here and could not be loaded from the Hugging Face hub "
            f"(check the id and the network, or give the path of a downloaded folder): {first}"
        ) from error
    try:
        model.generation_config.validate(strict=True)
    except ValueError:  # a temperature without sampling, as in the first Llama chats: it could not be saved
        model.generation_config.do_sample = True
    return model, tokenizer


def is_offline(source: str) -> bool:
    """Whether a model is to be loaded without the hub: from a folder, or because the hub does not answer."""
    return Path(source).exists() or not hub_answers()


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


def _resolve(source: str) -> str:
    """A folder's path or a hub id."""
    if source.startswith("tiny:"):
        kind = "a shape without weights: train it first" if source in SHAPES else "not a preset"
        raise UserError(f"{source!r} is {kind}{near(source, SHAPES) if source not in SHAPES else ''}.")
    folder = Path(source).expanduser()
    if folder.exists():
        _check_folder(folder)
        return str(folder)
    if not re.fullmatch(r"[\w-][\w.-]*(/[\w.-]+)?", source):
        raise UserError(f"There is no folder {source!r}.")
    return source


def _check_folder(folder: Path) -> None:
    if not (folder / "config.json").is_file():
        inner = sorted(str(path.parent) for path in folder.glob("*/config.json"))
        inner = inner or sorted(str(path.parent) for path in folder.glob("*/*/config.json"))
        hint = f": did you mean {inner[0]}?" if inner else "."
        raise UserError(f"{folder} holds no model (no config.json){hint}")
    if not any((folder / name).is_file() for name in ("tokenizer.json", "tokenizer.model", "vocab.json")):
        raise UserError(f"{folder} holds no tokenizer (no tokenizer.json): save one beside the model.")
    if not any(folder.glob("*.safetensors")):
        raise UserError(f"{folder} holds no safetensors weights: convert them, pickles are not loaded.")


def save(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, folder: str | Path) -> None:
    """Write a folder that `AutoModelForCausalLM` and vLLM load; an older one stays until it is whole.

    Raises:
        UserError: the folder cannot be written (permissions, full disk).
    """
    with atomic_folder(folder) as new, without_bars():
        model.save_pretrained(new)
        tokenizer.save_pretrained(new)


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
