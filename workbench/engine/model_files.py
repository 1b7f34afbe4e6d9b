"""What a model's folder holds, looked at before anything of it is loaded."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

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
    if (folder / "modules.json").is_file():
        raise UserError(f"{folder} holds a sentence encoder, which writes no text: give a decoder here.")
    if not any((folder / name).is_file() for name in ("tokenizer.json", "tokenizer.model", "vocab.json")):
        raise UserError(f"{folder} holds no tokenizer (no tokenizer.json): save one beside the model.")
    for path in (folder / f"{name}.json" for name in _SETTINGS):
        if path.is_file():
            read_settings(path)
    _check_growth(folder / "tokenizer.json")
    shapes = weight_shapes(folder)
    most = max(1000, 4 * len(shapes))
    for name, number in _numbers(read_settings(folder / "config.json")):
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
    parts = read_settings(index).get("weight_map")
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


def _adapter(folder: Path) -> str:
    base = None
    with suppress(UserError):
        base = read_settings(folder / "adapter_config.json").get("base_model_name_or_path")
    beside = " beside a model" if (folder / "config.json").is_file() else " alone"
    return (
        f"{folder} holds an adapter{beside} (adapter_config.json): merge it into {base or 'its base model'} "
        "and save all of it (merge_and_unload of peft), or give the base model."
    )


def read_settings(path: Path) -> dict[str, Any]:
    """A file of settings in JSON; raises a UserError where it is damaged."""
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
    tokenizer = read_settings(path)
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
