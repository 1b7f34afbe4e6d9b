"""Per-example gradients: exact against autograd on every family, unbiased sketches, bad input."""

import copy

import numpy as np
import pytest
import torch
from dense_gradients import dense_sketch, full_gradient
from families import FAMILIES, fresh, hooks_of, texts, tiny
from test_models import TEXTS

from workbench.engine import models
from workbench.engine.gradients.one_by_one import read_alone
from workbench.engine.gradients.per_example import fold, prepare, read, sketch
from workbench.engine.gradients.reader import _COMPARED, Reader, frozen
from workbench.errors import UserError

ROWS = list(zip(texts([9, 17, 30, 30, 5, 12]), [1, 5, 29, 3, 4, 7], strict=True))
NAMES = [str(number) for number in range(len(ROWS))]


def gradients_of(model, rows):
    return torch.stack([full_gradient(model, row) for row in rows]).double().numpy()


def cosines(vectors):
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit @ unit.T


@pytest.fixture(scope="module")
def small():
    tokenizer = models.train_tokenizer(TEXTS, 300)
    return models.build(models.config("tiny:0.1M", vocab_size=300, context=64), seed=0), tokenizer


# ------------------------------------------------------------------------------- exactness
@pytest.mark.parametrize("family", FAMILIES)
def test_with_as_many_buckets_as_weights_each_gradient_is_autograds_but_for_the_signs(family):
    model = fresh(family)
    n_weights = sum(weight.numel() for weight in model.parameters())
    reader = Reader(model, n_weights, seed=0, method="exact")
    with frozen(model):
        found, _ = reader.read(ROWS)
    signs = [
        reader.into._sign(name, weight.numel(), weight.device) for name, weight in model.named_parameters()
    ]
    expected = gradients_of(model, ROWS)
    assert np.abs(found.numpy() * torch.cat(signs).numpy() - expected).max() < 1e-6 * np.abs(expected).max()


@pytest.mark.parametrize("family", FAMILIES)
def test_the_model_is_left_as_it_was(family):
    model = fresh(family)
    next(model.parameters()).requires_grad_(False)
    model.train()
    wanted = [weight.requires_grad for weight in model.parameters()]
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    model.eval()
    row = torch.tensor([ROWS[0][0]])
    logits = model(row).logits
    model.train()
    read(Reader(model, 64, 0, "exact"), ROWS, NAMES, 0)
    assert model.training
    assert [weight.requires_grad for weight in model.parameters()] == wanted
    assert list(before) == [name for name, _ in model.named_parameters()]
    assert all(
        torch.equal(before[name], weight) and weight.grad is None for name, weight in model.named_parameters()
    )
    assert hooks_of(model) == 0
    assert torch.equal(model.eval()(row).logits, logits)


def test_a_failing_forward_pass_leaves_the_norms_in_place():
    model = fresh("Llama")
    names = [name for name, _ in model.named_parameters()]
    with pytest.raises(IndexError):
        read(Reader(model, 64, 0, "exact"), [([1, 10_000, 3], 1)], ["0"], 0)
    assert [name for name, _ in model.named_parameters()] == names


def test_batches_padding_and_order_change_nothing_beyond_rounding():
    model = tiny("Qwen2")
    reader = Reader(model, 256, 0, "exact")
    alone = read(reader, ROWS, NAMES, 0, batch_tokens=1)
    together = read(reader, ROWS, NAMES, 0, batch_tokens=10_000)
    turned = read(reader, ROWS[::-1], NAMES, 0, batch_tokens=70)
    for other in (together.vectors, turned.vectors[::-1]):
        assert np.abs(alone.vectors - other).max() < 2e-6
    assert np.allclose(alone.losses, together.losses, atol=1e-5)
    assert np.allclose(alone.norms, together.norms, rtol=1e-5)


def test_the_loss_is_that_of_the_completion_and_the_prompt_is_only_read(small):
    model, tokenizer = small
    found = sketch(model, tokenizer, [("Tom has a red ball.", " He gave it away.")])
    row, prompt = prepare(model, tokenizer, [("Tom has a red ball.", " He gave it away.")], ["0"])[0][0]
    with torch.no_grad():
        logits = model(torch.tensor([row])).logits[0, prompt - 1 : -1]
    expected = torch.nn.functional.cross_entropy(logits, torch.tensor(row[prompt:]))
    assert found.losses[0] == pytest.approx(expected.item(), rel=1e-5)
    assert found.n_tokens[0] == len(row) - prompt
    assert row[-1] == tokenizer.eos_token_id


