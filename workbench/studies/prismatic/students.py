"""Small students: each trained on its own set of word problems, all from one base, tested on unseen kinds.

The base has read number facts and problems of one step; the sets hold problems of two steps, so that a
student has to learn which steps a text asks for, not how to add. A set is worth its student's accuracy.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import pandas as pd

from workbench.corpora.problems import Problem, draw
from workbench.engine import loading
from workbench.engine.sampling.sampler import Sampler, SamplingParams, prompt_for
from workbench.engine.sampling.transformers_sampler import TransformersSampler
from workbench.engine.tokens import encode_pairs, framed
from workbench.engine.training.common import TrainConfig
from workbench.engine.training.train import train
from workbench.files import cached_table
from workbench.measures.answers.grading import grade_many
from workbench.studies.common.arms import arm_folder, collect, run_arms
from workbench.studies.common.word_problems import CONTEXT, LARGEST, Pair, StudentConfig, two_steps

WORTH_A_PROCESS = 1_000  # steps: to start processes for fewer takes longer than the training


def train_students(
    folder: Path,
    base: str,
    sets: Mapping[tuple[str, int], Sequence[Pair]],
    student: StudentConfig,
    chat: bool = False,
    device: str = "auto",
) -> pd.DataFrame:
    """Trains a student on every set of every seed and tests it: columns arm, seed, item, right.

    Students are shared out between the processor's cores, or follow each other on another device; the answers
    of those that have finished stay in `folder`.

    Args:
        folder: of the answers.
        base: the model that all begin from.
        sets: pairs to learn, by arm and seed, of which every arm has the same. Students of one seed share
            their test problems and the random numbers that put their pairs in order.
        student: how long it is trained, and how many problems test it.
        chat: students read and are asked through the base's chat template.
        device: where they are trained and tested.
    """
    arms, seeds = (list(dict.fromkeys(names)) for names in zip(*sets, strict=True))
    waiting = {key: list(pairs) for key, pairs in sets.items() if not arm_folder(folder, *key).exists()}
    device = loading.pick_device(device)
    train_student = partial(train_arm, waiting, base, student, chat, device)
    here = 1 if len(waiting) * student.steps < WORTH_A_PROCESS else None
    run_arms(folder, arms, seeds, train_student, unit="student", device=device, processes=here)
    return collect(folder, arms, seeds, "right")[["arm", "seed", "item", "right"]]


def train_arm(
    sets: Mapping[tuple[str, int], list[Pair]],
    base: str,
    student: StudentConfig,
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
            context=max(CONTEXT, longest),
            learning_rate=2e-3,
            seed=seed,
            evaluate_every=student.steps,
            checkpoint_every=student.steps,
        ),
        folder=folder / ".model",
    )
    sampler = TransformersSampler(model, tokenizer, batch_size=64)
    cached_table(
        folder / "right.parquet", lambda: grade_student(sampler, test_problems(student.n_test, seed), chat)
    )


def test_problems(n: int, seed: int) -> list[Problem]:
    """Problems to test on, of held-out templates."""
    return draw(n, seed + 1, templates=two_steps(held_out=True), largest=LARGEST)


def grade_student(sampler: Sampler, tests: Sequence[Problem], chat: bool) -> pd.DataFrame:
    """Whether the most likely solution of each problem says the right answer: columns item, right."""
    prompts = [prompt_for(sampler, problem.question) if chat else problem.question for problem in tests]
    replies = sampler.sample(prompts, SamplingParams(max_tokens=60, temperature=0))
    grades = grade_many([reply[0].text for reply in replies], [problem.answer for problem in tests])
    right = [item.verdict == "correct" and item.answer.source == "marker" for item in grades]
    return pd.DataFrame({"item": range(len(right)), "right": right})
