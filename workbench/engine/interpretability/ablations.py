"""What heads cost when they are switched off one by one, or in groups: batched, from their layer on only.

A head changes nothing below its layer. So every text is read once whole, the residual streams that layers
read are kept, and a pass without a head begins at its layer; many heads of a layer are rows of one batch.
Whether a family's pass can begin at a layer is tried out, and where it cannot, all of it is computed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from workbench.engine.batches import batches, padded
from workbench.engine.gradients.reader import frozen
from workbench.engine.interpretability.anatomy import anatomy
from workbench.engine.interpretability.capture import capture, check_finite, check_rows, hooked
from workbench.engine.interpretability.from_layer import beginning_at, can_begin
from workbench.engine.interpretability.hooks import Hook, HookPoint
from workbench.engine.interpretability.interventions import (
    Ablation,
    ValueBias,
    head_tables,
    units_by_layer,
)
from workbench.engine.interpretability.patching import Metric
from workbench.engine.interpretability.reference import Reference
from workbench.engine.models import evaluating, n_rows
from workbench.engine.sampling.scoring import last_logits
from workbench.engine.traits import traits
from workbench.errors import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Head = tuple[int, int]
"""Layer and head."""
_MOST_TOKENS = 8192  # of a pass: more do not make it quicker


@torch.inference_mode()
def nats_without(
    model: PreTrainedModel,
    rows: Sequence[Sequence[int]],
    groups: Sequence[Sequence[Head]],
    ablation: Ablation = "mean",
    reference: Reference | None = None,
    *,
    value_bias: ValueBias = "in head",
    seed: int = 0,
    most_bytes: int = 1 << 28,
) -> list[list[np.ndarray]]:
    """How much texts surprise a model without some of its heads: what `ablate_heads` around each pass gives.

    Args:
        rows: tokens of each text.
        groups: heads that are off together; an empty group for the model as it is.
        ablation, reference, value_bias, seed: as for `ablate_heads`.
        most_bytes: of the logits of one pass, and of the residual streams that are kept of a batch.

    Returns:
        For each group and each text, the surprise of every token but the first, in nats `[tokens - 1]`.

    Raises:
        UserError: as `ablate_heads` and `check_rows`.
    """
    check_rows(model, rows)
    parts = anatomy(model)
    heads = sorted({head for group in groups for head in group})
    layers, tables = head_tables(model, heads, ablation, reference, value_bias=value_bias, seed=seed)
    tables = {layer: tables[layer].to(model.device) for layer in layers}
    by_layer: dict[int, list[int]] = {}  # groups by the first layer that they change
    for number, group in enumerate(groups):
        by_layer.setdefault(min((layer for layer, _ in group), default=parts.n_layers), []).append(number)
    begins = can_begin(model)
    kept_layers = [layer for layer in sorted(by_layer) if begins and 0 < layer < parts.n_layers]
    nats: list[list[np.ndarray]] = [[np.zeros(0)] * len(rows) for _ in groups]
    widest = max(n_rows(model), parts.n_layers * parts.hidden_size)
    most_tokens = max(1, min(_MOST_TOKENS, most_bytes // (4 * widest)))
    together = traits(model).ignores_batch_mates
    # Few texts at once leave room for many groups, and need little padding.
    for index in batches(list(map(len, rows)), max(1, most_tokens // 4), len(rows) if together else 1):
        ids = padded([rows[number] for number in index]).long().to(model.device)
        streams: dict[int, Tensor] = {}
        if kept_layers or parts.n_layers in by_layer:
            whole = _read_keeping(model, ids, kept_layers, streams)
        step = max(1, most_tokens // ids.numel()) if begins else 1
        for layer, members in by_layer.items():
            for start in range(0, len(members), step):
                some = members[start : start + step]
                if layer == parts.n_layers:
                    values = whole.repeat(len(some), 1)
                else:
                    with _off(model, [groups[number] for number in some], tables, len(ids)):
                        values = _read_from(model, ids.repeat(len(some), 1), layer, streams.get(layer))
                surprise = values.double().cpu().numpy().reshape(len(some), len(ids), -1)
                for number, of_group in zip(some, surprise, strict=True):
                    for text, row in zip(index, of_group, strict=True):
                        nats[number][text] = row[: len(rows[text]) - 1]
    return nats


def _read_keeping(
    model: PreTrainedModel, ids: Tensor, layers: Sequence[int], streams: dict[int, Tensor]
) -> Tensor:
    """Surprise `[rows, tokens - 1]`; what some layers read goes into `streams`."""

    def keep(value: Tensor, point: HookPoint) -> None:
        streams[point.layer] = value

    with evaluating(model), hooked(model, {f"residual.{layer}": keep for layer in layers}):
        return _nats(model(ids, use_cache=False).logits, ids)


def _read_from(model: PreTrainedModel, ids: Tensor, layer: int, stream: Tensor | None) -> Tensor:
    """Surprise `[rows, tokens - 1]` of a pass that begins at a layer if its residual stream is given."""
    with ExitStack() as stack:
        stack.enter_context(evaluating(model))
        if stream is not None:
            stack.enter_context(beginning_at(model, layer, stream))
        return _nats(model(ids, use_cache=False).logits, ids)


def _nats(logits: Tensor, ids: Tensor) -> Tensor:
    check_finite(logits[:, -1])
    surprise = [
        nn.functional.cross_entropy(row[:-1].float(), tokens[1:], reduction="none")
        for row, tokens in zip(logits, ids, strict=True)
    ]
    return torch.stack(surprise)


def _off(
    model: PreTrainedModel, groups: Sequence[Sequence[Head]], tables: Mapping[int, Tensor], n_texts: int
) -> AbstractContextManager[None]:
    """The model without one group in the first `n_texts` rows of a batch, without the next in the next."""
    masks: dict[int, Tensor] = {}  # by layer, [rows, 1, heads, 1]
    for number, group in enumerate(groups):
        for layer, head in group:
            shape = (len(groups) * n_texts, 1, tables[layer].shape[-2], 1)
            mask = masks.setdefault(layer, torch.zeros(shape, dtype=torch.bool, device=model.device))
            mask[number * n_texts : (number + 1) * n_texts, :, head] = True

    def replace(mask: Tensor, table: Tensor, value: Tensor, point: HookPoint) -> Tensor:
        return torch.where(mask, table[point.positions.clamp(max=len(table) - 1)].to(value), value)

    hooks: dict[str, Hook] = {
        f"head.{layer}": partial(replace, mask, tables[layer]) for layer, mask in masks.items()
    }
    return hooked(model, hooks)


@torch.inference_mode()
def patched_heads(
    model: PreTrainedModel,
    clean: Sequence[int],
    corrupt: Sequence[int],
    metric: Metric,
    heads: Sequence[tuple[int, int]],
) -> np.ndarray:
    """The metric on the corrupt text with one head's output from the clean one in it, for some heads.

    What `activation_patching` gives as `raw` of heads by unit; a pass begins at the head's layer where the
    model `can_begin` there.

    Args:
        heads: as (layer, head).
        metric: of a text's last logits alone, such as `logit_difference`.

    Returns:
        M_patched `[heads]`.

    Raises:
        UserError: texts of different lengths, a head that does not exist, or as `check_rows`.
    """
    check_rows(model, [clean, corrupt])
    if len(clean) != len(corrupt):
        raise UserError(
            f"The clean text has {len(clean)} tokens and the other {len(corrupt)}: give two of one length."
        )
    ids, parts, begins = torch.tensor([clean, corrupt], device=model.device), anatomy(model), can_begin(model)
    layers = units_by_layer(heads, [parts.n_heads] * parts.n_layers, "head")
    values, _ = capture(model, ids, [f"{kind}.{layer}" for layer in layers for kind in ("head", "residual")])
    results: dict[tuple[int, int], float] = {}
    for layer, some in layers.items():
        here = torch.eye(values[f"head.{layer}"].shape[2], dtype=torch.bool, device=ids.device)[some]

        def put(value: Tensor, point: HookPoint, here: Tensor = here) -> Tensor:
            return torch.where(here[:, None, :, None], values[point.name][:1], value)

        with evaluating(model), ExitStack() as stack:
            stack.enter_context(hooked(model, {f"head.{layer}": put}))
            if begins and layer:
                stack.enter_context(beginning_at(model, layer, values[f"residual.{layer}"][1:]))
            metrics = metric(last_logits(model, ids[1:].repeat(len(some), 1), 1))
        results |= {(layer, head): float(value) for head, value in zip(some, metrics, strict=True)}
    return np.array([results[head] for head in heads])


# ------------------------------------------------------------------------------- all heads, estimated
def estimate_without(
    model: PreTrainedModel, rows: Sequence[Sequence[int]], reference: Reference
) -> np.ndarray:
    """First-order estimate of what each head costs at its mean: a forward and a backward pass a text.

    (mean - a) dL/da summed over a head's outputs a, L being the loss (Molchanov et al. 2017, arXiv
    1611.06440, and Michel et al. 2019, arXiv 1905.10650, for zero; Nanda's attribution patching). It does not
    see what saturates: rank heads with it, and switch off those that matter.

    Args:
        rows: tokens of each text.
        reference: holds `head.*`.

    Returns:
        `[texts, layers, heads]` in nats a token, positive where the loss would rise.

    Raises:
        UserError: as `ablate_heads` and `check_rows`.
    """
    check_rows(model, rows)
    parts = anatomy(model)
    every = [(layer, head) for layer in range(parts.n_layers) for head in range(parts.n_heads)]
    _, tables = head_tables(model, every, "mean", reference, value_bias="in head", seed=0)
    leaves: dict[int, Tensor] = {}

    def keep(value: Tensor, point: HookPoint) -> Tensor:
        leaves[point.layer] = value if value.requires_grad else value.detach().requires_grad_()
        return leaves[point.layer]

    estimates = np.zeros((len(rows), parts.n_layers, parts.n_heads))
    with torch.inference_mode(False), torch.enable_grad(), frozen(model), hooked(model, {"head.*": keep}):
        for text, row in enumerate(rows):
            ids = torch.tensor([row], device=model.device)
            nats = _nats(model(ids, use_cache=False).logits, ids).mean()
            gradients = torch.autograd.grad(nats, [leaves[layer] for layer in range(parts.n_layers)])
            for layer, gradient in enumerate(gradients):
                table = tables[layer].to(gradient)
                position = torch.arange(len(row), device=table.device).clamp(max=len(table) - 1)
                change = (table[position] - leaves[layer].detach()[0]) * gradient[0]
                estimates[text, layer] = change.sum((0, 2)).double().cpu().numpy()
    return estimates
