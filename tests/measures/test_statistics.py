"""Intervals cover what they should and refuse what they cannot answer."""

import numpy as np
import pytest

from workbench.measures.statistics import (
    bootstrap_difference,
    bootstrap_mean,
    paired_difference,
    spearman,
    wilson,
)


def test_mean_interval_agrees_with_theory():
    values = np.random.default_rng(0).normal(3, 2, 400)
    found = bootstrap_mean(values, n_resamples=5000)
    half = 1.96 * values.std(ddof=1) / 20
    assert found.value == pytest.approx(values.mean())
    assert found.low == pytest.approx(values.mean() - half, abs=0.02)
    assert found.high == pytest.approx(values.mean() + half, abs=0.02)
    assert found.n == 400


def coverage(kind, n, simulations=1500):
    """Share of the intervals over n items that hold the mean of what the items were drawn from."""
    draw, mean = {
        "normal": (lambda rng: rng.normal(size=n), 0),
        "uniform": (lambda rng: rng.random(n), 0.5),
        "exponential": (lambda rng: rng.exponential(size=n), 1),
        "lognormal": (lambda rng: rng.lognormal(size=n), np.exp(0.5)),
    }[kind]
    rng = np.random.default_rng(1)
    found = (bootstrap_mean(draw(rng), n_resamples=800, seed=i) for i in range(simulations))
    return np.mean([interval.low <= mean <= interval.high for interval in found])


@pytest.mark.parametrize("n", [3, 5, 12, 30])
def test_intervals_cover_nineteen_of_twenty_normal_means(n):
    assert 0.93 <= coverage("normal", n) <= 0.97  # plain percentiles: about 0.70 at n = 3


@pytest.mark.parametrize(
    ("kind", "n", "least", "most"),
    [
        ("uniform", 3, 0.90, 0.94),
        ("exponential", 3, 0.86, 0.91),
        ("exponential", 30, 0.90, 0.95),
        ("lognormal", 5, 0.79, 0.86),
        ("lognormal", 30, 0.86, 0.91),
    ],
)
def test_what_intervals_cover_of_skewed_data_is_as_told(kind, n, least, most):
    # The module's docstring and the index say so: change them where this changes.
    assert least <= coverage(kind, n, 1000) <= most


def test_seed_decides():
    values = np.arange(30.0)
    assert bootstrap_mean(values, seed=1) == bootstrap_mean(values, seed=1)
    assert bootstrap_mean(values, seed=1) != bootstrap_mean(values, seed=2)


def test_nan_items_are_left_out_and_not_counted():
    assert bootstrap_mean([1, np.nan, 3]).n == 2
    assert bootstrap_mean([1, np.nan, 3]).value == 2
    paired = paired_difference([1, 2, np.nan, 5], [0, np.nan, 1, 1])
    assert (paired.value, paired.n) == (2.5, 2)


def test_single_item_has_no_interval():
    found = bootstrap_mean([True])
    assert (found.value, found.n) == (1.0, 1)
    assert np.isnan([found.low, found.high]).all()


def test_a_few_items_that_are_all_alike_have_no_interval():
    for few in ([0.3] * 3, [0.1 + 0.2, 0.3, 0.3], [-0.2] * 5):  # the second differs by float noise
        found = bootstrap_mean(few)
        assert found.value == pytest.approx(few[-1])
        assert np.isnan([found.low, found.high]).all()
    many = bootstrap_mean([0.3] * 6)
    assert (many.low, many.high) == pytest.approx((0.3, 0.3))
    assert np.isnan(bootstrap_mean([1.0] * 40, groups=[0] * 20 + [1] * 20).low)  # two groups


@pytest.mark.parametrize("values", [[], [np.nan, np.nan]])
def test_nothing_to_average(values):
    with pytest.raises(ValueError, match="empty or all NaN"):
        bootstrap_mean(values)
    with pytest.raises(ValueError, match="empty or all NaN"):
        bootstrap_difference([1.0], values)


