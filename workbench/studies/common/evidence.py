"""What a difference between arms rests on: trainings where there are enough of them, items otherwise."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from workbench.claims import FEWEST_TRAININGS, Claim
from workbench.measures.statistics import Interval, bootstrap_mean


@dataclass(frozen=True)
class Evidence:
    """An estimate, what its n counts, and how many trainings stand behind it."""

    estimate: Interval
    over: str  #: What `estimate.n` counts
    trainings: int  #: Of each arm

    def claim(self, **about: Any) -> Claim:
        """The claim that this decides; `about` as `Claim.of` takes it."""
        return Claim.of(self.estimate, over=self.over, trainings=self.trainings, **about)


def compare(
    frame: pd.DataFrame,
    treated: str,
    control: str,
    *,
    value: str = "right",
    item: str | Sequence[str] = "item",
    items: str = "questions",
    arm: str = "arm",
) -> Evidence:
    """mean(treated − control), paired by seed and item, as `over_seeds` takes it.

    Args:
        frame: a row an answer: columns seed, `arm`, `item` and `value`; an item's rows are averaged.
        treated: the arm that should do better.
        control: the arm beside it.
        value: what is compared.
        item: column or columns that say what was asked.
        items: what the items are called.
        arm: column of the arms.

    Raises:
        ValueError: no item was asked of both.
    """
    names = ["seed", *([item] if isinstance(item, str) else item)]
    chosen = frame[frame[arm].isin([treated, control])].astype({value: float})
    table = chosen.pivot_table(index=names, columns=arm, values=value, aggfunc="mean")
    if not {treated, control} <= set(table.columns):
        raise ValueError(f"no {items} were asked of both {treated} and {control}")
    return over_seeds((table[treated] - table[control]).rename("effect").reset_index(), items=items)


def over_seeds(effects: pd.DataFrame, *, items: str = "questions") -> Evidence:
    """The mean effect: over seeds if there are `FEWEST_TRAININGS` of them, else over items.

    With fewer seeds the interval over items leaves out the chance of another training, which the claim then
    says (`Claim.is_seen`).

    Args:
        effects: columns seed and effect, and others that name the item; NaN are left out.
        items: what the items are called.
    """
    known = effects.dropna(subset=["effect"])
    by_seed = known.groupby("seed")["effect"].mean()
    if len(by_seed) >= FEWEST_TRAININGS:
        return Evidence(bootstrap_mean(by_seed.to_numpy()), "trainings", len(by_seed))
    names = [name for name in known.columns if name not in ("seed", "effect")]
    by_item = known.groupby(names)["effect"].mean() if names else known["effect"]
    return Evidence(bootstrap_mean(by_item.to_numpy()), items, len(by_seed))
