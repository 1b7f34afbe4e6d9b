"""Sampling: distribution, parity with transformers, independence of the batch, stop strings, scoring."""

from itertools import chain

import numpy as np
import pytest
import torch
from test_models import STORIES260K, TEXTS, needs_stories260k

from workbench.engine import loading, models
from workbench.engine.sampling import batching, decoding
from workbench.engine.sampling.sampler import SamplingParams
from workbench.engine.sampling.transformers_sampler import TransformersSampler
from workbench.errors import UserError

ARCHITECTURES = ["llama", "gpt-neo", "bloom"]
needs_bfloat16 = pytest.mark.skipif(
    not torch.cpu._is_avx512_bf16_supported(), reason="this CPU does not multiply in bfloat16"
)
PROMPTS = [
    "The cat",
    "A dog ran to the park and",
    "It",
    "The cat sat on the mat. It was",
    "A big red ball",
    "",
]


@pytest.fixture(scope="module")
def tokenizer():
    return models.train_tokenizer(TEXTS, 300)


def model_of(architecture, tokenizer, **options):
    config = models.config("tiny:0.1M", len(tokenizer), architecture, context=64, **options)
    model = models.build(config, seed=0)
    with (
        torch.no_grad()
    ):  # spread the logits: an untrained model is nearly uniform, which would hide mistakes
        for name, weight in model.named_parameters():
            if weight.ndim == 2:
                weight.mul_(4 if "embed" in name or "wte" in name else 6)
    return model


@pytest.fixture(scope="module", params=ARCHITECTURES)
def model(request, tokenizer):
    return model_of(request.param, tokenizer)


def plain(sampler, monkeypatch):
    monkeypatch.setattr(decoding.LlamaStep, "fits", staticmethod(lambda model: False))
    return sampler


def test_greedy_is_the_same_as_generate(model, tokenizer):
    sampler = TransformersSampler(model, tokenizer, batch_size=3)
    found = sampler.sample(PROMPTS, SamplingParams(max_tokens=24, temperature=0))
    for prompt, (completion,) in zip(PROMPTS, found, strict=True):
        ids = torch.tensor([tokenizer(prompt).input_ids])
        theirs = model.generate(ids, do_sample=False, max_new_tokens=24, pad_token_id=0)[0, ids.shape[1] :]
        assert completion.tokens == theirs.tolist()


def test_local_attention_looks_back_as_far_as_in_the_model(tokenizer):
    model = model_of("gpt-neo", tokenizer)
    for block in model.transformer.h[1::2]:  # the preset's window of 256 is longer than this context
        block.attn.attention.bias &= ~torch.tril(torch.ones(64, 64, dtype=torch.bool), -8)
    sampler = TransformersSampler(model, tokenizer, batch_size=2)
    for prompt, (completion,) in zip(
        PROMPTS, sampler.sample(PROMPTS, SamplingParams(max_tokens=30, temperature=0)), strict=True
    ):
        ids = torch.tensor([tokenizer(prompt).input_ids])
        theirs = model.generate(ids, do_sample=False, max_new_tokens=30, pad_token_id=0)[0, ids.shape[1] :]
        assert completion.tokens == theirs.tolist()


def test_log_probabilities_are_the_models_own(model, tokenizer):
    found = TransformersSampler(model, tokenizer, batch_size=4).sample(
        PROMPTS, SamplingParams(n=2, max_tokens=20, temperature=0.7, top_p=0.9, seed=1)
    )
    for prompt, completions in zip(PROMPTS, found, strict=True):
        before = tokenizer(prompt).input_ids
        for completion in completions:
            with torch.no_grad():
                logits = model(torch.tensor([before + completion.tokens])).logits[0, len(before) - 1 : -1]
            theirs = logits.log_softmax(-1)[range(len(completion.tokens)), completion.tokens]
            np.testing.assert_allclose(completion.logprobs, theirs, atol=2e-4)


def test_the_batch_changes_nothing(model, tokenizer):
    options = {"n": 3, "max_tokens": 20, "temperature": 0.9, "seed": 7, "stop": ["e", "."]}
    one = TransformersSampler(model, tokenizer, batch_size=1).sample(PROMPTS, SamplingParams(**options))
    for size in (4, 64):
        other = TransformersSampler(model, tokenizer, batch_size=size).sample(
            PROMPTS, SamplingParams(**options)
        )
        assert [[c.tokens for c in row] for row in other] == [[c.tokens for c in row] for row in one]
    assert len({c.text for row in one for c in row}) > 10


