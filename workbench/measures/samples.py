"""Samples of equal size, and the two ends of every diversity scale.

Measures of diversity depend on how much text they see, so sets are compared at an equal number of words
or texts, next to a ceiling (`random_words`) and a floor (`duplicates`) of the same size.
"""

from collections.abc import Sequence

import numpy as np


def equal_texts(texts: Sequence[str], n_texts: int, seed: int = 0) -> list[str]:
    """`n_texts` of the texts, drawn without replacement.

    Raises:
        ValueError: there are fewer texts than asked for.
    """
    if not 1 <= n_texts <= len(texts):
        raise ValueError(f"{n_texts} texts cannot be drawn from {len(texts)}")
    chosen: list[int] = np.random.default_rng(seed).choice(len(texts), n_texts, replace=False).tolist()
    return [texts[i] for i in chosen]


def blocks(texts: Sequence[str], n_words: int, seed: int = 0) -> list[list[str]]:
    """Disjoint random blocks of exactly `n_words` (space-separated) words each.

    The last text of a block is cut to fit and its remainder left out. One measure computed on every block
    gives independent values of equal size, so that set-level measures get an interval
    (`statistics.bootstrap_mean` over the blocks); resampling texts with replacement would not do: it
    repeats texts, and repeats are what these measures punish.

    Raises:
        ValueError: the texts do not fill one block.
    """
    if n_words < 1:
        raise ValueError(f"a block of {n_words} words is empty")
    filled: list[list[str]] = []
    block: list[str] = []
    room = n_words
    order: list[int] = np.random.default_rng(seed).permutation(len(texts)).tolist()
    for i in order:
        words = texts[i].split()
        block.append(texts[i] if len(words) <= room else " ".join(words[:room]))
        room -= len(words)
        if room <= 0:
            filled.append(block)
            block, room = [], n_words
    if not filled:
        raise ValueError(f"{len(texts)} texts hold fewer than the {n_words} words of one block")
    return filled


def random_words(texts: Sequence[str], seed: int = 0) -> list[str]:
    """The ceiling of measures of words and k-grams: same lengths, words shuffled over the whole set.

    Not a ceiling for embeddings: those look for topics, and shuffled texts are all about everything.
    """
    lengths = [len(text.split()) for text in texts]
    pool = np.random.default_rng(seed).permutation([word for text in texts for word in text.split()])
    ends = np.cumsum(lengths)
    return [" ".join(pool[end - length : end]) for length, end in zip(lengths, ends, strict=True)]


def duplicates(texts: Sequence[str]) -> list[str]:
    """The floor: the text of median length, as often as there are texts."""
    if not texts:
        return []
    median = sorted(texts, key=lambda text: len(text.split()))[len(texts) // 2]
    return [median] * len(texts)
