"""How many problems 09 reads and needs, and in how many clusters they lie on the map."""

from workbench.studies.common.profiles import REAL

CORPUS = {"quick": 60, "laptop": 600, "paper": 50_000, REAL: 160}
"""Problems that the score, the map and the clusters are about, by profile; of files all, but at `REAL`."""
SHARES = {"quick": 0.02, "laptop": 0.02, "paper": 0.02, REAL: 0.05}
"""Clusters, as a share of these problems, by profile."""

FEWEST = 16  # problems of a set
SPREAD = 4  # times as many problems as a set has: fewer could not differ


def n_clusters(n: int, share: float) -> int:
    """Clusters of n problems."""
    return min(n, max(2, round(share * n)))
