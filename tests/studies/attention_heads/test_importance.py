"""03 on a model with many heads: which are switched off, and what is said of the choice."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from workbench.studies.attention_heads import data, importance

LAYERS, HEADS = 6, 5


def heads_of(**columns):
    places = list(np.ndindex(LAYERS, HEADS))
    return pd.DataFrame(places, columns=["layer", "head"]).assign(**columns)


def test_the_heads_of_largest_estimate_are_chosen_and_others_drawn_beside_them():
    size = np.random.default_rng(0).random(LAYERS * HEADS)
    estimates = heads_of(estimate=-size, size=size)
    chosen = importance.choose(heads_of(distance=1.0), estimates, 4, 6, seed=0)
    places = chosen.set_index(["layer", "head"])
    largest = estimates.nlargest(4, "size").set_index(["layer", "head"]).index
    assert set(places.index[~places[importance.DRAWN]]) == set(largest)
    assert places[importance.DRAWN].sum() == 6
    assert len(set(places.index)) == 10
    other = importance.choose(heads_of(distance=1.0), estimates, 4, 6, seed=1)
    assert not chosen.equals(other)
    assert len(importance.choose(heads_of(distance=1.0), estimates, 28, 6, seed=0)) == LAYERS * HEADS
    assert len(importance.choose(heads_of(distance=1.0), None, None, 0, seed=0)) == LAYERS * HEADS


def test_the_sentence_says_how_many_and_how_well_they_were_chosen():
    size = np.linspace(0, 1, LAYERS * HEADS)
    estimates = heads_of(estimate=size, size=size)
    alone = importance.choose(heads_of(distance=1.0), estimates, 10, 8, seed=0)
    changed = pd.DataFrame(
        [(f"{row.layer}.{row.head}", "loss", 2 * row.size) for row in estimates.itertuples(index=False)],
        columns=["condition", "part", "value"],
    ).assign(low=0.0, high=1.0)
    both = importance.against_ablation(estimates, alone, changed)
    assert both["value"].tolist() == pytest.approx((2 * both["estimate"]).tolist())
    said = importance.sentence(both, LAYERS * HEADS)
    assert said.startswith("Of 30 heads the 10 with the largest gradient estimate and 8 drawn at random")
    assert "1.00" in said
    assert "0 of the drawn cost more than the median of the others" in said


def test_the_profile_for_real_models_trains_nothing():
    params = SimpleNamespace(profile="real-laptop", n_texts=None, seeds=None, model="some/folder")
    sizes = data.choose_sizes(params)
    assert (sizes.induction, sizes.one_layer, sizes.ladder) == (None, None, False)
