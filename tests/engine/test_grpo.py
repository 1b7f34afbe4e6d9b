"""Policy gradients: trl's losses, our rollouts, and trainings that are equal however they are stopped."""

import gc
import json
import logging
import os
import subprocess
import sys
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from families import fresh as of_family
from test_models import TEXTS
from test_train import STORIES, WORDS, assert_close, assert_same, weights

from workbench.engine import loading, models
from workbench.engine.rl.grpo import reinforce
from workbench.engine.rl.objective import Objective, RLConfig, SupervisedTail, group_advantages
from workbench.engine.sampling.sampler import Completion, Sampler
from workbench.engine.sampling.transformers_sampler import TransformersSampler
from workbench.engine.training.lora import Lora
from workbench.errors import UserError

ROWS = [{"prompt": f"The {a} saw", "word": a} for a in WORDS] + [
    {"prompt": "The cat and the dog", "word": ""}
]
SMALL = RLConfig(group_size=4, prompts_per_step=4, max_new_tokens=6, learning_rate=3e-3)


@pytest.fixture(scope="module", autouse=True)
def quick_start():
    """Every training begins with a garbage collection, which here would look at all that was imported."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(scope="module")
def tokenizer():
    return models.train_tokenizer(TEXTS + STORIES, 300)


def fresh(tokenizer, architecture="llama"):
    config = models.config("tiny:0.1M", len(tokenizer), architecture, n_layers=2, context=32)
    return models.build(config, seed=0)


def thirds(completions, rows):
    return [np.mean([token % 3 == 0 for token in each.tokens]) for each in completions]


def changed(config=SMALL, **settings):
    return replace(config, **settings)


# Advantages


def test_advantages_of_a_group_are_rewards_against_the_others():
    rewards = torch.randn(5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found = group_advantages(rewards)
    torch.testing.assert_close(found.sum(1), torch.zeros(5, dtype=torch.float64), atol=1e-12, rtol=0)
    others = (rewards.sum(1, keepdim=True) - rewards) / 3
    torch.testing.assert_close(found * 4 / 3, rewards - others)
    torch.testing.assert_close(group_advantages(rewards + torch.randn(5, 1)), found)
    assert torch.all(group_advantages(torch.ones(2, 3), "group") == 0)
    assert group_advantages(rewards, "group").std(1).sub(1).abs().max() < 1e-3
    assert (group_advantages(rewards, "batch") * (rewards.std() + 1e-4)).sub(found).abs().max() < 1e-12


def test_replicator_example_of_rlp():
    """arXiv 2510.01265v2, section 9.2."""
    policy, rewards = np.full(4, 0.25), torch.tensor([[-0.8, -0.6, -0.5, -0.3]])
    advantages = (group_advantages(rewards) * 4 / 3).numpy()[0]
    np.testing.assert_allclose(advantages, [-0.3333, -0.0667, 0.0667, 0.3333], atol=5e-5)
    after = policy * np.exp(0.5 * advantages)
    after /= after.sum()
    np.testing.assert_allclose(after, [0.2101, 0.2401, 0.2566, 0.2932], atol=5e-5)
    assert after @ rewards[0].numpy() == pytest.approx(-0.5284, abs=5e-5)


@pytest.mark.parametrize("group", [2, 3])
def test_expected_gradient_is_that_of_the_expected_reward(group):
    """Over all outcomes of a policy of two tokens, against a finite difference."""
    rewards = torch.tensor([0.3, -1.2], dtype=torch.float64)

    def expected(theta):
        p = torch.tensor([theta, 0.0], dtype=torch.float64).softmax(0)
        return float(p @ rewards)

    theta = torch.tensor(0.4, dtype=torch.float64, requires_grad=True)
    logps = torch.stack((theta, torch.zeros((), dtype=torch.float64))).log_softmax(0)
    total = 0.0
    for outcome in np.ndindex(*[2] * group):
        drawn = list(outcome)
        advantages = group_advantages(rewards[drawn][None])[0] * group / (group - 1)
        probability = logps[drawn].sum().exp().detach()
        total = total + probability * (advantages * logps[drawn]).mean()
    total.backward()
    assert float(theta.grad) == pytest.approx((expected(0.4 + 1e-5) - expected(0.4 - 1e-5)) / 2e-5, rel=1e-6)


# Losses


@pytest.fixture(scope="module")
def trainer(tokenizer, tmp_path_factory):
    from datasets import Dataset

    from workbench.engine.rl.grpo_trainer import PolicyTrainer
    from workbench.engine.rl.loop import _arguments

    model, folder = fresh(tokenizer), tmp_path_factory.mktemp("trainer")
    settings = {"steps": 1, "seed": 0, "batch_size": 4, "precision": "fp32"}
    arguments = _arguments(folder, settings, changed(prompts_per_step=1, max_new_tokens=7), model)
    found = PolicyTrainer(
        SMALL, Objective(thirds), TransformersSampler(model, tokenizer), ROWS, folder=folder, rows=[],
        model=model, args=arguments, train_dataset=Dataset.from_dict({"prompt": [""]}),
        processing_class=tokenizer,
    )  # fmt: skip
    found.current_gradient_accumulation_steps, found.takes_positions = 1, True
    return found


def ragged():
    """A batch with padding on both sides and ratios that are not one."""
    generator = torch.Generator().manual_seed(3)
    before, after = torch.tensor([2, 5, 3, 4]), torch.tensor([6, 1, 4, 3])
    return {
        "prompt_ids": torch.randint(1, 200, (4, 5), generator=generator),
        "prompt_mask": (torch.arange(5) >= 5 - before[:, None]).long(),
        "completion_ids": torch.randint(1, 200, (4, 6), generator=generator),
        "completion_mask": (torch.arange(6) < after[:, None]).long(),
        "advantages": torch.tensor([1.2, -0.7, 0.4, -0.9]),
        "noise": torch.randn(4, 6, generator=generator) * 0.3,
        "reference_noise": torch.randn(4, 6, generator=generator) * 0.3,
        "num_items_in_batch": after.sum(),
    }


def by_hand(model, batch, loss, level, beta, low, high, longest):
    rows = []
    for row in range(4):
        ids, asked = (batch[f"prompt_{part}"][row] for part in ("ids", "mask"))
        drawn = batch["completion_ids"][row, : batch["completion_mask"][row].sum()]
        text = torch.cat((ids[asked.bool()], drawn))
        logits = model(text[None]).logits[0, -len(drawn) - 1 : -1]
        logps = logits.log_softmax(-1).gather(1, drawn[:, None])[:, 0]
        old, reference = (
            batch[name][row, : len(drawn)] for name in ("old_per_token_logps", "ref_per_token_logps")
        )
        log_ratio = logps - old
        ratio = (log_ratio.mean() if level == "sequence" else log_ratio).exp()
        advantage = batch["advantages"][row]
        gain = torch.min(ratio * advantage, ratio.clamp(1 - low, 1 + high) * advantage)
        divergence = (reference - logps).exp() - (reference - logps) - 1
        rows.append((beta * divergence * ratio - gain) * torch.ones(len(drawn)))
    total, tokens = sum(row.sum() for row in rows), sum(map(len, rows))
    if loss == "grpo":
        return sum(row.mean() for row in rows) / 4
    return total / (4 * longest if loss == "dr_grpo" else tokens)


@pytest.mark.parametrize(
    ("loss", "level", "beta"),
    [(name, "token", beta) for name in ("grpo", "bnpo", "dr_grpo", "dapo") for beta in (0.0, 0.04)]
    + [("grpo", "sequence", 0.0)],
)
def test_losses_and_gradients_are_those_of_the_papers(trainer, loss, level, beta):
    model, batch = trainer.model, ragged()
    trainer.loss_type, trainer.importance_sampling_level, trainer.beta = loss, level, beta
    trainer.epsilon_low, trainer.epsilon_high = 0.2, 0.28
    model.train()
    with torch.no_grad():
        logps = trainer._logps(model, batch)
    batch["old_per_token_logps"] = logps + batch.pop("noise")
    batch["ref_per_token_logps"] = logps + batch.pop("reference_noise")
    values, gradients = [], []
    for make in (
        lambda: trainer.compute_loss(model, dict(batch)),
        lambda: by_hand(model, batch, loss, level, beta, 0.2, 0.28, 7),
    ):
        model.zero_grad()
        value = make()
        value.backward()
        values.append(value.item())
        gradients.append(torch.cat([each.grad.flatten() for each in model.parameters()]))
    assert values[0] == pytest.approx(values[1], abs=2e-7)
    assert gradients[1].norm() > 0.01
    torch.testing.assert_close(*gradients, atol=2e-6, rtol=1e-4)


# Trainings


class Counting(Objective):
    """An objective with everything it may have: a state, something taught, and a metric."""

    aux_loss_weight = 0.5

    def __init__(self, taught):
        super().__init__(thirds)
        self.steps, self.tokens = torch.zeros(()), taught

    def supervised_tails(self, completions, rows):
        return [SupervisedTail(self.tokens[:1], self.tokens[1:])] * len(rows)

    def after_step(self):
        self.steps += 1

    def metrics(self):
        return {"seen": float(self.steps)}

    def state_dict(self):
        return {"steps": self.steps}

    def load_state_dict(self, state):
        self.steps = state["steps"]


def test_rewards_rise_and_the_folder_loads_and_is_not_trained_again(tokenizer, tmp_path):
    model, logged = fresh(tokenizer), []
    history = reinforce(
        model, tokenizer, ROWS, thirds, SMALL, steps=25, folder=tmp_path / "m", log=logged.append
    )
    assert history.finished
    assert history.rows == logged
    rewards = history.frame()["reward"]
    assert rewards[-5:].mean() > rewards[:5].mean() + 0.05
    assert history.frame()["step"].tolist() == list(range(1, 26))
    assert history.frame()["tokens"].is_monotonic_increasing
    assert history.frame()["moved"].abs().max() < 1e-6  # the sampler's probabilities are the trainer's
    assert "forward" not in vars(model)
    assert not list((tmp_path / "m").glob("checkpoint-*"))
    assert not (tmp_path / "m/README.md").exists()
    loaded, _ = loading.load(tmp_path / "m", device="cpu")
    assert_same(weights(model), weights(loaded))
    again = fresh(tokenizer)
    repeated = reinforce(again, tokenizer, ROWS, thirds, SMALL, steps=25, folder=tmp_path / "m")
    assert repeated.rows == logged
    assert_same(weights(model), weights(again))
    with pytest.raises(UserError, match="other temperature"):
        reinforce(
            fresh(tokenizer),
            tokenizer,
            ROWS,
            thirds,
            changed(temperature=0.5),
            steps=25,
            folder=tmp_path / "m",
        )


@pytest.mark.parametrize("lora", [None, Lora(4, 8)], ids=["all weights", "LoRA"])
def test_a_training_cut_off_twice_ends_with_the_same_bytes(tokenizer, tmp_path, lora):
    config = changed(num_iterations=2, kl=0.1, reference_every=None if lora else 4)
    options = {"steps": 11, "checkpoint_every": 4, "lora": lora, "seed": 3}
    whole, again = fresh(tokenizer), fresh(tokenizer)

    def go(model, place, **more):
        return reinforce(
            model, tokenizer, ROWS, Counting([5, 9, 7]), config, folder=tmp_path / place, **options | more
        )

    expected = go(whole, "a")
    asked = []
    half = go(fresh(tokenizer), "b", stop=lambda: asked.append(1) or len(asked) == 3)
    assert not half.finished
    assert half.rows[-1]["step"] == 4  # a checkpoint comes when the completions have been used up

    def interrupt(row):
        if row["step"] == 10:
            raise KeyboardInterrupt

    base = fresh(tokenizer)
    before = weights(base)
    with pytest.raises(KeyboardInterrupt):
        go(base, "b", log=interrupt)
    assert [place.name for place in (tmp_path / "b").glob("checkpoint-*")] == ["checkpoint-8"]
    if lora:
        assert_same(before, weights(base))
    found = go(again, "b")
    assert found.finished
    strip = [[{k: v for k, v in row.items() if k != "seconds"} for row in h.rows] for h in (found, expected)]
    assert strip[0] == strip[1]
    assert found.rows[-1]["seen"] == 10  # counted when the last completions were drawn
    assert any(row["kl"] > 1e-6 for row in found.rows)
    assert_same(weights(whole), weights(again))
    assert (tmp_path / "a/model.safetensors").read_bytes() == (tmp_path / "b/model.safetensors").read_bytes()


def test_passes_of_four_rows_learn_what_one_of_sixteen_does(tokenizer, tmp_path):
    one, four = fresh(tokenizer), fresh(tokenizer)
    config = changed(loss="dapo", temperature=0.8)
    for model, size in ((one, 16), (four, 4)):
        reinforce(
            model,
            tokenizer,
            ROWS,
            Counting([5, 9]),
            config,
            steps=3,
            folder=tmp_path / f"{size}",
            batch_size=size,
        )
    assert_close(weights(one), weights(four), atol=2e-4)


@pytest.mark.parametrize("family", ["GPT2", "GPTNeo", "Bloom", "OPT"])
def test_padding_shifts_no_position(tokenizer, tmp_path, family):
    """Prompts of several lengths: the trainer's probabilities are those that the sampler drew with."""
    model = of_family(family, len(tokenizer))
    history = reinforce(model, tokenizer, ROWS, thirds, SMALL, steps=2, folder=tmp_path / "m")
    assert len({len(tokenizer(row["prompt"]).input_ids) for row in ROWS}) > 1
    assert max(row["moved"] for row in history.rows) < 1e-5


