"""Every family of decoders through the engine: as plain transformers computes it, or one sentence."""

import os
import re
import warnings
from collections import Counter

import numpy as np
import pytest
import torch
from decoders import CONTEXT, FAMILIES, QUICK, TEXTS, TOKENIZER, build
from dense_gradients import full_gradient

from workbench.engine import loading
from workbench.engine.gradients.per_example import prepare, sketch
from workbench.engine.gradients.sketches import Sketch
from workbench.engine.interpretability.anatomy import anatomy
from workbench.engine.interpretability.capture import capture
from workbench.engine.sampling.sampler import SamplingParams
from workbench.engine.sampling.transformers_sampler import TransformersSampler
from workbench.engine.training.common import TrainConfig
from workbench.engine.training.loss import loss
from workbench.engine.training.train import train
from workbench.errors import UserError

STEPS = ("load", "loss", "sample", "capture", "sketch", "train")
PAIRS = [("The red fox", " sat."), ("When it was cold a boat", " went down the river.")]
PROMPTS = ["The red fox", "A small boat went down the"]
SHORT = [text[:34] for text in TEXTS[:3]]  # they fit into one row together


def logits_of(model, ids):
    with torch.inference_mode():
        return model(torch.tensor([ids]), use_cache=False).logits[0].float()


def nats_of(model, ids):
    logprobs = logits_of(model, ids)[:-1].log_softmax(-1)
    return -float(logprobs[range(len(ids) - 1), ids[1:]].sum())


# ------------------------------------------------------------------------------- the steps
def check_load(family, folder):
    made = build(family)
    loading.save(made, TOKENIZER, folder)
    model, tokenizer = loading.load(folder, "cpu")
    ids = tokenizer(TEXTS[0]).input_ids
    assert ids == TOKENIZER(TEXTS[0]).input_ids
    torch.testing.assert_close(logits_of(model, ids), logits_of(made, ids), atol=1e-4, rtol=1e-4)
    return model, tokenizer


def check_loss(model, tokenizer, _folder):
    nats = loss(model, tokenizer, TEXTS[:3]).nats
    right = [nats_of(model, tokenizer(text).input_ids[:CONTEXT]) for text in TEXTS[:3]]
    np.testing.assert_allclose(nats, right, rtol=1e-3)


def check_sample(model, tokenizer, _folder):
    replies = TransformersSampler(model, tokenizer).sample(
        PROMPTS, SamplingParams(max_tokens=8, temperature=0)
    )
    for prompt, (reply,) in zip(PROMPTS, replies, strict=True):
        ids = tokenizer(prompt).input_ids
        assert reply.tokens
        assert len(reply.tokens) == 8 or reply.finish_reason == "stop"
        for token in reply.tokens:
            logits = logits_of(model, ids)
            assert logits.max() - logits[-1, token] < 1e3  # finite
            assert logits[-1].max() - logits[-1, token] < 2e-3, "not the most likely token"
            ids.append(token)


def check_capture(model, tokenizer, _folder):
    ids = tokenizer(TEXTS[0]).input_ids[:20]
    values, logits = capture(model, torch.tensor([ids]), ["*"])
    torch.testing.assert_close(logits[0].float(), logits_of(model, ids), atol=1e-3, rtol=1e-3)
    parts = anatomy(model)
    assert set(values) == set(parts.names())
    heads = model.config.get_text_config().num_attention_heads
    for layer in range(parts.n_layers):
        pattern = values[f"pattern.{layer}"]
        assert pattern.shape == (1, heads, len(ids), len(ids))
        torch.testing.assert_close(pattern.sum(-1), torch.ones(1, heads, len(ids)), atol=1e-4, rtol=0)
        written = parts.out[layer](values[f"head.{layer}"].flatten(2))
        torch.testing.assert_close(written, values[f"attention.{layer}"], atol=1e-4, rtol=1e-4)


