"""What a model's folder holds, looked at before anything of it is loaded."""

from __future__ import annotations

import json
import math
import os
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from workbench.engine import gguf
from workbench.engine.models import CHAT_TEMPLATE
from workbench.errors import UserError

_ONE, _INDEX = "model.safetensors", "model.safetensors.index.json"
# Of damaged ones transformers takes no notice, or says nothing that helps.
_SETTINGS = ("generation_config", "tokenizer_config", "special_tokens_map", "added_tokens")
_REPEATED = re.compile(r"(layers?|blocks?|experts?|^depth)$")  # what settings count modules by
# Put in front of names, or into them, by torch.compile, FSDP, DataParallel and peft.
_WRAPPERS = (
    r"_orig_mod\.",
    r"_fsdp_wrapped_module\.",
    r"_checkpoint_wrapped_module\.",
    r"^module\.",
    r"^base_model\.model\.",
)
_BUFFER = re.compile(r"inv_freq$|(cos|sin)_cached$|position_ids$|masked_bias$|(attn|attention)\.bias$")
_GROWTH = 100  # characters that a tokenizer may make of one
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

    config, card, sizes = _read_json(folder / "config.json"), _card(folder), Counter[str]()
    for file in weight_files(folder):
        with safe_open(file, "np") as weights:
            for part in map(weights.get_slice, weights.keys()):
                sizes[part.get_dtype()] += math.prod(part.get_shape())
    template = folder / "chat_template.jinja"
    settings = folder / "tokenizer_config.json"
    chat = _read_json(settings).get("chat_template") if settings.is_file() else None
    chat = template.read_text(encoding="utf-8") if template.is_file() else chat
    return Facts(
        sum(sizes.values()),
        str(config.get("model_type", "")),
        str(card.get("quantization") or max(sizes, key=sizes.get, default="")),
        str(card.get("license") or ""),
        chat not in (None, CHAT_TEMPLATE),
    )


def _card(folder: Path) -> dict[str, Any]:
    """The settings at the head of a model's README.md, as the hub has them."""
    path = folder / "README.md"
    with suppress(OSError, ValueError, yaml.YAMLError):
        if match := _CARD.match(path.read_text(encoding="utf-8")[:10_000]):
            settings = yaml.safe_load(match[1])
            return settings if isinstance(settings, dict) else {}
    return {}


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


def check_folder(folder: Path) -> None:
    """Whether a folder holds a configuration, a tokenizer and whole weights, all of one model.

    Raises:
        UserError: it does not; one sentence says what is missing or broken.
    """
    if (folder / "adapter_config.json").is_file():  # transformers would load the base that it names
        raise UserError(_adapter(folder))
    if not (folder / "config.json").is_file():
        inner = sorted(str(path.parent) for path in folder.glob("*/config.json"))
        inner = inner or sorted(str(path.parent) for path in folder.glob("*/*/config.json"))
        hint = f": did you mean {inner[0]}?" if inner else "."
        raise UserError(f"{folder} holds no model (no config.json){hint}")
    if not any((folder / name).is_file() for name in ("tokenizer.json", "tokenizer.model", "vocab.json")):
        raise UserError(f"{folder} holds no tokenizer (no tokenizer.json): save one beside the model.")
    for path in (folder / f"{name}.json" for name in _SETTINGS):
        if path.is_file():
            _read_json(path)
    _check_growth(folder / "tokenizer.json")
    shapes = weight_shapes(folder)
    most = max(1000, 4 * len(shapes))
    for name, number in _numbers(_read_json(folder / "config.json")):
        if number > most and _REPEATED.search(name.lower()):
            raise UserError(
                f"{folder}/config.json says {name}={number:,}, and there are {len(shapes):,} weights "
                "beside it: it belongs to another model."
            )


def weight_shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """The names and shapes of the weights in a folder, read from the heads of its files.

    Raises:
        UserError: there are none, or a file is missing or cut short.
    """
    from safetensors import SafetensorError, safe_open

    shapes = {}
    for file in weight_files(folder):
        try:
            with safe_open(file, "np") as weights:  # no data are read, so torch is not wanted
                names = weights.keys()
                shapes |= {name: tuple(weights.get_slice(name).get_shape()) for name in names}
        except (SafetensorError, OSError) as error:
            raise UserError(
                f"The model in {folder} cannot be loaded: {file.name} is cut short or damaged ({error}). "
                "Copy it again."
            ) from error
    return shapes


