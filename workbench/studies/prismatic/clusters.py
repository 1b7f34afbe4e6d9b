"""The map of a corpus's gradients: clusters, what each example adds, and a layout in the plane."""

from typing import Literal

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from workbench.engine.gradients.kmeans import spherical_kmeans
from workbench.measures.gvendi import contributions, redundant_pairs
from workbench.studies.prismatic.data import texts_of
from workbench.studies.prismatic.extents import n_clusters

NEIGHBOURS = 15  # UMAP's default: with fewer examples there is no neighbourhood to keep


def cluster(
    gradients: np.ndarray, examples: pd.DataFrame, seed: int, fraction: float = 0.02
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Clusters of the gradients, and what each example adds.

    Returns:
        Points with columns cluster, template, text, contribution (nats); and clusters with columns cluster,
        size, density (mean cosine to the centroid), exemplar (the text nearest to the centroid).
    """
    partition = spherical_kmeans(gradients, n_clusters(len(gradients), fraction), seed=seed)
    points = pd.DataFrame(
        {
            "cluster": partition.labels,
            "template": examples["template"],
            "text": texts_of(examples),
            "contribution": contributions(gradients),
        }
    )
    cosines = pd.Series(partition.similarity).groupby(partition.labels)
    columns = {
        "size": cosines.size(),
        "density": cosines.mean(),
        "exemplar": cosines.idxmax().map(points["text"]),
    }
    return points, pd.DataFrame(columns).rename_axis("cluster").reset_index()


def redundant(gradients: np.ndarray, examples: pd.DataFrame, n: int = 6) -> pd.DataFrame:
    """The pairs of examples whose gradients are most alike: columns text_a, text_b, cosine."""
    texts = texts_of(examples)
    rows = [(texts[i], texts[j], cosine) for i, j, cosine in redundant_pairs(gradients, n)]
    return pd.DataFrame(rows, columns=["text_a", "text_b", "cosine"])


def layout(vectors: np.ndarray, seed: int, how: Literal["principal", "umap"] = "umap") -> pd.DataFrame:
    """A point in the plane for each vector, such that vectors of like direction lie together.

    UMAP (McInnes et al. 2018) on cosine distance, or the first two principal components of the directions.
    These also stand in with 15 vectors or fewer, where UMAP has no neighbourhoods to keep, and where
    umap-learn is not installed (extra `maps`: its compiler numba is large, and late for new Pythons).

    Args:
        vectors: shape (n, d), of any length but 0.
        seed: of UMAP; the same seed gives the same picture on the same machine.
        how: which of the two.

    Returns:
        Columns x, y, without a unit.

    Raises:
        ValueError: the vectors are not a matrix of finite numbers.
    """
    vectors = np.asarray(vectors, dtype=np.float32)
    if vectors.ndim != 2 or not len(vectors) or not np.isfinite(vectors).all():
        raise ValueError(f"A layout needs a matrix of finite numbers, not one of shape {vectors.shape}.")
    plane = _principal(vectors) if how == "principal" else _plane(vectors, seed)
    return pd.DataFrame(plane, columns=["x", "y"])


def _plane(vectors: np.ndarray, seed: int) -> np.ndarray:
    if len(vectors) <= NEIGHBOURS:
        return _principal(vectors)
    try:
        import umap  # two seconds, so only when a map is drawn
    except ImportError:
        print("UMAP is not installed (pip install 'small-model-workbench[maps]'): principal components here.")
        return _principal(vectors)
    # One job: with more, UMAP forgets its seed.
    reducer = umap.UMAP(n_neighbors=NEIGHBOURS, min_dist=0.15, metric="cosine", random_state=seed, n_jobs=1)
    with threadpool_limits(1, "openmp"):  # else numba leaves torch with a thread for every core
        return reducer.fit_transform(vectors)


def _principal(vectors: np.ndarray) -> np.ndarray:
    """The first two principal components of the unit rows, zero where there are fewer."""
    units = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    u, s, _ = np.linalg.svd(units - units.mean(0, keepdims=True), full_matrices=False)
    return np.pad((u * s)[:, :2], ((0, 0), (0, max(0, 2 - len(s)))))
