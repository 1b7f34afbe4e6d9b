"""A model of a population, tuned to what most people answer: by preferences (DPO) and by imitation (SFT).

Rafailov et al. 2023, arXiv 2305.18290, for DPO: trl's `DPOTrainer`. Its pairs are two answers to a question,
of which the one that most people give is preferred. Two controls imitate: the same majority answers, and
answers drawn as people give them, which only trains on. Only some questions are tuned on.
"""

import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Any

from workbench.corpora import populations
from workbench.corpora.loaders.opinions import ANSWER, Question, format_question
from workbench.engine import loading, models
from workbench.engine.tokens import converses, encode, framed
from workbench.engine.training.common import TrainConfig
from workbench.engine.training.train import train
from workbench.errors import UserError
from workbench.studies.pluralism.method import NOBODY, Task


@dataclass(frozen=True)
class Sizes:
    """How much is learnt and asked.

    Attributes:
        preset: shape of the embedded model.
        steps: of its training on the villages' texts.
        batch_size: rows of `CONTEXT` tokens a step.
        tuning_steps: of each tuning, `pairs` questions a step.
        pairs: see there.
        learning_rate: of the tuning, the highest.
        seeds: models.
        samples: answers drawn for each question, about.
        questions: read from a file at most.
    """

    preset: str
    steps: int
    batch_size: int
    tuning_steps: int
    pairs: int
    learning_rate: float
    seeds: int
    samples: int
    questions: int


CONTEXT = 128


@dataclass(frozen=True)
class Lesson:
    """A question with the answer to prefer and another one: a row of preferences."""

    prompt: str
    chosen: str
    rejected: str


# ------------------------------------------------------------------------------- what is learnt
def majority(question: Question) -> str | None:
    """The option that most people choose; None where two are level."""
    dist = question.people.dist
    return question.options[dist.index(max(dist))] if dist.count(max(dist)) == 1 else None


def tuned_on(questions: Sequence[Question], seed: int) -> set[str]:
    """Ids of the questions to tune on: every second one, at random, of those with a majority.

    Raises:
        UserError: fewer than two questions have one.
    """
    names = sorted(each.id for each in questions if majority(each))
    if len(names) < 2:
        raise UserError("Tuning needs two questions with an answer that most people give: set tune to False.")
    Random(seed).shuffle(names)
    return set(names[::2])


def lessons(questions: Sequence[Question], n: int, seed: int, drawn: bool = False) -> list[Lesson]:
    """`n` preferences: questions with options in any order, the majority's answer, and another one.

    Args:
        questions: as they are put; those without a majority are passed over.
        n: rows.
        seed: of the draws.
        drawn: the answer to learn is drawn as people give it, instead of the majority's.
    """
    rng, found = Random(seed), []
    for question in rng.choices([each for each in questions if majority(each)], k=n):
        best = majority(question)
        chosen = rng.choices(question.options, question.people.dist)[0] if drawn else best
        shares = dict(zip(question.options, question.people.dist, strict=True))
        del shares[chosen]
        (rejected,) = rng.choices(list(shares), [share + 1e-3 for share in shares.values()])
        order = rng.sample(question.options, len(question.options))
        found.append(
            Lesson(format_question(question.prompt, order, letters=False), f" {chosen}", f" {rejected}")
        )
    return found


def lesson_questions(task: Task, chosen: set[str], seed: int, embedded: bool) -> list[Question]:
    """The questions to tune on, as anybody is asked; the villages' in the wordings of their texts."""
    if embedded:
        wordings = range(populations.HELD_OUT)
        known = [each for wording in wordings for each in populations.population(seed, wording)]
    else:
        known = task.questions
    return task.prompted(NOBODY, [each for each in known if each.id in chosen])


# ------------------------------------------------------------------------------- learning
def pretrain(folder: Path, sizes: Sizes, population: int, seed: int) -> str:
    """A model of the villages, in `folder`: it reads what people were asked and said.

    Args:
        folder: of the model; a call that was cut off goes on.
        sizes: shape and steps.
        population: seed of what the villages think.
        seed: of the model and of the people asked.
    """
    wordings = range(populations.HELD_OUT)
    known = [each for wording in wordings for each in populations.population(population, wording)]
    chances = populations.truths() * populations.HELD_OUT
    told = populations.draw(known + chances, 64 * sizes.steps * sizes.batch_size // 16, seed)
    tokenizer = models.train_tokenizer([prompt + answer for prompt, answer in told[:4000]], 768)
    train(
        models.build(models.config(sizes.preset, vocab_size=len(tokenizer), context=CONTEXT), seed),
        tokenizer,
        told,
        TrainConfig(
            steps=sizes.steps, batch_size=sizes.batch_size, context=CONTEXT, learning_rate=3e-3, seed=seed
        ),
        folder=folder,
    )
    return str(folder)


def imitate(folder: Path, source: str, rows: Sequence[Lesson], sizes: Sizes, seed: int, device: str) -> None:
    """Supervised fine-tuning on the chosen answers, as often as DPO sees them."""
    model, tokenizer = loading.load(source, device)
    told = []
    for row in rows:
        prompt, begun = framed(tokenizer, row.prompt, ANSWER)
        told.append((prompt + begun, row.chosen))
    longest = max(len(ids) for ids in encode(tokenizer, [prompt + answer for prompt, answer in told]))
    train(
        model,
        tokenizer,
        told,
        TrainConfig(
            epochs=1,
            batch_size=max(1, sizes.pairs // max(1, CONTEXT // longest)),
            context=max(CONTEXT, longest + 1),
            learning_rate=sizes.learning_rate,
            warmup=0,
            schedule="linear",
            seed=seed,
        ),
        folder=folder,
    )


def prefer(
    folder: Path, source: str, rows: Sequence[Lesson], sizes: Sizes, beta: float, seed: int, device: str
) -> None:
    """Direct preference optimisation, once through the rows; the model before it is the reference.

    The folder is whole or not there: a call that was cut off begins anew.
    """
    if folder.exists():
        return
    from datasets import Dataset
    from transformers import PrinterCallback
    from trl import DPOConfig, DPOTrainer

    model, tokenizer = loading.load(source, device)
    data = Dataset.from_list([_preference(tokenizer, row) for row in rows])
    with tempfile.TemporaryDirectory() as nothing, warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # trl asks transformers by names that it gave up
        arguments = DPOConfig(
            output_dir=nothing,
            per_device_train_batch_size=sizes.pairs,
            num_train_epochs=1,
            learning_rate=sizes.learning_rate,
            beta=beta,
            precompute_ref_log_probs=True,
            activation_checkpointing=False,
            bf16=False,
            use_cpu=model.device.type == "cpu",
            seed=seed,
            save_strategy="no",
            logging_strategy="no",
            disable_tqdm=True,
        )
        trainer = DPOTrainer(model, args=arguments, train_dataset=data, processing_class=tokenizer)
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    loading.save(model, tokenizer, folder)


def _preference(tokenizer: Any, row: Lesson) -> dict[str, Any]:
    """A row for `DPOTrainer`: messages for an instruct model, which it puts through the chat template."""
    if not converses(tokenizer):
        return {**asdict(row), "prompt": row.prompt + ANSWER}
    _, begun = framed(tokenizer, row.prompt, ANSWER)
    said = {name: begun + getattr(row, name) for name in ("chosen", "rejected")}
    messages = {name: [{"role": "assistant", "content": text}] for name, text in said.items()}
    return {"prompt": [{"role": "user", "content": row.prompt}], **messages}
