"""A model is what its folder says, or one sentence refuses it."""

import json
import time

import pytest
import safetensors
import torch
from decoders import TEXTS, TOKENIZER, build
from safetensors.torch import load_file, save_file

from workbench.engine import checks, loading, memory, models
from workbench.engine.models import context_length, n_rows
from workbench.engine.tokens import (
    Framed,
    begin,
    continued,
    encode,
    encode_pairs,
    end_tokens,
    word_tokenizer,
)
from workbench.errors import UserError

WEIGHTS, ADAPTER = "model.safetensors", "adapter_config.json"
IDS = torch.tensor([TOKENIZER(TEXTS[0]).input_ids])
SHAPE = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
SHAPE |= {"vocab_size": 300, "max_position_embeddings": 64, "pad_token_id": 1, "initializer_range": 0.2}


def llama(**more):
    import transformers

    return models.build(
        transformers.LlamaConfig(**{**SHAPE, "bos_token_id": 0, "eos_token_id": 0, **more}), 0
    )


@pytest.fixture
def folder(tmp_path):
    """A Llama whose head is not its embedding."""
    loading.save(llama(), TOKENIZER, tmp_path / "model")
    return tmp_path / "model"


def logits_of(model):
    with torch.no_grad():
        return model(IDS, use_cache=False).logits


def rewrite(folder, change):
    """Give the weights of a folder other names or values; what becomes None is left out."""
    weights = {}
    for name, value in load_file(folder / WEIGHTS).items():
        name, value = change(name, value)
        if name is not None:
            weights[name] = value.clone()
    save_file(weights, folder / WEIGHTS, {"format": "pt"})


def edit(path, **settings):
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))


def refusal(source, load=loading.load):
    with pytest.raises(UserError) as caught:
        load(source, "cpu") if load is loading.load else load(source)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# ------------------------------------------------------------------------------- missing weights
@pytest.mark.parametrize("family", ["llama", "gpt2", "bloom", "mixtral", "gemma3"])
@pytest.mark.parametrize("prefix", ["_orig_mod.", "base_model.model.", "module._orig_mod.", "policy."])
def test_weights_behind_a_prefix_are_read_and_saved_without_it(family, prefix, tmp_path, capsys):
    model = build(family)
    loading.save(model, TOKENIZER, tmp_path / "model")
    names = load_file(tmp_path / "model" / WEIGHTS).keys()
    rewrite(tmp_path / "model", lambda name, value: (prefix + name, value))
    read, _ = loading.load(tmp_path / "model", "cpu")
    assert "prefix" in capsys.readouterr().out
    assert torch.equal(logits_of(read), logits_of(model))
    loading.save(read, TOKENIZER, tmp_path / "again")
    assert load_file(tmp_path / "again" / WEIGHTS).keys() == names


def test_weights_as_they_should_be_are_read_without_a_word(folder, capsys):
    loading.load(folder, "cpu")
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", "")


@pytest.mark.parametrize(
    ("change", "names"),
    [
        (
            lambda name, value: (None if ".layers.1." in name else name, value),
            ["missing", "layers.1.", "more"],
        ),
        (lambda name, value: (name.replace("mlp", "ffn"), value), ["missing", "mlp", "left over", "ffn"]),
        (lambda name, value: (None if name == "model.norm.weight" else name, value), ["model.norm.weight"]),
        (lambda name, value: (None if name == "lm_head.weight" else name, value), ["tie_word_embeddings"]),
        (lambda name, value: (f"ema.{name}" if "q_proj" in name else name, value), ["ema.", "q_proj"]),
    ],
)
def test_weights_that_are_missing_or_of_other_names_are_named(folder, change, names):
    rewrite(folder, change)
    said = refusal(folder)
    assert all(name in said for name in names)


@pytest.mark.parametrize("layers", [0, 1, 3])
def test_a_configuration_of_another_depth_is_refused(folder, layers):
    edit(folder / "config.json", num_hidden_layers=layers)
    assert ("missing" if layers == 3 else "left over") in refusal(folder)


@pytest.mark.parametrize("settings", [{"hidden_size": 64}, {"vocab_size": 400}, {"intermediate_size": 10**9}])
def test_weights_of_another_shape_are_named(folder, settings):
    edit(folder / "config.json", **settings)
    assert any(shape in refusal(folder) for shape in ("[300, 32]", "[32, 48]"))


