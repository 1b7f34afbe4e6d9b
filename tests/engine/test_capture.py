"""Values inside models: as transformers computes them, by name, in any family, and nothing is left behind."""

import weakref

import pytest
import torch
from families import FAMILIES, HEADS, LAYERS, VOCABULARY, WIDTH, fresh, hooks_of, logits_of, texts, tiny
from test_models import STORIES260K, needs_stories260k

from workbench.engine import loading, models
from workbench.engine.interpretability.anatomy import anatomy
from workbench.engine.interpretability.capture import capture, hooked
from workbench.engine.interpretability.stream import stream
from workbench.engine.sampling import decoding
from workbench.engine.sampling.sampler import SamplingParams
from workbench.engine.sampling.transformers_sampler import TransformersSampler
from workbench.engine.tokens import encode
from workbench.errors import UserError

every_family = pytest.mark.parametrize("family", FAMILIES)


def eager(model, ids):
    before = model.config._attn_implementation
    model.set_attn_implementation("eager")
    with torch.no_grad():
        output = model(ids, output_attentions=True, output_hidden_states=True)
    model.set_attn_implementation(before)
    return output


def assert_equal_to_eager(model, ids):
    values, logits = capture(model, ids, ["pattern.*", "residual.*"])
    theirs = eager(model, ids)
    torch.testing.assert_close(logits, theirs.logits, atol=1e-5, rtol=0)
    for layer, pattern in enumerate(theirs.attentions):
        torch.testing.assert_close(values[f"pattern.{layer}"], pattern, atol=1e-6, rtol=0)
        torch.testing.assert_close(
            values[f"residual.{layer}"], theirs.hidden_states[layer], atol=1e-5, rtol=0
        )


@every_family
def test_patterns_residuals_and_logits_equal_those_of_transformers(family):
    assert_equal_to_eager(tiny(family), torch.tensor(texts([20, 20])))


@needs_stories260k
def test_a_real_models_patterns_equal_those_of_transformers():
    model, tokenizer = loading.load(STORIES260K, device="cpu")
    rows = encode(tokenizer, ["Once upon a time there was a little cat."])
    assert_equal_to_eager(model, torch.tensor(rows))


@every_family
def test_the_parts_make_up_the_residual_stream(family):
    model = tiny(family)
    values, _ = capture(model, torch.tensor(texts([12])), ["*"])
    parts = anatomy(model)
    assert values["head.0"].shape == (1, 12, HEADS, parts.head_dims[0])
    assert values["neuron.0"].shape == (1, 12, parts.n_neurons)
    assert values["residual.0"].shape == (1, 12, WIDTH)
    for layer in range(LAYERS):
        heads, neurons = values[f"head.{layer}"].flatten(2), values[f"neuron.{layer}"]
        torch.testing.assert_close(parts.out[layer](heads), values[f"attention.{layer}"])
        torch.testing.assert_close(parts.down[layer](neurons), values[f"mlp.{layer}"])
        if family != "Gemma2":  # norms lie between them and the stream
            added = values[f"residual.{layer}"] + values[f"attention.{layer}"] + values[f"mlp.{layer}"]
            torch.testing.assert_close(added, values[f"residual.{layer + 1}"], atol=1e-4, rtol=0)


def test_only_what_is_asked_for_is_captured():
    ids = torch.tensor(texts([8]))
    values, _ = capture(tiny("Llama"), ids, ["head.1", "neuron.*"])
    assert set(values) == {"head.1", "neuron.0", "neuron.1"}
    with pytest.raises(UserError, match=r"no 'heads\.1'"):
        capture(tiny("Llama"), ids, ["head.1", "heads.1"])


def test_without_patterns_the_model_runs_as_it_would():
    model, (row,) = tiny("Llama"), texts([20])
    _, logits = capture(model, torch.tensor([row]), ["head.*", "residual.*", "mlp.0"])
    assert torch.equal(logits[0], logits_of(model, row))


@every_family
def test_what_a_hook_returns_takes_the_values_place(family):
    model, (row,) = tiny(family), texts([10])
    names = [name for name in anatomy(model).names() if not name.startswith("residual")]
    for name in names:
        with hooked(model, {name: lambda value, _: torch.zeros_like(value)}):
            changed = logits_of(model, row)
        assert not torch.allclose(changed, logits_of(model, row), atol=1e-3), name
    with hooked(model, {f"residual.{LAYERS}": lambda value, _: value[:, :1].expand_as(value)}):
        changed = logits_of(model, row)
    torch.testing.assert_close(changed, logits_of(model, row)[:1].expand_as(changed))


