"""Hooks on a model's inside by name, each called once in a forward pass, or one sentence.

What `capture.hooked` puts on once it knows that the model's heads are what they seem.
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
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from workbench.engine.interpretability.anatomy import Anatomy, unreadable
from workbench.engine.models import text_config
from workbench.errors import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_SOFTMAXES = (nn.functional.softmax, torch.softmax, torch.special.softmax, Tensor.softmax)
# Models that are read in eager mode: their usual mode, and by how many at the moment.
_HELD_EAGER: WeakKeyDictionary[PreTrainedModel, list] = WeakKeyDictionary()


@dataclass(frozen=True)
class HookPoint:
    """Where a hook was called."""

    name: str  #: such as `head.2`
    layer: int  #: the number in it
    #: `[rows or 1, tokens]`, each token's number in its text, also when decoding with a cache.
    positions: Tensor
    #: of a pattern: what its softmax was taken of, in the same shape
    logits: Tensor | None = None


Hook = Callable[[Tensor, HookPoint], Tensor | None]
"""Sees a value; a tensor that it returns replaces the value."""


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


@contextmanager
def registered(
    model: PreTrainedModel, parts: Anatomy, hooks_by_name: Mapping[str, Sequence[Hook]]
) -> Iterator[None]:
    """Calls the hooks in every forward pass; afterwards the model is as it was."""
    patterns = {name: hooks for name, hooks in hooks_by_name.items() if name.startswith("pattern.")}
    others = [name for name in hooks_by_name if name not in patterns]
    current, decoder = _Pass(model, parts, others), model.get_decoder()
    with ExitStack() as stack:
        stack.callback(decoder.register_forward_pre_hook(current.begin, with_kwargs=True).remove)
        for name in others:
            stack.callback(_register(parts, name, hooks_by_name[name], current).remove)
        # Behind the hooks: what they put in is still part of the pass.
        stack.callback(parts.blocks[-1].register_forward_hook(current.leave_blocks).remove)
        stack.callback(decoder.register_forward_hook(current.end).remove)
        if patterns:
            stack.enter_context(_eager(model))
            for layer, module in enumerate(parts.attention):
                if f"pattern.{layer}" in patterns:
                    reader = _Softmaxes(
                        f"pattern.{layer}", patterns[f"pattern.{layer}"], current, parts.n_heads
                    )
                    stack.callback(reader.close)
                    stack.callback(module.register_forward_pre_hook(reader.begin).remove)
                    stack.callback(module.register_forward_hook(reader.end, always_call=True).remove)
        yield


def _apply(
    hooks: Sequence[Hook], name: str, current: _Pass, value: Tensor, logits: Tensor | None = None
) -> Tensor:
    point = HookPoint(name, int(name.rpartition(".")[2]), current.positions, logits)
    for hook in hooks:
        changed = hook(value, point)
        value = value if changed is None else changed
    return value


def _register(parts: Anatomy, name: str, hooks: Sequence[Hook], current: _Pass) -> Any:
    """Registers the module hook behind a name; returns its handle."""
    kind, _, number = name.partition(".")
    layer = int(number)

    def shaped(value: Tensor) -> Tensor:
        if name == f"residual.{parts.n_layers}" and not current.behind_blocks:
            return value  # NanoChat's final norm stands before the first block too
        current.count(name)
        flat = value.dim() == 2 and len(value) == current.shape.numel()  # OPT
        inner = value.unflatten(0, current.shape) if flat else value
        if inner.dim() != 3 or inner.shape[:2] != current.shape:
            raise current.unreadable(f"{name} is {list(value.shape)} for {list(current.shape)} tokens")
        inner = inner.unflatten(-1, (parts.n_heads, parts.head_dims[layer])) if kind == "head" else inner
        return _apply(hooks, name, current, inner).reshape(value.shape).contiguous()

    def before(_module: nn.Module, inputs: tuple, named: dict) -> tuple[tuple, dict]:
        if not inputs:  # some families pass the hidden states by name
            return inputs, {**named, "hidden_states": shaped(named["hidden_states"])}
        return (shaped(inputs[0]), *inputs[1:]), named

    def behind(_module: nn.Module, _inputs: tuple, output: Tensor) -> Tensor:
        return shaped(output)

    if kind in ("attention", "mlp"):
        module = (parts.out if kind == "attention" else parts.down)[layer]
        return module.register_forward_hook(behind)
    module = {"residual": [*parts.blocks, parts.norm], "head": parts.out, "neuron": parts.down}[kind][layer]
    return module.register_forward_pre_hook(before, with_kwargs=True)


class _Pass:
    """What a forward pass is of, and which hooks it has called: each once, or nobody knows which is it."""

    def __init__(self, model: PreTrainedModel, parts: Anatomy, names: Sequence[str]) -> None:
        self.unreadable, self.names = partial(unreadable, model), names
        self.last = parts.n_layers - 1
        self.calls: Counter[str] = Counter()
        self.shape = torch.Size()  # rows and tokens
        self.positions = torch.empty(0)
        self.behind_blocks = self.has_cache = False

    def begin(self, _model: nn.Module, inputs: tuple, named: dict[str, Any]) -> None:
        self.calls.clear()
        self.behind_blocks = False
        ids = inputs[0] if inputs else named.get("input_ids")
        tokens = ids if ids is not None else named["inputs_embeds"][..., 0]
        self.shape, length = tokens.shape[:2], tokens.shape[1]
        cache = named.get("past_key_values")
        self.has_cache = cache is not None
        if named.get("position_ids") is not None:
            self.positions = named["position_ids"]
        elif isinstance(mask := named.get("attention_mask"), Tensor) and mask.dim() == 2:
            self.positions = (mask.cumsum(-1) - 1).clamp_(min=0)[:, -length:]
        else:
            start = cache.get_seq_length() if cache is not None else 0
            self.positions = torch.arange(start, start + length, device=tokens.device)[None]

    def leave_blocks(self, *_: Any) -> None:
        self.behind_blocks = True

    def count(self, name: str) -> None:
        self.calls[name] += 1
        if self.calls[name] > 1:
            raise self.unreadable(f"a forward pass computes {name} more than once")

    def end(self, *_: Any) -> None:
        for name in self.names:
            if not self.calls[name]:
                raise self.unreadable(f"a forward pass does not go through {name}")


class _Softmaxes(TorchFunctionMode):
    """Reads, and may replace, what an attention module's softmax gives: no module of its own computes it.

    On only while its attention runs: several models may be hooked in turns.
    """

    def __init__(self, name: str, hooks: Sequence[Hook], current: _Pass, n_heads: int) -> None:
        super().__init__()
        self.name, self.hooks, self.current, self.n_heads = name, hooks, current, n_heads
        self.calls, self.is_on = 0, False

    def begin(self, *_: Any) -> None:
        self.calls, self.is_on = 0, True
        self.__enter__()

    def close(self) -> None:
        if self.is_on:
            self.is_on = False
            self.__exit__(None, None, None)

    def end(self, module: nn.Module, _inputs: tuple, output: Any) -> None:
        self.close()
        if output is None:  # it has failed, and says so
            return
        if self.calls != 1:
            what = f"{self.calls} softmaxes" if self.calls else "no softmax"
            raise UserError(f"The attention of {type(module).__name__} cannot be read: it has {what}.")
        self.current.count(self.name)

    def __torch_function__(
        self, function: Callable, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        kwargs = kwargs or {}
        result = function(*args, **kwargs)
        if function not in _SOFTMAXES:
            return result
        self.calls += 1
        rows, tokens = self.current.shape
        right = (rows, self.n_heads, tokens, result.shape[-1] if self.current.has_cache else tokens)
        if result.shape != right:
            raise self.current.unreadable(f"{self.name} is {list(result.shape)} instead of {list(right)}")
        logits = args[0] if args else kwargs["input"]
        return _apply(self.hooks, self.name, self.current, result, logits)


@contextmanager
def _eager(model: PreTrainedModel) -> Iterator[None]:
    """The model in eager mode until the last who wants it so has left."""
    usual = text_config(model)._attn_implementation
    held = _HELD_EAGER.setdefault(model, [usual, 0])
    held[1] += 1
    try:
        if usual != "eager":
            _make_eager(model, usual)
        yield
    finally:
        held[1] -= 1
        if not held[1]:
            del _HELD_EAGER[model]
            if held[0] != "eager":
                model.set_attn_implementation(held[0])


def _make_eager(model: PreTrainedModel, usual: str | None) -> None:
    if usual is not None and "flash" in usual:
        warnings.warn(
            f"Attention patterns do not exist in {usual}: the model runs in eager mode while they are read.",
            stacklevel=8,
        )
    try:
        model.set_attn_implementation("eager")
    except ValueError as error:
        raise UserError(f"The attention of {type(model).__name__} cannot be read: {error}") from error
