"""Prismatic Synthesis: a pool of problems grows where it is thin (Jung et al. 2025, arXiv 2505.20161, §3).

A round clusters the pool's vectors, shows a generator examples, drops what fails the gates of quality, and
lets the rest in by a rule about the nearest cluster. Five arms share that loop:

- `prismatic`: gradient vectors. Examples come from sparse clusters. A cluster is sparse when it is among the
  smallest share of clusters **as they are at that moment**: each problem let in counts at once, so that a
  cluster is open until it has grown past the others (its quota). Ties are open; who comes first wins.
- `paper`: the published rule. Clusters are counted once a round, so a sparse one takes whatever comes;
  examples come from the whole pool, as in the released code.
- `random`: the same share let in by lot; examples from the whole pool.
- `embedding`, `n-gram`: the rule of `prismatic` with vectors of the text in place of gradients.

The gates look at gradients in every arm, so that arms differ in their rule alone.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, fields
from functools import partial

import numpy as np
import pandas as pd

from workbench.engine.encoders import embed
from workbench.engine.gradients.kmeans import Clusters, nearest, spherical_kmeans
from workbench.errors import UserError
from workbench.measures.vendi import vendi_from_features
from workbench.measures.vocabulary import words
from workbench.studies.prismatic.generators import Candidate, Generate, Item, agreeing
from workbench.studies.prismatic.selection import far, judge, rule, sparse

ARMS = ("prismatic", "paper", "random", "embedding", "n-gram")
DRAWS = 5  # subsets whose mean is the score at equal size
WRITING, EXAMPLES, LOTS, SUBSETS = 1, 2, 3, 4  # random streams of a round

Vectors = Callable[[Sequence[Item]], np.ndarray]
"""Items to unit rows [n, d]; a row depends on its item alone."""
Keep = Callable[[str, Callable[[], pd.DataFrame]], pd.DataFrame]
"""(name, make) → the table of that name, made if it is not there; `Run.table` is one."""

DECISIONS = {
    "arm": str, "id": str, "problem": str, "solution": str, "answer": str, "source": str, "round": int,
    "decision": str, "reason": str, "like": str, "cluster": int, "similarity": float,
}  # fmt: skip
ROUNDS = {
    "arm": str, "round": int, "n": int, "g_vendi": float, "g_vendi_equal": float, "accepted": int,
    "proposed": int, "stopped": str,
}  # fmt: skip


@dataclass(frozen=True)
class Growth:
    """How a pool grows.

    Attributes:
        target: size at which it stops.
        per_round: candidates a round.
        fraction: clusters for each item of the pool: k = max(2, round(fraction · n)). Paper 0.01, code 0.1.
        ratio: share of clusters that count as sparse; of candidates that `random` lets in.
        agree: solutions of a candidate that must give one answer (the paper's τ, 2 of 3).
        duplicate: cosine to an item above which a candidate repeats it.
        outlier: quantile of the pool's cosines to their centroids; candidates below it are too far from all.
        least_accepted: stop after a round that lets in a smaller share of its candidates.
        least_gain: stop after a round in which G-Vendi at equal size grows by less; None for never.
        most_rounds: stop after so many.
    """

    target: int
    per_round: int = 128
    fraction: float = 0.1
    ratio: float = 0.5
    agree: int = 2
    duplicate: float = 0.95
    outlier: float = 0.02
    least_accepted: float = 0.02
    least_gain: float | None = None
    most_rounds: int = 50


def grow(
    arm: str,
    pool: Sequence[Item],
    generate: Generate,
    vectors: Vectors,
    growth: Growth,
    *,
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
    _check(arm, pool, growth)
    loop = _Loop(arm, generate, remembered(vectors), growth, seed)
    n_first, pool, start = len(pool), list(pool), max(item.round for item in pool)
    decisions, rounds = [_frame(DECISIONS, [])], []
    for number in range(start, start + growth.most_rounds + 1):
        if number > start:
            make = partial(_decide, loop, number, pool)
            decisions.append(keep(f"{arm}-{seed}-{number:02d}-decisions", make))
            pool = pool + accepted(decisions[-1])
        make = partial(_score, loop, number, pool, n_first, decisions[-1], rounds)
        rounds.append(keep(f"{arm}-{seed}-{number:02d}-score", make))
        if rounds[-1]["stopped"].item():
            break
    return pool, pd.concat(decisions, ignore_index=True), pd.concat(rounds, ignore_index=True)


def accepted(decisions: pd.DataFrame) -> list[Item]:
    """The items that a log let in, in order: with the first pool, the pool after its last round."""
    rows = decisions[decisions["decision"] == "accepted"][[field.name for field in fields(Item)]]
    return [Item(*row) for row in rows.itertuples(index=False)]


def remembered(vectors: Vectors) -> Vectors:
    """Calls `vectors` for items alone whose problem and solution are new.

    Raises:
        ValueError: (when called) rows that are not of unit length, or not one for each item.
    """
    known: dict[tuple[str, str], np.ndarray] = {}

    def rows(items: Sequence[Item]) -> np.ndarray:
        keys = [(item.problem, item.solution) for item in items]
        new = {key: item for key, item in zip(keys, items, strict=True) if key not in known}
        if new:
            found = np.asarray(vectors(list(new.values())))
            if not np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-3):
                raise ValueError("vectors must have rows of unit length, without NaN")
            known.update(zip(new, found, strict=True))
        return np.stack([known[key] for key in keys])

    return rows


# ------------------------------------------------------------------------------- a round
@dataclass(frozen=True)
class _Loop:
    """What all rounds of an arm share."""

    arm: str
    generate: Generate
    vectors: Vectors
    growth: Growth
    seed: int

    def rng(self, number: int, stream: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, number, stream])

    @property
    def space(self) -> Vectors:
        return {"embedding": by_embedding, "n-gram": by_ngrams}.get(self.arm, self.vectors)

    def clusters(self, rows: np.ndarray) -> Clusters:
        k = min(len(rows), max(2, round(self.growth.fraction * len(rows))))
        return spherical_kmeans(rows, k, seed=self.seed)


def _decide(loop: _Loop, number: int, pool: list[Item]) -> pd.DataFrame:
    """The decisions about a round's candidates, in the order in which they were written."""
    n, crowds = loop.growth.per_round, loop.clusters(loop.space(pool))
    examples = _examples(loop, pool, crowds, loop.rng(number, EXAMPLES))
    written = loop.generate(examples, n, int(loop.rng(number, WRITING).integers(2**31)))[:n]
    read = [_read(loop, number, place, each) for place, each in enumerate(written)]
    sound = [item for item, reason in read if not reason]
    verdicts = iter(_verdicts(loop, number, pool, sound, crowds) if sound else ())
    rows = []
    for item, reason in read:
        verdict = ("rejected", reason, "", -1, math.nan) if reason else next(verdicts)
        rows.append((loop.arm, *astuple(item), *verdict))
    return _frame(DECISIONS, rows)


def _examples(loop: _Loop, pool: list[Item], crowds: Clusters, rng: np.random.Generator) -> list[Item]:
    """One example for each candidate: of a random sparse cluster a random member, or of the whole pool."""
    weights = np.ones(len(pool))
    if loop.arm not in ("paper", "random"):
        weights = (sparse(crowds.sizes, loop.growth.ratio) / crowds.sizes)[crowds.labels]
    drawn = rng.choice(len(pool), loop.growth.per_round, p=weights / weights.sum())
    return [pool[at] for at in drawn]


def _read(loop: _Loop, number: int, place: int, written: Candidate) -> tuple[Item, str]:
    """A candidate as an item, with the first solution that agrees; and why it falls at once, if it does."""
    if written.readable and len(written.answers) < loop.growth.agree:
        raise UserError(f"agree={loop.growth.agree} needs as many attempts: let the generator make more.")
    agreed = agreeing(written.answers, loop.growth.agree)
    solution = written.solutions[agreed[0]] if agreed else "\n\n".join(written.solutions)
    answer = written.answers[agreed[0]] if agreed else ", ".join(each or "none" for each in written.answers)
    item = Item(f"{loop.arm}-{number}-{place}", written.problem, solution, answer, written.source, number)
    return item, "not readable" if not written.readable else "" if agreed else "no agreement"


def _verdicts(
    loop: _Loop, number: int, pool: list[Item], sound: list[Item], crowds: Clusters
) -> list[tuple[str, str, str, int, float]]:
    """Decision, reason, like, cluster and similarity of candidates that can be read and agree."""
    known, new, growth = loop.vectors(pool), loop.vectors(sound), loop.growth
    by_gradient = crowds if loop.space is loop.vectors else loop.clusters(known)
    is_far = far(known, by_gradient, new, growth.outlier)
    both = loop.space([*pool, *sound])
    if loop.arm == "embedding":  # its axes are fitted to the texts at hand
        crowds = loop.clusters(both[: len(pool)])
    labels, similarity = nearest(both[len(pool) :], crowds.centroids)
    admit = rule(loop.arm, crowds.sizes, labels, growth.ratio, loop.rng(number, LOTS))
    limits = {"duplicate": growth.duplicate, "target": growth.target}
    judged = judge(pool, sound, known, new, is_far, admit, **limits)
    return [(*each, *place) for each, *place in zip(judged, labels, similarity, strict=True)]


# ------------------------------------------------------------------------------- scores and reasons to stop
def _score(
    loop: _Loop, number: int, pool: list[Item], n_first: int, last: pd.DataFrame, rounds: list[pd.DataFrame]
) -> pd.DataFrame:
    """The row of a round, from the pool after it and its decisions."""
    rows = loop.vectors(pool)
    rng = loop.rng(number, SUBSETS)
    subsets = [rng.choice(len(rows), n_first, replace=False) for _ in range(DRAWS if rounds else 1)]
    equal = float(np.mean([vendi_from_features(rows[subset]) for subset in subsets]))
    n_in, n_all = int((last["decision"] == "accepted").sum()), len(last)
    gain = equal - rounds[-1]["g_vendi_equal"].item() if rounds else math.inf
    why = _stop(loop.growth, len(rounds), len(pool), n_in, n_all, gain) if rounds else ""
    return _frame(ROUNDS, [(loop.arm, number, len(pool), vendi_from_features(rows), equal, n_in, n_all, why)])


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


# ------------------------------------------------------------------------------- texts and tables
def _text(item: Item) -> str:
    return f"{item.problem}\n{item.solution}"


def by_embedding(items: Sequence[Item]) -> np.ndarray:
    """Embeddings of problem and solution; all items that are to be compared go through one call."""
    return embed([_text(item) for item in items])


def by_ngrams(items: Sequence[Item]) -> np.ndarray:
    """Unit counts of one to three words in a row of problem and solution, hashed, shape (n, 2048)."""
    from sklearn.feature_extraction.text import HashingVectorizer

    hashing = HashingVectorizer(
        tokenizer=words, token_pattern=None, ngram_range=(1, 3), n_features=2048, alternate_sign=False
    )
    return hashing.transform([_text(item) for item in items]).toarray()


def _frame(columns: dict[str, type], rows: list[tuple]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(columns)).astype(columns)


def _check(arm: str, pool: Sequence[Item], growth: Growth) -> None:
    if arm not in ARMS:
        raise UserError(f"There is no arm {arm!r}: choose one of {', '.join(ARMS)}.")
    if not pool:
        raise UserError("The pool is empty: give it at least one problem to start from.")
    if len({item.id for item in pool}) < len(pool):
        raise UserError("Two items of the pool have the same id: give each its own.")
    if growth.target <= len(pool):
        raise UserError(
            f"The pool has {len(pool)} items already: choose a larger target than {growth.target}."
        )
    if min(growth.per_round, growth.agree, growth.most_rounds) < 1:
        raise UserError("per_round, agree and most_rounds must be 1 or more.")
    if not (0 < growth.fraction <= 1 and 0 < growth.ratio <= 1 and 0 <= growth.outlier < 1):
        raise UserError("fraction and ratio are shares above 0 up to 1, and outlier one from 0 to below 1.")
