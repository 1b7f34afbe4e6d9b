"""03_attention_heads: quarters of heads by range, and random groups that cost as much."""

import numpy as np
import pandas as pd
import pytest

from workbench.studies.attention_heads import groups


def heads_of(layers, heads):
    places = [(layer, head) for layer in range(layers) for head in range(heads)]
    frame = pd.DataFrame(places, columns=["layer", "head"])
    return frame.assign(distance_without_first=np.arange(len(frame))[::-1])


def costing(costs, together=1.0):
    """The loss without some heads, which cost the more the more of them are off if `together` is above 1."""
    return lambda off: 2 + sum(costs[head] for head in off) ** together


def of_each(loss):
    """The same of several groups, as `AblationEval.losses`."""
    return lambda groups: [loss(off) for off in groups]


def test_quarters_are_those_of_shortest_and_longest_range():
    quarters = groups.quarters(heads_of(2, 4))
    assert quarters == {groups.SHORTEST: [(1, 3), (1, 2)], groups.LONGEST: [(0, 1), (0, 0)]}
    assert groups.quarters(heads_of(1, 3)) == {}, "there is no quarter of three heads"
    drawn = [groups.quarters(heads_of(2, 4), placebo=seed)[groups.SHORTEST] for seed in range(8)]
    assert len({tuple(quarter) for quarter in drawn}) > 1


@pytest.mark.parametrize("together", [1.0, 1.3])
@pytest.mark.parametrize("seed", range(5))
def test_matched_groups_cost_as_much_and_share_no_head_with_the_quarter(seed, together):
    heads, rng = heads_of(4, 4), np.random.default_rng(seed)
    places = map(tuple, heads[["layer", "head"]].to_numpy())
    costs = dict(zip(places, rng.uniform(0.01, 0.1, 16), strict=True))
    loss = costing(costs, together)
    made = groups.range_groups(heads, of_each(loss), 3, seed)
    quarters = {condition: off for condition, _, off in made if condition in groups.MATCHED}
    assert set(quarters) == {groups.SHORTEST, groups.LONGEST}
    names = {matched: quarter for quarter, matched in groups.MATCHED.items()}
    matched = [(names[condition], off) for condition, _, off in made if condition in names]
    assert {quarter for quarter, _ in matched} == set(quarters), "both are matched"
    for quarter, off in matched:
        assert (loss(off) - 2) / (loss(quarters[quarter]) - 2) == pytest.approx(1, abs=groups.TOLERANCE)
        assert not set(off) & set(quarters[quarter])
    assert len({(quarter, tuple(off)) for quarter, off in matched}) == len(matched) <= 6
    assert groups.listed(groups.tabled(made)) == made


def test_nothing_matches_a_quarter_that_costs_nothing_or_more_than_all_others():
    others = [(0, head) for head in range(6)]
    for cost in (0, 100):
        loss = costing({(1, 0): cost, **dict.fromkeys(others, 1)})
        assert groups.matched_groups(of_each(loss), [(1, 0)], others, 2, seed=0) == []


def test_without_groups_there_are_no_quarters():
    assert groups.range_groups(heads_of(4, 4), of_each(costing({})), 0, seed=0) == []
    assert groups.listed(groups.tabled([])) == []


def test_single_heads_are_named_by_layer_and_head():
    assert groups.single_heads(heads_of(1, 2)) == [("0.0", 0, [(0, 0)]), ("0.1", 0, [(0, 1)])]
