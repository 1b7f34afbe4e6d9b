"""Small students: each trained on its own set of problems, all from one base, tested on unseen kinds.

The base knows every fact and every wording, so that a student has to learn which steps a text asks for. A set
is worth its students' accuracy.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from workbench.engine import loading
from workbench.engine.models import context_length
from workbench.engine.sampling.sampler import Sampler, SamplingParams, fits, prompt_for
from workbench.engine.sampling.transformers_sampler import TransformersSampler
from workbench.engine.tokens import encode_pairs, framed
from workbench.engine.training.common import TrainConfig
from workbench.engine.training.train import train
from workbench.files import cached_table
from workbench.studies.common.arms import arm_folder, collect, run_arms
from workbench.studies.prismatic.items import Pair
from workbench.studies.prismatic.tasks import Student, Task

WARM_UP = 8  # in so many parts of a short training the rate rises in the first
WORTH_A_PROCESS = 200  # steps: to start processes for fewer takes longer than the training


def train_students(
    folder: Path,
    base: str,
    sets: Mapping[tuple[str, int], Sequence[Pair]],
    task: Task,
    student: Student,
    chat: bool = False,
    device: str = "auto",
) -> pd.DataFrame:
    """Trains a student on every set of every seed and tests it: columns arm, seed, item, right, answer.

    Students are shared out between the processor's cores, or follow each other on another device; the answers
    of those that have finished stay in `folder`.

    Args:
        folder: of the answers.
        base: the model that all begin from.
        sets: pairs to learn, by arm and seed, of which every arm has the same. Students of one seed share
            their test problems and the random numbers that put their pairs in order.
        task: what they are asked.
        student: how long it is trained, and how many problems test it.
        chat: students read and are asked through the base's chat template.
        device: where they are trained and tested.
    """
    arms, seeds = (list(dict.fromkeys(names)) for names in zip(*sets, strict=True))
    waiting = {key: list(pairs) for key, pairs in sets.items() if not arm_folder(folder, *key).exists()}
    device = loading.pick_device(device)
    train_student = partial(train_arm, waiting, base, task, student, chat, device)
    here = 1 if len(waiting) * student.steps < WORTH_A_PROCESS else None
    run_arms(folder, arms, seeds, train_student, unit="student", device=device, processes=here)
    return collect(folder, arms, seeds, "right")[["arm", "seed", "item", "right", "answer"]]


def train_arm(
    sets: Mapping[tuple[str, int], list[Pair]],
    base: str,
    task: Task,
    student: Student,
    chat: bool,
    device: str,
    folder: Path,
    name: str,
    seed: int,
    *,
    log: Callable[[dict[str, float]], None],
) -> None:
    """One student: learns its set and is tested."""
    model, tokenizer = loading.load(base, device)
    learnt = sets[name, seed]
    pairs = [framed(tokenizer, *pair) for pair in learnt] if chat else learnt
    longest = max(len(prompt) + len(rest) + 1 for prompt, rest in encode_pairs(tokenizer, pairs))
    train(
        model,
        tokenizer,
        pairs,
        TrainConfig(
            steps=student.steps,
            batch_size=student.batch_size,
            context=min(max(student.context, longest), context_length(model)),
            learning_rate=student.learning_rate,
            warmup=min(20, student.steps // WARM_UP),
            lora=student.lora,
            seed=seed,
            evaluate_every=student.steps,
            checkpoint_every=student.steps,
        ),
        folder=folder / ".model",
    )
    sampler = TransformersSampler(model, tokenizer, batch_size=256)
    tests = task.tests(student.n_test, seed)
    cached_table(folder / "right.parquet", lambda: examine(sampler, task, tests, chat))


def examine(sampler: Sampler, task: Task, tests: Sequence[Any], chat: bool) -> pd.DataFrame:
    """What `Task.grade` says of the most likely solution of each problem; of one too long to ask, of none."""
    prompts = [prompt_for(sampler, test.question) if chat else test.question for test in tests]
    asked = [prompt for prompt in prompts if fits(sampler, prompt)]
    replies = sampler.sample(asked, SamplingParams(max_tokens=task.longest_reply, temperature=0))
    said = {prompt: reply[0].text for prompt, reply in zip(asked, replies, strict=True)}
    return task.grade(tests, [said.get(prompt, "") for prompt in prompts])
