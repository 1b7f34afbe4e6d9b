"""Arithmetic first: does it help a small model with word problems, before them or mixed among them?

Gangwar, Bhat and Kani 2025, arXiv 2502.12855: intermediate fine-tuning (arithmetic, then the task), and a
mixture. Here small models learn from scratch, or from one that is given. Word problems are few and read many
times, as real ones are; exercises can be written without end. Each route is held against word problems alone
twice: for as many tokens of them (the paper's comparison), and for as many tokens in all. Beside arithmetic
other first stages are read for as many tokens, such as rules and programs.
"""

import re
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from workbench.corpora import drills
from workbench.engine import loading, models
from workbench.engine.models import context_length
from workbench.engine.sampling.sampler import SamplingParams
from workbench.engine.sampling.transformers_sampler import TransformersSampler
from workbench.engine.tokens import encode, encode_pairs, framed
from workbench.engine.training.common import TrainConfig
from workbench.engine.training.lora import Lora
from workbench.engine.training.memory import master_weights
from workbench.engine.training.train import train
from workbench.errors import UserError
from workbench.files import cached_table
from workbench.studies.arithmetic.data import Task, words
from workbench.studies.arithmetic.settings import TABLE, Plan, Sizes
from workbench.studies.arithmetic.stages import Pair, exercises, pairs_of
from workbench.studies.common.arms import collect, run_arms

Stage = tuple[list[Pair], int]
"""What is read, and for how many tokens."""

CONTROL, EQUAL_COST, MIXTURE = "none", "none, longer", "mixture"
"""Word problems alone; the same for as many tokens as the routes read in all; exercises among them."""
GIVEN = "as given"  # a given model before it learns
ROUTES = (GIVEN, CONTROL, EQUAL_COST, MIXTURE, *(f"{stage} first" for stage in drills.STAGES))
"""Every route that there may be; see `routes_of`."""
_TOKENIZER_TEXTS = 2000
_VOCABULARY = {True: 640, False: 4096}  # by whether the word problems are our own
_AT_ONCE = 2_000  # pairs whose tokens are counted at a time
_LEAST_FITTING = 0.5  # share of the word problems that a model must be able to read whole
_SMALL = 30_000_000  # parameters
_LONGEST_REPLY = 72  # tokens; four times that where the context is long


# ------------------------------------------------------------------------------- what is read
def first(stage: str) -> str:
    """The route that reads a stage before word problems."""
    return f"{stage} first"


def before(stage: str) -> str:
    """The test of a stage as it is asked between it and word problems."""
    return f"{stage}, before word problems"


def routes_of(sizes: Sizes) -> list[str]:
    """The routes that are trained, the longest before the control; the mixture is with the first stage."""
    routes = [*map(first, sizes.first), MIXTURE, EQUAL_COST, CONTROL]
    if sizes.routes is None:
        return routes
    stages = [first(stage) for stage in sizes.first]
    return [route for route in (GIVEN, *routes) if route in (*sizes.routes, *stages)]


def stages_of(
    route: str, words: Sequence[Pair], seed: int, sizes: Sizes, tokenizer: PreTrainedTokenizerFast
) -> list[Stage]:
    """What a route reads, stage by stage; `words` are framed as the model behind the tokenizer reads them."""
    task, extra = sizes.task_tokens, sizes.extra_tokens
    if route in (CONTROL, EQUAL_COST):
        return [(list(words), task + extra * (route == EQUAL_COST))]
    stage = sizes.first[0] if route == MIXTURE else route.removesuffix(" first")
    read = framed_pairs(tokenizer, pairs_of(exercises(stage, seed, sizes)))
    drill = _fill(read, extra, tokenizer)
    if route == MIXTURE:
        return [(_fill(words, task, tokenizer) + drill, task + extra)]
    return [(drill, extra), (list(words), task)]


def _fill(pairs: Sequence[Pair], tokens: int, tokenizer: PreTrainedTokenizerFast) -> list[Pair]:
    """The pairs over and over, until they make so many tokens."""
    lengths: list[int] = []
    for at in range(0, len(pairs), _AT_ONCE):  # of a million exercises, only as many as are read
        part = encode_pairs(tokenizer, pairs[at : at + _AT_ONCE])
        lengths += [len(prompt) + len(rest) + 1 for prompt, rest in part]
        if sum(lengths) > tokens:
            break
    ends = np.cumsum(lengths)
    passes, rest = divmod(tokens, int(ends[-1]))
    return list(pairs) * passes + list(pairs[: int(np.searchsorted(ends, rest)) + 1])


