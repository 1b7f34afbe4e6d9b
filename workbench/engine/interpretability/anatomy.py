"""Where a transformers causal language model keeps its layers, heads and neurons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from workbench.engine.models import text_config
from workbench.errors import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

KINDS = ("residual", "pattern", "head", "attention", "neuron", "mlp")
# What the families call the projection behind the heads, the one behind the neurons, and the final norm.
_OUT = ("o_proj", "out_proj", "c_proj", "dense")
_DOWN = ("down_proj", "c_proj", "dense_4h_to_h", "fc2", "fc_out")
_NORM = ("norm", "ln_f", "final_layer_norm", "final_layernorm", "layer_norm", "norm_f")


@dataclass(frozen=True)
class Anatomy:
    """Where a model keeps its parts; the lists have one entry a layer."""

    blocks: list[nn.Module]
    attention: list[nn.Module]
    out: list[nn.Module]  #: the attention's output projection; reads the heads side by side
    down: list[nn.Module]  #: the MLP's output projection; reads the neurons
    norm: nn.Module  #: the final norm; `unembedding` reads it
    unembedding: nn.Module
    n_heads: int  #: in every layer
    head_dims: list[int]  #: how many numbers a head of each layer puts out
    widths: list[int]  #: neurons of each layer
    hidden_size: int

    @property
    def n_layers(self) -> int:
        return len(self.blocks)

    @property
    def n_neurons(self) -> int:
        """Neurons of every layer.

        Raises:
            UserError: the layers have different numbers of them.
        """
        if len(set(self.widths)) > 1:
            counts = f"{min(self.widths)} to {max(self.widths)}"
            raise UserError(
                f"The layers of this model have {counts} neurons: give one whose layers are alike."
            )
        return self.widths[0]

    def names(self) -> list[str]:
        """Every name that hooks can be put on."""
        layers = range(self.n_layers)
        return [f"{kind}.{layer}" for kind in KINDS for layer in layers] + [f"residual.{self.n_layers}"]


def anatomy(model: PreTrainedModel) -> Anatomy:
    """Finds the parts of a decoder by structure and by the names that transformers' families give them.

    Raises:
        UserError: the model is built otherwise (no attention in some layer, experts in place of an MLP).
    """
    blocks, config = _blocks(model), text_config(model)
    attention, out, down = [], [], []
    for block in blocks:
        inside = dict(block.named_modules())
        projections = {name: part for name, part in inside.items() if hasattr(part, "weight")}
        outs = [name for name in projections if "att" in name and name.rpartition(".")[2] in _OUT]
        downs = [name for name in projections if "att" not in name and name.rpartition(".")[2] in _DOWN]
        if len(outs) != 1 or len(downs) != 1:
            alike = "as in Llama, GPT-2, GPT-NeoX, GPT-Neo, Qwen or Bloom"
            raise unreadable(model, f"a layer needs one attention and one MLP, {alike}")
        attention.append(inside[outs[0].rpartition(".")[0]])
        out.append(projections[outs[0]])
        down.append(projections[downs[0]])
    if any(len(set(modules)) < len(modules) for modules in (attention, out, down)):
        raise unreadable(model, "a forward pass computes some of its layers more than once")
    holder = next(part for part in model.modules() if blocks in part.children())
    norms = [part for name, part in holder.named_children() if name in _NORM]
    if len(norms) != 1:
        raise unreadable(model, "it has no final norm")
    unembedding = model.get_output_embeddings()
    if unembedding is None:
        raise unreadable(model, "it has no output layer")
    n_heads = config.num_attention_heads
    if not isinstance(n_heads, int) or any(_n_inputs(part) % n_heads for part in out):
        raise unreadable(model, "its layers do not have one number of heads")
    return Anatomy(
        blocks=list(blocks),
        attention=attention,
        out=out,
        down=down,
        norm=norms[0],
        unembedding=unembedding,
        n_heads=n_heads,
        head_dims=[_n_inputs(part) // n_heads for part in out],
        widths=[_n_inputs(part) for part in down],
        hidden_size=config.hidden_size,
    )


def unreadable(model: PreTrainedModel, why: str) -> UserError:
    """The error that says why a model's inside cannot be read."""
    return UserError(f"The inside of {type(model).__name__} cannot be read: {why}.")


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


def linear_weight(model: PreTrainedModel, projection: nn.Module) -> Tensor:
    """The weight `[inputs, outputs]` of a projection that does nothing but multiply by it and add a bias.

    Raises:
        UserError: it does more, as with an adapter or quantised weights.
    """
    weight = projection.get_parameter("weight")
    weight = weight if type(projection).__name__ == "Conv1D" else weight.T
    inputs = torch.randn(2, len(weight), generator=torch.Generator().manual_seed(0))
    inputs = inputs.to(device=weight.device, dtype=model.dtype)
    with torch.inference_mode():
        answer = projection(inputs)
        apart, right = answer[0] - answer[1], (inputs[0] - inputs[1]) @ weight.to(inputs)
    least = (1e-3 if inputs.dtype == torch.float32 else 5e-2) * right.norm()
    if apart.shape != right.shape or (apart - right).norm() > least:
        raise unreadable(model, f"its {type(projection).__name__} does more than multiply by its weight")
    return weight


def _blocks(model: PreTrainedModel) -> nn.ModuleList:
    count = getattr(text_config(model), "num_hidden_layers", -1)
    lists = [part for part in model.get_decoder().modules() if isinstance(part, nn.ModuleList)]
    fitting = [part for part in lists if len(part) == count]
    if not fitting:
        raise unreadable(model, "it has no list of layers")
    return fitting[0]


def _n_inputs(projection: nn.Module) -> int:
    # GPT-2's Conv1D keeps its weight the other way round.
    return projection.get_parameter("weight").shape[0 if type(projection).__name__ == "Conv1D" else 1]
