"""Trainings that are what they seem: all weights move, documents stay apart, context and memory suffice."""

import copy
import math
from dataclasses import replace

import families
import numpy as np
import pytest
import torch
import transformers
from test_train import PAIRS, SHORT, STORIES, TEXTS
from tokenizers import Tokenizer, decoders, normalizers, pre_tokenizers, processors, trainers
from tokenizers import models as kinds

from workbench.engine import loading, models
from workbench.engine.rl import grpo
from workbench.engine.rl import loop as rl_loop
from workbench.engine.rl.grpo import reinforce
from workbench.engine.rl.objective import RLConfig
from workbench.engine.tokens import encode, encode_pairs
from workbench.engine.training import memory
from workbench.engine.training.common import TrainConfig
from workbench.engine.training.lora import Lora
from workbench.engine.training.loss import loss
from workbench.engine.training.packing import pack, separated
from workbench.engine.training.train import train
from workbench.errors import UserError

GATED = families.GATED
SLOWLY = {"learning_rate": 1e-6, "schedule": "constant", "warmup": 0}


@pytest.fixture(scope="module")
def tokenizer():
    return models.train_tokenizer(TEXTS + STORIES, 300)


def fresh(tokenizer, dtype=torch.float32, context=32):
    return models.build(models.config("tiny:0.1M", len(tokenizer), context=context), seed=0).to(dtype)


def tiny(name, **settings):
    """A random model of another family."""
    torch.manual_seed(0)
    special = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 1, "initializer_range": 0.2}
    shape = {"vocab_size": 300, "max_position_embeddings": 64, **special, **settings}
    config = getattr(transformers, f"{name}Config")(**shape)
    return transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()


def by_hand(model, ids, first):
    """Nats of the tokens from place `first` on, in one pass over one text."""
    with torch.inference_mode():
        logps = model(torch.tensor([ids]), use_cache=False).logits[0, first - 1 : -1].log_softmax(-1)
    return -float(logps[range(len(ids) - first), ids[first:]].sum())


# ------------------------------------------------------------------------------- fp32 weights
def moved(model, before, layers_only=False):
    """Share of the weights that are no longer what they were."""
    now = model.state_dict()
    names = [name for name in before if not layers_only or "_proj" in name]
    return torch.cat([(now[name].float() != before[name].float()).flatten() for name in names]).float().mean()


@pytest.mark.parametrize("lora", [None, Lora(4, 8)], ids=["all weights", "LoRA"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_small_steps_move_every_weight_of_a_half_precision_model(tokenizer, tmp_path, dtype, lora):
    model = fresh(tokenizer, dtype)
    before = copy.deepcopy(model.state_dict())
    options = SHORT | SLOWLY | ({"learning_rate": 1e-4} if lora else {})
    train(model, tokenizer, STORIES, TrainConfig(steps=4, lora=lora, **options), folder=tmp_path / "m")
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}
    assert moved(model, before, layers_only=lora is not None) > 0.99
    saved = loading.load(tmp_path / "m", "cpu")[0].state_dict()
    assert all(torch.equal(value, saved[name]) for name, value in model.state_dict().items())
    again = fresh(tokenizer, dtype)  # what is finished is loaded as it was saved
    train(again, tokenizer, STORIES, TrainConfig(steps=4, lora=lora, **options), folder=tmp_path / "m")
    assert moved(again, model.state_dict()) == 0


def test_small_steps_of_reinforcement_move_every_weight_of_a_half_precision_model(tokenizer, tmp_path):
    model = fresh(tokenizer, torch.bfloat16)
    before = copy.deepcopy(model.state_dict())
    config = RLConfig(group_size=4, prompts_per_step=2, max_new_tokens=4, learning_rate=1e-6)
    reward = lambda completions, rows: [float(sum(one.tokens) % 7) for one in completions]
    rows = [{"prompt": prompt} for prompt, _ in PAIRS]
    reinforce(model, tokenizer, rows, reward, config, steps=4, folder=tmp_path / "m")
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}
    assert moved(model, before) > 0.99


