"""Sampling with vLLM from `.venv-vllm` against the transformers sampler, on models of 1M and 28M.

`OMP_NUM_THREADS=1 python -m tests.benchmarks.vllm [rounds]` after `make vllm`. By the clock, since the server
is another process, with a thread a processor of its own; they take turns, and the one that waits is idle.
Weights are untrained: what is counted are tokens, of which a row may have fewer than its limit.
"""

import sys
import tempfile
import time
from pathlib import Path

import torch

from tests.benchmarks.side_by_side import compare
from workbench.engine import loading, models
from workbench.engine.sampling.sampler import Sampler, SamplingParams
from workbench.engine.sampling.transformers_sampler import TransformersSampler
from workbench.engine.sampling.vllm_server import VllmServerSampler

TEXT = (
    "Once upon a time there was a little girl who loved to play in the park with her big red ball and her dog"
)
ROWS, NEW = 64, {"tiny:1M": 128, "tiny:28M": 48}


def tokens(sampler: Sampler, new: int) -> int:
    """Tokens in `ROWS` rows of at most `new`."""
    words = TEXT.split()
    prompts = [" ".join(words[: 2 + index % 20]) for index in range(ROWS)]
    found = sampler.sample(prompts, SamplingParams(max_tokens=new))
    return sum(len(row.tokens) for (row,) in found)


def main(rounds: int = 3) -> None:
    tokenizer = models.train_tokenizer([TEXT] * 2, 400)
    with tempfile.TemporaryDirectory() as place:
        for preset, new in NEW.items():
            folder = Path(place) / preset.partition(":")[2]
            loading.save(models.build(models.config(preset, len(tokenizer)), seed=0), tokenizer, folder)
            ours = TransformersSampler(*loading.load(folder, "cpu"))
            vllm = VllmServerSampler(str(folder))
            print(f"{preset}: {ROWS} prompts, {new} new tokens, {torch.get_num_threads()} thread(s) of ours")
            candidates = {
                "transformers sampler": lambda ours=ours, new=new: tokens(ours, new),
                "vLLM": lambda vllm=vllm, new=new: tokens(vllm, new),
            }
            compare(candidates, rounds, "tokens", time.perf_counter)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