def test_leftovers_that_no_model_reads_do_not_count(folder):
    weights = load_file(folder / WEIGHTS)
    extra = {f"model.layers.{n}.self_attn.rotary_emb.inv_freq": torch.ones(4) for n in range(2)}
    save_file(weights | extra | {"model.position_ids": torch.arange(64)}, folder / WEIGHTS, {"format": "pt"})
    assert torch.equal(logits_of(loading.load(folder, "cpu")[0]), logits_of(llama()))


@pytest.mark.parametrize("tied", [False, True])
def test_a_head_changed_by_hand_survives_saving(tied, tmp_path):
    model = llama(tie_word_embeddings=not tied)
    weight = model.model.embed_tokens.weight
    model.lm_head.weight = weight if tied else torch.nn.Parameter(weight.detach().flip(0).clone())
    loading.save(model, TOKENIZER, tmp_path / "model")
    assert model.config.tie_word_embeddings is not tied  # it is the caller's
    read, _ = loading.load(tmp_path / "model", "cpu")
    assert torch.equal(logits_of(read), logits_of(model))
    assert json.loads((tmp_path / "model/config.json").read_text())["tie_word_embeddings"] is tied


def test_layers_that_share_weights_survive_saving(tmp_path):
    model = llama()
    model.model.layers[1] = model.model.layers[0]
    loading.save(model, TOKENIZER, tmp_path / "model")
    assert torch.equal(logits_of(loading.load(tmp_path / "model", "cpu")[0]), logits_of(model))


def test_a_model_without_the_parts_that_its_configuration_describes_is_loaded(tmp_path):
    model = build("moshi")  # its text alone: the configuration also holds an encoder of sound
    loading.save(model, TOKENIZER, tmp_path / "model")
    assert torch.equal(logits_of(loading.load(tmp_path / "model", "cpu")[0]), logits_of(model))


def test_a_configuration_that_says_nothing_of_the_head_can_be_saved(tmp_path):
    model = build("inkling_text")
    loading.save(model, TOKENIZER, tmp_path / "model")
    assert torch.equal(logits_of(loading.load(tmp_path / "model", "cpu")[0]), logits_of(model))


def test_room_is_asked_for_only_where_the_disk_refuses(tmp_path, monkeypatch):
    model = llama()
    for error, asked in [
        (OSError(28, "No space left on device"), True),
        (safetensors.SafetensorError("I/O error: No space left on device (os error 28)"), True),
        (NotImplementedError("these weights\ncannot be reversed"), False),
    ]:

        def fail(*_, error=error, **__):
            raise error

        monkeypatch.setattr(model, "save_pretrained", fail)
        said = refusal((model, TOKENIZER, tmp_path / "model"), lambda given: loading.save(*given))
        assert ("make room" in said) is asked


