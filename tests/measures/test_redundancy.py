"""How much sets repeat themselves: analytic values, packages, and the packages' mistakes."""

import itertools
import zlib

import numpy as np
import pytest

from workbench.measures.compression import compression_ratio
from workbench.measures.overlap import distinct
from workbench.measures.redundancy import (
    ead,
    homogenization,
    ngram_diversity,
    rouge_l,
    self_bleu,
    self_repetition,
)

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


def test_ngram_diversity_does_not_cross_texts():
    assert ngram_diversity(["a b", "c d"], 2) == pytest.approx(1 + 1)
    assert ngram_diversity(["a b"] * 4, 2) == pytest.approx(2 / 8 + 1 / 4)  # joined: "b a" would be new
    texts = random_texts(30, 1)
    assert ngram_diversity(texts) == pytest.approx(sum(distinct(texts, k) for k in range(1, 5)))
    assert np.isnan(ngram_diversity(["a b c"]))
    assert np.isnan(ngram_diversity([]))


def test_self_repetition_agrees_with_the_definition():
    texts = random_texts(30, 2, vocabulary=3)
    grams = [list(zip(*(t.split()[i:] for i in range(4)), strict=False)) for t in texts]
    expected = [
        np.log(1 + sum(other.count(g) for g in set(own) for j, other in enumerate(grams) if j != i))
        for i, own in enumerate(grams)
        if own
    ]
    assert self_repetition(texts) == pytest.approx(np.mean(expected))
    assert self_repetition(["a b c d", "e f g h"]) == 0
    assert self_repetition(["a b c d a b c d", "x y z w"]) == 0  # only other texts count
    assert np.isnan(self_repetition(["a b c d", "a b c"]))


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


def test_rouge_l_is_rouge_score():
    scorer = pytest.importorskip("rouge_score.rouge_scorer").RougeScorer(["rougeL"])
    texts = [*random_texts(20, 5, longest=90), ""]
    for a, b in itertools.pairwise(texts):
        assert rouge_l(a, b) == pytest.approx(scorer.score(a, b)["rougeL"].fmeasure)
    assert rouge_l("a b c d", "b x d") == pytest.approx(2 * 2 / 7)
    assert rouge_l("", "") == 0


def test_homogenization_of_texts_that_share_nothing_is_zero_and_not_one():
    assert homogenization(["a b", "c d", "e f"]) == 0
    assert homogenization([SENTENCE] * 3) == pytest.approx(1)
    texts = random_texts(8, 6)
    pairs = [rouge_l(a, b) for a, b in itertools.permutations(texts, 2)]
    assert homogenization(texts) == pytest.approx(np.mean(pairs))


def test_one_text_has_no_homogenization_rather_than_none():
    assert np.isnan(homogenization([SENTENCE]))
    assert np.isnan(self_repetition([SENTENCE]))
    assert np.isnan(self_bleu([SENTENCE]))


def test_texts_are_compressed_once():
    texts = [SENTENCE] * 50
    raw = "\n".join(texts).encode()
    once = zlib.compress(raw, 9)
    assert compression_ratio(texts, "zlib") == len(raw) / len(once)
    assert compression_ratio(texts, "zlib") != pytest.approx(len(raw) / len(zlib.compress(once, 9)), rel=0.05)
