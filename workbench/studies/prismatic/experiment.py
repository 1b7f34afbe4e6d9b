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
from workbench.studies.prismatic.data import Sizes, beginning
from workbench.studies.prismatic.generators import from_grammar, from_sampler
from workbench.studies.prismatic.given import GivenTask
from workbench.studies.prismatic.items import Generate, Item, Pair
from workbench.studies.prismatic.method import ARMS, CONTROL, Growth, grow
from workbench.studies.prismatic.proxy import Proxy
from workbench.studies.prismatic.tasks import LogicTask, WordTask
from workbench.studies.prismatic.vectors import Readings


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


def generator(name: str, task: LogicTask | WordTask | GivenTask, device: str) -> Generate | None:
    """The task's grammar (`embedded`; None of given problems), or the sampler of that name."""
    if name != "embedded":
        return from_sampler(sampler(name, device))
    return None if isinstance(task, GivenTask) else from_grammar(task)


def grow_pools(
    folder: Path,
    task: LogicTask | WordTask | GivenTask,
    generate: Generate,
    proxy: Proxy,
    scorer: Proxy,
    sizes: Sizes,
    seed: int,
    placebo: bool = False,
) -> Grown:
    """Grows pools by every arm from the same beginnings.

    Args:
        folder: where each round is kept, so that a killed call goes on behind it.
        task: of the first problems.
        generate: writes candidates.
        proxy: whose gradients select.
        scorer: whose gradients the pools are scored by.
        sizes: how many pools, and how large.
        seed: of the first repetition.
        placebo: every arm grows as `CONTROL` does, with draws of its own.
    """
    growth = Growth(sizes.target, per_round=sizes.per_round)
    pools, decisions, rounds = {}, [], []
    with tqdm(total=sizes.pools * len(ARMS), desc="grow", unit=" pools") as bar:
        for own in range(seed, seed + sizes.pools):
            start, keep = beginning(task, sizes.first, own), partial(_keep, folder / f"seed-{own}")
            selects, scores = Readings(proxy.read_items), Readings(scorer.read_items)
            reading = {"losses": selects.losses, "scorer": scores, "keep": keep}
            for number, arm in enumerate(ARMS, 1):
                rule, drawn = (CONTROL, own + 10_000 * number) if placebo and arm != CONTROL else (arm, own)
                pools[arm, own], decided, scored = grow(
                    rule, start, generate, selects, growth, seed=drawn, **reading
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
    gradients, items = Readings(proxy.read_items), [item for pool in first.values() for item in pool]
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
