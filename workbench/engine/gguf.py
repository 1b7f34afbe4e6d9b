"""GGUF files, as llama.cpp reads them: dequantized once into a folder, and used as any folder is."""

from __future__ import annotations

import hashlib
import importlib.util
import math
import mmap
import os
import re
import shutil
import struct
from collections.abc import Mapping
from contextlib import redirect_stderr, suppress
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version as installed
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from filelock import FileLock

from workbench.errors import UserError, reason
from workbench.files import atomic_folder, explain_write_error, recover_folder, version
from workbench.sources import parts_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_STRING, _ARRAY = 8, 9
_NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_NO_DECODERS = ("general", "tokenizer", "t5", "umt5")  # transformers lists them beside the decoders
# What llama.cpp splits texts by before it merges bytes (`tokenizer.ggml.pre`), where transformers' rule for
# all files (GPT-2's) is not the one: each digit apart, then GPT-2's.
_DIGITS = ("smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b")
_GPT2 = ("gpt-2", "gpt2", "mpt", "olmo", "jais", "trillion", "granite-docling", "phi-2", "roberta-bpe")


@dataclass(frozen=True)
class Tensor:
    """One tensor of a file: its shape as torch has it, ggml's number of its kind, where its bytes begin."""

    shape: tuple[int, ...]
    kind: int
    offset: int


@dataclass(frozen=True)
class Header:
    """All of a GGUF file but its weights.

    Attributes:
        fields: the settings by their names; of a list of texts only its length.
        tensors: by name, of all parts.
    """

    file: Path
    fields: dict[str, Any]
    tensors: dict[str, Tensor]

    @property
    def architecture(self) -> str:
        return str(self.fields["general.architecture"])

    @property
    def n_parameters(self) -> int:
        return sum(math.prod(tensor.shape) for tensor in self.tensors.values())

    @property
    def quantization(self) -> str:
        """The kind that most of the weights have, such as Q4_1."""
        from gguf import GGMLQuantizationType

        sizes: dict[int, int] = {}
        for tensor in self.tensors.values():
            sizes[tensor.kind] = sizes.get(tensor.kind, 0) + math.prod(tensor.shape)
        # Of the layers: the embedding, most of a small model, is often kept finer.
        inner = {tensor.kind for name, tensor in self.tensors.items() if name.startswith("blk.")}
        return GGMLQuantizationType(max(inner & sizes.keys() or sizes, key=lambda kind: sizes[kind])).name

    @property
    def is_chat(self) -> bool:
        return "tokenizer.chat_template" in self.fields


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


def read_header(file: Path) -> Header:
    """The header of a GGUF file and of the parts that follow it.

    `gguf.GGUFReader` takes seconds for the words of a vocabulary, which are stepped over here.

    Raises:
        UserError: a part is missing, or a file is cut short, damaged, of another version, or has weights of
            a kind that nobody can dequantize.
    """
    parts = parts_of(file)
    missing = [part.name for part in parts if not part.is_file()]
    if missing:
        raise UserError(f"{file} is one of {len(parts)} parts, and {missing[0]} is missing: copy it too.")
    read = [_read(part) for part in parts]
    tensors = {name: tensor for _, tensors, _ in read for name, tensor in tensors.items()}
    return Header(parts[0], read[0][0], tensors)


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
    _check_extra()
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
    _check_extra()
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


def _target(file: Path) -> Path:
    name = re.sub(r"-00001-of-\d{5}$", "", file.stem)
    return cache_folder() / f"{name}-{_digest(file)[:16]}"


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
    from workbench.engine.model_files import free_memory

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


# ------------------------------------------------------------------------------- reading
def _check_extra() -> None:
    if importlib.util.find_spec("gguf") is None:
        raise UserError('A GGUF file needs the extra: pip install "small-model-workbench[gguf]"')


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


