"""What 03 claims: both kinds of heads, what their range is for, and induction where it was trained."""

import numpy as np
import pandas as pd

from workbench.claims import Claim, Gate
from workbench.measures.statistics import Interval, bootstrap_mean, spearman
from workbench.studies.attention_heads import induction
from workbench.studies.attention_heads.ablation import WHOLE
from workbench.studies.attention_heads.method import INDEX, NOT_POSITIONAL, POSITIONAL, wide
from workbench.studies.common.evidence import compare

_KINDS = "Two kinds of heads?"  # the view


_UNMATCHED = 1.5  # the quarters of heads are told apart by what they cost if one costs so much more


def claims(
    chosen_on: pd.DataFrame,
    confirmed_on: pd.DataFrame,
    trials: pd.DataFrame,
    induction_heads: pd.DataFrame,
    *,
    placebo: bool = False,
) -> list[Claim]:
    """The claims that can be tested; in a placebo run those alone that compare what a placebo makes equal.

    Args:
        chosen_on: measures on the texts that choose the most positional and the most semantic head.
        confirmed_on: the same heads on other texts: only these give effects.
        trials: what `ablation.AblationEval` gave, all conditions.
        induction_heads: of `induction.score_all`, both arms of the control.
        placebo: whether the arms, and the quarters of heads, differ by chance only.
    """
    compared = [*_range(trials), _induction(induction_heads)]
    if placebo:
        return compared
    chosen, confirmed = wide(chosen_on).set_index(INDEX), confirmed_on.set_index([*INDEX, "measure"])
    made = [_semantic(chosen, confirmed), _positional(chosen, confirmed)]
    if len(chosen) >= 3:
        made.append(_separable(wide(confirmed_on)))
    return [*made, *compared]


def _positional(chosen: pd.DataFrame, confirmed: pd.DataFrame) -> Claim:
    head = chosen["positional"].idxmax()
    row = confirmed.loc[(*head, "positional")]
    return Claim.of(
        Interval(row["value"] - POSITIONAL, row["low"] - POSITIONAL, row["high"] - POSITIONAL, row["n"]),
        name="distance-head",
        says=f"Relative offset explains more than half of the most positional head (layer {head[0]}, head "
        f"{head[1]}), measured on other texts than it was fitted and chosen on.",
        paper="Some heads attend at a fixed distance (section on attention heads)",
        over="texts",
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
        paper="Some heads attend to a name or a noun wherever it stands (no figure given)",
        over="texts",
        headline=True,
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
        over="heads",
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
            over="stories",
            gates=_matched(trials),
            unit="share of sentences, difference of differences",
            view="Short range, long range",
        )
    ]


def _matched(trials: pd.DataFrame) -> tuple[Gate, ...]:
    """Neither quarter may cost much more than the other: the more loss, the more of everything is lost."""
    means = trials[trials["part"] == "loss"].groupby("condition")["value"].mean()
    costs = means[["shortest range", "longest range"]] - means[WHOLE]
    ratio = float(costs.iloc[0] / costs.iloc[1]) if costs.iloc[1] else np.nan
    name = "loss that the short-range heads cost, over that of the long-range heads"
    return (Gate(name, ratio, 1 / _UNMATCHED, _UNMATCHED),)


def _induction(heads: pd.DataFrame) -> Claim:
    strongest = induction.strongest(heads[heads["model"].isin(induction.ARMS)])
    arms = {"treated": induction.REPEATS, "control": induction.CONTROL, "arm": "model"}
    return compare(strongest, **arms, value="value", items="rows of tokens").claim(
        name="induction-where-trained",
        says="The strongest induction head of a model trained on repeats attends more to what followed "
        "than the strongest of a model trained on as many random words.",
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
