"""What a training holds in memory: weights in fp32, and no more rows at a time than fit.

What is learnt does not hang on it: a step of several passes has the gradient of one pass over all its rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from transformers import PreTrainedModel

CPU_BUDGET = 4 << 30  # bytes of a forward pass on the CPU, where several trainings may share the memory
GPU_SHARE = 8  # of a GPU's memory, a forward pass may take one part in so many
LOGIT_BYTES = 12  # a logit as it is computed, in float32, and its gradient
# What the backward pass keeps of a token, for each layer and unit of its width: 81 to 161 bytes, measured
# on Qwen2 layers in fp32 and bf16, with eager and fused attention.
UNIT_BYTES = 128
KEPT_BYTES = 4  # the same with gradient checkpointing: the layer's input


@dataclass(frozen=True)
class MicroBatch:
    """How a batch goes through a model."""

    rows: int  #: of a forward pass, a divisor of the batch's
    checkpointing: bool  #: layers are computed again in the backward pass instead of being kept


def micro_batch(model: PreTrainedModel, rows: int, length: int, scored: int | None = None) -> MicroBatch:
    """How many rows of a batch go through a model at a time, so that logits and activations fit into memory.

    Fewer rows cost no time; gradient checkpointing (Chen et al. 2016, arXiv 1604.06174) costs a third of it,
    and comes in where not even a row would fit.

    Args:
        model: on the device where it is trained.
        rows: of the batch.
        length: tokens of its longest row.
        scored: of these, the tokens whose logits are computed; all where None.
    """
    config, most = model.config.get_text_config(), budget(model.device)
    logits = LOGIT_BYTES * config.vocab_size * (length if scored is None else scored)
    units = length * config.hidden_size
    a_row = logits + UNIT_BYTES * units * config.num_hidden_layers
    checkpointing = a_row > most and model.supports_gradient_checkpointing
    if checkpointing:
        a_row = logits + units * (KEPT_BYTES * config.num_hidden_layers + UNIT_BYTES)
    fitting = max(1, most // a_row)
    return MicroBatch(max(n for n in range(1, rows + 1) if rows % n == 0 and n <= fitting), checkpointing)


def budget(device: torch.device) -> int:
    """Bytes that a forward pass may take on a device; the same whenever it is asked, so that runs repeat."""
    if device.type != "cuda":
        return CPU_BUDGET
    return torch.cuda.get_device_properties(device).total_memory // GPU_SHARE


def master_weights(model: PreTrainedModel, adapter: bool = False) -> None:
    """Give a model that is about to learn weights in fp32, whatever type its folder has.

    Steps of the usual learning rates are smaller than the distance between two numbers of a half-precision
    type, so that such weights stay where they are (Micikevicius et al. 2018, arXiv 1710.03740, section 3.1).

    Args:
        adapter: it learns through an adapter, whose weights are fp32 by themselves: the others stay bf16,
            which is half their memory, until the adapter is merged into them. The range of fp16 is too narrow
            for gradients.
    """
    if not adapter or model.dtype == torch.float16:
        model.float()
