"""How much sets repeat themselves: analytic values, packages, and the packages' mistakes."""

import numpy as np
import pytest

from workbench.measures.overlap import distinct
from workbench.measures.redundancy import ead, self_bleu

SENTENCE = "I will go tomorrow to the market with my old friend."


def random_texts(n, seed, vocabulary=6, shortest=1, longest=14):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(shortest, longest, size=n)
    return [" ".join(f"w{i}" for i in rng.integers(vocabulary, size=length)) for length in lengths]


def test_expectation_adjusted_distinct():
    assert ead(["a b c d e", "a b c d e"], vocabulary=10, longest=1) == pytest.approx(0.767670, abs=5e-7)
    assert ead(["a a a"], vocabulary=1, longest=1) == 1
    huge = ead(["a b c d e", "a b c d e"], vocabulary=10**15, longest=1)  # no collision is expected
    assert huge == pytest.approx(distinct(["a b c d e"] * 2, 1))
    texts = random_texts(40, 0, vocabulary=50, longest=30)
    each = []
    for k in (1, 2):
        grams = [gram for text in texts for gram in zip(*(text.split()[i:] for i in range(k)), strict=False)]
        each.append(len(set(grams)) / (50 * (1 - (49 / 50) ** len(grams))))
    assert ead(texts, 50, 2) == pytest.approx(np.mean(each))
    assert np.isnan(ead(["a b c d"]))
    with pytest.raises(ValueError, match="empty"):
        ead(["a"], 0, 1)


def test_self_bleu_is_sacrebleu():
    sacrebleu = pytest.importorskip("sacrebleu")
    for seed, vocabulary in ((3, 6), (4, 40)):
        texts = random_texts(25, seed, vocabulary)
        theirs = [
            sacrebleu.sentence_bleu(text, texts[:i] + texts[i + 1 :], tokenize="none").score / 100
            for i, text in enumerate(texts)
        ]
        assert self_bleu(texts) == pytest.approx(np.mean(theirs))


def test_self_bleu_at_its_ends():
    assert self_bleu([SENTENCE] * 3) == pytest.approx(1)
    assert self_bleu(["a b c d", "e f g h"]) == 0
    assert self_bleu(["a", "A."]) == pytest.approx(1)
    assert np.isnan(self_bleu([SENTENCE, ""]))
    assert np.isnan(self_bleu([]))
    assert self_bleu([SENTENCE, SENTENCE, ""]) == pytest.approx(1)
    assert np.isnan(self_bleu([SENTENCE]))
