"""What a layer adds to the residual stream, found by trying it: families scale it, norm it, or add more.

Each block is given streams and MLP outputs of ours, with nothing from its attention, and what comes out is
compared: once through the model serves all layers, because every block is given the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from workbench.engine.checks import probing
from workbench.engine.interpretability.anatomy import Anatomy, anatomy, unreadable
from workbench.engine.interpretability.hooks import Hook, HookPoint, registered
from workbench.errors import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_SMALL = 0.03  # of our streams: what a layer adds unseen stands out beside them
_KNOWN: WeakKeyDictionary[PreTrainedModel, str] = WeakKeyDictionary()


@dataclass(frozen=True)
class Addition:
    """How what an MLP puts out reaches the residual stream that the final norm reads.

    Where a norm stands behind the MLP: under that norm's scale for an output whose root mean square is 1.
    """

    gain: Tensor  #: factor of each dimension, `[width]` float32
    centres: bool  #: whether the mean of the dimensions is taken off first


def check_additions(model: PreTrainedModel) -> None:
    """Whether a layer adds its attention's and its MLP's output and nothing else, tried once for each model.

    Raises:
        UserError: something else reaches the residual stream, such as experts beside the MLP.
    """
    if model not in _KNOWN:
        parts, said = anatomy(model), ""
        with torch.inference_mode():
            stream = _SMALL * torch.randn(2, parts.hidden_size, generator=torch.Generator().manual_seed(0))
            streams = torch.cat([stream, 3 * stream[:1]])
            outputs, _ = _tried(model, parts, streams, torch.zeros_like(streams))
        for layer, output in enumerate(outputs):
            first, _, tripled = output
            rescaled = _same(model, tripled, first)  # the sum itself is normed, as in the first GPT
            if _skip(model, output, streams) is None and not rescaled:
                said = f"layer {layer} adds more to the residual stream than one attention and one MLP"
                break
        _KNOWN[model] = said
    if _KNOWN[model]:
        raise unreadable(model, _KNOWN[model])


@torch.inference_mode()
def mlp_additions(model: PreTrainedModel) -> list[Addition]:
    """How each layer's MLP output reaches the stream that the final norm reads, on the direct path.

    Raises:
        UserError: it depends on more than that output, or as `check_additions`.
    """
    check_additions(model)
    parts = anatomy(model)
    generator = torch.Generator().manual_seed(0)
    stream = _SMALL * torch.randn(2, parts.hidden_size, generator=generator)
    first, second = torch.randn(2, parts.hidden_size, generator=generator)
    signs = torch.ones(parts.hidden_size)
    signs[1::2] = -1
    ones = torch.ones(parts.hidden_size)
    # The first three rows are `check_additions`'; then the MLP's outputs, the last one in the other stream.
    mlps = torch.stack([*torch.zeros(3, parts.hidden_size), signs, ones, first, second, 3 * first, first])
    streams = torch.stack([*stream, 3 * stream[0], *stream[:1].expand(5, -1), stream[1]])
    outputs, _ = _tried(model, parts, streams, mlps)
    factor, additions = 1.0, []
    for layer in reversed(range(parts.n_layers)):
        output = outputs[layer]
        skip = _skip(model, output[:3], streams[:3])
        added = output[3:8] - output[0]
        addition = _addition(model, mlps[3:8], added)
        if skip is None or addition is None or not _same(model, output[8] - output[1], added[2]):
            raise UserError(
                f"What the neurons of {type(model).__name__} write cannot be told: what layer {layer} adds "
                "to the residual stream is not its MLP's output times a factor, behind a norm or not."
            )
        additions.append(Addition(addition.gain * factor, addition.centres))
        factor *= skip
    return additions[::-1]


@torch.inference_mode()
def logit_factor(model: PreTrainedModel) -> float:
    """The factor from what the unembedding gives to the logits; where they are capped, near zero.

    Raises:
        UserError: the logits are not the unembedding of the final norm, up to an increasing function.
    """
    parts = anatomy(model)
    refused = UserError(
        f"What the neurons of {type(model).__name__} write cannot be told: its logits are not the "
        "unembedding of its final norm."
    )
    streams = torch.randn(4, parts.hidden_size, generator=torch.Generator().manual_seed(0))
    _, logits = _tried(model, parts, streams, torch.zeros_like(streams))
    weight = next(parts.unembedding.parameters())
    if parts.unembedding.get_parameter("weight").shape[1] != parts.hidden_size:
        raise refused
    raw = parts.unembedding(parts.norm(streams.to(weight))).float().cpu().flatten()
    order = raw.argsort()
    rising = logits.flatten()[order]
    small = raw.abs().argsort()[: max(8, len(raw) // 10)]
    factor = float((raw[small] @ logits.flatten()[small]) / (raw[small] @ raw[small]))
    falls = (rising[:-1] - rising[1:]).clamp(min=0).max()
    if factor <= 0 or falls > _tolerance(model) * rising.abs().max():
        raise refused
    return factor


def _tried(
    model: PreTrainedModel, parts: Anatomy, streams: Tensor, mlps: Tensor
) -> tuple[list[Tensor], Tensor]:
    """What each block makes of given streams and MLP outputs `[rows, width]`; and logits of the streams."""
    outputs: list[Tensor] = []

    def give(values: Tensor, value: Tensor) -> Tensor:
        return values.to(value)[:, None].expand_as(value)

    def stream(value: Tensor, point: HookPoint) -> Tensor:
        if point.layer:
            outputs.append(value[:, -1].float().cpu())
        return give(streams, value)

    hooks: dict[str, list[Hook]] = {f"residual.{parts.n_layers}": [stream]}
    for layer in range(parts.n_layers):
        hooks[f"residual.{layer}"] = [stream]
        hooks[f"attention.{layer}"] = [lambda value, _: torch.zeros_like(value)]
        hooks[f"mlp.{layer}"] = [lambda value, _: give(mlps, value)]
    ids = torch.zeros(len(streams), 2, dtype=torch.long, device=model.device)
    try:
        with probing(model), registered(model, parts, hooks):
            logits = model(ids, use_cache=False).logits
    except (RuntimeError, ValueError, TypeError, AttributeError) as error:
        raise unreadable(model, str(error).strip().partition("\n")[0].rstrip(".")) from error
    return outputs, logits[:, -1].float().cpu()


def _tolerance(model: PreTrainedModel) -> float:
    return 2e-3 if model.dtype == torch.float32 else 5e-2


def _same(model: PreTrainedModel, one: Tensor, other: Tensor) -> bool:
    return bool((one - other).norm() <= _tolerance(model) * other.norm())


def _skip(model: PreTrainedModel, output: Tensor, streams: Tensor) -> float | None:
    """The factor with which a block passes its stream on, or None; rows as in `check_additions`."""
    apart, change = streams[0] - streams[1], output[0] - output[1]
    factor = float(apart @ change / (apart @ apart))
    longer = streams[2] - streams[0]
    fits = _same(model, change, factor * apart) and _same(model, output[2] - output[0], factor * longer)
    return factor if fits else None


def _addition(model: PreTrainedModel, mlps: Tensor, added: Tensor) -> Addition | None:
    """What was added for MLP outputs (signs, ones, two random ones, the first tripled), as factors."""
    factor = float((mlps * added).sum() / (mlps * mlps).sum())
    if _same(model, added, factor * mlps):
        return Addition(torch.full_like(mlps[0], factor), False)
    gain = added[0] * mlps[0]  # as `read_norm` reads one
    centres = bool(added[1].abs().max() < 1e-2 * gain.abs().max())
    centred = mlps - mlps.mean(1, keepdim=True) if centres else mlps
    scaled = gain * centred / centred.square().mean(1, keepdim=True).clamp(min=1e-12).sqrt()
    others = slice(2, None)
    return Addition(gain, centres) if _same(model, added[others], scaled[others]) else None
