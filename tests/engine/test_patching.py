"""Activation patching and its first-order estimate: known cases, each against the other, in any family."""

import numpy as np
import pytest
import torch
from families import FAMILIES, HEADS, LAYERS, VOCABULARY, fresh, hooks_of, logits_of, texts, tiny
from scipy.stats import spearmanr
from test_models import STORIES260K, needs_stories260k

from workbench.engine import loading
from workbench.engine.interpretability.anatomy import anatomy
from workbench.engine.interpretability.capture import capture
from workbench.engine.interpretability.patching import (
    activation_patching,
    attribution_patching,
    logit_difference,
    patched,
)
from workbench.engine.tokens import encode
from workbench.errors import UserError

every_family = pytest.mark.parametrize("family", FAMILIES)
METRIC = logit_difference(5, 6)
LENGTH, CHANGED = 9, 3  # the texts differ from this position on


def pair():
    clean, corrupt = texts([LENGTH, LENGTH])
    return clean, clean[:CHANGED] + corrupt[CHANGED:]


@every_family
def test_patching_everything_gives_one_and_nothing_gives_zero(family):
    model, (clean, corrupt) = tiny(family), pair()
    sweep = activation_patching(model, clean, corrupt, METRIC, "residual", "position")
    assert sweep.effect.shape == (LAYERS + 1, LENGTH)
    assert sweep.clean == pytest.approx(float(METRIC(logits_of(model, clean)[None])[0]), abs=1e-4)
    assert sweep.corrupt == pytest.approx(float(METRIC(logits_of(model, corrupt)[None])[0]), abs=1e-4)
    np.testing.assert_allclose(sweep.effect[:, :CHANGED], 0, atol=1e-4)  # nothing differs there
    np.testing.assert_allclose(sweep.effect[LAYERS], [0] * (LENGTH - 1) + [1], atol=1e-4)  # all that is read
    np.testing.assert_allclose(
        sweep.effect, (sweep.raw - sweep.corrupt) / (sweep.clean - sweep.corrupt), atol=1e-6
    )
    # Where one token differs, the last, its stream holds all of the difference.
    sweep = activation_patching(
        model, clean[: CHANGED + 1], [*clean[:CHANGED], 7], METRIC, "residual", "position"
    )
    np.testing.assert_allclose(sweep.effect[:, CHANGED], 1, atol=1e-4)


@every_family
@pytest.mark.parametrize("kind", ["pattern", "head", "attention", "neuron", "mlp"])
def test_each_entry_is_what_one_patch_by_hand_gives(family, kind):
    model, (clean, corrupt) = tiny(family), pair()
    values, _ = capture(model, torch.tensor([clean]), [f"{kind}.*"])
    units = 3 if kind == "neuron" else HEADS
    for by in ("position", "unit", "both"):
        sweep = activation_patching(model, clean, corrupt, METRIC, kind, by, batch_size=7)
        for layer, position, unit in ((0, LENGTH - 1, 0), (1, 5, units - 1), (0, 4, 1)):
            where = {
                "positions": None if by == "unit" else [position],
                "units": None if by == "position" else [unit],
            }
            cell = {"position": (layer, position), "unit": (layer, unit), "both": (layer, unit, position)}[by]
            name = f"{kind}.{layer}"
            with patched(model, name, values[name], **where):
                by_hand = float(METRIC(logits_of(model, corrupt)[None])[0])
            assert sweep.raw[cell] == pytest.approx(by_hand, abs=1e-4)


@every_family
@pytest.mark.parametrize("kind", ["residual", "pattern", "head", "attention", "neuron", "mlp"])
def test_the_first_order_estimate_is_exact_for_a_small_change(family, kind):
    """The texts differ in one token, and its two embeddings by next to nothing: so does second order."""
    model, (clean, _) = fresh(family), pair()
    embedding = model.get_input_embeddings().weight
    twin = VOCABULARY - 1
    with torch.no_grad():
        embedding[twin] = embedding[clean[4]]
        noise = torch.randn(embedding.shape[1], generator=torch.Generator().manual_seed(0))
        embedding[twin] += 1e-4 * noise
        model.double()
    corrupt = [*clean[:4], twin, *clean[5:]]
    for by in ("position", "unit", "both"):
        if kind == "neuron" and by == "both":
            continue
        true = activation_patching(model, clean, corrupt, METRIC, kind, by, batch_size=64)
        estimate = attribution_patching(model, clean, corrupt, METRIC, kind, by)
        assert true.effect.shape == estimate.effect.shape
        change = true.raw - true.corrupt
        np.testing.assert_allclose(estimate.raw - true.corrupt, change, atol=0.01 * np.abs(change).max())


