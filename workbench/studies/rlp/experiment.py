"""The arms of 11_rlp: more text, RLP and GRPO from one beginning, at equal tokens and at equal compute."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from workbench.corpora import thoughts
from workbench.engine import loading
from workbench.engine.rl.grpo import reinforce
from workbench.engine.rl.objective import Row
from workbench.engine.sampling.sampler import Completion, SamplingParams
from workbench.engine.sampling.transformers_sampler import TransformersSampler
from workbench.engine.tokens import encode
from workbench.engine.training.checkpoints import SETTINGS
from workbench.engine.training.common import TrainConfig
from workbench.engine.training.train import train
from workbench.files import cached_table
from workbench.studies.common.arms import arm_folder, collect, run_arms
from workbench.studies.rlp import language
from workbench.studies.rlp.data import HELD_OUT, Embedded
from workbench.studies.rlp.method import InformationGain, Position, Thinking, rlp, rows_of, score
from workbench.studies.rlp.plan import (
    ANYWHERE,
    BASE,
    BOTH,
    COMPUTE,
    CONTROL,
    GRPO,
    RLP,
    RPT,
    TOKENS,
    Plan,
)

LEARNT = 3  # passes that reading a token to learn from it costs: forward once, backward twice that
DRAWN = 5  # a drawn one: as it is drawn, as it is scored, and as it is learnt from
SNAPSHOTS, LOOKED_AT = 8, 6  # how often thoughts are looked at in a training, and at how many positions
START, READY = "start", "ready"  # folder of what the arms of a seed begin with, and the mark that it is there


def train_all(folder: Path, plan: Plan, log: Callable[..., None]) -> dict[str, pd.DataFrame]:
    """Trains and asks every arm with every seed; what is done stays in `folder`, a killed run goes on.

    Args:
        folder: for models and tables.
        log: called with arm, seed and the columns of each row that a training logs.

    Returns:
        Tables with the columns arm and seed: `predictions` (see `predictions`), `replies` and `thought` (see
        `language.ask`; free, and with a thought asked for), `snapshots` (step, before, thought, after).
    """
    run_arms(
        folder,
        plan.arms,
        plan.seeds,
        partial(train_arm, plan, folder),
        together=plan.arms,
        device=loading.pick_device(plan.device),
        processes=None if plan.model == "embedded" else 1,
        placebo_of=CONTROL if plan.placebo else None,
        log=lambda arm, seed, row: log(arm=arm, seed=seed, read=row["tokens"], **row),
    )
    files = {name: name for name in ("predictions", "replies", "thought")} | {"snapshots": "thoughts-*"}
    tables = {name: collect(folder, plan.arms, plan.seeds, file) for name, file in files.items()}
    if len(tables["snapshots"]):  # a placebo has none
        tables["snapshots"] = tables["snapshots"].sort_values("step", kind="stable")
    return {
        name: table.reindex(columns=[*table.columns.drop("seed", errors="ignore"), "seed"])
        for name, table in tables.items()
    }


def prepare(folder: Path, plan: Plan, seed: int) -> Path:
    """The folder of a seed's beginning, with its base in it."""
    start = arm_folder(folder, START, seed)
    if plan.model == "embedded" and not (start / READY).exists():
        language.imitate(start, plan.sizes.language, seed, plan.device)
        (start / READY).touch()
    return start


def history(folder: Path, plan: Plan) -> pd.DataFrame:
    """What the reinforcements of `train_all` have logged: the columns of `rlp` and `reinforce`, arm, seed."""
    arms = [arm for arm in plan.arms if arm not in (BASE, TOKENS, COMPUTE)]
    keys = [(arm, seed) for seed in plan.seeds for arm in arms]
    frames = [pd.DataFrame(_logged(folder, *key)).assign(arm=key[0], seed=key[1]) for key in keys]
    return pd.concat(frames, ignore_index=True)


