"""Heads switched off in batches and from their layer on: the same as one by one, in any family."""

import numpy as np
import pytest
import torch
from families import FAMILIES, HEADS, LAYERS, fresh, hooks_of, texts, tiny

from workbench.engine.interpretability import ablations
from workbench.engine.interpretability.ablations import (
    can_begin,
    estimate_without,
    nats_without,
    patched_heads,
)
from workbench.engine.interpretability.interventions import ablate_heads
from workbench.engine.interpretability.patching import activation_patching, logit_difference
from workbench.engine.interpretability.reference import reference
from workbench.errors import UserError

every_family = pytest.mark.parametrize("family", FAMILIES)
ROWS = texts([9, 14, 14, 3, 20], seed=3)
GROUPS = [[(layer, head)] for layer in range(LAYERS) for head in range(HEADS)]
GROUPS += [[], [(1, 2), (0, 1), (1, 0)], [(1, 0), (1, 3)]]


def one_by_one(model, rows, groups, *settings, **options):
    nats = []
    for group in groups:
        with ablate_heads(model, group, *settings, **options), torch.inference_mode():
            logits = [model(torch.tensor([row]), use_cache=False).logits[0, :-1] for row in rows]
        nats.append(
            [
                torch.nn.functional.cross_entropy(part, torch.tensor(row[1:]), reduction="none").numpy()
                for part, row in zip(logits, rows, strict=True)
            ]
        )
    return nats


def assert_alike(first, second, atol=1e-4):
    for of_group, right in zip(first, second, strict=True):
        for values, expected in zip(of_group, right, strict=True):
            np.testing.assert_allclose(values, expected, rtol=0, atol=atol)


@every_family
@pytest.mark.parametrize("settings", [("zero",), ("mean",), ("resample",)])
def test_many_heads_at_once_cost_what_each_costs_alone(family, settings):
    model = tiny(family)
    values = reference(model, texts([12] * 9, seed=1), ["head.*"])
    arguments = (model, ROWS, GROUPS, *settings, values)
    assert can_begin(model)
    assert_alike(nats_without(*arguments, seed=2), one_by_one(*arguments, seed=2))
    assert not hooks_of(model)
    assert not any("forward" in module.__dict__ for module in model.modules())


@every_family
def test_what_zero_leaves_is_the_value_bias_as_asked(family):
    model, options = tiny(family), {"value_bias": "folded"}
    arguments = (model, ROWS, GROUPS, "zero", None)
    assert_alike(nats_without(*arguments, **options), one_by_one(*arguments, **options))


def test_small_batches_give_the_same():
    model = tiny("Llama")
    arguments = (model, ROWS, GROUPS, "zero")
    assert_alike(nats_without(*arguments, most_bytes=1), nats_without(*arguments), 1e-5)


def test_a_model_whose_layers_read_more_than_the_stream_is_read_whole():
    """Its last block also reads what the first one computed, which a pass from there would not have."""
    model = fresh("Llama")
    first, last = model.model.layers
    kept, usual, forward = [], first.forward, last.forward

    def keep(stream, **named):
        kept.append(usual(stream, **named))
        return kept[-1]

    first.forward = keep
    last.forward = lambda stream, **named: forward(stream + 0.1 * kept.pop(), **named)
    arguments = (model, ROWS, GROUPS, "zero")
    assert not can_begin(model)
    assert_alike(nats_without(*arguments), one_by_one(*arguments))


def test_a_pass_begins_at_a_layer_whose_forward_was_replaced_and_leaves_it_so():
    model = fresh("GPT2")
    block = model.transformer.h[0]
    usual = block.forward
    block.forward = replacement = lambda *inputs, **named: usual(*inputs, **named)
    assert can_begin(model)
    nats_without(model, ROWS, GROUPS, "zero")
    assert block.forward is replacement


def test_an_error_within_a_pass_leaves_the_model_as_it_was(monkeypatch):
    model = tiny("Llama")
    nats_without(model, ROWS, GROUPS, "zero")
    monkeypatch.setattr(ablations, "_nats", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        nats_without(model, ROWS, GROUPS, "zero")
    assert not hooks_of(model)
    assert not any("forward" in module.__dict__ for module in model.modules())


@every_family
def test_the_estimate_is_the_slope_of_the_loss_towards_the_mean(family):
    model = tiny(family)
    values = reference(model, texts([12] * 9, seed=1), ["head.*"])
    estimates = estimate_without(model, ROWS[:2], values)
    assert estimates.shape == (2, LAYERS, HEADS)
    step = 1e-2
    for layer, head in [(0, 1), (1, 3)]:
        table = values.means[f"head.{layer}"][:, head]

        def towards(value, point, sign, head=head, table=table):
            changed = value.clone()
            mean = table[point.positions.clamp(max=len(table) - 1)]
            changed[:, :, head] += sign * step * (mean - changed[:, :, head])
            return changed

        losses = []
        for sign in (1, -1):
            hook = {f"head.{layer}": lambda value, point, sign=sign: towards(value, point, sign)}
            with ablations.hooked(model, hook):
                losses.append([row.mean() for row in one_by_one(model, ROWS[:2], [[]], "zero")[0]])
        slopes = (np.array(losses[0]) - losses[1]) / (2 * step)
        np.testing.assert_allclose(estimates[:, layer, head], slopes, rtol=2e-2, atol=2e-3)
    assert not hooks_of(model)
    assert all(weight.requires_grad for weight in model.parameters())


@pytest.mark.parametrize("head", [(LAYERS, 0), (0, HEADS)])
def test_a_head_that_does_not_exist_is_refused(head):
    with pytest.raises(UserError, match="There is no head"):
        nats_without(tiny("Llama"), ROWS, [[head]], "zero")
    with pytest.raises(UserError, match="needs a reference"):
        nats_without(tiny("Llama"), ROWS, [[(0, 0)]], "mean")


@every_family
def test_patched_heads_are_those_of_activation_patching(family):
    model, (clean, corrupt), metric = tiny(family), texts([9, 9], seed=5), logit_difference(3, 7)
    heads = [(1, 2), (0, 1), (1, 0), (0, 3)]
    right = activation_patching(model, clean, corrupt, metric, "head", "unit").raw
    values = patched_heads(model, clean, corrupt, metric, heads)
    np.testing.assert_allclose(values, [right[head] for head in heads], atol=1e-4)
    with pytest.raises(UserError, match="two of one length"):
        patched_heads(model, clean, corrupt[1:], metric, heads)
