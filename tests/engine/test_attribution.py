"""Direct logit attribution adds up to the logits, and the logit lens ends in them, in any family."""

import numpy as np
import pytest
import torch
from families import FAMILIES, HAVE_NORM_BIAS, HAVE_VALUE_BIAS, HEADS, LAYERS, fresh, logits_of, texts, tiny
from test_models import STORIES260K, needs_stories260k

from workbench.engine import loading
from workbench.engine.interpretability.anatomy import anatomy
from workbench.engine.interpretability.attribution import direct_logit_attribution, logit_lens
from workbench.engine.interpretability.capture import capture
from workbench.engine.tokens import encode
from workbench.errors import UserError

plain_families = pytest.mark.parametrize("family", [family for family in FAMILIES if family != "Gemma2"])


@plain_families
@pytest.mark.parametrize("value_bias", ["in head", "folded", "folded with norm"])
@pytest.mark.parametrize("position", [-1, 0, 7])
def test_the_shares_add_up_to_the_difference_of_the_logits(family, value_bias, position):
    model, (row,) = tiny(family), texts([12])
    table = direct_logit_attribution(model, row, 5, 6, position, value_bias=value_bias)
    logits = logits_of(model, row)[position]
    assert table["value"].sum() == pytest.approx(float(logits[5] - logits[6]), abs=1e-4)
    counts = table["term"].value_counts()
    assert counts["head"] == LAYERS * HEADS
    assert counts["mlp"] == counts["attention bias"] == LAYERS
    assert ("position embedding" in counts) == (family in ("GPT2", "GPTNeo", "OPT"))
    assert table["value"].abs().max() > 0.01


@plain_families
def test_a_share_is_what_the_logits_lose_without_the_part_under_the_same_scale(family):
    model, (row,) = tiny(family), texts([12])
    parts = anatomy(model)
    table = direct_logit_attribution(model, row, 5, 6).query("layer == 1")
    head = table.query("term == 'head' and head == 2")["value"].item()
    mlp = table.query("term == 'mlp'")["value"].item()
    values, _ = capture(model, torch.tensor([row]), ["residual.*", "head.1", "mlp.1"])
    stream = values[f"residual.{LAYERS}"][0, -1]

    def difference(part):
        """Of the logits of a part behind the final norm, whose scale is held at the run's own."""
        with torch.no_grad():
            mean = 0 if "RMS" in type(parts.norm).__name__ else 1
            scale = ((stream - mean * stream.mean()).square().mean() + epsilon(parts.norm)).sqrt()
            logits = parts.unembedding(parts.norm.weight * (part - mean * part.mean()) / scale)
        return float(logits[5] - logits[6]) - bias_of(parts.unembedding)

    heads = torch.zeros(HEADS, parts.head_dims[1])
    heads[2] = values["head.1"][0, -1, 2]
    with torch.no_grad():
        written = parts.out[1](heads.flatten()) - parts.out[1](torch.zeros(HEADS * parts.head_dims[1]))
    assert head == pytest.approx(difference(written), abs=1e-4)
    assert mlp == pytest.approx(difference(values["mlp.1"][0, -1]), abs=1e-4)


def epsilon(norm):
    return getattr(norm, "eps", None) or norm.variance_epsilon


def bias_of(unembedding):
    bias = getattr(unembedding, "bias", None)
    return 0.0 if bias is None else float((bias[5] - bias[6]).detach())


@plain_families
def test_folding_moves_a_constant_from_the_heads_to_the_bias(family):
    model, (row,) = tiny(family), texts([12])
    in_head, folded, with_norm = (
        direct_logit_attribution(model, row, 5, 6, value_bias=kind).groupby(["term", "layer"])["value"].sum()
        for kind in ("in head", "folded", "folded with norm")
    )
    assert np.allclose(in_head["head"], folded["head"], atol=1e-6) == (family not in HAVE_VALUE_BIAS)
    assert np.allclose(folded["head"], with_norm["head"], atol=1e-6) == (family not in HAVE_NORM_BIAS)
    for table in (folded, with_norm):
        np.testing.assert_allclose(table["mlp"], in_head["mlp"])
        np.testing.assert_allclose(
            table["head"] + table["attention bias"], in_head["head"] + in_head["attention bias"], atol=1e-5
        )


def test_layers_that_do_not_simply_add_are_refused():
    with pytest.raises(UserError, match="Gemma2ForCausalLM cannot be shared out"):
        direct_logit_attribution(tiny("Gemma2"), texts([12])[0], 5, 6)


@pytest.mark.parametrize(
    ("ids", "tokens", "position", "says"),
    [
        ([], (5, 6), -1, "empty text"),
        ([1, 2], (5, 6), 2, "no position 2 in a text of 2 tokens"),
        ([1, 2], (5, 6), -3, "no position -3"),
        ([1, 2], (5, 999), -1, "must be 0 to"),
        ([1, 999], (5, 6), -1, "tokenizer belongs to another model"),
    ],
)
def test_what_does_not_exist_is_the_users_mistake(ids, tokens, position, says):
    with pytest.raises(UserError, match=says):
        direct_logit_attribution(tiny("GPT2"), ids, *tokens, position)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_lens_ends_in_the_models_logits_and_norms_each_layer_anew(family):
    model, (row,) = tiny(family), texts([12])
    lens = logit_lens(model, row)
    assert lens.shape == (LAYERS + 1, 12, logits_of(model, row).shape[1])
    torch.testing.assert_close(lens[-1], logits_of(model, row), atol=1e-4, rtol=0)
    parts = anatomy(model)
    values, _ = capture(model, torch.tensor([row]), ["residual.*"])
    with torch.no_grad():
        anew = parts.unembedding(parts.norm(values["residual.1"][0]))
    if family == "Gemma2":
        anew = torch.tanh(anew / model.config.final_logit_softcapping) * model.config.final_logit_softcapping
    torch.testing.assert_close(lens[1], anew, atol=1e-4, rtol=0)


def test_the_lens_does_not_see_how_long_an_early_stream_is():
    """With the last layer's scale the small stream of the first layer would look like no opinion at all."""
    model, (row,) = fresh("Llama"), texts([12])
    lens = logit_lens(model, row)[0]
    with torch.no_grad():
        model.get_input_embeddings().weight.mul_(0.1)
    torch.testing.assert_close(logit_lens(model, row)[0], lens, atol=0.05, rtol=0)


def test_the_lens_reads_real_texts_only():
    for ids, says in (([], "empty text"), ([1] * 65, "longer than the context")):
        with pytest.raises(UserError, match=says):
            logit_lens(tiny("GPT2"), ids)


@needs_stories260k
def test_a_real_models_shares_add_up_and_its_lens_ends_in_what_it_says():
    model, tokenizer = loading.load(STORIES260K, device="cpu")
    (row,) = encode(tokenizer, ["Once upon a time, there was a little girl named"])
    logits = logits_of(model, row)[-1]
    first, second = logits.topk(2).indices.tolist()
    table = direct_logit_attribution(model, row, first, second)
    assert table["value"].sum() == pytest.approx(float(logits[first] - logits[second]), abs=1e-3)
    assert int(logit_lens(model, row)[-1, -1].argmax()) == first
