"""A sampler by its name, so that one parameter of a notebook chooses where text comes from."""

from __future__ import annotations

import difflib
import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from workbench.engine.generate import Completion, Sampler, TransformersSampler
from workbench.engine.models import check, load
from workbench.engine.server import ChatSampler, ServerSampler, row_seed
from workbench.engine.vllm_server import VllmServerSampler, fitting
from workbench.errors import UserError

SCHEMES = ("transformers", "vllm", "openai", "openai-chat")


def sampler(spec: str, device: str = "auto") -> Sampler:
    """The sampler that a name says; what its draws depend on is printed, and so kept with the run's notebook.

    Args:
        spec: `transformers:FOLDER_OR_HUB_ID` (or the folder or id alone), `vllm:FOLDER_OR_HUB_ID` (with the
            vLLM of this environment if it can run here, else from `vllm_server`), `openai:URL#MODEL` (any
            OpenAI-compatible server continues the prompt) or `openai-chat:URL#MODEL` (the prompt is a user's
            message, the completion the reply).
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
        return _announced((VllmSampler if _vllm_is_here() else VllmServerSampler)(rest), spec)
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


def _vllm_is_here() -> bool:
    if importlib.util.find_spec("vllm") is None:
        return False
    from vllm.platforms import current_platform

    return not current_platform.is_unspecified()  # the GPU build imports anywhere, and runs nowhere else


class VllmSampler:
    """Samples with the vLLM of this environment, as `VllmServerSampler` does with another one's."""

    determinism = VllmServerSampler.determinism

    def __init__(self, model: str) -> None:
        """`model`: a folder or hub id; weights keep the checkpoint's type, on the CPU they become float32.

        Raises:
            UserError: there is no such model, or vLLM cannot run it.
        """
        from vllm import LLM
        from vllm.platforms import current_platform

        model = os.path.expanduser(model)
        config, self.tokenizer = check(model)
        options: dict[str, Any] = {"dtype": config.dtype or "auto"}
        if current_platform.is_cpu():  # for the reasons given in vllm_server
            options = {"dtype": "float32", "gpu_memory_utilization": 0.2, "enforce_eager": True}
            options["enable_chunked_prefill"] = False
        try:
            self._llm = LLM(model=model, generation_config="vllm", load_format="safetensors", **options)
        except (OSError, RuntimeError, ValueError) as error:
            first = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
            raise UserError(f"vLLM cannot run this model, so take transformers:{model}: {first}.") from error

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

        if not len(prompts):
            return []
        ids, rooms = fitting(self.tokenizer, prompts, self._llm.model_config.max_model_len)
        places = [(i, j) for i in range(len(prompts)) for j in range(n)]
        try:
            settings = [
                SamplingParams(
                    max_tokens=min(max_new_tokens, rooms[i]),
                    temperature=temperature,
                    top_p=top_p,
                    min_p=min_p,
                    stop=list(stop),
                    seed=row_seed(seed, i, j),
                    logprobs=0,
                )
                for i, j in places
            ]
            inputs = [{"prompt_token_ids": ids[i]} for i, _ in places]
            outputs = self._llm.generate(inputs, settings, use_tqdm=False)
        except (ValueError, VLLMValidationError) as error:
            raise UserError(f"vLLM refuses the request: {str(error).splitlines()[0]}") from error
        rows = [_from_vllm(output.outputs[0]) for output in outputs]
        return [rows[begin : begin + n] for begin in range(0, len(rows), n)]


def _from_vllm(row: Any) -> Completion:
    tokens = list(row.token_ids)
    logprobs = [step[token].logprob for token, step in zip(tokens, row.logprobs, strict=True)]
    return Completion(row.text, tokens, logprobs, "length" if row.finish_reason == "length" else "stop")
