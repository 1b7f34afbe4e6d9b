"""What a model's folder or file says of it, and whether it can be used, before anything of it is loaded."""

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from workbench.engine import gguf
from workbench.engine.gguf_header import read_header
from workbench.engine.memory import check_memory
from workbench.engine.model_files import check_folder, read_settings, weight_files
from workbench.engine.models import CHAT_TEMPLATE, CONTEXT_NAMES
from workbench.sources import located

_CARD = re.compile(r"---\n(.*?)\n---", re.DOTALL)  # the settings before the text of a model's README.md


@dataclass(frozen=True)
class Facts:
    """What a model's folder says of it before any of it is loaded."""

    n_parameters: int  #: weights in its files; one that two modules share is there once
    family: str  #: transformers' name of its architecture
    stored: str  #: the type of most of its weights, such as BF16, or Q4_1 of a GGUF file
    licence: str  #: as its card says; "" where that says nothing
    is_chat: bool  #: whether it brings a chat template that does more than put texts in a row


def facts(folder: Path) -> Facts:
    """What a folder says of its model; no weights are read.

    Raises:
        UserError: there are no whole weights in it, or no configuration.
    """
    from safetensors import safe_open

    config, card, sizes = read_settings(folder / "config.json"), _card(folder), Counter[str]()
    for file in weight_files(folder):
        with safe_open(file, "np") as weights:
            for part in map(weights.get_slice, weights.keys()):
                sizes[part.get_dtype()] += math.prod(part.get_shape())
    return Facts(
        sum(sizes.values()),
        str(config.get("model_type", "")),
        str(card.get("quantization") or max(sizes, key=sizes.__getitem__, default="")),
        str(card.get("license") or ""),
        is_chat(folder),
    )


def is_chat(path: Path) -> bool:
    """Whether a model's folder or GGUF file brings a chat template that does more than put texts in a row.

    Raises:
        UserError: as `gguf.read_header`, or the tokenizer's settings are damaged.
    """
    if file := gguf.file_in(path):
        return read_header(file).is_chat
    template, settings = path / "chat_template.jinja", path / "tokenizer_config.json"
    if template.is_file():
        return template.read_text(encoding="utf-8") != CHAT_TEMPLATE
    return settings.is_file() and read_settings(settings).get("chat_template") not in (None, CHAT_TEMPLATE)


def context_of(source: str) -> int | None:
    """How many tokens a model reads at once; None where its settings set no limit, or are not here.

    Raises:
        UserError: they are damaged.
    """
    return _number(_text_settings(source), CONTEXT_NAMES)


def layers_and_neurons(source: str) -> tuple[int | None, int | None]:
    """How many layers a model has, and neurons in each; None where its settings do not say, or are not here.

    Raises:
        UserError: they are damaged.
    """
    settings = _text_settings(source)
    layers = _number(settings, ("num_hidden_layers", "n_layer", "num_layers"))
    return layers, _number(settings, ("intermediate_size", "n_inner", "ffn_dim"))


def _text_settings(source: str) -> dict[str, Any]:
    """Settings of the part of a model that reads and writes text; none where it is in no folder here."""
    config = Path(located(source)).expanduser() / "config.json"
    settings = read_settings(config) if config.is_file() else {}
    return settings.get("text_config") or settings


def _number(settings: Mapping[str, Any], names: Sequence[str]) -> int | None:
    """The first of some settings that is a whole number above 0."""
    numbers = (settings.get(name) for name in names)
    return next((number for number in numbers if isinstance(number, int) and number > 0), None)


def check_here(path: Path, on_cpu: bool = True) -> None:
    """Whether a path holds a whole model that fits into the memory; quickly, and without torch for folders.

    Args:
        on_cpu: where it is to be loaded; of a GPU the memory is not asked for here.

    Raises:
        UserError: as `check_folder`, `check_memory` and `gguf.check_file`.
    """
    if file := gguf.file_in(path):
        gguf.check_file(file)
        return
    check_folder(path)
    if on_cpu:
        check_memory(path, "cpu")


def _card(folder: Path) -> dict[str, Any]:
    """The settings at the head of a model's README.md, as the hub has them."""
    path = folder / "README.md"
    with suppress(OSError, ValueError, yaml.YAMLError):
        if match := _CARD.match(path.read_text(encoding="utf-8")[:10_000]):
            settings = yaml.safe_load(match[1])
            return settings if isinstance(settings, dict) else {}
    return {}
