"""What stands behind a G-Vendi score (arXiv 2505.20161): its ceiling, its bias, its error, its examples.

The score of n unit rows in d dimensions is at most min(n, d), and a random projection to d dimensions pulls
it further down; it is comparable at equal n and equal d only.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from workbench.measures.statistics import Interval
from workbench.measures.vendi import second_moment, unit_rows, vendi_from_features

_HELD = 4_000_000  # numbers held at once
_SPLITS = 40


def cap(n: int, d: int) -> int:
    """The highest score that n rows in d dimensions can have, of any order."""
    return min(n, d)


def projection_bias(n: int, d: int) -> float:
    """What is left of the ceiling when n unrelated rows are seen in d random dimensions: exp(−m / 2M).

    A ratio, for order 1, from the entropy of a random spectrum (Page 1993): with m = min(n, d), M = max(n, d)
    the expected score of such rows is m exp(−m / 2M), `cap(n, d) * projection_bias(n, d)`. For rows of lower
    rank, give that rank for n.
    """
    return float(np.exp(-min(n, d) / (2 * max(n, d))))


def cross_sketch(first: ArrayLike, second: ArrayLike) -> float:
    """Score of order 2 from two independent sketches of the same rows, free of the bias of projection.

    VS_2 = n² / (n + Σ_{i≠j} A_ij B_ij), A and B the cosines in the first and in the second sketch. Their
    errors are independent, so that the sum is unbiased, where Σ A_ij² counts noise as similarity. With unit
    rows F and G the denominator is ‖FᵀG‖², in n d² steps. Noise can carry the score above n.

    Args:
        first: shape (n, d), not necessarily unit rows.
        second: shape (n, e), the same items sketched with another seed.

    Raises:
        ValueError: different numbers of rows, or rows that `unit_rows` refuses.
    """
    a, b = unit_rows(first), unit_rows(second)
    if len(a) != len(b):
        raise ValueError(f"two sketches of items need equal numbers of rows, not {len(a)} and {len(b)}")
    return float(len(a) ** 2 / np.sum((a.T @ b) ** 2))


def vendi_interval(features: ArrayLike, seed: int = 0) -> Interval:
    """Vendi score of features (n, d), with a 95 % interval for the mean score of other n items of its source.

    The items are split at random into halves A and B, many times. log VS(A) − log VS(B) has twice the
    variance of one half, and a half twice that of the whole: half the spread is the standard error at n. The
    interval does not reach for the score at more items, which is higher. On simulated sources it held the
    expected score in 88 to 97 of 100 cases at n = 200, in 81 to 97 at n = 40, least where tails are heavy.

    Returns:
        Bounds are NaN below 4 items.

    Raises:
        ValueError: as `vendi_from_features`.
    """
    rows = np.asarray(features)
    score, n = vendi_from_features(rows), len(rows)
    if n < 4:
        return Interval(score, float("nan"), float("nan"), n)
    rng = np.random.default_rng(seed)
    splits = [np.split(rng.permutation(n), [n // 2]) for _ in range(_SPLITS)]
    logs = np.log([[vendi_from_features(rows[half]) for half in split] for split in splits])
    error = np.sqrt(np.mean((logs[:, 0] - logs[:, 1]) ** 2)) / 2
    reach = np.exp(stats.norm.ppf(0.975) * error)
    return Interval(score, float(score / reach), float(score * reach), n)


def contributions(features: ArrayLike) -> np.ndarray:
    """Surprisal −uᵀ log(S) u of each unit row u of (n, d), in nats, shape (n,); S is all rows' second moment.

    The mean is the entropy log VS_1, and an item's contribution minus one is the derivative of the entropy by
    its weight (arXiv 2606.15216).

    Raises:
        ValueError: rows that `vendi_from_features` refuses.
    """
    rows = unit_rows(features)
    if rows.shape[1] < len(rows):
        shares, directions = np.linalg.eigh(second_moment(rows))
    else:  # S = Uᵀ U / n has the right singular vectors of U for directions
        _, singular, right = np.linalg.svd(rows, full_matrices=False)
        shares, directions = singular**2 / len(rows), right.T
    surprisals = -np.log(np.where(shares > 1e-12, shares, 1))
    step = max(1, _HELD // directions.shape[1])
    parts = [rows[start : start + step] @ directions for start in range(0, len(rows), step)]
    return np.concatenate([part**2 @ surprisals for part in parts])


def redundant_pairs(features: ArrayLike, n: int) -> list[tuple[int, int, float]]:
    """The n pairs of rows with the highest cosine, in chunks of rows; the closest pair first.

    Returns:
        Row, later row, and their cosine; fewer than n when there are fewer pairs.

    Raises:
        ValueError: rows that `vendi_from_features` refuses.
    """
    rows = unit_rows(features).astype(np.float32)
    step = max(1, _HELD // len(rows))
    best = np.empty((0, 3))
    for start in range(0, len(rows), step):
        cosines = rows[start : start + step] @ rows[start:].T
        cosines[np.tril_indices(len(cosines))] = -np.inf  # each pair once, none with itself
        flat = cosines.ravel()
        top = np.argpartition(flat, -n)[-n:] if n < flat.size else np.arange(flat.size)
        top = top[np.isfinite(flat[top])]
        row, column = np.divmod(top, cosines.shape[1])
        best = np.concatenate([best, np.column_stack([row + start, column + start, flat[top]])])
        best = best[np.lexsort((best[:, 1], best[:, 0], -best[:, 2]))][:n]
    return [(int(i), int(j), min(1.0, float(cosine))) for i, j, cosine in best]
