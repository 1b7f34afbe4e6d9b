"""Inference models: texts of any length, tokenizers without padding, and folders that are not whole."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from workbench.engine import loading, models
from workbench.engine.entailment import Entailment
from workbench.errors import UserError

SENTENCES = ["The red fox sat by the well.", "A small boat went down the river.", "Two and three make five."]
LABELS = {0: "contradiction", 1: "neutral", 2: "entailment"}
SHAPE = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
COMMON = {"max_position_embeddings": 64, "pad_token_id": 1, "initializer_range": 0.2}
FAMILIES = {
    "Bert": SHAPE,
    "Roberta": SHAPE,
    "XLMRoberta": SHAPE,
    "Electra": {**SHAPE, "embedding_size": 32},
    "DistilBert": {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 48},
    "GPT2": {"n_embd": 32, "n_layer": 2, "n_head": 4},
    "Bart": {
        "d_model": 32,
        **dict.fromkeys(("encoder_layers", "decoder_layers"), 1),
        **dict.fromkeys(("encoder_attention_heads", "decoder_attention_heads"), 4),
        **dict.fromkeys(("encoder_ffn_dim", "decoder_ffn_dim"), 48),
        "eos_token_id": 2,
    },
}


@pytest.fixture(scope="module")
def tokenizer():
    """Begins with 0, ends with 2 and pads with 1, as RoBERTa's does; it knows no longest text."""
    made = models.train_tokenizer(SENTENCES * 5, 300)
    made.add_special_tokens({"pad_token": made.convert_ids_to_tokens(1), "eos_token": "<|end|>"})
    return made


def folder_of(family, tokenizer, path, labels=LABELS):
    import transformers

    config = getattr(transformers, f"{family}Config")(
        vocab_size=len(tokenizer),
        id2label=labels,
        label2id={v: k for k, v in labels.items()},
        **{**COMMON, **FAMILIES[family]},
    )
    torch.manual_seed(0)
    model = getattr(transformers, f"{family}ForSequenceClassification")(config)
    if family == "Bart":  # it reads the end of the text, which has to be there
        end = "<|end|>"
        from tokenizers.processors import TemplateProcessing

        number = tokenizer.convert_tokens_to_ids(end)
        model.config.eos_token_id = number
        tokenizer._tokenizer.post_processor = TemplateProcessing(
            single=f"$A {end}", pair=f"$A {end} $B {end}", special_tokens=[(end, number)]
        )
    loading.save(model, tokenizer, path)
    return path


@pytest.mark.parametrize("family", FAMILIES)
def test_long_texts_are_cut_and_short_ones_read_as_alone(family, tokenizer, tmp_path):
    import copy

    path = folder_of(family, copy.deepcopy(tokenizer), tmp_path / "model")
    judge = Entailment(str(path), "cpu")
    long = " ".join(SENTENCES * 20)
    scores = judge.scores([long, SENTENCES[0], long], [SENTENCES[1], SENTENCES[1], long])
    assert np.isfinite(scores).all()
    assert judge.scores(SENTENCES[:1], SENTENCES[1:2])[0] == pytest.approx(scores[1], abs=1e-5)


def test_the_longest_text_of_roberta_is_read_to_its_last_position(tokenizer, tmp_path):
    judge = Entailment(str(folder_of("Roberta", tokenizer, tmp_path / "model")), "cpu")
    assert judge.longest == 62  # of 64 positions two stand for padding


def test_a_tokenizer_without_padding_reads_pairs_one_by_one(tokenizer, tmp_path):
    path = folder_of("GPT2", tokenizer, tmp_path / "model")
    judge = Entailment(str(path), "cpu")
    expected = judge.scores(SENTENCES, SENTENCES[::-1])
    judge.tokenizer.pad_token = None
    judge.model.config.pad_token_id = None
    assert judge.scores(SENTENCES, SENTENCES[::-1]) == pytest.approx(expected, abs=1e-5)


def test_a_head_that_was_never_trained_is_refused(tokenizer, tmp_path):
    path = folder_of("Bert", tokenizer, tmp_path / "model")
    weights = load_file(path / "model.safetensors")
    kept = {name: value for name, value in weights.items() if "classifier" not in name}
    save_file(kept, path / "model.safetensors", {"format": "pt"})
    with pytest.raises(UserError, match=r"missing are classifier"):
        Entailment(str(path), "cpu")
    weights["classifier.weight"][0, 0] = torch.nan
    save_file(weights, path / "model.safetensors", {"format": "pt"})
    with pytest.raises(UserError, match="NaN"):
        Entailment(str(path), "cpu")


def test_scores_that_are_not_numbers_are_refused(tokenizer, tmp_path):
    judge = Entailment(str(folder_of("Bert", tokenizer, tmp_path / "model")), "cpu")
    with pytest.raises(UserError, match="lone surrogate"):
        judge.scores(["a"], ["\ud83d"])
    judge.model.classifier.weight.data.fill_(3e38)
    with pytest.raises(UserError, match="not a number"):
        judge.scores(SENTENCES, SENTENCES)


def test_a_tokenizer_larger_than_the_model_is_refused(tokenizer, tmp_path):
    path = folder_of("Bert", tokenizer, tmp_path / "model")
    larger = models.train_tokenizer(SENTENCES * 5, 300)
    larger.add_tokens([f"plumtree{number}" for number in range(40)])
    larger.save_pretrained(path)
    with pytest.raises(UserError, match="belongs to another model"):
        Entailment(str(path), "cpu")


def test_a_model_that_knows_no_entailment_is_refused(tokenizer, tmp_path):
    path = folder_of("Bert", tokenizer, tmp_path / "model", {0: "negative", 1: "positive"})
    with pytest.raises(UserError, match="negative, positive"):
        Entailment(str(path), "cpu")