def _logged(folder: Path, arm: str, seed: int) -> list[dict[str, float]]:
    """What the training of an arm that has finished has logged."""
    return json.loads((arm_folder(folder, arm, seed) / "model" / SETTINGS).read_text())["rows"]


def train_arm(
    plan: Plan, root: Path, folder: Path, name: str, seed: int, *, log: Callable[[Row], None]
) -> None:
    """One arm: learns from its beginning, which is in `root`, and is asked."""
    start = prepare(root, plan, seed)
    table = cached_table(start / "positions.parquet", partial(_test_positions, start, plan))
    positions = list(table.itertuples(index=False, name=None))
    begin = arm_folder(root, RLP, seed) / "model" if name == BOTH else plan.base(start)
    model, tokenizer = loading.load(begin, plan.device)
    arm = Arm(plan, name, seed, folder, model, tokenizer, positions)
    if name in (GRPO, BOTH):
        arm.grpo(log)
    elif name == TOKENS:
        arm.read(plan.source.documents(arm.n_documents, seed), log, epochs=1)
    elif name == COMPUTE:
        tokens = int(_logged(root, RLP, seed)[-1]["tokens"]) * DRAWN // LEARNT
        texts = plan.source.documents(arm.n_documents, seed)
        mean = np.mean([len(ids) + 1 for ids in encode(tokenizer, texts)])
        arm.read(plan.source.documents(int(tokens / mean) + 1, seed), log, tokens=tokens)
    elif name != BASE:
        arm.rlp(log)
    arm.ask()


def _test_positions(start: Path, plan: Plan) -> pd.DataFrame:
    """Where all arms are asked: chosen by the base."""
    model, tokenizer = loading.load(plan.base(start), plan.device)
    positions = plan.source.positions(plan.sizes.n_test, HELD_OUT, model, tokenizer)
    return pd.DataFrame(positions, columns=["before", "after"])


