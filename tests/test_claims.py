"""Verdicts: from gates, an interval and the number of trainings, and what many claims together cost."""

import math

import numpy as np
import pytest
from scipy import stats

from workbench.claims import NO_EFFECT, OPPOSITE, REPRODUCED, UNRESOLVED, UNTESTABLE, Claim, Gate, survive
from workbench.errors import UserError

BASE = Gate("accuracy of the base", 0.5, low=0.2, high=0.8)
FLOOR = Gate("accuracy of the base", 0.1, low=0.2, high=0.8)


def claim(effect=0.2, low=0.1, high=0.3, n=12, over="trainings", **about):
    return Claim("c", "It helps.", "yes", effect, low, high, n, over, **about)


@pytest.mark.parametrize(
    ("made", "verdict", "text"),
    [
        (claim(), REPRODUCED, "reproduced"),
        (claim(trainings=5), REPRODUCED, "reproduced"),
        (claim(trainings=4), REPRODUCED, "seen in 4 trainings"),
        (claim(trainings=1), REPRODUCED, "seen in one training"),
        (claim(-0.2, -0.3, -0.1), OPPOSITE, "opposite"),
        (claim(-0.2, -0.3, -0.1, trainings=2), OPPOSITE, "opposite in 2 trainings"),
        (claim(0.1, -0.1, 0.3), UNRESOLVED, "not resolved at this scale"),
        (claim(0.1, -0.1, 0.3, trainings=1), UNRESOLVED, "not resolved at this scale"),
        (claim(0.2, 0.0, 0.4), UNRESOLVED, "not resolved at this scale"),
        (claim(-0.2, -0.4, 0.0), UNRESOLVED, "not resolved at this scale"),
        (claim(math.nan), UNRESOLVED, "not resolved at this scale"),
        (claim(low=math.nan), UNRESOLVED, "not resolved at this scale"),
        (claim(high=math.nan), UNRESOLVED, "not resolved at this scale"),
        (claim(low=math.nan, high=math.nan, delta=1.0), UNRESOLVED, "not resolved at this scale"),
        (claim(0.01, -0.02, 0.04, delta=0.05), NO_EFFECT, "no effect"),
        (claim(0.01, 0.005, 0.02, delta=0.05), NO_EFFECT, "no effect"),  # it is one, too small to matter
        (claim(0.01, -0.02, 0.04, delta=0.05, trainings=3), NO_EFFECT, "no effect in 3 trainings"),
        (claim(0.01, -0.02, 0.05, delta=0.05), UNRESOLVED, "not resolved at this scale"),  # it ends at delta
        (claim(0.01, -0.05, 0.04, delta=0.05), UNRESOLVED, "not resolved at this scale"),
        (claim(0.04, 0.01, 0.07, delta=0.05), REPRODUCED, "reproduced"),
        (claim(gates=(BASE,)), REPRODUCED, "reproduced"),
        (claim(gates=(BASE, FLOOR)), UNTESTABLE, "not testable here"),
        (claim(gates=(FLOOR,), trainings=1), UNTESTABLE, "not testable here"),
        (claim(math.nan, math.nan, math.nan, gates=(FLOOR,)), UNTESTABLE, "not testable here"),
    ],
)
def test_the_verdict_follows_from_gates_delta_interval_and_trainings(made, verdict, text):
    assert (made.verdict, made.verdict_text) == (verdict, text)


def test_a_claim_says_what_its_n_counts_and_how_small_is_too_small():
    with pytest.raises(TypeError, match="over"):
        Claim("c", "It helps.", "yes", 0.2, 0.1, 0.3, 5)
    for over in ("", " \n"):
        with pytest.raises(UserError, match='The claim "c" does not say what its n counts: give over='):
            claim(over=over)
    for delta in (0, -0.1, math.nan):
        with pytest.raises(UserError, match=r"delta=.*must be above 0"):
            claim(delta=delta)


@pytest.mark.parametrize(
    ("value", "low", "high", "passed", "said"),
    [
        (0.5, 0.2, 0.8, True, "x: 0.5, wanted from 0.2 to 0.8"),
        (0.2, 0.2, 0.8, True, "x: 0.2, wanted from 0.2 to 0.8"),
        (0.81, 0.2, 0.8, False, "x: 0.81, wanted from 0.2 to 0.8"),
        (0.7, 0.8, math.inf, False, "x: 0.7, wanted at least 0.8"),
        (0.93, -math.inf, 0.5, False, "x: 0.93, wanted at most 0.5"),
        (math.nan, 0.8, math.inf, False, "x: not known, wanted at least 0.8"),
    ],
)
def test_a_gate_is_a_number_within_bounds(value, low, high, passed, said):
    gate = Gate("x", value, low, high)
    assert (gate.passed, str(gate)) == (passed, said)


