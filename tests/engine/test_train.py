"""Packing, loss, and trainings that are equal however they are cut up, stopped or spread."""

import gc
import json
import os
import re
import signal
import subprocess
import sys
import threading
import weakref
from dataclasses import asdict
from itertools import chain, pairwise
from pathlib import Path

import families
import numpy as np
import pytest
import torch
from test_models import STORIES260K, TEXTS, needs_stories260k

from workbench.engine import loading, models
from workbench.engine.training.common import TrainConfig
from workbench.engine.training.lora import Lora
from workbench.engine.training.loss import loss
from workbench.engine.training.packing import IGNORED, pack
from workbench.engine.training.train import train
from workbench.errors import UserError

WORDS = ["cat", "dog", "park", "ball", "tree", "sun", "moon", "boat"]
STORIES = [f"The {a} saw the {b} and was happy. {b} and {a} ran." for a in WORDS for b in WORDS]
PAIRS = [(f"{a} then {b}:", f" {b} {a}") for a in WORDS for b in WORDS]
SHORT = {"batch_size": 4, "context": 32, "learning_rate": 3e-3, "warmup": 2, "precision": "fp32"}


@pytest.fixture(scope="module")
def tokenizer():
    return models.train_tokenizer(TEXTS + STORIES, 300)


def fresh(tokenizer, architecture="llama"):
    return models.build(models.config("tiny:0.1M", len(tokenizer), architecture, context=32), seed=0)


