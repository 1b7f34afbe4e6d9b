"""A model of a population, tuned to what most people answer: by preferences (DPO) and by imitation (SFT).

Rafailov et al. 2023, arXiv 2305.18290, section 4: of two answers to a question x, y_w is preferred to y_l;
pi, which begins as pi_ref, learns to minimise

    -log sigmoid(beta log pi(y_w|x) / pi_ref(y_w|x) - beta log pi(y_l|x) / pi_ref(y_l|x))

As published: the loss, by trl's `DPOTrainer`. Different: y_w is what most people answer, so nobody is asked
which of two replies is better; and no SFT on the preferred answers goes before. Imitation of the same answers
stands beside it, and spectrum-style tuning (`spectrum`). Only some questions are tuned on.
"""

import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerFast

from workbench.corpora import populations
from workbench.corpora.loaders.opinions import ANSWER, Question, format_question
from workbench.engine import loading, models
from workbench.engine.models import context_length
from workbench.engine.tokens import converses, encode, framed
from workbench.engine.training.checkpoints import check_finite
from workbench.engine.training.common import TrainConfig, unchanged_length
from workbench.engine.training.lora import adapted
from workbench.engine.training.memory import master_weights, micro_batch
from workbench.engine.training.packing import end_token
from workbench.engine.training.train import train
from workbench.errors import UserError
from workbench.studies.pluralism import spectrum
from workbench.studies.pluralism.majorities import majority
from workbench.studies.pluralism.method import NOBODY, Task

CONTEXT = 128


@dataclass(frozen=True)
class Preference:
    """A question with the answer to prefer (y_w) and another one (y_l)."""

    prompt: str
    chosen: str
    rejected: str


# ------------------------------------------------------------------------------- what is learnt
def tuning_questions(task: Task, ids: set[str], seed: int, embedded: bool) -> list[Question]:
    """The questions to tune on, as anybody is asked; the villages' in all wordings but the last."""
    wordings = range(populations.HELD_OUT) if embedded else ()
    villages = [question for wording in wordings for question in populations.population(seed, wording)]
    chosen = [question for question in (villages or task.questions) if question.id in ids]
    return task.prompted(NOBODY, chosen)


def preferences(questions: Sequence[Question], n: int, seed: int) -> list[Preference]:
    """`n` preferences: questions with options in any order, the majority's answer, and another one.

    Args:
        questions: as they are put; those without a majority are passed over.
        n: rows.
        seed: of the draws.
    """
    rng, rows = Random(seed), []
    settled = [(question, chosen) for question in questions if (chosen := majority(question))]
    for question, chosen in rng.choices(settled, k=n):
        others = dict(zip(question.options, question.people.dist, strict=True))
        del others[chosen]
        (rejected,) = rng.choices(list(others), [share + 1e-3 for share in others.values()])
        order = rng.sample(question.options, len(question.options))
        prompt = format_question(question.prompt, order, letters=False)
        rows.append(Preference(prompt, f" {chosen}", f" {rejected}"))
    return rows


# ------------------------------------------------------------------------------- learning
def pretrain(
    folder: Path,
    preset: str,
    steps: int,
    batch_size: int,
    learning_rate: float,
    population: int,
    seed: int,
    device: str = "auto",
) -> None:
    """Trains a model of the villages: it reads what people were asked and said, one after another.

    Args:
        folder: of the model; a call that was cut off goes on.
        preset: its shape.
        steps: of the training.
        batch_size: rows of a step, each of up to `spectrum.IN_CONTEXT` people of any village.
        learning_rate: the highest.
        population: seed of what the villages think.
        seed: of the model and of the people asked.
        device: where it is trained.
    """
    questions = populations.all_wordings(population) + populations.truths() * (populations.HELD_OUT + 1)
    size = spectrum.IN_CONTEXT
    asked = populations.draw(questions, size * steps * batch_size, seed)
    tokenizer = models.train_tokenizer([prompt + answer for prompt, answer in asked[:4000]], 768)
    rows = [asked[first : first + size] for first in range(0, len(asked), size)]
    shape = models.config(preset, vocab_size=len(tokenizer), context=CONTEXT)
    model = models.build(shape, seed, loading.pick_device(device))
    schedule = {"learning_rate": learning_rate, "seed": seed}
    config = TrainConfig(steps=steps, batch_size=batch_size, context=CONTEXT, **schedule)
    train(model, tokenizer, spectrum.in_context(tokenizer, rows, CONTEXT), config, folder=folder)


