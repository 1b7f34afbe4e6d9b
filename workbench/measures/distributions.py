"""Distances between distributions over the options of a question, and what they are to be held against.

Distributions are arrays `[..., options]` of shares that sum to one; items with fewer options than the widest
are filled up with NaN (`stack`). Every name says its unit: papers call "JS" the divergence in nats (Spectrum
Tuning), its square root (Modular Pluralism, arXiv 2406.15951) and one minus the root (GlobalOpinionQA).
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import entr, rel_entr

TOLERANCE = 1e-6
Distance = Callable[[ArrayLike, ArrayLike], np.ndarray]


def stack(distributions: Sequence[Sequence[float]]) -> np.ndarray:
    """Distributions of different lengths as one array `[items, most options]`, filled up with NaN."""
    filled = np.full((len(distributions), max(map(len, distributions), default=0)), np.nan)
    for row, values in zip(filled, distributions, strict=True):
        row[: len(values)] = values
    return filled


def jsd_nats(p: ArrayLike, q: ArrayLike) -> np.ndarray:
    """Jensen-Shannon divergence in nats, from 0 to ln 2: mean KL of both to their mean."""
    first, second, _ = _pair(p, q)
    middle = (first + second) / 2
    return np.clip((rel_entr(first, middle) + rel_entr(second, middle)).sum(-1) / 2, 0, None)


def jsd_bits(p: ArrayLike, q: ArrayLike) -> np.ndarray:
    """Jensen-Shannon divergence in bits, from 0 to 1."""
    return jsd_nats(p, q) / np.log(2)


def root_jsd_nats(p: ArrayLike, q: ArrayLike) -> np.ndarray:
    """Square root of `jsd_nats` (a metric), from 0 to 0.8326; what `scipy`'s jensenshannon gives."""
    return np.sqrt(jsd_nats(p, q))


def total_variation(p: ArrayLike, q: ArrayLike) -> np.ndarray:
    """Half the summed absolute differences, from 0 to 1: the share of answers that would have to change."""
    first, second, _ = _pair(p, q)
    return np.abs(first - second).sum(-1) / 2


def kl_nats(p: ArrayLike, q: ArrayLike, epsilon: float = 1e-6) -> np.ndarray:
    """Kullback-Leibler divergence of p from q in nats; `epsilon` is added to every option of both first."""
    first, second, there = _pair(p, q)
    smooth = [
        np.where(there, side + epsilon, 0) / (1 + epsilon * there.sum(-1, keepdims=True))
        for side in (first, second)
    ]
    return np.clip(rel_entr(*smooth).sum(-1), 0, None)


def wasserstein_share(p: ArrayLike, q: ArrayLike, codes: ArrayLike) -> np.ndarray:
    """1-Wasserstein distance over ordinal options as a share of the largest possible, from 0 to 1.

    Santurkar et al. 2023, arXiv 2303.17548, whose representativeness is 1 minus the mean of it. NaN where
    the scale says nothing: no codes (NaN), or all codes equal.

    Args:
        codes: places of the options on their scale, `[options]` or `[..., options]`, in any order.
    """
    first, second, there = _pair(p, q)
    positions = np.broadcast_to(np.asarray(codes, dtype=float), first.shape)
    known = there & ~np.isnan(positions)
    order = np.argsort(np.where(known, positions, np.inf), axis=-1)
    sorted_positions = np.take_along_axis(positions, order, -1)
    gap = np.take_along_axis(first - second, order, -1).cumsum(-1)
    work = np.abs(gap[..., :-1]) * np.nan_to_num(np.diff(sorted_positions, axis=-1))
    width = np.where(known, positions, -np.inf).max(-1) - np.where(known, positions, np.inf).min(-1)
    usable = (known == there).all(-1) & (width > 0)
    return np.where(usable, work.sum(-1) / np.where(usable, width, 1), np.nan)


def entropy_nats(p: ArrayLike) -> np.ndarray:
    """Shannon entropy in nats."""
    return entr(_pair(p, p)[0]).sum(-1)


def entropy_ratio(model: ArrayLike, human: ArrayLike) -> np.ndarray:
    """Entropy of the model over that of the people: below 1 it has collapsed; NaN where all people agree."""
    people = entropy_nats(human)
    return np.where(people > 0, entropy_nats(model) / np.where(people > 0, people, 1), np.nan)


