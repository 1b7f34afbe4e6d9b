"""Shared k-grams of words: copying from a corpus, repetition within a set (TinyStories).

G_k(T) lists the k-grams of lower-case words of a text, repeats included. A text of fewer than k words has
none; its scores are NaN. Definitions: Eldan & Li 2023, arXiv 2305.07759, the part on diversity.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse

from workbench.measures.ngrams import Words, counts_of, number_grams, number_words, presence_of, shares_of
from workbench.measures.vocabulary import question_key
from workbench.words import words

_CELLS = 8_000_000  # cells of one dense block of the text × corpus table


@dataclass(frozen=True)
class Nearest:
    """For each text its largest overlap (shape (n,), NaN without k-grams) and with which text (−1: none)."""

    overlap: np.ndarray
    index: np.ndarray


def kgrams(text: str, k: int) -> list[tuple[str, ...]]:
    """The k-grams of words of one text in order, repeats included."""
    tokens = words(text)
    return list(zip(*(tokens[i:] for i in range(k)), strict=False))


def share_found(first: str, second: str, k: int = 2) -> float:
    """R_{k,p}(first, second): share of the first text's k-grams that occur in the second.

    Counts are not clipped: a k-gram that stands twice in the first text and once in the second counts
    twice. (ROUGE packages clip; both agree while no k-gram repeats.)
    """
    grams, known = kgrams(first, k), set(kgrams(second, k))
    return sum(gram in known for gram in grams) / len(grams) if grams else float("nan")


def max_overlap(texts: Sequence[str], corpus: Sequence[str], k: int = 2) -> Nearest:
    """h_i = max_j R_{k,p}(T_i, S_j): how much of each text one single corpus text holds.

    One sparse product (texts × k-grams)·(k-grams × corpus), in blocks of rows.
    """
    grams = number_grams(number_words([*texts, *corpus]), k)
    shares, presence = shares_of(grams)[: len(texts)], presence_of(grams)[len(texts) :]
    has_grams = np.diff(shares.indptr) > 0
    return _nearest(lambda rows: (shares[rows] @ presence.T).toarray(), has_grams, len(corpus))


def self_overlap(texts: Sequence[str], k: int = 2) -> Nearest:
    """r_i = max_{j≠i} R_k(T_i, T_j): how close each text comes to another one of its set.

    R_k is the harmonic mean of `share_found` both ways, 0 where nothing is shared.
    """
    grams = number_grams(number_words(texts), k)
    shares, presence = shares_of(grams), presence_of(grams)
    has_grams = np.diff(shares.indptr) > 0

    def scores(rows: slice) -> np.ndarray:
        precision = (shares[rows] @ presence.T).toarray()
        total = precision + (presence[rows] @ shares.T).toarray()
        f = np.divide(2 * precision * (total - precision), total, out=np.zeros_like(total), where=total > 0)
        f[:, ~has_grams] = -1
        f[np.arange(len(f)), np.arange(len(texts))[rows]] = -1
        return f

    return _nearest(scores, has_grams, len(texts) if has_grams.sum() > 1 else 0)


def novelty(texts: Sequence[str], corpus: Sequence[str], k: int = 4) -> np.ndarray:
    """Share of each text's k-grams that occur nowhere in the corpus, shape (n,)."""
    grams = number_grams(number_words([*texts, *corpus]), k)
    of_texts = grams.row < len(texts)
    unseen = ~np.isin(grams.gram[of_texts], grams.gram[~of_texts])
    total = np.bincount(grams.row[of_texts], minlength=len(texts))
    new = np.bincount(grams.row[of_texts], weights=unseen, minlength=len(texts))
    return np.divide(new, total, out=np.full(len(texts), np.nan), where=total > 0)


def longest_copies(texts: Sequence[str], corpus: Sequence[str]) -> list[str]:
    """The longest run of words of each text that stands verbatim in some corpus text ("" if none)."""
    numbered = number_words([*texts, *corpus])
    row = numbered.row
    length, start = np.zeros(len(texts), dtype=int), np.zeros(len(texts), dtype=int)
    for k, at in _shared_runs(numbered, numbered.word, row < len(texts)):
        copied = at[row[at] < len(texts)]
        length[row[copied]], start[row[copied]] = k, copied
    start -= np.searchsorted(row, np.arange(len(texts)))
    return [" ".join(words(text)[i : i + n]) for text, i, n in zip(texts, start, length, strict=True)]


