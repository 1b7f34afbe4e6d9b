"""LoRA: nothing changes until it learns, only it learns, and merged it is the model that it was."""

import copy

import pytest
import torch
from families import FAMILIES, fresh, logits_of, texts
from test_train import (
    assert_same,
    tokenizer,  # noqa: F401  a fixture
)

from workbench.engine.adapters import Lora, adapted

ROW = texts([20])[0]


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
    linear = [name for name in before if name.endswith(("proj.weight", "dense.weight", "fc1.weight", "fc2.weight",
              "c_attn.weight", "c_fc.weight", "query_key_value.weight", "_to_h.weight", "h_to_4h.weight"))]  # fmt: skip
    assert changed == linear
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
