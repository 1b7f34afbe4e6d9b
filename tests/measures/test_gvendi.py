"""Vendi scores of large sets: ways that must agree, published values, and what stands behind a score."""

import math

import numpy as np
import pytest

from workbench.measures import gvendi, vendi
from workbench.measures.vendi import vendi_from_features

ORDERS = [0.5, 1, 2, 7, math.inf]


def rows(n=60, d=20, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d)) * np.linspace(2, 0.3, d)


def sketched(features, d, seed):
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], size=(features.shape[1], d))
    return features @ signs / np.sqrt(d)


def entropy(features, weights):
    """−tr S log S, also where the weights do not sum to one."""
    spectrum = np.linalg.eigvalsh((features * weights[:, None]).T @ features)
    spectrum = spectrum[spectrum > 1e-12]
    return -spectrum @ np.log(spectrum)


def test_analytic_values():
    assert vendi_from_features([[1, 0], [0, 1], [1, 0]]) == pytest.approx(3 / 2 ** (2 / 3), rel=1e-10)
    assert vendi_from_features([[1, 0], [0.5, math.sqrt(0.75)]]) == pytest.approx(1.7547653506, rel=1e-9)
    kernel = np.full((10, 10), 0.5) + 0.5 * np.eye(10)
    assert vendi.vendi_from_kernel(kernel) == pytest.approx(5.3488943367, rel=1e-9)
    points = [0, 0, 10, 10, 20, 20]
    kernel = np.exp(-np.abs(np.subtract.outer(points, points)))
    score = vendi.vendi_from_kernel(kernel)
    assert score == pytest.approx(2.999999996, rel=1e-9)


@pytest.mark.parametrize(("n", "d"), [(4000, 256), (1024, 1024), (256, 1024)])
def test_unrelated_rows_lie_where_the_bias_says(n, d):
    found = vendi_from_features(np.random.default_rng(0).normal(size=(n, d)))
    assert found == pytest.approx(gvendi.cap(n, d) * gvendi.projection_bias(n, d), rel=2e-3)
    if n == 4000:
        assert found == pytest.approx(247.9198, abs=1e-4)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("shape", [(60, 20), (20, 60)])
def test_all_ways_agree(shape, order):
    features = rows(*shape)
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    score = vendi.vendi_from_kernel(unit @ unit.T, order)
    assert vendi_from_features(features, order) == pytest.approx(score, rel=1e-10)
    moment = vendi.second_moment(features)
    assert np.trace(moment) == pytest.approx(1, rel=1e-12)
    spectrum = np.linalg.eigvalsh(moment)
    assert vendi.vendi_from_eigenvalues(spectrum, order) == pytest.approx(score, rel=1e-10)


@pytest.mark.parametrize("order", ORDERS)
def test_what_leaves_the_score_alone(order):
    features = rows()
    rng = np.random.default_rng(1)
    rotation = np.linalg.qr(rng.normal(size=(20, 20)))[0]
    score = vendi_from_features(features, order)
    for same in (
        np.repeat(features, 3, axis=0),
        features @ rotation,
        features[rng.permutation(60)],
        features * rng.choice([-1, 1], size=(60, 1)),
        features * rng.uniform(1e-150, 1e100, size=(60, 1)),
    ):
        assert vendi_from_features(same, order) == pytest.approx(score, rel=1e-10)


def test_orders_fall_from_the_rank_to_the_largest_share():
    features = rows(40, 60) @ np.diag([1] * 30 + [0] * 30)
    scores = [vendi_from_features(features, order) for order in (0, 0.3, 1, 1.0001, 2, 5, 500, math.inf)]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] == pytest.approx(30, rel=1e-12)
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    assert scores[4] == pytest.approx(40**2 / np.sum((unit @ unit.T) ** 2))
    assert scores[-1] == pytest.approx(40 / np.linalg.norm(unit, 2) ** 2)


def test_weights_count_as_copies_do():
    features, copies = rows(30, 40), np.arange(30) % 4
    weights = copies / copies.sum()
    for order in ORDERS:
        repeated = vendi_from_features(np.repeat(features, copies, axis=0), order)
        assert vendi_from_features(features, order, weights) == pytest.approx(repeated, rel=1e-10)
    moment = vendi.second_moment(np.repeat(features, copies, axis=0))
    np.testing.assert_allclose(vendi.second_moment(features, weights), moment, atol=1e-14)


def test_single_precision_is_left_where_it_would_show():
    rng = np.random.default_rng(0)
    spread = rng.normal(size=(4000, 128))
    flat = rng.normal(size=(4000, 3)) @ rng.normal(size=(3, 128))
    near = rng.normal(size=128) + 1e-4 * spread
    for features in (spread, flat, near, np.ones((5000, 128)), spread * 1e60):
        exact = vendi.vendi_from_eigenvalues(np.linalg.eigvalsh(vendi.second_moment(features)))
        assert abs(vendi_from_features(features) - exact) < 1e-6 * exact
    assert vendi_from_features(flat, 0) == pytest.approx(3, rel=1e-12)


