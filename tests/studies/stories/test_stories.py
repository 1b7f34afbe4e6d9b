"""The recipe study: requests, constraints, and measures that must order sets the right way."""

from types import SimpleNamespace

import numpy as np
import pytest

from workbench.engine.sampling.sampler import Completion, Sampler
from workbench.errors import UserError
from workbench.studies.stories import method, results, views

SET = method.simulate(range(340), seed=0)


class Echo(Sampler):
    """A sampler that answers with what it was asked."""

    def sample(self, prompts, params):
        return [[Completion(f" {prompt} ", [], [], "stop")] * params.n for prompt in prompts]


def test_an_instruction_holds_everything_that_is_asked_and_ends_with_the_reminder():
    text = method.instruction(
        {"noun": "kite", "verb": "hug"}, ["dialogue"], summary="Lily loses it.", sentence="It flew."
    )
    assert all(part in text for part in ("“kite”", "“hug”", "dialogue", "Lily loses it.", "It flew."))
    assert text.splitlines()[-1].startswith("Remember: only simple words")
    assert "must" not in method.instruction({})


def test_a_sampler_is_asked_for_the_same_words_as_the_simulator():
    asked = method.ask(Echo(), range(5, 9), seed=0)
    simulated = method.simulate(range(5, 9), seed=0)
    same = ["condition", "noun", "verb", "adjective", "features"]
    assert asked[same].equals(simulated[same])
    assert all(noun in story for noun, story in zip(asked["noun"], asked["story"], strict=True))


def test_rows_do_not_depend_on_the_piece_they_were_made_in():
    parts = [method.simulate(range(start, start + 10), seed=0) for start in (0, 10)]
    assert SET["story"].tolist()[:20] == [story for part in parts for story in part["story"]]


def test_constraints_hold_for_the_simulator_and_fail_for_other_stories():
    assert (results.constraints(SET)["share"] == 1).all()
    wrong = SET.assign(story=SET["story"].to_numpy()[::-1])
    found = results.constraints(wrong).set_index("asked")
    assert (found["share"] < 0.9).all()
    assert (found["low"] <= found["share"]).all()


def test_measures_put_every_set_between_its_baselines():
    blocks = results.diversity(results.with_baselines({"stories": SET["story"].tolist()}))
    means = blocks.groupby("set")[list(results.MEASURES)].mean()
    floor, ceiling = (means.loc[name] for name in results.BASELINES)
    own = means.loc["stories"]
    for measure in ("Vendi score", "different word pairs"):
        assert floor[measure] < own[measure] < ceiling[measure]
    for measure in ("closest other story", "compression"):
        assert floor[measure] > own[measure] > ceiling[measure]
    assert floor["Vendi score"] == pytest.approx(1)
    assert floor["embedding Vendi"] == pytest.approx(1)
    assert floor["embedding Vendi"] < own["embedding Vendi"]
    assert floor["closest other story"] == pytest.approx(1)


def test_sets_too_small_to_compare_are_the_users_mistake():
    with pytest.raises(UserError, match="raise n_compared"):
        results.diversity({"few": SET["story"].tolist()[:70]})


def test_gain_is_positive_for_the_more_diverse_set_and_brackets_zero_for_equal_ones():
    texts = SET["story"].tolist()
    few = [texts[i % 5] for i in range(340)]
    blocks = results.diversity({"many": texts, "few": few, "again": texts[::-1]})
    more = results.gain(blocks, "many", "few", "Vendi score")
    assert more.low > 0
    equal = results.gain(blocks, "many", "again", "Vendi score")
    assert equal.low <= 0 <= equal.high


def test_a_placebo_asks_nothing_and_its_sets_share_no_story():
    asked = method.requests(5, placebo=True)
    assert list(asked) == list(method.CONDITIONS)
    assert {condition for condition, _ in asked.values()} == {"none"}
    numbers = [number for _, numbers in asked.values() for number in numbers]
    assert numbers == list(range(15))
    assert method.requests(5, placebo=False) == {name: (name, range(5)) for name in method.CONDITIONS}


def test_claims_count_blocks_of_stories_and_one_leads():
    stories = {name: SET["story"].tolist() for name in method.CONDITIONS}
    claims = results.claims(results.diversity(stories))
    assert {(claim.over, claim.trainings, claim.n) for claim in claims} == {("blocks of stories", None, 6)}
    assert [claim.name for claim in claims if claim.headline] == ["words-raise-vendi-score"]


def test_coverage_rises_with_stories_read():
    curve = results.coverage_curve({"stories": SET["story"].tolist()})
    assert (np.diff(curve["share"]) >= 0).all()
    assert curve["stories"].iloc[-1] == len(SET)


def test_sizes_are_the_profiles_unless_given():
    given = SimpleNamespace(profile="quick", n_stories=7, n_compared=None)
    assert method.sizes(given) == method.Sizes(7, method.SIZES["quick"].compared)


def test_hostile_text_is_inert_in_the_shelf():
    hostile = method.from_texts(["</script><script>alert(1)</script> <img src=x onerror=alert(1)>"])
    bundle, _ = views.shelf(hostile).bundle()
    assert "<script>" not in bundle["text/html"]
    assert "<img" not in bundle["text/html"]


def test_the_explorer_says_which_constraints_hold_and_what_cannot_be_asked():
    explorer = views.story_explorer()
    assert "✓ kite" in explorer.view.record["sentence"]
    assert "Grammar 100%" in explorer.view.record["sentence"]
    explorer.controls["noun"].value = "spaceship"
    assert explorer.view.record["items"][0]["label"] == "not possible"
