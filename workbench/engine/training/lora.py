"""LoRA (Hu et al. 2022, arXiv 2106.09685): small matrices beside frozen weights, merged in when learnt."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class Lora:
    """Size of an adapter: `alpha / rank` times B A (`[out, rank] [rank, in]`) is added to each matrix."""

    rank: int = 16
    alpha: int = 32


def fingerprint(model: PreTrainedModel) -> str:
    """Of a model's weights: a few of each matrix, so that a large model costs no more than a small one.

    A checkpoint of an adapter says nothing without the weights that it was learnt on.
    """
    digest = hashlib.sha256()
    for weight in model.parameters():
        values = weight.detach().flatten()
        digest.update(values[:: max(1, len(values) // 64)].float().cpu().numpy().tobytes())
    return digest.hexdigest()


@contextmanager
def adapted(model: PreTrainedModel, lora: Lora | None, seed: int) -> Iterator[Any]:
    """The model with a new adapter on every linear layer but the output's, which alone can learn.

    It computes what the model does until it learns. What `merge_adapter` has not merged into the weights by
    the end of the block is taken off again. Without `lora` it is the model itself.
    """
    if lora is None:
        yield model
        return
    from peft import LoraConfig, get_peft_model
    from transformers.pytorch_utils import Conv1D

    learns = [weight for weight in model.parameters() if weight.requires_grad]
    # GPT-2 stores its matrices the other way round.
    turned = any(isinstance(module, Conv1D) for module in model.modules())
    config = LoraConfig(
        r=lora.rank, lora_alpha=lora.alpha, target_modules="all-linear", fan_in_fan_out=turned
    )
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # peft reads transformers' flags by older names
        torch.manual_seed(seed)
        learner = get_peft_model(model, config)
    # Else each checkpoint would ask the hub whether the vocabulary has grown.
    config.base_model_name_or_path = None
    try:
        yield learner
    finally:
        learner.unload()
        for weight in learns:
            weight.requires_grad_(True)