# ------------------------------------------------------------------------------- training
def start(folder: Path, plan: Plan, task: Task) -> str:
    """Where all routes begin: the model that `model` names, or the shape and tokenizer of new ones.

    To the tokenizer of new models small numbers are one token each, and the digits of larger ones are apart.

    Raises:
        UserError: the given model's context is too short for most of the word problems, or there is none to
            adapt.
    """
    sizes, seed = plan.sizes, plan.seed
    if plan.model != "embedded":
        _check_context(plan.model, words(task, sizes, seed))
        return plan.model
    if not (folder / "config.json").exists():
        pairs = words(task, sizes, seed)[:_TOKENIZER_TEXTS]
        for stage in sizes.first:
            pairs = [*pairs, *pairs_of(exercises(stage, seed, sizes)[:_TOKENIZER_TEXTS])]
        texts = _numbers_whole if sizes.has_table else _digits_apart
        vocabulary = _VOCABULARY[plan.data == "embedded"]
        tokenizer = models.train_tokenizer(texts(["".join(pair) for pair in pairs]), vocabulary)
        shape = {"vocab_size": len(tokenizer), "context": sizes.context, "n_layers": sizes.layers}
        loading.save(models.build(models.config(sizes.preset, **shape), seed), tokenizer, folder)
    return str(folder)


def _numbers_whole(texts: list[str]) -> list[str]:
    """The texts, with all numbers up to `TABLE` so often that each becomes one token behind its space."""
    numbers = "".join(f" {number}" for number in range(TABLE + 1))
    return [*texts, *[numbers] * len(texts)]


def _digits_apart(texts: list[str]) -> list[str]:
    """The texts without a digit that follows another, so that no two of them become one token."""
    return [re.sub(r"(?<=\d)(?=\d)", " ", text) for text in texts]


def _check_context(source: str, problems: Sequence[Pair]) -> None:
    """Most of the word problems must fit into the context, with their solutions."""
    model, tokenizer = loading.load(source, "cpu")
    context = context_length(model)
    pairs = encode_pairs(tokenizer, framed_pairs(tokenizer, problems))
    fit = np.mean([len(prompt) + len(rest) < context for prompt, rest in pairs])
    if fit < _LEAST_FITTING:
        raise UserError(
            f"{source} reads {context} tokens, in which only {fit:.0%} of the word problems fit with their "
            "solutions: take a model with a longer context."
        )


def framed_pairs(tokenizer: PreTrainedTokenizerFast, pairs: Sequence[Pair]) -> list[Pair]:
    """The pairs as the model behind a tokenizer is asked and replies."""
    return [framed(tokenizer, question, reply) for question, reply in pairs]


