"""Activation patching: which values inside a model carry an answer from one text into the run of another."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor

from workbench.engine.interpretability.anatomy import KINDS, anatomy
from workbench.engine.interpretability.capture import capture, check_rows, hooked
from workbench.engine.interpretability.hooks import HookPoint
from workbench.engine.models import evaluating
from workbench.errors import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Metric = Callable[[Tensor], Tensor]
"""Logits `[rows, tokens, vocabulary]` in, one number a row out."""
By = Literal["position", "unit", "both"]


def patched(
    model: PreTrainedModel,
    name: str,
    value: Tensor,
    *,
    positions: Sequence[int] | None = None,
    units: Sequence[int] | None = None,
) -> AbstractContextManager[None]:
    """Replaces a running value by a stored one, of another text for instance.

    Args:
        name: such as `residual.3`.
        value: as `capture` gives it, of 1 row for all or of as many as will run. Tokens beyond its last
            position keep theirs.
        positions: of the tokens to patch (of a pattern: those that attend); None for all.
        units: heads of `head.L` and `pattern.L`, neurons of `neuron.L`, else dimensions; None for all.

    Raises:
        UserError: a name, position or unit that does not exist, or a value of another shape.
    """
    pattern = name.startswith("pattern.")
    axis = 2 if pattern else 1
    if value.dim() < 3:
        raise UserError(f"A value {list(value.shape)} does not fit into {name}: give what capture gives.")
    length, n_units = value.shape[axis], value.shape[3 - axis]
    # One more than there are: the last stands for all positions beyond.
    patch_position = torch.zeros(length + 1, dtype=torch.bool, device=model.device)
    patch_position[_within(positions, length, "position")] = True
    patch_unit = torch.zeros(n_units, dtype=torch.bool, device=model.device)
    patch_unit[_within(units, n_units, "unit")] = True

    def put(current: Tensor, point: HookPoint) -> Tensor:
        stored, running = value.to(current), point.positions
        if len(stored) not in (1, len(current)) or n_units != current.shape[3 - axis]:
            raise UserError(f"A value {list(value.shape)} does not fit into {name} {list(current.shape)}.")
        here = patch_position[running.clamp(max=length)]
        if pattern:
            new = torch.stack([aligned(stored[:, h], running, current) for h in range(n_units)], 1)
            here = here[:, None, :, None] & patch_unit[:, None, None]
        else:
            new = stored.expand(len(current), *stored.shape[1:])
            row = torch.arange(len(current), device=running.device)[:, None]
            new = new[row, running.clamp(max=length - 1)]
            here = (here[..., None] & patch_unit).view(*here.shape, n_units, *[1] * (current.dim() - 3))
        return torch.where(here, new, current)

    return hooked(model, {name: put})


def _within(index: Sequence[int] | None, count: int, what: str) -> list[int]:
    numbers = list(range(count)) if index is None else [int(number) for number in index]
    outside = [number for number in numbers if not 0 <= number < count]
    if outside:
        raise UserError(f"There is no {what} {outside[0]}: they are 0 to {count - 1}.")
    return numbers


def aligned(frozen: Tensor, positions: Tensor, value: Tensor) -> Tensor:
    """Weights `[rows, tokens, columns]` of stored patterns where the running one, `value`, has its tokens.

    Args:
        frozen: `[rows or 1, stored tokens, stored tokens]`.
        positions: `[rows or 1, tokens]` of the running tokens.
        value: `[rows, heads, tokens, columns]`; its last column is the last token's own, and columns before a
            text's first token (padding on the left) get no weight.
    """
    rows, _, tokens, columns = value.shape
    positions = positions.expand(rows, tokens)
    last = frozen.shape[1] - 1
    column = positions[:, -1:] - torch.arange(columns - 1, -1, -1, device=positions.device)
    stored = frozen.expand(rows, -1, -1)
    row = torch.arange(rows, device=positions.device)[:, None]
    stored = stored[row, positions.clamp(max=last)]
    index = column.clamp(0, last)[:, None].expand(-1, tokens, -1)
    return stored.gather(2, index) * ((column >= 0) & (column <= last))[:, None]


def logit_difference(token_a: int, token_b: int) -> Metric:
    """The metric logit(token_a) - logit(token_b) after a text's last token."""
    return lambda logits: logits[:, -1, token_a] - logits[:, -1, token_b]


@dataclass(frozen=True)
class Sweep:
    """What patching does to a metric M, for every value that was patched."""

    #: (M_patched - M_corrupt) / (M_clean - M_corrupt): 1 where the patch brings the clean answer back, 0
    #: where it does nothing; NaN everywhere if clean and corrupt text give the same M, to within 1e-4 of its
    #: size.
    effect: np.ndarray
    #: M_patched; both arrays `[layers, positions]`, `[layers, units]` or `[layers, units, positions]`.
    #: Residual streams have one layer more than the model: what the final norm reads.
    raw: np.ndarray
    clean: float
    corrupt: float


