"""What a neuron writes, in families that norm or scale what an MLP adds: as by hand, or refused."""

import numpy as np
import pytest
import torch
from decoders import build
from families import fresh

from workbench.engine.interpretability.anatomy import anatomy
from workbench.errors import UserError
from workbench.studies.neurons.value_vectors import writes

BEHIND = {  # the norm behind the MLP, and what its gain is beyond its weight
    "llama": (None, 0.0),
    "granite": (None, 0.0),
    "minicpm3": (None, 0.0),
    "cohere": (None, 0.0),
    "gemma": (None, 1.0),
    "vaultgemma": (None, 1.0),
    "gemma2": ("post_feedforward_layernorm", 1.0),
    "gemma3_text": ("post_feedforward_layernorm", 1.0),
    "gemma3": ("post_feedforward_layernorm", 1.0),
    "exaone4": ("post_feedforward_layernorm", 0.0),
    "olmo2": ("post_feedforward_layernorm", 0.0),
    "olmo3": ("post_feedforward_layernorm", 0.0),
    "glm4": ("post_mlp_layernorm", 0.0),
}


def by_hand(model, layer, block_factor, logit_factor):
    """Logits `[neurons, vocabulary]` of each neuron's value behind the norms that are there."""
    name, beyond = next(BEHIND[family] for family in BEHIND if family == model.family)
    parts = anatomy(model)
    values = parts.down[layer].weight.T * block_factor
    norm = getattr(parts.blocks[layer], name) if name else None
    values = values * (beyond + norm.weight) if norm is not None else values
    if model.family == "cohere":  # the one among them that centres
        values = values - values.mean(1, keepdim=True)
    return values * (beyond + parts.norm.weight) @ parts.unembedding.weight.T * logit_factor


@pytest.mark.parametrize("family", BEHIND)
def test_what_every_neuron_writes_is_what_its_value_becomes_behind_the_norms(family):
    model = build(family)
    model.family = family
    config = model.config.get_text_config()
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() == 1:
                weight += 0.3 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(2))
    if family == "granite":
        model.config.logits_scaling, factors = 8.0, (0.25, 1 / 8)
        for layer in model.model.layers:
            layer.residual_multiplier = 0.25
    elif family == "minicpm3":
        factors = (config.scale_depth / config.num_hidden_layers**0.5, 1 / config.logits_scaling)
    else:
        factors = (1.0, getattr(config, "logit_scale", None) or 1.0)
    written = writes(model, k=3)
    for layer in range(2):
        with torch.no_grad():
            right = by_hand(model, layer, *factors)
        top = written.query(f"layer == {layer} and side == 'top'").sort_values(["neuron", "rank"])
        best = right.topk(3)
        assert (top["token"].to_numpy().reshape(-1, 3)[:, 0] == best.indices[:, 0].numpy()).all()
        np.testing.assert_allclose(
            top["logit"].to_numpy().reshape(-1, 3), best.values.numpy(), rtol=5e-3, atol=1e-4
        )


@pytest.mark.parametrize("family", ["qwen2_moe", "gemma4_text", "doge", "mixtral", "opt"])
def test_what_cannot_be_told_is_refused(family):
    model = build(family)
    if family == "opt":  # as the smallest of its family: the sum is normed
        for layer in model.model.decoder.layers:
            layer.do_layer_norm_before = False
    with pytest.raises(UserError, match=r"cannot be (told|read): [^.]*[^.]\.$"):
        writes(model)


def test_an_adapter_beside_the_weights_is_not_left_out():
    model = fresh("Llama")
    down = model.model.layers[0].mlp.down_proj
    adapter = torch.nn.Linear(48, 32, bias=False)
    down.register_forward_hook(lambda _module, inputs, output: output + adapter(inputs[0]))
    with pytest.raises(UserError, match="its Linear does more than multiply by its weight"):
        writes(model)
