"""How much a set of texts repeats itself (Shaib et al. 2024, arXiv 2403.00553, compares these measures).

k-grams do not cross from text to text, and time is linear in the text. Measures depend on how much text they
see, so compare sets of equal size (`samples`), and on texts' lengths: ratios favour short ones.
"""

from collections.abc import Sequence

import numpy as np

from workbench.measures.ngrams import Grams, counts_of, grams_up_to, number_words


def ead(texts: Sequence[str], vocabulary: int = 50_257, longest: int = 5) -> float:
    """Expectation-adjusted distinct-k (Liu et al. 2022, arXiv 2202.13587), mean over k = 1 to `longest`.

    Different k-grams, over how many of them as many draws from a uniform vocabulary of V would show,
    V (1 − (1 − 1/V)^C). Falls less with the amount of text than distinct-k does.

    Args:
        vocabulary: V; the published values take GPT-2's at every k (Kirk et al. 2024, arXiv 2310.06452).
        longest: largest k; NaN where no text has so many words.

    Raises:
        ValueError: the vocabulary is empty.
    """
    if vocabulary < 1:
        raise ValueError(f"a vocabulary of {vocabulary} is empty")
    values = []
    for grams in grams_up_to(number_words(texts), longest):
        total = len(grams.gram) or np.nan
        with np.errstate(divide="ignore"):
            expected = -vocabulary * np.expm1(total * np.log1p(-1 / vocabulary))
        values.append(grams.n_grams / expected)
    return float(np.mean(values))


def self_bleu(texts: Sequence[str]) -> float:
    """Mean BLEU of each text against all the others, 0 to 1 (Zhu et al. 2018, arXiv 1802.01886).

    Sentence BLEU as sacrebleu computes it of these words (exponential smoothing, effective order), but in
    linear time: a k-gram is clipped at the largest count in another text, and that is the largest count of
    all or, for the one text that holds it, the second largest.

    Texts without a word are left out; NaN below two texts.
    """
    numbered = number_words(texts)
    lengths = np.bincount(numbered.row, minlength=numbered.n_texts)
    held = lengths > 0
    if held.sum() < 2:
        return float("nan")
    logs, orders = np.zeros(len(lengths)), np.zeros(len(lengths))
    misses, hits = np.zeros(len(lengths)), np.zeros(len(lengths), dtype=bool)
    for k, grams in enumerate(grams_up_to(numbered, 4), 1):
        total, matched = np.maximum(lengths - k + 1, 0), _clipped(grams)
        some = total > 0
        misses += some & (matched == 0)
        credit = np.where(matched > 0, matched, 0.5**misses)
        logs[some] += np.log(credit[some] / total[some])
        orders += some
        hits |= matched > 0
    brevity = np.minimum(0, 1 - _closest_others(lengths[held]) / lengths[held])
    scores = np.exp(brevity + logs[held] / orders[held])
    return float((scores * hits[held]).mean())


def _clipped(grams: Grams) -> np.ndarray:
    """For each text how many of its k-gram occurrences another text matches."""
    counts = counts_of(grams).tocoo()
    gram, row, count = counts.col, counts.row, counts.data
    largest, second = np.zeros(grams.n_grams), np.zeros(grams.n_grams)
    np.maximum.at(largest, gram, count)
    top = count == largest[gram]
    np.maximum.at(second, gram[~top], count[~top])
    alone = top & (np.bincount(gram[top], minlength=grams.n_grams) == 1)[gram]
    elsewhere = np.where(alone, second[gram], largest[gram])
    return np.bincount(row, np.minimum(count, elsewhere), minlength=grams.n_texts)


def _closest_others(lengths: np.ndarray) -> np.ndarray:
    """For each length the closest one among the others, the shorter of two that are as close."""
    order = np.argsort(lengths)
    ordered = np.concatenate([[-np.inf], lengths[order], [np.inf]])
    below, above = ordered[:-2], ordered[2:]
    nearest = np.where(ordered[1:-1] - below <= above - ordered[1:-1], below, above)
    closest = np.empty(len(lengths))
    closest[order] = nearest
    return closest