def test_chunks_and_narrow_numbers_change_nothing(monkeypatch):
    features = rows(50, 8)
    moment = vendi.second_moment(features)
    narrow = features.astype(np.float16)
    pairs = gvendi.redundant_pairs(features, 20)
    surprisals = gvendi.contributions(features)
    monkeypatch.setattr(vendi, "_CHUNK", 7)
    monkeypatch.setattr(gvendi, "_HELD", 160)
    np.testing.assert_allclose(vendi.second_moment(features), moment, atol=1e-14)
    np.testing.assert_allclose(vendi.second_moment(narrow), vendi.second_moment(narrow.astype(float)))
    np.testing.assert_allclose(gvendi.redundant_pairs(features, 20), pairs, rtol=1e-6)
    np.testing.assert_allclose(gvendi.contributions(features), surprisals)


@pytest.mark.parametrize("shape", [(60, 20), (20, 60)])
def test_contributions_average_to_the_entropy_and_are_its_gradient(shape):
    features = vendi.unit_rows(rows(*shape))
    found = gvendi.contributions(5 * features)
    assert found.mean() == pytest.approx(math.log(vendi_from_features(features)), abs=1e-12)
    equal, step = np.full(len(features), 1 / len(features)), 1e-6
    for index in range(0, len(features), 7):
        more, less = equal.copy(), equal.copy()
        more[index] += step
        less[index] -= step
        slope = (entropy(features, more) - entropy(features, less)) / (2 * step)
        assert slope == pytest.approx(found[index] - 1, abs=1e-6)


def test_two_sketches_undo_what_one_sketch_loses():
    features = rows(300, 1500, seed=3)
    exact = vendi_from_features(features, 2)
    one = vendi_from_features(sketched(features, 128, 0), 2)
    two = [gvendi.cross_sketch(sketched(features, 128, s), sketched(features, 128, 50 + s)) for s in range(8)]
    assert one < 0.6 * exact
    assert np.mean(two) == pytest.approx(exact, rel=0.02)
    assert gvendi.cross_sketch(features, features) == pytest.approx(exact)
    with pytest.raises(ValueError, match="equal numbers of rows"):
        gvendi.cross_sketch(features, features[1:])


def test_interval_is_as_wide_as_the_spread_of_new_draws():
    centres = np.random.default_rng(9).normal(size=(12, 24))

    def draw(rng, n=200):
        return centres[rng.geometric(0.3, size=n) % 12] + 0.3 * rng.normal(size=(n, 24))

    rng = np.random.default_rng(0)
    logs = np.log([vendi_from_features(draw(rng)) for _ in range(300)])
    found = [gvendi.vendi_interval(draw(rng), seed=seed) for seed in range(60)]
    widths = [math.log(interval.high / interval.low) / (2 * 1.96) for interval in found]
    assert np.mean(widths) == pytest.approx(logs.std(), rel=0.2)
    assert np.mean([i.low <= math.exp(logs.mean()) <= i.high for i in found]) >= 0.87
    assert found[0].n == 200


def test_interval_of_copies_and_of_few():
    assert gvendi.vendi_interval(np.ones((30, 3))).high == pytest.approx(1)
    assert math.isnan(gvendi.vendi_interval(np.eye(3)).low)


def test_redundant_pairs_are_the_closest():
    features = vendi.unit_rows(rows(80, 6))
    features[70], features[3] = features[11], features[11]
    cosines = features @ features.T
    ranked = sorted((-cosines[i, j], i, j) for i in range(80) for j in range(i + 1, 80))
    found = gvendi.redundant_pairs(9 * features, 25)
    assert sorted(pair[:2] for pair in found[:3]) == [(3, 11), (3, 70), (11, 70)]
    assert {pair[:2] for pair in found} == {(i, j) for _, i, j in ranked[:25]}
    np.testing.assert_allclose([pair[2] for pair in found], [-rank[0] for rank in ranked[:25]], atol=1e-6)
    assert len(gvendi.redundant_pairs(np.eye(3), 10)) == 3


@pytest.mark.parametrize("call", [vendi_from_features, vendi.second_moment, gvendi.contributions])
def test_bad_rows_are_named(call):
    features = np.ones((12, 3))
    features[7, 1] = np.nan
    with pytest.raises(ValueError, match="feature rows 7 hold NaN"):
        call(features)
    features = np.ones((12, 3))
    features[2:9] = 0
    with pytest.raises(ValueError, match="feature rows 2, 3, 4, 5, 6 and 2 more are zero"):
        call(features)


@pytest.mark.parametrize(
    ("matrix", "word"),
    [
        (0.5 * np.eye(2), "diagonal is not one"),
        ([[1, 0.2], [0.1, 1]], "kernel is not symmetric"),
        ([[1, 1.4], [1.4, 1]], "kernel is not positive semi-definite"),
        ([[np.nan, 0], [0, 1]], "kernel holds NaN"),
        ([[1, 0]], "square"),
        ([], "square"),
    ],
)
def test_bad_kernels_are_named(matrix, word):
    with pytest.raises(ValueError, match=word):
        vendi.vendi_from_kernel(matrix)


def test_bad_weights_are_named():
    for weights in ([0.5, 0.6], [1.5, -0.5], [1], [np.nan, 1]):
        with pytest.raises(ValueError, match="2 shares"):
            vendi_from_features(np.eye(2), 1, weights)