def imitate(folder: Path, source: str, rows: Sequence[Preference], config: TrainConfig, device: str) -> None:
    """Supervised fine-tuning on the chosen answers, as often as DPO sees them; of an adapter if so set."""
    model, tokenizer = loading.load(source, device)
    asked = [framed(tokenizer, row.prompt, ANSWER) for row in rows]
    examples = [(prompt + begun, row.chosen) for (prompt, begun), row in zip(asked, rows, strict=True)]
    longest = max(len(ids) for ids in encode(tokenizer, [prompt + answer for prompt, answer in examples]))
    batch_size = max(1, config.batch_size // max(1, CONTEXT // longest))  # several examples fit into a row
    config = replace(config, batch_size=batch_size, context=max(CONTEXT, longest + 1))
    train(model, tokenizer, examples, config, folder=folder)


def prefer(
    folder: Path, source: str, rows: Sequence[Preference], config: TrainConfig, device: str, beta: float
) -> None:
    """Direct preference optimisation, of an adapter if so set; the model before it is the reference.

    The folder is whole or not there: a call that was cut off begins anew.

    Raises:
        UserError: an answer does not fit into the model's context, or `check_tunable` refuses the model.
    """
    if folder.exists():
        return
    from datasets import Dataset
    from transformers import PrinterCallback
    from trl import DPOConfig, DPOTrainer

    model, tokenizer = loading.load(source, device)
    master_weights(model, adapter=config.lora is not None)
    longest, context = _longest(tokenizer, rows), context_length(model)
    check_tunable(model, tokenizer, longest)
    if longest > context:
        raise UserError(f"A question and its answer take {longest} tokens, the model reads {context}.")
    assert config.epochs is not None
    # Both answers to a question go through the model at once.
    micro = micro_batch(model, config.batch_size, 2 * longest)
    data = Dataset.from_list([_trl_row(tokenizer, row) for row in rows])
    with (
        tempfile.TemporaryDirectory() as nothing,
        warnings.catch_warnings(),
        adapted(model, config.lora, config.seed) as learner,
    ):
        warnings.simplefilter("ignore", FutureWarning)  # trl asks transformers by names that it gave up
        arguments = DPOConfig(
            output_dir=nothing,
            per_device_train_batch_size=micro.rows,
            gradient_accumulation_steps=config.batch_size // micro.rows,
            max_length=context,
            num_train_epochs=config.epochs,
            learning_rate=config.learning_rate,
            lr_scheduler_type=config.schedule,
            warmup_steps=config.warmup,
            beta=beta,
            precompute_ref_log_probs=True,
            activation_checkpointing=micro.checkpointing,
            bf16=False,
            use_cpu=model.device.type == "cpu",
            seed=config.seed,
            save_strategy="no",
            logging_strategy="no",
            disable_tqdm=True,
        )
        trainer = DPOTrainer(learner, args=arguments, train_dataset=data, processing_class=tokenizer)
        trainer.remove_callback(PrinterCallback)
        trainer.train()
        if config.lora:
            model.float()  # in half precision most of what was learnt would be rounded away
            learner.merge_adapter()
    model.activation_checkpointing_disable()
    check_finite(model, folder)
    loading.save(model, tokenizer, folder)


def check_tunable(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, longest: int = 1) -> None:
    """Whether `prefer` can learn with a model, from rows of several lengths up to the `longest`.

    Raises:
        UserError: the tokenizer has no end token, or the model reads a row otherwise beside a longer one.
    """
    end_token(tokenizer)
    if unchanged_length(model) < longest:
        raise UserError(
            f"{type(model).__name__} reads an answer in another way beside a longer one, so preferences "
            "cannot be learnt: set tune to False, or take another model."
        )


def _longest(tokenizer: PreTrainedTokenizerFast, rows: Sequence[Preference]) -> int:
    """Tokens of the longest question with its answer, and the end behind it."""
    asked = [framed(tokenizer, row.prompt, ANSWER) for row in rows]
    texts = [
        prompt + begun + answer
        for (prompt, begun), row in zip(asked, rows, strict=True)
        for answer in (row.chosen, row.rejected)
    ]
    return max(len(ids) for ids in encode(tokenizer, texts)) + 1


def _trl_row(tokenizer: PreTrainedTokenizerFast, row: Preference) -> dict[str, Any]:
    """A row for `DPOTrainer`: messages for an instruct model, which it puts through the chat template."""
    if not converses(tokenizer):
        return {**asdict(row), "prompt": row.prompt + ANSWER}
    _, begun = framed(tokenizer, row.prompt, ANSWER)
    replies = {"chosen": begun + row.chosen, "rejected": begun + row.rejected}
    messages = {name: [{"role": "assistant", "content": text}] for name, text in replies.items()}
    return {"prompt": [{"role": "user", "content": row.prompt}], **messages}
