"""What 14_loop reads: the problems of pools that 09_prismatic grew, and other problems to be asked."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from workbench.corpora import logic
from workbench.corpora.logic import LogicProblem
from workbench.engine import loading
from workbench.errors import UserError
from workbench.files import read_table

PLAIN, PRISMATIC = "random", "prismatic"
POOLS = (PLAIN, PRISMATIC)  # what growth added by lot, and by gradients
ANOTHER = 10_000  # between the seeds of a placebo arm and those of its control, as in `common.arms`
_TESTED = 20_000_000  # seeds of what is only asked
_FEWEST = 4  # problems of a pool
_STEP = re.compile(r"(\w+)(?: of)? (\w+) is (\w+)\.")


@dataclass(frozen=True)
class Settings:
    """How much is learnt, rewarded and asked."""

    imitation: int  #: tokens of solutions that imitation reads
    own: int  #: solutions that a model draws of each question of its pool
    steps: int  #: of reinforcement
    n_test: int  #: problems that are asked after every step of the chain
    seeds: int  #: trainings of each arm
    draws: int = 16  #: replies to each of them
    prompts_per_step: int = 16  #: questions of a step of reinforcement
    group_size: int = 8  #: replies to each of these
    max_tokens: int = 48  #: of a reply
    batch_size: int = 16  #: rows of a step of imitation
    context: int = 128  #: tokens of a row
    learning_rate: float = 2e-3  #: of imitation, the highest; half of it with own solutions
    rewarded_rate: float = 3e-4  #: of reinforcement
    processes: int | None = None  #: seeds at a time; None for one a thread
    seed: int = 0  #: as the notebook's parameter; likewise device and placebo
    device: str = "cpu"
    placebo: bool = False

    @property
    def all_seeds(self) -> range:
        """The seeds, one for each repetition of all arms."""
        return range(self.seed, self.seed + self.seeds)

    def pool_seed(self, seed: int) -> int:
        """The repetition whose pools and test an arm has; a placebo arm shares its control's."""
        return self.seed + (seed - self.seed) % ANOTHER


SIZES = {
    "quick": Settings(60_000, 2, 8, 24, 1, draws=8, prompts_per_step=8, processes=1),
    "laptop": Settings(120_000, 4, 24, 60, 7),
    "paper": Settings(20_000_000, 10, 500, 1_000, 5, 32, 64, 16, 512, 64, 1024, 1e-4, 1e-6),
}


def settings(params: Any) -> Settings:
    """The profile's sizes with what the notebook's parameters say.

    Raises:
        UserError: there is no such device.
    """
    sizes = SIZES[params.profile]
    return replace(
        sizes,
        seeds=params.seeds or sizes.seeds,
        steps=params.steps or sizes.steps,
        seed=params.seed,
        device=loading.pick_device(params.device),
        placebo=params.placebo,
    )


# ------------------------------------------------------------------------------- pools
def pools(folder: Path, seeds: Sequence[int]) -> pd.DataFrame:
    """What growth added to the first pools, in its order: columns question, solution, seed and pool.

    Args:
        folder: where a run of 09 keeps what became of the candidates of each seed, arm and round.
        seeds: repetitions to read.

    Raises:
        UserError: a seed has no such pool.
    """
    frames = []
    for seed in seeds:
        for pool in POOLS:
            rounds = sorted((folder / f"seed-{seed}").glob(f"{pool}-*-decisions.parquet"))
            rows = [read_table(path) for path in rounds]
            kept = [part[part["decision"] == "accepted"] for part in rows]
            if sum(map(len, kept)) < _FEWEST:
                raise UserError(
                    f"09_prismatic grew no {pool} pool for seed {seed} that could be learnt from: give both "
                    "the same seeds."
                )
            columns = {"problem": "question", "solution": "solution"}
            added = pd.concat(kept, ignore_index=True)[list(columns)].rename(columns=columns)
            frames.append(added.assign(seed=seed, pool=pool))
    return pd.concat(frames, ignore_index=True)


def problem(question: str, solution: str) -> LogicProblem:
    """A problem of the house, read back from its question and any worked solution of it.

    Raises:
        UserError: the solution takes no steps through the house.
    """
    steps = [(said.lower(), start) for said, start, _ in _STEP.findall(solution)]
    moves = [(move, start) for move, start in steps if move in logic.RELATIONS]
    answer = moves[0][1] if moves else None
    for move, _ in moves:
        answer = answer and logic.follow(answer, move)
    if answer is None:
        raise UserError(
            f"The pool holds what is no problem of the house, {question[:60]!r}: run 09_prismatic on its own "
            "logic problems."
        )
    return LogicProblem(question, question, answer, "", moves[0][1], tuple(move for move, _ in moves), 0)


def problems(pools: pd.DataFrame, pool: str, seed: int) -> list[LogicProblem]:
    """The problems of one pool of `pools`."""
    rows = pools[(pools["pool"] == pool) & (pools["seed"] == seed)]
    return [problem(*pair) for pair in zip(rows["question"], rows["solution"], strict=True)]


def tested(settings: Settings, pools: pd.DataFrame, seed: int) -> list[LogicProblem]:
    """Problems of rule sets that no pool has, of as many moves as those of the pools."""
    lengths = {len(one.moves) for pool in POOLS for one in problems(pools, pool, seed)}
    sets = logic.rule_sets(held_out=True, n_moves=sorted(lengths))
    return logic.draw(settings.n_test, _TESTED + seed, sets=sets)


def described(pools: pd.DataFrame, seeds: Sequence[int]) -> pd.DataFrame:
    """What the pools hold, means over seeds: columns pool, problems, kinds (rule sets), evenness.

    Evenness is exp(entropy) of the rule sets: as many equally frequent ones are as uneven.
    """
    rows = []
    for pool in POOLS:
        for seed in seeds:
            moves = pd.Series([" ".join(sorted(one.moves)) for one in problems(pools, pool, seed)])
            shares = moves.value_counts(normalize=True)
            rows.append((pool, len(moves), len(shares), float(np.exp(-(shares * np.log(shares)).sum()))))
    table = pd.DataFrame(rows, columns=["pool", "problems", "kinds", "evenness"])
    return table.groupby("pool", sort=False).mean().reset_index()
