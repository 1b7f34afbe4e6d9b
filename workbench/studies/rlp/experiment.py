"""The arms of 11_rlp: more text, RLP and GRPO from one beginning, at equal tokens and at equal compute."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from workbench.corpora import thoughts
from workbench.engine import loading
from workbench.engine.rl.grpo import reinforce
from workbench.engine.sampling.sampler import Completion, SamplingParams
from workbench.engine.sampling.scoring import prompt_tokens
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
from workbench.studies.rlp.plan import ANYWHERE, BASE, BOTH, COMPUTE, GRPO, PURE, RLP, RPT, TOKENS, Plan

LEARNT = 3  # passes that reading a token to learn from it costs: forward once, backward twice that
DRAWN = 5  # a drawn one: as it is drawn, as it is scored, and as it is learnt from
SNAPSHOTS, LOOKED_AT = 8, 6  # how often thoughts are looked at in a training, and at how many places
TABLES = ("predictions", "replies", "thought")
START = "start"  # folder of what the arms of a repetition begin with


def train_all(folder: Path, plan: Plan, log: Callable[..., None]) -> dict[str, pd.DataFrame]:
    """Trains and asks every arm in every repetition; what is done stays in `folder`, a killed run goes on.

    Args:
        folder: for models and tables.
        plan: see `plan`.
        log: called with arm, seed and the columns of each row that a training logs.

    Returns:
        Tables with the columns arm and seed: `predictions` (see `predictions`), `replies` and `thought` (see
        `rlp_task.ask`; free, and with a thought asked for), `snapshots` (step, before, thought, after).
    """
    run_arms(
        folder,
        plan.arms,
        plan.seeds,
        partial(train_arm, plan, folder),
        together=plan.arms,
        processes=None if plan.model == "embedded" else 1,
        log=lambda arm, seed, row: log(arm=arm, seed=seed, read=row["tokens"], **row),
    )
    tables = {table: _collected(folder, plan, table) for table in TABLES}
    return tables | {"snapshots": _collected(folder, plan, "thoughts-*").sort_values("step", kind="stable")}


def prepare(folder: Path, plan: Plan) -> Path:
    """The folder of the first repetition's beginning, with its base in it."""
    start = arm_folder(folder, START, plan.seed)
    if plan.model == "embedded":
        language.imitate(start, plan.sizes.language, plan.seed)
    return start


def history(folder: Path, plan: Plan) -> pd.DataFrame:
    """What the reinforcements of `train_all` have logged: the columns of `rlp` and `reinforce`, arm, seed."""
    frames = [
        pd.DataFrame(_rows(folder, arm, seed)).assign(arm=arm, seed=seed)
        for seed in plan.seeds
        for arm in plan.arms
        if arm not in (BASE, TOKENS, COMPUTE)
    ]
    return pd.concat(frames, ignore_index=True)


def _collected(folder: Path, plan: Plan, table: str) -> pd.DataFrame:
    frame = collect(folder, plan.arms, plan.seeds, table)
    return frame.reindex(columns=[*(name for name in frame if name != "seed"), "seed"])


def train_arm(
    plan: Plan, root: Path, folder: Path, arm: str, seed: int, *, log: Callable[[dict], None]
) -> None:
    """One arm: learns from its beginning, which is in `root`, and is asked."""
    start = arm_folder(root, START, seed)
    if arm == BASE and plan.model == "embedded":
        language.imitate(start, plan.sizes.language, seed)
    chosen = cached_table(start / "positions.parquet", partial(_chosen, start, plan))
    places = list(chosen.itertuples(index=False, name=None))
    begin = arm_folder(root, RLP, seed) / "model" if arm == BOTH else plan.base(start)
    model, tokenizer = loading.load(begin, plan.device)
    _train(root, folder, plan, arm, seed, model, tokenizer, places, log)
    _ask(folder, plan, model, tokenizer, places)


def _chosen(start: Path, plan: Plan) -> pd.DataFrame:
    """Where all arms are asked: chosen by the base."""
    model, tokenizer = loading.load(plan.base(start), plan.device)
    places = plan.source.chosen(plan.sizes.tested, HELD_OUT, model, tokenizer)
    return pd.DataFrame(places, columns=["before", "after"])