def test_samples_depend_on_the_seed(model, tokenizer):
    sampler = TransformersSampler(model, tokenizer)
    a, b, c = (
        sampler.sample(["The cat"], SamplingParams(n=8, max_tokens=10, seed=seed)) for seed in (0, 0, 1)
    )
    assert a == b
    assert a != c


def llama(tokenizer, width):
    """Grouped heads, untied, a head dimension of its own."""
    from transformers import LlamaConfig

    heads = {"num_attention_heads": 6, "num_key_value_heads": 2, "head_dim": 16}
    shape = {"intermediate_size": 64, "num_hidden_layers": 2, "vocab_size": len(tokenizer)}
    spread = {"initializer_range": 0.2 * (48 / width) ** 0.5}
    limits = {"max_position_embeddings": 64, "eos_token_id": None}
    return models.build(LlamaConfig(hidden_size=width, **heads, **shape, **spread, **limits), 0)


@pytest.mark.parametrize("width", [48, 264])
def test_the_lean_llama_step_equals_the_plain_one(tokenizer, monkeypatch, width):
    sampler = TransformersSampler(llama(tokenizer, width), tokenizer, batch_size=4)
    assert decoding.LlamaStep.fits(sampler.model)
    assert decoding.LlamaStep.packs(sampler.model) == (width > 48)
    lean = sampler.sample(PROMPTS, SamplingParams(n=2, max_tokens=40, seed=3))
    slow = plain(sampler, monkeypatch).sample(PROMPTS, SamplingParams(n=2, max_tokens=40, seed=3))
    assert [[c.tokens for c in row] for row in lean] == [[c.tokens for c in row] for row in slow]
    np.testing.assert_allclose(lean[0][0].logprobs, slow[0][0].logprobs, atol=1e-4)


@needs_bfloat16
def test_bfloat16_keeps_the_distribution_and_says_so(tokenizer):
    from scipy.stats import chisquare

    model, params = llama(tokenizer, 264), SamplingParams(n=20_000, max_tokens=2)
    sampler = TransformersSampler(model, tokenizer, 2048, dtype="bfloat16")
    assert "bfloat16" in sampler.determinism
    (replies,) = sampler.sample(["The cat"], params)  # first tokens follow the prompt, read in float32
    before = tokenizer("The cat").input_ids
    likeliest = np.bincount([reply.tokens[0] for reply in replies]).argmax()
    with torch.no_grad():
        exact = model(torch.tensor([[*before, likeliest]])).logits[0, -1].double().log_softmax(-1).numpy()
    seconds = [reply for reply in replies if reply.tokens[0] == likeliest]
    off = np.array([reply.logprobs[1] - exact[reply.tokens[1]] for reply in seconds])
    assert 1e-5 < np.abs(off).max() < 0.05
    counts = np.bincount([reply.tokens[1] for reply in seconds], minlength=len(exact))
    expected, rare = len(seconds) * np.exp(exact), len(seconds) * np.exp(exact) < 5
    counts, expected = (np.append(each[~rare], each[rare].sum()) for each in (counts, expected))
    assert len(counts) > 20
    assert chisquare(counts, expected).pvalue > 1e-3


@needs_bfloat16
def test_auto_is_bfloat16_where_it_is_faster(tokenizer):
    wide, narrow = llama(tokenizer, 264), llama(tokenizer, 48)
    assert TransformersSampler(wide, tokenizer, dtype="auto").dtype == torch.bfloat16
    assert TransformersSampler(narrow, tokenizer, dtype="auto").dtype == torch.float32
    assert TransformersSampler(wide, tokenizer).dtype == torch.float32


def test_bfloat16_is_refused_where_nothing_is_gained(tokenizer):
    with pytest.raises(UserError, match="take dtype=float32"):
        TransformersSampler(llama(tokenizer, 48), tokenizer, dtype="bfloat16")
    with pytest.raises(UserError, match="not 'float16'"):
        TransformersSampler(llama(tokenizer, 48), tokenizer, dtype="float16")


