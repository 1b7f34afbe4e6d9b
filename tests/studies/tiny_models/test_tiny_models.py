"""The ladder study: what is measured, and claims that follow from the numbers given."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from workbench.corpora.stories import write_stories
from workbench.engine import models
from workbench.engine.sampling.transformers_sampler import TransformersSampler
from workbench.errors import UserError
from workbench.studies.tiny_models import grading, ladder, results, views

torch.set_num_threads(1)
STORIES = [story.text for story in write_stories(120, seed=0)]


@pytest.fixture(scope="module")
def fitted():
    tokenizer = models.train_tokenizer(STORIES, 512)
    config = models.config("tiny:0.1M", vocab_size=len(tokenizer))
    return {name: (models.build(config, seed), tokenizer) for seed, name in enumerate(("small", "large"))}


def graded(values):
    """A table of grades from {model: (grammar by story, consistency by story)}."""
    frames = [
        pd.DataFrame({"item": range(len(g)), "model": model, "grammar": g, "consistency": c})
        for model, (g, c) in values.items()
    ]
    return pd.concat(frames, ignore_index=True)


def test_beginnings_are_cut_in_mid_sentence_and_nothing_is_lost():
    begun = grading.beginnings(STORIES, 40, 0, {})
    assert (begun["beginning"] + begun["ending"]).tolist() == STORIES[:40]
    shares = begun["beginning"].str.len() / (begun["beginning"] + begun["ending"]).str.len()
    assert 0.3 < shares.min() < shares.max() < 0.5
    assert begun["beginning"].str.endswith(".").mean() < 0.5


def test_training_and_held_out_stories_are_apart():
    training, held_out = ladder.split(STORIES, seed=0)
    assert not set(training) & set(held_out)
    assert sorted(training + held_out) == sorted(STORIES)


def test_a_true_ending_has_the_best_grades_and_a_copied_one_is_found_out():
    begun = grading.beginnings(STORIES, 30, 0, {})
    true = grading.measure(begun.assign(model="true", completion=begun["ending"]), STORIES[30:], exact=True)
    assert (true["grammar"] == 1).all()
    assert (true["consistency"] == 1).all()
    assert (true["like_ending"] == 1).all()
    copied = begun.assign(model="copy", completion=[" " + story for story in STORIES[30:60]])
    found = grading.measure(copied, STORIES[30:], exact=True)
    assert found["copied"].tolist() == pytest.approx([1.0] * 30)
    assert (found["new"] == 0).all()
    longest = grading.verbatim(copied, STORIES[30:], n=3)
    assert longest["words"].tolist() == sorted((len(s.split()) for s in STORIES[30:60]), reverse=True)[:3]
    assert found["keeps"].mean() < 0.5
    swapped = begun.assign(model="swap", completion=begun["ending"].to_numpy()[::-1])
    assert grading.measure(swapped, STORIES[30:], exact=True)["consistency"].mean() < 0.85


def test_without_the_exact_grader_the_other_measures_remain():
    begun = grading.beginnings(STORIES, 5, 0, {})
    found = grading.measure(begun.assign(model="m", completion=begun["ending"]), STORIES, exact=False)
    assert found["grammar"].isna().all()
    assert found["keeps"].notna().all()


def test_beginnings_that_fill_the_context_are_passed_over_and_short_texts_are_no_trouble(fitted):
    long = " ".join(STORIES[:4])
    begun = grading.beginnings([long, "One two.", "word", "", *STORIES[:3]], 3, 0, fitted)
    assert begun["item"].tolist() == [1, 4, 5]
    for seed in range(20):
        grading.beginnings(["a b c d."], 1, seed, {})
    with pytest.raises(UserError, match="context"):
        grading.beginnings([long], 1, 0, fitted)


def test_copies_are_compared_over_equally_many_words():
    begun = pd.DataFrame({"item": [0], "beginning": ["Once"], "ending": [" a b c d e f g h."]})
    found = grading.measure(begun.assign(model="m", completion=" a b c."), ["a b c d x y z"], exact=False)
    assert found["copied"].item() == found["copied_ending"].item() == 1


def test_completions_go_on_from_the_same_beginnings_for_every_model(fitted):
    samplers = {name: TransformersSampler(*pair) for name, pair in fitted.items()}
    begun = grading.beginnings(STORIES, 4, 0, {})
    both = grading.complete(samplers, list(samplers), begun, seed=0, max_tokens=8)
    assert both.groupby("model")["beginning"].apply(list).tolist() == [begun["beginning"].tolist()] * 2
    one = grading.complete(samplers, ["large"], begun, seed=0, max_tokens=8)
    assert one["completion"].tolist() == both[both["model"] == "large"]["completion"].tolist()


def test_untrained_models_guess_on_probes(fitted):
    answers = grading.ask_probes({n: TransformersSampler(*p) for n, p in fitted.items()}, n=40, seed=0)
    table = results.accuracies(answers)
    assert set(table["kind"]) == {"fact", "reasoning", "consistency"}
    assert (table["low"] < 0.75).all()
    assert len(answers) == 2 * 8 * 40


def test_loss_columns_average_to_the_loss_per_token(fitted):
    from workbench.engine.training.loss import loss

    table = ladder.held_out_losses(fitted, STORIES[:10])
    for name, (model, tokenizer) in fitted.items():
        part, direct = table[table["model"] == name], loss(model, tokenizer, STORIES[:10])
        assert part["nats_per_token"].mean() == pytest.approx(direct.nats_per_token)
        assert part["bits_per_byte"].mean() == pytest.approx(direct.bits_per_byte)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_ladder_is_trained_once_and_then_loaded_side_by_side_or_not(tmp_path, threads):
    rungs = (ladder.Rung("a", "tiny:0.1M"), ladder.Rung("b", "tiny:0.1M", n_layers=1))
    sizes = ladder.Sizes(
        rungs, tokens=2048, vocab_size=512, context=128, batch_size=4, beginnings=2, probes=2
    )
    tokenizer, logged = models.train_tokenizer(STORIES, 512), []
    arguments = (tokenizer, STORIES[:100], STORIES[100:], sizes, tmp_path)
    settings = {"architecture": "llama", "device": "cpu", "seeds": [0], "log": lambda **row: logged.append(row)}
    torch.set_num_threads(threads)
    try:
        first = ladder.fit_ladder(*arguments, **settings)[0]
        assert {row["model"] for row in logged} == {"a", "b"}
        assert max(row["tokens"] for row in logged) == 2048
        count = len(logged)
        second = ladder.fit_ladder(*arguments, **settings)[0]
    finally:
        torch.set_num_threads(1)
    assert logged[count:] == []
    assert [model.config.num_hidden_layers for model, _ in first.values()] == [3, 1]
    for (one, _), (other, _) in zip(first.values(), second.values(), strict=True):
        for left, right in zip(one.parameters(), other.parameters(), strict=True):
            assert torch.equal(left, right)


def test_of_a_step_logged_twice_the_last_line_counts(tmp_path):
    lines = [
        '{"model":"a","step":1,"tokens":8,"held_out_nats":3.0}',
        '{"model":"a","step":1,"tokens":8,"held_out_nats":2.0}',
    ]
    (tmp_path / "metrics.jsonl").write_text("\n".join(lines))
    assert ladder.curves(tmp_path / "metrics.jsonl")["held_out_nats"].tolist() == [2.0]
    assert ladder.curves(tmp_path / "nothing.jsonl").empty


def test_grammar_first_is_positive_only_when_grammar_is_finished_first():
    rng = np.random.default_rng(0)

    def near(mean):
        return np.clip(rng.normal(mean, 0.05, 80), 0, 1)

    early = graded({"s": (near(0.2), near(0.2)), "m": (near(0.9), near(0.4)), "l": (near(0.95), near(0.9))})
    assert results.later_gain(early, "s", "m", "l").low > 0
    together = graded({"s": (near(0.2), near(0.2)), "m": (near(0.6), near(0.6)), "l": (near(0.9), near(0.9))})
    found = results.later_gain(together, "s", "m", "l")
    assert found.low < 0 < found.high
    late = graded({"s": (near(0.2), near(0.2)), "m": (near(0.4), near(0.9)), "l": (near(0.9), near(0.95))})
    assert results.later_gain(late, "s", "m", "l").high < 0


def test_a_single_model_makes_only_the_claims_it_can():
    begun = grading.beginnings(STORIES, 10, 0, {})
    measured = grading.measure(begun.assign(model="given", completion=begun["ending"]), STORIES, exact=True)
    answers = pd.DataFrame(columns=["model", "item", "kind", "name", "right"])
    losses = pd.DataFrame({"model": "given", "item": range(10), "nats_per_token": 1.0, "bits_per_byte": 1.0})
    assert [claim.name for claim in results.claims(measured, answers, losses)] == ["not-copies"]


def test_grades_of_stories_and_of_questions_stand_side_by_side():
    measured = pd.DataFrame(
        {"model": ["a", "a", "b"], "grammar": [1, 0.5, np.nan], "consistency": [1.0, 1, 0]}
    )
    answers = pd.DataFrame({"model": "a", "kind": ["consistency", "consistency", "fact"], "right": [1, 0, 1]})
    assert results.grades(measured, answers) == [
        {"model": "a", "grammar": 0.75, "consistency": 1, "consistency questions": 0.5, "fact questions": 1},
        {"model": "b", "consistency": 0},
    ]


def asked(**given):
    return SimpleNamespace(
        **{"profile": "quick", "n_tokens": None, "model": "ladder", "width": None, "depth": None} | given
    )


def test_a_preset_as_model_is_a_ladder_of_one():
    chosen = ladder.sizes(asked(n_tokens=9, model="tiny:1M"))
    assert [(rung.name, rung.preset) for rung in chosen.rungs] == [("1M", "tiny:1M")]
    assert chosen.tokens == 9


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({"width": 64}, "4x64"),
        ({"depth": 2}, "2x128"),
        ({"depth": 2, "width": 64}, "2x64"),
        ({"depth": 2, "model": "tiny:3M"}, "2x192"),
    ],
)
def test_a_width_or_depth_is_one_model_of_that_shape(given, name):
    (rung,) = ladder.sizes(asked(**given)).rungs
    config = models.config(rung.preset, 512, n_layers=rung.n_layers, hidden_size=rung.hidden_size)
    assert rung.name == name == f"{config.num_hidden_layers}x{config.hidden_size}"


def test_a_width_of_a_given_model_or_of_nothing_is_refused():
    with pytest.raises(UserError, match="leave them out with model=some/folder"):
        ladder.sizes(asked(width=64, model="some/folder"))
    with pytest.raises(UserError, match="hidden_size=0"):
        models.config(hidden_size=0)
    with pytest.raises(UserError, match="n_layers=-1"):
        models.config(n_layers=-1)


def test_deep_and_wide_have_equally_many_parameters_outside_the_embedding():
    for sizes in ladder.SIZES.values():
        counts = []
        for rung in (r for r in sizes.rungs if r.name in ladder.PAIR):
            config = models.config(rung.preset, 512, n_layers=rung.n_layers, hidden_size=rung.hidden_size)
            with torch.device("meta"):
                counts.append(models.count_parameters(models.build(config, 0)).non_embedding)
        deep, wide = counts
        assert 0.85 < deep / wide < 1.15


def test_hostile_completions_are_inert_and_still_graded():
    begun = pd.DataFrame({"item": [0], "beginning": ["Once"], "ending": [" upon."]})
    completed = begun.assign(
        model="m", completion="</script><script>alert(1)</script><img src=x onerror=alert(1)>."
    )
    bundle, _ = views.samples(completed, exact=True).bundle()
    assert "<script>" not in bundle["text/html"]
    assert "<img" not in bundle["text/html"]