def _train(
    root: Path,
    folder: Path,
    plan: Plan,
    arm: str,
    seed: int,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    places: Sequence[Position],
    log: Callable[[dict], None],
) -> None:
    """Trains the model in place; the base stays as it is."""
    sizes, source = plan.sizes, plan.source
    common = {"folder": folder / "model", "seed": seed, "lora": plan.lora}
    watching = {"log": lambda row: (log(row), _snapshot(folder, plan, arm, model, tokenizer, places, row))}
    n = sizes.rlp * sizes.prompts
    if arm in (RLP, PURE, RPT, ANYWHERE):
        choose = source.anywhere if arm == ANYWHERE else source.chosen
        rlp(
            model,
            tokenizer,
            choose(n, seed, model, tokenizer),
            plan.thinking,
            plan.config,
            steps=sizes.rlp,
            next_token_weight=plan.next_token_weight if arm in (RLP, RPT) else 0.0,
            baseline=plan.baseline,
            batch_size=plan.batch_size,
            reward="prefix" if arm == RPT else "gain",
            **watching,
            **common,
        )
    elif arm in (GRPO, BOTH):
        rows = [{"prompt": item.question, "item": item} for item in source.items(n // 2, seed)]
        config = replace(plan.config, max_new_tokens=language.longest(source.slots), stop=(thoughts.END,))
        reinforce(model, tokenizer, rows, verified, config, steps=sizes.grpo, **watching, **common)
    elif arm in (TOKENS, COMPUTE):
        texts, length = source.documents(n, seed), {"epochs": 1}
        if arm == COMPUTE:
            tokens = int(_rows(root, RLP, seed)[-1]["tokens"]) * DRAWN // LEARNT
            mean = np.mean([len(ids) + 1 for ids in encode(tokenizer, texts)])
            texts, length = source.documents(int(tokens / mean) + 1, seed), {"tokens": tokens}
        config = TrainConfig(
            **length,
            batch_size=plan.rows,
            context=plan.context,
            learning_rate=sizes.text_rate,
            lora=plan.lora,
            seed=seed,
        )
        train(model, tokenizer, texts, config, folder=folder / "model", log=log)


def verified(completions: Sequence[Completion], rows: Sequence[dict[str, Any]]) -> list[float]:
    """1 for a right reply, 0 for another."""
    return [float(row["item"].right(each.text)) for each, row in zip(completions, rows, strict=True)]


def _rows(folder: Path, arm: str, seed: int) -> list[dict[str, float]]:
    """What the training of an arm that has finished has logged."""
    return json.loads((arm_folder(folder, arm, seed) / "model" / SETTINGS).read_text())["rows"]


# --------------------------------------------------------------------------------- asking
def _snapshot(
    folder: Path,
    plan: Plan,
    arm: str,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    places: Sequence[Position],
    row: dict[str, float],
) -> None:
    """A few thoughts, always of the same places and draws, as the model has them after this step."""
    total, step = plan.sizes.grpo if arm in (GRPO, BOTH) else plan.sizes.rlp, int(row["step"])
    if step not in np.linspace(1, total, SNAPSHOTS).round():
        return

    def think() -> pd.DataFrame:
        found = TransformersSampler(model, tokenizer).sample(
            [before + plan.thinking.opening for before, _ in places[:LOOKED_AT]],
            SamplingParams(max_tokens=plan.thinking.max_tokens, stop=(plan.thinking.closing,)),
        )
        return pd.DataFrame({
            "step": step,
            "before": [before for before, _ in places[:LOOKED_AT]],
            "thought": [each[0].text for each in found],
            "after": [after for _, after in places[:LOOKED_AT]],
        })  # fmt: skip

    cached_table(folder / f"thoughts-{step}.parquet", think)


def _ask(
    folder: Path,
    plan: Plan,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    places: Sequence[Position],
) -> None:
    sizes, asking = plan.sizes, partial(language.ask, model, tokenizer, seed=plan.seed)
    if isinstance(plan.source, Embedded):
        chains, aims = plan.source.asked(sizes.tested)
        free = [asking(chains, draws=sizes.draws), asking(aims, draws=2 * sizes.draws)]
        cached_table(folder / "replies.parquet", lambda: pd.concat(free, ignore_index=True))
        thought = asking(chains, draws=sizes.draws, thinking=True)
        cached_table(folder / "thought.parquet", lambda: thought)
    found = predictions(model, tokenizer, places, plan.thinking, draws=sizes.draws, seed=plan.seed)
    cached_table(folder / "predictions.parquet", lambda: found)


def predictions(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    positions: Sequence[Position],
    thinking: Thinking,
    *,
    draws: int,
    seed: int = 0,
) -> pd.DataFrame:
    """How well a text's next tokens are predicted, with thoughts and without.

    Args:
        model: any transformers causal language model.
        tokenizer: its tokenizer.
        positions: documents up to a token, and from it on.
        thinking: how thoughts are marked, and how many tokens are predicted.
        draws: thoughts at each position, at temperature 1.
        seed: of the draws.

    Returns:
        A row a position: item, nats (without a thought), nats_with (the mean over thoughts), right,
        right_with (share of thoughts after which the most likely tokens are the true ones), length (mean
        tokens of a thought).
    """
    rows = rows_of(tokenizer, positions, thinking)
    found = TransformersSampler(model, tokenizer, 256).sample(
        [row["prompt"] for row in rows],
        SamplingParams(n=draws, max_tokens=thinking.max_tokens, stop=(thinking.closing,), seed=seed),
    )
    objective = InformationGain(model, tokenizer, thinking)
    asked = prompt_tokens(tokenizer, [row["prompt"] for row in rows])
    behind = [
        (ids + each.tokens + objective.close(each), row["target"])
        for row, ids, group in zip(rows, asked, found, strict=True)
        for each in group
    ]
    nats, right = score(model, [(row["context"], row["target"]) for row in rows])
    with_nats, with_right = score(model, behind)
    return pd.DataFrame({
        "item": range(len(rows)),
        "nats": nats,
        "nats_with": with_nats.reshape(-1, draws).mean(1),
        "right": right,
        "right_with": with_right.reshape(-1, draws).mean(1),
        "length": [np.mean([len(each.tokens) for each in group]) for group in found],
    })  # fmt: skip
