"""LoRA: nothing changes until it learns, only it learns, and merged it is the model that it was."""

import copy
from dataclasses import replace

import pytest
import torch
from families import FAMILIES, fresh, logits_of, texts
from test_train import (
    PAIRS,
    SHORT,
    STORIES,
    TEXTS,
    assert_same,
    weights,
)
from test_train import fresh as small
from transformers.pytorch_utils import Conv1D

from workbench.engine import loading, models
from workbench.engine.training.common import TrainConfig
from workbench.engine.training.lora import Lora, adapted
from workbench.engine.training.loss import loss
from workbench.engine.training.train import train
from workbench.errors import UserError

ROW = texts([20])[0]


@pytest.fixture(scope="module")
def tokenizer():
    return models.train_tokenizer(TEXTS + STORIES, 300)


@pytest.mark.parametrize("family", FAMILIES)
def test_an_adapter_begins_as_nothing_and_merged_is_what_it_was(family):
    model = fresh(family)
    before, plain = copy.deepcopy(model).state_dict(), logits_of(model, ROW)
    with adapted(model, Lora(4, 8), seed=0) as learner:
        assert torch.equal(logits_of(model, ROW), plain)
        with torch.no_grad():
            for name, weight in learner.named_parameters():
                if "lora_B" in name:
                    weight.normal_(0, 0.01)
        learnt = logits_of(model, ROW)
        learner.merge_adapter()
    assert not torch.allclose(learnt, plain, atol=1e-2)
    torch.testing.assert_close(logits_of(model, ROW), learnt, atol=1e-5, rtol=1e-5)
    changed = [name for name, value in model.state_dict().items() if not torch.equal(value, before[name])]
    linear = [
        f"{name}.weight"
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear | Conv1D) and module is not model.get_output_embeddings()
    ]
    assert sorted(changed) == sorted(linear)
    assert model.state_dict().keys() == before.keys()


@pytest.mark.parametrize("family", ["Llama", "GPT2"])
def test_the_adapter_alone_has_gradients_and_is_taken_off_again(family):
    model = fresh(family)
    before = copy.deepcopy(model).state_dict()
    with adapted(model, Lora(), seed=0) as learner:
        logits_in_training = model(torch.tensor([ROW])).logits
        logits_in_training.sum().backward()
        found = {name for name, weight in learner.named_parameters() if weight.grad is not None}
        assert found
        assert all("lora_" in name for name in found)
    assert_same(before, model.state_dict())
    assert all(weight.requires_grad for weight in model.parameters())


# Training

LORA = {**SHORT, "learning_rate": 1e-2, "lora": Lora(4, 8)}


def test_training_moves_the_linear_layers_alone_and_leaves_a_usual_model(tokenizer, tmp_path):
    model = small(tokenizer)
    before, nats = weights(model), loss(model, tokenizer, PAIRS).nats_per_token
    config = TrainConfig(steps=40, evaluate_every=40, **LORA)
    history = train(model, tokenizer, PAIRS, config, folder=tmp_path / "m", held_out=PAIRS)
    again, _ = loading.load(tmp_path / "m", "cpu")
    assert_same(weights(model), weights(again))
    assert all(weight.requires_grad for weight in model.parameters())
    assert not list((tmp_path / "m").glob("*adapter*"))
    found = loss(again, tokenizer, PAIRS).nats_per_token
    assert found < 0.8 * nats
    assert found == pytest.approx(history.rows[-1]["held_out_nats"], abs=1e-5)  # measured before the merge
    moved = [name for name, value in weights(model).items() if not torch.equal(value, before[name])]
    assert moved
    assert all("proj" in name for name in moved)
    ranks = {int(torch.linalg.matrix_rank(weights(model)[name] - before[name], atol=1e-5)) for name in moved}
    assert max(ranks) <= 4
    repeated = train(small(tokenizer), tokenizer, PAIRS, config, folder=tmp_path / "m")
    assert repeated.rows == history.rows
    with pytest.raises(UserError, match="other lora"):
        train(model, tokenizer, PAIRS, replace(config, lora=Lora(8, 8)), folder=tmp_path / "m")


def test_an_adapter_that_was_stopped_goes_on_to_the_same_bytes(tokenizer, tmp_path):
    whole, cut, asked = small(tokenizer), small(tokenizer), []
    train(whole, tokenizer, STORIES, TrainConfig(steps=20, **LORA), folder=tmp_path / "a")

    def stop():
        asked.append(1)
        return len(asked) == 7

    config, folder = TrainConfig(steps=20, **LORA), tmp_path / "b"
    assert not train(cut, tokenizer, STORIES, config, folder=folder, stop=stop).finished
    assert_same(weights(cut), weights(small(tokenizer)))  # the weights wait for the merge
    assert list((tmp_path / "b").glob("checkpoint-7/adapter_model.safetensors"))
    assert not list((tmp_path / "b").glob("checkpoint-7/model.safetensors"))
    again = small(tokenizer)
    assert train(again, tokenizer, STORIES, config, folder=folder).finished
    assert_same(weights(whole), weights(again))
    assert (tmp_path / "a/model.safetensors").read_bytes() == (tmp_path / "b/model.safetensors").read_bytes()


def test_an_adapter_of_another_base_is_refused(tokenizer, tmp_path):
    config, folder = TrainConfig(steps=4, **LORA), tmp_path / "a"
    half = train(small(tokenizer), tokenizer, STORIES, config, folder=folder, stop=lambda: True)
    assert not half.finished
    other = small(tokenizer)
    with torch.no_grad():
        other.model.layers[0].mlp.up_proj.weight.mul_(1.01)
    with pytest.raises(UserError, match="other lora"):
        train(other, tokenizer, STORIES, config, folder=folder)
    assert train(small(tokenizer), tokenizer, STORIES, config, folder=folder).finished
