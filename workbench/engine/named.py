"""What the name of a model, a sampler or a device means, told without loading anything and without torch."""

import os
import re
import sys
from glob import glob
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from workbench.engine.facts import check_here, is_chat
from workbench.engine.hub import check_known
from workbench.engine.models import SHAPES
from workbench.engine.sampling.server import check_server
from workbench.errors import UserError, choices
from workbench.sanitize import redact
from workbench.sources import SAMPLERS, VLLM, located

_DEVICE = re.compile(r"(cpu|cuda|mps|xpu)(:\d+)?")


# ------------------------------------------------------------------------------- devices
def has_gpu() -> bool:
    """Whether this machine may have a GPU that torch calls cuda: of NVIDIA, of AMD, or behind Windows."""
    return sys.platform == "win32" or any(map(os.path.exists, ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")))


def is_on_cpu(device: str) -> bool:
    """Whether models that are loaded to a device lie in this machine's own memory."""
    return device == "cpu" or (device == "auto" and not has_gpu())


def check_device(device: str) -> None:
    """Whether a device may be there: what only torch can tell, it tells later.

    Raises:
        UserError: the name means nothing, or there is no such device on this machine.
    """
    kind, _, number = device.partition(":")
    if device != "auto" and not _DEVICE.fullmatch(device):
        raise UserError(f"device={device} names nothing that torch knows: take auto, cpu or cuda.")
    here = {"mps": sys.platform == "darwin", "cuda": has_gpu() and not version("torch").endswith("+cpu")}
    cards = glob("/dev/nvidia[0-9]*")
    beyond = kind == "cuda" and cards and int(number or 0) >= len(cards)
    if beyond or not here.get(kind, True):
        raise UserError(f"device={device} cannot be used here, where there is none: take auto or cpu.")


# ------------------------------------------------------------------------------- models
def check_model(name: str, on_cpu: bool, chats: bool = False) -> None:
    """Whether a model is there and whole, and has a chat template where it `chats`; without loading it.

    Args:
        name: a folder, a GGUF file, a hub id, or `starter`.
        on_cpu: whether it is to be loaded into this machine's own memory, and so must fit into it.
        chats: whether it is to converse.

    Raises:
        UserError: it is not; the sentence names it.
    """
    check_preset(name)
    path = Path(located(name)).expanduser()
    if not os.path.exists(path):  # pathlib raises for a name that is too long
        check_known(name)
        return
    check_here(path, on_cpu)
    if chats and not is_chat(path):
        raise UserError(
            f"{name} has no chat template (a base model): leave chat out, or take an instruct one."
        )


def check_preset(name: str) -> None:
    """Refuses what names no model that has weights: a preset, and nothing at all.

    Raises:
        UserError: it is one of these.
    """
    if name in SHAPES:
        raise UserError(f"{name!r} is a shape without weights: train it first.")
    if name.startswith("tiny:"):
        raise UserError(f"{name!r} is not a preset: {choices(name, SHAPES)}.")
    if not name.strip():
        raise UserError("No model is named: give a folder or a hub id.")


# ------------------------------------------------------------------------------- samplers
def split_spec(spec: str) -> tuple[str, str]:
    """A sampler's scheme, one of `SAMPLERS`, and what stands behind it: a model, or URL#MODEL.

    Raises:
        UserError: there is no such kind of sampler, or no model in it.
    """
    scheme, colon, rest = spec.partition(":")
    if not colon or os.path.exists(spec) or scheme == "tiny":  # `check_preset` explains what a preset is
        return "transformers", spec
    if scheme in ("http", "https"):
        raise UserError(
            f"A server is named openai:URL#MODEL: write openai:{redact(spec.partition('#')[0])}#MODEL."
        )
    if scheme not in SAMPLERS:
        raise UserError(
            f"There is no sampler {scheme!r}: {choices(scheme, SAMPLERS)}, or a model's folder or hub id "
            "alone."
        )
    if scheme.startswith("openai"):
        url, _, model = rest.rpartition("#")
        if not url or not model:
            raise UserError(
                f"{redact(spec)!r} names no model: write {scheme}:http://127.0.0.1:8000/v1#MODEL."
            )
    elif not rest:
        raise UserError(f"{spec!r} names no model: write {scheme}:FOLDER or {scheme}:HUB_ID.")
    return scheme, rest


def check_sampler(spec: str, on_cpu: bool) -> None:
    """Whether what a sampler needs is there: a whole model, vLLM, or the client of a server.

    Nothing is sent to a server, which may not run yet, or no longer where all its answers are kept.

    Args:
        spec: as `sampling.load.sampler` takes it.
        on_cpu: see `check_model`.

    Raises:
        UserError: it is not.
    """
    scheme, rest = split_spec(spec)
    if scheme.startswith("openai"):
        check_server(rest.rpartition("#")[0])
        return
    if scheme == "vllm" and find_spec("vllm") is None and not (VLLM / "bin" / "python").exists():
        raise without_vllm(rest)
    check_model(rest, on_cpu and scheme == "transformers")


def without_vllm(model: str) -> UserError:
    """What to do where a model is to be run by vLLM, and there is none."""
    return UserError(
        "vLLM is not installed: run `make vllm` in a checkout, elsewhere `python -m venv .venv-vllm` and"
        f" `.venv-vllm/bin/pip install vllm` in the project's folder, or use transformers:{model}."
    )
