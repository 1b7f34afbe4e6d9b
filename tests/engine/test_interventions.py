"""Ablation, freezing, steering and patching: what they put in, in any family, also when sampling."""

import numpy as np
import pytest
import torch
from families import (
    FAMILIES,
    HAVE_NORM_BIAS,
    HAVE_VALUE_BIAS,
    HEADS,
    LAYERS,
    VOCABULARY,
    hooks_of,
    logits_of,
    texts,
    tiny,
)
from test_models import TEXTS

from workbench.engine import models
from workbench.engine.interpretability.anatomy import anatomy
from workbench.engine.interpretability.capture import capture, hooked
from workbench.engine.interpretability.interventions import (
    ablate_heads,
    ablate_neurons,
    freeze_pattern,
    steer_neuron,
)
from workbench.engine.interpretability.patching import patched
from workbench.engine.interpretability.reference import reference
from workbench.engine.sampling.sampler import SamplingParams
from workbench.engine.sampling.transformers_sampler import TransformersSampler
from workbench.engine.tokens import encode
from workbench.errors import UserError

every_family = pytest.mark.parametrize("family", FAMILIES)
ALL_HEADS = [(layer, head) for layer in range(LAYERS) for head in range(HEADS)]
SOME_HEADS = [(0, 1), (1, 0), (1, 3)]
PROMPTS = ["The cat", "A dog ran to the park and", "It", "The cat sat on the mat. It was", "A big red ball"]


def captured(model, row, names=("*",)):
    return capture(model, torch.tensor([row]), names)[0]


@pytest.fixture(scope="module")
def tokenizer():
    return models.train_tokenizer(TEXTS, VOCABULARY)


@every_family
def test_mean_ablation_puts_in_the_mean_at_the_tokens_position(family):
    model, rows = tiny(family), texts([12] * 9)
    found = reference(model, rows, ["head.*", "neuron.0"])
    seen = {}
    with (
        ablate_heads(model, SOME_HEADS, "mean", found),
        ablate_neurons(model, [(0, 5), (0, 2)], "mean", found),
        hooked(model, {"*.*": lambda value, place: seen.setdefault(place.name, value)}),
    ):
        logits_of(model, texts([14], seed=1)[0])
    for layer, head in SOME_HEADS:
        torch.testing.assert_close(
            seen[f"head.{layer}"][0, :12, head], found.means[f"head.{layer}"][:12, head]
        )
        torch.testing.assert_close(
            seen[f"head.{layer}"][0, 12:, head], found.means[f"head.{layer}"][12:, head].expand(2, -1)
        )
    torch.testing.assert_close(seen["neuron.0"][0, :12, [5, 2]], found.means["neuron.0"][:12, [5, 2]])
    untouched = captured(model, texts([14], seed=1)[0], ["head.0", "neuron.0"])
    torch.testing.assert_close(seen["head.0"][:, :, [0, 2, 3]], untouched["head.0"][:, :, [0, 2, 3]])
    if family not in ("GPTNeoX", "Phi"):  # there the MLP of a layer does not read what its heads write
        assert not torch.allclose(seen["neuron.0"][..., 6:], untouched["neuron.0"][..., 6:])


@every_family
@pytest.mark.parametrize("how", ["mean", "resample"])
def test_a_texts_own_values_change_nothing(family, how):
    model, (row,) = tiny(family), texts([15])
    found = reference(model, [row], ["head.*", "neuron.*"])
    neurons = [(layer, neuron) for layer in range(LAYERS) for neuron in range(0, 40, 3)]
    with ablate_heads(model, ALL_HEADS, how, found), ablate_neurons(model, neurons, how, found):
        torch.testing.assert_close(logits_of(model, row), logits_of(model, row))
        changed = logits_of(model, row)
    torch.testing.assert_close(changed, logits_of(model, row), atol=1e-4, rtol=0)


@every_family
def test_without_its_heads_attention_adds_its_bias_alone(family):
    model, (row,) = tiny(family), texts([11])
    seen, parts = {}, anatomy(model)
    with (
        ablate_heads(model, ALL_HEADS, "zero"),
        hooked(model, {"attention.*": lambda value, place: seen.setdefault(place.layer, value)}),
    ):
        logits_of(model, row)
    for layer, value in seen.items():
        bias = getattr(parts.out[layer], "bias", None)
        wanted = torch.zeros(value.shape[-1]) if bias is None else bias.detach()
        torch.testing.assert_close(value, wanted.expand_as(value))


