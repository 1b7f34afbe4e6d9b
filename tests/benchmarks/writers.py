"""What writes in `real_sampling`, each in a process of its own: `python writers.py KIND MODEL`.

For each line on its input, `[prompts as lists of tokens, new tokens]` in JSON, it writes so many tokens
behind every prompt at temperature 1 with nothing cut off, whatever ends a text, and prints `WROTE` and their
number.
A rival needs nothing of the workbench, so that it can live in an environment of its own.
"""

import json
import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

Write = Callable[[list[list[int]], int], int]
THREADS = 2


def endless(folder: str) -> tuple:
    """A model that does not know what ends a text, and its tokenizer."""
    import torch

    from workbench.engine import loading

    torch.set_num_threads(THREADS)
    model, tokenizer = loading.load(folder, "cpu")
    model.config.eos_token_id = model.generation_config.eos_token_id = tokenizer.eos_token = None
    return model, tokenizer


def generate(folder: str) -> Write:
    import torch

    model, _ = endless(folder)

    def write(prompts: list[list[int]], new: int) -> int:
        width = max(map(len, prompts))
        ids = torch.tensor([[0] * (width - len(row)) + row for row in prompts])
        mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in prompts])
        options = {"do_sample": True, "top_k": 0, "max_new_tokens": new, "pad_token_id": 0}
        with torch.inference_mode():
            return model.generate(input_ids=ids, attention_mask=mask, **options)[:, width:].numel()

    return write


def ours(folder: str, dtype: str = "float32") -> Write:
    from workbench.engine.sampling.sampler import SamplingParams
    from workbench.engine.sampling.transformers_sampler import TransformersSampler

    model, tokenizer = endless(folder)

    def write(prompts: list[list[int]], new: int) -> int:
        sampler = TransformersSampler(model, tokenizer, batch_size=len(prompts), dtype=dtype)
        replies = sampler.sample(tokenizer.batch_decode(prompts), SamplingParams(max_tokens=new))
        return sum(len(reply.tokens) for (reply,) in replies)

    return write


def bfloat16(folder: str) -> Write:
    return ours(folder, "bfloat16")


def ctranslate2(folder: str, compute_type: str = "float32") -> Write:
    """A folder that `ct2-transformers-converter` made."""
    import ctranslate2

    with open(f"{folder}/vocabulary.json") as file:
        words = json.load(file)
    model = ctranslate2.Generator(folder, compute_type=compute_type, inter_threads=1, intra_threads=THREADS)

    def write(prompts: list[list[int]], new: int) -> int:
        texts = [[words[token] for token in row] for row in prompts]
        options = {"sampling_topk": 0, "end_token": [], "include_prompt_in_result": False}
        replies = model.generate_batch(texts, max_length=new, **options)
        return sum(len(reply.sequences_ids[0]) for reply in replies)

    return write


def ctranslate2_int8(folder: str) -> Write:
    return ctranslate2(folder, "int8")


def llamacpp(file: str) -> Write:
    """A GGUF, through `xllamacpp`."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path, params.n_parallel, params.n_ctx = file, 16, 16 * 512
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = THREADS
    params.verbosity = 0
    server = xllamacpp.Server(params)
    options = {"top_k": 0, "top_p": 1.0, "min_p": 0.0, "ignore_eos": True, "cache_prompt": False}

    def write(prompts: list[list[int]], new: int) -> int:
        def one(prompt: list[int]) -> int:
            request = {"prompt": prompt, "max_tokens": new, "temperature": 1.0, **options}
            return server.handle_completions(request)["usage"]["completion_tokens"]

        with ThreadPoolExecutor(len(prompts)) as pool:
            return sum(pool.map(one, prompts))

    return write


def vllm(folder: str, dtype: str = "float32") -> Write:
    os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")
    from vllm import LLM, SamplingParams

    options = {"enforce_eager": True, "enable_prefix_caching": False, "max_model_len": 512}
    model = LLM(model=folder, dtype=dtype, gpu_memory_utilization=0.2, **options)

    def write(prompts: list[list[int]], new: int) -> int:
        inputs = [{"prompt_token_ids": row} for row in prompts]
        replies = model.generate(inputs, SamplingParams(max_tokens=new, ignore_eos=True), use_tqdm=False)
        return sum(len(reply.outputs[0].token_ids) for reply in replies)

    return write


def vllm_bfloat16(folder: str) -> Write:
    return vllm(folder, "bfloat16")


KINDS = (generate, ours, bfloat16, ctranslate2, ctranslate2_int8, llamacpp, vllm, vllm_bfloat16)

if __name__ == "__main__":
    kind, model = sys.argv[1:]
    write = {each.__name__: each for each in KINDS}[kind](model)
    print("READY", flush=True)
    for line in sys.stdin:
        print("WROTE", write(*json.loads(line)), flush=True)