# ------------------------------------------------------------------------------- documents apart
APART = {
    "OPT": {**families.SHAPE, "ffn_dim": 64, "word_embed_proj_dim": 32, "dropout": 0.0},
    "GptOss": {**GATED, "head_dim": 8, "num_local_experts": 4, "num_experts_per_tok": 2},
    "Lfm2": {**GATED, "layer_types": ["conv", "full_attention"], "block_auto_adjust_ff_dim": False},
    "GPT2": {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64}
    | dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), 0.0),
    "Bloom": {"hidden_size": 32, "n_layer": 2, "n_head": 4},
    "Llama": GATED,
}


@pytest.mark.parametrize("laid_out", [False, True], ids=["examples", "rows laid out before"])
@pytest.mark.parametrize("family", list(APART))
def test_the_first_loss_is_that_of_the_documents_by_themselves(tokenizer, tmp_path, family, laid_out):
    model = tiny(family, **APART[family])
    pairs = PAIRS[:5]
    rows = [
        (len(prompt), [*prompt, *rest, tokenizer.eos_token_id])
        for prompt, rest in encode_pairs(tokenizer, pairs)
    ]
    expected = sum(by_hand(model, ids, first) for first, ids in rows) / sum(
        len(ids) - first for first, ids in rows
    )
    examples = pack(tokenizer, pairs, 48) if laid_out else pairs
    n_rows = len(examples.ids) if laid_out else len(pairs)  # of a single document, or fewer
    config = TrainConfig(steps=1, batch_size=n_rows, context=48, learning_rate=1e-9, precision="fp32")
    history = train(model, tokenizer, examples, config, folder=tmp_path / "m")
    assert history.rows[-1]["loss"] == pytest.approx(expected, rel=1e-4)


def longrope():
    """A model that reads all rows of a batch in another way where one has more than 16 tokens."""
    scaling = {"rope_type": "longrope", "rope_theta": 10000.0, "original_max_position_embeddings": 16}
    scaling |= {"short_factor": [1.0] * 4, "long_factor": [1.0, 3.0, 6.0, 12.0]}
    return tiny("Phi3", **GATED, original_max_position_embeddings=16, rope_parameters=scaling)


def test_completions_that_change_how_their_beginning_is_read_are_refused(tokenizer, tmp_path):
    config = RLConfig(group_size=4, prompts_per_step=2, max_new_tokens=12, learning_rate=1e-9)
    prompts = ["The cat", "The dog saw the park and was happy"]
    assert len(encode(tokenizer, prompts)[0]) < 8 < len(encode(tokenizer, prompts)[1])
    reward = lambda completions, rows: [len(one.text) for one in completions]
    rows = [{"prompt": prompt} for prompt in prompts]
    with pytest.raises(UserError, match="in another way once they have more than 16"):
        reinforce(longrope(), tokenizer, rows, reward, config, steps=2, folder=tmp_path / "m")
    config = replace(config, max_new_tokens=4)
    history = reinforce(longrope(), tokenizer, rows, reward, config, steps=2, folder=tmp_path / "m")
    assert all(abs(row["moved"]) < 1e-6 for row in history.rows)


def test_completions_are_read_alone_where_padding_changes_them(tokenizer, tmp_path, monkeypatch):
    config = RLConfig(group_size=4, prompts_per_step=2, max_new_tokens=4, learning_rate=1e-3)
    reward = lambda completions, rows: [len(one.text) for one in completions]
    rows, trained = [{"prompt": "The cat"}, {"prompt": "The dog saw the park and was happy"}], []
    for length in (1 << 30, 0):
        for module in (rl_loop, grpo):
            monkeypatch.setattr(module, "unchanged_length", lambda _, length=length: length)
        trained.append(fresh(tokenizer))
        reinforce(trained[-1], tokenizer, rows, reward, config, steps=2, folder=tmp_path / str(length))
    together, alone = (model.state_dict() for model in trained)
    for name, value in together.items():
        torch.testing.assert_close(alone[name], value, atol=2e-4, rtol=1e-3)


