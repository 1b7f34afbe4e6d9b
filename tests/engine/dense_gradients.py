"""Gradients of single examples one by one, as autograd gives them: what the sketches are held against."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import PreTrainedModel

from workbench.engine.gradients.one_by_one import Row


def dense_sketch(
    model: PreTrainedModel, rows: Sequence[Row], dimension: int, seed: int, together: int = 32
) -> np.ndarray:
    """The published projection, as a reference: one backward pass an example, a dense Rademacher matrix.

    Jung et al. 2025, section 2.1. The matrix `[d, weights]` of ±1/√d is drawn anew in blocks for every
    `together` examples, whose gradients are held in full.

    Returns:
        `[rows, d]` float32, not scaled.
    """
    vectors = np.zeros((len(rows), dimension), dtype=np.float32)
    for first in range(0, len(rows), together):
        full = torch.stack([full_gradient(model, row) for row in rows[first : first + together]])
        generator = torch.Generator().manual_seed(seed)
        total = torch.zeros(len(full), dimension)
        for block in full.split(1 << 16, dim=1):
            signs = 2.0 * torch.randint(0, 2, (block.shape[1], dimension), generator=generator) - 1
            total += block @ signs
        vectors[first : first + together] = (total / dimension**0.5).numpy()
    return vectors


def full_gradient(model: PreTrainedModel, row: Row) -> Tensor:
    """One example's gradient by autograd, `[weights]` float32, in the order of `named_parameters`."""
    tokens, prompt = row
    ids = torch.tensor([tokens], device=model.device)
    with torch.enable_grad():
        logits = model(ids, use_cache=False).logits[0, prompt - 1 : -1].float()
        loss = F.cross_entropy(logits, ids[0, prompt:])
        weights = list(model.parameters())
        grads = torch.autograd.grad(loss, weights, allow_unused=True, materialize_grads=True)
    return torch.cat([grad.flatten().float().cpu() for grad in grads])
