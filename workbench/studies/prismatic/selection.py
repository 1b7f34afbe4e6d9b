"""Which candidates of Prismatic Synthesis come into the pool: gates of quality, then an arm's rule.

Candidates are decided one after the other, so that each one let in counts for the next.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from workbench.engine.gradients.kmeans import Clusters, nearest
from workbench.errors import UserError
from workbench.studies.prismatic.items import Item
from workbench.words import words

Decision = tuple[str, str, str]
"""decision, reason, and the id of the item that a repetition repeats."""
Rule = Callable[[int], tuple[bool, str]]
"""Number of a candidate → whether the rule lets it in, and the reason; it counts those that come in."""


@dataclass(frozen=True)
class Growth:
    """How a pool grows."""

    target: int  #: size at which it stops
    per_round: int = 128  #: candidates a round
    #: clusters for each item of the pool: k = max(2, round(fraction · n)). Paper 0.01, code 0.1.
    fraction: float = 0.1
    ratio: float = 0.5  #: share of clusters that count as sparse; of candidates that `random` lets in
    agree: int = 2  #: solutions of a candidate that must give one answer (the paper's τ, 2 of 3)
    duplicate: float = 0.95  #: cosine to an item above which a candidate repeats it
    #: quantile of the pool's cosines to their centroids; candidates below it are too far from all.
    outlier: float = 0.02
    least_accepted: float = 0.02  #: stop after a round that lets in a smaller share of its candidates
    #: stop after a round in which G-Vendi at equal size grows by less; None for never.
    least_gain: float | None = None
    most_rounds: int = 50  #: stop after so many

    def __post_init__(self) -> None:
        if min(self.per_round, self.agree, self.most_rounds) < 1:
            raise UserError("per_round, agree and most_rounds must be 1 or more.")
        if not (0 < self.fraction <= 1 and 0 < self.ratio <= 1 and 0 <= self.outlier < 1):
            raise UserError(
                "fraction and ratio are shares above 0 up to 1, and outlier one from 0 to below 1."
            )


def majority(answers: Sequence[str | None], least: int) -> list[int]:
    """Numbers of the solutions that give the most frequent answer: Jung et al. 2025, section 3, τ = `least`.

    None when fewer than `least` agree, or when two answers are equally frequent. A missing answer agrees
    with nothing. (The released code rounds its threshold down to one, which keeps solutions that contradict
    each other.)
    """
    counts = Counter(answer for answer in answers if answer is not None).most_common(2)
    if not counts or counts[0][1] < least or (len(counts) == 2 and counts[0][1] == counts[1][1]):
        return []
    return [number for number, answer in enumerate(answers) if answer == counts[0][0]]


def outliers(gradients: np.ndarray, clusters: Clusters, new: np.ndarray, quantile: float) -> np.ndarray:
    """Which candidates are farther from every centroid than all but a `quantile` of the pool, bool (m,).

    The pool's cosines leave the item itself out of its centroid, which it would otherwise pull to itself: an
    item alone in its cluster is as far as the next one.
    """
    sums = np.zeros_like(clusters.centroids)
    np.add.at(sums, clusters.labels, gradients)
    closest = np.empty(len(gradients))
    for start in range(0, len(gradients), 1024):
        rows, labels = gradients[start : start + 1024], clusters.labels[start : start + 1024]
        cosines, others = rows @ clusters.centroids.T, sums[labels] - rows
        lengths = np.maximum(np.linalg.norm(others, axis=1), 1e-9)
        alone = clusters.sizes[labels] == 1
        cosines[np.arange(len(rows)), labels] = np.where(alone, -1, (rows * others).sum(1) / lengths)
        closest[start : start + 1024] = cosines.max(axis=1)
    return nearest(new, clusters.centroids)[1] < np.quantile(closest, quantile)


def sparse(sizes: np.ndarray, ratio: float) -> np.ndarray:
    """Which clusters are sparse, bool (k,): the smallest `ratio` of them, and ties with the last of these.

    The released code compares strictly with the next larger size, so that ties of small clusters shut each
    other out, and it breaks at a ratio of one.
    """
    within = max(1, int(ratio * len(sizes)))
    return sizes <= np.sort(sizes)[within - 1]


def rule(
    arm: str,
    sizes: np.ndarray,
    labels: np.ndarray,
    ratio: float,
    rng: np.random.Generator,
    hard: np.ndarray | None = None,
) -> Rule:
    """The rule of an arm of `method`.

    Args:
        arm: `paper` counts clusters once, `random` draws lots, `perplexity` lets in what is hard, the others
            count as candidates come in.
        sizes: of the pool's clusters, shape (k,).
        labels: nearest cluster of each candidate, shape (m,).
        ratio: share of clusters that are sparse, or of lots that win.
        rng: of the lots of `random`.
        hard: which candidates `perplexity` lets in, bool (m,).
    """
    if arm == "perplexity":
        assert hard is not None
        return lambda number: (bool(hard[number]), "hard" if hard[number] else "easy")
    if arm == "random":
        lots = rng.random(len(labels)) < ratio
        return lambda number: (bool(lots[number]), "lot")
    sizes, at_first = sizes.copy(), sparse(sizes, ratio)

    def admit(number: int) -> tuple[bool, str]:
        is_open = at_first if arm == "paper" else sparse(sizes, ratio)
        is_in = bool(is_open[labels[number]])
        sizes[labels[number]] += is_in
        return is_in, "sparse cluster" if is_in else "dense cluster"

    return admit


def select(
    pool: Sequence[Item],
    candidates: Sequence[Item],
    gradients: np.ndarray,
    new: np.ndarray,
    is_outlier: np.ndarray,
    admit: Rule,
    growth: Growth,
) -> list[Decision]:
    """Repetitions, outliers, then the rule, until the pool has its size.

    Args:
        candidates: in the order in which they came.
        gradients: unit vectors of the pool, shape (n, d).
        new: unit vectors of the candidates, shape (m, d).
        is_outlier: bool (m,).
        admit: the rule; asked last, about those that passed everything else.
        growth: its `duplicate` and `target`.
    """
    texts = {_normal(item.problem): item.id for item in pool}
    ids = [item.id for item in [*pool, *candidates]]
    (like, closest), among = nearest(new, gradients), new @ new.T
    size, decisions = len(pool), []
    for number, item in enumerate(candidates):
        text = _normal(item.problem)
        if text in texts:
            decisions.append(("rejected", "same text", texts[text]))
        elif closest[number] > growth.duplicate:
            decisions.append(("rejected", "near duplicate", ids[like[number]]))
        elif is_outlier[number]:
            decisions.append(("rejected", "outlier", ""))
        elif size >= growth.target:
            decisions.append(("rejected", "target reached", ""))
        else:
            is_in, reason = admit(number)
            decisions.append(("accepted" if is_in else "rejected", reason, ""))
            if is_in:
                size, texts[text] = size + 1, item.id
                closer = among[number] > closest
                closest[closer], like[closer] = among[number][closer], len(pool) + number
    return decisions


def _normal(text: str) -> str:
    return " ".join(words(text))
