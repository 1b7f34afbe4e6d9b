"""Gradients of examples one at a time, by autograd alone: right for any model, and slower than `reader`."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from workbench.engine.batches import padded
from workbench.engine.gradients.sketches import Sketch
from workbench.engine.training.packing import IGNORED

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Row = tuple[list[int], int]
"""Tokens of an example, and how many of them are its prompt."""


def read_alone(model: PreTrainedModel, into: Sketch, rows: Sequence[Row]) -> tuple[Tensor, Tensor]:
    """Sketched gradients `[rows, d]` and mean losses `[rows]`; no two weights' gradients are held at once.

    The model must be `frozen`, and is so afterwards.
    """
    weights, sketched, losses = dict(model.named_parameters()), [], []
    kept = {name: weight.grad for name, weight in weights.items()}
    with ExitStack() as stack, torch.enable_grad():
        for name, weight in weights.items():
            weight.grad = None
            stack.callback(weight.requires_grad_, False)
            weight.requires_grad_()
            take = partial(_take, into, name)
            stack.callback(weight.register_post_accumulate_grad_hook(take).remove)
        for row in rows:
            into.begin(1, model.device)
            (loss,) = completion_losses(model, [row])
            loss.backward()
            sketched.append(into.rows[0])
            losses.append(loss.detach())
    for name, weight in weights.items():
        weight.grad = kept[name]
    return torch.stack(sketched), torch.stack(losses)


def _take(into: Sketch, name: str, weight: Tensor) -> None:
    assert weight.grad is not None  # it has just been summed up
    into.add_gradient(name, weight.grad)
    weight.grad = None


def completion_losses(model: PreTrainedModel, rows: Sequence[Row]) -> Tensor:
    """Mean of −log P of each row's tokens behind its prompt, `[rows]`, with its graph."""
    # Padding stands on the right, where no earlier token sees it, and has no loss.
    ids = padded([tokens for tokens, _ in rows]).to(model.device)
    targets = padded(
        [[IGNORED] * (prompt - 1) + tokens[prompt:] + [IGNORED] for tokens, prompt in rows], IGNORED
    )
    first = min(prompt for _, prompt in rows) - 1  # before it no logits are needed
    targets = targets[:, first:].to(model.device)
    options: dict[str, Any] = {"use_cache": False, "logits_to_keep": ids.shape[1] - first}
    options["attention_mask"] = torch.ones_like(ids)  # a mask of the padding would cost the fast attention
    known = inspect.signature(model.forward).parameters
    if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in known.values()):
        options = {name: value for name, value in options.items() if name in known}
    elif "logits_to_keep" not in known:
        del options["logits_to_keep"]
    logits = model(ids, **options).logits[:, -targets.shape[1] :]
    surprise = F.cross_entropy(
        logits.float().flatten(0, 1), targets.flatten(), ignore_index=IGNORED, reduction="none"
    )
    return surprise.view(len(rows), -1).sum(1) / (targets != IGNORED).sum(1)