def test_taught_tokens_add_their_loss_at_temperature_one(trainer, tokenizer):
    """And leave the policy's loss, which does not see them, as it was."""
    model, taught, losses = trainer.model, [5, 9, 7], []
    trainer.loss_type, trainer.importance_sampling_level, trainer.beta = "dapo", "token", 0.0
    config = changed(temperature=0.7, prompts_per_step=1)
    before = trainer.config, trainer.temperature, trainer.objective
    trainer.config, trainer.temperature, trainer.examples = config, 0.7, ROWS
    for objective in (Objective(thirds), Counting(taught)):
        trainer.objective = objective
        with torch.no_grad():
            batch = trainer._generate_and_score_completions([0] * 4)
            losses.append(trainer.compute_loss(model, batch).item())
    trainer.config, trainer.temperature, trainer.objective = before
    nats = []
    for row in range(4):
        drawn = batch["completion_ids"][row, : batch["tool_mask"][row].sum()]
        asked = batch["prompt_ids"][row, batch["prompt_mask"][row].bool()]
        text = torch.cat((asked, drawn, torch.tensor(taught)))
        logps = model(text[None]).logits[0].log_softmax(-1).detach()
        nats.append(-float(logps[-3, 9] + logps[-2, 7]))
    assert losses[1] - losses[0] == pytest.approx(0.5 * np.mean(nats), rel=1e-4)


