"""vLLM within this process, as a sampler."""

# Its libraries are optional, and may not be where types are checked.
# pyright: reportMissingImports=false
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from workbench.engine.loading import read_config
from workbench.engine.sampling.openai_sampler import row_seed
from workbench.engine.sampling.sampler import Completion, Sampler, SamplingParams, by_prompt, rooms
from workbench.engine.sampling.scoring import prompt_tokens
from workbench.engine.sampling.vllm_server import VllmServerSampler
from workbench.engine.tokens import converses
from workbench.errors import UserError, reason

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


class VllmSampler(Sampler):
    """Samples with the vLLM of this environment, as `VllmServerSampler` does with another one's."""

    tokenizer: "PreTrainedTokenizerFast"
    context: int
    determinism = VllmServerSampler.determinism

    def __init__(self, model: str) -> None:
        """`model`: a folder or hub id; weights keep the checkpoint's type, on the CPU they become float32.

        Raises:
            UserError: there is no such model, or vLLM cannot run it.
        """
        from vllm import LLM
        from vllm.platforms import current_platform

        model = os.path.expanduser(model)
        config, self.tokenizer = read_config(model)
        options: dict[str, Any] = {"dtype": config.dtype or "auto"}
        if current_platform.is_cpu():  # for the reasons given in vllm_server
            options = {"dtype": "float32", "gpu_memory_utilization": 0.2, "enforce_eager": True}
            options["enable_chunked_prefill"] = False
        try:
            self._llm = LLM(model=model, generation_config="vllm", load_format="safetensors", **options)
        except (OSError, RuntimeError, ValueError) as error:
            raise UserError(
                f"vLLM cannot run this model, so take transformers:{model}: {reason(error)}."
            ) from error
        self.context = self._llm.model_config.max_model_len
        self.chat = converses(self.tokenizer)

    def sample(self, prompts: Sequence[str], params: SamplingParams) -> list[list[Completion]]:
        """See `Sampler.sample`; each row has its own seed, so that equal prompts get different draws.

        Raises:
            UserError: a prompt fills the context, or vLLM refuses a setting.
        """
        import vllm
        from vllm.exceptions import VLLMValidationError

        if not len(prompts):
            return []
        params.check_order()
        ids = prompt_tokens(self.tokenizer, prompts)
        room = rooms(ids, self.context)
        rows = [(i, j) for i in range(len(prompts)) for j in range(params.n)]
        try:
            settings = [
                vllm.SamplingParams(
                    max_tokens=min(params.max_tokens, room[i]),
                    temperature=params.temperature,
                    top_p=params.top_p,
                    min_p=params.min_p,
                    stop=list(params.stop),
                    seed=row_seed(params.seed, i, j),
                    logprobs=0,
                )
                for i, j in rows
            ]
            inputs = [{"prompt_token_ids": ids[i]} for i, _ in rows]
            outputs = self._llm.generate(inputs, settings, use_tqdm=False)
        except (ValueError, VLLMValidationError) as error:
            raise UserError(f"vLLM refuses the request: {reason(error)}.") from error
        return by_prompt([_completion(output.outputs[0]) for output in outputs], params.n)


def _completion(row: Any) -> Completion:
    tokens = list(row.token_ids)
    logprobs = [step[token].logprob for token, step in zip(tokens, row.logprobs, strict=True)]
    return Completion(row.text, tokens, logprobs, "length" if row.finish_reason == "length" else "stop")