def test_a_gpt2_position_is_read_for_each_example_though_all_share_it():
    # Its table of positions is looked up once a batch; read so, every example would get the batch's sum.
    model = fresh("GPT2")
    vectors = read(Reader(model, 512, 0, "exact"), ROWS[:2] * 2, NAMES[:4], 0).vectors
    assert np.abs(vectors[:2] - vectors[2:]).max() < 1e-6


def largest_error(model, rows):
    """Of sketches with a bucket for each weight, relative to the largest entry of autograd's gradients."""
    reader = Reader(model, sum(weight.numel() for weight in model.parameters()), 0, "exact")
    with frozen(model):
        found, _ = reader.read(rows)
    signs = [reader.into._sign(name, w.numel(), w.device) for name, w in model.named_parameters()]
    expected = gradients_of(model, rows)
    return np.abs(found.numpy() * torch.cat(signs).numpy() - expected).max() / np.abs(expected).max()


def test_the_row_of_padding_is_left_out_of_the_embeddings_gradient_as_by_autograd():
    model = fresh("Llama")
    assert model.get_input_embeddings().padding_idx == 0
    assert largest_error(model, [([0, 5, 0, 7, 0, 9], 2), ([3, 4, 0], 1)]) < 1e-6


def test_modules_and_weights_may_be_shared():
    model = fresh("Llama")
    first, second = model.model.layers
    second.mlp = first.mlp
    second.input_layernorm.weight = first.input_layernorm.weight
    model.model.norm = first.post_attention_layernorm
    assert largest_error(model, ROWS) < 1e-6


class Adapted(torch.nn.Module):
    """A linear layer with a low-rank adapter beside it."""

    def __init__(self, base):
        super().__init__()
        self.base, self.dropout = base, torch.nn.Dropout(0.5)
        self.a = torch.nn.Linear(base.in_features, 4, bias=False)
        self.b = torch.nn.Linear(4, base.out_features, bias=False)

    def forward(self, x):
        return self.base(x) + self.b(self.a(self.dropout(x)))


def test_adapters_are_weights_like_others():
    model = fresh("Llama")
    model.model.layers[0].self_attn.q_proj = Adapted(model.model.layers[0].self_attn.q_proj)
    assert largest_error(model.eval(), ROWS) < 1e-6


def test_the_mode_of_each_part_is_left_as_it_was():
    model = fresh("GPT2").train()
    model.transformer.h[0].eval()
    before = [module.training for module in model.modules()]
    read(Reader(model, 64, 0, "exact"), ROWS, NAMES, 0)
    assert [module.training for module in model.modules()] == before


class Routed(torch.nn.Module):
    """Half of the tokens go through one layer, half through another."""

    def __init__(self, width):
        super().__init__()
        self.experts = torch.nn.ModuleList([torch.nn.Linear(width, width) for _ in range(2)])

    def forward(self, x):
        flat = x.flatten(0, -2)
        out, odd = torch.zeros_like(flat), torch.arange(len(flat)) % 2 == 1
        for expert, chosen in zip(self.experts, (odd, ~odd), strict=True):
            out = out.index_put((chosen.nonzero()[:, 0],), expert(flat[chosen]))
        return out.view_as(x)


class Reversed(torch.nn.Module):
    """A layer that takes the tokens of all examples in another order."""

    def __init__(self, width):
        super().__init__()
        self.inner = torch.nn.Linear(width, width)

    def forward(self, x):
        return self.inner(x.flatten(0, -2).flip(0)).flip(0).view_as(x)


@pytest.mark.parametrize("module", [Routed, Reversed])
def test_examples_that_a_model_mixes_are_read_one_by_one(module):
    model = fresh("Llama")
    model.model.layers[0].mlp = module(32)
    assert largest_error(model, ROWS[:1]) < 1e-6
    assert largest_error(model, ROWS) < 1e-6
    reader = Reader(model, 64, 0, "kronecker")
    together, alone = read(reader, ROWS, NAMES, 0), [read(reader, [row], ["0"], 0) for row in ROWS]
    assert np.abs(together.vectors - np.concatenate([sketches.vectors for sketches in alone])).max() < 1e-5
    assert all(weight.grad is None for weight in model.parameters())
    assert hooks_of(model) == 0