def _read(file: Path) -> tuple[dict[str, Any], dict[str, Tensor], tuple[int, int]]:
    """Settings, tensors, and where the settings end and the data begin."""
    try:
        with open(file, "rb") as opened:
            data = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)
        with data:
            if data[:4] != MAGIC:
                raise UserError(f"{file} is no GGUF file: it does not begin with GGUF.")
            _check_extra()
            number, n_tensors, n_fields = struct.unpack_from("<IQQ", data, 4)
            if number not in _VERSIONS:
                raise UserError(f"{file} is GGUF of a version that is not read here: convert it anew.")
            cursor = _Cursor(data, 24)
            fields = {cursor.text(): cursor.value(*cursor.numbers("I")) for _ in range(n_fields)}
            ends = cursor.position
            tensors = {cursor.text(): cursor.tensor() for _ in range(n_tensors)}
            step = fields.get("general.alignment", 32)
            begins = -(-cursor.position // step) * step
            size = len(data)
    except UserError:
        raise
    except (OSError, ValueError, TypeError, struct.error, OverflowError, ZeroDivisionError) as error:
        raise UserError(f"{file} is cut short or damaged ({reason(error)}): copy it again.") from error
    whole = begins + max((each.offset + _n_bytes(file, each) for each in tensors.values()), default=0)
    if size < whole:
        raise UserError(
            f"{file} is cut short: it has {size / 1e6:,.1f} MB of {whole / 1e6:,.1f} MB. Copy it again."
        )
    if "general.architecture" not in fields and parts_of(file)[0] == file:
        raise UserError(f"{file} does not say of which architecture it is: convert it anew.")
    return fields, tensors, (ends, begins)


def _n_bytes(file: Path, tensor: Tensor) -> int:
    from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

    name = str(tensor.kind)
    with suppress(ValueError):
        kind = GGMLQuantizationType(tensor.kind)
        name, (block, width) = kind.name, GGML_QUANT_SIZES[kind]
        if _is_known(tensor.kind, width):
            return math.prod(tensor.shape) // block * width
    raise UserError(
        f"{file} is quantized in a way that cannot be read here ({name}): take another quantization, such as "
        "Q8_0 or Q4_K_M, or the model's own folder."
    )


@lru_cache
def _is_known(kind: int, width: int) -> bool:
    import numpy
    from gguf import GGMLQuantizationType, dequantize

    try:
        dequantize(numpy.zeros((1, width), numpy.uint8), GGMLQuantizationType(kind))
    except NotImplementedError:
        return False
    return True


class _Cursor:
    """Steps through a header; what lies behind the end of the file raises struct.error."""

    def __init__(self, data: mmap.mmap, position: int) -> None:
        self.data, self.position = data, position

    def numbers(self, kinds: str) -> tuple[Any, ...]:
        values = struct.unpack_from(f"<{kinds}", self.data, self.position)
        self.position += struct.calcsize(f"<{kinds}")
        return values

    def text(self) -> str:
        return self.skip().decode()

    def skip(self) -> bytes:
        (length,) = self.numbers("Q")
        (text,) = self.numbers(f"{length}s")
        return text

    def value(self, kind: int) -> Any:
        if kind == _STRING:
            return self.text()
        if kind != _ARRAY:
            return self.numbers(_known(kind))[0]
        kind, count = self.numbers("IQ")
        if kind != _STRING:
            return list(self.numbers(f"{count}{_known(kind)}"))
        for _ in range(count):
            self.skip()
        return count

    def tensor(self) -> Tensor:
        (dimensions,) = self.numbers("I")
        shape = self.numbers(f"{dimensions}Q")
        return Tensor(tuple(reversed(shape)), *self.numbers("IQ"))


def _known(kind: int) -> str:
    if kind not in _NUMBERS:
        raise ValueError(f"a setting of the unknown kind {kind}")
    return _NUMBERS[kind]


# ------------------------------------------------------------------------------- writing
def write_folder(head: Header, folder: Path, about: Mapping[str, str] | None = None) -> None:
    """Write the model of a file into a folder, by transformers.

    Args:
        about: for its card, in place of what the file says or besides: license, source.

    Raises:
        UserError: as `folder_of`.
    """
    import torch
    from transformers import AutoModelForCausalLM

    from workbench.engine.loading import without_bars
    from workbench.engine.model_files import check_names

    alone = folder / ".gguf"  # nothing else that lies beside the file shall be read
    alone.mkdir()
    file = alone / "model.gguf"
    if len(parts := parts_of(head.file)) > 1:
        _join(parts, file)
    else:
        file.symlink_to(head.file.absolute())
    options = {"gguf_file": file.name, "local_files_only": True, "trust_remote_code": False}
    try:
        with without_bars(), redirect_stderr(StringIO()):  # tqdm's own bar
            tokenizer = _tokenizer(head, alone, options)
            model, report = AutoModelForCausalLM.from_pretrained(
                str(alone), dtype=torch.float32, output_loading_info=True, **options
            )
    except (ValueError, KeyError, TypeError, NotImplementedError, RuntimeError, AttributeError) as error:
        raise UserError(f"transformers cannot read {head.file} ({reason(error)}).") from error
    check_names(str(head.file), report)
    n_read = sum(weight.numel() for weight in model.parameters())
    if n_read != head.n_parameters:
        raise UserError(
            f"transformers reads {n_read:,} of the {head.n_parameters:,} weights in {head.file}, so that the "
            "model would be another one: take the model's own folder."
        )
    _make_plain(model)
    ends = {model.config.eos_token_id, head.fields.get("tokenizer.ggml.eot_token_id")} - {None}
    model.generation_config.eos_token_id = sorted(ends) if len(ends) > 1 else next(iter(ends), None)
    with without_bars(), redirect_stderr(StringIO()):
        model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    shutil.rmtree(alone)
    card = {"license": head.fields.get("general.license"), **(about or {})}
    card |= {"dequantized_from": head.file.name, "quantization": head.quantization}
    card = {name: value for name, value in card.items() if value}
    settings = yaml.safe_dump(card, allow_unicode=True)
    text = f"---\n{settings}---\nDequantized by transformers {installed('transformers')}.\n"
    (folder / "README.md").write_text(text, encoding="utf-8")


def _make_plain(model: PreTrainedModel) -> None:
    """Forget that the weights were quantized, which they no longer are: else they could not be saved."""
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.hf_quantizer = None


def _tokenizer(head: Header, folder: Path, options: dict[str, Any]) -> PreTrainedTokenizerFast:
    """The file's tokenizer, which splits texts as the file says."""
    from tokenizers import pre_tokenizers
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(str(folder), **options)
    split = head.fields.get("tokenizer.ggml.pre")
    if head.fields.get("tokenizer.ggml.model") != "gpt2" or split in (*_GPT2, *_splits()):
        return tokenizer
    if split in _DIGITS:
        backend = tokenizer.backend_tokenizer
        digits = pre_tokenizers.Digits(individual_digits=True)
        backend.pre_tokenizer = pre_tokenizers.Sequence(
            [digits, pre_tokenizers.ByteLevel(add_prefix_space=False)]
        )
    else:
        print(
            f"{head.file.name} splits texts as {split!r}, which transformers does not know: GPT-2's way is "
            "taken, so that some tokens may be others than the model has read."
        )
    return tokenizer


def _splits() -> set[str]:
    """The ways to split texts that transformers knows by name."""
    with suppress(ImportError):  # of newer versions
        from transformers.integrations.gguf import gguf_tokenizer_mapping as own

        return {*own.GGUF_PRE_TOKENIZER_SPLITS}
    return set()


def _join(parts: list[Path], file: Path) -> None:
    """One file of several parts: the first one's settings, all tensors, all data."""
    heads = [_read(part) for part in parts]
    ends = heads[0][2][0]
    step = heads[0][0].get("general.alignment", 32)
    table, offset = b"", 0
    for part, (_, tensors, (_, begins)) in zip(parts, heads, strict=True):
        for name, tensor in tensors.items():
            shape, text = tuple(reversed(tensor.shape)), name.encode()
            table += struct.pack(f"<Q{len(text)}sI{len(shape)}Q", len(text), text, len(shape), *shape)
            table += struct.pack("<IQ", tensor.kind, offset + tensor.offset)
        offset += -(-(part.stat().st_size - begins) // step) * step
    n_tensors = sum(len(tensors) for _, tensors, _ in heads)
    with open(file, "wb") as joined, open(parts[0], "rb") as first:
        head = bytearray(first.read(ends))
        struct.pack_into("<Q", head, 8, n_tensors)
        joined.write(head + table)
        for part, (_, _, (_, begins)) in zip(parts, heads, strict=True):
            joined.write(bytes(-joined.tell() % step))
            with open(part, "rb") as opened:
                opened.seek(begins)
                shutil.copyfileobj(opened, joined)