@pytest.mark.parametrize("bounds", [{}, {"low": math.nan}, {"low": -math.inf, "high": math.inf}])
def test_a_gate_without_bounds_is_refused_in_a_sentence(bounds):
    with pytest.raises(UserError, match='The gate "x" has no bounds: give low=, high= or both'):
        Gate("x", 0.5, **bounds)


def test_a_claim_in_words_names_what_failed_and_what_would_have_been_found():
    said = repr(claim(gates=(BASE, FLOOR), unit="points"))
    assert "Gate: accuracy of the base: 0.1, wanted from 0.2 to 0.8." in said
    assert said.count("Gate:") == 1  # the one that holds is not named
    unresolved = claim(0.1, -0.1, 0.3, unit="points")
    assert f"With power .8 this n finds {unresolved.detectable:.3g} points." in repr(unresolved)
    assert "With power" not in repr(claim())
    assert "Effect unknown (no interval, n = 0 trainings)" in repr(claim(math.nan, math.nan, math.nan, n=0))


@pytest.mark.parametrize("n", [2, 3, 5, 12, 1000])
def test_p_is_below_a_twentieth_exactly_where_zero_lies_outside(n):
    rng = np.random.default_rng(n)
    for _ in range(300):
        low, high = np.sort(rng.normal(size=2))
        effect = rng.uniform(low, high) if rng.random() < 0.8 else rng.normal()  # mostly within, not always
        made = claim(effect, low, high, n)
        assert (made.p < 0.05) == (low > 0 or high < 0)
    assert claim(0.2, 0.0, 0.4, n).p == pytest.approx(0.05)
    assert claim(-0.2, -0.4, 0.0, n).p == pytest.approx(0.05)


def test_p_is_that_of_the_t_test():
    values = np.random.default_rng(3).normal(0.5, 1, 12)
    half = stats.t.ppf(0.975, 11) * values.std(ddof=1) / np.sqrt(12)
    made = claim(values.mean(), values.mean() - half, values.mean() + half)
    assert made.p == pytest.approx(stats.ttest_1samp(values, 0).pvalue)
    assert claim(0.3, 0.3, 0.3).p == 0  # all alike
    assert claim(0.0, 0.0, 0.0).p == 1
    for unknown in (claim(n=1), claim(low=math.nan), claim(0.2, 0.3, 0.1)):
        assert math.isnan(unknown.p)


@pytest.mark.parametrize("n", [5, 12, 100])
def test_the_smallest_detectable_effect_is_found_in_four_of_five_tries(n):
    half = stats.t.ppf(0.975, n - 1) / np.sqrt(n)  # of an interval over n items whose deviation is 1
    effect = claim(0.1, 0.1 - half, 0.1 + half, n).detectable
    found = np.random.default_rng(n).normal(effect, 1, (20_000, n))
    low = found.mean(axis=1) - half * found.std(axis=1, ddof=1)
    assert np.mean(low > 0) == pytest.approx(0.8, abs=0.035)  # t in place of the noncentral t


def test_detectable_needs_an_interval():
    assert math.isnan(claim(n=1).detectable)
    assert math.isnan(claim(low=math.nan).detectable)
    assert claim(0, -0.1, 0.1).detectable > 0.1


def with_p(p, n=12, **about):
    """A claim whose interval has this p."""
    half = stats.t.ppf(0.975, n - 1) / stats.t.isf(p / 2, n - 1)
    return claim(1.0, 1 - half, 1 + half, n, **about)


def test_benjamini_and_hochberg_by_hand():
    p = [0.001, 0.03, 0.012, 0.2, 0.04, 0.019]
    # In order, against 5 % of rank / 6: .0083, .0167, .025, .0333 and .0417 are not passed; .2 is above .05.
    assert survive([with_p(value) for value in p]) == [True, True, True, False, True, True]
    # The third, .031, is above .025, and no later one is below its own.
    p = [0.001, 0.031, 0.012, 0.2, 0.045, 0.3]
    assert survive([with_p(value) for value in p]) == [True, False, True, False, False, False]
    adjusted = stats.false_discovery_control(p)
    assert survive([with_p(value) for value in p]) == list(adjusted <= 0.05)
    assert survive([with_p(value) for value in p], rate=0.1) == list(adjusted <= 0.1)


def test_what_cannot_be_tested_is_not_counted():
    alone = [with_p(0.04)]
    silent = [with_p(1e-6, gates=(FLOOR,)), claim(math.nan, math.nan, math.nan), claim(n=1)]
    assert survive([*silent, *alone]) == [False, False, False, True]
    assert [made.is_tested for made in (*silent, *alone)] == [False, False, False, True]
    assert survive([*alone, with_p(0.9)]) == [False, False]  # one that is tested counts
    assert survive([]) == []
    assert survive(silent) == [False] * 3


def test_one_training_is_singular_and_thousands_have_commas():
    assert claim(n=1).counted == "1 training"
    assert claim(n=1200, over="stories").counted == "1,200 stories"