# ------------------------------------------------------------------------------- numbers and direction
@pytest.mark.parametrize(("value", "said"), [(torch.nan, "NaN"), (torch.inf, "infinite")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_weights_that_are_not_numbers_are_named(value, said, dtype, tmp_path):
    model = llama().to(dtype)
    model.model.layers[1].mlp.up_proj.weight.data[3, 3] = value
    loading.save(model, TOKENIZER, tmp_path / "model")
    sentence = refusal(tmp_path / "model")
    assert said in sentence
    assert "layers.1.mlp.up_proj" in sentence
    with pytest.raises(UserError, match=said):
        loading.check(model, TOKENIZER)


def test_large_weights_are_numbers():
    model = llama().half()
    model.model.layers[0].mlp.up_proj.weight.data.fill_(6e4)  # their sum is beyond half precision
    checks.check_weights(model)


def test_logits_that_are_not_numbers_are_refused():
    model = llama()
    model.lm_head.weight.data.fill_(3e38)
    with pytest.raises(UserError, match="not finite"):
        loading.check(model, TOKENIZER)


@pytest.mark.parametrize("family", ["Bert", "Roberta", "Electra", "RoFormer", "Ernie"])
def test_encoders_are_no_decoders(family, tmp_path):
    import transformers

    more = {"embedding_size": 32} if family in ("Electra", "RoFormer") else {}
    config = getattr(transformers, f"{family}Config")(**SHAPE, **more)
    loading.save(models.build(config, 0), TOKENIZER, tmp_path / "model")
    assert "not causal" in refusal(tmp_path / "model")


def test_an_encoder_made_causal_is_a_decoder(tmp_path):
    import transformers

    model = models.build(transformers.RobertaConfig(**SHAPE, is_decoder=True), 0)
    loading.save(model, TOKENIZER, tmp_path / "model")
    read, _ = loading.load(tmp_path / "model", "cpu")
    assert context_length(read) == 62  # two of its positions stand for padding


@pytest.mark.parametrize("family", ["llama", "gpt_neo", "mamba", "rwkv", "lfm2", "gpt_oss", "gemma3", "mpt"])
def test_decoders_are_causal(family):
    model = build(family).train()
    model.register_forward_hook(lambda *_: pytest.fail("a hook of the user has seen the check"))
    loading.check(model, TOKENIZER)
    assert model.training
    assert len(model._forward_hooks) == 1


def test_a_model_is_checked_once(monkeypatch):
    model = llama()
    loading.check(model, TOKENIZER)
    monkeypatch.setattr(checks, "check_weights", lambda model: pytest.fail("checked again"))
    loading.check(model, TOKENIZER)


def test_a_tokenizer_that_grows_is_checked_again():
    model, tokenizer = llama(), larger([], True)
    loading.check(model, tokenizer)
    tokenizer.add_tokens(["plumtree"])
    with pytest.raises(UserError, match="plumtree"):
        loading.check(model, tokenizer)


# ------------------------------------------------------------------------------- vocabulary
def larger(tokens, special, **more):
    tokenizer = models.train_tokenizer(TEXTS * 8, 300)
    tokenizer.add_tokens(tokens, special_tokens=special)
    tokenizer.add_special_tokens(more)
    return tokenizer


@pytest.mark.parametrize(
    "tokenizer",
    [
        larger(["plumtree"], False),
        larger([], True, eos_token="<|im_end|>"),
        larger([], True, pad_token="<pad>"),
        larger(["<|im_start|>"], True),
    ],
)
def test_a_tokenizer_larger_than_the_model_is_refused_on_every_path(tokenizer, tmp_path):
    tokenizer.chat_template = "{% for m in messages %}<|im_start|>{{ m['content'] }}{% endfor %}"
    loading.save(llama(), tokenizer, tmp_path / "model")
    assert "not among the model's 300" in refusal(tmp_path / "model")
    assert "not among the model's 300" in refusal(tmp_path / "model", loading.read_config)
    with pytest.raises(UserError, match="belongs to another"):
        loading.check(llama(), tokenizer)


def test_special_tokens_that_nothing_uses_may_lie_beyond_the_embedding(tmp_path):
    loading.save(llama(), larger(["<image_soft_token>"], True), tmp_path / "model")
    model, tokenizer = loading.load(tmp_path / "model", "cpu")
    assert max(encode(tokenizer, ["An <image_soft_token>."])[0]) < n_rows(model)


# ------------------------------------------------------------------------------- files
def test_an_adapter_alone_is_told_what_to_do(tmp_path):
    (tmp_path / ADAPTER).write_text(json.dumps({"base_model_name_or_path": "org/base", "peft_type": "LORA"}))
    save_file(
        {"base_model.model.lm_head.lora_A.weight": torch.ones(2, 2)}, tmp_path / "adapter_model.safetensors"
    )
    assert "merge it into org/base" in refusal(tmp_path)
    loading.save(llama(), TOKENIZER, tmp_path / "model")
    (tmp_path / "model" / ADAPTER).write_text((tmp_path / ADAPTER).read_text())
    assert "beside a model" in refusal(tmp_path / "model")
    (tmp_path / ADAPTER).write_text("{")
    assert "or give the base model" in refusal(tmp_path)


@pytest.fixture
def sharded(tmp_path):
    model = llama()
    model.save_pretrained(tmp_path / "model", max_shard_size="20KB")
    TOKENIZER.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def test_files_of_weights_that_an_index_names_have_to_be_there(sharded):
    index = sharded / "model.safetensors.index.json"
    assert torch.equal(logits_of(loading.load(sharded, "cpu")[0]), logits_of(llama()))
    part = sorted(sharded.glob("model-*.safetensors"))[1]
    whole = part.read_bytes()
    part.write_bytes(whole[:-100])
    assert f"{part.name} is cut short" in refusal(sharded)
    part.unlink()
    assert part.name in refusal(sharded)
    part.write_bytes(whole)
    save_file({"a": torch.ones(1)}, sharded / WEIGHTS)
    assert "both" in refusal(sharded)
    (sharded / WEIGHTS).unlink()
    for content in (
        "{",
        "[]",
        "{}",
        '{"weight_map": []}',
        '{"weight_map": {}}',
        '{"weight_map": {"a": "../b"}}',
    ):
        index.write_text(content)
        assert str(sharded) in refusal(sharded)


def test_weights_under_another_name_are_told_which(folder):
    (folder / WEIGHTS).rename(folder / "consolidated.safetensors")
    assert "holds consolidated.safetensors" in refusal(folder)


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"model_type": 3}', "\x00", "[" * 100_000])
def test_a_damaged_configuration_is_one_sentence(folder, content):
    (folder / "config.json").write_text(content)
    assert str(folder) in refusal(folder)
    assert str(folder) in refusal(folder, loading.read_config)


@pytest.mark.parametrize(
    "name",
    ["generation_config.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"],
)
@pytest.mark.parametrize("content", ["{", "[]", "null", ""])
def test_damaged_settings_are_named(folder, name, content):
    (folder / name).write_text(content)
    assert name in refusal(folder)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"model_type": "foo", "auto_map": {"AutoConfig": "code.Foo"}}, "never run"),
        ({"model_type": "t5", "auto_map": {"AutoModelForCausalLM": "code.Foo"}}, "never run"),
        ({"hidden_act": "swoosh"}, "known as 'swoosh'"),
    ],
)
def test_what_a_configuration_cannot_ask_for_is_said_plainly(folder, settings, said):
    edit(folder / "config.json", **settings)
    assert said in refusal(folder)


