"""Sampling from a 1M Llama against `model.generate`: equal prompts, and prompts of mixed lengths.

`OMP_NUM_THREADS=1 python -m tests.benchmarks.generation [rounds]`. The weights are untrained and nothing ends
a text, so that every row runs to its limit.
"""

import sys

import torch

from tests.benchmarks.side_by_side import compare
from workbench.engine import models
from workbench.engine.sampling.sampler import SamplingParams
from workbench.engine.sampling.transformers_sampler import TransformersSampler

TEXT = (
    "Once upon a time there was a little girl who loved to play in the park with her big red ball and her dog"
)
NEW = 200


def main(rounds: int = 5) -> None:
    tokenizer = models.train_tokenizer([TEXT] * 2, 400)
    model = models.build(models.config("tiny:1M"), seed=0)
    model.config.eos_token_id = model.generation_config.eos_token_id = tokenizer.eos_token = None
    words = TEXT.split()
    equal = [" ".join(words[:10])] * 64
    mixed = [" ".join(words[: 2 + index % 20]) for index in range(256)]
    length = len(tokenizer(equal[0]).input_ids)
    print(f"prompts of {length} tokens, {NEW} new, {torch.get_num_threads()} thread(s)")
    options = {"do_sample": True, "top_k": 0, "max_new_tokens": NEW, "pad_token_id": 0}

    def theirs(prompts: list[str], size: int) -> int:
        for begin in range(0, len(prompts), size):
            part = prompts[begin : begin + size]
            batch = tokenizer(part, padding=True, padding_side="left", return_tensors="pt")
            model.generate(input_ids=batch.input_ids, attention_mask=batch.attention_mask, **options)
        return len(prompts) * NEW

    def ours(prompts: list[str], size: int, **settings: float) -> int:
        sampler = TransformersSampler(model, tokenizer, batch_size=size)
        found = sampler.sample(prompts, SamplingParams(max_tokens=NEW, **settings))
        return sum(len(completion.tokens) for row in found for completion in row)

    print("64 equal prompts")
    compare(
        {
            "model.generate, batch 64": lambda: theirs(equal, 64),
            "sampler, batch 64": lambda: ours(equal, 64),
            "sampler, batch 32": lambda: ours(equal, 32),
            "sampler, batch 16": lambda: ours(equal, 16),
            "sampler, batch 32, top-p 0.9, temperature 0.8": lambda: ours(
                equal, 32, top_p=0.9, temperature=0.8
            ),
        },
        rounds,
        "tokens",
    )
    print("256 prompts of mixed lengths")
    compare(
        {
            "model.generate, batch 64, padded left": lambda: theirs(mixed, 64),
            "sampler, batch 64": lambda: ours(mixed, 64),
            "sampler, batch 32": lambda: ours(mixed, 32),
            "sampler, batch 16": lambda: ours(mixed, 16),
        },
        max(1, rounds // 2),
        "tokens",
    )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
