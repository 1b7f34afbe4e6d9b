"""What a model's parts say in tokens: direct logit attribution, and the logit lens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from workbench.engine.interpretability.anatomy import Anatomy, anatomy, read_norm
from workbench.engine.interpretability.capture import capture, check_rows, hooked
from workbench.engine.interpretability.hooks import HookPoint
from workbench.engine.interpretability.interventions import ValueBias, constants
from workbench.engine.models import evaluating
from workbench.errors import UserError

if TYPE_CHECKING:
    import pandas as pd
    from transformers import PreTrainedModel


@torch.inference_mode()
def direct_logit_attribution(
    model: PreTrainedModel,
    ids: Sequence[int],
    token_a: int,
    token_b: int,
    position: int = -1,
    *,
    value_bias: ValueBias = "in head",
) -> pd.DataFrame:
    """Shares of embeddings, heads and MLPs in a difference of two logits, under the run's own final scale.

    The final norm is linear once its scale s is held: part c adds (c * gain / s) (W_U[a] - W_U[b]), c centred
    first where the norm centres. Attention and MLP act through later layers too; this is the direct path.

    Args:
        model: one whose layers add attention and MLP to the residual stream as they are.
        ids: tokens of the text.
        position: after which token, from the end if negative.
        value_bias: whether a head's constant part is its own or the attention bias's; see `ValueBias`.

    Returns:
        Columns term (embedding, position embedding, head, attention bias, mlp, norm bias, unembedding bias),
        layer, head, value; the values sum to the difference of the logits.

    Raises:
        UserError: a token or position that does not exist, terms that do not add up, or as `capture`.
    """
    import pandas as pd

    parts = anatomy(model)
    values, logits = capture(model, torch.tensor([list(map(int, ids))]), ["residual.*", "head.*", "mlp.*"])
    if not -len(ids) <= position < len(ids):
        raise UserError(f"There is no position {position} in a text of {len(ids)} tokens.")
    if not all(0 <= token < logits.shape[-1] for token in (token_a, token_b)):
        raise UserError(f"Tokens {token_a} and {token_b} must be 0 to {logits.shape[-1] - 1}.")
    here = {name: value[0, position].double() for name, value in values.items()}
    difference = float(logits[0, position, token_a].double() - logits[0, position, token_b].double())
    weight = parts.unembedding.get_parameter("weight")
    direction, norm_bias = _frozen(
        parts.norm, here[f"residual.{parts.n_layers}"].float(), weight[token_a] - weight[token_b]
    )
    rows = _embeddings(model, int(ids[position]), here["residual.0"], direction)
    constant = constants(model, value_bias)
    for layer in range(parts.n_layers):
        rows += _attention(parts, layer, here[f"head.{layer}"], constant[layer], direction)
        rows.append(("mlp", layer, None, here[f"mlp.{layer}"] @ direction))
    rows.append(("norm bias", None, None, norm_bias))
    bias = getattr(parts.unembedding, "bias", None)
    rows.append(("unembedding bias", None, None, 0.0 if bias is None else bias[token_a] - bias[token_b]))
    table = pd.DataFrame(
        [(*row[:3], float(row[3])) for row in rows], columns=["term", "layer", "head", "value"]
    )
    if abs(table["value"].sum() - difference) > 1e-4 * (1 + table["value"].abs().sum()):
        raise UserError(
            f"The logits of {type(model).__name__} cannot be shared out: its layers do not add attention and "
            "MLP to the residual stream as they are, or it scales its logits."
        )
    return table.astype({"layer": "Int64", "head": "Int64"})


def _frozen(norm: nn.Module, value: Tensor, direction: Tensor) -> tuple[Tensor, Tensor]:
    """`direction` behind a norm as one before it, the norm's scale at `value` held; and the bias's part."""
    gain, bias, centres = read_norm(norm, value)
    centred = value - value.mean() if centres else value
    scaled, seen = (centred * gain).double(), (norm(value) - bias).double()
    before = direction.double() * gain.double() * (scaled @ seen) / (scaled @ scaled)
    return before - before.mean() if centres else before, bias.double() @ direction.double()


def _embeddings(model: PreTrainedModel, token: int, first: Tensor, direction: Tensor) -> list[tuple]:
    tokens = model.get_input_embeddings().get_parameter("weight")
    learned = [part for part in model.get_decoder().modules() if isinstance(part, nn.Embedding)]
    if len(learned) == 1 or tokens.shape[1] != len(first):
        return [("embedding", None, None, first @ direction)]
    embedding = tokens[token].double()
    return [
        ("embedding", None, None, embedding @ direction),
        ("position embedding", None, None, (first - embedding) @ direction),
    ]


def _attention(parts: Anatomy, layer: int, heads: Tensor, constant: Tensor, direction: Tensor) -> list[tuple]:
    out = parts.out[layer]
    weight = out.get_parameter("weight").double()
    weight = weight @ direction if type(out).__name__ == "Conv1D" else direction @ weight
    weight = weight.view(parts.n_heads, parts.head_dims[layer])
    constant = constant.to(heads)
    bias = (constant * weight).sum()
    if getattr(out, "bias", None) is not None:
        bias = bias + out.get_parameter("bias").double() @ direction
    shares = ((heads - constant) * weight).sum(-1)
    rows = [("head", layer, head, share) for head, share in enumerate(shares)]
    return [*rows, ("attention bias", layer, None, bias)]


@torch.inference_mode()
def logit_lens(model: PreTrainedModel, ids: Sequence[int]) -> Tensor:
    """Logits that the model would give if it ended at each layer (nostalgebraist 2020, "Interpreting GPT").

    The final norm is computed anew for each layer: under the last layer's scale, early layers, whose residual
    streams are shorter, would look undecided.

    Returns:
        Logits `[layers + 1, tokens, vocabulary]`: from what block L reads, the last one the model's own.

    Raises:
        UserError: as `capture`.
    """
    check_rows(model, [list(map(int, ids))])
    n_layers = anatomy(model).n_layers
    streams: list[Tensor] = []

    def swap(value: Tensor, point: HookPoint) -> Tensor | None:
        # One row a layer: the last hook gives each row its layer's stream, and the model goes on from there.
        streams.append(value[:1])
        return torch.cat(streams) if point.layer == n_layers else None

    rows = torch.tensor([list(map(int, ids))], device=model.device).expand(n_layers + 1, -1)
    with evaluating(model), hooked(model, {"residual.*": swap}):
        return model(rows, use_cache=False).logits