def test_rows_are_read_alone_where_longer_ones_change_them(tokenizer, tmp_path):
    model = longrope()
    texts = ["The cat sat.", STORIES[0] + " " + STORIES[1]]
    rows = [[*ids, tokenizer.eos_token_id] for ids in encode(tokenizer, texts)]
    assert len(rows[0]) < 16 < len(rows[1])
    nats = loss(model, tokenizer, texts).nats
    np.testing.assert_allclose(nats, [by_hand(model, row[:-1], 1) for row in rows], rtol=1e-4)
    config = TrainConfig(steps=1, batch_size=2, context=64, learning_rate=1e-9, precision="fp32")
    found = train(model, tokenizer, texts, config, folder=tmp_path / "m").rows[-1]["loss"]
    expected = sum(by_hand(model, row, 1) for row in rows) / sum(len(row) - 1 for row in rows)
    assert found == pytest.approx(expected, rel=1e-4)


def test_separated_rows_hold_one_document_each(tokenizer):
    together, apart = pack(tokenizer, PAIRS, 32), pack(tokenizer, PAIRS, 32, one_per_row=True)
    found = separated(together)
    assert len(found.ids) == len(PAIRS) > len(together.ids)
    width = found.ids.shape[1]
    assert sorted(map(tuple, found.targets.tolist())) == sorted(map(tuple, apart.targets[:, :width].tolist()))


# ------------------------------------------------------------------------------- context
def test_rows_are_no_longer_than_the_models_context(tokenizer, tmp_path):
    model = tiny("GPT2", **APART["GPT2"])
    text = " ".join(STORIES[:12])
    assert len(encode(tokenizer, [text])[0]) > 128
    config = TrainConfig(steps=2, batch_size=2, context=128, precision="fp32")
    history = train(model, tokenizer, [text], config, folder=tmp_path / "m", held_out=[text])
    assert history.rows[-1]["tokens"] == 2 * 2 * 64
    with pytest.raises(UserError, match="Rows of 128 tokens are more than the model's context of 64"):
        train(model, tokenizer, pack(tokenizer, [text], 128), config, folder=tmp_path / "n")


def test_nothing_is_scored_or_learnt_behind_a_prompt_that_fills_the_context(tokenizer, tmp_path, caplog):
    model, long, short = fresh(tokenizer), (" ".join(STORIES[:3]), " The end is near."), PAIRS[0]
    ((prompt, _),) = encode_pairs(tokenizer, [long])
    n_short = len(encode_pairs(tokenizer, [short])[0][1])
    for room in (3, 0, -1, -5, -len(prompt) + 20):
        wide = fresh(tokenizer, context=256)
        found = loss(wide, tokenizer, [long, short], len(prompt) + room)
        assert found.n_tokens == n_short + max(0, room)
        if room <= 0:
            assert found.nats[0] == 0
            assert found.n_bytes == len(short[1])
    config = TrainConfig(steps=2, **SHORT)
    history = train(model, tokenizer, [long, *PAIRS], config, folder=tmp_path / "m", held_out=[long, short])
    assert math.isfinite(history.rows[-1]["held_out_nats"])
    assert "1 of 65 examples are left out" in caplog.text
    assert "lose their end" not in caplog.text
    train(model, tokenizer, [(PAIRS[0][0], STORIES[0] * 3)], config, folder=tmp_path / "o")
    assert "1 of 1 examples lose their end" in caplog.text
    with pytest.raises(UserError, match="within 32 tokens"):
        train(model, tokenizer, [long], config, folder=tmp_path / "n")
    with pytest.raises(UserError, match="within 32 tokens"):
        loss(model, tokenizer, [long])


