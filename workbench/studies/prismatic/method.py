"""Prismatic Synthesis: Jung et al. 2025, arXiv 2505.20161, section 3.

It lets a pool grow where its gradients are thin. Each round (`_Round`):

1. clusters the pool's gradients by spherical k-means, k a fraction of its size;
2. shows a generator problems of the pool and has it write others, each solved N = 3 times;
3. drops problems of which fewer than τ = 2 solutions agree, and takes gradients of the others;
4. lets in those whose nearest cluster is sparse: among the k / 2 smallest.

The published rule counts clusters once a round, so that a flood of one kind fills a sparse cluster; it looks
for no repetitions or outliers, and gradients do not choose what the generator sees. Hence six arms:

- `prismatic`: examples to show come from sparse clusters; each problem let in counts at once, so that a
  cluster is open until it has grown past the others (its quota). Ties are open; who comes first wins.
- `paper`: the published rule, with examples from the whole pool, as in the released code.
- `random`: the same share let in by lot; examples from the whole pool.
- `embedding`, `n-gram`: the rule of `prismatic` with vectors of the text in place of gradients, the control
  that reviewers asked for.
- `perplexity`: lets in, and shows, what the proxy finds as hard as the harder half of the pool.

A pool's score is taken by another proxy (`scorer`) than the one that selects: what raises the score under its
own proxy alone has not made a pool more diverse. Left out is the search for test questions in the pool; those
asked here are of structures that no pool has. The gates of quality (`selection`) look at gradients in every
arm, so that arms differ in their rule alone.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, fields
from functools import partial

import numpy as np
import pandas as pd

from workbench.engine.gradients.kmeans import Clusters, nearest, spherical_kmeans
from workbench.errors import UserError
from workbench.studies.prismatic.items import Candidate, Generate, Item
from workbench.studies.prismatic.proxy import g_vendi
from workbench.studies.prismatic.selection import Growth, majority, outliers, rule, select, sparse
from workbench.studies.prismatic.vectors import Vectors, by_embedding, by_ngrams, remembered

ARMS = ("prismatic", "paper", "random", "embedding", "n-gram", "perplexity")
CONTROL = "random"  # which the others become in a placebo run
DRAWS = 5  # subsets whose mean is the score at equal size
WRITING, EXAMPLES, LOTS, SUBSETS = 1, 2, 3, 4  # random streams of a round

Keep = Callable[[str, Callable[[], pd.DataFrame]], pd.DataFrame]
"""(name, make) → the table of that name, made if it is not there; `Run.table` is one."""

DECISIONS = {
    "arm": str, "id": str, "problem": str, "solution": str, "answer": str, "source": str, "round": int,
    "wording": int, "decision": str, "reason": str, "like": str, "cluster": int, "similarity": float,
}  # fmt: skip
ITEM = [field.name for field in fields(Item)]
ROUNDS = {
    "arm": str, "round": int, "n": int, "g_vendi": float, "g_vendi_equal": float, "accepted": int,
    "proposed": int, "stopped": str,
}  # fmt: skip


def grow(
    arm: str,
    pool: Sequence[Item],
    generate: Generate,
    vectors: Vectors,
    growth: Growth,
    *,
    losses: Callable[[Sequence[Item]], np.ndarray] | None = None,
    scorer: Vectors | None = None,
    seed: int = 0,
    keep: Keep = lambda name, make: make(),
) -> tuple[list[Item], pd.DataFrame, pd.DataFrame]:
    """Grows a pool by one arm's rule until a reason to stop.

    Args:
        arm: one of `ARMS`.
        pool: to start from; the same for arms that are to be compared. Rounds count on from its last.
        generate: writes candidates; called with one example for each candidate wanted.
        vectors: gradients of items (`remembered`, if arms are to share those of the first pool).
        growth: sizes, thresholds and reasons to stop.
        losses: of items under the proxy, for the arm `perplexity`.
        scorer: gradients that the pool is scored by, of another proxy than the one that selects.
        seed: with the round it fixes every draw.
        keep: holds the tables of each round, so that a killed run goes on behind the last.

    Returns:
        The grown pool.
        A row for each candidate (`DECISIONS`): `reason` is the gate or rule that decided, `like` the item
        that a repetition repeats; `cluster` and `similarity` are of the nearest of that round's centroids in
        the arm's vectors, −1 and NaN where the candidate fell before.
        A row for the start and for each round (`ROUNDS`): `g_vendi` is of the whole pool, `g_vendi_equal` the
        mean over subsets of the first pool's size, which compares rounds and arms; the last row has the
        reason why it `stopped`.

    Raises:
        UserError: no such arm, an empty pool, two items with one id, or settings that cannot be met.
    """
    _check(arm, pool, growth, losses)
    gradients, first, start = remembered(vectors), len(pool), max(item.round for item in pool)
    pool, decisions, rounds = list(pool), [_frame(DECISIONS, [])], []
    for number in range(start, start + growth.most_rounds + 1):
        this = _Round(arm, number, pool, generate, gradients, losses, scorer or gradients, growth, seed)
        if number > start:
            decisions.append(keep(f"{arm}-{seed}-{number:02d}-decisions", this.decide))
            rows = decisions[-1].loc[decisions[-1]["decision"] == "accepted", ITEM]
            pool = pool + [Item(*row) for row in rows.itertuples(index=False)]
        score = partial(this.score, pool, first, decisions[-1], rounds)
        rounds.append(keep(f"{arm}-{seed}-{number:02d}-score", score))
        if rounds[-1]["stopped"].item():
            break
    return pool, pd.concat(decisions, ignore_index=True), pd.concat(rounds, ignore_index=True)


@dataclass(frozen=True)
class _Round:
    """One round of an arm, its steps in their order."""

    arm: str
    number: int
    pool: list[Item]
    generate: Generate
    gradients: Vectors
    losses: Callable[[Sequence[Item]], np.ndarray] | None
    scorer: Vectors
    growth: Growth
    seed: int

    def rng(self, stream: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, self.number, stream])

    @property
    def vectors(self) -> Vectors:
        """Those that the arm's rule looks at."""
        return {"embedding": by_embedding, "n-gram": by_ngrams}.get(self.arm, self.gradients)

    def decide(self) -> pd.DataFrame:
        """Proposes candidates and decides about them, in the order in which they were written."""
        clusters = self.cluster(self.vectors(self.pool))
        seed, n = int(self.rng(WRITING).integers(2**31)), self.growth.per_round
        candidates = self.generate(self.examples(clusters), n, seed)[:n]
        solved = [self.solved(i, candidate) for i, candidate in enumerate(candidates)]
        sound = [item for item, reason in solved if not reason]
        diversified = iter(self.diversify(clusters, sound) if sound else ())
        rows = []
        for item, reason in solved:
            decision = ("rejected", reason, "", -1, math.nan) if reason else next(diversified)
            rows.append((self.arm, *astuple(item), *decision))
        return _frame(DECISIONS, rows)

    def cluster(self, rows: np.ndarray) -> Clusters:
        """Step 1."""
        k = min(len(rows), max(2, round(self.growth.fraction * len(rows))))
        return spherical_kmeans(rows, k, seed=self.seed)

    def examples(self, clusters: Clusters) -> list[Item]:
        """Step 2: one for each candidate, a random member of a sparse cluster, or of the whole pool."""
        weights = np.ones(len(self.pool))
        if self.arm == "perplexity":
            weights = self.hard(self.pool).astype(float)
        elif self.arm not in ("paper", "random"):
            weights = (sparse(clusters.sizes, self.growth.ratio) / clusters.sizes)[clusters.labels]
        p = weights / weights.sum()
        return [self.pool[i] for i in self.rng(EXAMPLES).choice(len(p), self.growth.per_round, p=p)]

    def hard(self, items: Sequence[Item]) -> np.ndarray:
        """Which items the proxy finds as hard as the hardest `ratio` of the pool, bool."""
        assert self.losses is not None  # `_check` has seen to it
        least = np.quantile(self.losses(self.pool), 1 - self.growth.ratio)
        return self.losses(items) >= least

    def solved(self, number: int, candidate: Candidate) -> tuple[Item, str]:
        """Step 3: an item with the first solution that agrees; and why it falls at once, if it does."""
        answers, solutions, least = candidate.answers, candidate.solutions, self.growth.agree
        if candidate.readable and len(answers) < least:
            raise UserError(f"agree={least} needs as many attempts: let the generator make more.")
        agreeing = majority(answers, least)
        solution = solutions[agreeing[0]] if agreeing else "\n\n".join(solutions)
        answer = answers[agreeing[0]] if agreeing else None
        if answer is None:
            answer = ", ".join(answer or "none" for answer in answers)
        name = f"{self.arm}-{self.number}-{number}"
        item = Item(
            name, candidate.problem, solution, answer, candidate.source, self.number, candidate.wording
        )
        return item, "not readable" if not candidate.readable else "" if agreeing else "no agreement"

    def diversify(self, clusters: Clusters, candidates: list[Item]) -> list[tuple]:
        """Step 4, behind the gates: decision, reason, like, cluster and similarity of each candidate."""
        growth, old, new = self.growth, self.gradients(self.pool), self.gradients(candidates)
        by_gradient = clusters if self.vectors is self.gradients else self.cluster(old)
        is_outlier = outliers(old, by_gradient, new, growth.outlier)
        together = self.vectors([*self.pool, *candidates])
        if self.arm == "embedding":  # its axes are fitted to the texts at hand
            clusters = self.cluster(together[: len(old)])
        labels, similarity = nearest(together[len(old) :], clusters.centroids)
        hard = self.hard(candidates) if self.arm == "perplexity" else None
        admit = rule(self.arm, clusters.sizes, labels, growth.ratio, self.rng(LOTS), hard)
        decisions = select(self.pool, candidates, old, new, is_outlier, admit, growth)
        return [(*decision, *near) for decision, *near in zip(decisions, labels, similarity, strict=True)]

    def score(
        self, pool: list[Item], first: int, decisions: pd.DataFrame, rounds: list[pd.DataFrame]
    ) -> pd.DataFrame:
        """The row of a round, from the pool after it and its decisions."""
        rows, rng = self.scorer(pool), self.rng(SUBSETS)
        subsets = [rng.choice(len(rows), first, replace=False) for _ in range(DRAWS if rounds else 1)]
        equal = float(np.mean([g_vendi(rows[subset]) for subset in subsets]))
        n_in, n_all = int((decisions["decision"] == "accepted").sum()), len(decisions)
        gain = equal - rounds[-1]["g_vendi_equal"].item() if rounds else math.inf
        reason = _stop(self.growth, len(rounds), len(rows), n_in, n_all, gain) if rounds else ""
        row = (self.arm, self.number, len(rows), g_vendi(rows), equal, n_in, n_all, reason)
        return _frame(ROUNDS, [row])