@every_family
def test_zero_ablation_depends_on_whose_the_value_bias_is_and_mean_ablation_does_not(family):
    model, (row, *rows) = tiny(family), texts([11, 12, 12, 12])
    found = reference(model, rows, ["head.*"])

    def logits(how, value_bias):
        with ablate_heads(model, SOME_HEADS, how, found, value_bias=value_bias):
            return logits_of(model, row)

    in_head, folded, with_norm = (logits("zero", kind) for kind in ("in head", "folded", "folded with norm"))
    assert torch.equal(in_head, folded) == (family not in HAVE_VALUE_BIAS)
    assert torch.equal(folded, with_norm) == (family not in HAVE_NORM_BIAS)
    for how in ("mean", "resample"):
        assert torch.equal(logits(how, "in head"), logits(how, "folded with norm"))


@pytest.mark.parametrize("family", HAVE_VALUE_BIAS)
def test_moving_the_value_bias_into_the_output_bias_turns_one_zero_into_the_other(family):
    """b_V in the head or b_V W_O in the output bias: the same function, until a head is zeroed."""
    model, (row,) = tiny(family), texts([11])
    seen = {}
    with (
        ablate_heads(model, ALL_HEADS, "zero", value_bias="folded"),
        hooked(model, {"head.*": lambda value, place: seen.setdefault(place.layer, value)}),
    ):
        logits_of(model, row)
    for layer, value in seen.items():
        bias = value_bias(model, family, layer)
        torch.testing.assert_close(value.flatten(2), bias.expand_as(value.flatten(2)))
    assert len(seen) == LAYERS


