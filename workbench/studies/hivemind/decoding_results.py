"""Claims about decoding in 10_hivemind: what temperature, filters and polls change, at equal validity."""

import pandas as pd

from workbench.claims import Claim, Gate
from workbench.measures.summaries import summarise
from workbench.studies.hivemind.decoding import HOT, PLAIN, USUAL
from workbench.studies.hivemind.polled import DIRECT, POLLED, TUNED
from workbench.studies.hivemind.results import ITEM, LEAST_VALID, SAME, SMALL, claims_of

_BUYS, _NEARER = "What decoding buys", "Asked for a poll instead of an answer"
_SETTING = ["temperature", "cut"]
_NARROWED = (0.3, 0.95)  # agreement of the tuned model with itself between which there is something to mend
_LEAST_POLLED = 0.6  # share of valid answers among those drawn from polls


def frontier(swept: pd.DataFrame) -> pd.DataFrame:
    """Diversity against validity by setting: columns temperature, cut, value (1 − between), low, high, n
    (prompts), valid.
    """
    differ = summarise(swept.assign(value=1 - swept["between"]), _SETTING, "value", "prompt_id")
    return differ.merge(swept.groupby(_SETTING, as_index=False)["valid"].mean())


def nearness(both: pd.DataFrame) -> pd.DataFrame:
    """Distances to the library: columns model, arm, value, low, high, n (prompts), valid (share).

    Args:
        both: of `polled.both_ways`.
    """
    keys = ["model", "arm"]
    valid = both.groupby(keys, as_index=False)["valid"].mean()
    return summarise(both, keys, "distance", "prompt_id").merge(valid)


# ------------------------------------------------------------------------------- claims
def decoding_claims(swept: pd.DataFrame, overlap: pd.Series) -> list[Claim]:
    """Whether decoding removes agreement between models.

    The best setting is chosen on one half of the prompts and measured on the other, and the other way round,
    by each seed for itself.

    Args:
        swept: of `decoding.sweep`.
        overlap: of `excess.of_the_swept`.
    """
    best, hot, plain = {}, {}, {}
    for seed, part in swept.groupby("seed"):
        table = part.pivot(index="prompt_id", columns=_SETTING, values=["between", "valid"])
        own = overlap.reindex(table.index)
        best[seed] = _chosen_by_halves(table["between"], table["valid"], table["valid"][USUAL]) - own
        hot[seed], plain[seed] = table["between"][HOT] - own, table["between"][PLAIN] - own
    paper = "min-p at temperature 2 lowers repetition but 61 % of prompts stay above 0.8"
    return claims_of(_BUYS, SAME, [
        ("learning-adds-agreement", "Drawn at temperature 1 with nothing cut off, answers of models trained "
         "apart still mean the same more often than the overlap of what they have read predicts.",
         "implied: models converge where their sources differ", pd.concat(plain, names=ITEM)),
        ("decoding-leaves-agreement", "With the most diverse setting whose answers are as often valid as "
         "with top-p 0.9 at temperature 1, models still agree more than their libraries overlap.", paper,
         pd.concat(best, names=ITEM)),
        ("min-p-leaves-agreement", "With min-p 0.1 at temperature 2, valid answers of two models mean the "
         "same more often than their libraries overlap.", paper, pd.concat(hot, names=ITEM)),
    ], **SMALL)  # fmt: skip


def _chosen_by_halves(values: pd.DataFrame, valid: pd.DataFrame, wanted: pd.Series) -> pd.Series:
    """By prompt, the least value of any setting that is as often valid as wanted.

    The setting is chosen on the other half of the prompts, among those whose mean validity there is at least
    that of `wanted`; where there is none, the most valid one is taken.
    """
    halves, parts = (values.index[::2], values.index[1::2]), []
    for test, others in (halves, halves[::-1]):
        means, least = valid.loc[others].mean(), wanted[others].mean()
        able = means >= min(least, means.max())
        parts.append(values.loc[test, values.loc[others].mean()[able].idxmin()])
    return pd.concat(parts)


def polled_claims(both: pd.DataFrame, swept: pd.DataFrame, cells: pd.DataFrame) -> list[Claim]:
    """Whether a tuned model's polls are nearer to what it has read than its answers.

    Args:
        both: of `polled.both_ways`.
        swept: of `polled.swept`.
        cells: of `method.intra_model_repetition`, with a column seed.
    """
    tuned = both[both["model"] == TUNED].pivot(index=ITEM, columns="arm", values=["valid", "distance"])
    polled, valid = tuned["distance"][POLLED], tuned["valid"]
    own = float(cells.loc[cells["model"] == TUNED, "same"].mean())
    gates = (
        Gate("agreement of the tuned model with itself", own, *_NARROWED),
        Gate("share of valid answers", float(valid[DIRECT].mean()), low=LEAST_VALID),
        Gate("share of valid answers drawn from polls", float(valid[POLLED].mean()), low=_LEAST_POLLED),
    )
    best = {}
    for seed, part in swept.groupby("seed"):
        table = part.pivot(index="prompt_id", columns=_SETTING, values=["distance", "valid"])
        best[seed] = _chosen_by_halves(table["distance"], table["valid"], valid[POLLED].loc[seed])
    paper = (
        "1.6-2.1 times the diversity in creative writing (Zhang et al. 2025), nearer to known distributions"
    )
    return claims_of(_NEARER, "squared distance", [
        ("verbalized-nearer-library", "After tuning on single best answers, answers drawn from a model's "
         "polls are distributed more like its library than the answers that it gives.", paper,
         tuned["distance"][DIRECT] - polled),
        ("verbalized-beats-decoding", "So they are, too, beside the nearest setting of decoding in which the "
         "tuned model's answers are as often valid.", paper, pd.concat(best, names=ITEM) - polled),
    ], gates=gates, delta=0.02, delta_reason="the squared distance between two of the libraries")  # fmt: skip
