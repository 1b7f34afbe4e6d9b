"""See, and change, what a causal language model computes inside: plain hooks on transformers' own modules.

Six kinds of values, one of each in every layer, are reached by name:

    residual.L   [rows, tokens, width]           what block L reads; the last is what the final norm reads
    pattern.L    [rows, heads, tokens, tokens]   attention after the softmax
    head.L       [rows, tokens, heads, head dim] the heads' outputs, before the output projection
    attention.L  [rows, tokens, width]           what attention adds to the residual stream
    neuron.L     [rows, tokens, neurons]         MLP hidden layer behind the activation (gated: the product)
    mlp.L        [rows, tokens, width]           what the MLP adds to the residual stream

`attention.L` and `mlp.L` leave out dropout and norms that a family applies behind the projection (Gemma 2).
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from workbench.engine.interpretability.anatomy import Anatomy, anatomy
from workbench.engine.models import context_length
from workbench.errors import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class HookPoint:
    """Where a hook was called."""

    name: str  #: such as `head.2`
    layer: int  #: the number in it
    #: `[rows or 1, tokens]`, each token's number in its text, also when decoding with a cache.
    positions: Tensor


Hook = Callable[[Tensor, HookPoint], Tensor | None]
"""Sees a value; a tensor that it returns replaces the value."""


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
    patterns = {name: matched for name, matched in hooks_by_name.items() if name.startswith("pattern.")}
    current = _Positions()
    with ExitStack() as stack:
        stack.callback(model.get_decoder().register_forward_pre_hook(current, with_kwargs=True).remove)
        for name, matched in hooks_by_name.items():
            if name not in patterns:
                apply = partial(_apply, matched, name, current)
                stack.callback(_register(parts, name, apply, current).remove)
        if patterns:
            stack.enter_context(_eager(model))
            reader = stack.enter_context(_Softmaxes(patterns, current))
            for layer, module in enumerate(parts.attention):
                stack.callback(module.register_forward_pre_hook(partial(reader.begin, layer)).remove)
                stack.callback(module.register_forward_hook(reader.end).remove)
        yield


def match_names(hooks: Mapping[str, Any], names: Sequence[str]) -> dict[str, list[Any]]:
    """The hooks of every name that matches one of their patterns.

    Raises:
        UserError: a pattern that no name matches.
    """
    hooks_by_name: dict[str, list[Any]] = {}
    for pattern, hook in hooks.items():
        matches = [name for name in names if fnmatchcase(name, pattern)]
        if not matches:
            raise UserError(f"The model has no {pattern!r}: there are {names[0]} to {names[-1]}.")
        for name in matches:
            hooks_by_name.setdefault(name, []).append(hook)
    return hooks_by_name


def _apply(hooks: Sequence[Hook], name: str, current: _Positions, value: Tensor) -> Tensor:
    point = HookPoint(name, int(name.rpartition(".")[2]), current.positions)
    for hook in hooks:
        changed = hook(value, point)
        value = value if changed is None else changed
    return value


def _register(parts: Anatomy, name: str, apply: Callable[[Tensor], Tensor], current: _Positions) -> Any:
    """Registers the module hook behind a name; returns its handle."""
    kind, _, number = name.partition(".")
    layer = int(number)

    def shaped(value: Tensor) -> Tensor:
        inner = value.unflatten(0, (-1, current.positions.shape[1])) if value.dim() == 2 else value  # OPT
        inner = inner.unflatten(-1, (parts.n_heads, parts.head_dim)) if kind == "head" else inner
        return apply(inner).reshape(value.shape).contiguous()

    def before(_module: nn.Module, inputs: tuple, named: dict) -> tuple[tuple, dict]:
        if not inputs:  # some families pass the hidden states by name
            return inputs, {**named, "hidden_states": shaped(named["hidden_states"])}
        return (shaped(inputs[0]), *inputs[1:]), named

    if kind in ("attention", "mlp"):
        module = (parts.out if kind == "attention" else parts.down)[layer]
        return module.register_forward_hook(lambda _module, _inputs, output: shaped(output))
    module = {"residual": [*parts.blocks, parts.norm], "head": parts.out, "neuron": parts.down}[kind][layer]
    return module.register_forward_pre_hook(before, with_kwargs=True)


class _Positions:
    """Notes the positions of a forward pass before it begins."""

    positions: Tensor

    def __call__(self, _model: nn.Module, inputs: tuple, named: dict[str, Any]) -> None:
        ids = inputs[0] if inputs else named.get("input_ids")
        tokens = ids if ids is not None else named["inputs_embeds"][..., 0]
        length = tokens.shape[1]
        if named.get("position_ids") is not None:
            self.positions = named["position_ids"]
        elif named.get("attention_mask") is not None and named["attention_mask"].dim() == 2:
            self.positions = (named["attention_mask"].cumsum(-1) - 1).clamp_(min=0)[:, -length:]
        else:
            cache = named.get("past_key_values")
            start = cache.get_seq_length() if cache is not None else 0
            self.positions = torch.arange(start, start + length, device=tokens.device)[None]


class _Softmaxes(TorchFunctionMode):
    """Reads, and may replace, what an attention module's softmax gives: no module of its own computes it."""

    def __init__(self, hooks: Mapping[str, Sequence[Hook]], current: _Positions) -> None:
        super().__init__()
        self.hooks, self.current, self.name, self.calls = hooks, current, "", Counter()

    def begin(self, layer: int, _module: nn.Module, _inputs: tuple) -> None:
        self.name = f"pattern.{layer}"

    def end(self, module: nn.Module, _inputs: tuple, _output: Any) -> None:
        if self.name in self.hooks and not self.calls[self.name]:
            raise UserError(f"The attention of {type(module).__name__} cannot be read: it has no softmax.")
        self.name = ""

    def __torch_function__(
        self, function: Callable, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        result = function(*args, **(kwargs or {}))
        if self.name in self.hooks and function is nn.functional.softmax:
            self.calls[self.name] += 1
            return _apply(self.hooks[self.name], self.name, self.current, result)
        return result


@contextmanager
def _eager(model: PreTrainedModel) -> Iterator[None]:
    before = model.config._attn_implementation
    if before == "eager":
        yield
        return
    if "flash" in before:
        warnings.warn(
            f"Attention patterns do not exist in {before}: the model runs in eager mode while they are read.",
            stacklevel=5,
        )
    try:
        model.set_attn_implementation("eager")
    except ValueError as error:
        raise UserError(f"The attention of {type(model).__name__} cannot be read: {error}") from error
    try:
        yield
    finally:
        model.set_attn_implementation(before)


@torch.no_grad()
def capture(model: PreTrainedModel, ids: Tensor, wanted: Sequence[str]) -> tuple[dict[str, Tensor], Tensor]:
    """Values of one forward pass: for a corpus use `stream`, which keeps nothing.

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

    with hooked(model, dict.fromkeys(wanted, keep)):
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
    size = model.get_input_embeddings().weight.shape[0]
    largest = max(map(max, rows))
    if largest >= size:
        raise UserError(
            f"Token {largest} is not among the model's {size}: the tokenizer belongs to another model."
        )


def check_finite(values: Tensor) -> None:
    """Raises a UserError if the model gave NaN or infinity."""
    if not bool(torch.isfinite(values).all()):
        raise UserError("The model's outputs are not numbers (NaN): its weights are broken, load them again.")
