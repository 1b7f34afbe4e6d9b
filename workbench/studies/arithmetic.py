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
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pandas as pd
import torch

from workbench.corpora import arithmetic
from workbench.corpora.problem_files import load_problems
from workbench.corpora.problems import Problem, draw, templates, twin
from workbench.engine import models
from workbench.engine.generate import TransformersSampler
from workbench.engine.parallel import side_by_side
from workbench.engine.tokens import encode, encode_pairs
from workbench.engine.train import train
from workbench.errors import UserError

Pair = tuple[str, str]
"""Question, and the worked answer that follows it."""
Stage = tuple[list[Pair], int]
"""What is read, and for how many tokens."""

ROUTES = ("none", "none, longer", "intermediate", "mixture")
"""Word problems alone; the same for as many tokens as the routes read in all; and the two routes."""
GIVEN_CONTEXT = 512  # tokens: real problems are longer
_TOKENIZER_TEXTS = 2000
_HELD_OUT = 50  # word problems of each kind behind a learning curve
_LONGEST_REPLY = 72  # tokens; four times that where the context is long


@dataclass(frozen=True)
class Sizes:
    """How much is drawn, read and asked.

    Attributes:
        preset: shape of the models.
        problems: different word problems of a training set.
        exercises: of each cell in a training set.
        task_tokens: tokens of word problems that every route reads.
        extra_tokens: tokens of arithmetic, or more of the same word problems.
        batch_size: rows of `context` tokens a step.
        context: tokens a row for embedded problems; given ones get `GIVEN_CONTEXT` or more.
        seeds: repetitions, each with its own problems, first weights and order.
        asked: word problems of each kind in the test.
        per_cell: exercises of each cell in the test; fewer where it has no more.
        digits: of the longest operand.
        largest: number in a word problem, and in an exercise.
    """

    preset: str
    problems: int
    exercises: int
    task_tokens: int
    extra_tokens: int
    batch_size: int
    context: int
    seeds: int
    asked: int
    per_cell: int
    digits: int
    largest: int


SIZES = {
    "tiny": Sizes("tiny:0.3M", 1_000, 600, 300_000, 300_000, 16, 112, 3, 150, 20, 2, 20),
    "small": Sizes("tiny:3M", 5_000, 10_000, 4_000_000, 4_000_000, 32, 256, 5, 500, 50, 2, 100),
    "paper": Sizes("tiny:28M", 7_000, 50_000, 60_000_000, 60_000_000, 64, 512, 5, 1_000, 100, 3, 1_000),
}


# ------------------------------------------------------------------------------- what is read and asked
@cache
def few_steps(held_out: bool = False) -> list[str]:
    """Templates of one and two steps."""
    return [name for name in templates(held_out) if len(draw(1, 0, templates=[name])[0].steps) <= 2]


def tests(params: Any, sizes: Sizes) -> pd.DataFrame:
    """Everything that is asked: columns test, kind, steps, item, question, solution, gold.

    Tests are "words" (kinds "familiar" and "unseen": of held-out templates), "twins" (the same items with
    other numbers) and "arithmetic" (kinds are cells, such as "+ 2, 1"; from the test split). Given word
    problems are of the kind "given" and have no twins: a fifth of them is asked.
    """
    rows = []
    if params.data == "embedded":
        for place, kind in enumerate(("familiar", "unseen"), 1):
            names = few_steps(held_out=kind == "unseen")
            drawn = draw(sizes.asked, params.seed + place, templates=names, largest=sizes.largest)
            rows += [("words", kind, *_asked(each)) for each in drawn]
            rows += [("twins", kind, *_asked(twin(each, params.seed))) for each in drawn]
    else:
        _, held = _given(params)
        rows += [("words", "given", 0, *each) for each in held[: sizes.asked]]
    drawn = arithmetic.draw(cells(sizes), sizes.per_cell, params.seed, split="test", largest=sizes.largest)
    for each in {(each.cell, each.operands): each for each in drawn}.values():  # small cells repeat
        kind = f"{each.cell.operation} {', '.join(map(str, each.cell.digits))}"
        answer = arithmetic.written(each.answer)
        rows.append(("arithmetic", kind, 1, each.question, each.solution, answer))
    frame = pd.DataFrame(rows, columns=["test", "kind", "steps", "question", "solution", "gold"])
    return frame.assign(item=frame.groupby(["test", "kind"]).cumcount())


def _asked(problem: Problem) -> tuple[int, str, str, str]:
    return len(problem.steps), problem.question, problem.rationale(), str(problem.answer)