def test_equal_rewards_leave_the_weights_and_are_said(tokenizer, tmp_path, caplog):
    model = fresh(tokenizer)
    before = weights(model)
    with caplog.at_level(logging.WARNING):
        history = reinforce(
            model, tokenizer, ROWS, lambda c, r: [1.0] * len(c), SMALL, steps=3, folder=tmp_path / "m"
        )
    assert_same(before, weights(model))
    assert [row["degenerate_groups"] for row in history.rows] == [1.0] * 3
    assert "nothing could be learnt" in caplog.text


def test_rewards_see_the_rows_and_draws_depend_on_the_seed_alone(tokenizer, tmp_path):
    seen = {}

    def note(place):
        def reward(completions, rows):
            seen.setdefault(place, []).append(
                [(row["word"], each.text) for each, row in zip(completions, rows, strict=True)]
            )
            return thirds(completions, rows)

        return reward

    for place, seed in (("a", 1), ("b", 1), ("c", 2)):
        reinforce(
            fresh(tokenizer), tokenizer, ROWS, note(place), SMALL, steps=2, folder=tmp_path / place, seed=seed
        )
    assert seen["a"] == seen["b"] != seen["c"]
    words = [word for word, _ in seen["a"][0]]
    assert words == [word for word in words[::4] for _ in range(4)]
    assert all(word in [row["word"] for row in ROWS] for word in words)
    assert [text for _, text in seen["a"][0]] != [text for _, text in seen["a"][1]]


