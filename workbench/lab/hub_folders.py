"""What the hub is given of a run: its models and its tables, each in a folder with a card."""

import re
import shutil
from dataclasses import replace
from fnmatch import fnmatch
from math import prod
from pathlib import Path
from typing import Any

from workbench import files
from workbench.errors import UserError
from workbench.lab import cards, exports
from workbench.lab.digests import map_texts

_WEIGHTS = ("model*.safetensors", "adapter_model.safetensors")
_TAKEN = (
    *_WEIGHTS, "*.safetensors.index.json", "config.json", "generation_config.json", "adapter_config.json",
    "tokenizer*", "special_tokens_map.json", "added_tokens.json", "vocab.*", "merges.txt",
    "chat_template.jinja",
)  # fmt: skip
_ON_THE_WAY = ("checkpoints", "averages")  # folders of models that no claim is about


def write(folder: Path, repo: str, target: Path) -> dict[str, Path]:
    """Write what would be uploaded: one folder for the models of a run, one for its tables.

    Args:
        folder: Of the run.
        repo: The id that both will have on the hub, where models and data sets have rooms of their own.
        target: A folder, empty or not there yet.

    Returns:
        Kind of repository (model, dataset) to its folder.

    Raises:
        UserError: The run has neither models nor tables, or the target cannot be written.
    """
    written = {}
    with files.explain_write_error(target):
        if models := _copy_models(folder, target / "model"):
            written["model"] = target / "model"
            _write_card(target / "model", cards.model_card(folder, repo, models))
        if tables := _write_tables(folder, target / "dataset"):
            written["dataset"] = target / "dataset"
            _write_card(target / "dataset", cards.data_card(folder, tables))
    if not written:
        raise UserError(f"{folder.parent.name}/{folder.name} has neither models nor tables to push.")
    return written


def _models(folder: Path) -> dict[str, Path]:
    """The models that a run ended with: name to folder."""
    root, models = folder / "artifacts", {}
    configs = (*root.rglob("config.json"), *root.rglob("adapter_config.json"))
    for model in sorted({path.parent for path in configs}):
        parts = [re.sub(r"[^\w.-]+", "-", part) for part in model.relative_to(root).parts]
        has_weights = any(path for form in _WEIGHTS for path in model.glob(form))
        if has_weights and not {*parts} & {*_ON_THE_WAY}:
            short = "/".join(part for part in parts if part not in ("model", "models")) or "model"
            models["/".join(parts) if short in models else short] = model
    return models


def _copy_models(folder: Path, target: Path) -> dict[str, int]:
    """Copy the models, one alone to the top; the name of each, with its number of parameters."""
    files.check_no_links(folder)
    models = _models(folder)
    for name, model in models.items():
        copy = target if len(models) == 1 else target / name
        copy.mkdir(parents=True, exist_ok=True)
        for path in sorted(model.iterdir()):
            if path.is_file() and any(fnmatch(path.name, form) for form in _TAKEN):
                _copy(path, copy / path.name)
    return {name: _n_parameters(model) for name, model in models.items()}


def _copy(path: Path, target: Path) -> None:
    """Copy a file of a model; what says where it came from names no place on this machine."""
    if path.name.endswith("config.json"):
        files.write_json(target, map_texts(files.read_json(path), cards.without_place))
    else:
        shutil.copyfile(path, target)


def _n_parameters(model: Path) -> int:
    from safetensors import safe_open

    total = 0
    for path in (path for form in _WEIGHTS for path in model.glob(form)):
        with safe_open(path, "numpy") as weights:
            total += sum(prod(part.get_shape()) for part in map(weights.get_slice, weights.keys()))
    return total


def _write_tables(folder: Path, target: Path) -> dict[str, exports.Sheet]:
    """Write claims, metrics and tables as parquet; nothing where there are only parameters."""
    tables = {}
    for sheet in exports.sheets(folder):
        if sheet.name == "parameters" or not len(sheet.frame):
            continue
        texts = [name for name in sheet.frame if sheet.frame[name].dtype.kind == "O"]
        clean = {name: sheet.frame[name].map(_public_cell) for name in texts}
        sheet = replace(sheet, frame=sheet.frame.assign(**clean))
        exports.write_parquet(sheet, target / f"{sheet.name}.parquet")
        tables[sheet.name] = sheet
    return tables


def _public_cell(value: Any) -> Any:
    return cards.without_place(value) if isinstance(value, str) else value


def _write_card(folder: Path, card: Any) -> None:
    files.atomic_write(folder / "README.md", files.encoded(str(card)))
