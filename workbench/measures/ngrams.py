"""Words and k-grams of many texts as numbers, for sparse products and sorting."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse

from workbench.words import words


@dataclass(frozen=True)
class Words:
    """All words of a list of texts, one after the other."""

    word: np.ndarray  #: number of each word, equal for equal words
    row: np.ndarray  #: the text it stands in
    left: np.ndarray  #: words from it to its text's end, itself included
    n_texts: int  #: how many texts there are


@dataclass(frozen=True)
class Grams:
    """Every k-gram occurrence of a list of texts: its number and the text it stands in."""

    gram: np.ndarray
    row: np.ndarray
    n_texts: int
    n_grams: int


def number_words(texts: Sequence[str]) -> Words:
    """The words of texts (see `vocabulary.words`)."""
    split = [words(text) for text in texts]
    lengths = np.array([len(text_words) for text_words in split], dtype=np.int64)
    flat = np.array([word for text_words in split for word in text_words], dtype=object)
    row = np.repeat(np.arange(len(texts)), lengths)
    left = np.repeat(np.cumsum(lengths), lengths) - np.arange(len(flat))
    return Words(pd.factorize(flat)[0].astype(np.int64), row, left, len(texts))


def number_grams(texts: Words, k: int) -> Grams:
    """The k-grams of texts; none crosses from one text to the next.

    Raises:
        ValueError: k is below 1.
    """
    if k < 1:
        raise ValueError(f"k-grams need k of 1 or more, not {k}")
    *_, grams = grams_up_to(texts, k)
    return grams


def grams_up_to(texts: Words, longest: int) -> Iterator[Grams]:
    """The k-grams of texts for k = 1 to `longest`, each lengthened by a word from the last."""
    start, gram, n_grams = np.arange(len(texts.word)), texts.word, int(texts.word.max(initial=-1)) + 1
    factor = max(n_grams, 1)
    for k in range(1, longest + 1):
        yield Grams(gram, texts.row[start], texts.n_texts, n_grams)
        longer = texts.left[start] > k
        start, gram = start[longer], gram[longer]
        # Numbered anew at each length, so that the products stay within 64 bits.
        gram, unique = pd.factorize(gram * factor + texts.word[start + k])
        n_grams = len(unique)


def shares_of(grams: Grams) -> sparse.csr_array:
    """Texts × k-grams: count over the text's number of k-grams, so that rows sum to one."""
    total = np.bincount(grams.row, minlength=grams.n_texts)
    return _table(grams, 1 / total[grams.row])


def counts_of(grams: Grams) -> sparse.csr_array:
    """Texts × k-grams: how often the text holds the k-gram."""
    return _table(grams, np.ones(len(grams.row)))


def presence_of(grams: Grams) -> sparse.csr_array:
    """Texts × k-grams: 1 where the text holds the k-gram."""
    table = counts_of(grams)
    table.data[:] = 1
    return table


def _table(grams: Grams, weights: np.ndarray) -> sparse.csr_array:
    """Repeats add up."""
    return sparse.csr_array((weights, (grams.row, grams.gram)), shape=(grams.n_texts, grams.n_grams))