def check_sketch(model, tokenizer, _folder):
    shapes = {name: weight.shape for name, weight in model.named_parameters()}
    n_weights = sum(shape.numel() for shape in shapes.values())
    sketches = sketch(model, tokenizer, PAIRS, dimension=n_weights)
    dealt = Sketch(shapes, n_weights, 0, "exact")
    signs = torch.cat(
        [dealt._sign(name, shape.numel(), torch.device("cpu")) for name, shape in shapes.items()]
    )
    fixed = [weight.requires_grad_() for weight in model.parameters() if not weight.requires_grad]
    for vector, row in zip(sketches.vectors, prepare(model, tokenizer, PAIRS, ["0", "1"])[0], strict=True):
        right = full_gradient(model, row) * signs
        assert float(torch.from_numpy(vector) @ right / right.norm()) > 0.9999
    for weight in fixed:
        weight.requires_grad_(False)


def check_train(model, tokenizer, folder):
    rows = [[*tokenizer(text).input_ids, tokenizer.eos_token_id] for text in SHORT]
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    settings = {"learning_rate": 1e-3, "schedule": "constant", "warmup": 0, "precision": "fp32"}
    config = TrainConfig(steps=3, batch_size=3, context=sum(map(len, rows)), **settings)
    history = train(model, tokenizer, SHORT, config, folder=folder)
    logits = logits_of(model, rows[0])
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.copy_(before[name])
    losses, right = trained_by_hand(model, rows)
    np.testing.assert_allclose([row["loss"] for row in history.rows], losses, rtol=2e-3)
    torch.testing.assert_close(logits, right, atol=2e-2, rtol=2e-2)


def trained_by_hand(model, rows):
    """Losses of three steps on documents read one by one, and the logits of the first afterwards."""
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    groups = [{"params": [w for w in weights if w.dim() > 1]}]
    groups.append({"params": [w for w in weights if w.dim() < 2], "weight_decay": 0.0})
    optimizer, losses = torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.95), weight_decay=0.1), []
    model.train()
    for _ in range(3):
        total = 0.0
        for row in rows:
            logits = model(torch.tensor([row[:-1]]), use_cache=False).logits[0].float()
            nats = torch.nn.functional.cross_entropy(logits, torch.tensor(row[1:]), reduction="sum")
            nats = nats / sum(len(other) - 1 for other in rows)
            nats.backward()
            total += nats.item()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(total)
    model.eval()
    return losses, logits_of(model, rows[0])


CHECKS = {
    "loss": check_loss,
    "sample": check_sample,
    "capture": check_capture,
    "sketch": check_sketch,
    "train": check_train,
}


# ------------------------------------------------------------------------------- the table
def outcome(check, *arguments):
    """What a check returns, and "equal", "refused: ..." or "FAULT: ..."."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return check(*arguments), "equal"
    except UserError as error:
        sentence = str(error)
        one = "\n" not in sentence and len(re.findall(r"\.(\s|$)", sentence)) <= 2 and len(sentence) < 400
        return None, f"{'refused' if one else 'FAULT: no single sentence'}: {sentence}"
    except Exception as error:
        first = (str(error).strip() or "-").splitlines()[0]
        return None, f"FAULT: {type(error).__name__}: {first}"


def trial(family, folder):
    """By step, what came out for a family."""
    pair, loaded = outcome(check_load, family, folder / "model")
    if pair is None:
        return dict.fromkeys(STEPS, loaded)
    steps = {"load": loaded}
    for step, check in CHECKS.items():
        steps[step] = outcome(check, *pair, folder / step)[1]
    return steps


@pytest.mark.parametrize("family", QUICK)
def test_some_families_are_as_plain_transformers_or_refused(family, tmp_path):
    steps = trial(family, tmp_path)
    assert not [f"{step}: {result}" for step, result in steps.items() if result.startswith("FAULT")]
    assert all(steps[step] == "equal" for step in ("load", "loss", "sample", "train"))


@pytest.mark.long
def test_every_family_is_as_plain_transformers_or_refused(tmp_path, capsys):
    chosen = os.environ.get("FAMILIES", "").split() or FAMILIES
    table = {}
    for family in chosen:
        table[family] = trial(family, tmp_path / family)
        with capsys.disabled():
            unequal = {step: result for step, result in table[family].items() if result != "equal"}
            print(f"\n{family:24s}{unequal or 'equal'}", end="", flush=True)
    with capsys.disabled():
        print(f"\n{len(table)} families")
        for step in STEPS:
            kinds = Counter(steps[step].partition(":")[0] for steps in table.values())
            print(f"{step:10s}{dict(kinds)}")
    faults = [(family, step) for family in table for step in STEPS if table[family][step].startswith("FAULT")]
    assert not faults
