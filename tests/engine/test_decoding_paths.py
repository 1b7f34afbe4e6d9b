"""Whatever a model keeps of what it has read, it is sampled as if each text were read alone and at once."""

import warnings

import numpy as np
import pytest
import torch
from decoders import TOKENIZER, build
from families import with_chat

from workbench.engine import models
from workbench.engine.sampling.paths import COLUMNS, EQUAL_LENGTHS, decoding_path, rope_switch
from workbench.engine.sampling.sampler import SamplingParams
from workbench.engine.sampling.transformers_sampler import TransformersSampler
from workbench.engine.training.loss import loss
from workbench.errors import UserError

PROMPTS = ["A", "The red fox", "A small boat went down the", "The red fag"]
# Families whose caches hold more than keys and values, of all layers, of equal sizes.
OTHER_CACHES = ["lfm2", "bamba", "mamba", "gemma4_text"]
RARER = ["qwen3_5_text", "falcon_h1", "granitemoehybrid", "jamba", "zamba2", "qwen3_next", "mamba2", "rwkv"]
RARER += ["recurrent_gemma", "deepseek_v3"]
ROPE = {
    "rope_type": "longrope",
    "rope_theta": 10000.0,
    "short_factor": [1.0] * 4,
    "long_factor": [1.0, 3.0, 6.0, 12.0],
    "original_max_position_embeddings": 16,
}


def alone(model, ids):
    """Log-probabilities behind a text that is read by itself, at once."""
    with torch.inference_mode():
        return model(torch.tensor([ids]), use_cache=False).logits[0, -1].float().log_softmax(-1)


def check(model, replies, tokenizer=TOKENIZER, prompts=PROMPTS, likeliest=False):
    for prompt, completions in zip(prompts, replies, strict=True):
        for reply in completions:
            ids = tokenizer(prompt).input_ids
            for token, logprob in zip(reply.tokens, reply.logprobs, strict=True):
                logprobs = alone(model, ids)
                assert float(logprobs[token]) == pytest.approx(logprob, abs=1e-3)
                if likeliest:
                    assert float(logprobs.max() - logprobs[token]) < 1e-3
                ids.append(token)


@pytest.fixture(
    scope="module", params=[*OTHER_CACHES, *(pytest.param(name, marks=pytest.mark.long) for name in RARER)]
)
def other(request):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = build(request.param).eval()
    model.config.get_text_config().eos_token_id = model.generation_config.eos_token_id = None
    return model


def test_models_with_other_caches_are_sampled_as_alone(other):
    sampler = TransformersSampler(other, TOKENIZER, batch_size=3)
    check(other, sampler.sample(PROMPTS, SamplingParams(max_tokens=24, temperature=0)), likeliest=True)
    options = {"n": 2, "max_tokens": 12, "temperature": 0.8, "seed": 3, "stop": ["e"]}
    drawn = sampler.sample(PROMPTS, SamplingParams(**options))
    check(other, drawn)
    one = TransformersSampler(other, TOKENIZER, batch_size=1).sample(PROMPTS, SamplingParams(**options))
    assert [[row.tokens for row in rows] for rows in one] == [[row.tokens for row in rows] for rows in drawn]
    assert not any("e" in row.text for rows in drawn for row in rows)


def test_a_cache_that_is_wrong_is_not_used(monkeypatch):
    model = build("qwen2").eval()
    assert decoding_path(model, 64) == COLUMNS
    forward = type(model).forward

    def worse(self, input_ids, past_key_values=None, **options):
        out = forward(self, input_ids, past_key_values=past_key_values, **options)
        if input_ids.shape[1] == 1 and past_key_values is not None:
            out.logits = out.logits + torch.linspace(0, 1, out.logits.shape[-1])
        return out

    monkeypatch.setattr(type(model), "forward", worse)
    other = build("qwen2").eval()
    assert decoding_path(other, 64) == EQUAL_LENGTHS[1]
    monkeypatch.setattr(type(model), "forward", forward)
    assert decoding_path(build("qwen2").eval(), 64) == COLUMNS


def test_rows_of_equal_lengths_are_those_of_the_continuous_batch(monkeypatch):
    model = build("qwen2").eval()
    params = SamplingParams(n=3, max_tokens=20, temperature=0.9, seed=7, stop=["e", "."])
    usual = TransformersSampler(model, TOKENIZER, batch_size=4).sample(PROMPTS, params)
    for path in EQUAL_LENGTHS:
        monkeypatch.setattr(
            "workbench.engine.sampling.transformers_sampler.decoding_path", lambda *_, path=path: path
        )
        rows = TransformersSampler(model, TOKENIZER, batch_size=4).sample(PROMPTS, params)
        assert [[row.text for row in part] for part in rows] == [[row.text for row in part] for part in usual]


def longrope():
    from transformers import Phi3Config

    size = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}
    context = {"max_position_embeddings": 64, "original_max_position_embeddings": 16}
    special = {"pad_token_id": 1, "eos_token_id": None, "vocab_size": len(TOKENIZER)}
    rope = {"rope_parameters": dict(ROPE), "initializer_range": 0.2, "intermediate_size": 48}
    config = Phi3Config(**size, **context, **special, **rope)
    return models.build(config, 0)


