"""A sampler by its name, so that one parameter of a notebook chooses where text comes from."""

from __future__ import annotations

import difflib
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from workbench.engine.generate import Completion, Sampler, TransformersSampler
from workbench.engine.models import load
from workbench.engine.server import ChatSampler, ServerSampler, row_seed
from workbench.engine.vllm_server import VllmServerSampler
from workbench.errors import UserError

SCHEMES = ("transformers", "vllm", "openai", "openai-chat")


def sampler(spec: str, device: str = "auto") -> Sampler:
    """The sampler that a name says; what its draws depend on is printed, and so kept with the run's notebook.

    Args:
        spec: `transformers:FOLDER_OR_HUB_ID` (or the folder or id alone), `vllm:FOLDER_OR_HUB_ID` (in this
            process if vLLM is in its environment and a GPU is there, else from `vllm_server`),
            `openai:URL#MODEL` (any OpenAI-compatible server continues the prompt) or
            `openai-chat:URL#MODEL` (the prompt is a user's message, the completion the reply).
        device: of the transformers sampler; see `models.load`.

    Raises:
        UserError: there is no such kind of sampler, no model in it, or what it needs is not installed.
    """
    scheme, colon, rest = spec.partition(":")
    if not colon or Path(spec).exists() or scheme == "tiny":  # models.load explains what a preset is
        scheme, rest = "transformers", spec
    if scheme not in SCHEMES:
        raise UserError(_unknown(spec, scheme))
    if scheme.startswith("openai"):
        url, _, model = rest.rpartition("#")
        if not url or not model:
            raise UserError(f"{spec!r} names no model: write {scheme}:http://127.0.0.1:8000/v1#MODEL.")
        return _announced((ServerSampler if scheme == "openai" else ChatSampler)(url, model), spec)
    if not rest:
        raise UserError(f"{spec!r} names no model: write {scheme}:FOLDER or {scheme}:HUB_ID.")
    if scheme == "vllm":
        return _announced(_vllm(rest), spec)
    return TransformersSampler(*load(rest, device))


def _announced(found: ServerSampler | ChatSampler | VllmSampler, spec: str) -> Sampler:
    print(f"{spec}: {found.determinism}")
    return found


def _unknown(spec: str, scheme: str) -> str:
    if scheme in ("http", "https"):
        return f"A server is named openai:URL#MODEL: write openai:{spec.partition('#')[0]}#MODEL."
    near = difflib.get_close_matches(scheme, SCHEMES, n=1, cutoff=0.0)
    return (
        f"There is no sampler {scheme!r}: did you mean {near[0]!r}? There are {', '.join(SCHEMES)}, "
        "or a model's folder or hub id alone."
    )


def _vllm(model: str) -> VllmServerSampler | VllmSampler:
    import torch

    # The plain package imports on a machine without a GPU, but cannot run there.
    if importlib.util.find_spec("vllm") is not None and torch.cuda.is_available():
        return VllmSampler(model)
    return VllmServerSampler(model)


class VllmSampler:
    """Samples with vLLM in this process; tokens and log-probabilities as `Completion` says."""

    determinism = VllmServerSampler.determinism

    def __init__(self, model: str) -> None:
        """`model`: a folder or hub id; weights keep the checkpoint's type.

        Raises:
            UserError: vLLM cannot run the model.
        """
        from transformers import AutoConfig
        from vllm import LLM

        try:
            # "auto" would turn float32 checkpoints, which small models often are, into half precision
            dtype = AutoConfig.from_pretrained(model).dtype or "auto"
            self._llm = LLM(model=model, dtype=dtype, generation_config="vllm")
        except (OSError, RuntimeError, ValueError) as error:
            first = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise UserError(f"vLLM cannot run {model!r}: {first}") from error

    def sample(
        self,
        prompts: Sequence[str],
        *,
        n: int = 1,
        max_new_tokens: int,
        temperature: float = 1.0,
        top_p: float = 1.0,
        min_p: float = 0.0,
        stop: Sequence[str] = (),
        seed: int = 0,
    ) -> list[list[Completion]]:
        """See `Sampler.sample`; each row has its own seed, so that equal prompts get different draws.

        Raises:
            UserError: a setting is out of range, or a prompt fills the context.
        """
        from vllm import SamplingParams
        from vllm.exceptions import VLLMValidationError

        places = [(i, j) for i in range(len(prompts)) for j in range(n)]
        try:
            settings = [
                SamplingParams(
                    max_tokens=max_new_tokens,
                    temperature=temperature,
                    top_p=top_p,
                    min_p=min_p,
                    stop=list(stop),
                    seed=row_seed(seed, i, j),
                    logprobs=0,
                )
                for i, j in places
            ]
            outputs = self._llm.generate([prompts[i] for i, _ in places], settings, use_tqdm=False)
        except (ValueError, VLLMValidationError) as error:
            raise UserError(f"vLLM refuses the request: {str(error).splitlines()[0]}") from error
        rows = [_from_vllm(output.outputs[0]) for output in outputs]
        return [rows[begin : begin + n] for begin in range(0, len(rows), n)]


def _from_vllm(row: Any) -> Completion:
    tokens = list(row.token_ids)
    logprobs = [step[token].logprob for token, step in zip(tokens, row.logprobs, strict=True)]
    return Completion(row.text, tokens, logprobs, "length" if row.finish_reason == "length" else "stop")
