"""Switch heads and neurons off, freeze patterns, steer neurons, and put stored values into a running model.

Context managers over `capture.hooked`: they may be nested, hold in sampling with a key-value cache too, and
leave the model as it was, also after an exception.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn

from workbench.engine.interpretability.anatomy import anatomy
from workbench.engine.interpretability.capture import hooked
from workbench.engine.interpretability.heads import check_heads
from workbench.engine.interpretability.hooks import Hook, HookPoint
from workbench.engine.interpretability.patching import aligned
from workbench.engine.interpretability.reference import Reference
from workbench.errors import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Ablation = Literal["zero", "mean", "resample"]
ValueBias = Literal["in head", "folded", "folded with norm"]
"""Whether the constant part of a head's output is the head's own or counts as the attention's bias.

A head's attention weights sum to one, so that a bias b_V of its values adds the same at every position.

    in head           as transformers stores it: b_V belongs to the head and goes when the head is zeroed
    folded            b_V W_O belongs to the attention's output bias b_O and stays
    folded with norm  also what the bias of the LayerNorm before the attention makes of the values, W_V b_LN:
                      what TransformerLens' zeroed heads leave in its compatibility mode

The three differ for GPT-2, GPT-NeoX, Bloom, OPT and Phi; the first two for Qwen 2 too; only the third differs
for GPT-Neo; none for Llama and Qwen 3. What replaces a head by its mean or by another text's value does not
depend on it, and neither do neurons: their LayerNorm's bias acts before the activation.
"""


def ablate_heads(
    model: PreTrainedModel,
    heads: Sequence[tuple[int, int]],
    ablation: Ablation = "mean",
    reference: Reference | None = None,
    *,
    value_bias: ValueBias = "in head",
    seed: int = 0,
) -> AbstractContextManager[None]:
    """Replaces what heads put out: they go on attending, but what they read does not reach the model.

    Args:
        heads: as (layer, head).
        ablation: `zero`; `mean`, the mean at the same position over the reference's texts; `resample`, what
            the head put out at the same position in one other text of the reference, the same for every
            row: take the mean over several seeds.
        reference: holds `head.L` of the layers; not for `zero`.
        value_bias: what `zero` leaves; see `ValueBias`.
        seed: which text is resampled.

    Raises:
        UserError: a head or setting that does not exist, or no reference with the head's values.
    """
    layers, tables = head_tables(model, heads, ablation, reference, value_bias=value_bias, seed=seed)
    return hooked(model, _replacements(model, "head", layers, tables))


def head_tables(
    model: PreTrainedModel,
    heads: Sequence[tuple[int, int]],
    ablation: Ablation,
    reference: Reference | None,
    *,
    value_bias: ValueBias,
    seed: int,
) -> tuple[dict[int, list[int]], dict[int, Tensor]]:
    """The heads by layer, and what replaces the outputs of a layer's heads `[positions, heads, head dim]`.

    Arguments and errors are those of `ablate_heads`.
    """
    parts = anatomy(model)
    layers = units_by_layer(heads, [parts.n_heads] * parts.n_layers, "head")
    if ablation == "zero":
        return layers, {layer: value[None] for layer, value in constants(model, value_bias).items()}
    return layers, _tables(reference, "head", layers, ablation, seed)


def ablate_neurons(
    model: PreTrainedModel,
    neurons: Sequence[tuple[int, int]],
    ablation: Ablation = "mean",
    reference: Reference | None = None,
) -> AbstractContextManager[None]:
    """Replaces the activations of neurons; arguments as for `ablate_heads`, the reference's names `neuron.L`.

    The bias behind the neurons (of the down projection) stays in any case.
    """
    parts = anatomy(model)
    layers = units_by_layer(neurons, parts.widths, "neuron")
    if ablation == "zero":
        tables = {layer: torch.zeros(1, parts.widths[layer]) for layer in layers}
    else:
        tables = _tables(reference, "neuron", layers, ablation, 0)
    return hooked(model, _replacements(model, "neuron", layers, tables))


def units_by_layer(
    units: Iterable[tuple[int, int]], counts: Sequence[int], what: str
) -> dict[int, list[int]]:
    """The numbers of units, as (layer, number), by layer.

    Args:
        counts: how many units each layer has.
        what: heads or neurons, in the singular.

    Raises:
        UserError: one of them does not exist.
    """
    layers: dict[int, list[int]] = {}
    for layer, index in units:
        if not (0 <= layer < len(counts) and 0 <= index < counts[layer]):
            count = counts[layer] if 0 <= layer < len(counts) else counts[0]
            raise UserError(
                f"There is no {what} {index} in layer {layer}: layers are 0 to {len(counts) - 1}, "
                f"{what}s 0 to {count - 1}."
            )
        layers.setdefault(int(layer), []).append(int(index))
    return layers


def _tables(
    reference: Reference | None, kind: str, layers: Iterable[int], ablation: Ablation, seed: int
) -> dict[int, Tensor]:
    if ablation not in ("mean", "resample"):
        raise UserError(f"ablation={ablation!r} is not one of zero, mean and resample.")
    if reference is None:
        raise UserError(
            f"The ablation {ablation!r} needs a reference: make one with reference(model, rows, names)."
        )
    return {layer: reference.table(f"{kind}.{layer}", ablation, seed) for layer in layers}


def _replacements(
    model: PreTrainedModel, kind: str, layers: Mapping[int, list[int]], tables: Mapping[int, Tensor]
) -> dict[str, Hook]:
    """Hooks that replace some units of a layer by the rows of its table `[positions, units, ...]`."""

    def replace(units: list[int], table: Tensor, value: Tensor, point: HookPoint) -> Tensor:
        changed = value.clone()
        changed[:, :, units] = table[point.positions.clamp(max=len(table) - 1)].to(value)
        return changed

    return {
        f"{kind}.{layer}": partial(replace, units, tables[layer][:, units].to(model.device))
        for layer, units in layers.items()
    }


@torch.no_grad()
def constants(model: PreTrainedModel, value_bias: ValueBias) -> dict[int, Tensor]:
    """The part of each head's output that no text changes, by layer `[heads, head dim]`; see `ValueBias`.

    Read off a text of one token, whose heads put out their value at it: with nothing going into the attention
    the value is b_V, and with nothing going into the norm before it W_V b_LN + b_V.

    Raises:
        UserError: the heads' values are not a bias and a multiple of what the attention reads, as behind a
            gate.
    """
    parts = anatomy(model)
    if value_bias == "in head":
        return {layer: torch.zeros(parts.n_heads, width) for layer, width in enumerate(parts.head_dims)}
    if value_bias not in ("folded", "folded with norm"):
        raise UserError(f"value_bias={value_bias!r} is not one of in head, folded and folded with norm.")
    check_heads(model)
    if value_bias == "folded with norm":
        constants(model, "folded")
    rows = torch.arange(3.0)[:, None, None]  # nothing, something, and twice as much
    rows = rows * (value_bias == "folded") * torch.randn(1, 1, parts.hidden_size, generator=_seeded())
    values: dict[int, Tensor] = {}

    def give(_module: nn.Module, inputs: tuple, named: dict) -> tuple[tuple, dict]:
        if inputs:
            return (rows.to(inputs[0]), *inputs[1:]), named
        return inputs, {**named, "hidden_states": rows.to(named["hidden_states"])}

    def keep(value: Tensor, point: HookPoint) -> None:
        nothing, once, twice = value[:, 0].float()
        bent = (twice - 2 * once + nothing).norm() > 1e-2 * (twice - nothing).norm()
        if bool(nothing.any()) and value_bias == "folded" and bool(bent):
            raise UserError(
                f"The heads of {type(model).__name__} have no constant part: their values are more than a "
                "bias and a multiple of what the attention reads. Set value_bias='in head'."
            )
        values[point.layer] = value[0, 0].clone()

    with ExitStack() as stack:
        for module in parts.attention if value_bias == "folded" else parts.blocks:
            stack.callback(module.register_forward_pre_hook(give, with_kwargs=True).remove)
        stack.enter_context(hooked(model, {"head.*": keep}))
        model.get_decoder()(torch.zeros(3, 1, dtype=torch.long, device=model.device), use_cache=False)
    return values


def _seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def freeze_pattern(
    model: PreTrainedModel, patterns: Mapping[tuple[int, int], Tensor]
) -> AbstractContextManager[None]:
    """Holds the attention of heads to given patterns, whatever they would attend to.

    Args:
        patterns: by (layer, head), `[tokens, tokens]`: weights of the earlier tokens (columns) for each
            token (row). Tokens at later positions attend by themselves.

    Raises:
        UserError: a head that does not exist, or a pattern that is not square.
    """
    parts = anatomy(model)
    layers = units_by_layer(list(patterns), [parts.n_heads] * parts.n_layers, "head")
    for key, pattern in patterns.items():
        if pattern.dim() != 2 or pattern.shape[0] != pattern.shape[1]:
            raise UserError(f"The pattern of head {key} must be [tokens, tokens], not {list(pattern.shape)}.")

    def freeze(value: Tensor, point: HookPoint) -> Tensor:
        changed = value.clone()
        for head in layers[point.layer]:
            frozen = patterns[point.layer, head].to(value)[None]
            inside = (point.positions < frozen.shape[1])[..., None]
            changed[:, head] = torch.where(inside, aligned(frozen, point.positions, value), value[:, head])
        return changed

    return hooked(model, {f"pattern.{layer}": freeze for layer in layers})


def steer_neuron(
    model: PreTrainedModel, layer: int, neuron: int, value: float | Tensor, *, add: bool = False
) -> AbstractContextManager[None]:
    """Holds the activation of a layer's neuron at a value, or adds one to it.

    Args:
        value: a number for all positions, or a tensor that fits `[rows, tokens]`.
        add: add to what the neuron computes instead of replacing it.

    Raises:
        UserError: a neuron that does not exist.
    """
    parts = anatomy(model)
    units_by_layer([(layer, neuron)], parts.widths, "neuron")

    def steer(current: Tensor, _point: HookPoint) -> Tensor:
        changed = current.clone()
        new = torch.as_tensor(value).to(current)
        changed[..., neuron] = changed[..., neuron] + new if add else new
        return changed

    return hooked(model, {f"neuron.{layer}": steer})