def test_a_later_hook_sees_what_an_earlier_one_put_in():
    seen = []
    hooks = {"mlp.*": lambda value, _: value + 1, "mlp.0": lambda value, _: seen.append(value)}
    before, _ = capture(tiny("GPT2"), torch.tensor(texts([5])), ["mlp.0"])
    with hooked(tiny("GPT2"), hooks):
        logits_of(tiny("GPT2"), texts([5])[0])
    torch.testing.assert_close(seen[0], before["mlp.0"] + 1)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_exception_passes_and_leaves_nothing_behind(error):
    model, (row,) = tiny("Llama"), texts([10])
    before, count = logits_of(model, row), hooks_of(model)

    def fail(_value, _point):
        raise error("in the hook")

    with pytest.raises(error, match="in the hook"), hooked(model, {"*": fail}):
        logits_of(model, row)
    with pytest.raises(UserError), hooked(model, {"pattern.*": fail, "nothing": fail}):
        raise AssertionError("a name that does not exist was taken")
    assert model.config._attn_implementation == "sdpa"
    assert hooks_of(model) == count
    assert torch.equal(logits_of(model, row), before)


@pytest.mark.parametrize("family", ["Llama", "GPT2", "GPTNeo", "OPT", "Bloom"])
def test_positions_are_those_of_the_text_in_padded_and_cached_decoding(family):
    model, seen = tiny(family), []
    ids, mask = torch.tensor(texts([6, 6])), torch.ones(2, 6, dtype=torch.long)
    mask[1, :2] = 0
    with hooked(model, {"residual.0": lambda _, point: seen.append(point.positions)}), torch.no_grad():
        model.generate(ids, attention_mask=mask, max_new_tokens=3, do_sample=False, pad_token_id=0)
    assert seen[0][0].tolist() == [0, 1, 2, 3, 4, 5]
    assert seen[0][1, 2:].tolist() == [0, 1, 2, 3]
    assert [step.tolist() for step in seen[1:]] == [[[6], [4]], [[7], [5]]]


def test_hooks_hold_in_sampling_where_the_lean_step_steps_aside(monkeypatch):
    tokenizer = models.train_tokenizer(["The cat sat on the mat."] * 9, 260)
    model = models.build(models.config("tiny:0.1M", len(tokenizer)), 0)
    assert decoding.LlamaStep.fits(model)
    lean = []
    monkeypatch.setattr(decoding.LlamaStep, "__call__", lambda *_: lean.append(1))
    with hooked(model, {"mlp.0": lambda value, _: value}):
        assert not decoding.LlamaStep.fits(model)
        TransformersSampler(model, tokenizer).sample(["The cat"], SamplingParams(max_tokens=4))
    assert not lean
    assert decoding.LlamaStep.fits(model)


@pytest.mark.parametrize("family", ["Llama", "GPTNeo", "Bloom", "OPT"])
def test_a_stream_gives_each_text_its_own_values(family):
    model, rows = tiny(family), texts([9, 3, 1, 14, 9, 5])
    found, theirs = {}, [logits_of(model, row) for row in rows]

    def see(value, point, batch):
        for row, index in enumerate(batch.index):
            length = len(rows[index])
            assert batch.ids[row, : batch.lengths[row]].tolist() == rows[index]
            assert batch.mask[row].sum() == length
            assert (index, point.name) not in found
            inner = value[row, :, :length, :length] if point.name == "pattern.1" else value[row, :length]
            found[index, point.name] = inner.clone()

    for batch, logits in stream(model, rows, {"pattern.1": see, "neuron.*": see}, batch_size=4, logits=True):
        for row, index in enumerate(batch.index):
            torch.testing.assert_close(logits[row, : len(rows[index])], theirs[index], atol=1e-4, rtol=0)
    for index, row in enumerate(rows):
        values, _ = capture(model, torch.tensor([row]), ["pattern.1", "neuron.*"])
        for name, value in values.items():
            torch.testing.assert_close(found.pop((index, name)), value[0], atol=1e-5, rtol=1e-4)
    assert not found


@every_family
def test_a_pass_may_end_with_its_last_hook_which_sees_what_the_softmax_was_of(family):
    model, rows, patterns, n_ended = tiny(family), texts([9, 9, 5]), {}, []
    before = hooks_of(model)

    def see(value, point, batch):
        torch.testing.assert_close(point.logits.float().softmax(-1), value.float(), atol=1e-5, rtol=0)
        for row, index in enumerate(batch.index):
            patterns[index, point.name] = value[row, :, : batch.lengths[row], : batch.lengths[row]].clone()

    handle = anatomy(model).norm.register_forward_hook(lambda *_: n_ended.append(1))
    ended = list(stream(model, rows, {"pattern.*": see}, batch_size=2, to_the_end=False))
    handle.remove()
    assert not n_ended
    assert [logits for _, logits in ended] == [None] * len(ended)
    for index, row in enumerate(rows):
        for name, value in capture(model, torch.tensor([row]), ["pattern.*"])[0].items():
            torch.testing.assert_close(patterns.pop((index, name)), value[0], atol=1e-5, rtol=1e-4)
    assert not patterns
    assert hooks_of(model) == before


