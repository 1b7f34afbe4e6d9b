"""Pools of problems grown by every arm of Prismatic Synthesis, from the same beginnings."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from workbench.engine.gradients.kmeans import nearest, spherical_kmeans
from workbench.engine.sampling.load import sampler
from workbench.files import cached_table
from workbench.studies.common.word_problems import LARGEST, Pair, two_steps
from workbench.studies.prismatic.data import Sizes, first_pool
from workbench.studies.prismatic.generators import Generate, Item, from_grammar, from_sampler
from workbench.studies.prismatic.method import ARMS, CONTROL, Growth, Proxy, grow
from workbench.studies.prismatic.vectors import remembered


@dataclass(frozen=True)
class Grown:
    """Pools that every arm grew from the same beginnings."""

    pools: dict[tuple[str, int], list[Item]]  #: items by arm and seed
    decisions: pd.DataFrame  #: of `method.grow`, with a column seed
    rounds: pd.DataFrame  #: of `method.grow`, with a column seed

    @property
    def pairs(self) -> dict[tuple[str, int], list[Pair]]:
        """What the student of each pool reads."""
        return {key: [item.pair for item in pool] for key, pool in self.pools.items()}


def generator(name: str, device: str) -> Generate:
    """The grammar (`embedded`), or the sampler of that name (see `engine.sampling.load`)."""
    if name == "embedded":
        return from_grammar(templates=two_steps(), largest=LARGEST)
    return from_sampler(sampler(name, device))


def grow_pools(
    folder: Path,
    source: str,
    generate: Generate,
    proxy: Proxy,
    sizes: Sizes,
    seed: int,
    placebo: bool = False,
) -> Grown:
    """Grows pools by every arm from the same beginnings.

    Args:
        folder: where each round is kept, so that a killed call goes on behind it.
        source: of the first problems, see `data.first_pool`.
        generate: writes candidates.
        proxy: whose gradients are compared.
        sizes: how many pools, and how large.
        seed: of the first repetition.
        placebo: every arm grows as `CONTROL` does, with draws of its own.
    """
    growth = Growth(sizes.target, per_round=sizes.per_round)
    pools, decisions, rounds = {}, [], []
    with tqdm(total=sizes.seeds * len(ARMS), desc="grow", unit=" pools") as bar:
        for own in range(seed, seed + sizes.seeds):
            start, gradients = first_pool(source, sizes.first, own), remembered(proxy.of_items)
            for number, arm in enumerate(ARMS):
                keep, treated = partial(_keep, folder / f"seed-{own}"), arm != CONTROL
                rule, drawn = (CONTROL, own + 10_000 * (number + 1)) if placebo and treated else (arm, own)
                pools[arm, own], decided, scored = grow(
                    rule, start, generate, gradients, growth, seed=drawn, keep=keep
                )
                decisions.append(decided.assign(arm=arm, seed=own))
                rounds.append(scored.assign(arm=arm, seed=own))
                bar.update()
    return Grown(pools, pd.concat(decisions, ignore_index=True), pd.concat(rounds, ignore_index=True))


def _keep(folder: Path, name: str, make: Callable[[], pd.DataFrame]) -> pd.DataFrame:
    return cached_table(folder / f"{name}.parquet", make)


def cluster_sizes(
    pools: Mapping[tuple[str, int], Sequence[Item]], proxy: Proxy, seed: int, k: int = 24
) -> pd.DataFrame:
    """Sizes of fixed clusters as the first pools grow: columns arm, round, cluster, size.

    The clusters are those of all these pools together, so that every arm is held against one set of them.
    """
    first = {arm: pool for (arm, own), pool in pools.items() if own == seed}
    gradients, items = remembered(proxy.of_items), [item for pool in first.values() for item in pool]
    centroids = spherical_kmeans(gradients(items), min(k, len(items)), seed=seed).centroids
    frames = []
    for arm, pool in first.items():
        labels, _ = nearest(gradients(pool), centroids)
        rounds = np.array([item.round for item in pool])
        for number in range(rounds.max() + 1):
            counts = np.bincount(labels[rounds <= number], minlength=len(centroids))
            columns = {"arm": arm, "round": number, "cluster": range(len(counts)), "size": counts}
            frames.append(pd.DataFrame(columns))
    return pd.concat(frames, ignore_index=True)
