"""Spherical k-means: clusters of directions (Dhillon & Modha 2001).

Seeded by greedy k-means++ (Arthur & Vassilvitskii 2007). Cosine similarity throughout: the distance
1 − cosine is half the squared Euclidean one between unit rows, so k-means++ draws with it as it stands. All
randomness comes from one numpy generator, and the weights of a draw are whole numbers, so that neither
threads nor rounding change what is drawn.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike

from workbench.errors import UserError

_CHUNK = 4_000_000  # similarities held at once
_MANY = 200_000  # vectors above which batches are the default
_STEPS = 2**16  # of a distance in a draw: fine enough to weigh, coarse enough that a copy is at distance 0


@dataclass(frozen=True)
class Clusters:
    """A partition of n vectors into k clusters, none empty."""

    centroids: np.ndarray  #: shape (k, d), float32, unit rows
    labels: np.ndarray  #: shape (n,), int64, the cluster of each vector
    similarity: np.ndarray  #: shape (n,), float32, cosine of each vector to the centroid of its cluster

    @property
    def sizes(self) -> np.ndarray:
        """Vectors in each cluster, shape (k,)."""
        return np.bincount(self.labels, minlength=len(self.centroids))


def spherical_kmeans(
    vectors: ArrayLike, k: int, *, seed: int = 0, iterations: int = 20, batch: int | None = None
) -> Clusters:
    """Clusters of vectors by direction.

    Each step assigns vectors to the nearest centroid and moves centroids to the normalised sum of their
    members; it ends early once no label changes. An empty cluster takes the vector that fits its cluster
    worst. Labels are the nearest centroids, but for copies of a vector shared out where k exceeds the
    distinct ones.

    Args:
        vectors: shape (n, d); rows are scaled to unit length here.
        k: number of clusters, 1 to n.
        iterations: at most so many steps.
        batch: vectors a step looks at, k to n, drawn without repeats until all have been seen; centroids are
            then running sums (Sculley 2010). Default: all, or above 200,000 vectors 10 k (at least 20,000).

    Raises:
        UserError: k is below 1 or above n; a batch is smaller than k.
        ValueError: rows with NaN or infinity, or zero rows; the message names them.
    """
    rows = _unit(vectors)
    n = len(rows)
    if not 1 <= k <= n:
        raise UserError(f"Ask for 1 to {n} clusters of {n} vectors, not {k}.")
    if batch is None:
        batch = n if n <= _MANY else max(20_000, 10 * k)
    if batch < k:
        raise UserError(f"Make the batch at least as large as the {k} clusters, not {batch}.")
    rng = np.random.default_rng(seed)
    centroids = (
        _in_batches(rows, k, batch, iterations, rng) if batch < n else _lloyd(rows, k, iterations, rng)
    )
    labels, similarity = _assign_all(rows, centroids)
    return Clusters(centroids.numpy(), labels.numpy(), similarity.numpy())


def nearest(vectors: ArrayLike, centroids: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """The nearest centroid of each vector by cosine, and that cosine, in chunks of vectors.

    Args:
        vectors: shape (n, d).
        centroids: shape (k, d).

    Returns:
        Labels, int64, and similarities, float32, both of shape (n,).

    Raises:
        ValueError: rows that are not finite or zero, or tables of different widths.
    """
    labels, similarity = _assign(_unit(vectors), _unit(centroids))
    return labels.numpy(), similarity.numpy()


def _unit(vectors: ArrayLike) -> torch.Tensor:
    rows = torch.from_numpy(np.array(vectors, dtype=np.float32))
    if rows.ndim != 2 or rows.numel() == 0:
        raise ValueError(f"vectors must be a table with rows and columns, not of shape {tuple(rows.shape)}")
    lengths = torch.linalg.vector_norm(rows, dim=1)
    for wrong, what in ((~lengths.isfinite(), "hold NaN or infinity"), (lengths == 0, "are zero")):
        if rows_wrong := wrong.nonzero()[:, 0].tolist():
            more = f" and {len(rows_wrong) - 5} more" if len(rows_wrong) > 5 else ""
            listed = ", ".join(map(str, rows_wrong[:5]))
            raise ValueError(f"vectors {listed}{more} {what}: they have no direction")
    return rows.div_(lengths[:, None])


def _assign(rows: torch.Tensor, centroids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    chunks = rows.split(max(1, _CHUNK // len(centroids)))
    similarity, labels = zip(*(torch.max(chunk @ centroids.T, dim=1) for chunk in chunks), strict=True)
    return torch.cat(labels), torch.cat(similarity)


def _assign_all(rows: torch.Tensor, centroids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Nearest centroids; an empty cluster takes the vector farthest from its centroid that is not alone."""
    labels, similarity = _assign(rows, centroids)
    sizes = labels.bincount(minlength=len(centroids))
    empty = (sizes == 0).nonzero()[:, 0].tolist()
    for at in similarity.argsort(stable=True).tolist() if empty else []:
        if not empty:
            break
        if sizes[labels[at]] > 1:
            sizes[labels[at]] -= 1
            cluster = empty.pop()
            labels[at], similarity[at], centroids[cluster], sizes[cluster] = cluster, 1.0, rows[at], 1
    return labels, similarity


