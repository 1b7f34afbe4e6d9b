"""Gradient sketches against the published recipe, and their fidelity: a 1M Llama, texts of 64 tokens.

`OMP_NUM_THREADS=1 python -m tests.benchmarks.gradients [rounds]`. The recipe (Jung et al. 2025, released
code) is one backward pass an example and a dense Rademacher matrix, here kept in memory, on every four
gradients. The data are 32 groups of 8 texts that share nine tenths of their tokens, so that k-means has
something to find.
"""

import sys
import time
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.metrics import adjusted_rand_score

from tests.benchmarks.side_by_side import compare
from tests.engine.dense_gradients import full_gradient
from workbench.engine import models
from workbench.engine.gradients.kmeans import spherical_kmeans
from workbench.engine.gradients.per_example import read
from workbench.engine.gradients.reader import Reader, frozen
from workbench.measures.vendi import vendi_from_features

LENGTH, VOCABULARY, DIMENSION, GROUPS, EACH = 64, 1024, 1024, 32, 8


def texts(rng: np.random.Generator) -> list[tuple[list[int], int]]:
    rows = []
    for _ in range(GROUPS):
        shared = rng.integers(1, VOCABULARY, LENGTH)
        for _ in range(EACH):
            noise = rng.random(LENGTH) < 0.1
            rows.append((np.where(noise, rng.integers(1, VOCABULARY, LENGTH), shared).tolist(), 1))
    return rows


def main(rounds: int = 5) -> None:
    model = models.build(models.config("tiny:1M", vocab_size=VOCABULARY), seed=0)
    rows = texts(np.random.default_rng(0))
    some, four = rows[:64], rows[:4]
    ids = torch.tensor([tokens for tokens, _ in some])
    n_weights = sum(weight.numel() for weight in model.parameters())
    generator = torch.Generator().manual_seed(0)
    matrix = (
        2 * torch.randint(0, 2, (n_weights, DIMENSION), generator=generator, dtype=torch.int8) - 1
    ).float()
    matrix /= DIMENSION**0.5
    print(f"{n_weights:,} weights, {LENGTH} tokens, d = {DIMENSION}, {torch.get_num_threads()} thread(s)")

    def published() -> int:
        torch.stack([full_gradient(model, row) for row in four]) @ matrix
        return len(four)

    def plain() -> int:
        for batch in ids.split(32):
            logits = model(batch, use_cache=False).logits[:, :-1]
            F.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten()).backward()
            model.zero_grad()
        return len(ids)

    readers = {
        "exact": Reader(model, DIMENSION, 0, "exact"),
        "exact, d = 8192": Reader(model, 8192, 0, "exact"),
        "kronecker": Reader(model, DIMENSION, 0, "kronecker"),
    }

    def ours(name: str) -> int:
        with frozen(model):
            for first in range(0, len(some), 32):
                readers[name].read(some[first : first + 32])
        return len(some)

    candidates = {"published recipe": published, "plain forward and backward, batch 32": plain}
    rates = compare(candidates | {name: lambda name=name: ours(name) for name in readers}, rounds, "examples")
    for name in readers:
        share = rates[name] / rates["plain forward and backward, batch 32"]
        print(f"{name}: {share:.2f} of the plain pass's speed")
    fidelity(model, rows, matrix, readers)
    growth()


def fidelity(model: torch.nn.Module, rows: list, matrix: torch.Tensor, readers: dict[str, Reader]) -> None:
    names = [str(number) for number in range(len(rows))]
    full = torch.stack([full_gradient(model, row) for row in rows])
    vectors = {"exact gradients": full.numpy(), "published recipe": (full @ matrix).numpy()}
    vectors |= {name: read(reader, rows, names, 0).vectors for name, reader in readers.items()}
    truth = cosines(vectors["exact gradients"])
    off, groups = np.triu_indices(len(rows), 1), np.repeat(np.arange(GROUPS), EACH)
    exact = vendi_from_features(vectors["exact gradients"])
    print(f"{'':<20}{'cosine RMSE':>14}{'Vendi ratio':>14}{'k-means ARI':>14}")
    for name, found in vectors.items():
        error = np.sqrt(np.mean((cosines(found) - truth)[off] ** 2))
        labels = spherical_kmeans(found, GROUPS, seed=0).labels
        ratio = vendi_from_features(found) / exact
        print(f"{name:<20}{error:>14.4f}{ratio:>14.3f}{adjusted_rand_score(groups, labels):>14.3f}")


def cosines(vectors: np.ndarray) -> np.ndarray:
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit @ unit.T


def growth() -> None:
    """Scoring and clustering of n sketches: seconds of processor time by n."""
    print(f"{'sketches':<12}{'Vendi s':>10}{'k-means s':>12}   (d = 256, k = 100, processor time)")
    rng = np.random.default_rng(0)
    for n in (1_000, 10_000, 100_000):
        vectors = rng.normal(size=(n, 256)).astype(np.float32)
        spent = [
            seconds(lambda rows=vectors: vendi_from_features(rows)),
            seconds(lambda rows=vectors: spherical_kmeans(rows, 100, iterations=5)),
        ]
        print(f"{n:<12,}{spent[0]:>10.3f}{spent[1]:>12.3f}")


def seconds(work: Callable[[], object]) -> float:
    begin = time.process_time()
    work()
    return time.process_time() - begin


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