def test_settings_in_folders_keep_their_first_names():
    assert list(SMALL.saved()) == [
        "group", "prompts_per_step", "max_new_tokens", "temperature", "stop", "learning_rate", "loss",
        "scale", "clip_low", "clip_high", "updates", "level", "kl", "reference_every",
    ]  # fmt: skip
    assert (SMALL.saved()["group"], SMALL.saved()["stop"]) == (4, [])


# Bad input


class Silent(Sampler):
    """A sampler that says nothing of probabilities."""

    def sample(self, prompts, params):
        return [[Completion("a", [5, 6], [], "stop")] * params.n for _ in prompts]


def broken(completions, rows):
    return 1 / 0


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"rows": []}, "no rows"),
        ({"rows": [{"question": "?"}]}, "needs a prompt"),
        ({"rows": [{"prompt": "cat " * 40}]}, "no room"),
        ({"config": changed(group_size=1)}, "group_size=1"),
        ({"config": changed(temperature=0.0)}, "temperature"),
        ({"config": changed(scale="some")}, "scale"),
        ({"config": changed(loss="best")}, "loss"),
        ({"config": changed(reference_every=5)}, "kl"),
        ({"config": changed(kl=0.1, reference_every=5), "lora": Lora(2, 4)}, "reference_every"),
        ({"batch_size": 3}, "must divide"),
        ({"steps": 0}, "at least 1"),
        ({"sampler": Silent()}, "log-probabilities"),
        ({"reward": lambda c, r: [float("nan")] * len(c)}, "is nan for"),
        ({"reward": lambda c, r: [1.0]}, "one each"),
        ({"reward": lambda c, r: [None] * len(c)}, "reward"),
        ({"reward": broken}, "broken raised ZeroDivisionError"),
    ],
)
def test_what_a_user_can_mend_is_one_sentence(tokenizer, tmp_path, change, says):
    options = {"rows": ROWS, "reward": thirds, "config": SMALL, "steps": 1, "folder": tmp_path / "m"} | change
    with pytest.raises(UserError, match=says) as caught:
        reinforce(fresh(tokenizer), tokenizer, **options)
    assert "\n" not in str(caught.value)