def move(centroids: torch.Tensor, sums: torch.Tensor) -> None:
    """Turns centroids, in place, into the direction of their members' sums, shape (k, d).

    A centroid stays where it is when its members cancel out, or where there are none.
    """
    lengths = torch.linalg.vector_norm(sums, dim=1, keepdim=True)
    torch.where(lengths > 1e-6, sums / lengths, centroids, out=centroids)


def _lloyd(rows: torch.Tensor, k: int, iterations: int, rng: np.random.Generator) -> torch.Tensor:
    centroids = _seed_centroids(rows, k, rng)
    before = None
    for _ in range(iterations):
        labels, _ = _assign_all(rows, centroids)
        if before is not None and torch.equal(labels, before):
            break
        move(centroids, torch.zeros_like(centroids).index_add_(0, labels, rows))
        before = labels
    return centroids


def _in_batches(
    rows: torch.Tensor, k: int, batch: int, iterations: int, rng: np.random.Generator
) -> torch.Tensor:
    order = torch.empty(0, dtype=torch.long)
    centroids, sums = None, torch.zeros(k, rows.shape[1])
    for _ in range(iterations):
        if len(order) < batch:
            order = torch.cat([order, torch.from_numpy(rng.permutation(len(rows)))])
        part, order = rows[order[:batch]], order[batch:]
        if centroids is None:
            centroids = _seed_centroids(part, k, rng)
        labels, _ = _assign(part, centroids)  # a cluster without members here may have some elsewhere
        move(centroids, sums.index_add_(0, labels, part))
    assert centroids is not None  # there is one iteration at least
    return centroids


def _seed_centroids(rows: torch.Tensor, k: int, rng: np.random.Generator) -> torch.Tensor:
    """Greedy k-means++: draws by distance from those chosen; of a few draws keeps the most helpful."""
    chosen = [int(rng.integers(len(rows)))]
    distance = _steps(rows, chosen)[0]
    while len(chosen) < k and (reach := distance.cumsum(0))[-1]:
        ticket = torch.from_numpy(rng.integers(int(reach[-1]), size=2 + int(np.log(k))))
        drawn = torch.searchsorted(reach, ticket, right=True)
        closer = torch.minimum(_steps(rows, drawn), distance)
        best = int(closer.sum(1).argmin())
        chosen.append(int(drawn[best]))
        distance = closer[best]
    rest = np.setdiff1d(np.arange(len(rows)), chosen)  # only copies are left: any of them will do
    chosen += rng.permutation(rest)[: k - len(chosen)].tolist()
    return rows[chosen].clone()


def _steps(rows: torch.Tensor, chosen: torch.Tensor | list[int]) -> torch.Tensor:
    """Distance of every row from each chosen one in whole steps, shape (chosen, n)."""
    return (1 - rows @ rows[chosen].T).mul_(_STEPS).round_().int().T.contiguous()