def test_longrope_is_read_as_alone_beside_longer_texts_and_past_its_switch():
    model = longrope()
    assert rope_switch(model) == 16
    long = "When it was cold a small boat went down the river, and two"
    prompts = ["The red fox", long, "A small"]
    sampler = TransformersSampler(model, TOKENIZER)
    for params in (SamplingParams(max_tokens=30, temperature=0), SamplingParams(n=2, max_tokens=4, seed=1)):
        check(model, sampler.sample(prompts, params), prompts=prompts, likeliest=params.temperature == 0)
    assert decoding_path(model, 16) == COLUMNS  # short texts lose nothing
    assert decoding_path(model, 17).cached

    def nats(text):
        ids = TOKENIZER(text).input_ids
        with torch.inference_mode():
            logprobs = model(torch.tensor([ids])).logits[0, :-1].log_softmax(-1)
        return -float(logprobs[range(len(ids) - 1), ids[1:]].sum())

    texts = ["The red fox sat.", long, *(" ".join(["a"] * n) for n in (14, 15, 16, 17, 18))]
    np.testing.assert_allclose(loss(model, TOKENIZER, texts).nats, [nats(text) for text in texts], rtol=1e-4)


@pytest.mark.parametrize("family", ["llama", "gpt2", "lfm2"])
def test_weights_that_are_no_numbers_are_named(family):
    model = build(family).eval()
    sampler = TransformersSampler(model, TOKENIZER)  # as long as it is sound
    with torch.no_grad():
        name, weight = [(name, weight) for name, weight in model.named_parameters() if weight.dim() == 2][-1]
        weight[3, 3] = torch.nan
    for work in (
        lambda: sampler.sample(["The"], SamplingParams(max_tokens=3)),
        lambda: sampler.sample(["The"], SamplingParams(max_tokens=3, temperature=0)),
        lambda: sampler.sample(["The"], SamplingParams(max_tokens=3, top_p=0.5, min_p=0.1)),
        lambda: sampler.score(["The"], [[" cat", " fox"]]),
        lambda: loss(model, TOKENIZER, ["The red fox"]),
    ):
        with pytest.raises(UserError, match=name):
            work()


def test_what_overflows_on_the_way_is_one_sentence():
    model = build("llama").eval()
    model.lm_head.register_forward_hook(lambda module, args, logits: logits * float("inf"))
    with pytest.raises(UserError, match="not a number"):
        TransformersSampler(model, TOKENIZER).sample(["The"], SamplingParams(max_tokens=3))


def write(model, tokens):
    """Have a model write these tokens again and again, whatever it reads."""
    rest = iter(tokens * 100)

    def written(module, args, logits):
        return torch.zeros_like(logits).index_fill(-1, torch.tensor([next(rest)]), 99)

    model.lm_head._forward_hooks.clear()
    model.lm_head.register_forward_hook(written)


def test_a_text_ends_at_the_tokenizers_end_though_no_setting_names_it():
    tokenizer, model = with_chat(TOKENIZER), build("llama").eval()
    model.resize_token_embeddings(len(tokenizer))
    end, start = tokenizer.convert_tokens_to_ids(["<|im_end|>", "<|im_start|>"])
    assert end not in (model.config.eos_token_id, model.generation_config.eos_token_id)
    sampler = TransformersSampler(model, tokenizer)
    write(model, [end])
    (reply,) = sampler.sample(["The"], SamplingParams(max_tokens=5))[0]
    assert (reply.text, reply.tokens, reply.finish_reason) == ("", [end], "stop")
    write(model, [start])  # never shows in a text, and yet ends it where it is named as a stop string
    (reply,) = sampler.sample(["The"], SamplingParams(max_tokens=5, stop=["<|im_start|>"]))[0]
    assert (reply.text, reply.tokens, reply.finish_reason) == ("", [start], "stop")


def test_a_stop_of_many_tokens_ends_a_text_and_the_last_token_may_be_its_end():
    tokens = TOKENIZER("re a: b", add_special_tokens=False).input_ids
    model = build("llama").eval()
    for stop, limit, text, reason in (
        ("a: b", 40, "re ", "stop"),
        ("a: b", len(tokens), "re ", "stop"),  # the limit is reached at the same time
        ("a: bc", len(tokens), "re a: b", "length"),
        ("T", len(tokens), "re a: b", "length"),  # it stands in the prompt alone
    ):
        write(model, tokens)
        params = SamplingParams(max_tokens=limit, temperature=0, stop=[stop])
        (reply,) = TransformersSampler(model, TOKENIZER).sample(["The"], params)[0]
        assert (reply.text, reply.finish_reason) == (text, reason)


def test_prompts_beyond_the_context_are_refused_in_sampling_and_scoring():
    for family in ("llama", "gpt2", "lfm2"):
        model = build(family).eval()
        sampler = TransformersSampler(model, TOKENIZER)
        words = [" fox"] * 100
        whole = next(
            "".join(words[:n]) for n in range(100) if len(TOKENIZER("".join(words[:n])).input_ids) >= 64
        )
        with pytest.raises(UserError, match="context of 64"):
            sampler.sample([whole], SamplingParams(max_tokens=3))
        with pytest.raises(UserError, match="context of 64"):
            sampler.score([whole], [[" fox", " sat"]])