@pytest.mark.parametrize("kind", ["residual", "attention", "neuron", "mlp"])
def test_the_estimate_is_exact_where_the_metric_is_linear_in_the_value(kind):
    """Without its norms, all behind the last layer's MLP is linear; with GPTNeoX behind its attention too."""
    model, (clean, corrupt) = fresh("GPTNeoX"), pair()
    model.gpt_neox.final_layer_norm = torch.nn.Identity()
    for by in ("position", "unit"):
        true = activation_patching(model, clean, corrupt, METRIC, kind, by, batch_size=64)
        estimate = attribution_patching(model, clean, corrupt, METRIC, kind, by)
        np.testing.assert_allclose(estimate.effect[-1], true.effect[-1], atol=2e-4)
        assert np.abs(true.effect[-1]).max() > 0.01
        assert not np.allclose(estimate.effect[0], true.effect[0], atol=0.01)  # elsewhere it is not


@needs_stories260k
def test_on_a_real_model_the_estimate_ranks_as_patching_does():
    model, tokenizer = loading.load(STORIES260K, device="cpu")
    clean, corrupt = encode(
        tokenizer, [f"Once upon a time there was a little {child}. One day," for child in ("boy", "girl")]
    )
    he, she = (encode(tokenizer, [word])[0][-1] for word in ("he", "she"))
    scores = []
    for kind, by in (("residual", "position"), ("head", "both"), ("mlp", "position")):
        true, estimate = (
            sweep(model, clean, corrupt, logit_difference(he, she), kind, by).effect.ravel()
            for sweep in (activation_patching, attribution_patching)
        )
        scores.append(spearmanr(true, estimate).statistic)
    assert min(scores) > 0.5


def test_sweeps_leave_the_model_as_it_was():
    model, (clean, corrupt) = tiny("GPT2"), pair()
    before, count = logits_of(model, clean), hooks_of(model)
    activation_patching(model, clean, corrupt, METRIC, "pattern", "unit")
    attribution_patching(model, clean, corrupt, METRIC, "pattern", "unit")
    with pytest.raises(ZeroDivisionError):
        attribution_patching(model, clean, corrupt, lambda logits: 1 / 0, "pattern", "unit")
    assert hooks_of(model) == count
    assert torch.equal(logits_of(model, clean), before)
    assert all(weight.grad is None for weight in model.parameters())


def test_the_estimate_needs_no_gradients_of_the_weights():
    model, (clean, corrupt) = fresh("Llama"), pair()
    wanted = attribution_patching(model, clean, corrupt, METRIC, "mlp", "position").effect
    for weight in model.parameters():
        weight.requires_grad_(False)
    with torch.inference_mode():
        found = attribution_patching(model, clean, corrupt, METRIC, "mlp", "position").effect
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_an_effect_is_undefined_where_the_texts_answer_alike():
    model, (clean, _) = tiny("GPT2"), pair()
    for sweep in (activation_patching, attribution_patching):
        found = sweep(model, clean, clean, METRIC, "head", "unit")
        assert np.isnan(found.effect).all()
        np.testing.assert_allclose(found.raw, found.clean, atol=1e-4)


@pytest.mark.parametrize(
    ("clean", "corrupt", "kind", "by", "says"),
    [
        ([1, 2, 3], [1, 2], "head", "unit", "has 3 tokens and the other 2"),
        ([1, 2], [1, 400], "head", "unit", "tokenizer belongs to another model"),
        ([], [], "head", "unit", "empty text"),
        ([1] * 65, [1] * 65, "head", "unit", "longer than the context"),
        ([1, 2], [1, 3], "heads", "unit", "no sweep over 'heads'"),
        ([1, 2], [1, 3], "head", "head", "by 'head'"),
    ],
)
def test_bad_settings_are_the_users_mistake(clean, corrupt, kind, by, says):
    for sweep in (activation_patching, attribution_patching):
        with pytest.raises(UserError, match=says):
            sweep(tiny("GPT2"), clean, corrupt, METRIC, kind, by)


def test_anatomy_and_sweeps_agree_on_sizes():
    model, (clean, corrupt) = tiny("Qwen3"), pair()
    found = attribution_patching(model, clean, corrupt, METRIC, "neuron", "both")
    assert found.effect.shape == (LAYERS, anatomy(model).n_neurons, LENGTH)
