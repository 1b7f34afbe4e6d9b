"""What 03 claims about the range of heads, each quarter beside random groups that cost as much."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from workbench.claims import Claim, Gate
from workbench.measures.statistics import Interval
from workbench.studies.attention_heads.ablation import ENTITIES, OTHERS, WHOLE
from workbench.studies.attention_heads.groups import LONGEST, MATCHED, SHORTEST, TOLERANCE
from workbench.studies.common.evidence import Evidence, over_seeds

VIEW = "Short range, long range"
_FLOOR, _CEILING = 0.1, 0.9  # of a share of sentences: beyond them groups cannot be told apart
_CLAIMS = {  # name: (quarter, part, says, paper)
    "range-divides-labour": (
        SHORTEST,
        "grammar",
        "Without its quarter of shortest-range heads a model loses more grammar than without a random group "
        "of heads that costs the same loss.",
        "Local heads make the function words",
    ),
    "long-range-consistency": (
        LONGEST,
        "consistency",
        "Without its quarter of longest-range heads fewer sentences can be read and be true than without a "
        "random group of heads that costs the same loss.",
        "Semantic heads, which look far, make the entities",
    ),
    "range-divides-words": (
        SHORTEST,
        "words",
        "Of the same loss, the quarter of shortest-range heads costs more on function words and less on "
        "names and nouns than a random group of heads.",
        "Local heads make the function words, semantic heads the entities",
    ),
}
_DELTAS = {
    "grammar": (0.05, "one sentence in twenty"),
    "consistency": (0.05, "one sentence in twenty"),
    "words": (0.05, "a twentieth of a nat moves the probability of a word by a twentieth"),
}
_UNITS = {"words": "nats a token, difference of differences"}


def range_claims(trials: pd.DataFrame, *, given: bool) -> list[Claim]:
    """The claims that can be tested on these trials: none of a model without quarters of heads.

    Args:
        trials: of `AblationEval.run_all`, with columns model and seed.
        given: whether they are of one model that is given, so that no training counts.
    """
    made = []
    for name, (quarter, part, says, paper) in _CLAIMS.items():
        effects = range_effects(trials, quarter, part)
        if effects is None:
            continue
        delta, reason = _DELTAS[part]
        about = {"name": name, "says": says, "paper": paper, "view": VIEW, "delta": delta}
        about |= {"unit": _UNITS.get(part, "share of sentences"), "delta_reason": reason}
        about["gates"] = _gates(trials, quarter, part)
        evidence = _evidence(effects, "texts" if part == "words" else "stories")
        trainings = {} if given else {"trainings": evidence.trainings}
        made.append(Claim.of(evidence.estimate, over=evidence.over, **trainings, **about))
    return made


def range_effects(trials: pd.DataFrame, quarter: str, part: str) -> pd.DataFrame | None:
    """By seed and item, what a quarter of heads costs beyond the groups matched to it; positive as published.

    Args:
        trials: see `range_claims`.
        quarter: `SHORTEST` or `LONGEST`.
        part: grammar, consistency, or words: the loss of other words beyond that of names and nouns.

    Returns:
        Columns seed, item and effect, of which NaN where no group was matched; None where nothing of the
        kind was measured.
    """
    parts = [OTHERS, ENTITIES] if part == "words" else [part]
    values = _values(trials, parts)
    if quarter not in values or set(values.index.unique("part")) < set(parts):
        return None
    matched = values.get(MATCHED[quarter], np.nan)
    lost = (matched - values[quarter]).rename("effect")
    if part == "words":
        lost = (lost.xs(ENTITIES, level="part") - lost.xs(OTHERS, level="part")).rename("effect")
    return lost.groupby(["seed", "item"]).mean().reset_index()


def _values(trials: pd.DataFrame, parts: Sequence[str]) -> pd.DataFrame:
    """A row for each seed, part and item, a column for each condition; the mean of a condition's groups."""
    chosen = trials[trials["part"].isin(parts)]
    return chosen.pivot_table(index=["seed", "part", "item"], columns="condition", values="value")


def _evidence(effects: pd.DataFrame, items: str) -> Evidence:
    if effects["effect"].isna().all():
        return Evidence(Interval(np.nan, np.nan, np.nan, 0), items, effects["seed"].nunique())
    return over_seeds(effects, items=items)


def _gates(trials: pd.DataFrame, quarter: str, part: str) -> tuple[Gate, ...]:
    """Both must cost the same loss, and what is left must be off the floor and the ceiling."""
    losses = _values(trials, ["loss"]).groupby("seed").mean()
    costs = losses.sub(losses[WHOLE], axis=0)
    matched = MATCHED[quarter]
    ratio = float((costs[matched] / costs[quarter]).mean()) if matched in costs else np.nan
    name = f"loss that the random groups cost, over that of the {quarter} heads"
    gates = (Gate(name, ratio, 1 - TOLERANCE, 1 + TOLERANCE),)
    if part == "words":
        return gates
    values = _values(trials, [part])
    left = values.reindex(columns=[quarter, matched]).mean(axis=1)
    return (*gates, Gate(f"{part} left without them, both taken together", left.mean(), _FLOOR, _CEILING))
