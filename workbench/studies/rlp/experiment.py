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
from workbench.engine.cost import measure
from workbench.engine.rl.grpo import reinforce
from workbench.engine.rl.objective import Row
from workbench.engine.sampling.sampler import Completion, SamplingParams
from workbench.engine.sampling.transformers_sampler import TransformersSampler
from workbench.engine.tokens import encode
from workbench.engine.training.checkpoints import SETTINGS
from workbench.engine.training.common import TrainConfig
from workbench.engine.training.memory import master_weights
from workbench.engine.training.train import train
from workbench.errors import UserError
from workbench.files import cached_table
from workbench.studies.common.arms import arm_folder, collect, run_arms
from workbench.studies.rlp import asking, language
from workbench.studies.rlp.data import HELD_OUT, WHO, Embedded, FileTexts, kind_of
from workbench.studies.rlp.method import InformationGain, Position, rlp
from workbench.studies.rlp.plan import (
    AFTER_RLP,
    AFTER_TEXT,
    ANYWHERE,
    BASE,
    BEGINS,
    COMPUTE,
    CONTROL,
    GRPO,
    LONGER,
    RLP,
    RPT,
    TOKENS,
    Plan,
)

# Passes through the model that a token costs: one that is read goes forward once and backward at twice the
# price; GRPO draws its tokens before, and RLP also scores what follows them.
READ, VERIFIED, THOUGHT = 3, 4, 5
PASSES = {TOKENS: READ, COMPUTE: READ} | dict.fromkeys((GRPO, LONGER, AFTER_TEXT, AFTER_RLP), VERIFIED)
ANOTHER = 10_000  # between the seeds of a placebo arm and of its control
SNAPSHOTS, LOOKED_AT = 8, 6  # how often thoughts are looked at in a training, and at how many positions
START, READY = "start", "ready"  # folder of what the arms of a seed begin with, and the mark that it is there


