"""Heads and layers that are not what their names say are refused; those of odd families are read right."""

from itertools import zip_longest

import pytest
import torch
from decoders import build
from families import fresh, hooks_of, logits_of, texts, tiny

from workbench.engine import models
from workbench.engine.interpretability.anatomy import anatomy
from workbench.engine.interpretability.attribution import direct_logit_attribution, logit_lens
from workbench.engine.interpretability.capture import capture, hooked
from workbench.engine.interpretability.interventions import ablate_heads, ablate_neurons
from workbench.engine.interpretability.patching import activation_patching, logit_difference
from workbench.engine.interpretability.reference import reference
from workbench.engine.interpretability.stream import stream
from workbench.errors import UserError

EVERY = ("residual.*", "pattern.*", "head.*", "attention.*", "neuron.*", "mlp.*")


def read(model, names, length=12):
    return capture(model, torch.tensor(texts([length])), names)[0]


# ------------------------------------------------------------------------------- each layer its own
def test_heads_of_two_widths_are_read_layer_by_layer():
    model = build("gemma4_unified_text")
    assert anatomy(model).head_dims[0] != anatomy(model).head_dims[1]
    (row,) = texts([12])
    values = read(model, ["head.*", "attention.*"])
    for layer, out in enumerate(anatomy(model).out):
        assert values[f"head.{layer}"].shape[2:] == (4, anatomy(model).head_dims[layer])
        torch.testing.assert_close(out(values[f"head.{layer}"].flatten(2)), values[f"attention.{layer}"])
    held = reference(model, texts([8, 9]), ["head.*"], keep=0)
    before = logits_of(model, row)
    with ablate_heads(model, [(0, 1), (1, 2)], "mean", held):
        assert not torch.allclose(logits_of(model, row), before, atol=1e-3)
    with ablate_heads(model, [(1, 2)], "zero"):
        assert not torch.allclose(logits_of(model, row), before, atol=1e-3)


def test_layers_of_different_numbers_of_neurons_are_not_taken_for_one_another():
    model = fresh("Llama")
    wide = fresh_mlp(model, 64)
    model.model.layers[1].mlp = wide
    assert [value.shape[-1] for value in read(model, ["neuron.*"]).values()] == [48, 64]
    with ablate_neurons(model, [(1, 60)], "zero"):
        logits_of(model, texts([5])[0])
    with pytest.raises(UserError, match="layers of this model have 48 to 64 neurons"):
        _ = anatomy(model).n_neurons
    with pytest.raises(UserError, match=r"no neuron 60 in layer 0: .*neurons 0 to 47"):
        ablate_neurons(model, [(0, 60)], "zero")
    with pytest.raises(UserError, match="layers of this model have 48 to 64 neurons"):
        activation_patching(model, [1, 2], [3, 4], logit_difference(5, 6), "neuron", "unit")


def fresh_mlp(model, width):
    from transformers.models.llama.modeling_llama import LlamaMLP

    config = type(model.config)(**{**model.config.to_dict(), "intermediate_size": width})
    return LlamaMLP(config)


