"""Diversity measures: analytic values, and real ends of the scale at equal size."""

import itertools
import math
import sys

import numpy as np
import pytest

from workbench.engine.encoders import embed, encode
from workbench.errors import UserError
from workbench.measures.compression import compression_ratio
from workbench.measures.overlap import distinct, phrase_kernel
from workbench.measures.samples import blocks, duplicates, equal_texts, random_words
from workbench.measures.vendi import vendi_from_features, vendi_from_kernel
from workbench.measures.vocabulary import coverage
from workbench.words import words

TEXTS = [
    f"{name} took the {colour} {thing} to the {place}. {name} was {feeling}."
    for name, colour, thing, place, feeling in itertools.product(
        ("Lily", "Tom", "Ben"), ("red", "big"), ("ball", "cake", "boat"), ("park", "lake"), ("sad", "glad")
    )
]


@pytest.mark.parametrize("order", [0, 0.5, 1, 2, math.inf])
def test_vendi_counts_orthogonal_items_and_not_copies(order):
    assert vendi_from_features(np.eye(7), order) == pytest.approx(7)
    assert vendi_from_features(np.repeat(np.eye(3), 5, axis=0), order) == pytest.approx(3)
    assert vendi_from_features(np.ones((9, 4)), order) == pytest.approx(1)
    assert vendi_from_kernel(np.eye(5), order) == pytest.approx(5)


def test_vendi_of_equicorrelated_items():
    n, r = 10, 0.8
    kernel = np.full((n, n), r) + (1 - r) * np.eye(n)
    assert vendi_from_kernel(kernel) == pytest.approx(2.379508, abs=1e-6)


@pytest.mark.parametrize(("order", "value"), [(0.1, 3), (0.5, 3), (1, 2.999999996), (math.inf, 2.99980739)])
def test_vendi_of_three_pairs(order, value):
    # The reference package gives 3.0624 at order 0.1: noise of its zero eigenvalues.
    points = np.array([0, 0, 10, 10, 20, 20.0])
    kernel = np.exp(-np.abs(points[:, None] - points))
    assert vendi_from_kernel(kernel, order) == pytest.approx(value, abs=1e-7)


def test_vendi_published_case():
    assert vendi_from_kernel([[1, 0.9, 0], [0.9, 1, 0], [0, 0, 1]]) == pytest.approx(2.1573004835)


@pytest.mark.parametrize("shape", [(30, 5), (5, 30)])
def test_vendi_ways_agree(shape):
    features = np.random.default_rng(0).normal(size=shape)
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    for order in (0.5, 1, 2, math.inf):
        assert vendi_from_features(7 * features, order) == pytest.approx(
            vendi_from_kernel(unit @ unit.T, order)
        )


@pytest.mark.parametrize(
    ("kernel", "word"),
    [
        ([[1, np.nan], [np.nan, 1]], "NaN"),
        ([[1, 0.5], [0.1, 1]], "symmetric"),
        ([[1, 2], [2, 1]], "positive semi-definite"),
        ([[2, 0], [0, 2]], "diagonal"),
        ([[1, 0]], "square"),
    ],
)
def test_vendi_refuses_by_name(kernel, word):
    with pytest.raises(ValueError, match=word):
        vendi_from_kernel(kernel)


def test_vendi_refuses_features_by_name():
    for features, word in [([[0, 0], [1, 0]], "zero"), ([[np.inf, 1]], "infinity"), ([], "shape")]:
        with pytest.raises(ValueError, match=word):
            vendi_from_features(features)
    with pytest.raises(ValueError, match="order"):
        vendi_from_features(np.eye(2), -1)


def test_embedding_rows_are_unit_and_repeatable():
    rows = embed(TEXTS, dimensions=16)
    assert rows.shape == (len(TEXTS), 16)
    assert np.linalg.norm(rows, axis=1) == pytest.approx(np.ones(len(TEXTS)))
    assert np.allclose(rows, embed(TEXTS, dimensions=16))


def test_embedding_with_every_axis_keeps_the_tfidf_cosines():
    from sklearn.feature_extraction.text import TfidfVectorizer

    rows = embed(TEXTS, dimensions=len(TEXTS))
    exact = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True).fit_transform(TEXTS)
    assert rows @ rows.T == pytest.approx((exact @ exact.T).toarray(), abs=1e-9)


def test_embedding_puts_like_with_like():
    lake, boat, sum_ = embed(["the boat on the lake", "a boat in a lake", "two plus three makes five"])
    assert lake @ boat > 0.1 > abs(lake @ sum_)


