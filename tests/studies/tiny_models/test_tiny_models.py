"""The ladder study: what is measured, and claims that follow from the numbers given."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from workbench.corpora.stories import write_stories
from workbench.engine import loading, models
from workbench.engine.sampling.transformers_sampler import TransformersSampler
from workbench.errors import UserError
from workbench.studies.tiny_models import ability_claims, given, grading, ladder, losses, results, views

torch.set_num_threads(1)
STORIES = [story.text for story in write_stories(120, seed=0)]


@pytest.fixture(scope="module")
def tokenizer():
    return models.train_tokenizer(STORIES, 512)


@pytest.fixture(scope="module")
def fitted(tokenizer):
    config = models.config("tiny:0.1M", vocab_size=len(tokenizer))
    return {name: (models.build(config, seed), tokenizer) for seed, name in enumerate(("small", "large"))}


def graded(values, seeds=1, spread=0.0):
    """A table of grades from {model: (grammar by story, consistency by story)}; they vary by `spread`."""
    rng = np.random.default_rng(1)
    frames = [
        pd.DataFrame({"seed": seed, "item": range(len(g)), "model": model}).assign(
            grammar=g + rng.normal(0, spread), consistency=c + rng.normal(0, spread)
        )
        for seed in range(seeds)
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


def test_what_is_no_sentence_cannot_be_coherent_and_other_endings_heed_no_beginning():
    beginning = "Once there was a happy boy named Tom. Tom had a ball."
    begun = pd.DataFrame({"item": [0], "beginning": [beginning], "ending": [" Tom was happy."], "model": "m"})
    told = " Tom played with the ball all day. Tom ball the of. Tom played with the kite in the grass."
    (row,) = grading.measure(begun.assign(completion=told), STORIES[:20], exact=True).to_dict("records")
    assert (row["grammar"], row["consistency"], row["coherent"]) == pytest.approx((2 / 3, 1 / 2, 1 / 3))
    assert 0.2 < grading.without_reading(grading.beginnings(STORIES, 40, 0, {})) < 0.85


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
    samplers = {which: TransformersSampler(*pair) for which, pair in ladder.flat({3: fitted}).items()}
    begun = grading.beginnings(STORIES, 4, 0, {})
    both = grading.complete(samplers, list(samplers), begun, seed=0, max_tokens=8)
    assert set(both["seed"]) == {3}
    assert both.groupby("model")["beginning"].apply(list).tolist() == [begun["beginning"].tolist()] * 2
    one = grading.complete(samplers, [(3, "large")], begun, seed=0, max_tokens=8)
    assert one["completion"].tolist() == both[both["model"] == "large"]["completion"].tolist()


def test_untrained_models_guess_on_probes(fitted):
    samplers = {which: TransformersSampler(*pair) for which, pair in ladder.flat({0: fitted}).items()}
    answers = grading.ask_probes(samplers, n=10, seed=0)
    assert set(answers["read"]) == {grading.WHOLE, grading.CUT}
    assert len(answers) == 2 * 2 * 14 * 10
    table = results.accuracies(answers[answers["kind"] != "lure"])
    assert set(table["kind"]) == {"fact", "reasoning", "consistency"}
    assert (table["low"] < 0.75).all()
    nobody = grading.ask_probes({}, n=10, seed=0)
    assert list(nobody.columns) == list(answers.columns)


def test_loss_columns_average_to_the_loss_per_token(fitted):
    from workbench.engine.training.loss import loss

    table = losses.held_out_losses({0: fitted}, STORIES[:10])
    assert set(table["seed"]) == {0}
    for name, (model, tokenizer) in fitted.items():
        part, direct = table[table["model"] == name], loss(model, tokenizer, STORIES[:10])
        assert part["nats_per_token"].mean() == pytest.approx(direct.nats_per_token)
        assert part["bits_per_byte"].mean() == pytest.approx(direct.bits_per_byte)


RUNGS = (ladder.Rung("a", "tiny:0.1M"), ladder.Rung("b", "tiny:0.1M", n_layers=1))
SIZES = ladder.Sizes(
    RUNGS,
    tokens=2048,
    vocab_size=512,
    context=128,
    batch_size=4,
    beginnings=2,
    probes=2,
    seeds=2,
    checkpoints=4,
)


def fit(tokenizer, folder, seeds, log=lambda **row: None, **more):
    arguments = (tokenizer, STORIES[:100], STORIES[100:], SIZES, folder)
    return ladder.fit_ladder(*arguments, architecture="llama", device="cpu", seeds=seeds, log=log, **more)


def weights(model):
    return torch.cat([value.flatten() for value in model.parameters()])


@pytest.mark.parametrize("threads", [1, 2])
def test_a_ladder_is_trained_once_and_then_loaded_side_by_side_or_not(tmp_path, tokenizer, threads):
    logged = []
    torch.set_num_threads(threads)
    try:
        first = fit(tokenizer, tmp_path, [0], lambda **row: logged.append(row))[0]
        assert {(row["model"], row["seed"]) for row in logged} == {("a", 0), ("b", 0)}
        assert max(row["tokens"] for row in logged) == 2048
        count = len(logged)
        second = fit(tokenizer, tmp_path, [0], lambda **row: logged.append(row))[0]
    finally:
        torch.set_num_threads(1)
    assert logged[count:] == []
    assert [model.config.num_hidden_layers for model, _ in first.values()] == [3, 1]
    for (one, _), (other, _) in zip(first.values(), second.values(), strict=True):
        assert torch.equal(weights(one), weights(other))


def test_each_seed_is_a_training_of_its_own_that_stands_where_it_is_looked_for(tmp_path, tokenizer):
    fitted = fit(tokenizer, tmp_path, [4, 5])
    assert list(fitted) == [4, 5]
    assert not torch.equal(weights(fitted[4]["b"][0]), weights(fitted[5]["b"][0]))
    for seed in (4, 5):
        folder = ladder.trained(tmp_path, "b", seed)
        assert torch.equal(weights(loading.load(folder, "cpu")[0]), weights(fitted[seed]["b"][0]))
    assert ladder.trained(tmp_path, "tiny:b") == ladder.trained(tmp_path, "b", 4)
    assert ladder.largest(ladder.SIZES["laptop"].rungs) == "0.5M"
    assert [tokens for tokens, _ in ladder.checkpoints(tmp_path, "b", 4)] == [0, 512, 1024, 1536, 2048]


def test_in_a_placebo_run_every_model_has_the_shape_of_the_smallest_and_other_weights(tmp_path, tokenizer):
    (of_seed,) = fit(tokenizer, tmp_path, [0], placebo=True).values()
    assert [model.config.num_hidden_layers for model, _ in of_seed.values()] == [3, 3]
    assert not torch.equal(*(weights(model) for model, _ in of_seed.values()))


def test_of_a_step_logged_twice_the_last_line_counts(tmp_path):
    lines = [
        '{"model":"a","seed":0,"step":1,"tokens":8,"held_out_nats":3.0}',
        '{"model":"a","seed":0,"step":1,"tokens":8,"held_out_nats":2.0}',
        '{"model":"a","seed":1,"step":1,"tokens":8,"held_out_nats":4.0}',
    ]
    (tmp_path / "metrics.jsonl").write_text("\n".join(lines))
    assert losses.curves(tmp_path / "metrics.jsonl")["held_out_nats"].tolist() == [2.0, 4.0]
    assert losses.curves(tmp_path / "nothing.jsonl").empty


@pytest.mark.parametrize(("seeds", "over"), [(1, "stories"), (5, "trainings")])
def test_grammar_first_is_positive_only_when_grammar_is_finished_first(seeds, over):
    rng = np.random.default_rng(0)

    def near(mean):
        return np.clip(rng.normal(mean, 0.05, 80), 0, 1)

    def gain(middle, large):
        grades = {"s": (near(0.2), near(0.2)), "m": tuple(map(near, middle)), "l": tuple(map(near, large))}
        found = results.later_gain(graded(grades, seeds, spread=0.01 * (seeds > 1)), "s", "m", "l")
        assert (found.over, found.trainings) == (over, seeds)
        return found.estimate

    assert gain((0.9, 0.4), (0.95, 0.9)).low > 0
    assert gain((0.4, 0.9), (0.9, 0.95)).high < 0
    together = gain((0.6, 0.6), (0.9, 0.9))
    assert abs(together.value) < 0.1
    if seeds == 1:
        assert together.low < 0 < together.high


def test_grades_of_stories_and_of_questions_stand_side_by_side():
    measured = pd.DataFrame(
        {"model": ["a", "a", "b"], "grammar": [1, 0.5, np.nan], "consistency": [1.0, 1, 0]}
    )
    kinds = ["consistency", "consistency", "fact"]
    answers = pd.DataFrame({"model": "a", "read": grading.WHOLE, "kind": kinds, "right": [1, 0, 1]})
    answers = pd.concat([answers, answers.assign(read=grading.CUT, right=0)])
    assert results.grades(measured, answers) == [
        {"model": "a", "grammar": 0.75, "consistency": 1, "consistency questions": 0.5, "fact questions": 1},
        {"model": "b", "consistency": 0},
    ]


def asked(**given):
    usual = dict.fromkeys(("n_tokens", "width", "depth", "seeds"))
    return SimpleNamespace(**usual | {"profile": "quick", "model": "ladder", "placebo": False} | given)


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


def test_a_width_or_depth_of_nothing_is_refused():
    with pytest.raises(UserError, match="hidden_size=0"):
        models.config(hidden_size=0)
    with pytest.raises(UserError, match="n_layers=-1"):
        models.config(n_layers=-1)


def test_seeds_are_the_profiles_or_those_given_and_no_matter_of_a_given_model():
    assert ladder.sizes(asked()).seeds == 1
    assert ladder.sizes(asked(profile="laptop")).seeds >= 5
    assert ladder.sizes(asked(seeds=3)).seeds == 3
    assert ladder.sizes(asked(profile="laptop", model="some/folder")).seeds == 1


def test_a_given_model_has_sizes_of_its_own():
    assert ladder.sizes(asked(profile="real-laptop", model="some/folder")).beside


def test_a_given_model_goes_on_and_is_asked_to_beside_true_endings_and_the_starter(fitted, tmp_path):
    sizes = replace(ladder.SIZES["real-laptop"], probes=2)
    loading.save(*fitted["small"], tmp_path / "mine")
    fitted = given.load(SimpleNamespace(model=f"{tmp_path}/mine", profile="real-laptop", device="cpu"))
    (name,) = fitted
    assert name == "mine"
    samplers = {(0, name): TransformersSampler(*fitted[name])}
    assert list(given.writers(samplers, sizes)) == [(0, name)]  # it does not converse
    samplers[0, name].chat = True
    writers = given.writers(samplers, sizes)
    assert list(writers) == [(0, name), (0, name + given.ASKED)]
    begun = grading.beginnings(STORIES[:20], 3, 0, fitted)
    completed = grading.complete(writers, list(writers), begun, 0, 20)
    one, other = (part["completion"].tolist() for _, part in completed.groupby("model"))
    assert one != other  # the request was read
    measured = grading.measure(completed, STORIES, exact=False)
    true = given.true_endings(measured, STORIES)
    assert (true["like_ending"] == 1).all()
    assert len(true) == 3
    answers = grading.ask_probes(given.answering(samplers, sizes, "cpu"), 2, 0)
    assert set(answers["model"]) == {name, grading.STARTER}
    losses_of = losses.held_out_losses({0: fitted}, STORIES[:4])
    tables = results.Tables(measured, answers, losses_of, completed.head(0), completed.head(0), float("nan"))
    made = ability_claims.claims(tables, trained=False)
    assert [claim.name for claim in made] == [
        "not-copies", "answers-need-the-story", "breadth-brings-facts", "size-brings-reasoning"
    ]  # fmt: skip
    assert all(claim.trainings is None for claim in made)
    assert views.beside_endings(measured, true).record["title"] == "Stories beside true endings"


def test_a_placebo_of_one_model_is_refused(tmp_path, tokenizer):
    one = replace(SIZES, rungs=RUNGS[:1])
    with pytest.raises(UserError, match="placebo=true needs an arm beside the control, a"):
        ladder.fit_ladder(
            tokenizer, STORIES, STORIES, one, tmp_path,
            architecture="llama", device="cpu", seeds=[0], placebo=True, log=print,
        )  # fmt: skip


def test_deep_and_wide_have_equally_many_parameters_in_total():
    for sizes in (ladder.SIZES["laptop"], ladder.SIZES["paper"]):
        counts, names = {}, [rung.name for rung in sizes.rungs]
        for rung in (r for r in sizes.rungs if r.name in ladder.pair(names)):
            shape = {"n_layers": rung.n_layers, "hidden_size": rung.hidden_size}
            config = models.config(rung.preset, sizes.vocab_size, **shape)
            with torch.device("meta"):
                counts[rung.name] = models.count_parameters(models.build(config, 0)).total
        deep, wide = counts.values()
        assert 0.85 < deep / wide < 1.15


def test_the_noisy_model_has_a_twin_that_reads_stories_alone():
    for profile, twin in (("quick", None), ("laptop", "0.1M"), ("paper", "8M")):
        assert ladder.clean_twin(ladder.SIZES[profile].rungs) == twin


def test_facts_of_the_web_are_half_of_what_the_noisy_model_reads(tokenizer):
    pages = ladder.facts_of_the_web(200, seed=0)
    assert pages == ladder.facts_of_the_web(200, seed=0) != ladder.facts_of_the_web(200, seed=1)
    lengths = [sum(map(len, tokenizer(texts)["input_ids"])) / len(texts) for texts in (pages, STORIES[:200])]
    assert 0.8 < lengths[0] / lengths[1] < 1.25


def test_hostile_completions_are_inert_and_still_graded():
    begun = pd.DataFrame({"item": [0], "beginning": ["Once"], "ending": [" upon."]})
    completed = begun.assign(
        seed=0, model="m", completion="</script><script>alert(1)</script><img src=x onerror=alert(1)>."
    )
    bundle, _ = views.samples(completed, exact=True).bundle()
    assert "<script>" not in bundle["text/html"]
    assert "<img" not in bundle["text/html"]