def test_a_stream_keeps_nothing():
    values = []

    def see(value, _place, _batch):
        values.append(weakref.ref(value))
        assert sum(one() is not None for one in values) <= 2

    for _ in stream(tiny("Llama"), texts([8] * 12), {"neuron.*": see, "pattern.*": see}, batch_size=2):
        pass
    assert len(values) == 6 * 2 * LAYERS


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([], "empty text"),
        ([[]], "empty text"),
        ([[1], []], "empty text"),
        ([[1] * 65], "longer than the context of 64"),
        ([[3, VOCABULARY]], "tokenizer belongs to another model"),
    ],
)
def test_tokens_that_the_model_cannot_read_are_the_users_mistake(rows, says):
    with pytest.raises(UserError, match=says):
        list(stream(tiny("GPT2"), rows, {"mlp.0": lambda *_: None}))
    if len(rows) == 1:
        with pytest.raises(UserError, match=says):
            capture(tiny("GPT2"), torch.tensor(rows, dtype=torch.long), ["mlp.0"])


def test_broken_weights_are_said_to_be_broken():
    model = fresh("Llama")
    with torch.no_grad():
        model.model.layers[1].mlp.up_proj.weight[3, 3] = torch.nan
    for work in (
        lambda: capture(model, torch.tensor([[1, 2]]), ["mlp.0"]),
        lambda: list(stream(model, [[1, 2]], {"mlp.0": lambda *_: None})),
    ):
        with pytest.raises(UserError, match="weights are broken"):
            work()


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("MambaConfig", {"num_hidden_layers": 2, "hidden_size": 16, "state_size": 4}),
        ("MixtralConfig", {"num_hidden_layers": 2, "hidden_size": 16, "num_local_experts": 2}),
        ("RecurrentGemmaConfig", {"num_hidden_layers": 3, "hidden_size": 16, "lru_width": 16}),
    ],
)
def test_a_model_of_another_kind_is_refused_with_a_sentence(name, settings):
    import transformers

    common = {"vocab_size": 50, "num_attention_heads": 2, "num_key_value_heads": 2}
    model = models.build(getattr(transformers, name)(**common, **settings), 0)
    with pytest.raises(UserError, match=r"^The inside of \w+ cannot be read: [^.]+\.$"):
        capture(model, torch.tensor([[1, 2]]), ["*"])


def test_flash_attention_gives_way_to_eager_while_patterns_are_read(monkeypatch):
    model = fresh("Llama")
    # Flash attention itself need not be installed: only its name is looked at.
    monkeypatch.setattr(
        model, "set_attn_implementation", lambda name: setattr(model.config, "_attn_implementation", name)
    )
    model.set_attn_implementation("flash_attention_2")
    with pytest.warns(UserWarning, match="do not exist in flash_attention_2"):
        values, _ = capture(model, torch.tensor([[1, 2, 3]]), ["pattern.*"])
    assert len(values) == LAYERS
    assert model.config._attn_implementation == "flash_attention_2"


def test_a_model_that_cannot_switch_to_eager_is_refused(monkeypatch):
    model = fresh("Llama")

    def refuse(name):
        if name == "eager":
            raise ValueError("no eager mode")
        model.config._attn_implementation = name

    monkeypatch.setattr(model, "set_attn_implementation", refuse)
    with pytest.raises(UserError, match="LlamaForCausalLM cannot be read: no eager mode"):
        capture(model, torch.tensor([[1, 2, 3]]), ["pattern.*"])


def test_attention_without_a_softmax_is_refused(monkeypatch):
    from transformers.models.llama import modeling_llama

    def uniform(_module, _query, _key, value, *_, **__):
        return value.mean(2, keepdim=True).repeat(1, 2, value.shape[2], 1).transpose(1, 2), None

    monkeypatch.setattr(modeling_llama, "eager_attention_forward", uniform)
    model = fresh("Llama")
    with pytest.raises(UserError, match="LlamaAttention cannot be read: it has no softmax"):
        capture(model, torch.tensor([[1, 2, 3]]), ["pattern.*"])
    assert model.config._attn_implementation == "sdpa"