def test_wrong_shapes_are_named():
    with pytest.raises(ValueError, match="3 and 2"):
        paired_difference([1, 2, 3], [1, 2])
    with pytest.raises(ValueError, match="3 and 2"):
        spearman([1, 2, 3], [1, 2])
    with pytest.raises(ValueError, match="group labels"):
        bootstrap_mean([1, 2, 3], groups=["a"])
    with pytest.raises(ValueError, match="one-dimensional"):
        bootstrap_mean([[1, 2]])


def test_pairing_removes_what_items_share():
    rng = np.random.default_rng(0)
    difficulty = rng.normal(0, 10, 100)
    first, second = difficulty + 0.5 + rng.normal(0, 0.5, 100), difficulty
    assert paired_difference(first, second).low > 0.3
    unpaired = bootstrap_difference(first, second)
    assert unpaired.low < 0 < unpaired.high
    assert unpaired.value == pytest.approx(paired_difference(first, second).value)


def test_clusters_widen_the_interval():
    values = np.repeat(np.random.default_rng(0).normal(size=20), 50)
    plain, clustered = bootstrap_mean(values), bootstrap_mean(values, groups=np.repeat(np.arange(20), 50))
    assert clustered.value == pytest.approx(plain.value)
    assert clustered.n == 20
    assert clustered.high - clustered.low > 5 * (plain.high - plain.low)


def test_groups_of_one_are_plain_items():
    values = np.random.default_rng(0).normal(size=50)
    assert bootstrap_mean(values, groups=list(range(50))) == bootstrap_mean(values)


def test_unequal_groups_keep_the_mean_of_items():
    assert bootstrap_mean([1, 1, 1, 5], groups=["a", "a", "a", "b"]).value == 2


def test_long_arrays_are_drawn_in_chunks():
    found = bootstrap_mean(np.ones(300_000), n_resamples=40)
    assert (found.low, found.high) == (1, 1)


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [(0, 10, 0, 0.2775), (10, 10, 0.7225, 1), (5, 10, 0.2366, 0.7634), (81, 263, 0.2553, 0.3662)],
)
def test_wilson(successes, n, low, high):
    found = wilson(successes, n)
    assert found.value == successes / n
    assert (found.low, found.high) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize(("successes", "n"), [(0, 0), (3, 2), (-1, 5)])
def test_wilson_refuses(successes, n):
    with pytest.raises(ValueError, match="must"):
        wilson(successes, n)


def test_spearman():
    x = np.arange(40.0)
    assert spearman(x, x**3).value == pytest.approx(1)
    assert spearman(x, -np.exp(x)).value == pytest.approx(-1)
    noisy = spearman(x, x + np.random.default_rng(0).normal(0, 15, 40))
    assert 0 < noisy.low < noisy.value < noisy.high < 1
    # Ranks 1, 2.5, 2.5, 4 against 1, 2, 3, 4: r = 4.5 / sqrt(4.5 * 5).
    assert spearman([1, 2, 2, 3], [1, 2, 3, 4]).value == pytest.approx(4.5 / np.sqrt(22.5))


def test_spearman_over_groups():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 40))
    alone = spearman(x, y, groups=np.arange(40))
    pairs = spearman(x, y)
    assert (alone.value, alone.n) == (pairs.value, 40)
    assert (alone.low, alone.high) == pytest.approx((pairs.low, pairs.high), abs=0.05)
    copies = np.repeat([x, y], 9, axis=1)
    wide, narrow = spearman(*copies, groups=np.repeat(np.arange(40), 9)), spearman(*copies)
    assert (wide.n, narrow.n) == (40, 360)
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)
    gap = np.append(y[:-1], np.nan)
    assert spearman(x, gap, groups=np.arange(40)).n == 39


def test_spearman_of_a_constant_is_undefined():
    found = spearman([1, 1, 1, 1], [1, 2, 3, 4])
    assert np.isnan([found.value, found.low, found.high]).all()
    with pytest.raises(ValueError, match="three pairs"):
        spearman([1, 2, np.nan], [1, 2, 3])


def test_interval_reads_as_text():
    assert str(wilson(5, 10)) == "0.5 [0.237, 0.763], n=10"
