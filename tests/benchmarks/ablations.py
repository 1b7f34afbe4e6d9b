"""Heads switched off one by one with `ablate_heads`, and many at once from their layer on: time and memory.

`python -m tests.benchmarks.ablations [rounds] [starter-like | 135M]`: random weights in two shapes, the
starter's (4 layers, 128 wide, 2,048 tokens) and that of SmolLM2-135M (30 layers, 576 wide, 49,152 tokens),
texts of 100 to 200 tokens. Both give the same losses, which is checked first.
"""

import resource
import sys
from collections.abc import Sequence

import numpy as np
import torch
from transformers import LlamaConfig, PreTrainedModel

from tests.benchmarks.side_by_side import compare
from workbench.engine import models
from workbench.engine.interpretability.ablations import Head, nats_without
from workbench.engine.interpretability.interventions import ablate_heads
from workbench.engine.interpretability.reference import Reference, reference
from workbench.engine.sampling.scoring import token_logprobs

SHAPES = {  # name: (layers, heads, key-value heads, width, neurons, vocabulary, texts, heads ablated)
    "starter-like": (4, 4, 4, 128, 344, 2_048, 40, 16),
    "135M": (30, 9, 3, 576, 1_536, 49_152, 2, 7),
}


def plainly(
    model: PreTrainedModel, rows: Sequence[list[int]], heads: Sequence[Head], means: Reference
) -> list[np.ndarray]:
    """Surprise of every token of all texts, for each head, as 03 computed it first."""
    scored, nats = [(row[:1], row[1:]) for row in rows], []
    for head in heads:
        of_head = [np.zeros(0)] * len(rows)
        with ablate_heads(model, [head], "mean", means), torch.inference_mode():
            for part, logprobs in token_logprobs(model, scored, batch_size=32):
                for index, values in zip(part, logprobs, strict=True):
                    of_head[index] = -values
        nats.append(np.concatenate(of_head))
    return nats


def main(rounds: int = 3, shapes: Sequence[str] = tuple(SHAPES)) -> None:
    rng = np.random.default_rng(0)
    for shape in shapes:
        layers, n_heads, kv_heads, width, neurons, vocabulary, n_texts, n_ablated = SHAPES[shape]
        config = LlamaConfig(
            vocab_size=vocabulary,
            hidden_size=width,
            intermediate_size=neurons,
            num_hidden_layers=layers,
            num_attention_heads=n_heads,
            num_key_value_heads=kv_heads,
            tie_word_embeddings=True,
        )
        model = models.build(config, seed=0).eval()
        rows = [rng.integers(3, vocabulary, length).tolist() for length in rng.integers(100, 200, n_texts)]
        means = reference(model, rows[:4], ["head.*"])
        every = [(layer, head) for layer in range(layers) for head in range(n_heads)]
        heads = [every[int(index)] for index in np.linspace(0, len(every) - 1, n_ablated)]  # of all layers

        def at_once(
            model: PreTrainedModel = model,
            rows: list[list[int]] = rows,
            heads: list[Head] = heads,
            means: Reference = means,
        ) -> list[np.ndarray]:
            each = nats_without(model, rows, [[head] for head in heads], "mean", means)
            return [np.concatenate(of_head) for of_head in each]

        def plain(
            model: PreTrainedModel = model,
            rows: list[list[int]] = rows,
            heads: list[Head] = heads,
            means: Reference = means,
        ) -> list[np.ndarray]:
            return plainly(model, rows, heads, means)

        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        values = at_once()
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory) / 2**10
        gap = max(float(abs(a - b).max()) for a, b in zip(values, plain(), strict=True))
        print(
            f"{shape}: {n_ablated} heads, {sum(map(len, rows)):,} tokens, {torch.get_num_threads()} thread(s)"
        )
        print(f"largest difference {gap:.1e} nats; at once {grown:,.0f} MiB more than the model")
        candidates = {"one by one": plain, "at once, from the layer on": at_once}
        compare(
            {name: lambda work=work: 60 * len(work()) for name, work in candidates.items()},
            rounds,
            "heads/60",
        )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]), sys.argv[2:] or tuple(SHAPES))
