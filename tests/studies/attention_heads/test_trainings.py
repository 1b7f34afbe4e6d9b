"""03_attention_heads: several trained models, and what is claimed of them."""

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from workbench.corpora.labelled_tokens import guess_labels, label_tokens, simulated_stories
from workbench.engine import loading, models
from workbench.engine.interpretability.capture import capture
from workbench.studies.attention_heads import (
    data,
    experiment,
    groups,
    induction,
    results,
    training_views,
    trainings,
)
from workbench.studies.attention_heads.ablation import ENTITIES, OTHERS, WHOLE
from workbench.studies.attention_heads.experiment import SCALED, UNSCALED
from workbench.studies.attention_heads.trainings import CHOSEN_ON, CONFIRMED_ON, LADDER
from workbench.studies.tiny_models import ladder

torch.set_num_threads(1)

LABELLED = simulated_stories(32, seed=0)
SIZES = replace(data.SIZES["quick"], each=16, scored=6, beginnings=4, reply=8, groups=1)


@pytest.fixture(scope="module")
def fitted():
    tokenizer = models.train_tokenizer([text for text, _ in LABELLED], 400)
    config = models.config("tiny:0.1M", len(tokenizer), n_layers=2)
    return {(LADDER, seed): (models.build(config, seed), tokenizer) for seed in range(5)}


@pytest.fixture(scope="module")
def each(fitted):
    return trainings.Trainings(fitted, LABELLED, SIZES, exact=True, seed=0)


@pytest.fixture(scope="module")
def measured(each, fitted):
    return each.measure(list(fitted))


# ------------------------------------------------------------------------------- one layer
def test_the_two_arms_differ_in_the_scaling_of_scores_alone():
    plain, scaled = (models.build(experiment.config(32, 300, scaled=scaled), 0) for scaled in (False, True))
    for a, b in zip(plain.parameters(), scaled.parameters(), strict=True):
        assert torch.equal(a, b)
    ids = torch.arange(1, 21)[None]
    expected = capture(scaled, ids, ["pattern.0"])[0]["pattern.0"]
    attention = plain.transformer.h[0].attn.c_attn
    with torch.no_grad():  # queries divided by the root of a head's width
        attention.weight[:, :32] /= (32 / experiment.N_HEADS) ** 0.5
    torch.testing.assert_close(capture(plain, ids, ["pattern.0"])[0]["pattern.0"], expected)


def test_a_placebo_trains_a_second_scaled_model(tmp_path):
    size = experiment.OneLayer(32, 1_500, 4)
    fitted = experiment.fit_one_layer(tmp_path, size, [3], lambda **_: None, "cpu", placebo=True)
    (plain, _), (scaled, _) = fitted[UNSCALED, 3], fitted[SCALED, 3]
    assert plain.config.scale_attn_weights
    assert scaled.config.scale_attn_weights
    assert not torch.equal(plain.transformer.wte.weight, scaled.transformer.wte.weight)


# ------------------------------------------------------------------------------- trainings
def test_a_training_that_learnt_nothing_is_left_out_and_named(each, fitted):
    table = each.losses(4)
    assert not table["learnt"].any(), "weights are random"
    assert each.which(table) == []
    table.loc[1:, "learnt"] = True
    assert each.which(table) == list(fitted)[1:]
    assert each.which(table, UNSCALED) == []
    assert trainings.left_out(table).startswith("1 of 5 trainings are left out")
    assert "seed 0" in trainings.left_out(table)
    assert trainings.left_out(table[1:]).startswith("All 4 trainings have learnt")
    assert trainings.left_out(table[:0]).startswith("Nothing is trained")


