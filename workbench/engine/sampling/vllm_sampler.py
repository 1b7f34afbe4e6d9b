"""vLLM within this process, behind the samplers' one signature."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from workbench.engine.loading import check
from workbench.engine.sampling.openai_sampler import row_seed
from workbench.engine.sampling.sampler import Completion
from workbench.engine.sampling.vllm_server import VllmServerSampler, fitting
from workbench.errors import UserError


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
