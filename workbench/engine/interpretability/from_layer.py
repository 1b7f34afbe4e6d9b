"""Forward passes that begin at a layer: those below compute nothing, and its residual stream is given.

Whether a family can do so is tried out: a block may read more than the stream, as keys that an earlier layer
computed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from workbench.engine.checks import difference, probing, random_tokens, tolerance
from workbench.engine.interpretability.anatomy import anatomy
from workbench.engine.interpretability.capture import hooked
from workbench.engine.interpretability.hooks import HookPoint
from workbench.engine.models import context_length

if TYPE_CHECKING:
    from transformers import PreTrainedModel

# How many values each block gives, 0 where not in a tuple; None for a model whose passes begin nowhere else.
_OUTPUTS: WeakKeyDictionary[PreTrainedModel, list[int] | None] = WeakKeyDictionary()


@contextmanager
def beginning_at(model: PreTrainedModel, layer: int, stream: Tensor) -> Iterator[None]:
    """Passes whose blocks below a layer compute nothing: the layer reads a residual stream that is given.

    Only of models that `can_begin`. The tokens still have to be given: positions and masks come from them.

    Args:
        layer: the block to begin with, as in `residual.L`.
        stream: `[rows, tokens, width]`; rows that run beyond it read its rows again from the first on.
    """
    blocks, outputs = anatomy(model).blocks[:layer], _OUTPUTS[model] or []
    own = [block.__dict__.get("forward") for block in blocks]

    def put(value: Tensor, _point: HookPoint) -> Tensor:
        return stream.repeat(len(value) // len(stream), 1, 1)

    with hooked(model, {f"residual.{layer}": put}):
        try:
            for block, n_values in zip(blocks, outputs, strict=False):
                block.forward = partial(_pass_on, n_values)
            yield
        finally:
            for block, forward in zip(blocks, own, strict=True):
                del block.forward
                if forward is not None:
                    block.forward = forward


def _pass_on(n_values: int, *inputs: Any, **named: Any) -> Any:
    """What a block gives that does nothing."""
    stream = inputs[0] if inputs else named["hidden_states"]
    return (stream, *[None] * (n_values - 1)) if n_values else stream


def can_begin(model: PreTrainedModel) -> bool:
    """Whether a pass that begins at a layer gives what a whole one gives: tried once for each model."""
    if model not in _OUTPUTS:
        _OUTPUTS[model] = _block_outputs(model)
        try:
            if not _begins_rightly(model):
                _OUTPUTS[model] = None
        except Exception:  # whatever a family's own code raises where blocks are left out
            _OUTPUTS[model] = None
    return _OUTPUTS[model] is not None


@torch.inference_mode()
def _block_outputs(model: PreTrainedModel) -> list[int]:
    lengths: list[int] = []

    def see(_module: nn.Module, _inputs: tuple, output: Any) -> None:
        lengths.append(len(output) if isinstance(output, tuple) else 0)

    with probing(model), ExitStack() as stack:
        for block in anatomy(model).blocks:
            stack.callback(block.register_forward_hook(see).remove)
        model.get_decoder()(random_tokens(model, 1, 2), use_cache=False)
    return lengths


@torch.inference_mode()
def _begins_rightly(model: PreTrainedModel) -> bool:
    """Two texts with a layer's first head at zero, of several layers: a whole pass, and one from there."""
    parts, ids = anatomy(model), random_tokens(model, 2, min(6, context_length(model)))
    layers = sorted({1, parts.n_layers // 2, parts.n_layers - 1} - {0}) if parts.n_layers > 1 else []
    streams: dict[int, Tensor] = {}

    def keep(value: Tensor, point: HookPoint) -> None:
        streams[point.layer] = value

    def switch_off(value: Tensor, _point: HookPoint) -> Tensor:
        return value.index_fill(2, torch.zeros(1, dtype=torch.long, device=value.device), 0)

    with probing(model):
        with hooked(model, {f"residual.{layer}": keep for layer in layers}):
            model.get_decoder()(ids, use_cache=False)
        for layer in layers:
            with hooked(model, {f"head.{layer}": switch_off}):
                whole = model(ids, use_cache=False).logits
                with beginning_at(model, layer, streams[layer]):
                    short = model(ids, use_cache=False).logits
            if not difference(short, whole) <= tolerance(model) * float(whole.float().std()):
                return False
    return True
