"""GGUF files, as llama.cpp reads them: dequantized once into a folder, and used as any folder is."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from contextlib import suppress
from functools import lru_cache
from importlib.metadata import version as installed
from pathlib import Path

from filelock import FileLock

from workbench.engine.gguf_folder import write_folder
from workbench.engine.gguf_header import MAGIC, Header, check_extra, read_header
from workbench.engine.memory import free_memory
from workbench.errors import UserError
from workbench.files import atomic_folder, explain_write_error, recover_folder, version
from workbench.sources import parts_of

_NO_DECODERS = ("general", "tokenizer", "t5", "umt5")  # transformers lists them beside the decoders


def file_in(source: Path) -> Path | None:
    """The GGUF file (its first part) that a path names: itself, or the only one in a folder without a model.

    Raises:
        UserError: a file that is no GGUF, or a folder of several.
    """
    if source.is_file():
        if source.open("rb").read(4) != MAGIC:
            raise UserError(
                f"{source} is no GGUF file (it does not begin with GGUF): give one, or a model's folder."
            )
        return parts_of(source)[0]
    if (source / "config.json").exists() or (source / "adapter_config.json").exists():
        return None
    files = sorted({parts_of(path)[0] for path in source.glob("*.gguf")})
    if len(files) > 1:
        names = ", ".join(path.name for path in files[:3])
        raise UserError(f"{source} holds {len(files)} GGUF files ({names}): give the path of one.")
    return files[0] if files else None


def check(head: Header) -> None:
    """Whether transformers reads the model of a file whole and in the right way.

    Raises:
        UserError: it is of an architecture that it does not know, or has scaled positions, which it ignores.
    """
    known, name = _architectures(), re.sub("[-_]", "", head.architecture)
    if name not in known:
        raise UserError(
            f"{head.file} is of the architecture {head.architecture!r}, which transformers does not read "
            f"from GGUF (it reads {', '.join(sorted(known))}): take the model's own folder."
        )
    scaling = head.fields.get(f"{head.architecture}.rope.scaling.type", "none") != "none"
    if (scaling or "rope_freqs.weight" in head.tensors) and name != "gptoss":
        raise UserError(
            f"{head.file} scales its positions, which transformers leaves out when it reads GGUF, so that "
            "the model would be another one: take the model's own folder."
        )
    if not isinstance(head.fields.get("tokenizer.ggml.tokens"), int):
        raise UserError(f"{head.file} holds no tokenizer: take the model's own folder.")


def check_file(file: Path) -> None:
    """Whether a file's model can be used here; no weights are read.

    Raises:
        UserError: as `folder_of`, but for what only the weights show.
    """
    check_extra()
    head = read_header(file)
    if not _target(file).is_dir():
        check(head)
        check_room(head)


def folder_of(file: Path) -> Path:
    """The folder of a file's model, made by transformers the first time that a file of this content is met.

    It lies in `cache_folder` under the file's name and digest. Weights are float32, each exactly what
    transformers dequantizes; the tokenizer with its chat template is the file's.

    Raises:
        UserError: as `read_header` and `check`; the memory or the disk is too small, the folder cannot be
            written, or transformers does not read all of the file.
    """
    check_extra()
    target = _target(file)
    if target.is_dir():
        return target
    head = read_header(file)
    check(head)
    check_room(head)
    with explain_write_error(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(target.parent / f".{target.name}.lock")
        lock.acquire()
    try:
        if not target.is_dir():  # another process may have made it meanwhile
            recover_folder(target)
            print(f"Dequantizing {file} ({head.n_parameters / 1e6:.1f}M weights), which happens once …")
            with atomic_folder(target) as new:
                write_folder(head, new)
    finally:
        lock.release()
    return target


def cache_folder() -> Path:
    """Where dequantized models are kept: beside the runs of the project around, else in the user's cache."""
    runs = os.environ.get("WORKBENCH_RUNS")
    for above in (Path.cwd(), *Path.cwd().parents):
        if not runs and (above / "notebooks").is_dir():
            runs = str(above / "runs")
    if runs:
        return Path(runs).absolute() / ".models"
    caches = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(caches).expanduser() / "small-model-workbench/models"


def check_room(head: Header) -> None:
    """Whether the dequantized weights fit into the memory and onto the disk.

    Raises:
        UserError: they do not; with both numbers.
    """
    needed, free = 4 * head.n_parameters, free_memory()
    if needed > free:
        raise UserError(
            f"{head.file} needs {needed / 1e9:.1f} GB of memory (its {head.n_parameters / 1e6:,.0f}M weights "
            f"in float32), and {free / 1e9:.1f} GB are free: take a smaller model, or a machine with more."
        )
    cache = cache_folder()
    room = shutil.disk_usage(next(path for path in (cache, *cache.parents) if path.exists())).free
    if needed > room:
        raise UserError(
            f"{head.file} needs {needed / 1e9:.1f} GB on the disk once it is dequantized, and "
            f"{room / 1e9:.1f} GB are free in {cache}: make room, or set WORKBENCH_RUNS to another disk."
        )


def _target(file: Path) -> Path:
    name = re.sub(r"-00001-of-\d{5}$", "", file.stem)
    return cache_folder() / f"{name}-{_digest(file)[:16]}"


def _architectures() -> set[str]:
    from transformers import modeling_gguf_pytorch_utils as own

    names = {*own.GGUF_SUPPORTED_ARCHITECTURES} - {*_NO_DECODERS}
    with suppress(ImportError):  # a second way to read them, in newer versions
        from transformers.integrations.gguf import GGUF_CONFIG_ARCHS

        names |= {*GGUF_CONFIG_ARCHS}
    return {re.sub("[-_]", "", name) for name in names}


def _digest(file: Path) -> str:
    """Of the content of all parts, and of the version that dequantizes."""
    parts = [_digest_file(part, version(part)) for part in parts_of(file) if part.exists()]
    return hashlib.sha256(" ".join([*parts, installed("transformers")]).encode()).hexdigest()


@lru_cache(maxsize=64)
def _digest_file(path: Path, version: tuple[int, ...]) -> str:
    with open(path, "rb") as file:  # `version` is there for the cache alone
        return hashlib.file_digest(file, "sha256").hexdigest()