def train_all(
    folder: Path, begin: str, plan: Plan, task: Task, log: Callable[..., None]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Trains every route with every seed, and asks it everything.

    Trainings are shared out between the processor's cores, or follow each other on another device. The
    answers of each are kept in `folder` as it ends, so that a killed call goes on.

    Returns:
        Replies, columns route, seed, reply and those of `Task.asked` (what was asked of a stage before word
        problems is of the test `before`); and learning curves, columns route, seed, tokens, loss, held_out
        (nats per token of word problems).

    Raises:
        UserError: see `run_arms`.
    """
    device, seeds, routes = loading.pick_device(plan.device), plan.seeds, routes_of(plan.sizes)
    if plan.placebo and GIVEN in routes:
        routes.remove(GIVEN)
    run_arms(
        folder,
        routes,
        seeds,
        partial(train_arm, begin, replace(plan, device=device), task),
        unit="token",
        total=plan.sizes.task_tokens + plan.sizes.extra_tokens,
        device=device,
        processes=plan.sizes.processes,
        placebo_of=CONTROL if plan.placebo else None,
        log=lambda route, seed, row: log(model=f"{route}-{seed}", **row),
    )
    tests = [(task.asked, "replies", routes)]
    tests += [(_between(task, stage), "drill", [first(stage)]) for stage in plan.sizes.first]
    replies = [_joined(asked, collect(folder, arms, seeds, table)) for asked, table, arms in tests]
    curves = collect(folder, routes, seeds, "curve").rename(columns={"arm": "route"})
    return pd.concat(replies, ignore_index=True), curves[["tokens", "loss", "held_out", "route", "seed"]]


def _joined(asked: pd.DataFrame, replies: pd.DataFrame) -> pd.DataFrame:
    """Replies of one arm after the other, with what was asked of each."""
    if replies.empty:
        return replies
    times = len(replies) // len(asked)
    replies = replies.rename(columns={"arm": "route"})[["route", "seed", "reply"]]
    return pd.concat([asked] * times, ignore_index=True).join(replies)


def _between(task: Task, stage: str) -> pd.DataFrame:
    """What is asked of a stage before word problems."""
    return task.asked[task.asked["test"] == stage].assign(test=before(stage))


def train_arm(
    begin: str,
    plan: Plan,
    task: Task,
    folder: Path,
    route: str,
    seed: int,
    *,
    log: Callable[[dict[str, float]], None],
) -> None:
    """One route: reads its stages, and is asked everything; the weights of new models are drawn anew."""
    sizes, new = plan.sizes, plan.model == "embedded"
    model, tokenizer = loading.load(begin, plan.device)
    model = models.build(model.config, seed, plan.device) if new else model
    master_weights(model, adapter=plan.tuning == "lora")
    asked = task.asked[task.asked["test"] == "words"].groupby("kind").head(sizes.n_held_out)
    held_out = framed_pairs(tokenizer, list(zip(asked["question"], " " + asked["solution"], strict=True)))
    learnt = framed_pairs(tokenizer, words(task, sizes, seed))
    reply = partial(_replies, model, tokenizer)
    if route == GIVEN:
        cached_table(folder / "replies.parquet", lambda: reply(task.asked["question"]))
        return
    rows, tokens_before = [], 0
    for number, (pairs, tokens) in enumerate(stages_of(route, learnt, seed, sizes, tokenizer)):
        if number:
            between = _between(task, route.removesuffix(" first"))
            cached_table(folder / "drill.parquet", lambda asked=between: reply(asked["question"]))
        history = train(
            model,
            tokenizer,
            pairs,
            _config(plan, model, tokens, zlib.crc32(f"{seed}/{number}".encode())),
            folder=folder / f".{number}",
            held_out=held_out,
            log=lambda row, moved=tokens_before: log(_moved(row, moved)),
        )
        rows += [_moved(row, tokens_before) for row in history.rows]
        tokens_before = int(rows[-1]["tokens"])
    curve = pd.DataFrame(rows).rename(columns={"held_out_nats": "held_out"})
    cached_table(folder / "curve.parquet", lambda: curve[["tokens", "loss", "held_out"]])
    cached_table(folder / "replies.parquet", lambda: reply(task.asked["question"]))


def _config(plan: Plan, model: PreTrainedModel, tokens: int, seed: int) -> TrainConfig:
    """How a stage is read."""
    sizes, lora = plan.sizes, Lora() if plan.tuning == "lora" else None
    every = max(1, tokens // (sizes.batch_size * sizes.context * sizes.curve))
    return TrainConfig(
        tokens=tokens,
        learning_rate=_learning_rate(model, plan.model == "embedded", lora),
        lora=lora,
        seed=seed,
        context=sizes.context,
        batch_size=sizes.batch_size,
        evaluate_every=every,
        checkpoint_every=2 * every,
    )


def _moved(row: dict[str, float], before: int) -> dict[str, float]:
    """A row of a later stage, in the tokens of all stages."""
    tokens = before + row["tokens"]
    return {**row, "tokens": tokens, "done": tokens}


def _learning_rate(model: PreTrainedModel, new: bool, lora: Lora | None) -> float:
    """The highest: the papers' for given models, more for very small and for new ones."""
    if new or lora:
        return 3e-3 if new else 2e-4
    return 1e-3 if models.count_parameters(model).total < _SMALL else 1e-4


def _replies(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, questions: Sequence[str]
) -> pd.DataFrame:
    """The most likely answer to each question, column reply; none to one that fills the context."""
    sampler = TransformersSampler(model, tokenizer, batch_size=128)
    prompts = [framed(tokenizer, question, "")[0] for question in questions]
    room = context_length(model) - 2
    short = [
        prompt for prompt, ids in zip(prompts, encode(tokenizer, prompts), strict=True) if len(ids) < room
    ]
    longest = _LONGEST_REPLY if room < 200 else 4 * _LONGEST_REPLY
    replies = sampler.sample(short, SamplingParams(max_tokens=longest, temperature=0))
    reply_to = {prompt: reply[0].text for prompt, reply in zip(short, replies, strict=True)}
    return pd.DataFrame({"reply": [reply_to.get(prompt, "") for prompt in prompts]})
