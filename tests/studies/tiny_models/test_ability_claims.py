"""Claims of the ladder: that they follow from the numbers given, and only where these can tell."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from workbench.studies.tiny_models import ability_claims, change_point, course_views, grading, results, views

LADDER = {"0.1M": 0.55, "0.3M": 0.75, "0.5M": 0.95, "wide": 0.65, "noise": 0.45}  # how good each model is
NAMES = {"fact": ("what one does", "where one goes"), "reasoning": ("who gets it",), "consistency": ("box",)}


def course(right, seeds=5, names=tuple(LADDER), spread=0.02, ends=None):
    """Snapshots whose accuracy is `right(nats, kind, model)`; a model's loss falls to 1.5 - its quality."""
    rng, rows = np.random.default_rng(0), []
    for seed in range(seeds):
        for model in names:
            end = 1.5 - LADDER[model] if ends is None else ends[model]
            for step, nats in enumerate(np.linspace(1.4, end, 10), 1):
                about = (seed, model, 100 * step, nats + rng.normal(0, 0.005))
                for kind in NAMES:
                    for name in NAMES[kind]:
                        rows.append((*about, kind, name, right(nats, kind, model) + rng.normal(0, spread)))
    return pd.DataFrame(rows, columns=["seed", "model", "tokens", "nats", "kind", "name", "right"])


def with_hinge(nats, kind, model):
    return 0.5 + 0.9 * max(0.0, {"fact": 1.2, "reasoning": 0.9, "consistency": 0.9}[kind] - nats)


def on_a_line(nats, kind, model):
    return 1.05 - 0.4 * nats


def tables(seeds=5, right=0.9, snapshots=None, names=tuple(LADDER)):
    """What a ladder measures in which every larger model is better, and one sentence answers nothing."""
    rng = np.random.default_rng(0)
    rows = pd.MultiIndex.from_product([range(seeds), names, range(60)], names=["seed", "model", "item"])
    measured = rows.to_frame(index=False)
    jitter = 0.01 * rng.normal(size=seeds * len(names))
    quality = measured["model"].map(LADDER) + measured.groupby(["seed", "model"]).ngroup().map(
        dict(enumerate(jitter))
    )
    measured = measured.assign(
        grammar=np.minimum(1, quality + 0.3), consistency=quality, coherent=quality, new=0.5, copied=0.3,
        copied_ending=0.3, beginning="", ending="", completion="",
    )  # fmt: skip
    kinds = pd.DataFrame({"kind": ["fact", "reasoning", "consistency", "lure"]})
    answers = measured[["seed", "model", "item"]].merge(kinds, "cross").assign(name="q")
    shares = answers["model"].map(LADDER | {"0.5M": right})
    frames = [
        answers.assign(read=read, right=rng.random(len(answers)) < share)
        for read, share in ((grading.WHOLE, shares), (grading.CUT, 0.5))
    ]
    losses = measured[["seed", "model", "item"]].assign(nats_per_token=1.5 - quality)
    drafts = measured[measured["item"] < 10].assign(tokens=500, grammar=0.8, consistency=0.6)
    snapshots = course(with_hinge, seeds, names) if snapshots is None else snapshots
    return results.Tables(measured, pd.concat(frames), losses, snapshots, drafts, 0.5)


def made(measured, **about):
    return {claim.name: claim for claim in ability_claims.claims(measured, twin="0.1M", **about)}


@pytest.mark.parametrize(
    ("seeds", "over", "verdict"),
    [
        (1, "stories", "seen in one training"),
        (3, "stories", "seen in 3 trainings"),
        (5, "trainings", "reproduced"),
    ],
)
def test_a_claim_counts_trainings_where_there_are_five_and_says_how_many_else(seeds, over, verdict):
    claims = made(tables(seeds))
    assert [name for name, claim in claims.items() if claim.headline] == ["size-brings-coherence"]
    for name in ("size-lowers-loss", "size-brings-coherence", "grammar-is-learnt-first", "noise-raises-loss"):
        assert (claims[name].over, claims[name].trainings) == (over, seeds)
    assert claims["size-brings-coherence"].verdict_text == verdict
    assert claims["size-brings-coherence"].effect == pytest.approx(0.4, abs=0.02)
    assert claims["grammar-is-learnt-first"].effect == pytest.approx(0.8 - 0.2)
    assert all(claim.view and (claim.delta is None or claim.delta_reason) for claim in claims.values())
    assert len(claims) == 17


def test_questions_that_the_largest_model_guesses_decide_nothing_whatever_others_it_answers():
    low = tables()
    asked = low.answers["kind"].eq("reasoning") & low.answers["model"].eq("0.5M")
    low.answers.loc[asked, "right"] = low.answers.loc[asked, "item"] % 2 == 0
    claims = made(low)
    untestable = {name for name, claim in claims.items() if claim.verdict == "not testable here"}
    assert untestable == {
        "size-brings-reasoning", "answers-need-the-story", "reasoning-has-a-threshold",
        "reasoning-needs-low-loss",
    }  # fmt: skip
    assert "right answers of the 0.5M model to reasoning questions" in str(
        claims["size-brings-reasoning"].failed_gates[0]
    )
    assert claims["depth-tracks-context"].verdict == "reproduced"


def test_a_placebo_makes_only_claims_that_compare_models():
    names = made(tables(1), placebo=True)
    alone = {
        "not-copies", "grammar-is-learnt-first", "answers-need-the-story", "reasoning-has-a-threshold",
        "reasoning-needs-low-loss",
    }  # fmt: skip
    assert set(made(tables(1))) - set(names) == alone