def test_copies_and_wordless_texts_embed_alike():
    rows = embed(["a cat", "A cat!", "", "...", "two dogs"])
    assert rows[0] @ rows[1] == pytest.approx(1)
    assert rows[2] @ rows[3] == pytest.approx(1)
    assert rows[2] @ rows[0] == pytest.approx(0)
    assert vendi_from_features(embed(["", "..."])) == pytest.approx(1)
    assert embed(["alone"]).shape == (1, 1)
    with pytest.raises(ValueError, match="no text"):
        embed([])


def test_sentence_transformers_missing_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(UserError, match=r"small-model-workbench\[embeddings\]"):
        encode(["a"], "org/name")


def test_compression_falls_with_diversity():
    floor, text, ceiling = map(compression_ratio, (duplicates(TEXTS), TEXTS, random_words(TEXTS)))
    assert floor > text > ceiling > 1


def test_compression_of_noise_is_one():
    noise = "".join(chr(c) for c in np.random.default_rng(0).integers(0x4E00, 0x9FFF, 20_000))
    assert compression_ratio([noise]) < 1.8  # three bytes that carry 14.3 bits: at most 1.68
    repeated_far_apart = [noise, "x" * 40_000, noise]
    assert compression_ratio(repeated_far_apart) > 1.3 * compression_ratio([noise, "x" * 40_000])


def test_compression_refuses():
    with pytest.raises(ValueError, match="not empty"):
        compression_ratio([""])


def test_blocks_are_disjoint_and_of_one_size():
    texts = [" ".join(f"t{i}w{j}" for j in range(i % 7 + 1)) for i in range(60)]
    found = blocks(texts, 25, seed=3)
    assert [len(" ".join(block).split()) for block in found] == [25] * len(found)
    used = [word for block in found for text in block for word in text.split()]
    assert len(used) == len(set(used))
    assert len(found) >= 7
    assert blocks(texts, 25, seed=4) != found


def test_samples_refuse_what_does_not_fit():
    for refused in (lambda: blocks(["a b"], 3), lambda: blocks(["a"], 0), lambda: equal_texts(["a"], 2)):
        with pytest.raises(ValueError, match=r"word|drawn"):
            refused()


def test_equal_texts_are_drawn_without_replacement():
    assert sorted(equal_texts(TEXTS, len(TEXTS))) == sorted(TEXTS)
    assert len(set(equal_texts(TEXTS, 20))) == 20


def test_baselines_keep_size_and_bound_the_scale():
    shuffled, repeated = random_words(TEXTS, seed=1), duplicates(TEXTS)
    assert sorted(" ".join(shuffled).split()) == sorted(" ".join(TEXTS).split())
    assert [len(text.split()) for text in shuffled] == [len(text.split()) for text in TEXTS]
    assert len(repeated) == len(TEXTS)
    assert distinct(repeated) < distinct(TEXTS) < distinct(shuffled)
    assert duplicates([]) == random_words([]) == []


def test_words():
    assert words('"I don’t know," said Zoë—twice, at 10.') == [
        "i",
        "don't",
        "know",
        "said",
        "zoë",
        "twice",
        "at",
        "10",
    ]


def test_coverage():
    assert coverage(["The cat.", "A DOG"], ["cat", "dog", "Cow", "hen"]) == 0.5
    with pytest.raises(ValueError, match="word list"):
        coverage(["a"], [])


def test_the_phrase_kernel_is_the_cosine_of_damped_counts_of_words_and_pairs():
    kernel = phrase_kernel(["a b", "a b", "c d", "a a", ""])
    assert kernel[0, 1] == pytest.approx(1)
    assert kernel[0, 2] == 0
    # "a b" → a, b, a b; "a a" → a twice, a a
    twice = 1 + np.log(2)
    assert kernel[0, 3] == pytest.approx(twice / np.sqrt(3 * (twice**2 + 1)))
    assert kernel[4].tolist() == [0, 0, 0, 0, 1]
    with pytest.raises(ValueError, match="no text"):
        phrase_kernel([])


def test_the_phrase_kernel_of_a_pair_does_not_depend_on_the_other_texts():
    alone = phrase_kernel(["the cat sat", "the dog sat"])
    among = phrase_kernel(["the cat sat", "the dog sat", "a bird sang a song", "the cat ran"])
    assert alone[0, 1] == pytest.approx(among[0, 1])