def weight_files(folder: Path) -> list[Path]:
    """The files that transformers reads the weights from.

    Raises:
        UserError: there are none, two sets of them, or the index names a file that is not there.
    """
    one, index = folder / _ONE, folder / _INDEX
    if not one.is_file() and not index.is_file():
        others = sorted(path.name for path in folder.glob("*.safetensors"))
        if others:
            raise UserError(
                f"{folder} holds {others[0]}, but no {_ONE} and no {_INDEX}: rename or convert it."
            )
        raise UserError(f"{folder} holds no safetensors weights: convert them, pickles are not loaded.")
    if not index.is_file():
        return [one]
    parts = _read_json(index).get("weight_map")
    if not isinstance(parts, dict) or not all(isinstance(part, str) for part in parts.values()):
        raise UserError(f"{index} names no files of weights (weight_map): copy it again.")
    names = sorted(set(parts.values()))
    if one.is_file():
        if names not in ([_ONE], []):
            raise UserError(f"{folder} holds both {_ONE} and {_INDEX} of other files: remove the older ones.")
        return [one]
    missing = [name for name in names if Path(name).name != name or not (folder / name).is_file()]
    if missing or not names:
        raise UserError(
            f"{folder} lacks {len(missing)} of the {len(names)} files of weights that {_INDEX} names"
            f"{f' ({missing[0]})' if missing else ''}: copy them too."
        )
    return [folder / name for name in names]


def check_memory(folder: Path, device: str) -> None:
    """Whether the weights fit into the memory that is free.

    Raises:
        UserError: they do not.
    """
    n_weights = sum(math.prod(shape) for shape in weight_shapes(folder).values())
    config = _read_json(folder / "config.json")
    widths = {"float32": 4, "float16": 2, "bfloat16": 2}
    # On the CPU weights become float32.
    width = 4 if device == "cpu" else widths.get(str(config.get("dtype") or config.get("torch_dtype")))
    needed = n_weights * width if width else sum(file.stat().st_size for file in weight_files(folder))
    free = free_memory()
    if device.startswith("cuda"):
        import torch

        free = torch.cuda.mem_get_info(device)[0]
        free += torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    if needed > free:
        raise UserError(
            f"The model in {folder} needs {needed / 1e9:.1f} GB of memory, and {free / 1e9:.1f} GB are free: "
            "take a smaller model, or a machine with more memory."
        )


def check_names(source: str, report: dict[str, Any]) -> None:
    """Whether transformers took all weights of the files, and all of the model from them.

    Args:
        report: transformers' `output_loading_info`, in which tied heads and known leftovers do not count.

    Raises:
        UserError: it did not; the sentence names some.
    """
    missing, left = (
        sorted(name for name in report[f"{kind}_keys"] if not _BUFFER.search(name))
        for kind in ("missing", "unexpected")
    )
    if not missing and not left and not report["error_msgs"]:
        return
    parts = [f"missing are {_some(missing)}"] if missing else []
    parts += [f"left over are {_some(left)}"] if left else []
    parts = parts or [" ".join(report["error_msgs"])[:300]]
    tied = len(missing) == 1 and missing[0].endswith(("lm_head.weight", "embed_out.weight")) and not left
    hint = "set tie_word_embeddings to true if the head is the embedding, " if tied else ""
    raise UserError(
        f"The weights in {source} are not those of the model that its config.json describes: "
        f"{'; '.join(parts)}. Copy both anew, {hint}or save the model again."
    )


def renaming(report: dict[str, Any], n_weights: int) -> dict[str, str]:
    """What to take out of the names of weights (regular expression: nothing) that wrappers have prefixed.

    Args:
        report: as in `check_names`.
        n_weights: of the model; a prefix that nobody knows has to stand before all of them.
    """
    missing, left = report["missing_keys"], report["unexpected_keys"]
    if not missing or not left:
        return {}
    known = [pattern for pattern in _WRAPPERS if any(re.search(pattern, name) for name in left)]
    first = {name.partition(".")[0] for name in left}
    if not known and len(first) == 1 and len(missing) > 0.9 * n_weights:
        known = [rf"^{re.escape(first.pop())}\."]
    return dict.fromkeys(known, "")


def check_shapes(folder: str) -> None:
    """Whether the weights may hold the largest matrix that the configuration beside them describes.

    Raises:
        UserError: it is larger than all of them; transformers would first fill the memory with it.
    """
    largest = max(map(math.prod, _described_shapes(folder).values()))
    if largest > 4 * sum(map(math.prod, weight_shapes(Path(folder)).values())):  # which may be packed
        raise UserError(other_shapes(folder))