@pytest.mark.parametrize(
    "settings",
    [
        {"num_hidden_layers": 10**6},
        {"model_type": "gpt2", "n_layer": 10**12},
        {"model_type": "mixtral", "num_local_experts": 10**9},
        {"model_type": "gemma3", "text_config": {"num_hidden_layers": 10**6}},
        {"hidden_size": 2**20},
        {"vocab_size": 10**12},
        {"hidden_size": 10**30},
        {"num_key_value_heads": 10**9},
    ],
)
def test_a_giant_configuration_is_refused_at_once(folder, settings):
    edit(folder / "config.json", **settings)
    start = time.monotonic()
    refusal(folder)
    assert time.monotonic() - start < 2


def test_a_model_beyond_the_free_memory_is_refused_before_it_is_read(folder, monkeypatch):
    monkeypatch.setattr(memory, "free_memory", lambda: 1000)
    assert "GB are free" in refusal(folder)


def test_free_memory_is_part_of_the_machine():
    import os

    assert 0 < memory.free_memory() <= os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def replaced(pattern, content):
    return {"type": "Replace", "pattern": pattern, "content": content}


@pytest.mark.parametrize(
    "steps",
    [
        [replaced({"String": "e"}, "ee")] * 60,
        [replaced({"String": "e"}, "e" * 10**6)],
        [replaced({"Regex": "."}, "ab")] * 40,
        [replaced({"Regex": "(?=.)"}, "a")] * 40,
        [replaced({"Regex": ""}, "a")] * 40,
        [replaced({"Regex": "x*"}, "a")] * 40,
    ],
)
@pytest.mark.parametrize("part", ["normalizer", "decoder"])
def test_a_tokenizer_that_makes_texts_grow_is_refused(folder, steps, part):
    kind = {"normalizer": "normalizers", "decoder": "decoders"}[part]
    edit(folder / "tokenizer.json", **{part: {"type": "Sequence", kind: steps}})
    assert f"its {part} makes more" in refusal(folder)


def test_the_replacements_of_published_tokenizers_are_no_growth(folder):
    steps = [replaced({"Regex": " {2,}"}, "▁"), replaced({"String": "``"}, '"'), {"type": "NFKC"}]
    steps += [{"type": "Prepend", "prepend": "▁"}, replaced({"String": " "}, "▁")]
    edit(folder / "tokenizer.json", normalizer={"type": "Sequence", "normalizers": steps})
    loading.load(folder, "cpu")


@pytest.mark.parametrize(
    "settings",
    [
        {"model": {"type": "WordLevel", "vocab": {"<|endoftext|>": 0, "a": 1}, "unk_token": "[UNK]"}},
        {"model": {"type": "BPE", "vocab": {}, "merges": []}},
        {"model": {"type": "BPE", "vocab": {"a": 0}, "merges": [["x", "y"]]}},
        {"model": None},
        {
            "pre_tokenizer": {
                "type": "Split",
                "pattern": {"Regex": "("},
                "behavior": "Isolated",
                "invert": False,
            }
        },
        {"version": 7},
    ],
)
def test_a_broken_tokenizer_is_one_sentence(folder, settings):
    edit(folder / "tokenizer.json", **settings)
    assert str(folder) in refusal(folder)
    assert str(folder) in refusal(folder, loading.read_config)