def activation_patching(
    model: PreTrainedModel,
    clean: Sequence[int],
    corrupt: Sequence[int],
    metric: Metric,
    kind: str,
    by: By,
    *,
    batch_size: int = 16,
) -> Sweep:
    """Effect of running the corrupt text with one value of the clean text in it, for every value of a kind.

    Args:
        clean: tokens of the text with the answer looked for.
        corrupt: tokens of the other text, as many.
        metric: such as `logit_difference(a, b)`.
        kind: of values: residual, pattern, head, attention, neuron or mlp.
        by: patch a `position` whole, a `unit` (head, neuron or dimension) at all positions, or one unit at
            one position (`both`). A pattern's positions are those that attend.

    Raises:
        UserError: texts of different lengths, an unknown kind or `by`, or as `capture`.
    """
    ids = _pair(model, clean, corrupt, kind, by)
    with torch.inference_mode():
        values, logits = capture(model, ids[:1], [f"{kind}.*"])
        _, corrupt_logits = capture(model, ids[1:], [f"{kind}.*"])
        bases = float(metric(logits)[0]), float(metric(corrupt_logits)[0])
        raw = [
            torch.cat([metric(part) for part in _patched_logits(model, ids[1:], name, value, by, batch_size)])
            for name, value in values.items()
        ]
    table = torch.stack(raw).double().cpu().numpy()
    if by == "both":
        table = table.reshape(len(raw), *_by_unit(kind, next(iter(values.values()))).shape[1:3])
    return _sweep(table, *bases)


def _patched_logits(
    model: PreTrainedModel, ids: Tensor, name: str, clean: Tensor, by: By, batch_size: int
) -> Iterator[Tensor]:
    """Logits of the corrupt text with one patch after the other, in batches of rows."""
    kind = name.partition(".")[0]
    units, length, *inner = _by_unit(kind, clean).shape[1:]
    count = {"position": length, "unit": units, "both": units * length}[by]
    for start in range(0, count, batch_size):
        cell = torch.arange(start, min(start + batch_size, count), device=ids.device)[:, None]
        unit = (cell if by == "unit" else cell // length) == torch.arange(units, device=ids.device)
        position = cell % length == torch.arange(length, device=ids.device)
        unit = unit[:, :, None] | torch.tensor(by == "position", device=ids.device)
        position = position[:, None] | torch.tensor(by == "unit", device=ids.device)
        here = _by_unit(kind, (unit & position).view(len(cell), units, length, *[1] * len(inner)))

        def put(value: Tensor, _point: HookPoint, here: Tensor = here) -> Tensor:
            return torch.where(here, clean, value)

        with evaluating(model), hooked(model, {name: put}):
            yield model(ids.expand(len(cell), -1), use_cache=False).logits


def attribution_patching(
    model: PreTrainedModel, clean: Sequence[int], corrupt: Sequence[int], metric: Metric, kind: str, by: By
) -> Sweep:
    """First-order estimate of `activation_patching`: (a_clean - a_corrupt) dM/da at the corrupt text.

    For all values at once, two forward passes and one backward (Nanda 2023, "Attribution patching"); exact
    where M is linear in the value. Arguments and errors are those of `activation_patching`; `raw` is
    M_corrupt plus the estimate.
    """
    ids = _pair(model, clean, corrupt, kind, by)
    values, logits = capture(model, ids[:1], [f"{kind}.*"])
    leaves: dict[str, Tensor] = {}

    def keep(value: Tensor, point: HookPoint) -> Tensor:
        leaves[point.name] = value if value.requires_grad else value.detach().requires_grad_()
        return leaves[point.name]

    with (
        torch.inference_mode(False),
        torch.enable_grad(),
        evaluating(model),
        hooked(model, {f"{kind}.*": keep}),
    ):
        corrupt_metric = metric(model(ids[1:].clone(), use_cache=False).logits)[0]
        gradients = torch.autograd.grad(corrupt_metric, list(leaves.values()))
    changes = []
    with torch.no_grad():
        for (name, value), gradient in zip(values.items(), gradients, strict=True):
            change = _by_unit(kind, (value - leaves[name]) * gradient)[0]
            change = change.flatten(2).sum(2) if change.dim() > 2 else change
            changes.append({"position": change.sum(0), "unit": change.sum(1), "both": change}[by])
    base = float(corrupt_metric.detach())
    return _sweep(base + torch.stack(changes).double().cpu().numpy(), float(metric(logits)[0]), base)


def _pair(model: PreTrainedModel, clean: Sequence[int], corrupt: Sequence[int], kind: str, by: str) -> Tensor:
    if kind not in KINDS or by not in ("position", "unit", "both"):
        raise UserError(
            f"There is no sweep over {kind!r} by {by!r}: sweep over {', '.join(KINDS)}; by position, "
            "unit or both."
        )
    if kind == "neuron" and by != "position":
        _ = anatomy(model).n_neurons  # whose layers are side by side in the sweep
    rows = [list(map(int, clean)), list(map(int, corrupt))]
    check_rows(model, rows)
    if len(rows[0]) != len(rows[1]):
        raise UserError(
            f"The clean text has {len(rows[0])} tokens and the other {len(rows[1])}: give two of one length."
        )
    return torch.tensor(rows, device=model.device)


def _by_unit(kind: str, value: Tensor) -> Tensor:
    """A value as `[rows, units, positions, ...]`, or one of that shape as a value: patterns already are."""
    return value if kind == "pattern" else value.movedim(1, 2)


def _sweep(raw: np.ndarray, clean: float, corrupt: float) -> Sweep:
    span = clean - corrupt
    undefined = abs(span) <= 1e-4 * max(abs(clean), abs(corrupt))
    effect = np.full_like(raw, np.nan) if undefined else (raw - corrupt) / span
    return Sweep(effect, raw, clean, corrupt)
