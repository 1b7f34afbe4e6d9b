"""Distances between answer distributions: known values, paddings, degenerate scales, and the baselines."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.spatial.distance import jensenshannon
from scipy.stats import wasserstein_distance

from workbench.measures import distributions as d

RNG = np.random.default_rng(0)
SKEWED, REVERSED = (0.1, 0.2, 0.3, 0.4), (0.4, 0.3, 0.2, 0.1)
QUARTERS, END = (0.25,) * 4, (1, 0, 0, 0)


@pytest.mark.parametrize(
    ("p", "q", "nats", "bits", "root", "variation"),
    [
        ((1, 0), (0.5, 0.5), 0.215762, 0.311278, 0.464501, 0.5),
        ((1, 0), (0, 1), 0.693147, 1, 0.832555, 1),
        ((0.5, 0.5), (0.25, 0.75), 0.033822, 0.048795, 0.183908, 0.25),
        (SKEWED, REVERSED, 0.106440, 0.153561, 0.326252, 0.4),
        (QUARTERS, END, 0.380396, 0.548795, 0.616762, 0.75),
        (SKEWED, SKEWED, 0, 0, 0, 0),
    ],
)
def test_known_values_in_their_units(p, q, nats, bits, root, variation):
    for distance, value in ((d.jsd_nats, nats), (d.jsd_bits, bits), (d.root_jsd_nats, root)):
        assert distance(p, q) == pytest.approx(value, abs=1e-6)
        assert distance(q, p) == pytest.approx(value, abs=1e-6)
    assert d.total_variation(p, q) == pytest.approx(variation)


@pytest.mark.parametrize(
    ("p", "q", "value"), [(SKEWED, REVERSED, 1 / 3), (QUARTERS, END, 0.5), (END, END, 0)]
)
def test_known_values_of_the_ordinal_distance(p, q, value):
    assert d.wasserstein_share(p, q, (1, 2, 3, 4)) == pytest.approx(value)
    assert d.wasserstein_share(p[::-1], q[::-1], (4, 3, 2, 1)) == pytest.approx(value)  # codes, not places


def test_agrees_with_scipy_on_random_items():
    p, q = RNG.dirichlet(np.ones(5), 20), RNG.dirichlet(np.ones(5), 20)
    codes = RNG.permutation(5) ** 2.0
    assert d.root_jsd_nats(p, q) == pytest.approx(jensenshannon(p, q, axis=1))
    expected = [wasserstein_distance(codes, codes, a, b) / 16 for a, b in zip(p, q, strict=True)]
    assert d.wasserstein_share(p, q, codes) == pytest.approx(expected)


def test_a_scale_with_equal_codes_has_no_distance_but_partly_equal_codes_do():
    p, q = np.array([SKEWED] * 3), np.array([REVERSED] * 3)
    codes = np.array([(2, 2, 2, 2), (np.nan,) * 4, (1, 1, 2, 2)])
    assert np.isnan(d.wasserstein_share(p, q, codes)).tolist() == [True, True, False]
    assert d.wasserstein_share(p, q, codes)[2] == pytest.approx(0.4)


@pytest.mark.parametrize("name", list(d.MEASURES))
def test_items_with_fewer_options_are_not_changed_by_those_with_more(name):
    both = d.stack([SKEWED, (0.3, 0.7)]), d.stack([REVERSED, (0.6, 0.4)])
    assert both[0].shape == (2, 4)
    measure = d.MEASURES[name]
    apart = [float(measure(SKEWED, REVERSED)), float(measure((0.3, 0.7), (0.6, 0.4)))]
    assert measure(*both) == pytest.approx(apart, abs=1e-12)


def test_divergence_is_finite_where_an_option_was_given_no_chance():
    assert d.kl_nats((0.5, 0.5), (1, 0)) == pytest.approx(
        0.5 * np.log(0.5) + 0.5 * np.log(0.5 / 1e-6), abs=1e-4
    )
    assert d.kl_nats(SKEWED, SKEWED) == 0
    assert d.kl_nats((0.2, 0.8), (0.5, 0.5), epsilon=0) == pytest.approx(
        0.2 * np.log(0.4) + 0.8 * np.log(1.6)
    )


def test_entropy_ratio_says_what_has_collapsed():
    assert d.entropy_ratio(QUARTERS, QUARTERS) == pytest.approx(1)
    assert d.entropy_ratio(END, QUARTERS) == 0
    assert np.isnan(d.entropy_ratio(QUARTERS, END))


@pytest.mark.parametrize(
    ("model", "human", "match"),
    [
        (SKEWED, SKEWED, 1),
        (SKEWED, REVERSED, 0),
        (QUARTERS, SKEWED, 0.25),
        ((0.4, 0.6, 0, 0), (0.2, 0.4, 0.4, 0), 1),
    ],
)
def test_the_most_likely_option_matches_with_ties_as_shares(model, human, match):
    assert d.mode_match(model, human) == match


@pytest.mark.parametrize("bad", [(0.5, 0.6), (1.2, -0.2), (50, 50)])
def test_what_is_no_distribution_is_refused(bad):
    with pytest.raises(ValueError, match="sum to one"):
        d.jsd_nats(bad, (0.5, 0.5))


def test_other_options_cannot_be_compared():
    with pytest.raises(ValueError, match="same options"):
        d.jsd_nats(d.stack([SKEWED, (0.5, 0.5)]), d.stack([SKEWED, SKEWED]))


def test_the_best_constant_is_no_further_than_any_other():
    items = RNG.dirichlet((0.5, 1, 2), 30)

    def mean_distance(logits):
        shares = np.exp(logits - logits.max())
        return d.jsd_nats(items, shares / shares.sum()).mean()

    found = d.best_constant(items)
    least = minimize(
        mean_distance, np.zeros(3), method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-12}
    )
    assert d.jsd_nats(items, found).mean() == pytest.approx(least.fun, abs=1e-8)
    assert d.jsd_nats(items, found).mean() < d.jsd_nats(items, items.mean(0)).mean()
    assert d.best_constant([END, END]) == pytest.approx(END)


def test_the_noise_floor_falls_with_the_people_asked_and_is_unknown_without_them():
    floor = d.noise_floor([(0.5, 0.5)] * 4, [20, 2000, np.nan, 1])
    # for small differences the JSD of two halves is about (options − 1) / (2 n) nats
    assert floor[:2] == pytest.approx([1 / 40, 1 / 4000], rel=0.25)
    assert np.isnan(floor[2:]).all()
    assert d.noise_floor([END], 100) == 0


def test_so_many_samples_of_the_truth_are_this_far_from_it():
    floor = d.sampling_floor(d.stack([(0.5, 0.5), (0.2, 0.3, 0.5)]), 400)
    # the JSD of n draws is about (options − 1) / (8 n) nats
    assert floor == pytest.approx([1 / 3200, 2 / 3200], rel=0.25)
    assert np.isnan(d.sampling_floor([(0.5, 0.5)], [0])).all()


def test_the_score_is_0_for_guessing_and_100_for_the_truth():
    people = RNG.dirichlet(np.ones(4), 10)
    guess = d.total_variation(d.uniform(people), people)
    assert d.rescaled(guess, guess) == 0
    assert d.rescaled(d.total_variation(people, people), guess) == 100
    worst = np.eye(4)[people.argmin(1)]
    assert d.rescaled(d.total_variation(worst, people), guess) < 0
