"""Classes of answers that say the same, and how many there are.

Definitions: distinct_k and utility_k of NoveltyBench (Zhang et al. 2025, arXiv 2504.05228), semantic entropy
(Kuhn et al. 2023, arXiv 2302.09664; Farquhar et al. 2024).
"""

from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import gammaln

from workbench.measures.vendi import vendi_from_eigenvalues
from workbench.measures.vocabulary import words

Same = Callable[[str, str], bool]
_SHORT = 5  # words up to which NoveltyBench compares answers by their words


def equivalence_classes(
    texts: Sequence[str], same: Same, compare: Literal["first", "any"] = "first"
) -> np.ndarray:
    """Class number of each text, shape (n,), classes numbered as they appear.

    Args:
        texts: answers to one prompt; equal texts are in one class without asking.
        same: whether two texts, the earlier one first, say the same.
        compare: `first` puts a text into the first class whose first member it equals (NoveltyBench, semantic
            entropy; depends on the order of the texts); `any` joins whatever is linked by a chain of equal
            pairs (does not depend on the order, and may join texts that are far apart).

    Raises:
        ValueError: `compare` is something else.
    """
    unique = list(dict.fromkeys(texts))
    if compare == "first":
        labels = _greedy(unique, same)
    elif compare == "any":
        labels = _linked(unique, same)
    else:
        raise ValueError(f"classes compare with the first or any member, not {compare!r}")
    number = dict(zip(unique, labels, strict=True))
    return np.array([number[text] for text in texts], dtype=int)


def same_words(first: str, second: str) -> bool:
    """NoveltyBench's rule for short answers: at least half of the longer one's words are shared.

    Where one of them has more than five words: whether the words are the same in the same order. Where both
    have none (signs alone): whether the texts are the same.
    """
    a, b = words(first), words(second)
    if not a and not b:
        return first.strip() == second.strip()
    if max(len(a), len(b)) > _SHORT:
        return a == b
    return 2 * len(set(a) & set(b)) >= max(len(a), len(b))


def rouge_same(threshold: float = 0.458) -> Same:
    """A rule: `same_words` for short answers, else ROUGE-1 F (shared words, counted) above the threshold."""

    counted = cache(lambda text: Counter(words(text)))  # each text is asked about many times

    def same(first: str, second: str) -> bool:
        a, b = counted(first), counted(second)
        if max(a.total(), b.total()) <= _SHORT:
            return same_words(first, second)
        return 2 * (a & b).total() / (a.total() + b.total()) > threshold

    return same


def embedding_same(texts: Sequence[str], vectors: ArrayLike, threshold: float) -> Same:
    """A rule: `same_words` for short answers, else a cosine above the threshold (it depends on the encoder).

    Args:
        texts: shape (n,), all texts that the rule will be asked about.
        vectors: shape (n, d), their unit rows.
        threshold: of the cosine.
    """
    rows = dict(zip(texts, np.asarray(vectors), strict=True))

    def same(first: str, second: str) -> bool:
        if max(len(words(first)), len(words(second))) <= _SHORT:
            return same_words(first, second)
        return bool(rows[first] @ rows[second] > threshold)

    return same


def distinct_k(labels: Sequence[int], k: int = 10) -> int:
    """Number of classes among the first k answers.

    Raises:
        ValueError: there are fewer than k.
    """
    return len(set(_first(labels, k)))


def utility_k(labels: Sequence[int], scores: Sequence[float], p: float = 0.8) -> float:
    """Utility to a user who asks on with probability p after each answer, and gains by new classes alone.

    (1 − p) / (1 − p^k) Σ_i p^(i−1) u_i over answers i that open a class, u their quality (1 to 10).

    Raises:
        ValueError: the lengths differ, there is no answer, or p does not lie between 0 and 1.
    """
    if len(labels) != len(scores) or not len(labels):
        raise ValueError(f"{len(scores)} scores do not fit {len(labels)} labels")
    if not 0 < p < 1:
        raise ValueError(f"p must lie between 0 and 1, not {p}")
    _, opening = np.unique(np.asarray(labels), return_index=True)
    gains = p**opening @ np.asarray(scores, dtype=float)[opening]
    return float(gains * (1 - p) / (1 - p ** len(labels)))


