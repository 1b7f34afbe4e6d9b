"""Vectors of texts for similarity and Vendi scores."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from workbench.errors import UserError
from workbench.measures.vocabulary import words


def embed(
    texts: Sequence[str], *, model: str | None = None, dimensions: int = 128, seed: int = 0
) -> np.ndarray:
    """Unit vectors of texts, shape (n, d), float64; the dot product of two rows is their cosine.

    Without `model`: TF-IDF of words and word pairs (hashed, so there is no vocabulary to fit), reduced to
    `dimensions` by a truncated SVD (latent semantic analysis, Deerwester et al. 1990). Weights and axes
    come from the given texts: **sets that are to be compared go through one call together**. Texts
    without a word share an axis of their own. d is at most the number of texts plus one.

    Args:
        texts: at least one.
        model: a sentence-transformers folder or hub id; needs the `embeddings` extra.
        dimensions: of the default embedding.
        seed: of the randomised SVD.

    Raises:
        ValueError: there are no texts.
        UserError: the extra is missing or the model cannot be loaded.
    """
    if not len(texts):
        raise ValueError("there is no text to embed")
    rows = _latent_semantic(texts, dimensions, seed) if model is None else _sentence_vectors(texts, model)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def phrase_kernel(texts: Sequence[str]) -> np.ndarray:
    """Cosines of the texts' words and word pairs, shape (n, n), each counted as 1 + ln(count).

    Nothing is fitted, so values from different sets of texts compare; for the Vendi score over n-grams
    (Friedman & Dieng 2022, arXiv 2210.02410, section 5). Texts without a word are alike.

    Raises:
        ValueError: there are no texts.
    """
    if not len(texts):
        raise ValueError("there is no text to compare")
    counts = _counts(texts).astype(float)
    counts.data = 1 + np.log(counts.data)
    lengths = np.sqrt(np.asarray(counts.multiply(counts).sum(axis=1)).ravel())
    wordless = lengths == 0
    products = (counts @ counts.T).toarray() / np.outer(lengths + wordless, lengths + wordless)
    return products + np.outer(wordless, wordless)


def _counts(texts: Sequence[str]) -> Any:
    from sklearn.feature_extraction.text import HashingVectorizer

    hashing = HashingVectorizer(analyzer=_features, n_features=2**16, alternate_sign=False, norm=None)
    return hashing.transform(texts)


def _features(text: str) -> list[str]:
    found = words(text)
    return found + [f"{first} {second}" for first, second in pairwise(found)]


def _latent_semantic(texts: Sequence[str], dimensions: int, seed: int) -> np.ndarray:
    from sklearn.feature_extraction.text import TfidfTransformer

    weighted = TfidfTransformer(sublinear_tf=True).fit_transform(_counts(texts))
    wordless = np.diff(weighted.indptr)[:, None] == 0
    if len(texts) == 1 or wordless.all():
        return np.ones((len(texts), 1))
    reduced = _leading_axes(weighted, min(dimensions, len(texts)), seed)
    return np.hstack([reduced, wordless]) if wordless.any() else reduced


def _leading_axes(table: Any, d: int, seed: int) -> np.ndarray:
    """Left singular vectors times singular values of a sparse (n, m) table, the d largest.

    Subspace iteration (Halko et al. 2011, arXiv 0909.4061) that orthogonalises on the short side only:
    scikit-learn's also does so on the m hashed columns, ten times slower here.
    """
    n = table.shape[0]
    basis = np.random.default_rng(seed).normal(size=(n, min(d + 10, n)))
    for _ in range(5):
        basis, _ = np.linalg.qr(table @ (table.T @ basis))
    projected = table.T @ basis
    squares, axes = np.linalg.eigh(projected.T @ projected)
    largest = slice(None, -d - 1, -1)
    return (basis @ axes[:, largest]) * np.sqrt(np.clip(squares[largest], 0, None))


def _sentence_vectors(texts: Sequence[str], model: str) -> np.ndarray:
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError:
        raise UserError(
            'A sentence-transformers model needs the extra: pip install "small-model-workbench[embeddings]"'
        ) from None
    try:
        encoder: Any = SentenceTransformer(model)
    except Exception as error:  # the library raises whatever its readers and the hub's client raise
        raise UserError(
            f"The embedding model {model} could not be loaded ({type(error).__name__}): "
            "give a sentence-transformers folder, or a hub id while the network is up."
        ) from error
    return np.asarray(encoder.encode(list(texts), show_progress_bar=False), dtype=float)