def test_each_training_is_measured_and_loses_heads_by_itself(each, measured, fitted):
    assert set(measured["half"]) == {CHOSEN_ON, CONFIRMED_ON}
    values = measured[measured["measure"] == "distance"].groupby("seed")["value"].mean()
    assert values.nunique() == 5
    lost = each.ablate(list(fitted)[:2], measured)
    assert set(lost["seed"]) == {0, 1}
    assert {WHOLE, groups.SHORTEST, groups.LONGEST} <= set(lost["condition"])
    changed = trainings.changes_by_training(lost).set_index(["condition", "part"])
    assert changed.loc[(groups.SHORTEST, "loss"), "n"] == 2
    whole = lost[lost["condition"] == WHOLE].groupby(["seed", "part"])["value"].mean()
    short = lost[lost["condition"] == groups.SHORTEST].groupby(["seed", "part"])["value"].mean()
    mean = (short - whole).groupby("part").mean()["loss"]
    assert changed.loc[(groups.SHORTEST, "loss"), "value"] == pytest.approx(mean)


def test_the_trainings_of_the_ladder_are_found_by_their_seeds(tmp_path, fitted):
    for (_, seed), pair in list(fitted.items())[:2]:
        loading.save(*pair, ladder.trained(tmp_path, "0.3M", 7 + seed))
    params = SimpleNamespace(profile="laptop", model="tiny:0.3M", n_texts=None, seeds=2, seed=7, device="cpu")
    trained = data.load_trained(tmp_path, params, data.choose_sizes(params))
    assert list(trained) == [7, 8]
    model, _ = data.load_model(params, trained)
    assert torch.equal(model.lm_head.weight, fitted[LADDER, 0][0].lm_head.weight)
    given = SimpleNamespace(**{**vars(params), "model": "some/folder"})
    assert not data.choose_sizes(given).ladder, "of a given model there are no trainings"
    assert data.load_trained(None, given, data.choose_sizes(given)) == {}


def test_what_cannot_be_measured_is_said(fitted):
    model, tokenizer = fitted[LADDER, 0]
    assert data.notes(model, label_tokens(model, tokenizer, LABELLED)) == []
    foreign = guess_labels(["hier ist nichts, was man kennt, und so geht es immer weiter"] * 16)
    few = models.build(models.config("tiny:0.1M", len(tokenizer), n_layers=1), 0)
    words, heads = data.notes(few, label_tokens(few, tokenizer, foreign))
    assert words.startswith("Names and nouns are known in 0% of the texts")
    assert "(2)" in heads


def test_texts_in_another_language_are_measured_without_names_and_nouns(fitted):
    text = "hier geht einer um das haus und sagt nichts, bis es dunkel wird und alle schlafen. " * 2
    foreign = trainings.Trainings(dict(list(fitted.items())[:1]), guess_labels([text + "."] * 32), SIZES,
                                  exact=False, seed=0)  # fmt: skip
    measured = foreign.measure([(LADDER, 0)])
    lost = foreign.ablate([(LADDER, 0)], measured)
    values = measured.groupby("measure")["value"]
    assert values.count()[["name_lift", "noun_lift"]].sum() == 0
    assert values.count()["distance"] > 0
    assert set(lost.dropna(subset=["value"])["part"]) == {"loss", OTHERS}
    claims = {claim.name: claim for claim in results.claims(measured, lost, lost, induction_heads(0.8))}
    assert claims["semantic-head"].verdict == "not testable here"
    assert not math.isnan(claims["distance-head"].effect)
    assert not [name for name in claims if "range" in name]
    chart = training_views.kinds_by_model(measured)
    assert "no semantic one" in chart.record["sentence"]
    training_views.by_training(results.head_effects(measured))


