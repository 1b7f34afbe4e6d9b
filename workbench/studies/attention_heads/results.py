"""What 03 claims: both kinds of heads, what their range is for, and induction where it was trained."""

import numpy as np
import pandas as pd

from workbench.claims import Claim
from workbench.measures.statistics import Interval, bootstrap_mean, spearman
from workbench.studies.attention_heads.ablation import WHOLE
from workbench.studies.attention_heads.method import INDEX, NOT_POSITIONAL, POSITIONAL, wide

_KINDS = "Two kinds of heads?"  # the view


def claims(
    chosen_on: pd.DataFrame, confirmed_on: pd.DataFrame, trials: pd.DataFrame, induction: pd.DataFrame
) -> list[Claim]:
    """The claims that can be tested.

    Args:
        chosen_on: measures on the texts that choose the most positional and the most semantic head.
        confirmed_on: the same heads on other texts: only these give effects.
        trials: what `ablation.AblationEval` gave, all conditions.
        induction: `induction.compare` of the control and this model.
    """
    chosen, confirmed = wide(chosen_on).set_index(INDEX), confirmed_on.set_index([*INDEX, "measure"])
    made = [_positional(chosen, confirmed), _semantic(chosen, confirmed)]
    if len(chosen) >= 3:
        made.append(_separable(wide(confirmed_on)))
    return [*made, *_range(trials), _induction(induction)]


def _positional(chosen: pd.DataFrame, confirmed: pd.DataFrame) -> Claim:
    head = chosen["positional"].idxmax()
    row = confirmed.loc[(*head, "positional")]
    return Claim.of(
        Interval(row["value"] - POSITIONAL, row["low"] - POSITIONAL, row["high"] - POSITIONAL, row["n"]),
        name="distance-head",
        says=f"Relative offset explains more than half of the most positional head (layer {head[0]}, head "
        f"{head[1]}), measured on other texts than it was fitted and chosen on.",
        paper="Some heads attend at a fixed distance (section on attention heads)",
        unit=f"share of variance, beyond {POSITIONAL}",
        view=_KINDS,
    )


def _semantic(chosen: pd.DataFrame, confirmed: pd.DataFrame) -> Claim:
    free = chosen[chosen["positional"] < NOT_POSITIONAL * POSITIONAL]
    lifts = (free if len(free) else chosen)[["name_lift", "noun_lift"]]
    *head, lift = lifts.stack().idxmax()
    words = "names" if lift == "name_lift" else "nouns"
    return Claim.of(
        _difference(confirmed.loc[(*head, lift)], confirmed.loc[(*head, f"shuffled_{lift}")]),
        name="semantic-head",
        says=f"A head that offset does not explain (layer {head[0]}, head {head[1]}) attends more to far "
        f"{words} than to as many tokens in random places.",
        paper="Some heads attend to a name or a noun wherever it stands",
        unit="times chance, beyond the shuffled control",
        view=_KINDS,
    )


def _separable(heads: pd.DataFrame) -> Claim:
    rho = spearman(heads["positional"], heads[["name_lift", "noun_lift"]].max(axis=1))
    return Claim.of(
        Interval(-rho.value, -rho.high, -rho.low, rho.n),
        name="two-kinds",
        says="The more a head is told by offset, the less it seeks names or nouns: rank correlation over "
        "the heads, turned round.",
        paper="Distance heads and semantic heads are two groups",
        unit="rank correlation, negative",
        view=_KINDS,
    )


def _range(trials: pd.DataFrame) -> list[Claim]:
    """Nothing where no story has sentences to grade in all conditions."""
    graded = trials[trials["part"].isin(["grammar", "consistency"])]
    if graded["value"].isna().all():
        return []
    values = graded.pivot(index="item", columns=["condition", "part"], values="value")

    def more_grammar(condition: str) -> pd.Series:  # what is lost in grammar beyond what is in consistency
        lost = values[WHOLE] - values[condition]
        return lost["grammar"] - lost["consistency"]

    more = more_grammar("shortest range") - more_grammar("longest range")
    if more.isna().all():
        return []
    return [
        Claim.of(
            bootstrap_mean(more),
            name="range-divides-labour",
            says="Without its quarter of shortest-range heads the model loses grammar rather than "
            "consistency, compared with losing the quarter of longest range.",
            paper="Local heads make the function words, semantic heads the entities",
            unit="share of sentences, difference of differences",
            view="Short range, long range",
        )
    ]


def _induction(induction: pd.DataFrame) -> Claim:
    strongest = induction.loc[induction.groupby(induction["model"] == "trained on repeats")["value"].idxmax()]
    this_model, trained = (row for _, row in strongest.iterrows())
    return Claim.of(
        _difference(trained, this_model),
        name="induction-where-trained",
        says="The strongest induction head of a model trained on repeats attends more to what followed "
        "than the strongest of this model does.",
        paper="Induction heads serve repeated sequences (Olsson et al. 2022)",
        unit="attention",
        view="Induction heads",
    )


def _difference(first: pd.Series, second: pd.Series) -> Interval:
    """first - second, their intervals taken as independent: half-widths add up in squares."""
    below = np.hypot(first["value"] - first["low"], second["high"] - second["value"])
    above = np.hypot(first["high"] - first["value"], second["value"] - second["low"])
    gap = first["value"] - second["value"]
    return Interval(gap, gap - below, gap + above, min(first["n"], second["n"]))