def _stop(growth: Growth, n_rounds: int, n: int, n_in: int, n_all: int, gain: float) -> str:
    """The reason to stop after a round; empty to go on."""
    if n >= growth.target:
        return "target reached"
    if not n_all:
        return "no candidates"
    if n_in < growth.least_accepted * n_all:
        return "few accepted"
    if growth.least_gain is not None and gain < growth.least_gain:
        return "little gain"
    return "last round" if n_rounds == growth.most_rounds else ""


def _frame(columns: dict[str, type], rows: list[tuple]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(columns)).astype(columns)


def _check(
    arm: str, pool: Sequence[Item], growth: Growth, losses: Callable[[Sequence[Item]], np.ndarray] | None
) -> None:
    if arm not in ARMS:
        raise UserError(f"There is no arm {arm!r}: choose one of {', '.join(ARMS)}.")
    if arm == "perplexity" and losses is None:
        raise UserError("The arm perplexity needs the proxy's losses of items: give losses.")
    if not pool:
        raise UserError("The pool is empty: give it at least one problem to start from.")
    if len({item.id for item in pool}) < len(pool):
        raise UserError("Two items of the pool have the same id: give each its own.")
    if growth.target <= len(pool):
        raise UserError(
            f"The pool has {len(pool)} items already: choose a larger target than {growth.target}."
        )