# ------------------------------------------------------------------------------- once in a pass
def test_a_final_norm_that_is_used_before_the_layers_too_is_read_behind_them():
    model, (row,) = build("nanochat"), texts([12])
    seen = []
    with hooked(model, {"residual.2": lambda value, _: seen.append(value)}):
        logits = logits_of(model, row)
    (stream_end,) = seen
    capped = model.lm_head(model.model.norm(stream_end)[0])
    cap = model.config.final_logit_softcapping
    torch.testing.assert_close(cap * torch.tanh(capped / cap), logits, atol=1e-4, rtol=1e-4)
    means = reference(model, [row], ["residual.2"], keep=0).means["residual.2"][: len(row)]
    torch.testing.assert_close(means, stream_end[0], atol=1e-5, rtol=1e-5)
    lens = logit_lens(model, row)
    assert lens.shape == (3, len(row), 300)
    torch.testing.assert_close(lens[-1], logits, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("names", EVERY)
def test_a_layer_that_a_pass_goes_through_twice_is_refused(names):
    model = fresh("Llama")
    model.model.layers[1] = model.model.layers[0]
    with pytest.raises(UserError, match="a forward pass computes some of its layers more than once"):
        read(model, [names])
    assert hooks_of(model) == 0


def test_a_part_that_a_pass_goes_around_is_refused():
    model = fresh("Llama")
    down = model.model.layers[1].mlp
    down.forward = lambda x: torch.nn.functional.linear(down.up_proj(x), down.down_proj.weight)
    with pytest.raises(UserError, match=r"does not go through (mlp|neuron)\.1"):
        read(model, ["neuron.*"])


# ------------------------------------------------------------------------------- what heads are not
@pytest.mark.parametrize(
    ("family", "says"),
    [
        ("diffllama", "heads of layer 0 are not their patterns times values"),  # two heads make one
        ("bitnet", "heads of layer 0 are not their patterns times values"),  # normed together
        ("flint", r"pattern.0 is \[9, 4, 4, 5\] instead of \[9, 4, 4, 4\]"),  # a sink beside the tokens
        ("qwen3_next", "has no softmax"),  # layers without attention
    ],
)
def test_heads_that_are_not_their_patterns_times_values_are_refused(family, says):
    model = build(family)
    for names in ("pattern.*", "head.1"):
        with pytest.raises(UserError, match=says):
            read(model, [names])
    assert "residual.1" in read(model, ["residual.*"])
    assert hooks_of(model) == 0


def test_a_second_softmax_in_an_attention_is_not_taken_for_its_pattern(monkeypatch):
    from transformers.models.llama import modeling_llama

    plain = modeling_llama.eager_attention_forward

    def twice(*arguments, **options):
        return plain(*arguments, **options)[0] + plain(*arguments, **options)[0], None

    monkeypatch.setattr(modeling_llama, "eager_attention_forward", twice)
    with pytest.raises(UserError, match="LlamaAttention cannot be read: it has 2 softmaxes"):
        read(fresh("Llama"), ["pattern.*"])


def test_an_experts_neighbour_is_not_taken_for_the_mlp():
    for family in ("qwen2_moe", "deepseek_v3", "falcon_h1", "gemma4_text"):
        model = build(family)
        for names in ("neuron.*", "mlp.*", "attention.*"):
            with pytest.raises(UserError, match="adds more to the residual stream than one attention and"):
                read(model, [names])
        with pytest.raises(UserError, match="adds more to the residual stream"):
            direct_logit_attribution(model, texts([6])[0], 5, 6)


def test_what_is_found_does_not_depend_on_hooks_that_are_on():
    model, (row,) = fresh("Llama"), texts([6])
    with hooked(model, {"residual.*": lambda value, _: torch.zeros_like(value)}):
        assert set(read(model, ["head.*", "mlp.*"])) == {"head.0", "head.1", "mlp.0", "mlp.1"}
    assert logits_of(model, row).std() > 0.1


def test_values_are_those_of_evaluation_whatever_mode_the_model_is_in():
    model, (row,) = fresh("GPT2"), texts([12])
    for drop in (part for part in model.modules() if isinstance(part, torch.nn.Dropout)):
        drop.p = 0.5
    quiet = read(model, ["mlp.1"])["mlp.1"]
    model.train()
    torch.testing.assert_close(read(model, ["mlp.1"])["mlp.1"], quiet)
    torch.testing.assert_close(logit_lens(model, row), logit_lens(model, row))
    seen = []
    for _ in stream(model, [texts([12])[0]], {"mlp.1": lambda value, *_: seen.append(value)}):
        pass
    torch.testing.assert_close(seen[0], quiet)
    assert model.training


# ------------------------------------------------------------------------------- several at once
def test_models_that_are_read_in_turns_each_give_all_their_patterns():
    pairs = {"a": (tiny("Llama"), texts([8] * 2)), "b": (tiny("GPT2"), texts([8] * 4))}
    seen = {name: [] for name in pairs}

    def hooks(name):
        return {"pattern.*": lambda value, place, batch: seen[name].append(place.name)}

    streams = [stream(model, rows, hooks(name), batch_size=1) for name, (model, rows) in pairs.items()]
    for _ in zip_longest(*streams):
        pass
    assert [len(names) for names in seen.values()] == [2 * 2, 4 * 2]


def test_one_model_read_in_turns_stays_eager_until_the_last_has_left():
    model, seen = fresh("Llama"), []
    first = stream(model, texts([6]), {"pattern.*": lambda *_: None}, batch_size=1)
    second = stream(model, texts([6] * 3), {"pattern.1": lambda *_: seen.append(1)}, batch_size=1)
    for _ in zip_longest(first, second):
        pass
    assert len(seen) == 3
    assert model.config._attn_implementation == "sdpa"


def test_every_pattern_is_seen_in_sampling_with_a_cache():
    tokenizer = models.train_tokenizer(["The cat sat on the mat."] * 9, 260)
    model = models.build(models.config("tiny:0.1M", len(tokenizer)), 0)
    shapes = []
    with hooked(model, {"pattern.0": lambda value, _: shapes.append(list(value.shape[2:]))}), torch.no_grad():
        model.generate(torch.tensor(texts([5])), max_new_tokens=3, do_sample=False, eos_token_id=None)
    assert shapes == [[5, 5], [1, 6], [1, 7]]