def mode_match(model: ArrayLike, human: ArrayLike) -> np.ndarray:
    """Whether the model's most likely option is a most frequent one; ties in the model count as shares."""
    first, second, there = _pair(model, human)
    model_modes = there & np.isclose(first, first.max(-1, keepdims=True), rtol=0, atol=1e-12)
    human_modes = there & np.isclose(second, second.max(-1, keepdims=True), rtol=0, atol=1e-12)
    return (model_modes & human_modes).sum(-1) / model_modes.sum(-1)


MEASURES: dict[str, Distance] = {
    "jsd_nats": jsd_nats,
    "jsd_bits": jsd_bits,
    "root_jsd_nats": root_jsd_nats,
    "total_variation": total_variation,
    "kl_nats": lambda model, human: kl_nats(human, model),
    "entropy_ratio": entropy_ratio,
    "mode_match": mode_match,
}
"""Measures of (model, human); `kl_nats` is of the people from the model. `wasserstein_share` needs codes."""


# ------------------------------------------------------------------------------- what to hold them against
def uniform(like: ArrayLike) -> np.ndarray:
    """Equal shares over each item's options."""
    there = ~np.isnan(np.asarray(like, dtype=float))
    return np.where(there, 1 / there.sum(-1, keepdims=True), np.nan)


def best_constant(p: ArrayLike) -> np.ndarray:
    """The one distribution `[options]` whose mean JSD to all items is least.

    Where its slope vanishes, it is the normalised geometric mean of its midpoints with the items; repeating
    that leads there.

    Args:
        p: `[items, options]`, all with the same options.
    """
    items, _, there = _pair(p, p)
    if not there.all():
        raise ValueError("one answer to all items needs items with the same options")
    best = items.mean(0)
    for _ in range(500):
        logs = np.log(np.where(best > 0, (items + best) / 2, 1)).mean(0)
        best = np.where(best > 0, np.exp(logs), 0)
        best /= best.sum()
    return best


def noise_floor(p: ArrayLike, n: ArrayLike, distance: Distance = jsd_nats) -> np.ndarray:
    """Distance between two halves of the people who were asked: the noise in their answers.

    Both halves are drawn from the observed shares (multinomial), so it is an estimate; a model that knew the
    shares of all people would be about a quarter as far (in JSD) from the n who answered.

    Args:
        p: `[items, options]`.
        n: people behind each item; NaN, or fewer than 2, gives NaN.

    Returns:
        `[items]`, the mean over 200 pairs of halves.
    """
    half, rng = np.asarray(n, dtype=float) // 2, np.random.default_rng(0)
    noise = distance(_drawn(p, half, rng), _drawn(p, half, rng)).mean(0)
    return np.where(half >= 1, noise, np.nan)


def sampling_floor(p: ArrayLike, n: ArrayLike, distance: Distance = jsd_nats) -> np.ndarray:
    """Distance of n answers drawn from `p` from `p` itself: what as many samples of a perfect model have.

    Args as of `noise_floor`.
    """
    number = np.asarray(n, dtype=float)
    noise = distance(_drawn(p, number, np.random.default_rng(0)), p).mean(0)
    return np.where(number >= 1, noise, np.nan)


def rescaled(values: ArrayLike, guessing: ArrayLike) -> float:
    """SimBench's score: 100 · (1 − mean distance / mean distance of equal shares).

    100 is exact, 0 is guessing, below 0 is worse than guessing. Its distance is the total variation.
    """
    ours, equal = np.asarray(values, dtype=float), np.asarray(guessing, dtype=float)
    return float(100 * (1 - np.nanmean(ours) / np.nanmean(equal)))


def _drawn(p: ArrayLike, n: np.ndarray, rng: np.random.Generator, draws: int = 200) -> np.ndarray:
    """Shares among n (at least one) people drawn from p, `[draws, items, options]`."""
    shares, _, there = _pair(p, p)
    asked = np.broadcast_to(np.where(n >= 1, n, 1).astype(int), len(shares))
    return np.where(there, rng.multinomial(asked, shares, size=(draws, len(shares))) / asked[:, None], np.nan)


def _pair(p: ArrayLike, q: ArrayLike) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Both with zeros where there is no option, and where there is one."""
    first, second = np.broadcast_arrays(np.asarray(p, dtype=float), np.asarray(q, dtype=float))
    there = ~np.isnan(first)
    if (there != ~np.isnan(second)).any():
        raise ValueError("two distributions that are compared must have the same options")
    zeros = [np.where(there, side, 0.0) for side in (first, second)]
    for side in zeros:
        if side.size and ((side < 0).any() or np.abs(side.sum(-1) - 1).max() > TOLERANCE):
            raise ValueError("a distribution must hold shares of 0 or more that sum to one")
    return zeros[0], zeros[1], there