@pytest.mark.parametrize("method", ["exact", "kronecker"])
def test_one_by_one_gives_the_same_sketches(method, monkeypatch):
    for family in ("GPT2", "Qwen3"):
        model = tiny(family)
        together = read(Reader(model, 100, 3, method), ROWS, NAMES, 0)
        with frozen(model):
            vectors, losses = read_alone(model, Reader(model, 100, 3, method).into, ROWS)
        norms = vectors.norm(dim=1, keepdim=True)
        assert np.abs(together.vectors - (vectors / norms).numpy()).max() < 1e-5
        assert np.allclose(together.losses, losses.numpy(), atol=1e-5)


def test_a_weight_used_without_gradients_has_none():
    model = fresh("Llama")
    router = torch.nn.Linear(32, 1)
    model.model.layers[0].register_module("router", router)

    def look(_module, inputs):
        with torch.no_grad():
            router(inputs[0])

    with torch.no_grad():
        model.model.layers[0].register_forward_pre_hook(look)
    reader = Reader(model, 64, 0, "exact")
    with frozen(model):
        reader.read(ROWS)
        assert reader.model in _COMPARED
        assert _COMPARED[reader.model] == len(ROWS)


def test_what_cannot_be_read_is_refused_in_one_sentence():
    model = fresh("Llama")
    layer = model.model.layers[0].self_attn.q_proj
    layer.weight = torch.nn.Parameter((50 * layer.weight).to(torch.int8), requires_grad=False)
    with pytest.raises(UserError, match=r"q_proj\.weight holds torch\.int8.*load the model unquantised"):
        Reader(model, 64, 0, "exact")
    model = fresh("Llama")
    model.model.layers[0].self_attn.sinks = torch.nn.Parameter(torch.zeros(4))
    read(Reader(model, 64, 0, "exact"), ROWS, NAMES, 0)  # not used, and no norm though it holds a vector
    for dimension in (0, -3):
        with pytest.raises(UserError, match=f"must be 1 or more, not {dimension}"):
            Reader(model, dimension, 0, "exact")


# ------------------------------------------------------------------------------- sketches
@pytest.mark.parametrize("method", ["exact", "kronecker"])
def test_inner_products_are_right_on_average_over_seeds(method):
    model = tiny("Llama")
    full = gradients_of(model, ROWS)
    full /= np.linalg.norm(full, axis=1, keepdims=True)
    truth, seeds, found = full @ full.T, 60, []
    for seed in range(seeds):
        sketches = read(Reader(model, 128, seed, method), ROWS, NAMES, 0)
        raw = sketches.vectors * (sketches.norms / np.linalg.norm(gradients_of(model, ROWS), axis=1))[:, None]
        found.append(raw @ raw.T)
    error = np.mean(found, axis=0) - truth
    spread = np.std(found, axis=0) / seeds**0.5
    assert (np.abs(error) < 4.5 * spread + 1e-6).all()
    off = ~np.eye(len(ROWS), dtype=bool)
    assert np.std(found, axis=0)[off].mean() < (0.13 if method == "exact" else 0.2)  # about sqrt(2 / 128)


def test_kronecker_narrows_wide_weights_and_shares_the_sketch_of_tied_ones():
    config = models.config("tiny:0.1M", vocab_size=600, hidden_size=96, context=64)
    model = models.build(config, seed=0)
    rows = [
        (torch.randint(0, 600, (20,), generator=torch.Generator().manual_seed(s)).tolist(), 4)
        for s in range(8)
    ]
    rows += rows[:4]
    truth = cosines(gradients_of(model, rows))
    errors = [
        read(Reader(model, 4096, seed, "kronecker"), rows, list("abcdefghijkl"), 0).vectors
        for seed in range(6)
    ]
    mean = np.mean([vectors @ vectors.T for vectors in errors], axis=0)
    assert np.abs(mean - truth).max() < 0.1
    assert np.allclose(np.diag(mean[:4, 8:]), 1, atol=1e-5)


