"""Small students: each trained on its own set of word problems, all from one base, tested on unseen kinds.

The base has read number facts and problems of one step; the sets hold problems of two steps, so that a
student has to learn which steps a text asks for, not how to add. A set is worth its student's accuracy.
"""

import shutil
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pandas as pd
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from workbench.corpora.problems import Problem, draw, templates
from workbench.engine import models
from workbench.engine.folders import whole_file
from workbench.engine.generate import TransformersSampler, prompt_for
from workbench.engine.parallel import side_by_side
from workbench.engine.tokens import framed
from workbench.engine.train import train
from workbench.measures.answers import judge

Pair = tuple[str, str]
"""Question, and the worked answer that follows it."""
LARGEST = 20  # of every number in a problem
CONTEXT = 160


@dataclass(frozen=True)
class Course:
    """How base and students are trained and tested.

    Attributes:
        preset: shape of all models.
        base_steps: training steps of the base.
        steps: of a student.
        batch_size: rows of `CONTEXT` tokens a step.
        asked: test problems of each kind.
        context: tokens that the models can read.
        largest: number in what the base reads.
        n_words: names and things in what the base reads (None: all); see `problems.draw`.
    """

    preset: str
    base_steps: int
    steps: int
    batch_size: int
    asked: int
    context: int = CONTEXT
    largest: int = LARGEST
    n_words: int | None = None


def pair(problem: Problem) -> Pair:
    """What a model reads: the question, and the chain of thought after a space."""
    return problem.question, " " + problem.rationale("cot")