def train_all(folder: Path, plan: Plan, log: Callable[..., None]) -> dict[str, pd.DataFrame]:
    """Trains and asks every arm with every seed; what is done stays in `folder`, a killed run goes on.

    Args:
        folder: for models and tables.
        log: called with arm, seed and the columns of each row that a training logs.

    Returns:
        Tables with the columns arm and seed: `predictions` (see `asking.predictions`; kind), `replies` and
        `thought` (see `asking.ask`; free, and with a thought asked for), `snapshots` (step, before, thought,
        after).
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


def expected(plan: Plan) -> list[str]:
    """What it will take with a given model at `real-laptop`, measured, as a sentence."""
    sizes, source = plan.sizes, plan.source
    if sizes.arms is None or not isinstance(source, FileTexts):
        return []
    model, tokenizer = loading.load(plan.model, plan.device)
    cost = measure(model, tokenizer, writes=True)

    def tokens(texts: Sequence[str]) -> float:
        return float(np.mean([len(ids) for ids in encode(tokenizer, texts)])) if texts else 0.0

    text, asked = tokens(source.train[:50]), tokens([asking.prompt_for(tokenizer, p) for p in source.asked])
    drawn = sizes.steps * sizes.prompts_per_step * plan.config.group_size  # thoughts, or replies
    a_thought, a_reply = text / 2 + sizes.thought_tokens, asked + source.longest_reply
    checked = GRPO in plan.arms
    # RLP, as much text, and GRPO; positions and thoughts of the test, and replies to it.
    read = (THOUGHT - 1 + THOUGHT) * drawn * a_thought + checked * (VERIFIED - 1) * drawn * a_reply
    read += len(plan.arms) * sizes.n_test * (text + sizes.draws * a_thought)
    write = drawn * (sizes.thought_tokens + checked * source.longest_reply)
    replies = len(source.asked[: sizes.n_test]) * source.longest_reply
    write += len(plan.arms) * sizes.draws * (sizes.n_test * sizes.thought_tokens + replies)
    return [cost.sentence(cost.minutes(read=read, write=write))]


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


def costs(folder: Path, plan: Plan) -> pd.DataFrame:
    """Passes of a token through the model that each arm's learning took: columns arm, seed, passes.

    With those of the arm that it begins with; the base's are not counted. No rows of a placebo run, whose
    arms have all read text, whatever they are called.
    """
    arms = [] if plan.placebo else [arm for arm in plan.arms if arm != BASE]
    rows = [(arm, seed, _cost(folder, arm, seed)) for seed in plan.seeds for arm in arms]
    return pd.DataFrame(rows, columns=["arm", "seed", "passes"])


def _cost(folder: Path, arm: str, seed: int) -> float:
    own = _logged(folder, arm, seed)[-1]["tokens"] * PASSES.get(arm, THOUGHT)
    return own + (_cost(folder, BEGINS[arm], seed) if arm in BEGINS else 0)


def train_arm(
    plan: Plan, root: Path, folder: Path, name: str, seed: int, *, log: Callable[[Row], None]
) -> None:
    """One arm: learns from its beginning, which is in `root`, and is asked."""
    # A placebo arm begins where its control does: only what it reads is another's.
    start = prepare(root, plan, plan.seed + (seed - plan.seed) % ANOTHER)
    table = cached_table(start / "positions.parquet", partial(_test_positions, start, plan))
    positions = list(table.itertuples(index=False, name=None))
    begin = arm_folder(root, BEGINS[name], seed) / "model" if name in BEGINS else plan.base(start)
    model, tokenizer = loading.load(begin, plan.device)
    master_weights(model, adapter=plan.lora is not None)  # the base, too, is asked as the others are
    arm = Arm(plan, name, seed, folder, model, tokenizer, positions)
    steps = plan.sizes.steps
    if name == LONGER:  # instead of what RLP or text takes before GRPO, more of it
        a_step = _cost(root, GRPO, seed) / steps
        arm.grpo(log, max(1, round(_cost(root, RLP, seed) / a_step)), seed + ANOTHER // 2)
    elif name in (GRPO, AFTER_TEXT, AFTER_RLP):
        arm.grpo(log, steps, seed)
    elif name == TOKENS:
        arm.read(plan.source.documents(arm.n_documents, seed), log, epochs=1)
    elif name == COMPUTE:
        texts = plan.source.documents(arm.n_documents, seed)
        mean = np.mean([len(ids) + 1 for ids in encode(tokenizer, list(map("".join, texts)))])
        drawn = arm.n_documents * plan.config.group_size * mean  # about: in a placebo run there is no RLP
        cost = drawn * THOUGHT if plan.placebo else _cost(root, RLP, seed)
        tokens = int(cost / READ)
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
            plan.source.thinking,
            reward="prefix" if self.name == RPT else "gain",
            next_token_weight=plan.next_token_weight if self.name in (RLP, RPT) else 0.0,
        )
        positions = plan.source.positions(
            self.n_documents, self.seed, self.model, self.tokenizer, at_random=self.name == ANYWHERE
        )
        rlp(objective, positions, plan.config, **self._options(log, plan.sizes.steps))

    def grpo(self, log: Callable[[Row], None], steps: int, seed: int) -> None:
        """Is rewarded for right replies to questions, which the seed chooses."""
        source, per_step = self.plan.source, self.plan.sizes.prompts_per_step
        items = source.training_items(steps * per_step, seed)
        items = asking.fitting(self.model, self.tokenizer, items, source.longest_reply)
        if not items:
            raise UserError(
                f"No problem leaves room in the model's context for a reply of {source.longest_reply} tokens"
                ": lower thought_tokens."
            )
        rows = [{"prompt": asking.prompt_for(self.tokenizer, item), "item": item} for item in items]
        config = replace(self.plan.config, max_new_tokens=source.longest_reply, stop=source.stop)
        reinforce(self.model, self.tokenizer, rows, verified, config, **self._options(log, steps))

    def read(self, texts: Sequence[str | Position], log: Callable[[Row], None], **length: Any) -> None:
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

    def _options(self, log: Callable[[Row], None], steps: int) -> dict[str, Any]:
        """Of both reinforcements, which keep a few thoughts now and then."""
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
        thinking, positions = self.plan.source.thinking, self.test_positions[:LOOKED_AT]
        completions = TransformersSampler(self.model, self.tokenizer).sample(
            [before + thinking.opening for before, _ in positions],
            SamplingParams(
                max_tokens=thinking.max_tokens, stop=(thinking.closing,), temperature=self.plan.sizes.asked_at
            ),
        )
        rows = [(step, before, thought.text, after)
                for (before, after), (thought,) in zip(positions, completions, strict=True)]  # fmt: skip
        return pd.DataFrame(rows, columns=["step", "before", "thought", "after"])

    def ask(self) -> None:
        """Leaves the tables `replies`, `thought` and `predictions` in the folder."""
        plan, draws, source = self.plan, self.plan.sizes.draws, self.plan.source
        if source.asks:
            items = source.test_items(plan.sizes.n_test)
            items = asking.fitting(self.model, self.tokenizer, items, source.longest_reply)
            names = [item for item in items if kind_of(item) == WHO]
            others = [item for item in items if kind_of(item) != WHO]
            about = {"seed": plan.seed, "temperature": plan.sizes.asked_at}
            ask = partial(asking.ask, self.model, self.tokenizer, source, **about)
            parts = [ask(others, draws=draws), *([ask(names, draws=2 * draws)] if names else [])]
            replies = pd.concat(parts, ignore_index=True)
            cached_table(self.folder / "replies.parquet", lambda: replies)
            if isinstance(source, Embedded):
                thought = ask(others, draws=draws, opening=thoughts.OPENING)
                cached_table(self.folder / "thought.parquet", lambda: thought)
        table = asking.predictions(self.model, self.tokenizer, self.test_positions, source.thinking,
                                   draws=draws, seed=plan.seed, temperature=plan.sizes.asked_at)  # fmt: skip
        table["kind"] = source.kinds(len(table))
        cached_table(self.folder / "predictions.parquet", lambda: table)


def verified(completions: Sequence[Completion], rows: Sequence[Row]) -> list[float]:
    """1 for a right reply, 0 for another."""
    return [float(row["item"].right(reply.text)) for reply, row in zip(completions, rows, strict=True)]
