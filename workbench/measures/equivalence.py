"""Classes of answers that say the same, and how many there are (NoveltyBench: arXiv 2504.05228)."""

from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from workbench.words import words

Same = Callable[[str, str], bool]
_SHORT = 5  # words up to which NoveltyBench compares answers by their words


def equivalence_classes(texts: Sequence[str], same: Same) -> np.ndarray:
    """Class number of each text, shape (n,), classes numbered as they appear.

    A text joins the first class whose first member it equals (NoveltyBench, semantic entropy), so that
    classes depend on the order of the texts.

    Args:
        texts: answers to one prompt; equal texts are in one class without asking.
        same: whether two texts, the earlier one first, say the same.
    """
    firsts: list[str] = []
    number = {}
    for text in dict.fromkeys(texts):
        number[text] = next((i for i, first in enumerate(firsts) if same(first, text)), len(firsts))
        if number[text] == len(firsts):
            firsts.append(text)
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
    expected = (1 - stats.hypergeom.pmf(0, n, sizes, draws)).sum(axis=-1)
    return np.where(draws[..., 0] <= n, expected, np.nan)