# Several processes

SCRIPT = """
import json, sys
from test_grpo import ROWS, SMALL, STORIES, TEXTS, Own, fresh, models, reinforce, thirds
import torch
tokenizer = models.train_tokenizer(TEXTS + STORIES, 300)
model = fresh(tokenizer)
own = Own(tokenizer)
history = reinforce(model, tokenizer, ROWS, thirds, SMALL, folder=sys.argv[1], steps=4, sampler=own)
world = torch.distributed.get_world_size() if torch.distributed.is_initialized() else 1
print(json.dumps([world, *(row["reward"] for row in history.rows)]))
"""


class Own(Sampler):
    """Draws for a prompt hang on the prompt alone, not on which process asks or what else it asks."""

    def __init__(self, tokenizer):
        self.sampler = TransformersSampler(fresh(tokenizer), tokenizer)

    def sample(self, prompts, params):
        return [
            self.sampler.sample([each], replace(params, seed=zlib.crc32(each.encode())))[0]
            for each in prompts
        ]


@pytest.mark.long
def test_two_processes_learn_what_one_learns(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    environment = os.environ | {
        "PYTHONPATH": f"{Path(__file__).parent}:{Path(__file__).parents[1]}",
        "OMP_NUM_THREADS": "1",
    }
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    said = {}
    for name, words in (("one", []), ("two", launcher)):
        command = [sys.executable, *words, tmp_path / "script.py", tmp_path / name]
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stderr
        said[name] = json.loads(done.stdout.splitlines()[0])
    assert (said["one"][0], said["two"][0]) == (1, 2)
    assert said["two"][1:] == pytest.approx(said["one"][1:])
    first, second = (loading.load(tmp_path / name, device="cpu")[0] for name in ("one", "two"))
    assert_close(weights(first), weights(second), atol=2e-4)