# ------------------------------------------------------------------------------- claims
def heads_table(model, seed, positional=(0.9, 0.8, 0.1, 0.05), lift=(0.9, 1.0, 2.5, 3.0), n=50):
    rows = []
    for head in range(4):
        values = {"distance": 5.0, "positional": positional[head], "name_lift": lift[head], "noun_lift": 0.5}
        values |= {"shuffled_name_lift": 1.0, "shuffled_noun_lift": 1.0}
        values = {name: value + 0.01 * seed for name, value in values.items()}
        rows += [
            (0, head, name, value, value - 0.01, value + 0.01, n if "lift" in name else 50)
            for name, value in values.items()
        ]
    table = pd.DataFrame(rows, columns=["layer", "head", "measure", "value", "low", "high", "n"])
    if not n:
        table.loc[table["measure"].str.contains("lift"), ["value", "low", "high"]] = np.nan
    halves = [table.assign(model=model, seed=seed, half=half) for half in (CHOSEN_ON, CONFIRMED_ON)]
    return pd.concat(halves)


def range_trials(seeds=1, short=0.3, matched=0.6, cost=0.2):
    """Without the short-range heads grammar is at `short`, without groups that cost `cost` at `matched`."""
    rows, random = [], np.random.default_rng(0)
    shares = {groups.SHORTEST: short, groups.MATCHED[groups.SHORTEST]: matched, groups.LONGEST: 0.5}
    shares |= {WHOLE: 0.9, groups.MATCHED[groups.LONGEST]: 0.5}
    for seed in range(seeds):
        for condition, share in shares.items():
            loss = {WHOLE: 1.0, groups.MATCHED[groups.SHORTEST]: 1 + cost}.get(condition, 1.2)
            for item in range(20):
                noise = 0.02 * random.random() + 0.01 * seed * (condition == groups.SHORTEST)
                values = {"grammar": share + noise, "consistency": share + noise, "loss": loss}
                values |= {ENTITIES: loss, OTHERS: loss + (condition == groups.SHORTEST) * (0.3 + noise)}
                rows += [(seed, condition, 0, part, item, value) for part, value in values.items()]
    return pd.DataFrame(rows, columns=["seed", "condition", "group", "part", "item", "value"])


def induction_heads(trained, seeds=1):
    values = {induction.REPEATS: trained, induction.CONTROL: 0.1, induction.THIS_MODEL: 0.2}
    rows = [
        (model, seed, 1, 0, item, value + 0.01 * seed * (model == induction.REPEATS) + item % 4 * 0.001)
        for model, value in values.items()
        for seed in range(seeds)
        for item in range(40)
    ]
    return pd.DataFrame(rows, columns=["model", "seed", "layer", "head", "item", "value"])


def claimed(measured, trials, lost=None, seeds=1, **options):
    made = results.claims(measured, trials, lost, induction_heads(0.8, seeds), **options)
    return {claim.name: claim for claim in made}


def test_claims_about_a_given_model_are_over_texts_and_positive_where_the_paper_is_right():
    claims = claimed(heads_table(induction.THIS_MODEL, 0), range_trials().drop(columns="seed"))
    assert [name for name, claim in claims.items() if claim.headline] == ["semantic-head"]
    assert claims["semantic-head"].effect == pytest.approx(2)
    assert (claims["semantic-head"].over, claims["semantic-head"].trainings) == ("texts", None)
    assert "(layer 0, head 3)" in claims["semantic-head"].says
    assert claims["distance-head"].effect == pytest.approx(0.4)
    assert claims["two-kinds"].effect > 0
    assert claims["range-divides-labour"].effect == pytest.approx(0.3, abs=0.02)
    assert (claims["range-divides-labour"].over, claims["range-divides-labour"].trainings) == (
        "stories",
        None,
    )
    assert claims["range-divides-words"].effect == pytest.approx(0.3, abs=0.03)
    assert claims["long-range-consistency"].verdict == "no effect"
    assert claims["induction-where-trained"].verdict_text == "seen in one training"
    other = heads_table(induction.THIS_MODEL, 0, (0.2, 0.15, 0.1, 0.05), (0.9, 0.8, 0.7, 0.6))
    turned = claimed(other, range_trials(short=0.6, matched=0.3).drop(columns="seed"))
    for name in ("semantic-head", "distance-head", "two-kinds", "range-divides-labour"):
        assert turned[name].effect < 0, name


