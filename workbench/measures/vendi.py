"""Vendi score: the effective number of distinct items (Friedman & Dieng, arXiv 2210.02410).

With λ the eigenvalues of K/n (K a similarity kernel with ones on its diagonal, so Σλ = 1), the score of
order q is exp(H_q(λ)), H_q the Rényi entropy (Pasarkar & Dieng, arXiv 2310.12952): exp(−Σ λ log λ) for
q = 1, 1/λ_max for q = ∞. It lies between 1 (all equal) and min(n, d) (as many orthogonal items as fit).

Under cosine similarity the second moment S = Σ p_i u_i u_iᵀ of the unit rows, shape (d, d), has the same
spectrum but for zeros, and costs n d² + d³. On gradients of a proxy this is G-Vendi (arXiv 2505.20161 §2);
`gvendi` says how far that number can be trusted and which examples it comes from.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import entr, logsumexp

_TOLERANCE = 1e-5  # by which a matrix in single precision may miss its definition
_CHUNK = 4096  # rows in double precision held at once
_LARGE = 500_000  # numbers above which single precision is tried first


def vendi_from_features(features: ArrayLike, order: float = 1.0, weights: ArrayLike | None = None) -> float:
    """Vendi score under cosine similarity, from the smaller of the two Gram matrices.

    Above half a million numbers and from order 1 on, products run in single precision first, and again in
    double if rounding shows in the spectrum; scores then agree to 1e-6.

    Args:
        features: shape (n, d), one row per item; rows are scaled to unit length here and not centred.
        order: q ≥ 0, `math.inf` included.
        weights: shape (n,), share of each item, summing to one; equal shares when left out.

    Raises:
        ValueError: no rows, values that are not finite, or zero rows; weights that are no shares.
    """
    rows, scales = _scaled(features, weights)
    if order >= 1 and rows.size > _LARGE:
        with np.errstate(over="ignore", invalid="ignore"):
            gram = _gram(rows, scales, np.float32)
        if abs(np.trace(gram) - 1) < _TOLERANCE:
            spectrum = np.linalg.eigvalsh(gram)
            if spectrum[0] > 0:  # eigenvalues lost in rounding come out negative
                return vendi_from_eigenvalues(spectrum, order)
    return vendi_from_eigenvalues(np.linalg.eigvalsh(_gram(rows, scales, float)), order)


def vendi_from_kernel(kernel: ArrayLike, order: float = 1.0) -> float:
    """Vendi score of a similarity kernel.

    Args:
        kernel: shape (n, n), symmetric, positive semi-definite, ones on the diagonal.
        order: q ≥ 0, `math.inf` included.

    Raises:
        ValueError: the kernel lacks one of these properties; the message names it.
    """
    similarity = np.asarray(kernel, dtype=float)
    if similarity.ndim != 2 or similarity.shape[0] != similarity.shape[1] or similarity.size == 0:
        raise ValueError(f"a kernel must be a square matrix, not of shape {similarity.shape}")
    if not np.isfinite(similarity).all():
        raise ValueError("the kernel holds NaN or infinity")
    if not np.allclose(similarity, similarity.T, atol=_TOLERANCE):
        raise ValueError("the kernel is not symmetric")
    if not np.allclose(np.diag(similarity), 1, rtol=0, atol=_TOLERANCE):
        raise ValueError("the kernel's diagonal is not one: each item must be fully similar to itself")
    spectrum = np.linalg.eigvalsh(similarity / len(similarity))
    if spectrum[0] < -_TOLERANCE:
        raise ValueError(f"the kernel is not positive semi-definite: eigenvalue {spectrum[0]:.3g}")
    return vendi_from_eigenvalues(spectrum, order)


def vendi_from_eigenvalues(eigenvalues: ArrayLike, order: float = 1.0) -> float:
    """exp of the Rényi entropy of order q of eigenvalues that sum to one.

    Order 0 counts eigenvalues that are not zero; numerical noise below 1e-12 counts as zero.

    Raises:
        ValueError: the order is negative or NaN; the eigenvalues do not sum to one.
    """
    if not order >= 0:
        raise ValueError(f"the order of a Vendi score must be 0 or more, not {order}")
    spectrum = np.asarray(eigenvalues, dtype=float)
    total = spectrum.sum()
    if not abs(total - 1) <= 2 * _TOLERANCE:
        raise ValueError(f"eigenvalues must sum to one, not to {total:.6g}")
    shares = spectrum[spectrum > 1e-12]
    shares = shares / shares.sum()
    if order == 1:
        return float(np.exp(entr(shares).sum()))
    if np.isinf(order):
        return float(1 / shares.max())
    return float(np.exp(logsumexp(order * np.log(shares)) / (1 - order)))


def second_moment(features: ArrayLike, weights: ArrayLike | None = None) -> np.ndarray:
    """S = Σ p_i u_i u_iᵀ of the unit rows u, in double precision, by chunks of rows.

    Moments of parts are merged by adding them in proportion to their numbers of rows. Arguments and errors
    are those of `vendi_from_features`.

    Returns:
        Shape (d, d), trace 1.
    """
    return _moment(*_scaled(features, weights), float)


def unit_rows(features: ArrayLike) -> np.ndarray:
    """Rows scaled to unit length, shape (n, d), double precision.

    Raises:
        ValueError: no rows, values that are not finite, or zero rows.
    """
    rows, scales = _scaled(features, None)
    return rows * (scales * np.sqrt(len(rows)))[:, None]


def _scaled(features: ArrayLike, weights: ArrayLike | None) -> tuple[np.ndarray, np.ndarray]:
    """Rows as given, and the factors that give each the length sqrt(p_i)."""
    rows = np.asarray(features)
    if rows.ndim != 2 or rows.size == 0:
        raise ValueError(f"features must be a table with rows and columns, not of shape {rows.shape}")
    with np.errstate(over="ignore"):
        squares = np.einsum("ij,ij->i", rows, rows, dtype=float)
    for wrong, what in ((~np.isfinite(squares), "hold NaN or infinity"), (squares == 0, "are zero")):
        if wrong.any():
            at = np.flatnonzero(wrong)
            more = f" and {len(at) - 5} more" if len(at) > 5 else ""
            raise ValueError(
                f"feature rows {', '.join(map(str, at[:5]))}{more} {what}: they have no direction"
            )
    shares = np.full(len(rows), 1 / len(rows)) if weights is None else np.asarray(weights, dtype=float)
    if shares.shape != (len(rows),) or not (shares >= 0).all() or abs(shares.sum() - 1) > _TOLERANCE:
        raise ValueError(f"weights must be {len(rows)} shares, none negative, that sum to one")
    return rows, np.sqrt(shares / shares.sum() / squares)


def _gram(rows: np.ndarray, scales: np.ndarray, dtype: type) -> np.ndarray:
    """The smaller Gram matrix of the scaled rows."""
    if rows.shape[1] < len(rows):
        return _moment(rows, scales, dtype)
    scaled = rows.astype(dtype) * scales[:, None].astype(dtype)
    return (scaled @ scaled.T).astype(float)


def _moment(rows: np.ndarray, scales: np.ndarray, dtype: type) -> np.ndarray:
    n, d = rows.shape
    total = np.zeros((d, d))
    factors = scales[:, None].astype(dtype)
    held = np.empty((min(n, _CHUNK), d), dtype)  # for every chunk: fresh memory costs time
    for start in range(0, n, _CHUNK):
        part = held[: n - start]
        part[:] = rows[start : start + _CHUNK]
        part *= factors[start : start + _CHUNK]
        total += part.T @ part
    return total
