"""How well scores follow people's ratings where answers are alike in quality or people disagree.

Jiang et al. 2025 (arXiv 2510.22954, section 5) find lower rank correlations there. Part of such a drop is
arithmetic: where mean ratings vary less they correlate less with anything, and where people disagree their
mean says less. Both are measured here beside the drop.
"""

import numpy as np
import pandas as pd
from scipy import stats

from workbench.errors import UserError
from workbench.measures.statistics import rank_correlations, spearman

ALIKE = (3, 2.5, 2, 1.5, 1, 0.5)  # reach of Tukey's fences in quartile ranges
DISPUTED = (0.16, 0.14, 0.12, 0.10, 0.08, 0.06, 0.04, 0.02)  # shares of items, by entropy
DRAWS = 200  # random subsets, and splits into halves
_LEAST = 5  # items of a subset below which nothing is said


def rated_items(ratings: pd.DataFrame) -> pd.DataFrame:
    """Mean, entropy and number of the ratings of each item.

    Args:
        ratings: columns item, annotator, rating; of repeats by one annotator the first counts.

    Returns:
        By item: mean, entropy (Shannon, bits, over the labels that were given; 0 where all agree), n, and
        prompt if the ratings have it.

    Raises:
        UserError: a column is missing, a rating is no number, or there is none.
    """
    kept = _checked(ratings)
    items = kept.groupby("item", sort=False)["rating"]
    counts = kept.groupby(["item", "rating"]).size()
    shares = counts / counts.groupby("item").transform("sum")
    bits = -(shares * np.log2(shares)).groupby("item").sum()
    rated = pd.DataFrame({"mean": items.mean(), "entropy": bits.clip(lower=0), "n": items.size()})
    return rated.join(kept.groupby("item")["prompt"].first()) if "prompt" in kept else rated


def calibration(ratings: pd.DataFrame, scores: pd.Series, seed: int = 0) -> pd.DataFrame:
    """Spearman's correlation of scores and mean ratings on all items and on subsets, with two controls.

    Subsets: items whose mean rating lies within Tukey's fences of all mean ratings (quality is alike), for
    each reach of `ALIKE`, and those of the highest entropy (people disagree), for each share of `DISPUTED`.

    First control: random subsets of the same size **and of the same variance of the mean rating**. Item i is
    drawn without replacement with weight exp(−λ (m_i − c)²), m its mean rating and c the subset's; λ is found
    for every draw such that the variances agree. A drop beyond these (`extra`) is not due to the range. The
    fences look at mean ratings alone, so there the random subsets are nearly the subset itself.

    Second control: the reliability of the mean rating on the same items, from random halves of the annotators
    (Spearman-Brown). Even the true quality would correlate no better than its square root, the `ceiling`.
    Items chosen by their entropy have means near the middle of the scale, so that one half's excess is the
    other's want: halves that correlate negatively count as reliability 0.

    Args:
        ratings: columns item, annotator, rating; with a column prompt, intervals are over prompts.
        scores: of one model, by item; items without score or ratings are left out.

    Returns:
        Columns subset ("all", "alike", "disputed"), at (reach or share), n (items), variance (of the mean
        rating), value, low, high (95 %, bootstrap), random (mean of the random subsets), extra
        (value − random), extra_low, extra_high (the middle 95 % of it over the random subsets), reliability,
        ceiling. NaN where a subset holds fewer than five items, or a side is constant.

    Raises:
        UserError: as `rated_items`; fewer than five items have both.
    """
    items = rated_items(ratings).join(scores.rename("score").astype(float), how="inner").dropna()
    if len(items) < _LEAST:
        raise UserError(f"{len(items)} items have ratings and a score: give at least {_LEAST}.")
    halves = _halves(_checked(ratings), items.index, DRAWS, np.random.default_rng(seed))
    rows = []
    for name, at, chosen in _subsets(items):
        row = {"subset": name, "at": at, "n": int(chosen.sum())}
        if chosen.sum() >= _LEAST:
            row |= _correlation(items, chosen, seed) | _reliability(halves[:, :, chosen])
        rows.append(row)
    columns = ["subset", "at", "n", "variance", "value", "low", "high"]
    columns += ["random", "extra", "extra_low", "extra_high", "reliability", "ceiling"]
    return pd.DataFrame(rows, columns=columns)


def within_fences(means: np.ndarray, reach: float) -> np.ndarray:
    """Which values lie within Tukey's fences: `reach` quartile ranges beyond the quartiles."""
    low, high = np.quantile(means, [0.25, 0.75])
    return (means >= low - reach * (high - low)) & (means <= high + reach * (high - low))


