"""Arithmetic first: does it help a small model with word problems, before them or mixed among them?

Gangwar, Bhat and Kani 2025, arXiv 2502.12855: intermediate fine-tuning (arithmetic, then the task), and a
mixture. Here small models learn from scratch, or from one that is given. Word problems are few and read many
times, as real ones are; arithmetic can be written without end. Each route is held against word problems alone
twice: for as many tokens of them (the paper's comparison), and for as many tokens in all.
"""

import os
import re
import shutil
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from workbench.engine import loading, models
from workbench.engine.models import context_length
from workbench.engine.parallel import run_parallel
from workbench.engine.sampling.sampler import SamplingParams
from workbench.engine.sampling.transformers_sampler import TransformersSampler
from workbench.engine.tokens import encode, encode_pairs, framed
from workbench.engine.training.common import TrainConfig
from workbench.engine.training.lora import Lora
from workbench.engine.training.train import train
from workbench.errors import UserError
from workbench.files import explain_write_error
from workbench.studies.arithmetic.data import Pair, Sizes, Task, exercises, pairs_of

Stage = tuple[list[Pair], int]
"""What is read, and for how many tokens."""

ROUTES = ("none", "none, longer", "intermediate", "mixture")
"""Word problems alone; the same for as many tokens as the routes read in all; and the two routes."""
_TOKENIZER_TEXTS = 2000
_AT_ONCE = 10_000  # pairs whose tokens are counted at a time
_LEAST_FITTING = 0.5  # share of the word problems that a model must be able to read whole
_HELD_OUT = 50  # word problems of each kind behind a learning curve
_SMALL = 30_000_000  # parameters
_LONGEST_REPLY = 72  # tokens; four times that where the context is long


# ------------------------------------------------------------------------------- what is read
def routes(
    words: Sequence[Pair], sums: Sequence[Pair], sizes: Sizes, tokenizer: Any
) -> dict[str, list[Stage]]:
    """What each route reads, stage by stage."""
    task, extra = sizes.task_tokens, sizes.extra_tokens
    drill = _filling(sums, extra, tokenizer)
    return {
        "none": [(list(words), task)],
        "none, longer": [(list(words), task + extra)],
        "intermediate": [(list(sums[: len(drill)]), extra), (list(words), task)],
        "mixture": [(_filling(words, task, tokenizer) + drill, task + extra)],
    }


def _filling(pairs: Sequence[Pair], tokens: int, tokenizer: Any) -> list[Pair]:
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
def start(folder: Path, params: Any, sizes: Sizes, task: Task) -> str:
    """Where all routes begin: the model that `model` names, or the shape and tokenizer of new ones.

    The tokenizer of new models keeps digits apart.

    Raises:
        UserError: the given model's context is too short for most of the word problems, or there is none to
            adapt.
    """
    if params.tuning == "lora" and params.model == "embedded":
        raise UserError("LoRA adapts a model that has learnt: name it with model, or take tuning=full.")
    if params.model != "embedded":
        _check(params.model, task)
        return params.model
    if not (folder / "config.json").exists():
        words = task.learnt[0][:_TOKENIZER_TEXTS]
        sums = pairs_of(exercises(params, sizes, 0)[:_TOKENIZER_TEXTS])
        # Where no digit follows another, no two of them become one token.
        texts = [re.sub(r"(?<=\d)(?=\d)", " ", "".join(pair)) for pair in [*words, *sums]]
        tokenizer = models.train_tokenizer(texts, 768 if params.data == "embedded" else 4096)
        config = models.config(sizes.preset, vocab_size=len(tokenizer), context=sizes.context)
        loading.save(models.build(config, params.seed), tokenizer, folder)
    return str(folder)


def _check(source: str, task: Task) -> None:
    """Most of the word problems must fit into the context, with their solutions."""
    model, tokenizer = loading.load(source, "cpu")
    context = context_length(model)
    pairs = encode_pairs(tokenizer, _asked_of(tokenizer, task.learnt[0]))
    fit = np.mean([len(prompt) + len(rest) < context for prompt, rest in pairs])
    if fit < _LEAST_FITTING:
        raise UserError(
            f"{source} reads {context} tokens, in which only {fit:.0%} of the word problems fit with their "
            "solutions: take a model with a longer context."
        )


def _asked_of(tokenizer: Any, pairs: Sequence[Pair]) -> list[Pair]:
    """The pairs as the model behind a tokenizer is asked and replies."""
    return [framed(tokenizer, question, reply) for question, reply in pairs]


@dataclass(frozen=True)
class _Start:
    """The model that a route begins from, whether its weights are drawn anew, where and how it learns."""

    source: str
    new: bool
    device: str
    lora: Lora | None

    def rate(self, model: Any) -> float:
        """The highest learning rate: the papers' for given models, more for very small and for new ones."""
        if self.new or self.lora:
            return 3e-3 if self.new else 2e-4
        return 1e-3 if models.count_parameters(model).total < _SMALL else 1e-4