# ------------------------------------------------------------------------------- memory
@pytest.mark.parametrize("lora", [None, Lora(4, 8)], ids=["all weights", "LoRA"])
@pytest.mark.parametrize("budget", [1, 1_100_000])  # one row at a time with checkpointing; two without
def test_a_step_in_parts_is_the_step_of_all_its_rows(tokenizer, tmp_path, monkeypatch, budget, lora):
    texts = [text * (1 + number % 3) for number, text in enumerate(STORIES)]  # rows of unlike numbers
    whole, parts = fresh(tokenizer), fresh(tokenizer)
    before = copy.deepcopy(whole.state_dict())
    config = TrainConfig(steps=3, lora=lora, **SHORT)
    first = train(whole, tokenizer, texts, config, folder=tmp_path / "a")
    monkeypatch.setattr(memory, "CPU_BUDGET", budget)
    micro = memory.micro_batch(parts, 4, 32)
    assert micro == (memory.MicroBatch(1, True) if budget == 1 else memory.MicroBatch(2, False))
    second = train(parts, tokenizer, texts, config, folder=tmp_path / "b")
    np.testing.assert_allclose(
        [row["loss"] for row in second.rows], [row["loss"] for row in first.rows], rtol=1e-6
    )
    assert moved(parts, before, layers_only=lora is not None) > 0.99
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(parts.state_dict()[name], value, atol=2e-4, rtol=1e-3)
    assert not parts.is_activation_checkpointing


def test_the_logits_of_a_large_vocabulary_are_never_there_at_once():
    config = transformers.Qwen2Config(vocab_size=151_936, hidden_size=896, num_hidden_layers=24)
    with torch.device("meta"):
        model = transformers.AutoModelForCausalLM.from_config(config)
    micro = memory.micro_batch(model, 64, 512)
    assert micro.rows * 512 * 151_936 * 4 < 1 << 30
    assert not micro.checkpointing
    assert memory.micro_batch(model, 64, 4096).checkpointing
    ours = models.build(models.config("tiny:8M", 2048, context=256), 0)
    assert memory.micro_batch(ours, 32, 256) == memory.MicroBatch(32, False)


def test_reinforcement_in_parts_is_that_of_all_completions(tokenizer, tmp_path, monkeypatch):
    config = RLConfig(group_size=4, prompts_per_step=2, max_new_tokens=6, learning_rate=1e-3, loss="bnpo")
    reward = lambda completions, rows: [len(one.text) for one in completions]
    rows, trained = [{"prompt": prompt} for prompt, _ in PAIRS], []
    for budget in (1 << 32, 500_000, 1):  # all at once, a few at a time, one at a time with checkpointing
        monkeypatch.setattr(memory, "CPU_BUDGET", budget)
        trained.append(fresh(tokenizer))
        layer, checkpointed = trained[-1].model.layers[0], []
        note = lambda *_, layer=layer, seen=checkpointed: seen.append(layer.training)
        layer.mlp.register_forward_pre_hook(note)
        reinforce(trained[-1], tokenizer, rows, reward, config, steps=2, folder=tmp_path / str(budget))
        assert any(checkpointed) == (budget == 1)
    whole, *others = (model.state_dict() for model in trained)
    for parts in others:
        for name, value in whole.items():
            torch.testing.assert_close(parts[name], value, atol=2e-4, rtol=1e-3)


# ------------------------------------------------------------------------------- bytes
def unigram(**options):
    """NFKC, a space put before a text, and characters that it does not know."""
    made = Tokenizer(kinds.Unigram())
    made.normalizer = normalizers.NFKC()
    made.pre_tokenizer, made.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    special = ["<unk>", "<s>", "</s>"]
    trainer = trainers.UnigramTrainer(
        vocab_size=200, special_tokens=special, unk_token="<unk>", show_progress=False
    )
    made.train_from_iterator(TEXTS + STORIES, trainer)
    made.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return wrapped(made, **options)