def _given(params: Any) -> tuple[list[tuple[str, str, str]], list[tuple[str, str, str]]]:
    """Question, solution and gold of a file's problems: four fifths to learn, one to test, none in both."""
    found = {p.question: (p.question, p.completion, p.gold) for p in load_problems(params.data) if p.gold}
    if len(found) < 10:
        raise UserError(f"{params.data} holds {len(found)} problems with an answer: give ten or more.")
    shuffled = Random(params.seed).sample(list(found.values()), len(found))
    kept = len(found) // 5
    return shuffled[kept:], shuffled[:kept]


def word_problems(params: Any, sizes: Sizes, asked: pd.DataFrame, repetition: int) -> list[Pair]:
    """The training set of a repetition: none of its questions is asked."""
    if params.data != "embedded":
        return [(question, " " + solution) for question, solution, _ in _given(params)[0]]
    closed = set(asked["question"])
    seed = params.seed + 1000 * (repetition + 1)
    drawn = draw(2 * sizes.problems, seed, templates=few_steps(), largest=sizes.largest)
    free = [(each.question, " " + each.rationale()) for each in drawn if each.question not in closed]
    return free[: sizes.problems]


@cache
def cells(sizes: Sizes) -> list[arithmetic.Cell]:
    """All four operations up to so many digits, where both splits have numbers small enough."""
    return [each for each in arithmetic.grid("+-*/", sizes.digits) if _holds(each, sizes.largest)]


def _holds(cell: arithmetic.Cell, largest: int) -> bool:
    try:
        return all(arithmetic.draw([cell], 1, 0, split=split, largest=largest) for split in ("train", "test"))
    except UserError:
        return False


def exercises(params: Any, sizes: Sizes, repetition: int) -> list[arithmetic.Exercise]:
    """The arithmetic that a repetition reads."""
    seed = params.seed + 1000 * (repetition + 1)
    return arithmetic.draw(cells(sizes), sizes.exercises, seed, largest=sizes.largest)


def routes(
    words: Sequence[Pair], sums: Sequence[Pair], sizes: Sizes, tokenizer: Any
) -> dict[str, list[Stage]]:
    """What each route reads, stage by stage."""
    task, extra = sizes.task_tokens, sizes.extra_tokens
    mixed = _filling(words, task, tokenizer) + _filling(sums, extra, tokenizer)
    return {
        "none": [(list(words), task)],
        "none, longer": [(list(words), task + extra)],
        "intermediate": [(list(sums), extra), (list(words), task)],
        "mixture": [(mixed, task + extra)],
    }


def _filling(pairs: Sequence[Pair], tokens: int, tokenizer: Any) -> list[Pair]:
    """The pairs over and over, until they make so many tokens."""
    lengths = [len(prompt) + len(rest) + 1 for prompt, rest in encode_pairs(tokenizer, pairs)]
    ends = np.cumsum(lengths)
    passes, rest = divmod(tokens, int(ends[-1]))
    return list(pairs) * passes + list(pairs[: int(np.searchsorted(ends, rest)) + 1])


# ------------------------------------------------------------------------------- training
def start(folder: Path, params: Any, sizes: Sizes, asked: pd.DataFrame) -> str:
    """Where all routes begin: the model that `model` names, or the shape and tokenizer of new ones.

    The tokenizer of new models keeps digits apart.
    """
    if params.model != "embedded":
        return params.model
    if not (folder / "config.json").exists():
        words = word_problems(params, sizes, asked, 0)[:_TOKENIZER_TEXTS]
        sums = pairs_of(exercises(params, sizes, 0)[:_TOKENIZER_TEXTS])
        # Where no digit follows another, no two of them become one token.
        texts = [re.sub(r"(?<=\d)(?=\d)", " ", "".join(pair)) for pair in [*words, *sums]]
        tokenizer = models.train_tokenizer(texts, 768 if params.data == "embedded" else 4096)
        context = sizes.context if params.data == "embedded" else max(sizes.context, GIVEN_CONTEXT)
        config = models.config(sizes.preset, vocab_size=len(tokenizer), context=context)
        models.save(models.build(config, params.seed), tokenizer, folder)
    return str(folder)


def pairs_of(drawn: Sequence[arithmetic.Exercise]) -> list[Pair]:
    """What a model reads of exercises."""
    return [(each.question, " " + each.solution) for each in drawn]


