"""What training, its loss and its loop share: settings, precision, schedule, history."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import torch

from workbench.engine.models import context_length, text_config
from workbench.engine.traits import changes_with_length, traits
from workbench.errors import UserError

if TYPE_CHECKING:
    import pandas as pd
    from transformers import PreTrainedModel

    from workbench.engine.training.lora import Lora


Precision = Literal["auto", "fp32", "bf16"]
Schedule = Literal["cosine", "linear", "constant"]


@dataclass(frozen=True)
class TrainConfig:
    """How long, on how much at a time, and how fast a model learns."""

    steps: int | None = None  #: optimizer steps; give one of steps, epochs and tokens
    epochs: float | None = None  #: passes over the examples
    tokens: int | None = None  #: tokens to read, rounded up to whole steps
    #: rows of `context` tokens that are learnt from together, over all processes; `memory.micro_batch` says
    #: how many of them are in a forward pass.
    batch_size: int = 16
    context: int = 256  #: tokens a row, or the model's context where that is shorter
    learning_rate: float = 2e-3  #: the highest
    #: how it falls after the warm-up: to zero along a cosine or a line, or not at all.
    schedule: Schedule = "cosine"
    warmup: int = 20  #: steps over which it rises to that
    gradient_accumulation: int = 1  #: batches in a step: 8 of 1 row equal 1 of 8
    #: `auto` autocasts to bf16 where the processor has it; weights stay in float32.
    precision: Precision = "auto"
    #: trains an adapter instead of the weights, and merges it into them when it is finished; until then the
    #: weights of the model stay as they were.
    lora: Lora | None = None
    seed: int = 0  #: order of shuffled rows, and of the adapter's first values
    evaluate_every: int | None = None  #: steps; None for a tenth of the training
    checkpoint_every: int | None = None  #: steps; None for a tenth of the training

    def __post_init__(self) -> None:
        """Raises a UserError where nothing could be learnt by these numbers."""
        if min(self.batch_size, self.gradient_accumulation, self.context, self.warmup + 1) < 1:
            raise UserError("A training needs batches and a context of at least 1, and no warm-up below 0.")
        if not 0 <= self.learning_rate < math.inf or not 0 < (self.epochs or 1) < math.inf:
            raise UserError("The learning rate and the epochs of a training must be numbers above 0.")

    @property
    def rows_per_step(self) -> int:
        """Rows that an optimizer step reads."""
        return self.batch_size * self.gradient_accumulation

    def resolved(self, rows: int) -> TrainConfig:
        """With the number of steps, and whole intervals, for a training on so many rows.

        Raises:
            UserError: not one of steps, epochs and tokens is given, or there is no step.
        """
        if sum(length is not None for length in (self.steps, self.epochs, self.tokens)) != 1:
            raise UserError("Give one of steps, epochs and tokens, to say how long to train.")
        tokens = (self.tokens or 0) if self.epochs is None else self.epochs * rows * self.context
        steps = math.ceil(tokens / (self.rows_per_step * self.context)) if self.steps is None else self.steps
        if steps < 1:
            raise UserError("A training needs at least one step.")
        tenth = max(1, steps // 10)
        return replace(
            self,
            steps=steps,
            evaluate_every=self.evaluate_every or tenth,
            checkpoint_every=self.checkpoint_every or tenth,
        )


@dataclass(frozen=True)
class History:
    """What a training logged."""

    #: dicts with step, tokens (all processes, padding too), loss (nats per learnt token since the row
    #: before), learning_rate, tokens_per_second, and where it was measured held_out_nats and
    #: held_out_bits_per_byte.
    rows: list[dict[str, float]]
    finished: bool  #: false if `stop` ended it early; the same call goes on

    def frame(self) -> pd.DataFrame:
        """The rows as a table."""
        import pandas as pd

        return pd.DataFrame(self.rows)


def world_size() -> int:
    """Processes that `torchrun` started, or 1."""
    return int(os.environ.get("WORLD_SIZE", 1))


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


def unchanged_length(model: PreTrainedModel) -> int:
    """The most tokens of the rows of a batch up to which none changes how another one is read."""
    if traits(model).ignores_batch_mates:
        return 1 << 30
    if not changes_with_length(model):
        return 0
    config = text_config(model)
    rope = config.rope_parameters or {}
    limit = rope.get("original_max_position_embeddings") or getattr(
        config, "original_max_position_embeddings", None
    )
    return limit or (context_length(model) if rope.get("rope_type") == "dynamic" else 0)


@contextmanager
def quick_attention(model: PreTrainedModel, context: int) -> Iterator[None]:
    """On the CPU, plain attention for short rows: its backward pass is twice as fast as the fused one."""
    usual = model.config._attn_implementation or "eager"
    if model.device.type == "cpu" and context <= 512:
        model.set_attn_implementation("eager")
    try:
        yield
    finally:
        model.set_attn_implementation(usual)