def verbatim(texts: Sequence[str], models: Sequence, prompts: Sequence, k: int = 5) -> pd.DataFrame:
    """Words that several models share word for word, in answers to one prompt.

    Case and punctuation do not count; answers without a word share nothing. Give providers as `models` to ask
    for what several providers share.

    Returns:
        Columns prompt; identical (whether two models gave one answer that is equal as a whole); longest
        (words of the longest run that stands in answers of two models); shared (share of an answer's k-grams
        that another model's answers hold, mean over answers; NaN where no answer has k words).

    Raises:
        ValueError: the lengths differ, or k is below 1.
    """
    if not len(texts) == len(models) == len(prompts):
        raise ValueError(f"{len(texts)} texts do not fit {len(models)} models and {len(prompts)} prompts")
    model = pd.factorize(pd.Index(models))[0]
    prompt, names = pd.factorize(pd.Index(prompts))
    numbered = number_words(texts)
    grams = number_grams(numbered, k)
    longest = np.zeros(len(names), dtype=int)
    gram = prompt[numbered.row] * (numbered.word.max(initial=0) + 1) + numbered.word
    for length, at in _shared_runs(numbered, gram, model[numbered.row]):
        longest[prompt[numbered.row[at]]] = length
    whole = [" ".join(words(text)) for text in texts]
    same = _in_two(prompt * len(texts) + pd.factorize(np.array(whole, dtype=object))[0], model)
    identical = same & np.array([text != "" for text in whole], dtype=bool)
    shared = _in_two(prompt[grams.row] * grams.n_grams + grams.gram, model[grams.row])
    held = pd.Series(shared, dtype=float).groupby(grams.row).mean()
    return pd.DataFrame(
        {
            "prompt": names,
            "identical": np.bincount(prompt[identical], minlength=len(names)) > 0,
            "longest": longest,
            "shared": held.groupby(prompt[held.index]).mean().reindex(range(len(names))).to_numpy(),
        }
    )


def _shared_runs(texts: Words, key: np.ndarray, source: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """For each length the first words of the runs that stand in two sources, lengthened word by word.

    Args:
        texts: of all sources.
        key: of each word; runs are equal if their first keys are, and the words that follow.
        source: of each word, a number of 0 or more.
    """
    word, factor = texts.word, texts.word.max(initial=0) + 1
    at, gram, length = np.arange(len(word)), key, 1
    while (kept := _in_two(gram, source[at])).any():
        at, gram = at[kept], pd.factorize(gram[kept])[0]
        yield length, at
        longer = texts.left[at] > length
        at = at[longer]
        gram = gram[longer] * factor + word[at + length]
        length += 1


def _in_two(keys: np.ndarray, source: np.ndarray) -> np.ndarray:
    """For each place whether its key occurs with two sources."""
    sources = pd.Series(source.astype(int)).groupby(keys)
    return (sources.transform("min") < sources.transform("max")).to_numpy()


def contamination(texts: Sequence[str], corpus: Sequence[str], k: int) -> tuple[int, int]:
    """How many questions stand in a corpus too, and how many others share k words in a row with it.

    Questions are the same by `question_key`: by words, numbers and signs, not by words alone.
    """
    whole = {question_key(text) for text in corpus}
    grams = {gram for text in corpus for gram in kgrams(text, k)}
    others = [text for text in texts if question_key(text) not in whole]
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
    numbered = number_words(texts)
    counts = sparse.hstack([counts_of(number_grams(numbered, k)) for k in (1, 2)], format="csr")
    counts.data = 1 + np.log(counts.data)
    lengths = np.sqrt(np.asarray(counts.multiply(counts).sum(axis=1)).ravel())
    wordless = lengths == 0
    products = (counts @ counts.T).toarray() / np.outer(lengths + wordless, lengths + wordless)
    return products + np.outer(wordless, wordless)


def _nearest(scores: Callable[[slice], np.ndarray], has_grams: np.ndarray, n_columns: int) -> Nearest:
    """The largest score of each row, from a block of rows at a time."""
    best, index = np.full(len(has_grams), np.nan), np.full(len(has_grams), -1)
    step = max(1, _CELLS // max(1, n_columns))
    for begin in range(0, len(has_grams) if n_columns else 0, step):
        rows = slice(begin, begin + step)
        block = scores(rows)
        best[rows], index[rows] = block.max(axis=1), block.argmax(axis=1)
    return Nearest(np.where(has_grams, best, np.nan), np.where(has_grams, index, -1))