def semantic_entropy(labels: Sequence[int], logprobs: ArrayLike | None = None) -> float:
    """Entropy over classes, nats.

    Args:
        labels: shape (n,), class of each sampled answer.
        logprobs: shape (n,), log-probability of each answer; normalised over the samples and summed within
            classes. Classes weigh by their number of answers when left out.

    Raises:
        ValueError: there is no answer, or the lengths differ.
    """
    _, index = np.unique(np.asarray(labels), return_inverse=True)
    logs = np.zeros(len(index)) if logprobs is None else np.asarray(logprobs, dtype=float)
    if not len(index) or logs.shape != index.shape:
        raise ValueError(f"log-probabilities of shape {logs.shape} do not fit {len(index)} labels")
    return float(np.log(effective_number(np.bincount(index, np.exp(logs - logs.max())), 1)))


def effective_number(counts: ArrayLike, order: float = 1) -> float:
    """Hill number of class counts: exp(entropy) at order 1, 1 / Σp² at order 2, classes at order 0.

    Raises:
        ValueError: no count is above zero, or the order is negative.
    """
    sizes = np.asarray(counts, dtype=float)
    if not sizes.sum() > 0:
        raise ValueError("an effective number needs at least one answer")
    return vendi_from_eigenvalues(sizes / sizes.sum(), order)


def collision(counts: ArrayLike) -> float:
    """Unbiased chance that two answers are of one class: Σ c(c − 1) / (n(n − 1)); NaN below two answers."""
    sizes = np.asarray(counts, dtype=float)
    n = sizes.sum()
    return float(sizes @ (sizes - 1) / (n * (n - 1))) if n >= 2 else float("nan")


def rarefaction(counts: ArrayLike, k: ArrayLike) -> np.ndarray:
    """Expected number of classes among k answers drawn without replacement, of the shape of k.

    Σ_c 1 − C(n − c, k) / C(n, k) (Hurlbert 1971); NaN where there are fewer than k answers.
    """
    sizes, draws = np.asarray(counts, dtype=float), np.asarray(k, dtype=float)[..., None]
    n = sizes.sum()
    with np.errstate(invalid="ignore"):
        missed = np.exp(_log_choose(n - sizes, draws) - _log_choose(n, draws))
    found = (1 - np.where(n - sizes >= draws, missed, 0)).sum(axis=-1)
    return np.where(draws[..., 0] <= n, found, np.nan)


def _greedy(texts: Sequence[str], same: Same) -> list[int]:
    firsts: list[str] = []
    labels = []
    for text in texts:
        number = next((i for i, first in enumerate(firsts) if same(first, text)), len(firsts))
        if number == len(firsts):
            firsts.append(text)
        labels.append(number)
    return labels


def _linked(texts: Sequence[str], same: Same) -> list[int]:
    labels = list(range(len(texts)))
    for j, text in enumerate(texts):
        for i in range(j):
            if labels[i] != labels[j] and same(texts[i], text):
                low, high = sorted((labels[i], labels[j]))
                labels = [low if label == high else label for label in labels]
    return np.unique(labels, return_inverse=True)[1].tolist()


def _first(labels: Sequence[int], k: int) -> Sequence[int]:
    if not 1 <= k <= len(labels):
        raise ValueError(f"there are {len(labels)} answers, not {k}")
    return labels[:k]


def _log_choose(n: ArrayLike, k: ArrayLike) -> np.ndarray:
    n, k = np.asarray(n, dtype=float), np.asarray(k, dtype=float)
    return gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
