"""Which heads of a model with many are switched off one by one: those that gradients say matter, and others.

Michel et al. 2019 (arXiv 1905.10650) rank heads by the size of output times gradient. Here the estimate is of
what is then measured: the change of the loss, to first order, if a head puts out its mean. It is blind to
what saturates, so heads drawn at random are switched off too, and the two are compared.
"""

import numpy as np
import pandas as pd

from workbench.measures.statistics import spearman
from workbench.studies.attention_heads.method import INDEX

DRAWN = "drawn"  # the column that says which heads were drawn at random


def choose(
    measured: pd.DataFrame, estimates: pd.DataFrame | None, n: int, drawn: int, seed: int
) -> pd.DataFrame:
    """The heads to switch off alone: the n of largest estimate, and some of the others.

    Args:
        measured: of all heads: columns layer, head.
        estimates: of `AblationEval.estimates`; None for every head.
        n: heads of largest `size`.
        drawn: heads drawn from the others.
        seed: of the draw.

    Returns:
        Their rows, with a column `DRAWN`.
    """
    if estimates is None:
        return measured.assign(**{DRAWN: False})
    ordered = estimates.sort_values("size", ascending=False, kind="stable")[INDEX]
    others = ordered[n:].sample(min(drawn, max(0, len(ordered) - n)), random_state=seed)
    chosen = pd.concat([ordered[:n].assign(**{DRAWN: False}), others.assign(**{DRAWN: True})])
    return measured.merge(chosen, on=INDEX)


def against_ablation(estimates: pd.DataFrame, alone: pd.DataFrame, changed: pd.DataFrame) -> pd.DataFrame:
    """Estimate and measured loss of the heads that were switched off: columns of `alone`, estimate, size,
    value, low, high.

    Args:
        estimates: of `AblationEval.estimates`.
        alone: of `choose`.
        changed: of `ablation.changes`.
    """
    lost = changed[changed["part"] == "loss"].set_index("condition")[["value", "low", "high"]]
    both = alone[[*INDEX, DRAWN]].merge(estimates, on=INDEX)
    names = both["layer"].astype(str) + "." + both["head"].astype(str)
    return both.join(lost, on=names.rename("condition"))


def sentence(both: pd.DataFrame, n_heads: int) -> str:
    """What was switched off of so many heads, and how well it was chosen: of `against_ablation`."""
    drawn = both[both[DRAWN]]
    rank = spearman(both["estimate"], both["value"])
    said = (
        f"Of {n_heads} heads the {len(both) - len(drawn)} with the largest gradient estimate and "
        f"{len(drawn)} drawn at random were switched off one by one. Rank correlation of estimate and "
        f"ablation: {rank.value:.2f} [{rank.low:.2f}, {rank.high:.2f}] over all {len(both)}"
    )
    if len(drawn) > 2:
        said += f", {spearman(drawn['estimate'], drawn['value']).value:.2f} over the {len(drawn)} drawn"
        largest = np.sort(both.loc[~both[DRAWN], "value"])
        above = int((drawn["value"] > np.median(largest)).sum())
        said += f"; {above} of the drawn cost more than the median of the others"
    return said + "."