def weights(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def assert_same(first, second):
    assert all(torch.equal(value, second[name]) for name, value in first.items())


def assert_close(first, second, atol=2e-5):
    for name, value in first.items():
        torch.testing.assert_close(
            value, second[name], atol=atol, rtol=1e-3, msg=lambda text, n=name: f"{n}: {text}"
        )


# Packing


def pieces(blocks):
    """(ids, targets) of every document in the rows, by the positions that begin at zero."""
    for ids, targets, positions in zip(blocks.ids, blocks.targets, blocks.positions, strict=True):
        starts = [*np.flatnonzero(positions == 0), len(ids)]
        for begin, end in pairwise(starts):
            yield ids[begin:end].tolist(), targets[begin:end].tolist()


def test_texts_stay_whole_where_they_fit_and_every_token_is_learnt_once(tokenizer):
    end = tokenizer.eos_token_id
    wanted = [[*tokenizer(text).input_ids[1:], end] for text in STORIES]
    longest = max(map(len, wanted))
    for context in (longest, longest // 3):
        learnt = [
            [target for target in targets if target != IGNORED]
            for _, targets in pieces(pack(tokenizer, STORIES, context))
        ]
        if context == longest:
            assert sorted(filter(None, learnt)) == sorted(wanted)
        assert sorted(chain(*learnt)) == sorted(chain(*wanted))


@pytest.mark.parametrize("one_per_row", [False, True])
def test_of_a_pair_the_completion_alone_is_learnt(tokenizer, one_per_row):
    blocks = pack(tokenizer, PAIRS, 32, one_per_row)
    found = []
    for ids, targets in pieces(blocks):
        learnt = [target for target in targets if target != IGNORED]
        if learnt:
            at = targets.index(learnt[0])
            assert targets[at:] == [*ids[at + 1 :], tokenizer.eos_token_id]
            found.append((tokenizer.decode(ids[1 : at + 1]), tokenizer.decode(learnt[:-1])))
    assert sorted(found) == sorted(PAIRS)
    assert (len(blocks.ids) == len(PAIRS)) == one_per_row


def test_examples_that_cannot_be_packed_are_the_users_mistake(tokenizer):
    for examples, context, says in (
        ([], 32, "no examples"),
        (["a", ("b", "c")], 32, "all texts or all"),
        ([("a very long prompt with many words in it", "x")], 4, "raise the context"),
    ):
        with pytest.raises(UserError, match=says):
            pack(tokenizer, examples, context)


@pytest.mark.parametrize("architecture", ["llama", "gpt-neo"])
def test_packed_documents_do_not_see_each_other(tokenizer, architecture):
    model = fresh(tokenizer, architecture)
    blocks = pack(tokenizer, PAIRS, 32)
    assert len(blocks.ids) < len(PAIRS) / 2
    ids, positions = torch.from_numpy(blocks.ids).long(), torch.from_numpy(blocks.positions).long()
    with torch.no_grad():
        packed = model(ids, position_ids=positions, use_cache=False).logits
        for row in range(3):
            starts = [*np.flatnonzero(blocks.positions[row] == 0), 32]
            for begin, end in pairwise(starts):
                alone = model(ids[row : row + 1, begin:end]).logits[0]
                torch.testing.assert_close(packed[row, begin:end], alone, atol=1e-4, rtol=1e-3)


# Loss


def test_loss_is_that_of_transformers_and_counts_bytes(tokenizer):
    model = fresh(tokenizer)
    texts = ["The cat sat.", "A dog ran to the park 🙂 and saw"]
    found = loss(model, tokenizer, texts)
    nats = []
    for text in texts:
        ids = torch.tensor([tokenizer(text).input_ids])
        with torch.no_grad():
            nats.append(float(model(ids, labels=ids).loss) * (ids.shape[1] - 1))
    np.testing.assert_allclose(found.nats, nats, rtol=1e-5)
    assert found.n_bytes == sum(len(text.encode()) for text in texts)
    assert found.bits_per_byte == pytest.approx(sum(nats) / np.log(2) / found.n_bytes, rel=1e-5)
    assert found.nats_per_token == pytest.approx(sum(nats) / found.n_tokens, rel=1e-5)


def test_loss_of_uniform_predictions_is_log_of_the_vocabulary(tokenizer):
    model = fresh(tokenizer)
    with torch.no_grad():
        model.model.norm.weight.zero_()
    found = loss(model, tokenizer, PAIRS[:5])
    assert found.nats_per_token == pytest.approx(np.log(len(tokenizer)))
    assert found.n_bytes == sum(len(completion) for _, completion in PAIRS[:5])


def test_a_text_longer_than_the_context_counts_the_bytes_that_were_scored(tokenizer):
    text = "The cat sat on the mat. " * 20
    found = loss(fresh(tokenizer), tokenizer, [text])
    assert found.n_tokens == 31
    assert found.n_bytes == len(tokenizer.decode(tokenizer(text).input_ids[1:32]))


@needs_stories260k
@pytest.mark.parametrize(
    ("file", "nats", "bits"),
    [
        ("v2_train_head_10k_lines.txt", 1.3186, 0.9236),
        pytest.param("train_head_2MB.txt", 1.458, 1.059, marks=pytest.mark.long),
    ],
)
def test_stories260k_has_its_known_loss(file, nats, bits):
    """The last 400 stories, stripped, each behind a beginning-of-text token and cut at 512 tokens."""
    model, tokenizer = loading.load(STORIES260K, device="cpu")
    text = (STORIES260K.parents[2] / "tinystories" / file).read_text()
    stories = [story.strip() for story in text.split("<|endoftext|>") if story.strip()][-400:]
    found = loss(model, tokenizer, stories)
    assert found.nats_per_token == pytest.approx(nats, abs=5e-4)
    assert found.bits_per_byte == pytest.approx(bits, abs=5e-4)


# Training


def test_training_learns_and_leaves_a_folder_that_loads(tokenizer, tmp_path):
    model, logged = fresh(tokenizer), []
    history = train(
        model,
        tokenizer,
        STORIES,
        TrainConfig(steps=40, **SHORT),
        folder=tmp_path / "m",
        held_out=STORIES[:8],
        log=logged.append,
    )
    assert history.finished
    assert history.rows == logged
    assert history.frame()["held_out_nats"].dropna().is_monotonic_decreasing
    assert logged[-1]["held_out_nats"] < 0.6 * logged[0]["held_out_nats"]
    assert logged[-1] | {"step": 40, "tokens": 40 * 4 * 32} == logged[-1]
    again, _ = loading.load(tmp_path / "m", device="cpu")
    assert_same(weights(model), weights(again))
    other = fresh(tokenizer)
    repeated = train(other, tokenizer, STORIES, TrainConfig(steps=40, **SHORT), folder=tmp_path / "m")
    assert repeated.rows == logged
    assert_same(weights(model), weights(other))
    with pytest.raises(UserError, match="learning_rate"):
        train(
            other,
            tokenizer,
            STORIES,
            TrainConfig(steps=40, **SHORT | {"learning_rate": 1e-4}),
            folder=tmp_path / "m",
        )


def test_what_was_trained_is_freed_when_nobody_has_it(tokenizer, tmp_path):
    model = fresh(tokenizer)
    gc.disable()  # without a search: the next training has none either
    try:
        train(model, tokenizer, STORIES, TrainConfig(steps=2, **SHORT), folder=tmp_path / "m")
        seen = weakref.ref(model)
        del model
        assert seen() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("architecture", ["llama", "gpt-neo", "bloom"])
def test_fine_tuning_on_completions_teaches_the_completion(tokenizer, tmp_path, architecture):
    model = fresh(tokenizer, architecture)
    before = loss(model, tokenizer, PAIRS).nats_per_token
    train(model, tokenizer, PAIRS, TrainConfig(steps=60, **SHORT), folder=tmp_path / "m")
    assert loss(model, tokenizer, PAIRS).nats_per_token < 0.6 * before


@pytest.mark.parametrize("examples", [STORIES, PAIRS], ids=["texts", "pairs"])
def test_accumulating_eight_passes_of_one_row_equals_one_of_eight(tokenizer, tmp_path, examples):
    one, eight = fresh(tokenizer), fresh(tokenizer)
    options = {key: value for key, value in SHORT.items() if key != "batch_size"} | {"steps": 4}
    a = train(one, tokenizer, examples, TrainConfig(batch_size=8, **options), folder=tmp_path / "a")
    b = train(
        eight,
        tokenizer,
        examples,
        TrainConfig(batch_size=1, gradient_accumulation=8, **options),
        folder=tmp_path / "b",
    )
    assert_close(weights(one), weights(eight), atol=2e-4)
    np.testing.assert_allclose([r["loss"] for r in a.rows], [r["loss"] for r in b.rows], rtol=1e-4)


def test_one_step_is_adamw_on_the_mean_loss_of_the_learnt_tokens(tokenizer, tmp_path):
    trained, mine = fresh(tokenizer), fresh(tokenizer)
    options = SHORT | {"warmup": 0, "batch_size": len(pack(tokenizer, PAIRS, 32).ids)}
    train(
        trained, tokenizer, PAIRS, TrainConfig(steps=1, schedule="constant", **options), folder=tmp_path / "m"
    )
    losses, count = 0.0, 0
    for prompt, completion in PAIRS:
        ids = torch.tensor([*tokenizer(prompt + completion).input_ids, tokenizer.eos_token_id])
        begin = len(tokenizer(prompt).input_ids)
        rows = mine(ids[None]).logits[0, begin - 1 : -1]
        losses, count = (
            losses + torch.nn.functional.cross_entropy(rows, ids[begin:], reduction="sum"),
            count + len(rows),
        )
    (losses / count).backward()
    torch.nn.utils.clip_grad_norm_(mine.parameters(), 1.0)
    decayed = [p for p in mine.parameters() if p.ndim > 1]
    groups = [
        {"params": decayed, "weight_decay": 0.1},
        {"params": [p for p in mine.parameters() if p.ndim < 2]},
    ]
    torch.optim.AdamW(groups, lr=options["learning_rate"], betas=(0.9, 0.95), weight_decay=0.0).step()
    moved = {name: value - weights(fresh(tokenizer))[name] for name, value in weights(mine).items()}
    found = {name: value - weights(fresh(tokenizer))[name] for name, value in weights(trained).items()}
    for name, value in moved.items():  # Adam's first step is nearly the gradient's sign: compare directions
        assert torch.nn.functional.cosine_similarity(value.flatten(), found[name].flatten(), dim=0) > 0.999


@pytest.mark.parametrize("family", ["Llama", "GPTNeoX"])  # the second is saved under other names
def test_a_stopped_training_goes_on_to_the_same_weights(tokenizer, tmp_path, family):
    whole, cut, again = (families.fresh(family, vocab_size=len(tokenizer)) for _ in range(3))
    a = train(whole, tokenizer, STORIES, TrainConfig(steps=20, **SHORT), folder=tmp_path / "a")
    asked = []

    def stop():
        asked.append(1)
        return len(asked) == 7

    half = train(cut, tokenizer, STORIES, TrainConfig(steps=20, **SHORT), folder=tmp_path / "b", stop=stop)
    assert not half.finished
    assert half.rows[-1]["step"] == 7
    b = train(again, tokenizer, STORIES, TrainConfig(steps=20, **SHORT), folder=tmp_path / "b")
    assert b.finished
    assert_same(weights(whole), weights(again))
    finished = families.fresh(family, vocab_size=len(tokenizer))
    found = train(finished, tokenizer, STORIES, TrainConfig(steps=20, **SHORT), folder=tmp_path / "b")
    assert found.rows == b.rows
    assert_same(weights(whole), weights(finished))
    assert [row["step"] for row in b.rows] == [row["step"] for row in a.rows]
    np.testing.assert_allclose([row["loss"] for row in a.rows], [row["loss"] for row in b.rows], rtol=1e-6)
    assert (tmp_path / "a/model.safetensors").read_bytes() == (tmp_path / "b/model.safetensors").read_bytes()


@pytest.mark.parametrize("cut", ["before the old one goes", "between the two renames"])
def test_a_kill_while_the_finished_model_takes_its_place_loses_nothing(tokenizer, tmp_path, cut):
    folder, old, new = tmp_path / "model", tmp_path / ".model.77.old", tmp_path / ".model.77.new"
    trained = fresh(tokenizer)
    train(trained, tokenizer, STORIES, TrainConfig(steps=4, **SHORT), folder=folder)
    if cut == "between the two renames":
        folder.rename(new)
        old.mkdir()
    else:
        new.mkdir()
    again = fresh(tokenizer)
    assert train(again, tokenizer, STORIES, TrainConfig(steps=4, **SHORT), folder=folder).finished
    assert_same(weights(trained), weights(again))
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_the_second_of_two_trainings_goes_on_in_a_new_process_and_saves_the_model_as_it_was(
    tokenizer, tmp_path
):
    def first():  # a process that finds it finished only loads it
        model = fresh(tokenizer)
        model.config.pad_token_id = None  # the Trainer sets the tokenizer's
        train(model, tokenizer, STORIES, TrainConfig(steps=2, **SHORT), folder=tmp_path / "first")
        return model

    second, folder = TrainConfig(steps=4, **SHORT), tmp_path / "second"
    asked = []
    stop = lambda: asked.append(1) or len(asked) == 2
    assert not train(first(), tokenizer, STORIES, second, folder=folder, stop=stop).finished
    assert train(first(), tokenizer, STORIES, second, folder=folder).finished
    assert loading.load(tmp_path / "second", "cpu")[0].config.use_cache  # else others sample without a cache


def test_an_exception_leaves_the_last_checkpoint_and_a_half_written_one_is_ignored(tokenizer, tmp_path):
    whole, cut = fresh(tokenizer), fresh(tokenizer)
    train(whole, tokenizer, STORIES, TrainConfig(steps=12, **SHORT), folder=tmp_path / "a")

    def interrupt(row):
        if row.get("step") == 8:
            raise KeyboardInterrupt

    config = TrainConfig(steps=12, checkpoint_every=3, **SHORT)
    with pytest.raises(KeyboardInterrupt):
        train(cut, tokenizer, STORIES, config, folder=tmp_path / "b", log=interrupt)
    assert [path.name for path in (tmp_path / "b").glob("checkpoint-*")] == ["checkpoint-6"]
    (tmp_path / "b/checkpoint-9").mkdir()
    (tmp_path / "b/checkpoint-9/model.safetensors").write_bytes(b"half")
    seen = []
    train(again := fresh(tokenizer), tokenizer, STORIES, config, folder=tmp_path / "b", log=seen.append)
    assert seen[0]["step"] == 7
    assert_same(weights(whole), weights(again))


def test_training_works_in_a_thread(tokenizer, tmp_path):
    found = []

    def work():
        model, folder = fresh(tokenizer), tmp_path / "m"
        found.append(
            train(model, tokenizer, STORIES, TrainConfig(steps=3, **SHORT), folder=folder, stop=lambda: False)
        )

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(60)
    assert found
    assert found[0].finished


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"steps": 1, "epochs": 1}, "one of steps"),
        ({}, "one of steps"),
        ({"steps": 0}, "at least one"),
        ({"steps": 1, "schedule": "wavy"}, "cosine"),
        ({"steps": 1, "precision": "fp8"}, "bf16"),
    ],
)
def test_settings_that_contradict_are_the_users_mistake(tokenizer, tmp_path, options, says):
    with pytest.raises(UserError, match=says):
        train(fresh(tokenizer), tokenizer, STORIES, TrainConfig(**SHORT | options), folder=tmp_path / "m")


