"""What n counts: trainings where there are enough, items otherwise."""

import numpy as np
import pandas as pd
import pytest

from workbench.claims import OPPOSITE, REPRODUCED
from workbench.studies.common.evidence import compare, over_seeds


def answers(n_seeds, n_items=40, gain=0.2, spread=0.0):
    rng = np.random.default_rng(0)
    rows = []
    for seed in range(n_seeds):
        own = gain + spread * rng.normal()
        for item in range(n_items):
            base = rng.random()
            rows += [(seed, "control", item, base), (seed, "treated", item, base + own + 0.05 * rng.normal())]
    return pd.DataFrame(rows, columns=["seed", "arm", "item", "right"])


def claim(evidence):
    return evidence.claim(name="c", says="It helps.", paper="yes")


def test_five_seeds_are_the_unit():
    evidence = compare(answers(5), "treated", "control")
    assert (evidence.estimate.n, evidence.over, evidence.trainings) == (5, "trainings", 5)
    assert claim(evidence).verdict_text == REPRODUCED


def test_fewer_seeds_are_what_was_seen_in_them():
    evidence = compare(answers(2), "treated", "control", items="sums")
    assert (evidence.estimate.n, evidence.over, evidence.trainings) == (40, "sums", 2)
    assert claim(evidence).verdict_text == "seen in 2 trainings"
    worse = claim(compare(answers(1, gain=-0.2), "treated", "control"))
    assert (worse.verdict, worse.verdict_text) == (OPPOSITE, "opposite in one training")


def test_seeds_that_disagree_widen_the_interval():
    alike, apart = (compare(answers(8, spread=s), "treated", "control").estimate for s in (0.0, 0.3))
    assert apart.high - apart.low > 5 * (alike.high - alike.low)


def test_pairs_are_of_one_seed_and_item():
    frame = answers(6).sample(frac=1, random_state=1)  # the order of rows does not matter
    assert compare(frame, "treated", "control") == compare(answers(6), "treated", "control")


def test_unknown_effects_are_left_out():
    effects = pd.DataFrame({"seed": range(6), "effect": [1.0, 2, 3, 4, 5, np.nan]})
    assert over_seeds(effects).estimate.n == 5


def test_an_arm_that_was_not_asked():
    with pytest.raises(ValueError, match="no questions were asked of both other and control"):
        compare(answers(1), "other", "control")
