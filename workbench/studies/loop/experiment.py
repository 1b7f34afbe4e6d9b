"""The arms of 14_loop: a pool times a route, each followed from the base through all of its steps.

All arms begin from the base that 09 trained, whose gradients chose the prismatic pool. Within a seed they are
asked the same problems with the same random numbers, and two routes from one pool share its imitation.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pandas as pd

from workbench.corpora.logic import LogicProblem
from workbench.engine import loading
from workbench.engine.rl.grpo import reinforce
from workbench.engine.rl.objective import RLConfig
from workbench.engine.sampling.sampler import SamplingParams
from workbench.engine.sampling.transformers_sampler import TransformersSampler
from workbench.engine.training.common import History, TrainConfig
from workbench.engine.training.train import train
from workbench.files import cached_table
from workbench.studies.common.arms import Row, arm_folder, collect, run_arms
from workbench.studies.loop import data, method
from workbench.studies.loop.data import PLAIN, POOLS, Settings
from workbench.studies.loop.method import DRAWN, LEARNT, Pair

ALONE, LOOP = "imitation alone", "loop"
BASE, IMITATION, OWN, REWARDED, MORE = "base", "imitation", "own solutions", "reinforcement", "more imitation"
STEPS = {BASE: 0, IMITATION: 1, OWN: 2, REWARDED: 3, MORE: 3}  # where they stand in a chain
ARMS = {f"{pool}, {route}": (pool, route) for pool in POOLS for route in (ALONE, LOOP)}
"""Pool and route by name; a loop stands behind the arm that it begins with."""

CONTROL = f"{PLAIN}, {ALONE}"


def train_all(
    folder: Path, base: Path, pools: pd.DataFrame, settings: Settings, log: Callable[..., None]
) -> dict[str, pd.DataFrame]:
    """Follows every arm of every seed through its chain.

    Args:
        folder: of all models and tables.
        base: the model that all begin from.
        pools: as `data.pools` returns them.
        settings: how much is learnt and asked.
        log: called with model and each row of a training.

    Returns:
        `replies`: a row a reply, see `ask`, with seed, arm, step and at (the step's place in the chain).
        `costs`: columns seed, arm, step and passes (see `method`).
        `rewards`: what each step of reinforcement logged, with seed and arm.
    """
    run_arms(
        folder,
        list(ARMS),
        settings.all_seeds,
        partial(train_arm, folder, base, pools, settings),
        unit="arm",
        together=list(ARMS),
        device=settings.device,
        processes=settings.processes,
        placebo_of=CONTROL if settings.placebo else None,
        log=lambda arm, seed, row: log(model=f"{arm}-{seed}", **row),
    )
    names = {"replies": "replies-*", "costs": "costs", "rewards": "rewards"}
    return {name: collect(folder, list(ARMS), settings.all_seeds, table) for name, table in names.items()}


def train_arm(
    root: Path,
    base: Path,
    pools: pd.DataFrame,
    settings: Settings,
    folder: Path,
    name: str,
    seed: int,
    *,
    log: Callable[[Row], None],
) -> None:
    """One arm: its chain from the base, or from the imitation that another route from its pool has done."""
    pool, route = ARMS[name]
    own = settings.pool_seed(seed)
    chain = Chain(
        settings, folder, seed, data.problems(pools, pool, own), data.tested(settings, pools, own), log
    )
    begin = arm_folder(root, f"{pool}, {ALONE}", seed) / IMITATION if route == LOOP else base
    chain.load(begin)
    if name == CONTROL:
        chain.ask(BASE)
    if route == ALONE:
        chain.imitate()
        chain.imitate_more()
    else:
        chain.learn_own()
        chain.reinforce()
    cached_table(folder / "costs.parquet", chain.costs)


class Chain:
    """One model on its way: learns in place, step by step, and is asked after each."""

    def __init__(
        self,
        settings: Settings,
        folder: Path,
        seed: int,
        problems: Sequence[LogicProblem],
        tested: Sequence[LogicProblem],
        log: Callable[[Row], None],
    ) -> None:
        self.settings, self.folder, self.seed, self.log = settings, folder, seed, log
        self.problems, self.tested = problems, tested
        self.pairs = method.taught(problems, seed)
        self.passes: dict[str, float] = {}

    def load(self, begin: Path) -> None:
        """Begins with a model of a folder."""
        self.model, self.tokenizer = loading.load(begin, self.settings.device)

    def costs(self) -> pd.DataFrame:
        """Columns step and passes."""
        return pd.DataFrame(list(self.passes.items()), columns=["step", "passes"])

    # --------------------------------------------------------------------------- steps
    def imitate(self) -> None:
        """Reads the solver's solutions."""
        self._read(IMITATION, self.pairs, self.settings.imitation, self.settings.learning_rate)

    def imitate_more(self) -> None:
        """Reads them again, for what the loop's other steps would cost if replies were as long as these."""
        settings = self.settings
        length = method.mean_length(self.tokenizer, self.pairs)
        rewarded = settings.steps * settings.prompts_per_step * settings.group_size * length
        passes = DRAWN * settings.own * len(self.pairs) * length + (DRAWN + LEARNT) * rewarded
        tokens = round(passes / LEARNT) + settings.imitation
        self._read(MORE, self.pairs, tokens, settings.learning_rate)

    def learn_own(self) -> None:
        """Draws solutions of its own, and reads the right ones among the solver's."""
        settings = self.settings
        draw = partial(method.drawn, self._sampler(), self.problems, self._params(settings.own))
        own = cached_table(self.folder / "own.parquet", draw)
        pairs = [*self.pairs, *method.right_pairs(own)]
        self._read(OWN, pairs, settings.imitation, settings.learning_rate / 2)
        self.passes[OWN] += DRAWN * float(own["n_tokens"].sum())

    def reinforce(self) -> None:
        """Is rewarded for right replies to the pool's questions."""
        settings = self.settings
        config = RLConfig(
            group_size=settings.group_size,
            prompts_per_step=settings.prompts_per_step,
            max_new_tokens=settings.max_tokens,
            learning_rate=settings.rewarded_rate,
        )
        rows = [{"prompt": problem.question, "problem": problem} for problem in self.problems]
        options = {"steps": settings.steps, "seed": self.seed, "folder": self.folder / REWARDED}
        history = reinforce(self.model, self.tokenizer, rows, method.reward, config, **options, log=self.log)
        self._done(REWARDED, history, DRAWN + LEARNT)
        cached_table(self.folder / "rewards.parquet", history.frame)

    def _read(self, step: str, pairs: Sequence[Pair], tokens: int, learning_rate: float) -> None:
        settings = self.settings
        config = TrainConfig(
            tokens=tokens,
            batch_size=settings.batch_size,
            context=settings.context,
            learning_rate=learning_rate,
            seed=self.seed,
        )
        history = train(self.model, self.tokenizer, pairs, config, folder=self.folder / step, log=self.log)
        self._done(step, history, LEARNT)

    def _done(self, step: str, history: History, passes: int) -> None:
        self.passes[step] = passes * history.rows[-1]["tokens"]
        self.ask(step)

    # --------------------------------------------------------------------------- asking
    def ask(self, step: str) -> None:
        """Asks the model as it is; the table is kept."""
        at = STEPS[step]
        make = partial(ask, self._sampler(), self.tested, self._params(self.settings.draws))
        cached_table(self.folder / f"replies-{at}.parquet", lambda: make().assign(step=step, at=at))

    def _sampler(self) -> TransformersSampler:
        return TransformersSampler(self.model, self.tokenizer, batch_size=256)

    def _params(self, n: int) -> SamplingParams:
        return SamplingParams(
            n=n, max_tokens=self.settings.max_tokens, seed=self.settings.pool_seed(self.seed)
        )


def ask(
    sampler: TransformersSampler, problems: Sequence[LogicProblem], params: SamplingParams
) -> pd.DataFrame:
    """Several replies to each problem: columns item, question, reply, answer, right and path.

    The answer is the last word of a reply, right whether it is the problem's, path as `method.right_path`
    returns it.
    """
    replies = sampler.sample([problem.question for problem in problems], params)
    rows = [
        (item, problem.question, text, text.rstrip(".").rpartition(" ")[2],
         method.is_right(problem, text), method.right_path(problem, text))
        for item, (problem, group) in enumerate(zip(problems, replies, strict=True))
        for text in (reply.text.strip() for reply in group)
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["item", "question", "reply", "answer", "right", "path"])
