"""Vendi score: the effective number of distinct items (Friedman & Dieng, arXiv 2210.02410).

With λ the eigenvalues of K/n (K a similarity kernel with ones on its diagonal, so Σλ = 1), the score of
order q is exp(H_q(λ)), H_q the Rényi entropy (Pasarkar & Dieng, arXiv 2310.12952): exp(−Σ λ log λ) for
q = 1, 1/λ_max for q = ∞. It lies between 1 (all equal) and min(n, d) (as many orthogonal items as fit).
"""

import numpy as np
from numpy.typing import ArrayLike

_TOLERANCE = 1e-6


def vendi_from_features(features: ArrayLike, order: float = 1.0) -> float:
    """Vendi score under cosine similarity, from the smaller of the two Gram matrices.

    Args:
        features: shape (n, d), one row per item; rows are scaled to unit length here and not centred.
        order: q ≥ 0, `math.inf` included.

    Raises:
        ValueError: no rows, values that are not finite, or a zero row.
    """
    rows = np.asarray(features, dtype=float)
    if rows.ndim != 2 or rows.size == 0:
        raise ValueError(f"features must be a table with rows and columns, not of shape {rows.shape}")
    if not np.isfinite(rows).all():
        raise ValueError(f"{(~np.isfinite(rows)).any(axis=1).sum()} feature rows hold NaN or infinity")
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    if (lengths == 0).any():
        raise ValueError(f"{(lengths == 0).sum()} feature rows are zero and have no direction")
    rows = rows / lengths
    n, d = rows.shape
    gram = rows.T @ rows if d < n else rows @ rows.T
    return vendi_from_eigenvalues(np.linalg.eigvalsh(gram) / n, order)


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
    if not np.allclose(np.diag(similarity), 1, atol=_TOLERANCE):
        raise ValueError("the kernel's diagonal is not one: each item must be fully similar to itself")
    eigenvalues = np.linalg.eigvalsh(similarity) / len(similarity)
    if eigenvalues[0] < -_TOLERANCE:
        raise ValueError(f"the kernel is not positive semi-definite: eigenvalue {eigenvalues[0]:.3g}")
    return vendi_from_eigenvalues(eigenvalues, order)


def vendi_from_eigenvalues(eigenvalues: ArrayLike, order: float = 1.0) -> float:
    """exp of the Rényi entropy of order q of eigenvalues that sum to one.

    Order 0 counts eigenvalues that are not zero; numerical noise below 1e-12 counts as zero.

    Raises:
        ValueError: the order is negative or NaN.
    """
    if not order >= 0:
        raise ValueError(f"the order of a Vendi score must be 0 or more, not {order}")
    spectrum = np.asarray(eigenvalues, dtype=float)
    spectrum = spectrum[spectrum > 1e-12]
    if order == 1:
        return float(np.exp(-np.sum(spectrum * np.log(spectrum))))
    if np.isinf(order):
        return float(1 / spectrum.max())
    return float(np.sum(spectrum**order) ** (1 / (1 - order)))