def test_a_given_model_without_a_control_is_told_by_its_own_induction_heads():
    rng = np.random.default_rng(0)
    rows = [
        (layer, head, item, (0.8 if (layer, head) == (1, 2) else 0.1) + rng.normal(0, 0.02))
        for layer, head in np.ndindex(2, 4)
        for item in range(40)
    ]
    heads = pd.DataFrame(rows, columns=["layer", "head", "item", "value"])
    heads = heads.assign(model=induction.THIS_MODEL, seed=0)
    arguments = (heads_table(induction.THIS_MODEL, 0), range_trials().drop(columns="seed"), None, heads)
    claims = {claim.name: claim for claim in results.claims(*arguments, guessed=True)}
    claim = claims["has-an-induction-head"]
    assert "induction-where-trained" not in claims
    assert "(layer 1, head 2)" in claim.says
    assert claim.effect == pytest.approx(0.3, abs=0.02)
    assert claim.verdict == "reproduced"
    assert claims["semantic-head"].says.endswith(results.GUESSED)
    assert results.GUESSED not in claims["distance-head"].says
    placebo = {claim.name for claim in results.claims(*arguments, placebo=True)}
    assert "has-an-induction-head" not in placebo, "a placebo does not make it equal"


def test_claims_about_five_trainings_are_over_trainings():
    tables = [heads_table(model, seed) for model in (LADDER, UNSCALED, SCALED) for seed in range(5)]
    measured = pd.concat([heads_table(induction.THIS_MODEL, 0), *tables])
    claims = claimed(measured, None, range_trials(5), seeds=5)
    for name in ("semantic-head", "distance-head", "one-layer-semantic", "unscaled-attention"):
        assert (claims[name].over, claims[name].n, claims[name].trainings) == ("trainings", 5, 5), name
    assert claims["range-divides-labour"].n == 5
    assert claims["one-layer-distance"].says.startswith("In models of one layer")
    assert claims["unscaled-attention"].effect == pytest.approx(0, abs=1e-9)
    placebo = claimed(measured, None, range_trials(5), seeds=5, placebo=True)
    assert set(placebo) == {
        "range-divides-labour", "long-range-consistency", "range-divides-words", "unscaled-attention",
        "induction-where-trained",
    }  # fmt: skip


def test_fewer_trainings_are_told_as_what_was_seen_in_them():
    measured = pd.concat(
        [heads_table(induction.THIS_MODEL, 0), *(heads_table(LADDER, seed) for seed in range(3))]
    )
    claims = claimed(measured, None, range_trials(3), seeds=3)
    assert claims["distance-head"].verdict_text == "seen in 3 trainings"
    assert claims["range-divides-labour"].verdict_text == "seen in 3 trainings"


def test_what_has_no_labels_no_match_or_no_room_is_not_testable():
    unknown = claimed(heads_table(induction.THIS_MODEL, 0, n=0), range_trials().drop(columns="seed"))
    assert unknown["semantic-head"].verdict == "not testable here"
    assert unknown["two-kinds"].verdict == "not testable here"
    assert unknown["distance-head"].verdict == "reproduced"
    this = heads_table(induction.THIS_MODEL, 0)
    trials = range_trials().drop(columns="seed")
    alone = trials[trials["condition"] != groups.MATCHED[groups.SHORTEST]]
    assert claimed(this, alone)["range-divides-labour"].verdict == "not testable here"
    costly = claimed(this, range_trials(cost=0.3).drop(columns="seed"))
    assert costly["range-divides-labour"].verdict == "not testable here"
    floor = claimed(this, range_trials(short=0.0, matched=0.05).drop(columns="seed"))
    assert floor["range-divides-labour"].verdict == "not testable here"
    whole = trials[trials["condition"] == WHOLE]
    assert "range-divides-labour" not in claimed(this, whole), "a model without quarters"
