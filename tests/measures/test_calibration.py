"""Correlation with ratings, and the controls that tell a drop from arithmetic, on simulated annotations."""

from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest

from workbench.errors import UserError
from workbench.measures.calibration import calibration, equal_variance_subsets, rated_items, within_fences


def simulate(blind_where_disputed, n=1000, people=15):
    """Items of which people's opinions spread unequally; scores see quality through noise.

    `blind_where_disputed` scores are noise alone where the spread is large; otherwise the noise is alike.
    """
    rng = np.random.default_rng(0)
    quality, spread = rng.normal(3, 0.7, n), rng.uniform(0.3, 1.7, n)
    given = np.clip(np.rint(quality[:, None] + spread[:, None] * rng.normal(size=(n, people))), 1, 5)
    ratings = pd.DataFrame(
        {
            "item": np.repeat(np.arange(n), people),
            "annotator": np.tile(np.arange(people), n),
            "rating": given.ravel(),
        }
    )
    seen = np.where(blind_where_disputed & (spread > 1.2), 3, quality)
    return ratings, pd.Series(seen + 0.5 * rng.normal(size=n))


def calibrated(ratings, scores, alike=(), disputed=(), draws=5):
    settings = {"ALIKE": alike, "DISPUTED": disputed, "DRAWS": draws}
    with patch.multiple("workbench.measures.calibration", **settings):
        return calibration(ratings, scores)


@pytest.fixture(scope="module")
def restricted():
    return calibrated(*simulate(False), alike=(0.5,), disputed=(0.16,), draws=50).set_index("subset")


@pytest.fixture(scope="module")
def blind():
    return calibrated(*simulate(True), alike=(0.5,), disputed=(0.16,), draws=50).set_index("subset")


def test_a_drop_by_range_alone_leaves_nothing_extra(restricted):
    every, alike, disputed = (restricted.loc[name] for name in ("all", "alike", "disputed"))
    assert disputed["high"] < every["low"]  # it looks as if scores failed where people disagree
    assert disputed["variance"] < every["variance"] / 3
    assert disputed["extra_low"] < 0 < disputed["extra_high"]
    assert disputed["random"] == pytest.approx(disputed["value"], abs=0.12)
    assert alike["value"] < every["value"]
    assert alike["extra"] == pytest.approx(0, abs=0.01)
    assert every["extra"] == 0


def test_a_real_drop_is_extra(blind):
    assert blind.loc["disputed", "extra_high"] < 0


def test_people_are_a_ceiling_that_falls_where_they_disagree(restricted):
    every, disputed = restricted.loc["all"], restricted.loc["disputed"]
    assert 0.85 < every["reliability"] < 1
    assert every["ceiling"] == pytest.approx(np.sqrt(every["reliability"]))
    assert disputed["reliability"] < every["reliability"] - 0.3
    assert every["value"] < every["ceiling"]


def test_reliability_is_that_of_the_simulation():
    """Quality and noise of variance one: 16 ratings have a reliability of 16 / 17."""
    rng = np.random.default_rng(0)
    quality = rng.normal(size=1000)
    ratings = pd.DataFrame(
        {
            "item": np.repeat(np.arange(1000), 16),
            "annotator": np.tile(np.arange(16), 1000),
            "rating": np.repeat(quality, 16) + rng.normal(size=16_000),
        }
    )
    found = calibrated(ratings, pd.Series(quality), draws=10).iloc[0]
    assert found["reliability"] == pytest.approx(16 / 17, abs=0.01)  # of ranks: a little below
    assert found["value"] == pytest.approx(found["ceiling"], abs=0.01)


@pytest.mark.parametrize("part", ["middle", "ends", "random"])
def test_random_subsets_have_the_same_size_and_variance(part):
    rng = np.random.default_rng(1)
    values = np.round(rng.normal(3, 0.8, 600), 1)
    key = {"middle": -np.abs(values - 2.5), "ends": np.abs(values - 3), "random": rng.random(600)}[part]
    chosen = np.argsort(np.argsort(-(key + 0.3 * rng.normal(size=600)))) < 100
    drawn = equal_variance_subsets(values, chosen, 50)
    assert drawn.shape == (50, 100)
    assert all(len(set(row)) == 100 for row in drawn)
    variances, wanted = values[drawn].var(axis=1), values[chosen].var()
    assert variances.mean() == pytest.approx(wanted, rel=0.02)
    assert variances == pytest.approx(
        np.full(50, wanted), rel=0.15
    )  # one far item of a hundred weighs as much
    assert len({tuple(sorted(row)) for row in drawn}) == 50


def test_rated_items():
    rows = [("x", "p", 1), ("x", "q", 1), ("x", "p", 5), ("y", "p", 1), ("y", "q", 3), ("z", "q", None)]
    found = rated_items(pd.DataFrame(rows, columns=["item", "annotator", "rating"]))
    assert found["mean"].to_dict() == {"x": 1, "y": 2}  # repeats of p do not count, nor does a missing rating
    assert found["entropy"].to_dict() == {"x": 0, "y": 1}
    assert found["n"].to_dict() == {"x": 2, "y": 2}
    five = pd.DataFrame({"item": "x", "annotator": range(25), "rating": [1, 2, 3, 4, 5] * 5})
    assert rated_items(five)["entropy"]["x"] == pytest.approx(np.log2(5))
    skewed = pd.DataFrame({"item": "x", "annotator": range(4), "rating": [1, 1, 1, 2]})
    assert rated_items(skewed)["entropy"]["x"] == pytest.approx(0.811278, abs=5e-7)


def test_fences():
    values = np.array([0, 4, 5, 6, 10.0])
    assert within_fences(values, 0.5).tolist() == [False, True, True, True, False]
    assert within_fences(values, 2).all()


def test_small_subsets_say_nothing():
    ratings, scores = simulate(False, n=20, people=3)
    found = calibrated(ratings, scores, disputed=(0.1,))
    assert found["n"].tolist() == [20, 2]
    assert found.loc[1, ["value", "extra", "ceiling"]].isna().all()
    alone = calibrated(ratings.query("annotator == 0"), scores)
    assert np.isnan(alone["ceiling"][0])  # one rating an item has no halves
    constant = calibrated(ratings, 0 * scores)
    assert np.isnan(constant["value"][0])
    alike = calibrated(ratings.assign(rating=3), scores)
    assert alike.loc[0, ["value", "reliability", "ceiling"]].isna().all()  # unknown, which is not 0


def test_items_of_one_prompt_are_drawn_together():
    ratings, scores = simulate(False, n=100, people=5)
    plain = calibrated(ratings, scores).iloc[0]
    copies = pd.concat(
        [ratings.assign(item=ratings["item"] + 100 * i, prompt=ratings["item"]) for i in range(4)]
    )
    repeated = pd.Series(np.tile(scores, 4))
    over_prompts = calibrated(copies, repeated).iloc[0]
    over_items = calibrated(copies.drop(columns="prompt"), repeated).iloc[0]
    width = over_prompts["high"] - over_prompts["low"]
    assert width == pytest.approx(plain["high"] - plain["low"], rel=0.2)
    assert width > 1.5 * (over_items["high"] - over_items["low"])


def test_bad_annotations_are_named():
    ratings, scores = simulate(False, n=20, people=3)
    for broken, word in (
        (ratings.drop(columns="annotator"), "annotator"),
        (ratings.assign(rating="good"), "no number"),
        (ratings.iloc[:0], "no rating"),
        (ratings.query("item < 3"), "3 items"),
    ):
        with pytest.raises(UserError, match=word):
            calibrated(broken, scores)