@pytest.mark.parametrize("method", ["exact", "kronecker"])
@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
def test_half_precision_gives_nearly_the_same_sketch(method, kind):
    single = read(Reader(fresh("Qwen3"), 512, 0, method), ROWS, NAMES, 0).vectors
    half = read(Reader(fresh("Qwen3").to(kind), 512, 0, method), ROWS, NAMES, 0).vectors
    assert ((single * half).sum(1) > 0.995).all()


def test_the_sketch_is_as_close_as_the_papers_dense_projection():
    model = tiny("Llama")
    truth = cosines(gradients_of(model, ROWS))
    off = np.triu_indices(len(ROWS), 1)
    ours = [read(Reader(model, 128, s, "exact"), ROWS, NAMES, 0).vectors for s in range(12)]
    dense = [dense_sketch(model, ROWS, 128, s) for s in range(12)]
    error = {
        name: np.sqrt(np.mean([(cosines(v) - truth)[off] ** 2 for v in found]))
        for name, found in (("ours", ours), ("dense", dense))
    }
    assert error["ours"] < 1.25 * error["dense"]
    assert error["dense"] < 0.15


def test_seeds_and_names_alone_settle_the_signs(small):
    model, tokenizer = small
    pairs = [(text, " The end.") for text in TEXTS[:3]]
    first = sketch(model, tokenizer, pairs, dimension=64, seed=1).vectors
    assert np.array_equal(first, sketch(model, tokenizer, pairs, dimension=64, seed=1).vectors)
    assert not np.allclose(first, sketch(model, tokenizer, pairs, dimension=64, seed=2).vectors)


@pytest.mark.parametrize("method", ["exact", "kronecker"])
def test_a_large_sketch_folds_to_every_smaller_one(method):
    model = tiny("GPT2")
    large = read(Reader(model, 1024, 0, method), ROWS, NAMES, 0).vectors
    for d in (256, 32):
        small = read(Reader(model, d, 0, method), ROWS, NAMES, 0).vectors
        assert np.abs(fold(large, d) - small).max() < 1e-5
    with pytest.raises(ValueError, match="does not divide"):
        fold(large, 100)


# ------------------------------------------------------------------------------- chat and bad input
def test_a_chat_template_frames_the_pair(small):
    model, tokenizer = small
    template = tokenizer.chat_template
    tokenizer.chat_template = (
        "{% for message in messages %}[{{ message['role'] }}]{{ message['content'] }};{% endfor %}"
        "{% if add_generation_prompt %}[assistant]{% endif %}"
    )
    try:
        (row, prompt), *_ = prepare(model, tokenizer, [("How many?", "Two.")], ["0"], chat=True)[0]
        assert tokenizer.decode(row[:prompt]) == "[user]How many?;[assistant]"
        assert tokenizer.decode(row[prompt:]) == "Two.;"
        assert prepare(model, tokenizer, [("How many?", " Two.")], ["0"], chat=True)[0] == [(row, prompt)]
        with pytest.raises(UserError, match="Example 0 has an empty completion"):
            prepare(model, tokenizer, [("How many?", " ")], ["0"], chat=True)
        tokenizer.chat_template = None
        with pytest.raises(UserError, match="no chat template"):
            sketch(model, tokenizer, [("a", "b")], chat=True)
    finally:
        tokenizer.chat_template = template


MESSAGES = "{% for message in messages %}[{{ message['role'] }}]{{ message['content'] }};{% endfor %}"


@pytest.mark.parametrize(
    ("template", "pair", "says"),
    [
        ("{{ raise_exception('no system, no chat') }}", ("a", "b"), "template fails .*no system"),
        ("{{ messages[0]['content'] ", ("a", "b"), "template fails"),
        ("[user];[assistant]", ("why", "b"), "leaves out what the user says"),
        (
            MESSAGES.replace("['content'] }}", "['content'].split('</think>')[-1] }}"),
            ("a", "<think>b</think>c"),
            "leaves out a part of the completion '<think>b</think>c'",
        ),
    ],
)
def test_a_chat_template_that_fails_or_drops_words_is_one_sentence(small, template, pair, says):
    model, tokenizer = small[0], copy.deepcopy(small[1])
    tokenizer.chat_template = template
    with pytest.raises(UserError, match=says):
        sketch(model, tokenizer, [pair], chat=True)


