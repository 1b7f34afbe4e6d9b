"""What 03 claims: both kinds of heads, what their range is for, and induction where it was trained."""

from typing import Any

import numpy as np
import pandas as pd

from workbench.measures.statistics import bootstrap_mean, spearman
from workbench.studies.attention_heads.ablation import WHOLE

POSITIONAL = 0.5  # share explained by offset from which a head counts as positional


def claims(
    chosen_on: pd.DataFrame, confirmed_on: pd.DataFrame, trials: pd.DataFrame, induction: pd.DataFrame
) -> list[dict[str, Any]]:
    """The claims that can be tested, as `run.claim` takes them.

    Args:
        chosen_on: measures on the texts that choose the most positional and the most semantic head.
        confirmed_on: the same heads on other texts: only these give effects.
        trials: what `head_effects.Trial` found, all conditions.
        induction: `repeats.compare` of the control and this model.
    """
    found = [_positional(chosen_on, confirmed_on), _semantic(chosen_on, confirmed_on)]
    if len(_wide(confirmed_on)) >= 3:
        found.append(_separable(confirmed_on))
    return [*found, *_range(trials), _induction(induction)]


def _wide(table: pd.DataFrame, column: str = "value") -> pd.DataFrame:
    return table.pivot(index=["layer", "head"], columns="measure", values=column)


def _of(table: pd.DataFrame, head: tuple[int, int], measure: str) -> pd.Series:
    rows = table[(table["layer"] == head[0]) & (table["head"] == head[1]) & (table["measure"] == measure)]
    return rows.iloc[0]


def _positional(chosen_on: pd.DataFrame, confirmed_on: pd.DataFrame) -> dict[str, Any]:
    head = _wide(chosen_on)["positional"].idxmax()
    row = _of(confirmed_on, head, "positional")
    return {
        "name": "distance-head",
        "says": f"Relative offset explains more than half of the most positional head (layer {head[0]}, head "
        f"{head[1]}), measured on other texts than it was fitted and chosen on.",
        "paper": "Some heads attend at a fixed distance (section on attention heads)",
        "unit": f"share of variance, beyond {POSITIONAL}",
        "view": "Two kinds of heads?",
        "effect": row["value"] - POSITIONAL,
        "low": row["low"] - POSITIONAL,
        "high": row["high"] - POSITIONAL,
        "n": int(row["n"]),
    }


def _semantic(chosen_on: pd.DataFrame, confirmed_on: pd.DataFrame) -> dict[str, Any]:
    wide = _wide(chosen_on)
    free = wide[wide["positional"] < 0.4 * POSITIONAL]
    lifts = (free if len(free) else wide)[["name_lift", "noun_lift"]]
    head = lifts.max(axis=1).idxmax()
    kind = lifts.loc[head].idxmax()
    row, control = (_of(confirmed_on, head, name) for name in (kind, f"shuffled_{kind}"))
    what = "names" if kind == "name_lift" else "nouns"
    return {
        "name": "semantic-head",
        "says": f"A head that offset does not explain (layer {head[0]}, head {head[1]}) attends more to far "
        f"{what} than to as many tokens in random places.",
        "paper": "Some heads attend to a name or a noun wherever it stands",
        "unit": "times chance, beyond the shuffled control",
        "view": "Two kinds of heads?",
        **_difference(row, control),
    }


def _separable(table: pd.DataFrame) -> dict[str, Any]:
    wide = _wide(table)
    rho = spearman(wide["positional"], wide[["name_lift", "noun_lift"]].max(axis=1))
    return {
        "name": "two-kinds",
        "says": "The more a head is told by offset, the less it seeks names or nouns: rank correlation over "
        "the heads, turned round.",
        "paper": "Distance heads and semantic heads are two groups",
        "unit": "rank correlation, negative",
        "view": "Two kinds of heads?",
        "effect": -rho.value,
        "low": -rho.high,
        "high": -rho.low,
        "n": rho.n,
    }


def _range(trials: pd.DataFrame) -> list[dict[str, Any]]:
    """Nothing where no story has sentences to grade in all conditions."""
    graded = trials[trials["part"].isin(["grammar", "consistency"])]
    if graded["value"].isna().all():
        return []
    values = graded.pivot(index="item", columns=["condition", "part"], values="value")

    def more_grammar(condition: str) -> pd.Series:  # what is lost in grammar beyond what is in consistency
        lost = {part: values[WHOLE, part] - values[condition, part] for part in ("grammar", "consistency")}
        return lost["grammar"] - lost["consistency"]

    more = more_grammar("shortest range") - more_grammar("longest range")
    if more.isna().all():
        return []
    found = bootstrap_mean(more)
    return [
        {
            "name": "range-divides-labour",
            "says": "Without its quarter of shortest-range heads the model loses grammar rather than "
            "consistency, compared with losing the quarter of longest range.",
            "paper": "Local heads make the function words, semantic heads the entities",
            "unit": "share of sentences, difference of differences",
            "view": "Short range, long range",
            "effect": found.value,
            "low": found.low,
            "high": found.high,
            "n": found.n,
        }
    ]


def _induction(induction: pd.DataFrame) -> dict[str, Any]:
    parts = induction.groupby(induction["model"] == "trained on repeats")
    best = {trained: part.loc[part["value"].idxmax()] for trained, part in parts}
    return {
        "name": "induction-where-trained",
        "says": "The strongest induction head of a model trained on repeats attends more to what followed "
        "than the strongest of this model does.",
        "paper": "Induction heads serve repeated sequences (Olsson et al. 2022)",
        "unit": "attention",
        "view": "Induction heads",
        **_difference(best[True], best[False]),
    }


def _difference(first: pd.Series, second: pd.Series) -> dict[str, Any]:
    """first - second, their intervals taken as independent: half-widths add up in squares."""
    below = np.hypot(first["value"] - first["low"], second["high"] - second["value"])
    above = np.hypot(first["high"] - first["value"], second["value"] - second["low"])
    gap = first["value"] - second["value"]
    return {"effect": gap, "low": gap - below, "high": gap + above, "n": int(min(first["n"], second["n"]))}
