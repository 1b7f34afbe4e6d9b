"""Units matched between models: a permuted copy is found whole, and what is not there is not."""

from copy import deepcopy

import numpy as np
import pandas as pd
import pytest
import torch

from workbench.corpora import labelled_tokens
from workbench.engine import models
from workbench.errors import UserError
from workbench.studies.attention_heads import universality, universality_results, universality_views
from workbench.studies.attention_heads.universality import UNTRAINED, Units

torch.set_num_threads(1)

STORIES = labelled_tokens.simulated_stories(16, seed=0)
HEADS, NEURONS = [3, 1, 0, 2], slice(None, None, -1)


@pytest.fixture(scope="module")
def pair():
    tokenizer = models.train_tokenizer([text for text, _ in STORIES], 400)
    config = models.config("tiny:0.1M", len(tokenizer), n_layers=2)
    config.num_attention_heads = config.num_key_value_heads = len(HEADS)
    config.head_dim = config.hidden_size // len(HEADS)
    return models.build(config, seed=0), tokenizer


@pytest.fixture(scope="module")
def texts(pair):
    return labelled_tokens.label_tokens(*pair, STORIES)


@pytest.fixture(scope="module")
def permuted(pair):
    """A copy that computes the same with its heads and neurons in another order."""
    copy = deepcopy(pair[0])
    with torch.no_grad():
        for block in copy.model.layers:
            attention, mlp = block.self_attn, block.mlp
            for projection in (attention.q_proj, attention.k_proj, attention.v_proj):
                rows = projection.weight.unflatten(0, (len(HEADS), -1))
                projection.weight.copy_(rows[HEADS].flatten(0, 1))
            columns = attention.o_proj.weight.unflatten(1, (len(HEADS), -1))
            attention.o_proj.weight.copy_(columns[:, HEADS].flatten(1, 2))
            for projection in (mlp.gate_proj, mlp.up_proj):
                projection.weight.copy_(projection.weight.flip(0))
            mlp.down_proj.weight.copy_(mlp.down_proj.weight.flip(1))
    return copy


def respond(model, texts, kind):
    return universality.respond(model, *universality.choose_texts(texts), kind)


@pytest.mark.parametrize("kind", ["head", "neuron"])
def test_a_permuted_copy_is_matched_whole_and_its_order_is_found(pair, permuted, texts, kind):
    first, second = (respond(model, texts, kind) for model in (pair[0], permuted))
    matches = universality.match(first, second, seed=0)
    assert matches["matched"].all()
    assert matches["r"].to_numpy() == pytest.approx(1, abs=1e-3)
    n = (first.index[:, 0] == 0).sum()  # units of a layer
    numbers = np.arange(len(first.index)).reshape(-1, n)
    expected = numbers[:, np.argsort(HEADS)] if kind == "head" else numbers[:, NEURONS]
    assert matches["other"].tolist() == expected.ravel().tolist()
    assert matches["shuffled"].mean() < 0.2  # in the same model, but over other texts
    assert (first.label == second.label[matches["other"]]).all()


