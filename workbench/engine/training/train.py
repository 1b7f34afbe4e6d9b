"""Training: language modelling and completion-only fine-tuning, stopped and resumed without a trace.

Over transformers' `Trainer`, not trl's `SFTTrainer`: that is the same loop about a tenth slower, and packing
is all it would add here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.engine.training.checkpoints import describe, load_if_finished
from workbench.engine.training.common import (
    History,
    Precision,
    Schedule,
    supports_position_ids,
    uses_bf16,
    world_size,
)
from workbench.engine.training.lora import Lora, fingerprint
from workbench.engine.training.packing import Blocks, Example, pack
from workbench.errors import UserError
from workbench.files import recover_folder

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast


def train(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    examples: Sequence[Example] | Blocks,
    *,
    folder: str | Path,
    held_out: Sequence[Example] = (),
    steps: int | None = None,
    epochs: float | None = None,
    tokens: int | None = None,
    batch_size: int = 16,
    context: int = 256,
    learning_rate: float = 2e-3,
    schedule: Schedule = "cosine",
    warmup: int = 20,
    gradient_accumulation: int = 1,
    precision: Precision = "auto",
    lora: Lora | None = None,
    seed: int = 0,
    evaluate_every: int | None = None,
    checkpoint_every: int | None = None,
    log: Callable[[dict[str, float]], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> History:
    """Train `model` in place with AdamW and leave it in `folder`, which `models.load` reads.

    A call that was cut off (SIGKILL too) goes on from its last checkpoint when repeated, and ends with the
    weights that it would have had; a call that was finished only loads them. Under `torchrun` the processes
    share each batch.

    Args:
        model: its device is where it is trained.
        tokenizer: saved beside it.
        examples: texts, or (prompt, completion) pairs, of which only completions are learnt; see
            `packing.pack`. They are shuffled; rows laid out already (`Blocks`) are read in their own order.
        folder: checkpoints while it trains, the model at the end.
        held_out: examples for the held-out loss, measured at the start, every `evaluate_every` steps and at
            the end.
        steps: optimizer steps; give one of steps, epochs and tokens.
        epochs: passes over the examples.
        tokens: tokens to read, rounded up to whole steps.
        batch_size: rows of `context` tokens in a forward pass, over all processes.
        context: tokens a row.
        learning_rate: the highest.
        schedule: how it falls after the warm-up: to zero along a cosine or a line, or not at all.
        warmup: steps over which it rises to that.
        gradient_accumulation: forward passes in a step: 8 of 1 row equal 1 of 8.
        precision: `auto` autocasts to bf16 where the processor has it; weights stay in float32.
        lora: trains an adapter instead of the weights, and merges it into them when it is finished; until
            then the weights of `model` stay as they were.
        seed: order of shuffled rows, and of the adapter's first values.
        evaluate_every: steps; None for a tenth of the training.
        checkpoint_every: steps; None for a tenth of the training.
        log: called with each row of the history (in the main process only).
        stop: asked after each step; when true, a checkpoint is written and the call returns.

    Raises:
        UserError: settings contradict each other, `folder` holds another training, or it cannot be written.
    """
    folder = Path(folder)
    recover_folder(folder)
    if batch_size % world_size():
        raise UserError(f"batch_size={batch_size} must be divisible by the {world_size()} processes.")
    in_order = isinstance(examples, Blocks)
    if in_order:
        blocks = examples
    else:
        blocks = pack(tokenizer, examples, context, one_per_row=not supports_position_ids(model))
    steps = _steps(steps, epochs, tokens, len(blocks.ids), batch_size * gradient_accumulation, context)
    settings = {
        "model": describe(model),
        "examples": blocks.digest(),
        "steps": steps,
        "batch_size": batch_size,
        "context": context,
        "learning_rate": learning_rate,
        "schedule": schedule,
        "warmup": warmup,
        "gradient_accumulation": gradient_accumulation,
        "precision": "bf16" if uses_bf16(model, precision) else "fp32",
        "lora": asdict(lora) | {"base": fingerprint(model)} if lora else None,
        "seed": seed,
    }
    rows = load_if_finished(folder, settings, model)
    if rows is not None:
        return History(rows, finished=True)
    from workbench.engine.training.loop import run

    every = max(1, steps // 10)
    every = (evaluate_every or every, checkpoint_every or every)
    return run(model, tokenizer, blocks, in_order, held_out, folder, settings, every, log, stop, lora)


def _steps(
    steps: int | None, epochs: float | None, tokens: int | None, rows: int, rows_per_step: int, context: int
) -> int:
    if sum(length is not None for length in (steps, epochs, tokens)) != 1:
        raise UserError("Give one of steps, epochs and tokens, to say how long to train.")
    if epochs is not None:
        tokens = epochs * rows * context
    if steps is None:
        steps = math.ceil(tokens / (rows_per_step * context))
    if steps < 1:
        raise UserError("A training needs at least one step.")
    return steps
