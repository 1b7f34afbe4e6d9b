"""Small students: each trained on its own set of word problems, all from one base, tested on unseen kinds.

The base has read number facts and problems of one step; the sets hold problems of two steps, so that a
student has to learn which steps a text asks for, not how to add. A set is worth its student's accuracy.
"""

import shutil
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from workbench.corpora.problems import Problem, draw
from workbench.engine import loading
from workbench.engine.parallel import run_parallel
from workbench.engine.sampling.sampler import Sampler, SamplingParams, prompt_for
from workbench.engine.sampling.transformers_sampler import TransformersSampler
from workbench.engine.tokens import framed
from workbench.engine.training.common import TrainConfig
from workbench.engine.training.train import train
from workbench.files import atomic_file
from workbench.measures.answers.grading import grade
from workbench.studies.common.word_problems import CONTEXT, LARGEST, Pair, StudentConfig, two_steps

# ------------------------------------------------------------------------------- training


def fit_all(
    folder: Path,
    base: str,
    sets: Mapping[str, Sequence[Pair]],
    course: StudentConfig,
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
        run_parallel(_teach, tasks, total=total, log=lambda *_: None, processes=processes, unit="student")
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
    course: StudentConfig,
    seed: int,
    chat: bool,
    *,
    log: Callable[[dict[str, float]], None],
) -> None:
    tests = test_problems(course.asked, seed)
    for number, (name, pairs) in enumerate(sets.items(), 1):
        model, tokenizer = loading.load(base, "cpu")
        place = folder / f".{name}"
        train(
            model,
            tokenizer,
            [framed(tokenizer, *each) for each in pairs] if chat else pairs,
            TrainConfig(
                steps=course.steps,
                batch_size=course.batch_size,
                context=CONTEXT,
                learning_rate=2e-3,
                seed=zlib.crc32(f"{seed}/{name}".encode()),
                evaluate_every=course.steps,
                checkpoint_every=course.steps,
            ),
            folder=place,
        )
        sampler = TransformersSampler(model, tokenizer, batch_size=64)
        right = {kind: is_right(sampler, problems, chat) for kind, problems in tests.items()}
        with atomic_file(folder / f"{name}.npz") as new, new.open("wb") as file:
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


def is_right(sampler: Sampler, problems: Sequence[Problem], chat: bool = False) -> np.ndarray:
    """Whether the most likely solution of each problem says the right answer, bool `[problems]`."""
    prompts = [prompt_for(sampler, each.question) if chat else each.question for each in problems]
    replies = sampler.sample(prompts, SamplingParams(max_tokens=60, temperature=0))
    judged = [grade(reply[0].text, p.answer) for reply, p in zip(replies, problems, strict=True)]
    return np.array([each.verdict == "correct" and each.answer.how == "marker" for each in judged])
