"""Pools of problems grown by every arm of Prismatic Synthesis, and what students learn from them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from workbench.claims import Claim
from workbench.corpora.loaders.problems import load_problems
from workbench.corpora.problems import draw
from workbench.engine.gradients.kmeans import nearest, spherical_kmeans
from workbench.engine.gradients.per_example import sketch
from workbench.engine.sampling.load import sampler
from workbench.files import cached_table
from workbench.measures.statistics import Interval, bootstrap_mean
from workbench.studies.common.word_problems import LARGEST, Pair, two_steps
from workbench.studies.prismatic.data import Proxy, Sizes, settings
from workbench.studies.prismatic.generators import Generate, Item, answer_in, embedded, from_sampler, items
from workbench.studies.prismatic.method import ARMS, Growth, Vectors, grow, remembered

KINDS = 16  # of problems in a first pool


@dataclass(frozen=True)
class Grown:
    """Pools that every arm grew from the same beginnings.

    Attributes:
        pools: items by arm and seed, as `prismatic-0`.
        decisions: of `synthesis.grow`, with a column seed.
        rounds: of `synthesis.grow`, with a column seed.
    """

    pools: dict[str, list[Item]]
    decisions: pd.DataFrame
    rounds: pd.DataFrame


def grow_all(folder: Path, write: Generate, proxy: Proxy, sizes: Sizes, params: Any) -> Grown:
    """Grows pools by every arm from the same beginnings, with what `write` proposes.

    Each round is kept in `folder`, so that a killed call goes on behind it.
    """
    growth = Growth(sizes.target, per_round=sizes.per_round)
    pools, decisions, rounds = {}, [], []
    with tqdm(total=sizes.seeds * len(ARMS), desc="grow", unit=" pools") as bar:
        for seed in range(sizes.seeds):
            begun, vectors = beginning(params, sizes.first, seed), gradients_of(proxy, params)
            for arm in ARMS:
                found = grow(
                    arm,
                    begun,
                    write,
                    vectors,
                    growth,
                    seed=params.seed + seed,
                    keep=lambda name, make, seed=seed: cached_table(
                        folder / f"seed-{seed}" / f"{name}.parquet", make
                    ),
                )
                pools[f"{arm}-{seed}"] = found[0]
                decisions.append(found[1].assign(seed=seed))
                rounds.append(found[2].assign(seed=seed))
                bar.update()
    return Grown(pools, pd.concat(decisions, ignore_index=True), pd.concat(rounds, ignore_index=True))


def beginning(params: Any, n: int, seed: int) -> list[Item]:
    """A first pool: embedded problems of sixteen kinds, the k-th of them 1/k as often as the first.

    Of given problems it is a random sample of those that have an answer.
    """
    rng = Random(f"{params.seed}/{seed}")
    if params.data != "embedded":
        given = [each for each in load_problems(params.data) if each.gold]
        return [
            Item(each.id, each.question, each.completion, answer_in(each.gold) or each.gold, "given", 0)
            for each in rng.sample(given, min(n, len(given)))
        ]
    weights = {name: 1 / place for place, name in enumerate(rng.sample(two_steps(), KINDS), 1)}
    return items(draw(n, rng.randrange(2**31), templates=weights, largest=LARGEST))


def generator(params: Any) -> Generate:
    """The grammar, or the sampler that `generator` names (see `engine.sampling.load`)."""
    if params.generator == "embedded":
        return embedded(templates=two_steps(), largest=LARGEST)
    return from_sampler(sampler(params.generator, params.device))


def gradients_of(proxy: Proxy, params: Any) -> Vectors:
    """Items to their unit gradient vectors; each item is read once."""

    def vectors(found: Sequence[Item]) -> np.ndarray:
        pairs = [(item.problem, " " + item.solution) for item in found]
        # A sampler may write more than the proxy can read, which must not end the growth.
        how = {"dimension": params.dimension, "seed": params.seed, **settings(params), "truncate": True}
        return sketch(*proxy, pairs, ids=[item.id for item in found], **how).vectors

    return remembered(vectors)


def relative(rounds: pd.DataFrame) -> pd.DataFrame:
    """G-Vendi at equal size over that of the first pool: columns arm, round, n, g_vendi, low, high.

    Means over seeds. Rounds that not every seed has reached are left out.
    """
    first = rounds.groupby(["arm", "seed"])["g_vendi_equal"].transform("first")
    rows = []
    for (arm, number), part in rounds.assign(ratio=rounds["g_vendi_equal"] / first).groupby(["arm", "round"]):
        if len(part) == rounds["seed"].nunique():
            row = {"arm": arm, "round": number, **bootstrap_mean(part["ratio"]).row()}
            rows.append(row | {"n": int(part["n"].mean())})
    columns = ["arm", "round", "n", "value", "low", "high"]
    return pd.DataFrame(rows, columns=columns).rename(columns={"value": "g_vendi"})


def filled(pools: Mapping[str, Sequence[Item]], proxy: Proxy, params: Any, k: int = 24) -> pd.DataFrame:
    """Sizes of fixed clusters as the first pools grow: columns arm, round, cluster, size.

    The clusters are those of all these pools together, so that every arm is held against one set of them.
    """
    own = {name.removesuffix("-0"): pool for name, pool in pools.items() if name.endswith("-0")}
    vectors = gradients_of(proxy, params)
    everything = [item for pool in own.values() for item in pool]
    found = spherical_kmeans(vectors(everything), min(k, len(everything)), seed=params.seed)
    frames = []
    for arm, pool in own.items():
        labels, _ = nearest(vectors(pool), found.centroids)
        joined = np.array([item.round for item in pool])
        for number in range(joined.max() + 1):
            counts = np.bincount(labels[joined <= number], minlength=len(found.centroids))
            columns = {"arm": arm, "round": number, "cluster": range(len(counts)), "size": counts}
            frames.append(pd.DataFrame(columns))
    return pd.concat(frames, ignore_index=True)


def pairs(pools: Mapping[str, Sequence[Item]]) -> dict[str, list[Pair]]:
    """What a student of each pool reads."""
    return {name: [(item.problem, " " + item.solution) for item in pool] for name, pool in pools.items()}


def reasons(decisions: pd.DataFrame) -> pd.DataFrame:
    """Candidates by arm, round and reason, over seeds: columns arm, round, reason, count."""
    what = decisions["reason"].where(decisions["decision"] == "rejected", "accepted")
    return (
        decisions.assign(reason=what)
        .groupby(["arm", "round", "reason"], sort=False)
        .size()
        .rename("count")
        .reset_index()
    )


def outcomes(answers: pd.DataFrame, kind: str = "unseen") -> pd.DataFrame:
    """Accuracy of the students of grown pools: columns arm, seed, accuracy, n (questions)."""
    own = answers[answers["kind"] == kind].groupby("student", sort=False)["right"].agg(["mean", "size"])
    parts = own.index.str.rpartition("-")
    columns = {"arm": parts.get_level_values(0), "seed": parts.get_level_values(2).astype(int)}
    return pd.DataFrame({**columns, "accuracy": own["mean"].to_numpy(), "n": own["size"].to_numpy()})


# ------------------------------------------------------------------------------- claims
def claims(outcome: pd.DataFrame, rounds: pd.DataFrame) -> list[Claim]:
    """Our arm against random growth, and against the same rule driven by text.

    Pools that stopped before they had as many problems as the largest are left out.
    """
    last = rounds.groupby(["arm", "seed"]).last().reset_index()
    whole = last[last["n"] == last["n"].max()]
    score = whole.assign(value=np.log(whole["g_vendi"]))
    share = outcome.rename(columns={"accuracy": "value"}).merge(whole[["arm", "seed"]])
    made = []
    for other, paper in (
        ("random", "Prismatic Synthesis keeps rising where plain generation levels off"),
        ("embedding", "not compared in the paper"),
    ):
        made += [
            Claim.of(
                _over(score, other),
                name=f"prismatic-more-diverse-than-{other}",
                says=f"Grown by gradients, a pool has a higher G-Vendi at equal size than by {other}.",
                paper=paper,
                unit="logarithm of the ratio",
                view="G-Vendi over rounds",
            ),
            Claim.of(
                _over(share, other),
                name=f"prismatic-teaches-more-than-{other}",
                says="Students of pools grown by gradients solve more problems of unseen kinds than those "
                f"of pools grown by {other}.",
                paper=paper,
                unit="share of problems",
                view="Accuracy out of distribution by arm",
            ),
        ]
    return made


def _over(frame: pd.DataFrame, other: str) -> Interval:
    """`prismatic` minus another arm, paired by seed; NaN where no seed has both."""
    table = frame.pivot(index="seed", columns="arm", values="value").reindex(columns=["prismatic", other])
    difference = (table["prismatic"] - table[other]).dropna()
    return bootstrap_mean(difference) if len(difference) else Interval(np.nan, np.nan, np.nan, 0)