def test_the_gradients_of_a_chat_are_the_same_every_day(small):
    model, tokenizer = small[0], copy.deepcopy(small[1])
    tokenizer.chat_template = "{{ strftime_now('%d %B %Y') }}" + MESSAGES
    row, _ = prepare(model, tokenizer, [("a", "b")], ["0"], chat=True)[0][0]
    assert tokenizer.decode(row).startswith("26 July 2024[user]a;[assistant]b")


def test_long_examples_are_refused_or_cut_and_counted(small):
    model, tokenizer = small
    pairs = [("Tom has a ball.", " Yes."), ("Tom has a ball.", " and then" * 200)]
    with pytest.raises(UserError, match=r"Example 1 has .* context of 64"):
        sketch(model, tokenizer, pairs)
    found = sketch(model, tokenizer, pairs, truncate=True)
    assert found.n_truncated == 1
    assert np.isfinite(found.vectors).all()
    (row, prompt), *_ = prepare(model, tokenizer, [("and then " * 200, "Yes.")], ["0"], truncate=True)[0]
    assert prompt == 32
    assert tokenizer.decode(row[prompt:-1]) == "Yes."


def test_an_empty_completion_is_refused_by_its_name(small):
    with pytest.raises(UserError, match="Example b has an empty completion"):
        sketch(*small, [("Tom", " ran."), ("Tom", "")], ids=["a", "b"])


def test_broken_weights_are_not_blamed_on_an_example(small):
    _, tokenizer = small
    model = models.build(models.config("tiny:0.1M", vocab_size=300, context=64), seed=0)
    rare = tokenizer(" zebra", add_special_tokens=False).input_ids[-1]
    usual = {token for text in TEXTS[:2] for token in tokenizer(text + " Yes.").input_ids}
    assert rare not in usual
    with torch.no_grad():
        model.get_input_embeddings().weight[rare] = float("nan")
    model.lm_head.weight = torch.nn.Parameter(torch.randn(300, 32) * 0.02)
    pairs = [(TEXTS[0], " Yes."), (" zebra", " Yes.")]
    with pytest.raises(UserError, match=r"weights are not finite, they hold NaN \(model\.embed_tokens"):
        sketch(model, tokenizer, pairs, ids=["good", "bad"])
    rows = prepare(small[0], tokenizer, pairs, ["good", "bad"])[0]
    with pytest.raises(UserError, match=r"weights are not finite, they hold NaN \(model\.embed_tokens"):
        read(Reader(model, 64, 0, "exact"), rows, ["good", "bad"], 0)


class Overflowing(torch.nn.Module):
    """The square root of a number that is zero for one token: its gradient there is infinite."""

    def forward(self, x):
        return x + (x - x[:, :, :1]).abs().sqrt() * 1e-3


def test_a_gradient_that_is_not_finite_is_refused_by_its_name():
    model = fresh("Llama")
    model.model.layers[0].mlp.act_fn = Overflowing()
    with pytest.raises(UserError, match="gradient of example b is not finite: leave it out"):
        read(Reader(model, 64, 0, "exact"), ROWS[1:2], ["b"], 0)


def test_longrope_is_read_one_example_at_a_time():
    import transformers

    rope = {"rope_type": "longrope", "rope_theta": 10000.0, "short_factor": [1.0] * 4}
    rope |= {"long_factor": [1.0, 3.0, 6.0, 12.0], "original_max_position_embeddings": 16}
    shape = {"vocab_size": 260, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
    shape |= {"intermediate_size": 48, "max_position_embeddings": 64, "initializer_range": 0.2}
    special = {"pad_token_id": 0, "original_max_position_embeddings": 16}
    config = transformers.Phi3Config(**shape, **special, rope_parameters=rope)
    model = models.build(config, 0)
    reader = Reader(model, 256, 0, "exact")
    together, alone = read(reader, ROWS, NAMES, 0), [read(reader, [row], ["0"], 0) for row in ROWS]
    assert np.abs(together.vectors - np.concatenate([sketches.vectors for sketches in alone])).max() < 1e-5


def test_a_weight_used_in_an_unknown_way_is_read_all_the_same():
    model = fresh("Llama")
    model.lm_head.forward = lambda x: torch.einsum("btd,vd->btv", x, model.lm_head.weight)
    assert largest_error(model, ROWS) < 1e-6