def test_a_folder_with_other_files_is_left_alone(tokenizer, tmp_path):
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(UserError, match="other files"):
        train(fresh(tokenizer), tokenizer, STORIES, TrainConfig(steps=1, **SHORT), folder=tmp_path)
    assert (tmp_path / "thesis.tex").read_text() == "mine"


# In processes of their own

SCRIPT = """
import json, os, resource, sys, time
from test_train import SHORT, STORIES, TEXTS, Lora, TrainConfig, fresh, models, train
folder, options = sys.argv[1], json.loads(sys.argv[2])
options["lora"] = options.get("lora") and Lora(**options["lora"])
limit, last = options.pop("limit", None), options.pop("last", None)
def log(row):
    print(json.dumps(row), flush=True)
    if last and row.get("step") == last:
        time.sleep(600)  # until it is killed
    if limit and row.get("step") == limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
tokenizer = models.train_tokenizer(TEXTS + STORIES, 300)
train(fresh(tokenizer), tokenizer, STORIES, TrainConfig(**SHORT | options), folder=folder, log=log)
import torch
if torch.distributed.is_initialized():
    rank, size = torch.distributed.get_rank(), torch.distributed.get_world_size()
    sys.stderr.write(f"process {rank} of {size}\\n")  # in one piece: both write to one place
"""


