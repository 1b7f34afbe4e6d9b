"""RLP: identities of the reward, what the average is for, and where to think."""

import logging

import numpy as np
import pytest
import torch
from test_grpo import fresh, quick_start  # noqa: F401  a fixture
from test_models import TEXTS
from test_train import STORIES, weights

from workbench.engine import models
from workbench.engine.rl.ema import WeightEMA
from workbench.engine.rl.objective import RLConfig
from workbench.engine.sampling.sampler import Completion
from workbench.engine.sampling.scoring import prompt_tokens
from workbench.engine.training.lora import Lora
from workbench.errors import UserError
from workbench.studies.rlp.data import positions
from workbench.studies.rlp.method import InformationGain, Thinking, rlp, rows_of, score

PLACES = [(story[: story.index(" saw")], story[story.index(" saw") :]) for story in STORIES[:20]]
THINKING = Thinking(max_tokens=4, horizon=2)
POLICY = RLConfig(group_size=4, prompts_per_step=4, learning_rate=1e-3)


@pytest.fixture(scope="module")
def tokenizer():
    return models.train_tokenizer([*TEXTS, *STORIES, " <t> </t>" * 20], 320)


def judged(model, tokenizer, completions, thinking=THINKING, **settings):
    """Rewards of these thoughts, all at the first position, and the objective that gave them."""
    objective = InformationGain(model, tokenizer, thinking, **settings)
    row = rows_of(tokenizer, PLACES[:1], thinking)[0]
    return objective.reward(completions, [row] * len(completions)), objective


def nats_of(model, before, after):
    logps = model(torch.tensor([before + after])).logits[0].log_softmax(-1).detach()
    return -sum(float(logps[len(before) - 1 + place, token]) for place, token in enumerate(after))


# Identities


def test_an_empty_thought_gains_nothing(tokenizer):
    silent = Thinking(opening="", closing="", max_tokens=4, horizon=2)
    gain, _ = judged(fresh(tokenizer), tokenizer, [Completion("", [], [], "stop")] * 2, silent)
    np.testing.assert_allclose(gain, 0, atol=1e-6)


def test_gain_is_what_the_thought_adds_to_the_log_probability_of_the_document(tokenizer):
    model, thought = fresh(tokenizer), [9, 40, 41]
    closed = Completion("", [*thought, *_closing(tokenizer)], [], "stop")
    gain, objective = judged(model, tokenizer, [closed, Completion("", thought, [], "length")])
    row = rows_of(tokenizer, PLACES[:1], THINKING)[0]
    prompt = prompt_tokens(tokenizer, [row["prompt"]])[0]
    assert tokenizer.decode(row["target"]) == PLACES[0][1][: len(tokenizer.decode(row["target"]))]
    assert len(row["target"]) == 2
    with_thought = nats_of(model, prompt + closed.tokens, row["target"])
    without = nats_of(model, row["context"], row["target"])
    assert gain[0] == pytest.approx(without - with_thought, abs=1e-5)
    assert gain[1] == pytest.approx(gain[0], abs=1e-6)  # one that did not end is closed
    found = objective.metrics()
    for name in ("nats_without", "nats_without_average"):  # the average begins as the model
        assert found[name] == pytest.approx(without, abs=1e-5)
    opening = tokenizer(THINKING.opening, add_special_tokens=False).input_ids[0]
    mass = np.exp(-nats_of(model, row["context"], [opening]))
    assert found["nats_without_opening"] == pytest.approx(without + np.log1p(-mass), abs=1e-5)


def _closing(tokenizer):
    return tokenizer(THINKING.closing, add_special_tokens=False).input_ids