def byte_fallback():
    """Bytes of what it does not know, as Llama 2's."""
    vocabulary = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    vocabulary += ["▁", *sorted({letter for text in TEXTS + STORIES for letter in text if letter.isascii()})]
    vocabulary = dict.fromkeys(vocabulary)
    made = Tokenizer(
        kinds.BPE({token: number for number, token in enumerate(vocabulary)}, [], byte_fallback=True,
                  unk_token="<unk>", fuse_unk=True)
    )  # fmt: skip
    made.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    made.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    made.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return wrapped(made)


def wrapped(made, **options):
    special = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    return transformers.PreTrainedTokenizerFast(tokenizer_object=made, **special, **options)


ODD = [
    "The cat saw the dog.",
    "The cat saw the dog. 狐狸坐在井边。",
    "The dog , by the ball .",
    "①②③ ｆｕｌｌ ﬁne, and é beside é.",
    "🙂 the cat 👩‍👩‍👧 and the dog",
    "  two  spaces\n\nand lines ",
]


@pytest.mark.parametrize("make", [unigram, lambda: unigram(clean_up_tokenization_spaces=True), byte_fallback])
def test_bits_are_counted_per_byte_of_the_text_itself(make):
    tokenizer = make()
    model = fresh(tokenizer, context=256)
    for text in ODD:
        found = loss(model, tokenizer, [text])
        assert found.n_bytes == len(text.encode())
        assert found.bits_per_byte == pytest.approx(found.nats.sum() / math.log(2) / len(text.encode()))
        pair = loss(model, tokenizer, [("The cat saw the dog.", " " + text)])
        assert pair.n_bytes == len(text.encode()) + 1
    all_of_them = loss(model, tokenizer, ODD)
    assert all_of_them.n_bytes == sum(len(text.encode()) for text in ODD)


@pytest.mark.parametrize("make", [unigram, byte_fallback])
def test_of_a_text_that_is_cut_the_bytes_that_were_read_count(make):
    tokenizer, text = make(), "The cat ①② saw the dog and 🙂 ran to the park."
    model = fresh(tokenizer, context=256)
    n = len(encode(tokenizer, [text])[0])
    counted = [loss(model, tokenizer, [text], context).n_bytes for context in range(2, n + 1)]
    assert counted == sorted(counted)
    assert counted[-1] == len(text.encode())
    assert counted[0] <= 4
    offsets = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
    assert counted[9] == len(text[: offsets[9][1]].encode())
    prompt = "A dog ran."
    room = len(encode(tokenizer, [prompt])[0])
    some = loss(model, tokenizer, [(prompt, " " + text)], room + 12)
    assert 0 < some.n_bytes < len(text.encode())
    assert (" " + text).encode()[: some.n_bytes].decode()


# ------------------------------------------------------------------------------- trainings that fail
def test_a_training_that_diverges_is_one_sentence_and_keeps_its_last_sound_checkpoint(tokenizer, tmp_path):
    model = fresh(tokenizer)

    def spoil(row):
        if row["step"] == 7:
            with torch.no_grad():
                next(model.parameters()).fill_(math.nan)

    config = TrainConfig(steps=20, checkpoint_every=3, **SHORT)
    with pytest.raises(UserError, match=r"diverged.*checkpoint-6 is the last that is sound.*learning rate"):
        train(model, tokenizer, STORIES, config, folder=tmp_path / "m", log=spoil)
    assert [path.name for path in (tmp_path / "m").glob("checkpoint-*")] == ["checkpoint-6"]
    config = TrainConfig(steps=6, **SHORT | {"learning_rate": 1e30})
    for held_out in ([], STORIES[:2]):
        with pytest.raises(UserError, match="diverged"):
            train(fresh(tokenizer), tokenizer, STORIES, config, folder=tmp_path / "n", held_out=held_out)
        assert not (tmp_path / "n/model.safetensors").exists()


