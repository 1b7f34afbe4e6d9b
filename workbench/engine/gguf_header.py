"""The headers of GGUF files: what is in them, whether they are whole, and their parts as one file."""

from __future__ import annotations

import importlib.util
import math
import mmap
import shutil
import struct
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from workbench.errors import UserError, reason
from workbench.sources import parts_of

MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_STRING, _ARRAY = 8, 9
_NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}


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


def check_extra() -> None:
    """Raises a UserError where the extra is not installed."""
    if importlib.util.find_spec("gguf") is None:
        raise UserError('A GGUF file needs the extra: pip install "small-model-workbench[gguf]"')


def _read(file: Path) -> tuple[dict[str, Any], dict[str, Tensor], tuple[int, int]]:
    """Settings, tensors, and where the settings end and the data begin."""
    try:
        with open(file, "rb") as opened:
            data = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)
        with data:
            if data[:4] != MAGIC:
                raise UserError(f"{file} is no GGUF file: it does not begin with GGUF.")
            check_extra()
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


def join(parts: list[Path], file: Path) -> None:
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
