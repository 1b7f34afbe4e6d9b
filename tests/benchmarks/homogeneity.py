"""Similarities of all pairs and top-N mixing of 125,000 answers, and n-gram measures as texts grow.

`OMP_NUM_THREADS=1 python -m tests.benchmarks.homogeneity [rounds]`. Answers of 25 models to 100 prompts,
50 each, are random unit rows. The loop visits pairs of models, cuts their rows out with masks and sorts the
distances of every answer, on a few of the prompts.
"""

import math
import sys
import time
from collections.abc import Callable

import numpy as np

from tests.benchmarks.side_by_side import compare
from workbench.measures.redundancy import ead, self_bleu
from workbench.measures.similarity import floor, homogeneity, mixing, repetition

MODELS, PROMPTS, ANSWERS, DIMENSION = 25, 100, 50, 384
NEAREST = (5, 10, 25, 50)
FEW = 2  # prompts that the loop gets
SIZES = (1_000, 10_000, 100_000)
MEASURES: dict[str, Callable[[list[str]], float]] = {
    "expectation-adjusted distinct": ead,
    "self-BLEU": self_bleu,
}


def main(rounds: int = 3) -> None:
    vectors, models, prompts = answers(PROMPTS)
    print(f"{MODELS} models × {PROMPTS} prompts × {ANSWERS} answers, d = {DIMENSION}")
    for name, measure in {
        "repetition": lambda: repetition(vectors, models, prompts),
        "homogeneity": lambda: homogeneity(vectors, models, prompts),
        "mixing": lambda: mixing(vectors, models, prompts, NEAREST),
        "floor": lambda: floor(vectors, prompts),
    }.items():
        wall, processor = time.perf_counter(), time.process_time()
        measure()
        print(
            f"  {name:<12} {time.perf_counter() - wall:>6.1f} s wall, "
            f"{time.process_time() - processor:>6.1f} s processor"
        )
    few = answers(FEW)

    def ours() -> int:
        homogeneity(*few)
        mixing(*few, NEAREST)
        return FEW

    compare({"loop": lambda: loop(*few), "workbench": ours}, rounds, "prompts")
    same(few)
    growth(rounds)


def answers(n_prompts: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rows = np.random.default_rng(0).normal(size=(n_prompts * MODELS * ANSWERS, DIMENSION)).astype(np.float32)
    models = np.tile(np.repeat(np.arange(MODELS), ANSWERS), n_prompts)
    prompts = np.repeat(np.arange(n_prompts), MODELS * ANSWERS)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True), models, prompts


def loop(vectors: np.ndarray, models: np.ndarray, prompts: np.ndarray) -> int:
    looped(vectors, models, prompts)
    return len(set(prompts))


def looped(vectors: np.ndarray, models: np.ndarray, prompts: np.ndarray) -> tuple[list[float], list[float]]:
    """Homogeneity of every pair of models and mixing, as their definitions read."""
    cosines, mixed = [], []
    for prompt in np.unique(prompts):
        for first in range(MODELS):
            for second in range(first, MODELS):
                a = vectors[(prompts == prompt) & (models == first)]
                b = vectors[(prompts == prompt) & (models == second)]
                table = a @ b.T
                pairs = table[np.triu_indices(len(a), 1)] if first == second else table
                cosines.append(float(pairs.mean()))
        rows, sources = vectors[prompts == prompt], models[prompts == prompt]
        counts = []
        for i in range(len(rows)):
            order = [j for j in np.argsort(-(rows @ rows[i])) if j != i]
            counts.append([len(set(sources[order[:n]])) for n in NEAREST])
        mixed += np.mean(counts, axis=0).tolist()
    return cosines, mixed


def same(few: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    cosines, mixed = looped(*few)
    apart = np.abs(homogeneity(*few)["value"] - cosines).max()
    mixed_apart = np.abs(mixing(*few, NEAREST)["value"] - mixed).max()
    print(f"  same cosines to {apart:.0e}, same mixing to {mixed_apart:.0e} (nearly equal ones in any order)")


def growth(rounds: int) -> None:
    """Least processor time against the number of texts, words drawn as in natural text (Zipf)."""
    rng = np.random.default_rng(0)
    print("n-gram measures, texts of 20 words; seconds of processor time")
    times: dict[str, list[float]] = {name: [] for name in MEASURES}
    for size in SIZES:
        words = np.minimum(rng.zipf(1.3, size=(size, 20)), 20_000)
        texts = [" ".join(f"w{number}" for number in row) for row in words]
        for name, measure in MEASURES.items():
            spent = []
            for _ in range(rounds):
                begin = time.process_time()
                measure(texts)
                spent.append(time.process_time() - begin)
            times[name].append(min(spent))
    for name, found in times.items():
        slope = np.polyfit(np.log(SIZES), np.log(found), 1)[0]
        last = math.log(found[-1] / found[-2]) / math.log(SIZES[-1] / SIZES[-2])
        shown = "  ".join(f"{n:,}: {seconds:.2f}" for n, seconds in zip(SIZES, found, strict=True))
        print(f"  {name:<30} {shown}   exponent {slope:.2f} (last step {last:.2f})")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