def other_shapes(source: str) -> str:
    """The sentence about weights whose shapes are not those that the configuration describes."""
    sentence = f"The weights in {source} have other shapes than its config.json describes"
    if Path(source).exists():
        described = _described_shapes(source)
        for name, shape in weight_shapes(Path(source)).items():
            if shape != described.get(name, shape):
                sentence += f" ({name}: {list(shape)} for {list(described[name])})"
                break
    return f"{sentence}: one of the two belongs to another model."


def _described_shapes(folder: str) -> dict[str, tuple[int, ...]]:
    """The names and shapes of the weights of the model that a configuration describes."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    own = {"trust_remote_code": False}  # else transformers asks the keyboard
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder, **own), **own)
    return {name: tuple(value.shape) for name, value in model.state_dict().items()}


def _some(names: list[str]) -> str:
    return ", ".join(names[:2]) + (f" and {len(names) - 2} more" if len(names) > 2 else "")


def check_known(name: str) -> None:
    """Whether a hub id can be loaded: it is in the cache, or the hub answers.

    Raises:
        UserError: neither, or the name cannot be an id.
    """
    from huggingface_hub import try_to_load_from_cache

    if not is_hub_id(name):
        raise UserError(f"There is no folder {name[:300]!r}.")
    if not isinstance(try_to_load_from_cache(name, "config.json"), str) and not hub_answers():
        raise UserError(
            f"{name!r} is no folder here, not in the cache of the Hugging Face hub, and the hub cannot be "
            "reached: check the name (`workbench models` lists what is here) and the network."
        )


def is_hub_id(name: str) -> bool:
    """Whether a name can be a model's on the Hugging Face hub."""
    return bool(re.fullmatch(r"[\w-][\w.-]*(/[\w.-]+)?", name)) and len(name) <= 96


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


def free_memory() -> int:
    """Bytes that programs can still use: of this machine, or of the container around this process."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        table = Path("/proc/meminfo").read_text(encoding="ascii")
        pages = 1024 * int(re.search(r"MemAvailable:\s+(\d+)", table)[1])
        group = Path("/sys/fs/cgroup")
        limit, used = (int((group / f"memory.{name}").read_text()) for name in ("max", "current"))
    except (OSError, ValueError, TypeError):  # no such files, or no limit
        return pages
    return min(pages, limit - used)


def _adapter(folder: Path) -> str:
    base = None
    with suppress(UserError):
        base = _read_json(folder / "adapter_config.json").get("base_model_name_or_path")
    beside = " beside a model" if (folder / "config.json").is_file() else " alone"
    return (
        f"{folder} holds an adapter{beside} (adapter_config.json): merge it into {base or 'its base model'} "
        "and save all of it (merge_and_unload of peft), or give the base model."
    )


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path} cannot be read ({error}): copy it again.") from error
    if not isinstance(content, dict):
        raise UserError(f"{path} is damaged (it holds no settings): copy it again.")
    return content


def _numbers(settings: Any, name: str = "") -> Iterator[tuple[str, int]]:
    """Every whole number in nested settings, by the name nearest to it."""
    if isinstance(settings, dict):
        for key, value in settings.items():
            yield from _numbers(value, key)
    elif isinstance(settings, int) and not isinstance(settings, bool):
        yield name, settings


def _check_growth(path: Path) -> None:
    """Whether a tokenizer's replacements leave texts at about their length."""
    if not path.is_file():
        return
    tokenizer = _read_json(path)
    for part in ("normalizer", "decoder"):
        if _growth(tokenizer.get(part)) > _GROWTH:
            raise UserError(
                f"{path} is damaged: its {part} makes more than {_GROWTH} characters of one. Copy it again."
            )


def _growth(step: Any) -> float:
    """How many characters a step of a tokenizer may make of one."""
    if not isinstance(step, dict):
        return 1
    growth = 1.0
    for inner in step.get("normalizers") or step.get("decoders") or []:
        growth *= _growth(inner)
    if step.get("type") == "Replace":
        pattern, content = step.get("pattern") or {}, step.get("content") or ""
        literal, expression = (pattern.get(kind) or "" for kind in ("String", "Regex"))
        if literal:
            growth = max(1.0, len(content) / len(literal))
        else:
            growth = max(1, len(content) + _matches_nothing(expression))
    return growth


def _matches_nothing(expression: str) -> bool:
    """Whether a regular expression also matches between two characters, which stay."""
    try:  # Python knows no classes of Unicode
        plain = re.compile(re.sub(r"\\[pP]\{[^}]*\}", r"\\w", expression))
    except re.error:
        return True
    return any(match.end() == match.start() for match in plain.finditer("ab 1."))