def test_a_reinforcement_that_diverges_is_one_sentence(tokenizer, tmp_path):
    config = RLConfig(group_size=4, prompts_per_step=2, max_new_tokens=4, learning_rate=1e38)
    reward = lambda completions, rows: [float(sum(one.tokens) % 7) for one in completions]
    rows = [{"prompt": prompt} for prompt, _ in PAIRS]
    with pytest.raises(UserError, match="diverged"):
        reinforce(fresh(tokenizer), tokenizer, rows, reward, config, steps=6, folder=tmp_path / "m")


def test_a_tokenizer_without_an_end_is_one_sentence(tokenizer, tmp_path):
    endless = copy.deepcopy(tokenizer)
    endless.eos_token = None
    with pytest.raises(UserError, match=r"no end-of-text token.*eos_token"):
        train(fresh(tokenizer), endless, STORIES, TrainConfig(steps=1, **SHORT), folder=tmp_path / "m")


@pytest.mark.parametrize("learn", ["read", "reinforce"])
@pytest.mark.parametrize("fault", ["NaN", "is not among the model's"])
def test_a_broken_model_is_one_sentence_before_the_first_step(tokenizer, tmp_path, learn, fault):
    model, other = fresh(tokenizer), tokenizer
    if fault == "NaN":
        model.model.norm.weight.data[3] = math.nan
    else:
        other = copy.deepcopy(tokenizer)
        other.add_tokens([f"word{number}" for number in range(9)])
    config = TrainConfig(steps=1, **SHORT), RLConfig(group_size=2, prompts_per_step=1, max_new_tokens=2)
    learning = {
        "read": lambda: train(model, other, STORIES, config[0], folder=tmp_path / "m"),
        "reinforce": lambda: reinforce(
            model,
            other,
            [{"prompt": "The"}],
            lambda *_: [0.0, 1.0],
            config[1],
            steps=1,
            folder=tmp_path / "m",
        ),
    }
    with pytest.raises(UserError, match=fault):
        learning[learn]()
    assert not (tmp_path / "m").exists()


FINISHED = ("training.json", "model.safetensors", "config.json")
UNFINISHED = ("history.json", "trainer_state.json", "optimizer.pt", "rng_state.pth")


@pytest.mark.parametrize("content", ["", "xxxxxxx", "[]"])
@pytest.mark.parametrize("name", [*FINISHED, *UNFINISHED])
def test_a_training_whose_files_are_damaged_is_one_sentence(tokenizer, tmp_path, name, content):
    config = TrainConfig(steps=2, checkpoint_every=1, **SHORT)
    stop = lambda: name in UNFINISHED
    train(fresh(tokenizer), tokenizer, STORIES[:2], config, folder=tmp_path / "m", stop=stop)
    (path,) = (tmp_path / "m").rglob(name)
    path.write_text(content if name != "history.json" else content[:-1])  # of which [] is a whole one
    with pytest.raises(UserError, match=r"is damaged \(.*delete it and run again") as caught:
        train(fresh(tokenizer), tokenizer, STORIES[:2], config, folder=tmp_path / "m")
    assert "\n" not in str(caught.value)


def test_a_finished_training_that_lost_its_configuration_is_one_sentence(tokenizer, tmp_path):
    train(fresh(tokenizer), tokenizer, STORIES, TrainConfig(steps=1, **SHORT), folder=tmp_path / "m")
    (tmp_path / "m/config.json").unlink()
    with pytest.raises(UserError, match="is damaged"):
        train(fresh(tokenizer), tokenizer, STORIES, TrainConfig(steps=1, **SHORT), folder=tmp_path / "m")


@pytest.mark.parametrize(
    "change",
    [{"batch_size": 0}, {"context": 0}, {"warmup": -1}, {"learning_rate": -1.0}, {"learning_rate": math.nan}],
)
def test_numbers_by_which_nothing_is_learnt_are_one_sentence(change):
    with pytest.raises(UserError, match=r"A training needs|must be numbers"):
        TrainConfig(steps=1, **change)
