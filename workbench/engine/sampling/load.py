"""A sampler by its name, so that one parameter of a notebook chooses where text comes from."""

import importlib.util
import os

import torch

from workbench.engine.loading import load, resolve
from workbench.engine.models import near
from workbench.engine.sampling.openai_sampler import ChatSampler, ServerSampler
from workbench.engine.sampling.sampler import Sampler
from workbench.engine.sampling.transformers_sampler import Precision, TransformersSampler
from workbench.engine.sampling.vllm_sampler import VllmSampler
from workbench.engine.sampling.vllm_server import VllmServerSampler
from workbench.errors import UserError
from workbench.sanitize import redact, sanitize

SCHEMES = ("transformers", "vllm", "openai", "openai-chat")


def sampler(spec: str, device: str = "auto", dtype: Precision = "auto") -> Sampler:
    """The sampler that a name says; what its draws depend on is printed, and so kept with the run's notebook.

    Args:
        spec: `transformers:FOLDER_OR_HUB_ID` (or the folder or id alone), `vllm:FOLDER_OR_HUB_ID` (with the
            vLLM of this environment if it can run here, else from `vllm_server`), `openai:URL#MODEL` (any
            OpenAI-compatible server continues the prompt) or `openai-chat:URL#MODEL` (the prompt is a user's
            message, the completion the reply).
        device: of the transformers sampler; see `models.load`.
        dtype: of the transformers sampler; see there.

    Raises:
        UserError: there is no such kind of sampler, no model in it, or what it needs is not installed.
    """
    scheme, colon, rest = spec.partition(":")
    if not colon or os.path.exists(spec) or scheme == "tiny":  # models.load explains what a preset is
        scheme, rest = "transformers", spec
    if scheme in ("http", "https"):
        raise UserError(
            f"A server is named openai:URL#MODEL: write openai:{redact(spec.partition('#')[0])}#MODEL."
        )
    if scheme not in SCHEMES:
        raise UserError(
            f"There is no sampler {scheme!r}{near(scheme, SCHEMES)}, or a model's folder or hub id alone."
        )
    if scheme.startswith("openai"):
        url, _, model = rest.rpartition("#")
        if not url or not model:
            raise UserError(
                f"{redact(spec)!r} names no model: write {scheme}:http://127.0.0.1:8000/v1#MODEL."
            )
        source = (ServerSampler if scheme == "openai" else ChatSampler)(url, model)
    elif not rest:
        raise UserError(f"{spec!r} names no model: write {scheme}:FOLDER or {scheme}:HUB_ID.")
    elif scheme == "transformers":
        source = TransformersSampler(*load(rest, device), dtype=dtype)
        if source.dtype == torch.float32:  # it draws as `Sampler` promises, and there is nothing to say
            return source
    else:
        source = (VllmSampler if _vllm_is_here() else VllmServerSampler)(resolve(rest))
    print(f"{sanitize(redact(spec))}: {source.determinism}")
    return source


def _vllm_is_here() -> bool:
    if importlib.util.find_spec("vllm") is None:
        return False
    from vllm.platforms import current_platform

    return not current_platform.is_unspecified()  # the GPU build imports anywhere, and runs nowhere else
