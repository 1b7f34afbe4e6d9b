"""Shared k-grams of words: copying from a corpus, repetition within a set (TinyStories).

G_k(T) lists the k-grams of lower-case words of a text, repeats included. A text of fewer than k words has
none; its scores are NaN. Definitions: Eldan & Li 2023, arXiv 2305.07759, the part on diversity.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse

from workbench.measures.vocabulary import words

_CELLS = 8_000_000  # cells of one dense block of the text × corpus table


@dataclass(frozen=True)
class Nearest:
    """For each text its largest overlap (shape (n,), NaN without k-grams) and with which text (−1: none)."""

    overlap: np.ndarray
    index: np.ndarray


def kgrams(text: str, k: int) -> list[tuple[str, ...]]:
    """The k-grams of words of one text in order, repeats included."""
    found = words(text)
    return list(zip(*(found[i:] for i in range(k)), strict=False))


def share_found(first: str, second: str, k: int = 2) -> float:
    """R_{k,p}(first, second): share of the first text's k-grams that occur in the second.

    Counts are not clipped: a k-gram that stands twice in the first text and once in the second counts
    twice. (ROUGE packages clip; both agree while no k-gram repeats.)
    """
    grams, known = kgrams(first, k), set(kgrams(second, k))
    return sum(gram in known for gram in grams) / len(grams) if grams else float("nan")


def f_overlap(first: str, second: str, k: int = 2) -> float:
    """R_k(first, second): harmonic mean of `share_found` both ways; 0 when nothing is shared."""
    precision, recall = share_found(first, second, k), share_found(second, first, k)
    total = precision + recall
    return 2 * precision * recall / total if total else total


def max_overlap(texts: Sequence[str], corpus: Sequence[str], k: int = 2) -> Nearest:
    """h_i = max_j R_{k,p}(T_i, S_j): how much of each text one single corpus text holds.

    One sparse product (texts × k-grams)·(k-grams × corpus), in blocks of rows.
    """
    grams = _grams([*texts, *corpus], k)
    shares, presence = _shares(grams), _presence(grams)
    return _largest(shares[: len(texts)], presence[len(texts) :])


def self_overlap(texts: Sequence[str], k: int = 2) -> Nearest:
    """r_i = max_{j≠i} R_k(T_i, T_j): how close each text comes to another one of its own set (F measure)."""
    grams = _grams(texts, k)
    shares, presence = _shares(grams), _presence(grams)
    best, index = np.full(len(texts), np.nan), np.full(len(texts), -1)
    has_grams = np.diff(shares.indptr) > 0
    if has_grams.sum() < 2:
        return Nearest(best, index)
    for rows in _row_blocks(len(texts), len(texts)):
        precision = (shares[rows] @ presence.T).toarray()
        total = precision + (presence[rows] @ shares.T).toarray()
        f = np.divide(2 * precision * (total - precision), total, out=np.zeros_like(total), where=total > 0)
        f[:, ~has_grams] = -1
        f[np.arange(len(f)), np.arange(len(texts))[rows]] = -1
        best[rows], index[rows] = f.max(axis=1), f.argmax(axis=1)
    return Nearest(np.where(has_grams, best, np.nan), np.where(has_grams, index, -1))


def novelty(texts: Sequence[str], corpus: Sequence[str], k: int = 4) -> np.ndarray:
    """Share of each text's k-grams that occur nowhere in the corpus, shape (n,)."""
    grams = _grams([*texts, *corpus], k)
    own = grams.row < len(texts)
    unseen = ~np.isin(grams.gram[own], grams.gram[~own])
    total = np.bincount(grams.row[own], minlength=len(texts))
    found = np.bincount(grams.row[own], weights=unseen, minlength=len(texts))
    return np.divide(found, total, out=np.full(len(texts), np.nan), where=total > 0)


def longest_copies(texts: Sequence[str], corpus: Sequence[str]) -> list[str]:
    """The longest run of words of each text that stands verbatim in some corpus text ("" if none).

    Lengthens runs word by word and keeps only the places where both sides still agree, so the work shrinks
    with every step.
    """
    tokens, row, left = _tokens([*texts, *corpus])
    own = row < len(texts)
    place, gram = np.arange(len(tokens)), tokens.copy()
    length, start = np.zeros(len(texts), dtype=int), np.zeros(len(texts), dtype=int)
    k = 1
    while True:
        is_own = own[place]
        both = np.intersect1d(gram[is_own], gram[~is_own])
        kept = np.isin(gram, both)
        place, gram = place[kept], gram[kept]
        found = place[own[place]]
        if not len(found):
            break
        length[row[found]], start[row[found]] = k, found
        longer = left[place] > k
        place, gram = place[longer], gram[longer]
        gram = pd.factorize(gram * (tokens.max() + 1) + tokens[place + k])[0].astype(np.int64)
        k += 1
    start -= np.searchsorted(row, np.arange(len(texts)))
    return [" ".join(words(text)[i : i + n]) for text, i, n in zip(texts, start, length, strict=True)]