def facts(largest: int = LARGEST) -> list[str]:
    """Every sum, difference, product and exact quotient of whole numbers up to `largest`, as text."""
    numbers = range(largest + 1)
    found = []
    for a in numbers:
        for b in numbers:
            signs = [("+", a + b), ("-", a - b), ("*", a * b)]
            signs += [("/", a // b)] if b and a % b == 0 else []
            found += [f"{a} {sign} {b} = {c}." for sign, c in signs if 0 <= c <= largest]
    return found


@cache
def _n_steps(template: str) -> int:
    return len(draw(1, 0, templates=[template])[0].steps)


def two_steps(held_out: bool = False) -> list[str]:
    """Templates of two steps, the kind that students learn."""
    return [name for name in templates(held_out) if _n_steps(name) == 2]


# ------------------------------------------------------------------------------- training
def whole(problem: Problem) -> str:
    """A problem and its chain of thought as one text."""
    return "".join(pair(problem))


def base_texts(
    course: Course, seed: int, told: Callable[[Problem], str] = whole, kinds: Sequence[str] = ()
) -> list[str]:
    """What the base reads: number facts, eight to a text, and problems of one step, each as `told`; and as
    many of `kinds`, if there are any."""
    rng, known = Random(seed), facts(course.largest)
    texts = [" ".join(rng.choices(known, k=8)) for _ in range(1500)]
    one_step = [name for name in templates() if _n_steps(name) == 1]
    for names in filter(None, (one_step, kinds)):
        drawn = draw(6000, seed, templates=names, largest=course.largest, n_words=course.n_words)
        texts += [told(each) for each in drawn]
    return texts


def base(
    folder: Path,
    course: Course,
    params: Any,
    log: Callable[..., None],
    told: Callable[[Problem], str] = whole,
    kinds: Sequence[str] = (),
) -> str:
    """The model that students begin from: trained into `folder`, or the one that `model` names."""
    if params.model != "embedded":
        return params.model
    texts = base_texts(course, params.seed, told, kinds)
    seen = [told(each) for each in draw(2000, params.seed, templates=two_steps(), largest=LARGEST)]
    tokenizer = models.train_tokenizer(texts + seen, 768)
    config = models.config(course.preset, vocab_size=len(tokenizer), context=course.context)
    train(
        models.build(config, params.seed),
        tokenizer,
        texts,
        folder=folder,
        steps=course.base_steps,
        batch_size=course.batch_size,
        context=CONTEXT,
        learning_rate=3e-3,
        seed=params.seed,
        log=lambda row: log(model="base", **row),
    )
    return str(folder)


def proxy(base: str, params: Any) -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """The base, to read gradients from."""
    return models.load(base, params.device)


def fit_all(
    folder: Path,
    base: str,
    sets: Mapping[str, Sequence[Pair]],
    course: Course,
    seed: int,
    chat: bool = False,
) -> pd.DataFrame:
    """Trains a student on every set and tests it: columns student, kind, item, right.

    Students are shared out between the processor's cores; each one's answers are kept in `folder` as it ends,
    so that a killed call goes on.

    Args:
        folder: of the answers.
        base: the model that all begin from.
        sets: pairs to learn, by the student's name.
        course: how long.
        seed: of the test problems, and with the student's name of the order of its pairs.
        chat: students read and are asked through the base's chat template.
    """
    folder.mkdir(parents=True, exist_ok=True)
    waiting = [name for name in sets if not (folder / f"{name}.npz").exists()]
    processes = min(torch.get_num_threads(), len(waiting))
    if waiting:
        shares = {f"share-{i}": waiting[i::processes] for i in range(processes)}
        common = (folder, base, course, seed, chat)
        tasks = {
            share: ({name: list(sets[name]) for name in names}, *common) for share, names in shares.items()
        }
        total = max(map(len, shares.values()))
        side_by_side(_teach, tasks, total=total, log=lambda *_: None, processes=processes, unit="student")
    frames = []
    for name in sets:
        shutil.rmtree(folder / f".{name}", ignore_errors=True)  # of one killed when it had its answers
        with np.load(folder / f"{name}.npz") as found:
            for kind in found.files:
                right = found[kind]
                columns = {"student": name, "kind": kind, "item": range(len(right)), "right": right}
                frames.append(pd.DataFrame(columns))
    return pd.concat(frames, ignore_index=True)


def _teach(
    sets: Mapping[str, list[Pair]],
    folder: Path,
    base: str,
    course: Course,
    seed: int,
    chat: bool,
    *,
    log: Callable[[dict[str, float]], None],
) -> None:
    tests = test_problems(course.asked, seed)
    for number, (name, pairs) in enumerate(sets.items(), 1):
        model, tokenizer = models.load(base, "cpu")
        place = folder / f".{name}"
        train(
            model,
            tokenizer,
            [framed(tokenizer, *each) for each in pairs] if chat else pairs,
            folder=place,
            steps=course.steps,
            batch_size=course.batch_size,
            context=CONTEXT,
            learning_rate=2e-3,
            seed=zlib.crc32(f"{seed}/{name}".encode()),
            evaluate_every=course.steps,
            checkpoint_every=course.steps,
        )
        sampler = TransformersSampler(model, tokenizer, batch_size=64)
        right = {kind: is_right(sampler, problems, chat) for kind, problems in tests.items()}
        with whole_file(folder / f"{name}.npz") as new, new.open("wb") as file:
            np.savez(file, **right)
        shutil.rmtree(place)
        log({"tokens": number})


# ------------------------------------------------------------------------------- tests
def test_problems(n: int, seed: int) -> dict[str, list[Problem]]:
    """Problems to test on: `unseen` of held-out templates, `familiar` of all others."""
    kinds = {"unseen": two_steps(held_out=True), "familiar": two_steps()}
    return {
        kind: draw(n, seed + place, templates=names, largest=LARGEST)
        for place, (kind, names) in enumerate(kinds.items(), 1)
    }


def is_right(sampler: Any, problems: Sequence[Problem], chat: bool = False) -> np.ndarray:
    """Whether the most likely solution of each problem says the right answer, bool `[problems]`."""
    prompts = [prompt_for(sampler, each.question) if chat else each.question for each in problems]
    replies = sampler.sample(prompts, max_new_tokens=60, temperature=0)
    judged = [judge(reply[0].text, p.answer) for reply, p in zip(replies, problems, strict=True)]
    return np.array([each.verdict == "correct" and each.answer.how == "marker" for each in judged])
