"""Training: language modelling and completion-only fine-tuning, stopped and resumed without a trace.

Over transformers' `Trainer`, not trl's `SFTTrainer`: that is the same loop about a tenth slower, and packing
is all it would add here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.engine.checks import check
from workbench.engine.models import context_length
from workbench.engine.training.checkpoints import describe, load_if_finished
from workbench.engine.training.common import (
    History,
    TrainConfig,
    quick_attention,
    uses_bf16,
    world_size,
)
from workbench.engine.training.lora import fingerprint
from workbench.engine.training.memory import master_weights
from workbench.engine.training.packing import Blocks, Example, pack
from workbench.engine.traits import traits
from workbench.errors import UserError
from workbench.files import recover_folder

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast


def train(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    examples: Sequence[Example] | Blocks,
    config: TrainConfig,
    *,
    folder: str | Path,
    held_out: Sequence[Example] = (),
    log: Callable[[dict[str, float]], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> History:
    """Train `model` in place with AdamW and leave it in `folder`, which `models.load` reads.

    A call that was cut off (SIGKILL too) goes on from its last checkpoint when repeated, and ends with the
    weights that it would have had; a call that was finished only loads them. Under `torchrun` the processes
    share each batch.

    Args:
        model: its device is where it is trained. Its weights become fp32 (see `memory.master_weights`), and
            are saved so. Rows are no longer than its context, whatever `config` says.
        tokenizer: saved beside it.
        examples: texts, or (prompt, completion) pairs, of which only completions are learnt; see
            `packing.pack`. They are shuffled; rows laid out already (`Blocks`) are read in their own order.
        folder: checkpoints while it trains, the model at the end.
        held_out: examples for the held-out loss, measured at the start, every `evaluate_every` steps and at
            the end.
        log: called with each row of the history (in the main process only).
        stop: asked after each step; when true, a checkpoint is written and the call returns.

    Raises:
        UserError: settings contradict each other, `folder` holds another training, or it cannot be written;
            or the model fails `checks.check`.
    """
    folder = Path(folder)
    recover_folder(folder)
    if config.batch_size % world_size():
        raise UserError(f"batch_size={config.batch_size} must be divisible by the {world_size()} processes.")
    master_weights(model, adapter=config.lora is not None)
    in_order = isinstance(examples, Blocks)
    config = replace(config, context=min(config.context, context_length(model)))
    blocks = _check_rows(examples, model) if in_order else _rows(model, tokenizer, examples, config)
    config = config.resolved(len(blocks.ids))
    settings = _settings(model, blocks, config)
    rows = load_if_finished(folder, settings, model)
    if rows is not None:
        return History(rows, finished=True)
    check(model, tokenizer)
    from workbench.engine.training.loop import run

    return run(model, tokenizer, blocks, config, settings, folder, held_out, in_order, log, stop)


def _rows(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    examples: Sequence[Example],
    config: TrainConfig,
) -> Blocks:
    """Examples in rows: several to a row only where the model keeps them apart."""
    with quick_attention(model, config.context):
        together = traits(model).parts_documents and traits(model).ignores_batch_mates
    return pack(tokenizer, examples, config.context, one_per_row=not together)


def _check_rows(blocks: Blocks, model: PreTrainedModel) -> Blocks:
    length, context = blocks.ids.shape[1], context_length(model)
    if length > context:
        raise UserError(
            f"Rows of {length} tokens are more than the model's context of {context}: take a smaller "
            "profile, or a model with a longer context."
        )
    return blocks


def _settings(model: PreTrainedModel, blocks: Blocks, config: TrainConfig) -> dict[str, Any]:
    """What a repeated call must have in common with the one that began."""
    same = ("steps", "batch_size", "context", "learning_rate", "schedule", "warmup", "gradient_accumulation")
    return {
        "model": describe(model),
        "examples": blocks.digest(),
        **{name: getattr(config, name) for name in same},
        "precision": "bf16" if uses_bf16(model, config.precision) else "fp32",
        "lora": asdict(config.lora) | {"base": fingerprint(model)} if config.lora else None,
        "seed": config.seed,
    }
