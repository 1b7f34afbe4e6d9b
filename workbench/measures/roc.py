"""Areas under ROC curves of many scores at once, exact, with a bootstrap over groups of items."""

import numpy as np

_ROWS = 64  # rows ranked at a time


def midranks(values: np.ndarray) -> np.ndarray:
    """Ranks of each row's values about their mean, as shares of their number; ties get their mean rank.

    Args:
        values: `[rows, items]`, without NaN.

    Returns:
        float32 `[rows, items]` between -1/2 and 1/2: (rank - (n + 1) / 2) / n.
    """
    count = values.shape[1]
    ranks = np.empty(values.shape, dtype=np.float32)
    for start in range(0, len(values), _ROWS):
        part = values[start : start + _ROWS]
        inside = np.sort(part, axis=1)
        tied = np.zeros(part.shape, dtype=bool)
        np.equal(inside[:, 1:], inside[:, :-1], out=tied[:, 1:])
        rank = np.tile(np.arange(count, dtype=np.float32), (len(part), 1))
        _level(rank, np.flatnonzero(tied))
        rank -= (count - 1) / 2
        np.put_along_axis(ranks[start : start + _ROWS], np.argsort(part, axis=1), rank / count, 1)
    return ranks


def _level(ranks: np.ndarray, tied: np.ndarray) -> None:
    """Gives every run of ties its mean place; `tied` are flat indices of items equal to the one before."""
    if not len(tied):
        return
    begins = np.flatnonzero(np.diff(tied, prepend=-2) != 1)
    sizes = np.diff(begins, append=len(tied))
    first = tied[begins] - 1
    flat = ranks.reshape(-1)
    middle = flat[first] + sizes.astype(np.float32) / 2
    flat[first] = middle
    flat[tied] = np.repeat(middle, sizes)


def aucs(ranks: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Exact AUC of every row of scores for every mask, by the Mann-Whitney statistic.

    Args:
        ranks: of `midranks`, `[rows, items]`.
        masks: bool `[items, masks]`: the items that should have the higher scores.

    Returns:
        `[rows, masks]`; NaN where a mask holds no item, or all.
    """
    inside = masks.sum(0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = ranks @ (masks / inside).astype(np.float32)
        return 0.5 + mean.astype(float) * len(masks) / (len(masks) - inside)


def resampled_aucs(ranks: np.ndarray, mask: np.ndarray, group: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """AUC of every row on resampled groups, to first order in their weights.

    The AUC is the mean, over items of the mask, of the share of other items below them, and the mean over the
    others of the share above them (DeLong et al. 1988, with clusters as in Obuchowski 1997). Each mean is
    taken over the groups drawn, what the shares compare with stays.

    Args:
        ranks: of `midranks`, `[rows, items]`.
        mask: bool `[items]`.
        group: number of each item's group, `[items]`, in order.
        weights: how often each group was drawn, `[draws, groups]`.

    Returns:
        `[rows, draws]`.
    """
    count, inside = len(mask), int(mask.sum())
    # Ranks 1, 1.5, 2, … doubled.
    twice = np.rint(2 * count * ranks.astype(float)).astype(np.int64) + count + 1
    below = np.empty((len(ranks), inside))
    above = np.empty((len(ranks), count - inside))
    for row, rank in enumerate(twice):
        table = np.bincount(rank[mask], minlength=2 * count + 1)
        lower = table.cumsum() - (table + 0.0) / 2  # items of the mask below a rank, those on it by half
        below[row] = (rank[mask] / 2 - 0.5 - lower[rank[mask]]) / (count - inside)
        above[row] = 1 - lower[rank[~mask]] / inside
    value = below.mean(1, keepdims=True)
    return _drawn(below, group[mask], weights) + _drawn(above, group[~mask], weights) - value


def _drawn(values: np.ndarray, group: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Means over the items of the groups drawn, `[rows, draws]`; over all items where none was drawn."""
    starts = np.flatnonzero(np.diff(group, prepend=-1))
    sums, counts = np.add.reduceat(values, starts, axis=1), np.diff(starts, append=len(group))
    drawn = weights[:, group[starts]].T.astype(float)  # [groups, draws]
    with np.errstate(invalid="ignore"):
        means = (sums @ drawn) / (counts @ drawn)
    return np.where(np.isnan(means), values.mean(1)[:, None], means)


def resampled_hits(
    scores: np.ndarray, mask: np.ndarray, group: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Of the highest scores, as many as the mask has items, the share that are the mask's: `[draws]`.

    Args:
        scores: `[items]`; the other arguments as for `resampled_aucs`.
    """
    order, total = np.argsort(-scores, kind="stable"), weights[:, group[mask]].sum(1, keepdims=True)
    for enough in (4 * int(mask.sum()) + 100, len(order)):
        drawn = weights[:, group[order[:enough]]]
        before = drawn.cumsum(1) - drawn
        if (before[:, -1:] >= total).all():
            break
    taken = np.clip(total - before, 0, drawn)  # the last place may take part of a group
    return (taken * mask[order[:enough]]).sum(1) / np.maximum(total[:, 0], 1)