def test_a_tokenizer_that_never_ends_is_refused(monkeypatch):
    class Endless:
        name_or_path = "endless"

        def __call__(self, *_, **__):
            time.sleep(1)

    monkeypatch.setattr(checks, "_PATIENCE", 0.1)
    with pytest.raises(UserError, match=r"more than 0\.1 seconds"):
        checks.check_tokenizer(Endless())


# ------------------------------------------------------------------------------- beginnings and ends
def knowing(begin_token, end_token, before="", behind=""):
    """A tokenizer that knows two special tokens, and puts some around a text."""
    from tokenizers.processors import TemplateProcessing

    tokenizer = models.train_tokenizer(TEXTS * 8, 300)
    tokenizer.add_special_tokens({"bos_token": begin_token, "eos_token": end_token})
    pieces = [(token, tokenizer.convert_tokens_to_ids(token)) for token in (begin_token, end_token)]
    around = " ".join(part for part in (before, "$A", behind) if part)
    tokenizer._tokenizer.post_processor = TemplateProcessing(
        single=around, pair=f"{around} $B", special_tokens=pieces
    )
    return tokenizer


@pytest.mark.parametrize(
    ("tokenizer", "n_before"),
    [
        (knowing("<s>", "</s>", before="<s>"), 1),  # Llama
        (knowing("<|im_start|>", "<|im_end|>"), 0),  # SmolLM2: it knows a beginning, and puts none
        (knowing("<s>", "</s>", behind="</s>"), 0),  # T5: an end is no beginning
        (knowing("<s>", "</s>", before="<s>", behind="</s>"), 1),  # BERT
        (knowing("<s>", "</s>", before="</s> <s>"), 2),
    ],
)
def test_texts_begin_as_their_tokenizer_begins_them(tokenizer, n_before):
    before = begin(tokenizer)
    assert len(before) == n_before
    for text in TEXTS:
        ids = tokenizer(text).input_ids
        ends = ids[-1:] == [tokenizer.eos_token_id]
        assert encode(tokenizer, [text])[0] == (ids[:-1] if ends else ids)
    ((prompt, rest),) = encode_pairs(tokenizer, [("The red fox", " sat.")])
    assert prompt[:n_before] == before
    assert tokenizer.decode(rest) == " sat."
    assert continued(tokenizer, " sat.") == rest


@pytest.mark.parametrize("text", ["a \ud83d b", Framed("\udc00")])
def test_half_a_character_is_one_sentence(text):
    for read in (lambda: encode(TOKENIZER, ["a", text]), lambda: encode_pairs(TOKENIZER, [("a", text)])):
        with pytest.raises(UserError, match="lone surrogate"):
            read()


def test_saved_words_of_older_runs_still_begin_their_texts(tmp_path):
    words = word_tokenizer(["fox", "plums"])
    assert begin(words) == [0]
    assert encode(words, ["fox plums"])[0] == words("fox plums").input_ids
    model = models.build(models.config("tiny:0.1M", len(words)), 0)
    loading.save(model, words, tmp_path / "model")
    edit(tmp_path / "model/tokenizer.json", post_processor=None)
    assert encode(loading.load(tmp_path / "model", "cpu")[1], ["fox plums"]) == encode(words, ["fox plums"])


def test_a_text_is_over_where_the_settings_or_the_tokenizer_say_so():
    tokenizer = knowing("<s>", "</s>", before="<s>")
    end = tokenizer.eos_token_id
    model = llama(vocab_size=310)
    assert end_tokens(model, tokenizer) == [0, end]
    model.generation_config.eos_token_id = [tokenizer.bos_token_id, 10**6]
    model.config.eos_token_id = 40  # an ordinary token, as a class of transformers may bring along
    assert end_tokens(model, tokenizer) == sorted([tokenizer.bos_token_id, end])
    model.config.eos_token_id = model.generation_config.eos_token_id = None
    assert end_tokens(model, tokenizer) == [end]
    tokenizer.eos_token = None
    assert end_tokens(model, tokenizer) == []
    model.config.eos_token_id = 40
    assert end_tokens(model, tokenizer) == [40]
