"""The recipe study: requests, constraints, and measures that must order sets the right way."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from workbench.corpora.stories import NARROW, story_at
from workbench.engine.sampling import load as sampling
from workbench.engine.sampling.sampler import Completion, Sampler
from workbench.errors import UserError
from workbench.measures.summaries import summarise_shares
from workbench.studies.stories import commonest, constraints, copying, costs, given, method, results, views

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
    assert (constraints.constraints(SET)["share"] == 1).all()
    wrong = SET.assign(story=SET["story"].to_numpy()[::-1])
    found = constraints.constraints(wrong).set_index("asked")
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


def blocks_of(values, measure, n=6):
    """A table of blocks in which the sets have these means, and the same spread."""
    rng, frames = np.random.default_rng(0), []
    for name, value in values.items():
        frame = pd.DataFrame({"set": name, "block": range(n), measure: value + 0.01 * rng.normal(size=n)})
        frames.append(frame.reindex(columns=["set", "block", *results.MEASURES], fill_value=0.0))
    return pd.concat(frames, ignore_index=True)


BREADTHS = ("broad", "narrow")
SETS = [method.set_name(name, condition) for name in BREADTHS for condition in method.CONDITIONS]


def test_what_asking_buys_is_a_difference_and_between_generators_one_of_differences():
    blocks = blocks_of(dict(zip(SETS, (0.1, 0.1, 0.1, 0.5, 0.3, 0.35), strict=True)), results.PLOT)
    words = results.buys(blocks, ["narrow"], "words", results.PLOT)
    assert words.value == pytest.approx(0.2, abs=0.02)
    assert words.low > 0
    assert results.buys(blocks, ["narrow"], "features", results.PLOT).value == pytest.approx(-0.05, abs=0.02)
    assert results.buys(blocks, BREADTHS, "words", results.PLOT).value == pytest.approx(0.2, abs=0.03)
    higher = blocks_of(dict(zip(SETS, (1, 2, 2, 1, 4, 4), strict=True)), "Vendi score")
    assert results.buys(higher, BREADTHS, "words", "Vendi score").value == pytest.approx(2, abs=0.05)
    table = results.bought(blocks, BREADTHS)
    assert set(table["generator"]) == set(BREADTHS)
    assert (table["n"] == 6).all()


def test_claims_lead_with_the_commonest_plot_and_fail_their_gates_where_nothing_is_narrow():
    blocks = blocks_of(dict(zip(SETS, (0.1, 0.1, 0.1, 0.5, 0.3, 0.35), strict=True)), results.PLOT)
    made = {claim.name: claim for claim in results.claims(blocks, BREADTHS)}
    assert [name for name, claim in made.items() if claim.headline] == ["words-lower-commonest-plot"]
    assert made["words-lower-commonest-plot"].verdict == "reproduced"
    assert made["words-help-the-narrow-more-commonest-plot"].verdict == "reproduced"
    assert made["features-lower-commonest-plot"].effect < 0
    assert {(claim.over, claim.trainings, claim.n) for claim in made.values()} == {
        ("blocks of stories", None, 6)
    }
    alike = blocks_of(dict.fromkeys(SETS, 0.1), results.PLOT)
    for claim in results.claims(alike, BREADTHS):
        if "commonest-plot" in claim.name and "features" not in claim.name:
            assert claim.verdict == "not testable here"


def test_where_plots_are_not_known_the_commonest_story_leads():
    blocks = blocks_of(dict.fromkeys(SETS, 0.3), results.STORY).assign(**{results.PLOT: np.nan})
    made = results.claims(blocks, BREADTHS)
    assert [claim.name for claim in made if claim.headline] == ["words-lower-commonest-story"]
    assert results.PLOT not in set(results.bought(blocks, BREADTHS)["measure"])


def test_the_commonest_plot_is_chosen_on_other_blocks():
    plots = np.array([["a", "a", "b", "c"], ["a", "b", "b", "b"], ["a", "a", "c", "c"]])
    # without the first block a and b tie, without the second a leads, and without the third b, which it lacks
    assert commonest.share_of_commonest(plots).tolist() == [0.5, 0.25, 0]
    even = np.array([[f"{block}{story}" for story in range(4)] for block in range(3)])
    assert commonest.share_of_commonest(even).tolist() == [0, 0, 0]


def test_the_commonest_story_is_one_that_stories_of_other_blocks_are_like():
    axes = np.eye(9)
    vectors = np.stack([axes[0], axes[0], axes[1], axes[2], axes[0], axes[3], axes[4], axes[5]])
    assert commonest.share_like_commonest(vectors, 2).tolist() == [0.5, 0.25]
    assert commonest.share_like_commonest(np.tile(axes[:1], (8, 1)), 4).tolist() == [1] * 4


def test_known_plots_and_stories_give_a_narrow_writer_away():
    sets, plots = {}, {}
    for name in BREADTHS:
        frame = method.simulate(
            range(200), seed=9, condition="none", habits=method.SIMULATORS[f"simulator:{name}"]
        )
        sets[name], plots[name] = frame["story"].tolist(), frame["plot"].tolist()
    means = results.diversity(sets, plots).groupby("set")[[results.PLOT, results.STORY, "Vendi score"]].mean()
    top = max(plots["narrow"].count(plot) for plot in set(plots["narrow"])) / 200
    assert means.loc["narrow", results.PLOT] == pytest.approx(top, abs=0.01)
    assert means.loc["narrow", results.STORY] > means.loc["broad", results.STORY] + 0.1
    assert means.loc["narrow", "Vendi score"] < means.loc["broad", "Vendi score"]
    assert results.diversity({"unknown": sets["broad"]})[results.PLOT].isna().all()


def test_the_plain_simulator_is_as_it_was_and_the_led_one_takes_plots_that_have_a_part_for_a_noun():
    assert story_at(7, seed=0).text.startswith(
        "There once was a patient girl named Mia. Mia liked to explore"
    )
    stories = [story_at(i, seed=3, condition="words", habits=NARROW) for i in range(400)]
    foods = [
        s.plot in ("trading", "choosing")
        for s in stories
        if s.words["noun"] in ("apple", "cake", "pie", "tart")
    ]
    others = [s.plot in ("trading", "choosing") for s in stories]
    assert np.mean(foods) > np.mean(others) + 0.1


# ------------------------------------------------------------------------------- two generators
def test_a_placebo_is_the_second_generator_asked_for_nothing_and_no_two_sets_share_a_story():
    asked = method.requests(BREADTHS, 5, placebo=True)
    assert list(asked) == SETS
    assert {(of, condition) for of, condition, _ in asked.values()} == {("narrow", "none")}
    numbers = [number for *_, numbers in asked.values() for number in numbers]
    assert numbers == list(range(30))
    usual = method.requests(BREADTHS, 5, placebo=False)
    assert usual["broad: words"] == ("broad", "words", range(5))


def test_two_generators_have_names_of_their_own(monkeypatch):
    monkeypatch.setattr(sampling, "sampler", lambda spec: Echo())
    assert list(method.writers("simulator:broad", "simulator:narrow", seed=0)) == ["broad", "narrow"]
    models = "transformers:a/base", "openai-chat:http://127.0.0.1:8000/v1#org/tuned"
    assert list(method.writers(*models, seed=0)) == ["base", "tuned"]
    assert list(method.writers("x/model", "y/model", seed=0)) == ["x/model", "y/model"]


@pytest.mark.parametrize(
    ("generator", "second", "message"),
    [
        ("opnai:http://x#y", "simulator:narrow", "openai"),
        ("transformers:", "simulator:narrow", "names no model"),
    ],
)
def test_generators_that_cannot_be_compared_are_the_users_mistake(generator, second, message):
    with pytest.raises(UserError, match=message):
        method.writers(generator, second, seed=0)


def test_texts_in_another_language_are_said_to_be():
    assert method.language_note(SET["story"].tolist()) == ""
    german = ["Es war einmal ein kleines Mädchen, das wohnte mit seiner Mutter am Rand des Waldes."]
    assert "hardly English" in method.language_note(german)
    assert "hardly English" in method.language_note(["从前有一个小女孩，她住在森林旁边。"])


def test_examples_stand_in_the_prompt_and_copies_of_them_are_counted():
    asked = method.ask(Echo(), range(6), seed=0, condition=method.AFTER_EXAMPLES)
    assert all(text in asked["story"][2] for text in method.examples(2, 0))
    assert not set(method.examples(2, 0)) & set(method.examples(3, 0))
    assert asked["noun"].tolist() == method.ask(Echo(), range(6), seed=0, condition="words")["noun"].tolist()
    parrot = asked.assign(story=[method.examples(i, 0)[0] for i in range(6)])
    copied = copying.copying(parrot, 0)
    assert copied["own"].min() == 1
    assert copied["other"].max() < 1
    made = copying.claims(copied, "parrot")
    assert [claim.verdict for claim in made] == ["reproduced"] * 2
    assert views.copying_chart(copied).record["title"]
    assert not len(copying.copying(parrot.assign(shown=0), 0))
    deaf = copying.copying(method.simulate(range(60), seed=1, condition="words").assign(shown=3), 0)
    made = copying.claims(deaf, "deaf")
    assert len(made) == 2
    assert all(claim.verdict != "reproduced" for claim in made)


def test_the_price_of_a_story_is_known_where_its_tokens_are():
    timed = method.timed(lambda indices, condition: method.simulate(indices, seed=0, condition=condition))
    frame = timed(range(3), "none")
    assert (frame["seconds"] > 0).all()
    model = frame.assign(prompt_tokens=100.0, tokens=300.0)
    table = costs.costs({"a": ("sim", frame), "b": ("model", model)}, {"sim": 1.0, "model": 2.5})
    assert table["generator"].tolist() == ["sim", "model"]
    assert table["dollars"].isna().tolist() == [True, False]
    assert table["dollars"][1] == pytest.approx(400 * 2.5 / 1000)
    assert "tokens" not in views.cost_table(table[:1]).record["columns"]


def test_coverage_rises_with_stories_read():
    curve = results.coverage_curve({"stories": SET["story"].tolist()})
    assert (np.diff(curve["share"]) >= 0).all()
    assert curve["stories"].iloc[-1] == len(SET)


def test_sizes_are_the_profiles_unless_given():
    simulators = {"generator": "simulator:broad", "second": "simulator:narrow", "data": "embedded"}
    params = SimpleNamespace(profile="quick", n_stories=7, n_compared=None, **simulators)
    assert method.sizes(params) == method.Sizes(7, method.SIZES["quick"].compared)


def test_a_given_model_writes_its_sets_and_the_claims_are_about_it():
    def params(**other):
        plain = {"generator": "simulator:broad", "second": "simulator:narrow", "data": "embedded"}
        return SimpleNamespace(
            **{"profile": "real-laptop", "n_stories": None, "n_compared": None, **plain, **other}
        )

    assert method.sizes(params(data="stories.txt")).corpus  # as the corpus of another notebook
    asked = params(generator="x/model")
    n_blocks = method.sizes(asked).compared // method.sizes(asked).block[0]
    assert n_blocks >= 5
    assert given.pair(asked) == ("simulator:narrow", "x/model")
    assert given.pair(params(generator="x/base", second="x/model")) == ("x/base", "x/model")
    assert given.pair(params(profile="quick", generator="x/model")) == ("x/model", "simulator:narrow")
    assert given.corpus_writer(asked) == "simulator"


def test_claims_about_a_given_model_lead_with_its_words_and_leave_the_simulator_alone():
    sets = {
        method.set_name(name, condition): method.simulate(
            range(100 * at, 100 * at + 60), seed=0, condition=condition
        )
        for at, name in enumerate(("narrow", "mine"))
        for condition in method.CONDITIONS
    }
    sizes = method.Sizes(1, 60, block=(10, 500), given=True)
    stories = {name: frame["story"].tolist() for name, frame in sets.items()}
    blocks = results.diversity(stories, block=sizes.block)
    assert blocks.groupby("set").size().unique().tolist() == [6]
    made = given.claims(sets, blocks, ["narrow", "mine"], ["mine"], sizes)
    assert [claim.name for claim in made if claim.headline] == ["words-are-used"]
    assert made[0].verdict == "reproduced"
    assert made[0].effect > 0.7
    assert not any("help" in claim.name for claim in made)
    deltas = {claim.name: claim.delta for claim in made}
    assert deltas["words-raise-vendi-score"] == pytest.approx(0.2)
    ours = given.claims(sets, blocks, ["narrow", "mine"], [], replace(sizes, given=False))
    assert any("help" in claim.name for claim in ours)
    assert [claim.name for claim in ours if claim.headline] == ["words-lower-commonest-story"]


def test_words_that_were_asked_for_stand_beside_their_chance():
    asked = method.simulate(range(60), seed=0, condition="words")
    shares = constraints.words_against_chance(asked, method.simulate(range(60), seed=0, condition="none"))
    means = shares.groupby("stories")["share"].mean()
    assert means[constraints.ASKED_FOR] == 1
    assert means[constraints.BY_CHANCE] < 0.5
    assert views.constraint_shares(shares).record["title"] == "Do the stories keep to what was asked?"


def test_that_all_stories_keep_to_what_was_asked_is_said_with_its_intervals():
    shares = pd.DataFrame({"asked": ["noun", "twist"], "kind": ["word", "feature"], "hit": True})
    kept = summarise_shares(pd.concat([shares] * 20), ["asked", "kind"], "hit").rename(
        columns={"value": "share"}
    )
    said = views.constraint_shares(kept).record["sentence"]
    assert "(noun, twist) is in every story that was asked for it, 20 stories or more" in said
    assert said.endswith("intervals begin at 83.9% or above.")


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