def test_expected_gain_is_a_difference_of_cross_entropies_and_bounded_by_jensen(tokenizer):
    """Propositions 1 and 2, over a distribution of the next token that is given."""
    model = fresh(tokenizer)
    before, size = prompt_tokens(tokenizer, ["The cat"])[0], len(tokenizer)
    truth = np.random.default_rng(0).dirichlet(np.ones(size))
    thoughts = [[7, 8], [90], [12, 13, 14]]
    nats = np.array([score(model, [(before + c, [x]) for x in range(size)])[0] for c in thoughts])
    plain = score(model, [(before, [x]) for x in range(size)])[0]
    logits = model(torch.tensor([before + thoughts[0]])).logits[0, -1].detach().double()
    entropies = truth @ plain, -truth @ logits.log_softmax(-1).numpy()
    assert truth @ (plain - nats[0]) == pytest.approx(entropies[0] - entropies[1], abs=1e-6)
    mean_of_logs, log_of_mean = (-nats).mean(0), np.log(np.exp(-nats).mean(0))
    assert (mean_of_logs < log_of_mean).all()


def test_a_right_prediction_is_worth_one(tokenizer):
    """RPT: only if every token of the horizon is the one that the model would say."""
    model, thinking = fresh(tokenizer), Thinking(horizon=2)
    row = rows_of(tokenizer, PLACES[:1], thinking)[0]
    thought = [9, *_closing(tokenizer)]
    before = prompt_tokens(tokenizer, [row["prompt"]])[0] + thought
    first = int(model(torch.tensor([before])).logits[0, -1].argmax())
    second = int(model(torch.tensor([[*before, first]])).logits[0, -1].argmax())
    objective = InformationGain(model, tokenizer, thinking, reward="prefix")
    for target, worth in (([first, second], 1), ([first, second + 1], 0), ([first + 1, second], 0)):
        assert objective.reward([Completion("", thought, [], "stop")], [row | {"target": target}]) == [worth]


def test_average_follows_its_closed_form_and_comes_and_goes(tokenizer):
    model, decay, steps = fresh(tokenizer), 0.9, 5
    average = WeightEMA(model, decay)
    average.begin()
    name = "model.norm.weight"
    first, theta = weights(model)[name], []
    for step in range(steps):
        with torch.no_grad():
            model.model.norm.weight.add_(step + 1.0)
        theta.append(weights(model)[name])
        average.update()
    expected = decay**steps * first + (1 - decay) * sum(
        decay ** (steps - 1 - j) * each for j, each in enumerate(theta)
    )
    torch.testing.assert_close(average.weights[name], expected)
    with average.in_place():
        torch.testing.assert_close(model.model.norm.weight.detach(), expected)
    assert torch.equal(weights(model)[name], theta[-1])


# Trainings


def trained(tokenizer, folder, steps=6, lora=None, stop=None, **settings):
    model = fresh(tokenizer)
    objective = InformationGain(model, tokenizer, THINKING, **settings)
    return model, rlp(objective, PLACES, POLICY, steps=steps, folder=folder, lora=lora, stop=stop)


def distance(first, second):
    return max(float((first[name] - second[name]).abs().max()) for name in first)


def test_the_average_cancels_unless_it_is_the_baseline(tokenizer, tmp_path):
    """Section 2.4: what all thoughts of a context share is not in their advantages."""
    start, moved, ends = weights(fresh(tokenizer)), [], {}
    for baseline, decays in (("group", (0.0, 0.999, 1.0)), ("ema", (0.0, 1.0))):
        found = []
        for decay in decays:
            model, history = trained(
                tokenizer, tmp_path / f"{baseline}{decay}", 12, baseline=baseline, decay=decay
            )
            found.append(weights(model))
            moved.append(distance(start, found[-1]))
            if baseline == "group":
                ends[decay] = history.rows[-1]["nats_without_average"]
        apart = max(distance(found[0], other) for other in found[1:])
        assert (apart < 1e-6) == (baseline == "group")
    assert min(moved) > 1e-3
    assert ends[0.0] != ends[1.0]  # the measure does depend on it


