"""Training: language modelling and completion-only fine-tuning, stopped and resumed without a trace.

Over transformers' `Trainer`, not trl's `SFTTrainer`: that is the same loop about a tenth slower, and packing
is all it would add here.
"""

from __future__ import annotations

import inspect
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from workbench.engine.adapters import Lora, fingerprint
from workbench.engine.checkpoints import describe, finished
from workbench.engine.folders import take_up
from workbench.engine.generate import token_logprobs
from workbench.engine.packing import Blocks, Example, pack
from workbench.engine.tokens import encode, encode_pairs
from workbench.errors import UserError

if TYPE_CHECKING:
    import pandas as pd
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

Precision = Literal["auto", "fp32", "bf16"]
Schedule = Literal["cosine", "linear", "constant"]


@dataclass(frozen=True)
class History:
    """What a training logged.

    Attributes:
        rows: dicts with step, tokens (all processes, padding too), loss (nats per learnt token since the row
            before), learning_rate, tokens_per_second, and where it was measured held_out_nats and
            held_out_bits_per_byte.
        finished: false if `stop` ended it early; the same call goes on.
    """

    rows: list[dict[str, float]]
    finished: bool

    def frame(self) -> pd.DataFrame:
        """The rows as a table."""
        import pandas as pd

        return pd.DataFrame(self.rows)


@dataclass(frozen=True)
class Loss:
    """Loss on held-out texts.

    Attributes:
        nats_per_token: mean over all scored tokens.
        bits_per_byte: total loss in bits over the bytes of the scored text: comparable between tokenizers.
        nats: total of each text, float64 `[texts]`.
        n_tokens: scored tokens.
        n_bytes: bytes of the scored text.
    """

    nats_per_token: float
    bits_per_byte: float
    nats: np.ndarray
    n_tokens: int
    n_bytes: int


@torch.inference_mode()
def loss(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    texts: Sequence[Example],
    context: int | None = None,
    batch_size: int = 32,
) -> Loss:
    """Loss of texts (all but the beginning-of-text token is scored) or of completions after their prompts.

    Args:
        model: any transformers causal language model.
        tokenizer: its tokenizer.
        texts: each is scored by itself, in float32, without the end-of-text token.
        context: longest sequence, the rest of a text is left out; None for the model's own.
        batch_size: texts at a time.

    Raises:
        UserError: nothing to score.
    """
    longest = getattr(model.config, "max_position_embeddings", None) or 1 << 30
    context = min(context or longest, longest)
    if len(texts) and isinstance(texts[0], str):
        rows = [(ids[:1], ids[1:context]) for ids in encode(tokenizer, texts)]
    else:
        rows = [(prompt, rest[: context - len(prompt)]) for prompt, rest in encode_pairs(tokenizer, texts)]
    rows = [(before, scored if before else []) for before, scored in rows]
    kept = [index for index, (_, scored) in enumerate(rows) if scored]
    if not kept:
        raise UserError("There is no text to measure the loss on.")
    nats = np.zeros(len(rows))
    was_training = model.training
    model.eval()
    for part, values in token_logprobs(model, [rows[index] for index in kept], batch_size):
        nats[[kept[place] for place in part]] = [-row.sum() for row in values]
    model.train(was_training)
    n_tokens = sum(len(rows[index][1]) for index in kept)
    n_bytes = sum(_bytes(tokenizer, *rows[index]) for index in kept)
    total = float(nats.sum())
    return Loss(total / n_tokens, total / math.log(2) / max(1, n_bytes), nats, n_tokens, n_bytes)


def _bytes(tokenizer: PreTrainedTokenizerFast, before: list[int], scored: list[int]) -> int:
    # Only the last token before: it settles whether the tokenizer drops the first space.
    head = tokenizer.decode(before[-1:], skip_special_tokens=True)
    return len(tokenizer.decode(before[-1:] + scored, skip_special_tokens=True).encode()) - len(head.encode())


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
    take_up(folder)
    if batch_size % world_size():
        raise UserError(f"batch_size={batch_size} must be divisible by the {world_size()} processes.")
    in_order = isinstance(examples, Blocks)
    if in_order:
        blocks = examples
    else:
        blocks = pack(tokenizer, examples, context, one_per_row=not tells_documents_apart(model))
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
    rows = finished(folder, settings, model)
    if rows is not None:
        return History(rows, finished=True)
    from workbench.engine.trainer import run

    every = max(1, steps // 10)
    every = (evaluate_every or every, checkpoint_every or every)
    return run(model, tokenizer, blocks, in_order, held_out, folder, settings, every, log, stop, lora)


def world_size() -> int:
    """Processes that `torchrun` started, or 1."""
    return int(os.environ.get("WORLD_SIZE", 1))


def tells_documents_apart(model: PreTrainedModel) -> bool:
    """Whether position ids that restart keep packed documents from seeing each other."""
    return "position_ids" in inspect.signature(model.forward).parameters


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


def uses_bf16(model: PreTrainedModel, precision: Precision) -> bool:
    """Whether to autocast to bf16.

    Raises:
        UserError: there is no such precision.
    """
    if precision not in ("auto", "fp32", "bf16"):
        raise UserError(f"precision={precision!r} is not one of auto, fp32 and bf16.")
    if precision != "auto":
        return precision == "bf16"
    if model.device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
