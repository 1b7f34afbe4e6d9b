"""Overlap against hand-worked cases and against the slow definition."""

import numpy as np
import pytest

from workbench.measures import overlap
from workbench.measures.overlap import (
    contamination,
    distinct,
    kgrams,
    longest_copies,
    max_overlap,
    novelty,
    self_overlap,
    share_found,
)


def random_texts(n, seed, vocabulary=12, longest=14):
    rng = np.random.default_rng(seed)
    return [
        " ".join(f"w{i}" for i in rng.integers(vocabulary, size=rng.integers(0, longest))) for _ in range(n)
    ]


def f_overlap(first, second, k=2):
    precision, recall = share_found(first, second, k), share_found(second, first, k)
    total = precision + recall
    return 2 * precision * recall / total if total else total


def test_hand_case():
    assert share_found("a b c d", "a b x c d") == pytest.approx(2 / 3)
    assert share_found("a b x c d", "a b c d") == pytest.approx(2 / 4)
    assert f_overlap("a b c d", "a b x c d") == pytest.approx(0.5714, abs=5e-5)


def test_counts_are_not_clipped():
    assert share_found("a b a b a b", "a b") == pytest.approx(3 / 5)


def test_kgrams_ignore_case_and_punctuation():
    assert kgrams('"Don’t go," she said.', 2) == [("don't", "go"), ("go", "she"), ("she", "said")]
    assert kgrams("one", 2) == []


@pytest.mark.parametrize("k", [1, 2, 3, 5])
def test_products_agree_with_the_definition(k):
    texts, corpus = random_texts(30, 0), random_texts(40, 1)
    found = max_overlap(texts, corpus, k)
    for i, text in enumerate(texts):
        expected = [share_found(text, other, k) for other in corpus]
        if kgrams(text, k):
            assert found.overlap[i] == pytest.approx(max(expected))
            assert expected[found.index[i]] == pytest.approx(max(expected))
        else:
            assert np.isnan(found.overlap[i])
            assert found.index[i] == -1


@pytest.mark.parametrize("cells", [8_000_000, 70])
def test_self_overlap_agrees_with_the_definition(monkeypatch, cells):
    monkeypatch.setattr(overlap, "_CELLS", cells)  # several blocks of rows must give the same
    texts = random_texts(30, 2)
    found = self_overlap(texts, 2)
    for i, text in enumerate(texts):
        others = [f_overlap(text, other) for j, other in enumerate(texts) if j != i and kgrams(other, 2)]
        if kgrams(text, 2):
            assert found.overlap[i] == pytest.approx(max(others))
            assert found.index[i] != i
        else:
            assert np.isnan(found.overlap[i])


def test_ends_of_the_scale():
    texts = ["the cat sat down", "a dog ran away", "we like red apples"]
    assert max_overlap(texts, texts).overlap.tolist() == [1, 1, 1]
    assert max_overlap(texts, texts).index.tolist() == [0, 1, 2]
    assert self_overlap(texts).overlap.tolist() == [0, 0, 0]
    assert self_overlap([texts[0]] * 3).overlap == pytest.approx([1, 1, 1])
    assert novelty(texts, texts, 2).tolist() == [0, 0, 0]
    assert novelty(texts, ["cat dog we"], 2).tolist() == [1, 1, 1]
    assert longest_copies(texts, texts) == texts


def test_nothing_to_compare_with():
    assert np.isnan(max_overlap(["a b"], []).overlap).all()
    assert max_overlap(["a b"], [""]).overlap.tolist() == [0]
    assert np.isnan(self_overlap(["a b c", ""]).overlap).all()
    assert np.isnan(self_overlap(["a b c"]).overlap).all()
    assert len(max_overlap([], ["a b"]).overlap) == 0
    assert np.isnan(novelty([""], ["a"])).all()
    assert longest_copies(["a", ""], []) == ["", ""]
    with pytest.raises(ValueError, match="k of 1 or more"):
        novelty(["a"], ["a"], 0)


def test_novelty():
    corpus = ["a b c", "a b d"]  # bigrams: ab ab bc bd
    assert novelty(["a b x"], corpus, 2).tolist() == [0.5]


def test_long_grams_do_not_collide():
    # 20 words of a vocabulary of thousands: far beyond 64 bits if words were merely packed.
    texts = [
        " ".join(f"w{i}" for i in np.random.default_rng(seed).integers(5000, size=400)) for seed in range(20)
    ]
    assert novelty(texts[:10], texts[10:], 20).tolist() == [1] * 10
    assert max_overlap(texts[:10], texts, 20).overlap == pytest.approx(np.ones(10))


def test_longest_copy_lies_within_one_corpus_text():
    assert longest_copies(
        ["One day a cat sat on the mat."], ["One day a dog", "A cat sat on", "the mat"]
    ) == ["a cat sat on"]


def longest_by_hand(text, corpus):
    tokens = text.split()
    spans = (tokens[i:j] for i in range(len(tokens)) for j in range(i + 1, len(tokens) + 1))
    padded = [f" {other} " for other in corpus]
    return max(
        (len(span) for span in spans if any(f" {' '.join(span)} " in other for other in padded)), default=0
    )


def test_longest_copies_agree_with_search():
    texts, corpus = random_texts(25, 3, vocabulary=5), random_texts(8, 4, vocabulary=5)
    found = longest_copies(texts, corpus)
    assert [len(copy.split()) for copy in found] == [longest_by_hand(text, corpus) for text in texts]
    assert all(copy in text for copy, text in zip(found, texts, strict=True))


def test_distinct():
    assert distinct(["a b a b", "c"], 2) == pytest.approx(2 / 3)
    assert distinct(["a b", "a b"], 1) == pytest.approx(1 / 2)
    with pytest.raises(ValueError, match="3 words"):
        distinct(["a b"], 3)


def test_parity_with_rouge_where_no_gram_repeats():
    scorer = pytest.importorskip("rouge_score.rouge_scorer").RougeScorer(["rouge2"])
    rng = np.random.default_rng(0)
    for _ in range(50):
        first, second = (" ".join(f"w{i}" for i in rng.permutation(12)[:8]) for _ in range(2))
        theirs = scorer.score(second, first)["rouge2"]
        assert share_found(first, second) == pytest.approx(theirs.precision)
        assert f_overlap(first, second) == pytest.approx(theirs.fmeasure)


def test_test_questions_that_were_learnt_are_counted_apart_from_those_that_resemble_one():
    long = "Tom and Ann go to the shop and buy four red apples for two coins"
    train = [f"{long}. How many?", "How many are two and two?"]
    test = ["how many are TWO and two", f"Today {long} each.", "Something else?"]
    assert contamination(test, train, 10) == (1, 1)
    assert contamination(test, train, 16) == (1, 0)