@dataclass(frozen=True)
class Arm:
    """One arm of one seed: its model learns in place, and is asked at the test's positions."""

    plan: Plan
    name: str
    seed: int
    folder: Path
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerFast
    test_positions: Sequence[Position]

    @property
    def n_documents(self) -> int:
        """Documents that RLP thinks about."""
        return self.plan.sizes.steps * self.plan.sizes.prompts_per_step

    def rlp(self, log: Callable[[Row], None]) -> None:
        """Thinks before tokens of the documents: which, and for what reward, its name says."""
        plan = self.plan
        objective = InformationGain(
            self.model,
            self.tokenizer,
            plan.thinking,
            baseline=plan.baseline,
            reward="prefix" if self.name == RPT else "gain",
            next_token_weight=plan.next_token_weight if self.name in (RLP, RPT) else 0.0,
            batch_size=plan.batch_size,
        )
        positions = plan.source.positions(
            self.n_documents, self.seed, self.model, self.tokenizer, at_random=self.name == ANYWHERE
        )
        rlp(objective, positions, plan.config, **self._options(log))

    def grpo(self, log: Callable[[Row], None]) -> None:
        """Is rewarded for right replies to both kinds of questions."""
        plan = self.plan
        items = plan.source.training_items(self.n_documents // 2, self.seed)
        rows = [{"prompt": item.question, "item": item} for item in items]
        longest = language.longest_reply(plan.source.slots)
        config = replace(plan.config, max_new_tokens=longest, stop=(thoughts.END,))
        reinforce(self.model, self.tokenizer, rows, verified, config, **self._options(log))

    def read(self, texts: Sequence[str], log: Callable[[Row], None], **length: int) -> None:
        """Reads texts, for so many `epochs` or `tokens`."""
        batch_size, context = self.plan.text_rows
        config = TrainConfig(
            **length,
            batch_size=batch_size,
            context=context,
            learning_rate=self.plan.sizes.text_rate,
            lora=self.plan.lora,
            seed=self.seed,
        )
        train(self.model, self.tokenizer, texts, config, folder=self.folder / "model", log=log)

    def _options(self, log: Callable[[Row], None]) -> dict[str, Any]:
        """Of both reinforcements, which keep a few thoughts now and then."""
        steps = self.plan.sizes.steps
        looked_at = set(np.linspace(1, steps, SNAPSHOTS).round())

        def note(row: Row) -> None:
            log(row)
            if row["step"] in looked_at:
                path = self.folder / f"thoughts-{row['step']:.0f}.parquet"
                cached_table(path, partial(self._thoughts, int(row["step"])))

        folder, lora = self.folder / "model", self.plan.lora
        return {"steps": steps, "folder": folder, "seed": self.seed, "lora": lora, "log": note}

    def _thoughts(self, step: int) -> pd.DataFrame:
        """Thoughts after a step, always at the same positions and with the same draws."""
        thinking, positions = self.plan.thinking, self.test_positions[:LOOKED_AT]
        completions = TransformersSampler(self.model, self.tokenizer).sample(
            [before + thinking.opening for before, _ in positions],
            SamplingParams(max_tokens=thinking.max_tokens, stop=(thinking.closing,)),
        )
        rows = [(step, before, thought.text, after)
                for (before, after), (thought,) in zip(positions, completions, strict=True)]  # fmt: skip
        return pd.DataFrame(rows, columns=["step", "before", "thought", "after"])

    def ask(self) -> None:
        """Leaves the tables `replies`, `thought` and `predictions` in the folder."""
        plan, draws = self.plan, self.plan.sizes.draws
        if isinstance(plan.source, Embedded):
            chains, aims = plan.source.test_items(plan.sizes.n_test)
            ask = partial(language.ask, self.model, self.tokenizer, seed=plan.seed)
            replies = pd.concat([ask(chains, draws=draws), ask(aims, draws=2 * draws)], ignore_index=True)
            cached_table(self.folder / "replies.parquet", lambda: replies)
            thought = ask(chains, draws=draws, opening=thoughts.OPENING)
            cached_table(self.folder / "thought.parquet", lambda: thought)
        table = predictions(self.model, self.tokenizer, self.test_positions, plan.thinking, draws=draws,
                            seed=plan.seed)  # fmt: skip
        cached_table(self.folder / "predictions.parquet", lambda: table)


def verified(completions: Sequence[Completion], rows: Sequence[Row]) -> list[float]:
    """1 for a right reply, 0 for another."""
    return [float(row["item"].right(reply.text)) for reply, row in zip(completions, rows, strict=True)]


def predictions(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    positions: Sequence[Position],
    thinking: Thinking,
    *,
    draws: int,
    seed: int,
) -> pd.DataFrame:
    """How well a text's next tokens are predicted, with thoughts and without.

    Args:
        draws: thoughts at each position, at temperature 1.

    Returns:
        A row a position: item, nats (without a thought), nats_with (the mean over thoughts), right,
        right_with (share of thoughts after which the most likely tokens are the true ones), length (mean
        tokens of a thought).
    """
    rows = rows_of(tokenizer, positions, thinking)
    groups = TransformersSampler(model, tokenizer, 256).sample(
        [row["prompt"] for row in rows],
        SamplingParams(n=draws, max_tokens=thinking.max_tokens, stop=(thinking.closing,), seed=seed),
    )
    objective = InformationGain(model, tokenizer, thinking)
    thought_through = [
        objective.after(thought, row) for row, group in zip(rows, groups, strict=True) for thought in group
    ]
    nats, right = score(model, [(row["context"], row["target"]) for row in rows])
    with_nats, with_right = score(model, thought_through)
    return pd.DataFrame({
        "item": range(len(rows)),
        "nats": nats,
        "nats_with": with_nats.reshape(-1, draws).mean(1),
        "right": right,
        "right_with": with_right.reshape(-1, draws).mean(1),
        "length": [np.mean([len(thought.tokens) for thought in group]) for group in groups],
    })  # fmt: skip