def test_a_given_model_is_compared_with_nothing_and_counts_no_trainings():
    given = tables(1, names=("0.5M",), snapshots=course(with_hinge, 0))
    given = replace(given, drafts=given.drafts.head(0))
    (claim,) = ability_claims.claims(given, trained=False)
    assert (claim.name, claim.over, claim.trainings) == ("not-copies", "stories", None)


def test_one_training_alone_has_no_threshold_to_be_judged():
    names = {claim.name for claim in ability_claims.claims(tables(1, names=("0.5M",)))}
    assert "reasoning-has-a-threshold" not in names
    with pytest.raises(ValueError, match="no other"):
        change_point.gain(change_point.by_snapshot(course(with_hinge, 1, ("0.5M",)), "reasoning"))


# ------------------------------------------------------------------------------- the change-point
def test_a_hinge_is_found_where_there_is_one_and_not_on_a_line():
    points = change_point.by_snapshot(course(with_hinge), "reasoning")
    assert change_point.change_point(points).value == pytest.approx(0.9, abs=0.05)
    assert change_point.gain(points).estimate.low > 0.005
    straight = tables(snapshots=course(on_a_line))
    claim = made(straight)["reasoning-has-a-threshold"]
    assert claim.verdict in ("no effect", "opposite", "not testable here")
    hinged = made(tables())
    assert hinged["reasoning-has-a-threshold"].verdict == "reproduced"
    assert hinged["reasoning-needs-low-loss"].effect == pytest.approx(0.3, abs=0.06)
    together = tables(snapshots=course(lambda nats, kind, model: with_hinge(nats, "reasoning", model)))
    assert made(together)["reasoning-needs-low-loss"].verdict != "reproduced"


def test_a_rise_that_runs_the_other_way_is_no_hinge():
    nats = np.linspace(0.5, 1.5, 30)
    point, slope = change_point.fit_hinge(nats, 0.5 - 0.2 * (1.5 - nats))
    assert slope == 0
    assert np.allclose(change_point.hinge(nats, point, slope), change_point.CHANCE)


@pytest.mark.parametrize(("seeds", "over", "n"), [(1, "models", 5), (3, "trainings", 3), (5, "trainings", 5)])
def test_a_hinge_is_judged_on_seeds_that_it_has_not_seen_or_on_models_where_there_is_one(seeds, over, n):
    gain = change_point.gain(change_point.by_snapshot(course(with_hinge, seeds), "reasoning"))
    assert (gain.over, gain.estimate.n, gain.trainings) == (over, n, seeds)


# ------------------------------------------------------------------------------- shapes and noise
def test_at_equal_loss_only_what_the_loss_does_not_explain_is_left():
    ends = {"0.3M": 0.6, "wide": 0.8}
    same = course(on_a_line, names=("0.3M", "wide"), ends=ends, spread=0.002)
    assert ability_claims.at_equal_loss(same, "0.3M", "wide", "fact").estimate.value == pytest.approx(
        0, abs=0.01
    )
    better = course(lambda nats, kind, model: on_a_line(nats, kind, model) + 0.1 * (model == "0.3M"),
                    names=("0.3M", "wide"), ends=ends, spread=0.002)  # fmt: skip
    found = ability_claims.at_equal_loss(better, "0.3M", "wide", "fact")
    assert (found.estimate.value, found.over) == (pytest.approx(0.1, abs=0.01), "trainings")
    reverse = ability_claims.at_equal_loss(better, "wide", "0.3M", "fact")
    assert reverse.estimate.value == pytest.approx(-found.estimate.value)


def test_noise_is_compared_with_the_twin_that_has_read_as_many_stories():
    ends = {"0.1M": 0.8, "noise": 1.1}
    beyond = ability_claims.beyond_room(course(on_a_line, names=("0.1M", "noise"), ends=ends), "0.1M")
    halfway = np.interp(500, range(100, 1001, 100), np.linspace(1.4, 0.8, 10))
    assert beyond.estimate.value == pytest.approx(1.1 - halfway, abs=0.01)
    assert len(made(tables(names=("0.1M", "0.3M", "0.5M", "wide")))) == 14


# ------------------------------------------------------------------------------- tables and views
def test_intervals_are_over_trainings_where_there_are_five():
    few, many = (results.summary(tables(seeds).measured, ["consistency"]) for seeds in (4, 5))
    assert (set(few["n"]), set(many["n"])) == ({60}, {5})
    few, many = (results.accuracies(tables(seeds).answers) for seeds in (1, 5))
    assert (set(few["n"]), set(many["n"])) == ({120}, {5})


def test_each_question_says_whether_the_largest_model_knows_enough():
    both = tables(1)
    guess = both.answers.assign(name="other", right=both.answers["item"] % 2 == 0)
    table = results.questions(pd.concat([both.answers, guess]), both.ladder)
    assert list(table.columns) == ["kind", "question", "0.1M", "0.5M", "one sentence", "testable"]
    assert set(table.loc[table["question"] == "q", "testable"]) == {"yes"}
    assert set(table.loc[table["question"] == "other", "testable"]) == {"no: the largest guesses"}
    assert table["one sentence"].between(0.3, 0.7).all()
    assert results.questions(both.answers.head(0), both.ladder).empty


@pytest.mark.parametrize("seeds", [1, 5])
def test_figures_are_drawn_of_one_seed_and_of_five(seeds):
    given = tables(seeds)
    along = results.along(given.measured, given.drafts, 1000)
    assert sorted(along["tokens"].unique()) == [500, 1000]
    assert along.groupby(["model", "tokens"])["item"].nunique().eq(10).all()
    assert "new 4-grams" in str(course_views.grades_chart(along).bundle()[0])
    assert "hinge" in str(course_views.threshold_chart(given.course).bundle()[0])
    assert "lure" in str(views.accuracy_chart(given.answers).bundle()[0])
