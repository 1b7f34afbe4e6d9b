"""Where a transformers causal language model keeps its layers, heads and neurons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from workbench.errors import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

KINDS = ("residual", "pattern", "head", "attention", "neuron", "mlp")
# What the families call the projection behind the heads, the one behind the neurons, and the final norm.
_OUT = ("o_proj", "out_proj", "c_proj", "dense")
_DOWN = ("down_proj", "c_proj", "dense_4h_to_h", "fc2")
_NORM = ("norm", "ln_f", "final_layer_norm", "final_layernorm")


@dataclass(frozen=True)
class Anatomy:
    """Where a model keeps its parts; the lists have one entry a layer."""

    blocks: list[nn.Module]
    attention: list[nn.Module]
    out: list[nn.Module]  #: the attention's output projection; reads the heads side by side
    down: list[nn.Module]  #: the MLP's output projection; reads the neurons
    norm: nn.Module  #: the final norm; `unembedding` reads it
    unembedding: nn.Module
    n_heads: int
    head_dim: int
    n_neurons: int
    hidden_size: int

    @property
    def n_layers(self) -> int:
        return len(self.blocks)

    def names(self) -> list[str]:
        """Every name that hooks can be put on."""
        layers = range(self.n_layers)
        return [f"{kind}.{layer}" for kind in KINDS for layer in layers] + [f"residual.{self.n_layers}"]


def anatomy(model: PreTrainedModel) -> Anatomy:
    """Finds the parts of a decoder by structure and by the names that transformers' families give them.

    Raises:
        UserError: the model is built otherwise (no attention in some layer, experts in place of an MLP).
    """
    blocks = _blocks(model)
    attention, out, down = [], [], []
    for block in blocks:
        inside = dict(block.named_modules())
        projections = {name: part for name, part in inside.items() if hasattr(part, "weight")}
        outs = [name for name in projections if "att" in name and name.rpartition(".")[2] in _OUT]
        downs = [name for name in projections if "att" not in name and name.rpartition(".")[2] in _DOWN]
        if len(outs) != 1 or len(downs) != 1:
            raise UserError(
                f"The inside of {type(model).__name__} cannot be read: a layer needs one attention and one "
                "MLP, as in Llama, GPT-2, GPT-NeoX, GPT-Neo, Qwen or Bloom."
            )
        attention.append(inside[outs[0].rpartition(".")[0]])
        out.append(projections[outs[0]])
        down.append(projections[downs[0]])
    holder = next(part for part in model.modules() if blocks in part.children())
    norms = [part for name, part in holder.named_children() if name in _NORM]
    if len(norms) != 1:
        raise UserError(f"The inside of {type(model).__name__} cannot be read: it has no final norm.")
    n_heads = model.config.num_attention_heads
    return Anatomy(
        blocks=list(blocks),
        attention=attention,
        out=out,
        down=down,
        norm=norms[0],
        unembedding=model.get_output_embeddings(),
        n_heads=n_heads,
        head_dim=_n_inputs(out[0]) // n_heads,
        n_neurons=_n_inputs(down[0]),
        hidden_size=model.config.hidden_size,
    )


def read_norm(norm: nn.Module, like: Tensor) -> tuple[Tensor, Tensor, bool]:
    """Gain and bias `[width]` of a norm, and whether it centres, for values that are `like` `[width]`.

    The gain is read off the norm's answer to +1, -1, +1, ..., whose mean is 0 and whose variance 1, because
    families write their norms differently (Gemma's gain is 1 + weight).
    """
    bias = norm(torch.zeros_like(like))
    signs = torch.ones_like(like)
    signs[1::2] = -1
    gain = (norm(signs) - bias) * signs
    return gain, bias, bool((norm(torch.ones_like(like)) - bias).abs().max() < 1e-2 * gain.abs().max())


def _blocks(model: PreTrainedModel) -> nn.ModuleList:
    lists = [part for part in model.modules() if isinstance(part, nn.ModuleList)]
    fitting = [part for part in lists if len(part) == getattr(model.config, "num_hidden_layers", -1)]
    if not fitting:
        raise UserError(f"The inside of {type(model).__name__} cannot be read: it has no list of layers.")
    return fitting[0]


def _n_inputs(projection: nn.Module) -> int:
    # GPT-2's Conv1D keeps its weight the other way round.
    return projection.weight.shape[0 if type(projection).__name__ == "Conv1D" else 1]
