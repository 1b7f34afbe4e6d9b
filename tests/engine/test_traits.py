"""What probes find about a model, against what it computes for documents alone, packed and padded."""

import pytest
import torch
import transformers
from decoders import TOKENIZER, build
from decoders import config as config_of

from workbench.engine import loading, models
from workbench.engine.traits import Traits, changes_with_length, traits

# They read documents apart that only their positions part; the others have no positions, or something in
# them that carries on: a convolution, a recurrent state, a mask of their own.
PARTS = ["llama", "gpt2", "gpt_neo", "gpt_neox", "gemma2", "gemma3", "mistral", "mixtral", "phi", "qwen3"]
MIXES = ["bloom", "opt", "gpt_oss", "lfm2", "qwen3_5_text", "granitemoehybrid", "mamba", "mpt", "openai-gpt"]
MIXES += ["bamba", "falcon_h1", "recurrent_gemma", "rwkv", "xglm"]


@pytest.mark.parametrize("family", PARTS + MIXES)
def test_documents_of_one_row_are_seen_apart_or_not(family):
    model = build(family)
    assert traits(model).parts_documents is (family in PARTS)
    if family not in PARTS:
        return
    generator = torch.Generator().manual_seed(5)
    row = torch.randint(5, 250, (1, 40), generator=generator)
    positions = torch.cat([torch.arange(23), torch.arange(17)])[None]
    with torch.no_grad():
        packed = model(row, position_ids=positions, use_cache=False).logits[0, 23:]
        alone = model(row[:, 23:], use_cache=False).logits[0]
    assert torch.allclose(packed, alone, atol=1e-4)


def test_a_leak_through_small_weights_is_seen():
    for family in ("opt", "lfm2", "qwen3_5_text", "granitemoehybrid", "gpt_oss"):
        settings = config_of(family)
        settings.initializer_range = 0.02
        assert not traits(models.build(settings, 0)).parts_documents


def test_windows_longer_than_short_documents_are_looked_behind():
    """With documents shorter than its window a model that counts windows from the row's start looks sound."""
    config = models.config("tiny:0.1M", 300, "gpt-neo", context=1024)
    config.window_size = 200
    assert traits(models.build(config, 0)).parts_documents
    llama4 = config_of("llama4_text")
    assert not traits(models.build(llama4, 0)).parts_documents


@pytest.mark.parametrize("family", ["llama", "gpt2", "bloom", "opt", "mamba", "gemma3", "mixtral", "lfm2"])
def test_rows_beside_others_are_read_as_alone(family):
    assert traits(build(family)).ignores_batch_mates


@pytest.mark.parametrize("family", ["rwkv", "recurrent_gemma"])
def test_a_recurrent_state_that_padding_moves_is_noticed(family):
    assert not traits(build(family)).ignores_batch_mates


def stretched(kind, original=16):
    rope = {"rope_type": kind, "rope_theta": 10000.0, "factor": 4.0}
    if kind == "longrope":
        rope |= {"short_factor": [1.0] * 4, "long_factor": [1.0, 3.0, 6.0, 12.0]}
        rope |= {"original_max_position_embeddings": original}
    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
    config = transformers.LlamaConfig(
        vocab_size=300, max_position_embeddings=64, rope_parameters=rope, initializer_range=0.2, **shape
    )
    return models.build(config, 0)


@pytest.mark.parametrize("kind", ["longrope", "dynamic"])
def test_angles_that_the_longest_row_sets_make_rows_depend_on_each_other(kind):
    model = stretched(kind)
    assert changes_with_length(model)
    assert traits(model) == Traits(takes_positions=True, parts_documents=False, ignores_batch_mates=False)


@pytest.mark.parametrize("kind", ["linear", "yarn"])
def test_angles_that_are_always_the_same_do_not(kind):
    model = stretched(kind)
    assert not changes_with_length(model)
    assert traits(model).ignores_batch_mates


def test_a_layer_that_looks_at_the_whole_batch_is_noticed():
    class Mixed(torch.nn.Module):
        def forward(self, x):
            return x + 0.1 * x.mean((0, 1))

    model = build("llama")
    model.model.layers[1].mlp = torch.nn.Sequential(model.model.layers[1].mlp, Mixed())
    assert not traits(model).ignores_batch_mates


def test_traits_are_probed_once_and_leave_the_model_as_it_was(monkeypatch):
    model = build("llama").train()
    seen = []
    handle = model.model.layers[0].register_forward_hook(lambda *_: seen.append(1))
    state, draws = {k: v.clone() for k, v in model.state_dict().items()}, torch.random.get_rng_state()
    traits(model)
    assert model.training
    assert not seen
    assert torch.equal(draws, torch.random.get_rng_state())
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in state.items())
    model(torch.tensor([[1, 2]])).logits.sum().backward()  # nothing of the probe's passes is left behind
    assert seen
    handle.remove()
    monkeypatch.setattr(model, "forward", lambda *_, **__: pytest.fail("probed again"))
    traits(model)


@pytest.mark.parametrize("family", ["llama", "opt", "openai-gpt", "lfm2", "gpt_oss"])
def test_adapters_and_half_precision_change_no_trait(family):
    import peft

    expected = traits(build(family))
    assert traits(build(family).to(torch.bfloat16)) == expected
    wrapped = peft.get_peft_model(build(family), peft.LoraConfig(target_modules="all-linear"))
    assert traits(wrapped.train()) == expected
    loading.check(wrapped, TOKENIZER)


@pytest.mark.long
def test_every_family_is_probed_without_an_error():
    import decoders

    for family in decoders.FAMILIES:
        model = build(family)
        loading.check(model, TOKENIZER)
        found = traits(model)
        assert found.takes_positions or not found.parts_documents
