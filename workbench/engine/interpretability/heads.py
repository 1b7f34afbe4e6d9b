"""Whether a model's heads are what they seem: each pattern, applied to values, is its own head's output.

Tried out rather than read off names, because families differ: some add a sink to the softmax, mix two heads
into one, norm the heads together, or call the softmax twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from workbench.engine.checks import probing, random_tokens
from workbench.engine.interpretability.anatomy import anatomy, unreadable
from workbench.engine.interpretability.hooks import Hook, HookPoint, registered
from workbench.errors import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_TOKENS = 4
_KNOWN: WeakKeyDictionary[PreTrainedModel, str] = WeakKeyDictionary()


def check_heads(model: PreTrainedModel) -> None:
    """Whether `pattern.L` and `head.L` mean what `capture` says, tried once for each model.

    Raises:
        UserError: they do not.
    """
    if model not in _KNOWN:
        try:
            _try_heads(model)
            _KNOWN[model] = ""
        except UserError as error:
            _KNOWN[model] = str(error)
        except (RuntimeError, ValueError, TypeError, AttributeError, IndexError) as error:
            _KNOWN[model] = str(unreadable(model, str(error).strip().partition("\n")[0].rstrip(".")))
    if _KNOWN[model]:
        raise UserError(_KNOWN[model])


@torch.inference_mode()
def _try_heads(model: PreTrainedModel) -> None:
    """One pass over rows of one text: as it is, with one head's pattern changed, with all weight on one key.

    The last token of a row is looked at; behind each attention all rows are as the first again.
    """
    parts = anatomy(model)
    n_rows = 1 + parts.n_heads + _TOKENS
    heads = torch.arange(parts.n_heads, device=model.device)
    weights: dict[int, Tensor] = {}

    def change(pattern: Tensor, point: HookPoint) -> Tensor:
        weights[point.layer] = own = pattern[0, :, -1].clone()  # [heads, keys]
        one_key = torch.eye(_TOKENS, device=own.device, dtype=own.dtype)
        changed = pattern.clone()
        changed[1 + heads, heads, -1] = one_key[own.argmin(-1)]
        changed[1 + parts.n_heads :, :, -1] = one_key[:, None]
        return changed

    def compare(value: Tensor, point: HookPoint) -> Tensor | None:
        if point.layer not in weights:
            return None  # without a softmax, which is said behind the attention
        outputs, own = value[:, -1].float(), weights[point.layer].float()
        moved = (outputs[1 : 1 + parts.n_heads] - outputs[0]).norm(dim=-1)  # [head changed, head]
        summed = torch.einsum("hk,khd->hd", own, outputs[1 + parts.n_heads :])
        least = (1e-3 if value.dtype == torch.float32 else 5e-2) * outputs.norm(dim=-1).max()
        others = moved - moved.diagonal().diag()
        if moved.max() <= least or others.max() > least or (summed - outputs[0]).norm(dim=-1).max() > least:
            raise unreadable(model, f"the heads of layer {point.layer} are not their patterns times values")
        return value[:1].expand_as(value)

    hooks: dict[str, list[Hook]] = {}
    for layer in range(parts.n_layers):
        hooks |= {f"pattern.{layer}": [change], f"head.{layer}": [compare]}
    ids = random_tokens(model, 1, _TOKENS)
    with probing(model), registered(model, parts, hooks):
        model.get_decoder()(ids.expand(n_rows, -1), use_cache=False)