def test_a_module_patched_by_hand_is_sampled_as_it_is(tokenizer):
    model = model_of("llama", tokenizer)
    model.model.layers[0].mlp.forward = torch.zeros_like
    ids = torch.tensor([tokenizer("The cat").input_ids])
    theirs = model.generate(ids, do_sample=False, max_new_tokens=24, pad_token_id=0)[0, ids.shape[1] :]
    sampler = TransformersSampler(model, tokenizer)
    ((found,),) = sampler.sample(["The cat"], SamplingParams(max_tokens=24, temperature=0))
    assert found.tokens == theirs.tolist()


def test_more_tokens_than_memory_holds_are_refused_at_once(tokenizer):
    model = model_of("bloom", tokenizer)
    sampler = TransformersSampler(model, tokenizer)
    sampler.context = 1 << 60  # as of a model that sets no limit
    with pytest.raises(UserError, match="lower max_tokens"):
        sampler.sample(["The cat"], SamplingParams(max_tokens=10**12))


@pytest.mark.parametrize(
    ("temperature", "top_p", "min_p", "filter_first"),
    [
        (1.0, 1.0, 0.0, False),
        (0.7, 1.0, 0.0, False),
        (1.3, 0.8, 0.0, False),
        (1.0, 0.9, 0.2, False),
        (1.0, 1.0, 0.1, False),
        (2.0, 0.8, 0.0, True),
        (2.0, 1.0, 0.1, True),
        (0.5, 0.9, 0.05, True),
    ],
)
def test_tokens_follow_the_distribution_that_transformers_defines(temperature, top_p, min_p, filter_first):
    from scipy.stats import chisquare
    from transformers import MinPLogitsWarper, TemperatureLogitsWarper, TopPLogitsWarper

    logits = torch.randn(1, 40, generator=torch.Generator().manual_seed(0)) * 1.5
    heat = [TemperatureLogitsWarper(temperature)] if temperature != 1 else []
    cut = [TopPLogitsWarper(top_p)] if top_p < 1 else []
    cut += [MinPLogitsWarper(min_p)] if min_p else []
    wanted = logits
    for warp in cut + heat if filter_first else heat + cut:
        wanted = warp(None, wanted)
    wanted = wanted.softmax(-1)[0].double().numpy()
    n = 40_000
    uniforms = torch.rand(n, 2, generator=torch.Generator().manual_seed(1))
    tokens, logprobs = batching.draw(logits.expand(n, -1), uniforms, temperature, top_p, min_p, filter_first)
    counts = np.bincount(tokens, minlength=40)
    assert counts[wanted == 0].sum() == 0
    kept = wanted > 0
    assert chisquare(counts[kept], n * wanted[kept] / wanted.sum()).pvalue > 1e-3
    torch.testing.assert_close(logprobs, logits.log_softmax(-1)[0, tokens])


def test_first_tokens_follow_the_models_distribution(model, tokenizer):
    n = 4000
    found = TransformersSampler(model, tokenizer, batch_size=512).sample(
        ["The cat"], SamplingParams(n=n, max_tokens=2)
    )[0]
    with torch.no_grad():
        exact = (
            model(torch.tensor([tokenizer("The cat").input_ids])).logits[0, -1].softmax(-1).double().numpy()
        )
    seen = np.bincount([completion.tokens[0] for completion in found], minlength=len(exact)) / n
    expected_distance = np.sqrt(2 * exact * (1 - exact) / np.pi / n).sum() / 2
    assert np.abs(seen - exact).sum() / 2 < 1.3 * expected_distance


def test_a_stop_string_ends_the_text_before_it(model, tokenizer):
    sampler = TransformersSampler(model, tokenizer)
    free = sampler.sample(PROMPTS, SamplingParams(n=4, max_tokens=30, seed=2))
    stopped = sampler.sample(PROMPTS, SamplingParams(n=4, max_tokens=30, seed=2, stop=["a", "he"]))
    shortened = 0
    for before, after in zip(chain(*free), chain(*stopped), strict=True):
        ends = [at for at in (before.text.find("a"), before.text.find("he")) if at >= 0]
        assert after.text == before.text[: min(ends, default=None)]
        assert before.tokens[: len(after.tokens)] == after.tokens
        assert after.finish_reason == ("stop" if ends or before.finish_reason == "stop" else "length")
        shortened += len(after.tokens) < len(before.tokens)
    assert shortened > 5


