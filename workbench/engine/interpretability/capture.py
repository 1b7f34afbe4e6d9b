"""See, and change, what a causal language model computes inside: plain hooks on transformers' own modules.

Six kinds of values, one of each in every layer, are reached by name:

    residual.L   [rows, tokens, width]           what block L reads; the last is what the final norm reads
    pattern.L    [rows, heads, tokens, tokens]   attention after the softmax
    head.L       [rows, tokens, heads, head dim] the heads' outputs, before the output projection
    attention.L  [rows, tokens, width]           what attention adds to the residual stream
    neuron.L     [rows, tokens, neurons]         MLP hidden layer behind the activation (gated: the product)
    mlp.L        [rows, tokens, width]           what the MLP adds to the residual stream

`attention.L` and `mlp.L` leave out dropout and norms that a family applies behind the projection (Gemma 2).
Each name is one module that a forward pass goes through once, and heads are tried out before they are read
(`heads`); a model of which that is not true is refused in one sentence.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from workbench.engine.interpretability.additions import check_additions
from workbench.engine.interpretability.anatomy import anatomy
from workbench.engine.interpretability.heads import check_heads
from workbench.engine.interpretability.hooks import Hook, HookPoint, match_names, registered
from workbench.engine.models import context_length, evaluating, n_rows
from workbench.errors import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@contextmanager
def hooked(model: PreTrainedModel, hooks: Mapping[str, Hook]) -> Iterator[None]:
    """Calls hooks in every forward pass; afterwards, and after an exception, the model is as it was.

    While patterns are hooked the model computes attention in transformers' eager mode, the only one in which
    they exist; another mode is put back at the end.

    Args:
        hooks: by name or by pattern of names (`"head.*"`); a later entry sees what an earlier one put in.

    Raises:
        UserError: a name that the model does not have, or attention that cannot be read.
    """
    parts = anatomy(model)
    hooks_by_name = match_names(hooks, parts.names())
    if any(name.startswith(("head.", "pattern.")) for name in hooks_by_name):
        check_heads(model)
    if any(name.startswith(("attention.", "neuron.", "mlp.")) for name in hooks_by_name):
        check_additions(model)
    with registered(model, parts, hooks_by_name):
        yield


@torch.no_grad()
def capture(model: PreTrainedModel, ids: Tensor, wanted: Sequence[str]) -> tuple[dict[str, Tensor], Tensor]:
    """Values of one forward pass in evaluation mode: for a corpus use `stream`, which keeps nothing.

    Args:
        ids: tokens `[rows, tokens]` without padding.
        wanted: names or patterns of names.

    Returns:
        Values by name, shapes as in this module's head, and logits `[rows, tokens, vocabulary]`.

    Raises:
        UserError: as `hooked` and `check_rows`.
    """
    check_rows(model, ids.tolist())
    values: dict[str, Tensor] = {}

    def keep(value: Tensor, point: HookPoint) -> None:
        values[point.name] = value

    with evaluating(model), hooked(model, dict.fromkeys(wanted, keep)):
        logits = model(ids.to(model.device), use_cache=False).logits
    check_finite(logits)
    return values, logits


def check_rows(model: PreTrainedModel, rows: Sequence[Sequence[int]]) -> None:
    """Whether the model can read these tokens.

    Raises:
        UserError: no text, an empty one, one longer than the context, or a token the model does not have.
    """
    if not len(rows) or not all(map(len, rows)):
        raise UserError("There is an empty text: give at least one token of text.")
    context = context_length(model)
    longest = max(map(len, rows))
    if longest > context:
        raise UserError(f"A text of {longest} tokens is longer than the context of {context}: cut it.")
    size = n_rows(model)
    largest = max(map(max, rows))
    if largest >= size:
        raise UserError(
            f"Token {largest} is not among the model's {size}: the tokenizer belongs to another model."
        )


def check_finite(values: Tensor) -> None:
    """Raises a UserError if the model gave NaN or infinity."""
    if not bool(torch.isfinite(values).all()):
        raise UserError("The model's outputs are not numbers (NaN): its weights are broken, load them again.")
