"""Vendi score of 4,000 rows in 256 dimensions against vendi-score, and a k-means update against a loop.

`OMP_NUM_THREADS=1 python -m tests.benchmarks.vendi [rounds]`. vendi-score offers the score from all pairs
(`score_X`) and from the second moment (`score_dual`). The loop visits clusters one by one with a mask over
all rows, as the code released with Prismatic Synthesis does.
"""

import sys
import time

import numpy as np
import torch

from tests.benchmarks.side_by_side import compare
from workbench.engine.gradients.kmeans import move
from workbench.measures.vendi import vendi_from_features

ROWS, DIMENSION = 4_000, 256
VECTORS, CLUSTERS = 20_000, 2_000


def main(rounds: int = 5) -> None:
    try:
        from vendi_score import vendi
    except ImportError:
        sys.exit("Install the peer first: pip install vendi-score==0.0.3 -c constraints.txt")
    features = np.random.default_rng(0).normal(size=(ROWS, DIMENSION))
    narrow = features.astype(np.float32)
    calls = {
        "score_X": lambda: vendi.score_X(features),
        "score_dual": lambda: vendi.score_dual(features),
        "score_dual, float32 rows": lambda: vendi.score_dual(narrow),
        "workbench": lambda: vendi_from_features(features),
        "workbench, float32 rows": lambda: vendi_from_features(narrow),
    }
    print(f"Vendi score, n = {ROWS:,}, d = {DIMENSION}, {torch.get_num_threads()} thread(s)")
    for name, call in calls.items():
        print(f"  {name:<26} {call():.7f}")

    def times(name: str, count: int) -> int:
        for _ in range(count):
            calls[name]()
        return count * ROWS

    compare({name: lambda name=name: times(name, 1) for name in ("score_X", "workbench")}, rounds, "rows")
    duals = [name for name in calls if name != "score_X"]
    compare({name: lambda name=name: times(name, 20) for name in duals}, 3 * rounds, "rows")
    grow()
    update(rounds)


def grow() -> None:
    """Processor time against the number of rows."""
    print(f"workbench, float32 rows, d = {DIMENSION}")
    for n in (1_000, 10_000, 100_000):
        features = np.random.default_rng(0).normal(size=(n, DIMENSION)).astype(np.float32)
        begin = time.process_time()
        vendi_from_features(features)
        print(f"  n = {n:>7,}: {1000 * (time.process_time() - begin):>6.1f} ms")


def update(rounds: int) -> None:
    """Centroids from labels."""
    generator = torch.Generator().manual_seed(0)
    rows = torch.nn.functional.normalize(torch.randn(VECTORS, DIMENSION, generator=generator))
    labels = torch.randint(CLUSTERS, (VECTORS,), generator=generator)
    centroids = rows[:CLUSTERS].clone()
    looped = rows[:CLUSTERS].clone()

    def loop() -> int:
        for cluster in range(CLUSTERS):
            members = rows[labels == cluster]
            if len(members):
                looped[cluster] = torch.nn.functional.normalize(members.sum(0), dim=0)
        return VECTORS

    def ours() -> int:
        move(centroids, torch.zeros_like(centroids).index_add_(0, labels, rows))
        return VECTORS

    print(f"k-means update, n = {VECTORS:,}, d = {DIMENSION}, k = {CLUSTERS:,}")
    compare({"loop with masks": loop, "workbench": ours}, 3 * rounds, "rows")
    print(f"  same centroids to {(centroids - looped).abs().max():.0e}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
