"""Groups of heads that are switched off together: by range, and at random but of the same cost.

Eldan & Li 2023 (TinyStories, arXiv 2305.07759), the section on attention heads: heads of short range are said
to make the function words, and heads that seek names and nouns the entities. As published: read off the maps
of one model. What differs: the quarter of heads of shortest range costs another loss than that of longest
range, and whoever loses more loses more of everything; so each quarter is compared with random groups of the
other heads, of any size, that cost as much.
"""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

Head = tuple[int, int]
Losses = Callable[[Sequence[Sequence[Head]]], Sequence[float]]
"""Of a model without some groups of heads: its loss without each."""
Condition = tuple[str, int, list[Head]]
"""The name of what is off, the number among the groups of that name, and the heads."""
SHORTEST, LONGEST = "shortest range", "longest range"
MATCHED = {SHORTEST: "costs as much as the shortest", LONGEST: "costs as much as the longest"}
FEWEST = 4  # heads: of fewer there is no quarter
TOLERANCE = 0.1  # of a group's cost, to be as much as a quarter's
TRIES = 16  # groups whose cost is measured to find those that match
DRAWS = 400  # random orders of heads in which such groups are looked for


def single_heads(measured: pd.DataFrame) -> list[Condition]:
    """Each head alone, by the name "layer.head"."""
    return [(f"{layer}.{head}", 0, [(layer, head)]) for layer, head in sorted(_heads(measured))]


def quarters(measured: pd.DataFrame, placebo: int | None = None) -> dict[str, list[Head]]:
    """The quarters of heads of shortest and of longest range; none of a model of fewer than `FEWEST` heads.

    With a seed as `placebo` the two are drawn, whatever their range.
    """
    ordered = measured.sort_values("distance_without_first", kind="stable")
    ordered = ordered if placebo is None else ordered.sample(frac=1, random_state=placebo)
    heads, quarter = _heads(ordered), len(measured) // FEWEST
    return {SHORTEST: heads[:quarter], LONGEST: heads[-quarter:]} if quarter else {}


def matched_groups(
    losses: Losses,
    quarter: Sequence[Head],
    others: Sequence[Head],
    n: int,
    seed: int,
) -> list[list[Head]]:
    """At most n random groups of other heads whose cost differs from a quarter's by `TOLERANCE` at most.

    The others are put in a random order, and a group is as many of the first as promise the same cost; so
    every head has the same chance, and a group has any size. What a group promises is the sum of what its
    heads cost alone, times what the groups tried so far have cost beyond their sums.

    Args:
        losses: of the model without groups of heads.
        quarter: the heads to be matched.
        others: those that groups are drawn from.
        n: groups wanted; fewer are returned where `TRIES` of them do not give so many.
        seed: of the orders.
    """
    whole, without, *each = losses([[], quarter, *([head] for head in others)])
    wanted, alone = without - whole, np.array(each) - whole
    groups: list[list[Head]] = []
    tried: dict[tuple[int, ...], float] = {}  # cost over the sum of what its heads cost alone
    rng = np.random.default_rng(seed)
    for _ in range(DRAWS if wanted > 0 else 0):
        if len(groups) == n or len(tried) == TRIES:
            break
        order, beyond = rng.permutation(len(others)), np.mean(list(tried.values()) or [1.0])
        promised = alone[order].cumsum() * beyond / wanted
        size = int(np.abs(promised - 1).argmin()) + 1
        members = tuple(sorted(order[:size]))
        if abs(promised[size - 1] - 1) > TOLERANCE or members in tried:
            continue
        group = [others[index] for index in members]
        cost = losses([group])[0] - whole
        tried[members] = cost / alone[list(members)].sum()
        groups += [group] if abs(cost / wanted - 1) <= TOLERANCE else []
    return groups


def range_groups(
    measured: pd.DataFrame,
    losses: Losses,
    n: int,
    seed: int,
    placebo: int | None = None,
) -> list[Condition]:
    """Both quarters, and up to n groups matched to each.

    Args:
        measured: of each head (`method.wide`).
        losses, n, seed: see `matched_groups`; with n = 0 there are no quarters either.
        placebo: see `quarters`.
    """
    groups: list[Condition] = []
    for condition, quarter in (quarters(measured, placebo) if n else {}).items():
        others = [head for head in sorted(_heads(measured)) if head not in quarter]
        matched = matched_groups(losses, quarter, others, n, seed)
        groups += [(condition, 0, quarter)]
        groups += [(MATCHED[condition], number, group) for number, group in enumerate(matched)]
    return groups


def tabled(conditions: Sequence[Condition]) -> pd.DataFrame:
    """Groups as a table can keep them: columns condition, group, and heads as "layer.head layer.head"."""
    rows = [(name, number, " ".join(f"{a}.{b}" for a, b in heads)) for name, number, heads in conditions]
    return pd.DataFrame(rows, columns=["condition", "group", "heads"])


def listed(table: pd.DataFrame) -> list[Condition]:
    """The groups that `tabled` has made a table of."""
    return [
        (row.condition, int(row.group), [_head(name) for name in row.heads.split()])
        for row in table.itertuples()
    ]


def _head(name: str) -> Head:
    layer, head = name.split(".")
    return int(layer), int(head)


def _heads(measured: pd.DataFrame) -> list[Head]:
    return [(int(layer), int(head)) for layer, head in measured[["layer", "head"]].to_numpy()]
