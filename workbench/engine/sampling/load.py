"""A sampler by its name, so that one parameter of a notebook chooses where text comes from."""

import importlib.util

import torch

from workbench.engine.loading import load, resolve
from workbench.engine.named import split_spec
from workbench.engine.sampling.openai_sampler import ChatSampler, ServerSampler
from workbench.engine.sampling.sampler import Sampler
from workbench.engine.sampling.transformers_sampler import Precision, TransformersSampler
from workbench.engine.sampling.vllm_sampler import VllmSampler
from workbench.engine.sampling.vllm_server import VllmServerSampler
from workbench.sanitize import redact, sanitize


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
    scheme, rest = split_spec(spec)
    if scheme.startswith("openai"):
        url, _, model = rest.rpartition("#")
        source = (ServerSampler if scheme == "openai" else ChatSampler)(url, model)
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
    from vllm.platforms import current_platform  # pyright: ignore[reportMissingImports]  # optional

    return not current_platform.is_unspecified()  # the GPU build imports anywhere, and runs nowhere else