def fit_all(
    folder: Path, begin: str, params: Any, sizes: Sizes, task: Task, log: Callable[..., None]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Trains every route in every repetition, and asks it everything.

    Trainings are shared out between the processor's cores, or follow each other on another device. The
    answers of each are kept in `folder` as it ends, so that a killed call goes on.

    Returns:
        Replies, columns route, seed, reply and those of `Task.asked`; and learning curves, columns route,
        seed, tokens, loss, held_out (nats per token of word problems).
    """
    names = {f"{route}-{seed}": (route, seed) for seed in range(sizes.seeds) for route in ROUTES}
    waiting = {name: each for name, each in names.items() if not (folder / name).exists()}
    if waiting:
        folder.mkdir(parents=True, exist_ok=True)
        lessons = _lessons(begin, params, sizes, task, {seed for _, seed in waiting.values()})
        lora = Lora() if params.tuning == "lora" else None
        first = _Start(begin, params.model == "embedded", loading.pick_device(params.device), lora)
        tasks = {
            name: (lessons[seed][route], folder / name, first, sizes, seed, task.asked)
            for name, (route, seed) in waiting.items()
        }
        run_parallel(
            _teach,
            tasks,
            total=sizes.task_tokens + sizes.extra_tokens,
            log=lambda name, row: log(model=name, **row),
            processes=min(torch.get_num_threads(), len(tasks)) if first.device == "cpu" else 1,
        )
    replies, curves = [], []
    for name, (route, seed) in names.items():
        told = pd.read_parquet(folder / name / "replies.parquet")["reply"].to_numpy()
        replies.append(task.asked.assign(route=route, seed=seed, reply=told))
        curves.append(pd.read_parquet(folder / name / "curve.parquet").assign(route=route, seed=seed))
    return pd.concat(replies, ignore_index=True), pd.concat(curves, ignore_index=True)


def _lessons(
    begin: str, params: Any, sizes: Sizes, task: Task, seeds: set[int]
) -> dict[int, dict[str, list[Stage]]]:
    _, tokenizer = loading.load(begin, "cpu")
    lessons = {}
    for seed in seeds:
        sums = pairs_of(exercises(params, sizes, seed))
        both = (_asked_of(tokenizer, pairs) for pairs in (task.learnt[seed], sums))
        lessons[seed] = routes(*both, sizes, tokenizer)
    return lessons


def _teach(
    stages: list[Stage],
    folder: Path,
    first: _Start,
    sizes: Sizes,
    seed: int,
    asked: pd.DataFrame,
    *,
    log: Callable[[dict[str, float]], None],
) -> None:
    place = folder.with_name(f".{folder.name}")
    model, tokenizer = loading.load(first.source, first.device)
    model = models.build(model.config, seed).to(first.device) if first.new else model
    model = model.float()  # half-precision weights would lose small steps
    words = asked[asked["test"] == "words"].groupby("kind").head(_HELD_OUT)
    held_out = _asked_of(tokenizer, list(zip(words["question"], " " + words["solution"], strict=True)))
    rows, before = [], 0
    for number, (pairs, tokens) in enumerate(stages):
        history = train(
            model,
            tokenizer,
            pairs,
            TrainConfig(
                tokens=tokens,
                learning_rate=first.rate(model),
                lora=first.lora,
                seed=zlib.crc32(f"{seed}/{number}".encode()),
                context=min(sizes.context, context_length(model)),
                batch_size=sizes.batch_size,
            ),
            folder=place / str(number),
            held_out=held_out,
            log=lambda row, before=before: log({**row, "tokens": before + row["tokens"]}),
        )
        rows.append(history.frame().assign(tokens=lambda frame, before=before: before + frame["tokens"]))
        before = int(rows[-1]["tokens"].iloc[-1])
    curve = pd.concat(rows, ignore_index=True).rename(columns={"held_out_nats": "held_out"})
    replies = pd.DataFrame({"reply": _replies(model, tokenizer, asked["question"])})
    with explain_write_error(place):
        curve[["tokens", "loss", "held_out"]].to_parquet(place / "curve.parquet")
        replies.to_parquet(place / "replies.parquet")
    for number in range(len(stages)):
        shutil.rmtree(place / str(number))
    os.replace(place, folder)
    log({"tokens": sizes.task_tokens + sizes.extra_tokens})  # "none" reads less: its share of the bar is done


def _replies(model: Any, tokenizer: Any, questions: Sequence[str]) -> list[str]:
    """The most likely answer to each question; none to one that fills the context."""
    room = context_length(model) - 2
    prompts = [framed(tokenizer, question, "")[0] for question in questions]
    lengths = map(len, encode(tokenizer, prompts))
    asked = [prompt for prompt, length in zip(prompts, lengths, strict=True) if length < room]
    sampler = TransformersSampler(model, tokenizer, batch_size=128)
    longest = _LONGEST_REPLY if room < 200 else 4 * _LONGEST_REPLY
    replies = sampler.sample(asked, SamplingParams(max_tokens=longest, temperature=0))
    told = dict(zip(asked, replies, strict=True))
    return [told[prompt][0].text if prompt in told else "" for prompt in prompts]
