"""Training against a bare PyTorch loop at the same precision, and against the processor's matrix product.

`OMP_NUM_THREADS=1 python -m tests.benchmarks.training [rounds]`. What `train` does besides (packing,
start-up, saving the model) counts too.
"""

import sys
import tempfile
import time

import numpy as np
import torch
import torch.nn.functional as F

from tests.benchmarks.side_by_side import compare
from workbench.engine import models
from workbench.engine.training.common import TrainConfig
from workbench.engine.training.packing import pack
from workbench.engine.training.train import train

ROWS, CONTEXT, STEPS = 16, 256, 30
STORY = "Once upon a time there was a little girl who loved to play in the park with her big red ball. "


def peak(dtype: torch.dtype) -> float:
    """Best floating-point operations per second of a square matrix product."""
    a = torch.randn(1024, 1024).to(dtype)
    best = float("inf")
    for _ in range(20):
        begin = time.process_time()
        a @ a
        best = min(best, time.process_time() - begin)
    return 2 * 1024**3 / best


def bare(model: torch.nn.Module, blocks: object, bf16: bool) -> int:
    """The shortest correct loop: autocast, cross-entropy, clipping, fused AdamW; documents see each other."""
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=1e-3, betas=(0.9, 0.95), weight_decay=0.1, fused=True
    )
    model.train()
    for step in range(STEPS):
        rows = np.arange(step * ROWS, (step + 1) * ROWS) % len(blocks.ids)
        ids, targets = (torch.from_numpy(part[rows]).long() for part in (blocks.ids, blocks.targets))
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            logits = model(input_ids=ids, use_cache=False).logits
        F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
    return STEPS * ROWS * CONTEXT


def main(rounds: int = 5) -> None:
    stories = [STORY * (1 + index % 9) for index in range(600)]
    tokenizer = models.train_tokenizer(stories[:9], 400)
    blocks = pack(tokenizer, stories, CONTEXT)
    options = {"steps": STEPS, "batch_size": ROWS, "context": CONTEXT, "checkpoint_every": STEPS}
    for preset, precision in (("tiny:3M", "bf16"), ("tiny:1M", "bf16"), ("tiny:3M", "fp32")):
        config = models.config(preset)
        parameters = models.count_parameters(models.build(config, 0)).total
        flops_per_token = 6 * parameters + 6 * config.num_hidden_layers * config.hidden_size * CONTEXT

        def ours(precision: str = precision, config: object = config) -> int:
            with tempfile.TemporaryDirectory() as folder:
                model = models.build(config, 0)
                settings = TrainConfig(precision=precision, **options)
                train(model, tokenizer, stories, settings, folder=f"{folder}/m")
            return STEPS * ROWS * CONTEXT

        def loop(precision: str = precision, config: object = config) -> int:
            return bare(models.build(config, 0), blocks, precision == "bf16")

        print(f"{preset}, {precision}, {torch.get_num_threads()} thread(s)")
        rates = compare({"bare loop": loop, "train": ours}, rounds, "tokens")
        most = peak(torch.bfloat16 if precision == "bf16" else torch.float32)
        for name, rate in rates.items():
            speed = rate * flops_per_token
            print(f"{name}: {speed / 1e9:.0f} GFLOP/s, {speed / most:.0%} of the matrix product's")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
