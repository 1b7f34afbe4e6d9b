"""Times to a criterion, what they say about two arms, and the claims that follow from the numbers given."""

import numpy as np
import pytest

from workbench.studies.lego import claims, settings
from workbench.studies.lego.settings import CHECKS
from workbench.studies.lego.times import speedups, time_to, times

SMALL = settings.Sizes(
    n=4, n_train=3, steps=240, mimic=3, batch=8, tested=40, learning_rate=3e-3, layers=2, width=32,
    depths=(1, 2), stories=40, reading=2, seeds=6, depth_seeds=5,
)  # fmt: skip
NAMES = ("scratch", "stories", "mimicking", "causal", "1 layer", "2 layers")


def test_a_time_lies_on_the_line_between_two_checks():
    assert time_to(np.array([0.2, 0.8, 1.0, 1.0])) == pytest.approx(2.5 / 4)
    assert time_to(np.array([0.2, 0.2, 0.2, 0.9])) == 1
    assert time_to(np.array([1.0, 1.0])) == pytest.approx((0.9 - 0.2) / 0.8 / 2)  # from guessing
    assert np.isnan(time_to(np.array([0.2, 0.5, 0.89])))


def test_what_is_lost_again_was_not_reached_but_a_slip_is_forgiven():
    assert np.isnan(time_to(np.array([0.2, 1.0, 0.3, 0.4])))
    assert time_to(np.array([0.2, 1.0, 0.3, 1.0])) == pytest.approx((3 + 0.6 / 0.7) / 4)
    assert time_to(np.array([0.2, 1.0, 0.89, 1.0])) == pytest.approx((1 + 0.7 / 0.8) / 4)


def learnt(at, seeds=6, positions=4):
    """Checks of a model that guesses until it knows, for each position the check from which on it does."""
    number = np.arange(1, CHECKS + 1)
    at = np.broadcast_to(at, (seeds, positions))
    known = number[None, :, None] >= at[:, None]
    rng = np.random.default_rng(0)
    guessed = rng.random((seeds, CHECKS, 40, 2, positions)) < 0.2
    right = known[:, :, None, None] | guessed
    return np.stack([right, right], -1)  # answers and look-ups


def test_twice_as_fast_at_the_root_is_one_doubling_whatever_other_positions_do():
    checks = {"slow": learnt([1, 8, 16, 99]), "fast": learnt([12, 4, 16, 99])}
    table = times(checks, range(6), 3, 240)
    assert table.groupby("model")["reached"].all().all()
    effects = speedups(table, "fast", "slow")
    assert effects["effect"].to_numpy() == pytest.approx(1, abs=0.1)
    assert effects["known"].eq(1).all()
    assert speedups(table, "slow", "fast")["effect"].to_numpy() == pytest.approx(-1, abs=0.1)


def test_a_time_that_is_not_reached_counts_as_the_whole_training():
    checks = {"never": learnt([1, 99, 99, 99]), "half": learnt([1, 12, 99, 99])}
    table = times(checks, range(6), 3, 240)
    assert set(table["position"]) == {2, 3}
    assert table[table["model"] == "never"]["steps"].eq(240).all()
    effects = speedups(table, "half", "never")
    assert effects["known"].all()
    assert effects["effect"].to_numpy() == pytest.approx(1, abs=0.05)
    neither = speedups(
        table.replace({"model": {"half": "other"}}).assign(reached=False, steps=240), "other", "never"
    )
    assert not neither["known"].any()
    assert neither["effect"].eq(0).all()


def of(checks, **about):
    table = times({name: checks[name] for name in NAMES[:4]}, range(len(checks["scratch"])), 3, 240)
    return {claim.name: claim for claim in claims.claims(table, checks, SMALL, **about)}


@pytest.fixture
def published():
    """Everything as in the paper, with a little spread over six trainings."""
    spread = np.arange(6)[:, None] % 2
    checks = {name: learnt(np.array([[1, 6, 10, 99]]) + spread) for name in NAMES}
    slow = learnt(np.array([[1, 14, 18, 99]]) + spread)
    slower = learnt(np.array([[1, 21, 22, 99]]) + spread)
    shallow = learnt(np.array([[1, 6, 99, 99]]) + spread[:5], seeds=5)
    return checks | {"scratch": slow, "causal": slower, "1 layer": shallow}


def test_claims_are_positive_where_the_paper_is_right(published):
    made = of(published)
    assert [claim.name for claim in made.values() if claim.headline] == ["mimicking-speeds-up"]
    assert len(made) == 5
    assert {name: claim.verdict for name, claim in made.items()} == dict.fromkeys(made, "reproduced")
    assert {claim.over for claim in made.values()} == {"trainings"}
    assert (made["mimicking-speeds-up"].n, made["layers-bound-steps"].n) == (6, 5)
    assert len(of(published, placebo=True)) == 4
    turned = of(published | {"mimicking": published["scratch"], "scratch": published["mimicking"]})
    assert turned["mimicking-speeds-up"].verdict == "opposite"


def test_one_training_has_an_effect_and_no_interval(published):
    made = of({name: checks[:1] for name, checks in published.items()})
    claim = made["mimicking-speeds-up"]
    assert claim.effect > 1
    assert np.isnan(claim.low)
    assert claim.verdict == "not resolved at this scale"
    assert made["falls-past-trained-length"].over == "strings"


def test_gates_close_where_nothing_was_learnt_or_all_was_at_once(published):
    never = dict.fromkeys(NAMES, learnt([1, 99, 99, 99]))
    made = of(never)
    assert {claim.verdict for claim in made.values()} == {"not testable here"}
    assert "one at least was reached" in made["mimicking-speeds-up"].failed_gates[0].name
    at_once = of(dict.fromkeys(NAMES, learnt([1, 1, 1, 99])))
    assert "first check" in at_once["stories-speed-up"].failed_gates[0].name
    confused = of(published | {"scratch": learnt([99, 14, 18, 99])})
    assert "first positions that scratch" in confused["mimicking-speeds-up"].failed_gates[0].name


def test_what_was_not_trained_has_no_claim(published):
    causal = {name: published[name] for name in ("scratch", "stories", "mimicking")}
    table = times(causal, range(6), 3, 240)
    names = [claim.name for claim in claims.claims(table, causal, SMALL)]
    assert names == ["mimicking-speeds-up", "stories-speed-up", "falls-past-trained-length"]