def value_bias(model, family, layer):
    """b_V of every query head side by side, from where the family keeps it."""
    attention = anatomy(model).attention[layer]
    if family == "GPT2":
        return attention.c_attn.bias.detach().chunk(3)[2]
    if family in ("GPTNeoX", "Bloom"):
        return attention.query_key_value.bias.detach().view(HEADS, 3, -1)[:, 2].flatten()
    bias = attention.v_proj.bias.detach()
    groups = bias.view(-1, anatomy(model).head_dims[0])
    return groups.repeat_interleave(HEADS // len(groups), 0).flatten()


def slow(model, row, new):
    """Greedy tokens and their log-probabilities by whole forward passes, without a cache."""
    row, logprobs = list(row), []
    for _ in range(new):
        best = logits_of(model, row)[-1].log_softmax(-1).max(-1)
        row.append(int(best.indices))
        logprobs.append(float(best.values))
    return row[-new:], logprobs


INTERVENTIONS = {
    "mean": lambda model, found: ablate_heads(model, SOME_HEADS, "mean", found),
    "resample": lambda model, found: ablate_heads(model, SOME_HEADS, "resample", found, seed=1),
    "zero": lambda model, _: ablate_heads(model, SOME_HEADS, "zero"),
    "neurons": lambda model, found: ablate_neurons(model, [(0, n) for n in range(30)], "mean", found),
    "freeze": lambda model, _: freeze_pattern(model, dict.fromkeys(SOME_HEADS, previous_token(18))),
    "steer": lambda model, _: steer_neuron(model, 1, 3, 9.0),
    "patch": lambda model, found: patched(
        model, "head.0", found.texts["head.0"][:1], positions=[1, 4, 9, 13], units=[0, 2]
    ),
}


def previous_token(length):
    """Everything attends to the token before it, the first to itself."""
    pattern = torch.diag(torch.ones(length - 1), -1)
    pattern[0, 0] = 1
    return pattern


@pytest.mark.parametrize("name", INTERVENTIONS)
@pytest.mark.parametrize("family", ["Llama", "GPT2", "GPTNeo", "Bloom", "OPT"])
def test_interventions_hold_in_sampling_with_a_cache(family, name, tokenizer):
    model = tiny(family)
    rows = encode(tokenizer, PROMPTS)
    found = reference(model, texts([16, 20, 24]), ["head.*", "neuron.*"])
    plain = [slow(model, row, 12) for row in rows]
    with INTERVENTIONS[name](model, found):
        wanted = [slow(model, row, 12) for row in rows]
        sampler = TransformersSampler(model, tokenizer, batch_size=2)  # rows of unlike length side by side
        got = sampler.sample(PROMPTS, SamplingParams(max_tokens=12, temperature=0))
    for (completion,), (tokens, logprobs) in zip(got, wanted, strict=True):
        assert completion.tokens == tokens
        np.testing.assert_allclose(completion.logprobs, logprobs, atol=1e-3)
    assert not np.allclose([row[1] for row in wanted], [row[1] for row in plain], atol=0.02)


@every_family
def test_a_pattern_frozen_to_itself_changes_nothing(family):
    model, (row,) = tiny(family), texts([13])
    own = captured(model, row, ["pattern.*"])
    with freeze_pattern(
        model, {(layer, head): own[f"pattern.{layer}"][0, head] for layer, head in ALL_HEADS}
    ):
        changed = logits_of(model, row)
    torch.testing.assert_close(changed, logits_of(model, row), atol=1e-4, rtol=0)


@every_family
def test_a_frozen_pattern_is_what_the_head_attends_with(family):
    model, row = tiny(family), texts([13])[0]
    before = captured(model, row)
    with freeze_pattern(model, {(1, 2): previous_token(9)}):
        values = captured(model, row)
    pattern = values["pattern.1"][0]
    torch.testing.assert_close(pattern[2, :9, :9], previous_token(9))
    torch.testing.assert_close(pattern[[0, 1, 3]], before["pattern.1"][0, [0, 1, 3]])
    torch.testing.assert_close(pattern[2, 9:], before["pattern.1"][0, 2, 9:])
    # The first token's value is what the head puts out at the first two tokens.
    torch.testing.assert_close(values["head.1"][0, 1, 2], before["head.1"][0, 0, 2], atol=1e-5, rtol=1e-4)


def test_a_frozen_pattern_holds_in_rows_padded_on_either_side():
    model, (row,) = tiny("Llama"), texts([8])
    with freeze_pattern(model, dict.fromkeys(ALL_HEADS, previous_token(8))), torch.no_grad():
        wanted = logits_of(model, row)
        right = model(torch.tensor([[*row, 1, 1]]), use_cache=False).logits[0, :8]
        mask = torch.tensor([[0, 0, 0] + [1] * 8])
        positions = (mask.cumsum(-1) - 1).clamp(min=0)
        left = model(torch.tensor([[5, 6, 7, *row]]), attention_mask=mask, position_ids=positions).logits[
            0, 3:
        ]
    torch.testing.assert_close(right, wanted, atol=1e-5, rtol=0)
    torch.testing.assert_close(left, wanted, atol=1e-5, rtol=0)


@every_family
def test_steering_sets_or_adds_and_its_own_value_changes_nothing(family):
    model, (row,) = tiny(family), texts([10])
    own = captured(model, row, ["neuron.0"])["neuron.0"]
    before = logits_of(model, row)
    with steer_neuron(model, 0, 7, own[..., 7]):
        torch.testing.assert_close(logits_of(model, row), before, atol=1e-5, rtol=0)
    for value, add, wanted in ((4.0, False, torch.full((1, 10), 4.0)), (4.0, True, own[..., 7] + 4)):
        with steer_neuron(model, 0, 7, value, add=add):
            steered = captured(model, row, ["neuron.0"])["neuron.0"]
        torch.testing.assert_close(steered[..., 7], wanted)
        assert torch.equal(steered[..., :7], own[..., :7])


@every_family
@pytest.mark.parametrize("name", ["residual.1", "pattern.1", "head.0", "attention.0", "neuron.1", "mlp.0"])
def test_patching_puts_the_stored_value_where_it_is_asked_for_and_nowhere_else(family, name):
    model, (clean, corrupt) = tiny(family), texts([10, 10])
    stored, before = (captured(model, row, [name])[name] for row in (clean, corrupt))
    with patched(model, name, stored, positions=[2, 5], units=[1, 3]):
        seen = captured(model, corrupt, [name])[name]
    if name.startswith("pattern"):
        seen, stored, before = (value.transpose(1, 2) for value in (seen, stored, before))
    wanted = before.clone()
    for position in (2, 5):
        wanted[:, position, [1, 3]] = stored[:, position, [1, 3]]
    torch.testing.assert_close(seen, wanted, atol=1e-6, rtol=1e-5)


@every_family
def test_patching_all_of_the_stream_turns_one_text_into_the_other(family):
    model, (clean, corrupt) = tiny(family), texts([10, 10])
    name = f"residual.{LAYERS}"
    with patched(model, name, captured(model, clean, [name])[name]):
        changed = logits_of(model, corrupt)
    torch.testing.assert_close(changed, logits_of(model, clean), atol=1e-4, rtol=0)


def test_interventions_end_with_an_exception_too():
    model, (row,) = tiny("GPT2"), texts([10])
    before, count = logits_of(model, row), hooks_of(model)
    found = reference(model, texts([16]), ["head.*", "neuron.*"])

    def fail(_value, _place):
        raise ZeroDivisionError

    for name, make in INTERVENTIONS.items():
        with pytest.raises(ZeroDivisionError), make(model, found), hooked(model, {"mlp.1": fail}):
            logits_of(model, row)
        assert hooks_of(model) == count, name
        assert torch.equal(logits_of(model, row), before), name
    assert model.config._attn_implementation == "sdpa"


def test_no_unit_at_all_changes_nothing():
    model, (row,) = tiny("GPT2"), texts([10])
    with ablate_heads(model, [], "zero"), ablate_neurons(model, [], "zero"), freeze_pattern(model, {}):
        changed = logits_of(model, row)
    assert torch.equal(changed, logits_of(model, row))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (
            lambda m, r: ablate_heads(m, [(0, 4)], "zero"),
            "no head 4 in layer 0: layers are 0 to 1, heads 0 to 3",
        ),
        (lambda m, r: ablate_heads(m, [(-1, 0)], "zero"), "no head 0 in layer -1"),
        (lambda m, r: ablate_neurons(m, [(2, 0)], "mean", r), "no neuron 0 in layer 2"),
        (lambda m, r: ablate_neurons(m, [(0, 128)], "zero"), "no neuron 128 in layer 0"),
        (lambda m, r: ablate_heads(m, [(0, 0)]), "needs a reference"),
        (lambda m, r: ablate_heads(m, [(0, 0)], "mean", r), "holds no 'head.0' but neuron.0"),
        (lambda m, r: ablate_neurons(m, [(0, 0)], "median", r), "one of zero, mean and resample"),
        (lambda m, r: ablate_neurons(m, [(0, 0)], "resample", r), "keep=8"),
        (lambda m, r: ablate_heads(m, [(0, 0)], "zero", value_bias="out"), "value_bias='out' is not one of"),
        (lambda m, r: freeze_pattern(m, {(1, 9): torch.eye(3)}), "no head 9 in layer 1"),
        (lambda m, r: freeze_pattern(m, {(1, 1): torch.ones(3, 4)}), "must be .tokens, tokens., not .3, 4."),
        (lambda m, r: steer_neuron(m, 0, 500, 1.0), "no neuron 500 in layer 0"),
        (lambda m, r: patched(m, "head.7", torch.zeros(1, 3, 4, 8)), "no 'head.7'"),
        (lambda m, r: patched(m, "head.1", torch.zeros(1, 3, 4, 8), units=[4]), "no unit 4: they are 0 to 3"),
        (lambda m, r: patched(m, "mlp.1", torch.zeros(1, 3, 32), positions=[3]), "no position 3"),
        (lambda m, r: patched(m, "mlp.1", torch.zeros(1, 3, 16)), r"\[1, 3, 16\] does not fit into mlp.1"),
        (lambda m, r: patched(m, "mlp.1", torch.zeros(3, 32)), r"\[3, 32\] does not fit into mlp.1"),
        (lambda m, r: patched(m, "mlp.1", torch.zeros(2, 3, 32)), r"\[2, 3, 32\] does not fit into mlp.1"),
    ],
)
def test_what_does_not_exist_is_the_users_mistake(make, says):
    model, (row,) = tiny("GPT2"), texts([6])
    found = reference(model, [row], ["neuron.0"], keep=0)
    with pytest.raises(UserError, match=says), make(model, found):
        logits_of(model, row)