def test_a_cut_off_training_keeps_its_average(tokenizer, tmp_path):
    settings = {"baseline": "ema", "decay": 0.5, "next_token_weight": 0.3, "lora": Lora(2, 4)}
    whole, expected = trained(tokenizer, tmp_path / "a", **settings)
    asked = []
    stop = lambda: asked.append(1) or len(asked) == 3
    assert not trained(tokenizer, tmp_path / "b", stop=stop, **settings)[1].finished
    again, found = trained(tokenizer, tmp_path / "b", **settings)
    assert distance(weights(whole), weights(again)) == 0
    assert [row["information_gain"] for row in found.rows] == [
        row["information_gain"] for row in expected.rows
    ]
    assert found.rows[0]["information_gain"] == found.rows[0]["reward"]
    with pytest.raises(UserError, match="other objective"):
        trained(tokenizer, tmp_path / "b", **settings | {"decay": 0.6})


def test_learning_the_next_token_as_well_makes_it_likelier(tokenizer, tmp_path):
    with_it, without = (
        trained(tokenizer, tmp_path / str(weight), 10, next_token_weight=weight)[1].frame()[
            "nats_with_thought"
        ]
        for weight in (1.0, 0.0)
    )
    assert with_it.iloc[0] == pytest.approx(without.iloc[0])
    assert with_it.iloc[-1] < without.iloc[-1] - 0.5


# Positions


def test_positions_cut_between_tokens_and_leave_the_horizon(tokenizer):
    found = positions([*STORIES, "The"], tokenizer, horizon=3, seed=1)
    assert [before + after for before, after in found] == STORIES
    assert len({len(before) for before, _ in found}) > 5
    for before, after in found:
        whole = tokenizer(before + after, add_special_tokens=False).input_ids
        parts = [tokenizer(part, add_special_tokens=False).input_ids for part in (before, after)]
        assert parts[0] + parts[1] == whole
        assert len(parts[1]) >= 3
    assert positions(STORIES, tokenizer, seed=1) == positions(STORIES, tokenizer, seed=1)
    assert positions(STORIES, tokenizer, seed=1) != positions(STORIES, tokenizer, seed=2)


@pytest.mark.parametrize("criterion", ["entropy", "surprise"])
def test_positions_lie_in_the_band(tokenizer, criterion):
    model = fresh(tokenizer)
    with torch.no_grad():
        model.lm_head.weight.mul_(4)  # tied: sharper, so that positions differ
    band = (2.0, 12.0)
    found = positions(STORIES[:12], tokenizer, criterion=criterion, model=model, band=band)
    assert found
    for before, after in found:
        ids = prompt_tokens(tokenizer, [before])[0]
        logps = model(torch.tensor([ids])).logits[0, -1].log_softmax(-1).detach()
        following = tokenizer(after, add_special_tokens=False).input_ids[0]
        nats = -float((logps.exp() * logps).sum() if criterion == "entropy" else logps[following])
        assert band[0] - 1e-4 <= nats <= band[1] + 1e-4


def test_what_is_too_short_is_counted_or_the_users_mistake(tokenizer, tmp_path, caplog):
    far = Thinking(horizon=3)
    with caplog.at_level(logging.WARNING):
        assert len(rows_of(tokenizer, [PLACES[0], ("The cat", " saw")], far)) == 1
    assert "1 of 2 positions" in caplog.text
    model = fresh(tokenizer)
    for given, thinking, says in (
        ([("The cat", " saw")], far, "horizon"),
        (PLACES, Thinking(max_tokens=60), "context"),
        (PLACES, Thinking(closing=""), "closing"),
        (PLACES, Thinking(horizon=0), "horizon"),
    ):
        objective = InformationGain(model, tokenizer, thinking)
        with pytest.raises(UserError, match=says):
            rlp(objective, given, POLICY, steps=1, folder=tmp_path / "m")
    for settings, says in (({"baseline": "mean"}, "baseline"), ({"decay": 2.0}, "decay")):
        with pytest.raises(UserError, match=says):
            InformationGain(model, tokenizer, THINKING, **settings)
    with pytest.raises(UserError, match="texts"):
        positions(["a", "The"], tokenizer, horizon=9)
    with pytest.raises(UserError, match="model"):
        positions(STORIES, tokenizer, criterion="entropy")
