"""Gradient sketches of a corpus of any size in shards, which several processes fill and a kill leaves whole.

A folder of `shards` holds a safetensors file for every `SHARD` examples in order, with vectors as float16.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from tqdm.auto import tqdm

from workbench import shards
from workbench.engine.gradients.per_example import Sketches, prepare, read
from workbench.engine.gradients.reader import Reader
from workbench.engine.gradients.sketches import Method
from workbench.errors import UserError
from workbench.files import atomic_write

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

Example = tuple[str, str, str]
"""Id, prompt, completion."""
COLUMNS = ("vectors", "norms", "losses", "n_tokens")
SHARD = 1000  # examples, the most that a kill can lose


def sketch_file(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    examples: Iterable[Example],
    folder: str | Path,
    *,
    dimension: int = 1024,
    seed: int = 0,
    method: Method = "exact",
    truncate: bool = False,
    chat: bool = False,
    batch_tokens: int = 2048,
    part: shards.Part = (0, 1),
) -> None:
    """Sketches examples as they are read into `folder`; a call that was cut off goes on when repeated.

    Args:
        model: as the other settings, see `gradients.sketch`.
        examples: read once, and never held beyond a shard.
        folder: of the shards; several processes may write to one.
        part: of the shards, for this process.

    Raises:
        UserError: as `sketch`; the folder holds sketches of another model, tokenizer, data or setting, or it
            cannot be written.
    """
    folder = Path(folder)
    manifest = {
        "model": _model_digest(model),
        "tokenizer": shards.digest(tokenizer.backend_tokenizer.to_str(), str(tokenizer.chat_template)),
        "dimension": dimension,
        "seed": seed,
        "method": method,
        "truncate": truncate,
        "chat": chat,
    }
    shards.open_folder(folder, manifest, "sketches")
    reader = Reader(model, dimension, seed, method)
    read_once = tqdm(examples, desc="gradients", unit=" examples")
    for number, shard in shards.assigned_shards(folder, read_once, SHARD, part):
        path, digest = _path(folder, number), shards.digest(*(text for example in shard for text in example))
        written = _read(path)
        if written is not None and written[0]["examples"] != digest:
            raise UserError(f"{path} was made from other examples: choose another folder or delete this one.")
        if written is None:
            ids = [name for name, _, _ in shard]
            pairs = [(prompt, completion) for _, prompt, completion in shard]
            rows, n_truncated = prepare(model, tokenizer, pairs, ids, truncate=truncate, chat=chat)
            sketches = read(reader, rows, ids, n_truncated, batch_tokens)
            _write(path, sketches, {"examples": digest, "ids": json.dumps(ids)})


def read_sketches(folder: str | Path) -> tuple[list[str], Sketches]:
    """Ids and sketches of all examples in `folder`, in their order; vectors as float32.

    Raises:
        UserError: shards are missing or broken.
    """
    n_shards = shards.n_shards(Path(folder))
    if not n_shards:
        raise UserError(f"{folder} holds no finished sketches: run sketch_file to its end.")
    paths = [_path(Path(folder), number) for number in range(n_shards)]
    parts = [_read(path) for path in paths]
    if None in parts:
        raise UserError(f"{paths[parts.index(None)]} is missing or broken: run sketch_file again.")
    all_notes, all_tensors = zip(*parts, strict=True)
    columns = {name: np.concatenate([tensors[name].numpy() for tensors in all_tensors]) for name in COLUMNS}
    vectors = columns["vectors"].astype(np.float32)
    columns["vectors"] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    ids = [name for notes in all_notes for name in json.loads(notes["ids"])]
    return ids, Sketches(**columns, n_truncated=sum(int(notes["n_truncated"]) for notes in all_notes))


def _path(folder: Path, number: int) -> Path:
    return folder / f"shard-{number:06d}.safetensors"


def _read(path: Path) -> tuple[dict[str, str], dict[str, torch.Tensor]] | None:
    """Notes and tensors of a shard, or None where it is missing or half written."""
    from safetensors import SafetensorError, safe_open

    if not path.exists():
        return None
    try:
        with safe_open(path, "pt") as file:
            notes, names = file.metadata(), file.keys()
            tensors = {name: file.get_tensor(name) for name in names}
    except SafetensorError:
        return None
    return (notes, tensors) if notes and "examples" in notes else None


def _write(path: Path, sketches: Sketches, notes: dict[str, str]) -> None:
    from safetensors.torch import save

    tensors = {name: torch.from_numpy(getattr(sketches, name)) for name in COLUMNS}
    tensors["vectors"] = tensors["vectors"].half()
    atomic_write(path, save(tensors, {**notes, "n_truncated": str(sketches.n_truncated)}))


def _model_digest(model: PreTrainedModel) -> str:
    config = {k: v for k, v in model.config.to_dict().items() if k not in ("_name_or_path", "dtype")}
    total = hashlib.sha256(json.dumps(config, sort_keys=True, default=str).encode())
    for name, weight in model.named_parameters():
        total.update(name.encode())
        total.update(weight.detach().cpu().reshape(-1).view(torch.uint8).numpy().data)
    return total.hexdigest()[:16]