def made_up(values, kind="neuron", layers=1):
    """Units of one layer with given responses `[units, texts, items]`, each half with half of the texts."""
    halves = tuple(universality._standard(values[:, half::2].astype(np.float32)) for half in (0, 1))
    products = tuple(universality._correlations(half, half) for half in halves)
    index = np.array([(unit * layers // len(values), unit) for unit in range(len(values))])
    return Units(kind, index, halves, products, np.zeros(len(values), dtype=int))


@pytest.mark.parametrize("placebo", [False, True])
def test_independent_units_are_matched_as_often_as_random_directions_are(placebo):
    rng = np.random.default_rng(0)
    shared = rng.standard_normal((1, 8, 60))  # what all units of both models have in common is no match
    first, second = (made_up(rng.standard_normal((80, 8, 60)) + shared / 2) for _ in range(2))
    matches = universality.match(first, second, seed=1, placebo=placebo)
    assert matches["matched"].mean() < 3 * universality.CHANCE
    assert matches["control"].mean() < 3 * universality.CHANCE


def test_a_placebo_matches_no_unit_of_a_copy():
    values = np.random.default_rng(0).standard_normal((80, 8, 60))
    unit = made_up(values)
    assert universality.match(unit, unit, seed=1)["matched"].all()
    assert universality.match(unit, unit, seed=1, placebo=True)["matched"].mean() < 3 * universality.CHANCE


def test_correlations_with_directions_equal_those_with_mixed_responses():
    rng = np.random.default_rng(2)
    first, second = (made_up(rng.standard_normal((6, 8, 50)), layers=2) for _ in range(2))
    tables = [universality._correlations(*pair) for pair in zip(first.halves, second.halves, strict=True)]
    turned = universality.with_directions(tables, second, np.random.default_rng(5))
    again = np.random.default_rng(5)
    for layer in (0, 1):
        own = second.index[:, 0] == layer
        mix = np.linalg.qr(again.standard_normal((own.sum(), own.sum())))[0]
        for half, other, table in zip(first.halves, second.halves, turned, strict=True):
            directions = np.tensordot(mix, other[own], 1)
            expected = np.corrcoef(half.reshape(6, -1), directions.reshape(own.sum(), -1))[:6, 6:]
            assert table[:, own] == pytest.approx(expected, abs=1e-5)


def test_a_head_that_looks_back_a_distance_responds_to_nothing():
    values = np.zeros((1, 4, 30)) + np.arange(30)  # the same in every text
    assert universality._standard(values, by_position=True) == pytest.approx(0)
    assert universality._standard(values).std() == pytest.approx(1)


def test_costs_agree_where_matches_cost_alike_and_not_by_layer_alone():
    layer = np.repeat([0, 1], 4)
    costs = np.array([0.9, 0.7, 0.8, 0.6, 0.1, 0.3, 0.2, 0.4])
    assert universality.agreement(costs, costs, np.arange(8), layer) > 0.1
    within = np.array([1, 0, 3, 2, 5, 4, 7, 6])  # right layer, wrong head
    assert universality.agreement(costs, costs, within, layer) < 0.1
    assert np.isnan(universality.agreement(costs, np.ones(8), np.arange(8), layer))


def test_every_pair_of_trainings_and_of_sizes_is_compared(pair, permuted):
    small = models.config("tiny:0.1M", len(pair[1]), n_layers=1)
    fitted = {("a", 0): pair, ("a", 1): (permuted, pair[1]), ("b", 0): (models.build(small, 3), pair[1])}
    table = universality.compare_models(fitted, STORIES, seed=0)
    pairs = {("a", "a", 0, 1), ("a", "a", 1, 0), ("a", "b", 0, 0), ("b", "a", 0, 0)}
    pairs |= {(name, UNTRAINED, seed, seed) for name, seed in fitted}
    assert {*table[["model", "other", "seed", "other_seed"]].itertuples(index=False, name=None)} == pairs
    assert len(table) == 2 * len(pairs)
    copies = table[(table["model"] == "a") & (table["other"] == "a")].set_index("kind")
    assert copies["matched"].eq(1).all()
    assert copies.loc["head", "costs"].gt(0).all()  # the same heads cost the same
    untrained = table[(table["other"] == UNTRAINED) & (table["kind"] == "neuron")]
    assert untrained["matched"].lt(0.4).all()
    assert table["loss"].between(0.9, 1.1).all()  # of models that guess
    assert universality_results.claims(table, "a") == []  # none has learnt


def test_too_few_texts_and_other_tokens_are_refused(pair):
    short = labelled_tokens.label_tokens(*pair, STORIES[:7])
    with pytest.raises(UserError, match="eight texts of 96 tokens"):
        universality.choose_texts(short)
    other = models.train_tokenizer([text for text, _ in STORIES], 300)
    with pytest.raises(UserError, match="different tokenizers"):
        universality.compare_models({("a", 0): pair, ("a", 1): (pair[0], other)}, STORIES, seed=0)


def compared(seeds, trained=0.6, untrained=0.2, broken=()):
    """A table as of `compare_models`, for the models small and large."""
    rows = []
    for kind in ("head", "neuron"):
        for model in ("small", "large"):
            for a in range(seeds):
                others = [(model, b, trained + 0.01 * a) for b in range(seeds) if b != a]
                size = "small" if model == "large" else "large"
                for other, b, share in [*others, (UNTRAINED, a, untrained), (size, a, 0.5)]:
                    loss = 0.9 if a in broken else 0.3
                    rows.append(
                        (model, other, a, b, kind, loss, 8, 0.4, share, 0.05, 0.0, 0.1, 0.2 + 0.01 * a)
                    )
    names = "model other seed other_seed kind loss units r matched control shuffled same_label costs"
    return pd.DataFrame(rows, columns=names.split())


def test_claims_are_over_trainings_that_have_learnt():
    made = {claim.name: claim for claim in universality_results.claims(compared(6), "large")}
    assert [*made] == ["universal-heads", "universal-neurons", "matches-share-labels", "matches-cost-alike"]
    heads = made["universal-heads"]
    assert (heads.over, heads.n, heads.trainings, heads.verdict) == ("trainings", 6, 6, "reproduced")
    assert heads.effect == pytest.approx(0.425)  # 0.6 + mean of 0 to 0.05, less 0.2
    assert not any(claim.headline for claim in made.values())
    table = compared(6, broken=(5,))
    (heads, *_), (_, failed) = universality_results.claims(table, "large"), universality_results.learnt(table)
    assert (heads.n, heads.effect) == (5, pytest.approx(0.42))
    assert failed == ["large, seed 5", "small, seed 5"]
    (few, *_) = universality_results.claims(compared(2), "large")
    assert (few.over, few.trainings) == ("pairs of trainings", 2)
    assert universality_results.claims(compared(1), "large") == []
    turned = universality_results.claims(compared(6, trained=0.1, untrained=0.4), "large", placebo=True)
    assert [claim.verdict for claim in turned] == ["opposite", "opposite"]


@pytest.mark.parametrize("seeds", [1, 2, 12])
def test_the_pictures_show_each_model_and_say_what_was_left_out(seeds):
    table = compared(seeds, broken=(1,) if seeds > 2 else ())
    view = universality_views.shares(table)
    assert ("large, seed 1" in view.record["sentence"]) == (seeds > 2)
    rows = universality_views.across(table).record["rows"]
    assert ["small", "large", "50%", "50%"] in [row[:4] for row in rows]