def contamination(texts: Sequence[str], corpus: Sequence[str], k: int) -> tuple[int, int]:
    """How many texts stand in a corpus word for word, and how many others share k words in a row with it."""
    whole = {tuple(words(text)) for text in corpus}
    grams = {gram for text in corpus for gram in kgrams(text, k)}
    others = [text for text in texts if tuple(words(text)) not in whole]
    return len(texts) - len(others), sum(not grams.isdisjoint(kgrams(text, k)) for text in others)


def distinct(texts: Sequence[str], k: int = 2) -> float:
    """distinct-k: different k-grams over all k-grams of a set; k-grams do not cross from text to text.

    Falls as sets grow: compare at equal size.

    Raises:
        ValueError: no text has k words.
    """
    counts = Counter(gram for text in texts for gram in kgrams(text, k))
    if not counts:
        raise ValueError(f"no text holds {k} words")
    return len(counts) / counts.total()


def phrase_kernel(texts: Sequence[str]) -> np.ndarray:
    """Cosines of the texts' words and word pairs, shape (n, n), each counted as 1 + ln(count).

    Nothing is fitted, so values from different sets of texts compare; for the Vendi score over n-grams
    (Friedman & Dieng 2022, arXiv 2210.02410, section 5). Texts without a word are alike.

    Raises:
        ValueError: there are no texts.
    """
    if not len(texts):
        raise ValueError("there is no text to compare")
    counts = sparse.hstack([_counts(_grams(texts, k)) for k in (1, 2)], format="csr")
    counts.data = 1 + np.log(counts.data)
    lengths = np.sqrt(np.asarray(counts.multiply(counts).sum(axis=1)).ravel())
    wordless = lengths == 0
    products = (counts @ counts.T).toarray() / np.outer(lengths + wordless, lengths + wordless)
    return products + np.outer(wordless, wordless)


@dataclass(frozen=True)
class _Grams:
    """Every k-gram occurrence of a list of texts: its number and the text it stands in."""

    gram: np.ndarray
    row: np.ndarray
    n_texts: int
    n_grams: int


def _tokens(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Word numbers of all texts in one array; each word's text; words from it to its text's end."""
    split = [words(text) for text in texts]
    lengths = np.array([len(found) for found in split], dtype=np.int64)
    flat = np.array([word for found in split for word in found], dtype=object)
    tokens = pd.factorize(flat)[0].astype(np.int64)
    row = np.repeat(np.arange(len(texts)), lengths)
    left = np.repeat(np.cumsum(lengths), lengths) - np.arange(len(tokens))
    return tokens, row, left


def _grams(texts: Sequence[str], k: int) -> _Grams:
    if k < 1:
        raise ValueError(f"k-grams need k of 1 or more, not {k}")
    tokens, row, left = _tokens(texts)
    gram, n_grams = tokens, int(tokens.max(initial=-1)) + 1
    for offset in range(1, k):  # numbered anew at each length, so that the products stay within 64 bits
        shifted = np.append(tokens[offset:], np.zeros(min(offset, len(tokens)), dtype=np.int64))
        gram, unique = pd.factorize(gram * (tokens.max(initial=0) + 1) + shifted)
        n_grams = len(unique)
    whole = left >= k
    return _Grams(gram[whole], row[whole], len(texts), n_grams)


def _shares(grams: _Grams) -> sparse.csr_array:
    """Texts × k-grams: count over the text's number of k-grams, so that rows sum to one."""
    total = np.bincount(grams.row, minlength=grams.n_texts)
    shape = (grams.n_texts, grams.n_grams)
    return sparse.csr_array((1 / total[grams.row], (grams.row, grams.gram)), shape=shape)


def _counts(grams: _Grams) -> sparse.csr_array:
    """Texts × k-grams: how often the text holds the k-gram."""
    shape = (grams.n_texts, grams.n_grams)
    return sparse.csr_array((np.ones(len(grams.row)), (grams.row, grams.gram)), shape=shape)


def _presence(grams: _Grams) -> sparse.csr_array:
    """Texts × k-grams: 1 where the text holds the k-gram."""
    table = _counts(grams)
    table.data[:] = 1
    return table


def _row_blocks(n_rows: int, n_columns: int) -> list[slice]:
    step = max(1, _CELLS // max(1, n_columns))
    return [slice(begin, min(begin + step, n_rows)) for begin in range(0, n_rows, step)]


def _largest(shares: sparse.csr_array, presence: sparse.csr_array) -> Nearest:
    n = shares.shape[0]
    best, index = np.full(n, np.nan), np.full(n, -1)
    if presence.shape[0]:
        for rows in _row_blocks(n, presence.shape[0]):
            found = (shares[rows] @ presence.T).toarray()
            best[rows], index[rows] = found.max(axis=1), found.argmax(axis=1)
    has_grams = np.diff(shares.indptr) > 0
    return Nearest(np.where(has_grams, best, np.nan), np.where(has_grams, index, -1))