def equal_variance_subsets(values: np.ndarray, chosen: np.ndarray, draws: int, seed: int = 0) -> np.ndarray:
    """Random subsets of the size of a given one, in which the values have the same variance.

    Args:
        values: shape (n,).
        chosen: shape (n,), booleans.

    Returns:
        Shape (draws, size), places in `values`. Variances agree as nearly as exchanging one item allows.
    """
    size, centre, wanted = int(chosen.sum()), values[chosen].mean(), values[chosen].var()
    if size == len(values):
        return np.tile(np.arange(size), (draws, 1))
    noise = np.random.default_rng(seed).gumbel(size=(draws, len(values)))
    distance = (values - centre) ** 2 / values.var() if values.var() else np.zeros(len(values))
    low, high = np.full(draws, -50.0), np.full(draws, 1000.0)
    nearest, gap = np.zeros((draws, size), dtype=int), np.full(draws, np.inf)
    for _ in range(30):
        middle = (low + high) / 2
        keys = noise - middle[:, None] * distance
        drawn = np.argpartition(-keys, size - 1, axis=1)[:, :size]
        excess = values[drawn].var(axis=1) - wanted
        better = np.abs(excess) < gap
        nearest[better], gap[better] = drawn[better], np.abs(excess[better])
        low, high = np.where(excess > 0, middle, low), np.where(excess > 0, high, middle)
    return nearest


def _subsets(items: pd.DataFrame) -> list[tuple[str, float, np.ndarray]]:
    means, entropy = items["mean"].to_numpy(), items["entropy"].to_numpy()
    subsets = [("all", float("nan"), np.ones(len(items), dtype=bool))]
    subsets += [("alike", reach, within_fences(means, reach)) for reach in ALIKE]
    ranks = stats.rankdata(-entropy, method="ordinal")
    return subsets + [("disputed", share, ranks <= round(share * len(items))) for share in DISPUTED]


def _correlation(items: pd.DataFrame, chosen: np.ndarray, seed: int) -> dict[str, float]:
    means, scores = items["mean"].to_numpy(), items["score"].to_numpy()
    prompts = items["prompt"][chosen] if "prompt" in items else None
    rho = spearman(scores[chosen], means[chosen], groups=prompts, seed=seed)
    drawn = equal_variance_subsets(means, chosen, DRAWS, seed)
    random = rank_correlations(scores[drawn], means[drawn])
    extra = rho.value - random
    low, high = np.quantile(extra, [0.025, 0.975])
    return {
        "variance": means[chosen].var(),
        "value": rho.value,
        "low": rho.low,
        "high": rho.high,
        "random": random.mean(),
        "extra": extra.mean(),
        "extra_low": low,
        "extra_high": high,
    }


def _halves(ratings: pd.DataFrame, items: pd.Index, splits: int, rng: np.random.Generator) -> np.ndarray:
    """Mean ratings of two random halves of each item's annotators, [splits, 2, items]; NaN below two."""
    kept = ratings[ratings["item"].isin(items)]
    number, rating = items.get_indexer(kept["item"]), kept["rating"].to_numpy()
    begin = np.cumsum(np.bincount(number)) - np.bincount(number)
    halves = np.full((splits, 2, len(items)), np.nan)
    for split in halves:
        order = np.lexsort((rng.random(len(number)), number))
        second = (np.arange(len(number)) - begin[number[order]]) % 2 == 1
        for half, rows in zip(split, (order[~second], order[second]), strict=True):
            count = np.bincount(number[rows], minlength=len(items))
            total = np.bincount(number[rows], rating[rows], minlength=len(items))
            np.divide(total, count, out=half, where=count > 0)
    return halves


def _reliability(halves: np.ndarray) -> dict[str, float]:
    whole = ~np.isnan(halves).any(axis=(0, 1))
    if whole.sum() < _LEAST:
        return {}
    correlations = rank_correlations(halves[:, 0, whole], halves[:, 1, whole])
    if np.isnan(correlations).all():  # every half rates all items alike
        return {}
    halved = max(0.0, float(np.nanmean(correlations)))
    reliability = 2 * halved / (1 + halved)
    return {"reliability": reliability, "ceiling": np.sqrt(reliability)}


def _checked(ratings: pd.DataFrame) -> pd.DataFrame:
    missing = {"item", "annotator", "rating"} - set(ratings.columns)
    if missing:
        raise UserError(f"The ratings have no column {min(missing)}: give item, annotator and rating.")
    numbers = pd.to_numeric(ratings["rating"], errors="coerce")
    if (numbers.isna() & ratings["rating"].notna()).any():
        raise UserError("A rating is no number: give ratings as numbers, one row an item and annotator.")
    kept = ratings.assign(rating=numbers).dropna(subset="rating").drop_duplicates(["item", "annotator"])
    if kept.empty:
        raise UserError("There is no rating: give one row an item and annotator.")
    return kept
