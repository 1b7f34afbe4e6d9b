"""Words of a text, and how wide a vocabulary is at equal size."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from scipy.special import gammaln

_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")


def words(text: str) -> list[str]:
    """Lower-case words without punctuation; "don’t" and "don't" are the same one word."""
    return _WORD.findall(text.lower().replace("’", "'"))


def coverage(texts: Iterable[str], word_list: Iterable[str]) -> float:
    """Share of `word_list` that occurs as a word anywhere in `texts`.

    Raises:
        ValueError: the word list is empty.
    """
    wanted = {word.lower() for word in word_list}
    if not wanted:
        raise ValueError("coverage needs a word list that is not empty")
    seen = {word for text in texts for word in words(text)}
    return len(wanted & seen) / len(wanted)


def type_token_ratio(texts: Sequence[str], n_words: int) -> float:
    """Expected distinct words per word in a random sample of `n_words` words, without replacement.

    The plain ratio falls as texts grow; the expectation at one sample size (rarefaction, Hurlbert 1971)
    does not: Σ_w (1 − C(N − c_w, n) / C(N, n)) / n, exact, so no seed is needed.

    Raises:
        ValueError: the texts hold fewer than `n_words` words.
    """
    counts = np.array(list(Counter(word for text in texts for word in words(text)).values()), dtype=float)
    total = int(counts.sum())
    if not 1 <= n_words <= total:
        raise ValueError(f"a sample of {n_words} words cannot be drawn from {total} words")
    rest = total - counts
    possible = rest >= n_words  # otherwise every sample holds the word
    log_absent = (gammaln(rest[possible] + 1) - gammaln(rest[possible] - n_words + 1)) - (
        gammaln(total + 1) - gammaln(total - n_words + 1)
    )
    return float((len(counts) - np.exp(log_absent).sum()) / n_words)