def test_the_end_of_text_token_ends_a_row_and_is_not_shown(tokenizer):
    model = model_of("llama", tokenizer)
    sampler = TransformersSampler(model, tokenizer)
    found = sampler.sample([""], SamplingParams(n=64, max_tokens=60, temperature=3.0))[0]
    ended = [completion for completion in found if completion.finish_reason == "stop"]
    assert ended
    assert all(completion.tokens[-1] == 0 and 0 not in completion.tokens[:-1] for completion in ended)
    assert not any("<|endoftext|>" in completion.text for completion in found)


def test_a_row_ends_where_the_context_does(model, tokenizer):
    (completion,) = TransformersSampler(model, tokenizer).sample(
        ["The cat"], SamplingParams(max_tokens=500, temperature=0)
    )[0]
    if completion.finish_reason == "length":
        assert len(completion.tokens) == 64 - len(tokenizer("The cat").input_ids)
    with pytest.raises(UserError, match="context"):
        TransformersSampler(model, tokenizer).sample(["The cat " * 60], SamplingParams(max_tokens=5))


def test_scores_of_candidates_are_sums_of_token_log_probabilities(model, tokenizer):
    prompts = ["The cat", "A dog ran"]
    alike = [" r", " s", " sat on the mat?"]  # one token, or a last token that differs
    completions = [[" sat on the mat.", " ran", " saw a big red ball.", *alike], [" to the park"]]
    found = TransformersSampler(model, tokenizer, batch_size=2).score(prompts, completions)
    for prompt, texts, scores in zip(prompts, completions, found, strict=True):
        before = tokenizer(prompt).input_ids
        for text, score in zip(texts, scores, strict=True):
            ids = tokenizer(prompt + text).input_ids
            with torch.no_grad():
                table = model(torch.tensor([ids])).logits[0].log_softmax(-1)
            wanted = sum(float(table[at - 1, ids[at]]) for at in range(len(before), len(ids)))
            assert score == pytest.approx(wanted, abs=1e-3)


def test_candidates_of_one_token_are_scored_in_one_pass_over_their_prompt(tokenizer):
    llama, rows = model_of("llama", tokenizer), []
    letters = ["A", "B", "C"]  # bytes, so that each is one token behind a newline
    with llama.register_forward_pre_hook(
        lambda _, args, options: rows.append(len(args[0] if args else options["input_ids"])), with_kwargs=True
    ):
        TransformersSampler(llama, tokenizer).score(["The cat\n", "A dog\n"], [letters, letters])
    assert sum(rows) == 2


@pytest.mark.parametrize(
    "options",
    [
        {"n": 0},
        {"temperature": -1},
        {"top_p": 0},
        {"min_p": 2},
        {"stop": [""]},
        {"stop": "abc"},
        {"temperature": float("inf")},
        {"temperature": float("nan")},
    ],
)
def test_settings_out_of_range_are_the_users_mistake(options):
    with pytest.raises(UserError):
        SamplingParams(max_tokens=4, **options)


def test_half_a_character_is_the_users_to_mend(model, tokenizer):
    sampler = TransformersSampler(model, tokenizer)
    with pytest.raises(UserError, match="half a character"):
        sampler.sample(["The \ud800"], SamplingParams(max_tokens=2))
    with pytest.raises(UserError, match="half a character"):
        sampler.score(["The"], [[" cat", "\udfff"]])


@pytest.mark.parametrize("temperature", [1e-4, 1e-40, 1e30])
def test_extreme_temperatures_give_numbers(model, tokenizer, temperature):
    sampler = TransformersSampler(model, tokenizer)
    (row,) = sampler.sample(["The cat"], SamplingParams(max_tokens=5, temperature=temperature))[0]
    assert np.isfinite(row.logprobs).all()
    if temperature < 1:
        assert (
            row.tokens
            == sampler.sample(["The cat"], SamplingParams(max_tokens=5, temperature=0))[0][0].tokens
        )


@needs_stories260k
def test_stories260k_writes_its_published_text():
    model, tokenizer = loading.load(STORIES260K, device="cpu")
    (completion,) = TransformersSampler(model, tokenizer).sample(
        [""], SamplingParams(max_tokens=200, temperature=0)
    )[0]
    assert completion.text.startswith(
        "Once upon a time, there was a little girl named Lily. She loved to play outside in the park. "
        "One day, she saw a big, red ball. She wanted to play with it, but it was too high."
    )
    ids = torch.tensor([[tokenizer.bos_token_id]])
    theirs = model.generate(ids, do_sample=False, max_new_tokens=200, pad_token_id=0)[0, 1:]
    assert completion.tokens == theirs.tolist()
