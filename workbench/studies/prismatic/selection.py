"""Which candidates of Prismatic Synthesis come into the pool: gates of quality, then an arm's rule.

Candidates are judged one after the other, so that each one let in counts for the next.
"""

from collections.abc import Callable, Sequence

import numpy as np

from workbench.engine.gradients.kmeans import Clusters, nearest
from workbench.measures.vocabulary import words
from workbench.studies.prismatic.generators import Item

Verdict = tuple[str, str, str]
"""decision, reason, and the id of the item that a repetition repeats."""
Admit = Callable[[int], tuple[bool, str]]
"""Place of a candidate → whether the rule lets it in, and the reason; it counts those that come in."""


def sparse(sizes: np.ndarray, ratio: float) -> np.ndarray:
    """Which clusters are sparse, bool (k,): the smallest `ratio` of them, and ties with the last of these.

    The released code compares strictly with the next larger size, so that ties of small clusters shut each
    other out, and it breaks at a ratio of one.
    """
    within = max(1, int(ratio * len(sizes)))
    return sizes <= np.sort(sizes)[within - 1]


def rule(arm: str, sizes: np.ndarray, labels: np.ndarray, ratio: float, rng: np.random.Generator) -> Admit:
    """The rule of an arm of `synthesis`.

    Args:
        arm: `paper` counts clusters once, `random` draws lots, the others count as candidates come in.
        sizes: of the pool's clusters, shape (k,).
        labels: nearest cluster of each candidate, shape (m,).
        ratio: share of clusters that are sparse, or of lots that win.
        rng: of the lots of `random`.
    """
    if arm == "random":
        lots = rng.random(len(labels)) < ratio
        return lambda at: (bool(lots[at]), "lot")
    sizes, first = sizes.copy(), sparse(sizes, ratio)

    def admit(at: int) -> tuple[bool, str]:
        is_in = bool((first if arm == "paper" else sparse(sizes, ratio))[labels[at]])
        sizes[labels[at]] += is_in
        return is_in, "sparse cluster" if is_in else "dense cluster"

    return admit


def judge(
    pool: Sequence[Item],
    candidates: Sequence[Item],
    known: np.ndarray,
    new: np.ndarray,
    is_far: np.ndarray,
    admit: Admit,
    *,
    duplicate: float,
    target: int,
) -> list[Verdict]:
    """Repetitions, outliers, then the rule, until the pool has its size.

    Args:
        pool: what is there.
        candidates: in the order in which they came.
        known: unit vectors of the pool, shape (n, d).
        new: unit vectors of the candidates, shape (m, d).
        is_far: which candidates are outliers, bool (m,).
        admit: the rule; asked last, about those that passed everything else.
        duplicate: cosine to anything inside above which a candidate repeats it.
        target: size of the pool at which nothing more comes in.
    """
    texts = {_normal(item.problem): item.id for item in pool}
    ids = [item.id for item in [*pool, *candidates]]
    (like, closest), among = nearest(new, known), new @ new.T
    n, verdicts = len(pool), []
    for at, item in enumerate(candidates):
        text = _normal(item.problem)
        if text in texts:
            verdicts.append(("rejected", "same text", texts[text]))
        elif closest[at] > duplicate:
            verdicts.append(("rejected", "near duplicate", ids[like[at]]))
        elif is_far[at]:
            verdicts.append(("rejected", "outlier", ""))
        elif n >= target:
            verdicts.append(("rejected", "target reached", ""))
        else:
            is_in, reason = admit(at)
            verdicts.append(("accepted" if is_in else "rejected", reason, ""))
            if is_in:
                n, texts[text] = n + 1, item.id
                closer = among[at] > closest
                closest[closer], like[closer] = among[at][closer], len(pool) + at
    return verdicts


def far(known: np.ndarray, crowds: Clusters, new: np.ndarray, quantile: float) -> np.ndarray:
    """Which candidates are farther from every centroid than all but a `quantile` of the pool, bool (m,).

    The pool's own cosines leave the item itself out of its centroid, which it would otherwise pull to
    itself: an item alone in its cluster is as far as the next one.
    """
    sums = np.zeros_like(crowds.centroids)
    np.add.at(sums, crowds.labels, known)
    usual = np.empty(len(known))
    for first in range(0, len(known), 1024):
        rows, labels = known[first : first + 1024], crowds.labels[first : first + 1024]
        cosines, others = rows @ crowds.centroids.T, sums[labels] - rows
        lengths = np.linalg.norm(others, axis=1)
        own = np.where(crowds.sizes[labels] > 1, (rows * others).sum(1) / np.maximum(lengths, 1e-9), -1)
        cosines[np.arange(len(rows)), labels] = own
        usual[first : first + 1024] = cosines.max(axis=1)
    return nearest(new, crowds.centroids)[1] < np.quantile(usual, quantile)


def _normal(text: str) -> str:
    return " ".join(words(text))