def fit_all(
    folder: Path, begin: str, params: Any, sizes: Sizes, asked: pd.DataFrame, log: Callable[..., None]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Trains every route in every repetition, and asks it everything.

    Trainings are shared out between the processor's cores. The answers of each are kept in `folder` as it
    ends, so that a killed call goes on.

    Returns:
        Replies, columns route, seed, reply and those of `tests`; and learning curves, columns route, seed,
        tokens, loss, held_out (nats per token of word problems).
    """
    names = {f"{route}-{seed}": (route, seed) for seed in range(sizes.seeds) for route in ROUTES}
    waiting = {name: each for name, each in names.items() if not (folder / name).exists()}
    if waiting:
        folder.mkdir(parents=True, exist_ok=True)
        lessons = _lessons(begin, params, sizes, asked, {seed for _, seed in waiting.values()})
        tasks = {
            name: (lessons[seed][route], folder / name, begin, params.model == "embedded", sizes, seed, asked)
            for name, (route, seed) in waiting.items()
        }
        total = sizes.task_tokens + sizes.extra_tokens
        processes = min(torch.get_num_threads(), len(tasks))
        side_by_side(
            _teach, tasks, total=total, log=lambda name, row: log(model=name, **row), processes=processes
        )
    replies, curves = [], []
    for name, (route, seed) in names.items():
        told = pd.read_parquet(folder / name / "replies.parquet")["reply"].to_numpy()
        replies.append(asked.assign(route=route, seed=seed, reply=told))
        curves.append(pd.read_parquet(folder / name / "curve.parquet").assign(route=route, seed=seed))
    return pd.concat(replies, ignore_index=True), pd.concat(curves, ignore_index=True)


def _lessons(
    begin: str, params: Any, sizes: Sizes, asked: pd.DataFrame, seeds: set[int]
) -> dict[int, dict[str, list[Stage]]]:
    _, tokenizer = models.load(begin, "cpu")
    return {
        seed: routes(
            word_problems(params, sizes, asked, seed),
            pairs_of(exercises(params, sizes, seed)),
            sizes,
            tokenizer,
        )
        for seed in seeds
    }


def _teach(
    stages: list[Stage],
    folder: Path,
    begin: str,
    new: bool,
    sizes: Sizes,
    seed: int,
    asked: pd.DataFrame,
    *,
    log: Callable[[dict[str, float]], None],
    stop: Callable[[], bool],
) -> None:
    place = folder.with_name(f".{folder.name}")
    model, tokenizer = models.load(begin, "cpu")
    if new:
        model = models.build(model.config, seed)
    words = asked[asked["test"] == "words"].groupby("kind").head(_HELD_OUT)
    held_out = list(zip(words["question"], " " + words["solution"], strict=True))
    longest = max(sizes.context, GIVEN_CONTEXT)
    context = min(longest, getattr(model.config, "max_position_embeddings", longest))
    rows, before = [], 0
    for number, (pairs, tokens) in enumerate(stages):
        history = train(
            model,
            tokenizer,
            pairs,
            folder=place / str(number),
            held_out=held_out,
            tokens=tokens,
            batch_size=sizes.batch_size,
            context=context,
            learning_rate=3e-3 if new else 1e-4,
            seed=zlib.crc32(f"{seed}/{number}".encode()),
            log=lambda row, before=before: log({**row, "tokens": before + row["tokens"]}),
            stop=stop,
        )
        if not history.finished:
            return
        rows.append(history.frame().assign(tokens=lambda frame, before=before: before + frame["tokens"]))
        before = int(rows[-1]["tokens"].iloc[-1])
    curve = pd.concat(rows, ignore_index=True).rename(columns={"held_out_nats": "held_out"})
    curve[["tokens", "loss", "held_out"]].to_parquet(place / "curve.parquet")
    pd.DataFrame({"reply": _replies(model, tokenizer, asked["question"])}).to_parquet(
        place / "replies.parquet"
    )
    for number in range(len(stages)):
        shutil.rmtree(place / str(number))
    os.replace(place, folder)
    log({"tokens": sizes.task_tokens + sizes.extra_tokens})  # "none" reads less: its share of the bar is done


def _replies(model: Any, tokenizer: Any, questions: Sequence[str]) -> list[str]:
    """The most likely answer to each question; none to one that fills the context."""
    room = getattr(model.config, "max_position_embeddings", 1 << 30) - 2
    lengths = map(len, encode(tokenizer, questions))
    asked = [text for text, length in zip(questions, lengths, strict=True) if length < room]
    sampler = TransformersSampler(model, tokenizer, batch_size=128)
    longest = _LONGEST_REPLY if room < 200 else 4 * _LONGEST_REPLY
    replies = sampler.sample(asked, max_new_tokens=longest, temperature=0)
    told = dict(zip(asked, replies, strict=True))
    return [told[question][0].text if question in told else "" for question in questions]