def start(folder, options, *launcher):
    command = [*(launcher or [sys.executable]), "-c", SCRIPT] if not launcher else [*launcher]
    environment = os.environ | {
        "PYTHONPATH": f"{Path(__file__).parent}:{Path(__file__).parents[1]}",
        "OMP_NUM_THREADS": "1",
    }
    return subprocess.Popen(
        [*command, str(folder), json.dumps(options)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


@pytest.mark.parametrize("lora", [None, Lora(4, 8)], ids=["all weights", "LoRA"])
def test_a_killed_training_goes_on_to_the_same_bytes(tokenizer, tmp_path, lora):
    options = {"steps": 24, "checkpoint_every": 10, "lora": lora and asdict(lora)}
    killed = start(tmp_path / "b", options | {"last": 12})
    for line in killed.stdout:
        if json.loads(line)["step"] >= 12:
            break
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert not (tmp_path / "b/model.safetensors").exists()
    assert list((tmp_path / "b").glob("checkpoint-*"))
    seen, threads = [], torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for name in "ab":
            steps = []
            config = TrainConfig(**SHORT | options | {"lora": lora})
            log = lambda row, steps=steps: steps.append(row["step"])
            train(fresh(tokenizer), tokenizer, STORIES, config, folder=tmp_path / name, log=log)
            seen.append(steps)
    finally:
        torch.set_num_threads(threads)
    assert seen[1][0] > 10
    assert (tmp_path / "a/model.safetensors").read_bytes() == (tmp_path / "b/model.safetensors").read_bytes()


def test_a_full_disk_is_one_sentence_and_the_checkpoint_before_stays(tmp_path):
    done = start(tmp_path / "m", {"steps": 30, "checkpoint_every": 5, "limit": 7})
    _, errors = done.communicate(timeout=600)
    assert done.returncode != 0
    assert "UserError: Checkpoint 10 could not be written" in errors
    assert [path.name for path in (tmp_path / "m").glob("checkpoint-*")] == ["checkpoint-5"]


@pytest.mark.slow
def test_two_processes_follow_the_trajectory_of_one(tokenizer, tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    two = start(tmp_path / "two", {"steps": 6}, *launcher, str(tmp_path / "script.py"))
    output, errors = two.communicate(timeout=300)
    assert two.returncode == 0, errors
    assert sorted(re.findall(r"process (\d) of 2", errors)) == ["0", "1"]
    one = train(fresh(tokenizer), tokenizer, STORIES, TrainConfig(steps=6, **SHORT), folder=tmp_path / "one")
    rows = [json.loads(line) for line in output.splitlines()]
    assert [row["step"] for row in rows] == [row["step"] for row in one.rows]
    np.testing.assert_allclose([row["loss"] for row in rows], [row["loss"] for row in one.rows], rtol=1e-4)
    first, second = (loading.load(tmp_path / name, device="cpu")[0] for name in ("one", "two"))
    assert_close(weights(first), weights(second), atol=2e-4)
