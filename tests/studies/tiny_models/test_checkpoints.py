"""Snapshots of a training: what they are asked and write, and which trainings count."""

import json

import pandas as pd
import pytest
import torch

from workbench.corpora.stories import write_stories
from workbench.engine import loading
from workbench.engine.training.loss import loss
from workbench.studies.tiny_models import checkpoints, grading, ladder

torch.set_num_threads(1)
STORIES = [story.text for story in write_stories(120, seed=0)]
RUNGS = (
    ladder.Rung("a", "tiny:0.1M", hidden_size=32),
    ladder.Rung("b", "tiny:0.1M", n_layers=1, hidden_size=32),
)
SIZES = ladder.Sizes(
    RUNGS, 8192, vocab_size=512, context=256, batch_size=4, beginnings=3, probes=2, seeds=2, checkpoints=4
)


@pytest.fixture(scope="module")
def models_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    ladder.fit_ladder(
        ladder.fit_tokenizer(STORIES, SIZES), STORIES[:100], STORIES[100:], SIZES, folder,
        architecture="llama", device="cpu", seeds=[4], log=lambda **row: None,
    )  # fmt: skip
    return folder


def test_every_snapshot_but_the_first_is_asked_and_scored(models_folder):
    table = checkpoints.course(models_folder, [(4, "a"), (4, "b")], STORIES[100:110], 2, "cpu")
    steps = [tokens for tokens, _ in ladder.checkpoints(models_folder, "a", 4)]
    assert steps[0] == 0
    assert sorted(table["tokens"].unique()) == steps[1:]
    assert len(table) == 2 * len(steps[1:]) * 12  # names of questions, lures apart
    assert table["right"].isin([0, 0.5, 1]).all()
    model, tokenizer = loading.load(ladder.checkpoints(models_folder, "a", 4)[-1][1], "cpu")
    last = table[(table["model"] == "a") & (table["tokens"] == steps[-1])]["nats"]
    assert last.nunique() == 1
    assert last.iloc[0] == pytest.approx(loss(model, tokenizer, STORIES[100:110]).nats_per_token)


def test_without_questions_the_losses_remain_and_no_training_is_an_empty_table(models_folder):
    table = checkpoints.course(models_folder, [(4, "b")], STORIES[100:105], 0, "cpu")
    assert table["nats"].notna().all()
    assert table["right"].isna().all()
    nothing = checkpoints.course(models_folder, [], STORIES[100:105], 2, "cpu")
    assert list(nothing.columns) == list(table.columns)
    assert nothing.empty


def test_unfinished_models_go_on_with_the_same_beginnings(models_folder):
    begun = grading.beginnings(STORIES[100:], 2, 0, {})
    written = checkpoints.drafts(models_folder, [(4, "b")], begun, 0, "cpu")
    steps = [tokens for tokens, _ in ladder.checkpoints(models_folder, "b", 4)]
    by_tokens = written.groupby("tokens")["item"].apply(list)
    assert by_tokens.to_dict() == dict.fromkeys(steps[1:-1], begun["item"].tolist())
    empty = checkpoints.drafts(models_folder, [], begun, 0, "cpu")
    assert list(empty.columns) == list(written.columns)


@pytest.mark.parametrize(("last", "counted"), [(4.5, True), (4.6, False), (float("nan"), False)])
def test_a_training_counts_if_its_loss_ends_below_three_quarters_of_the_first(tmp_path, last, counted):
    folder = ladder.trained(tmp_path, "a", 0)
    folder.mkdir(parents=True)
    rows = [{"held_out_nats": 6.0}, {"loss": 1.0}, {"held_out_nats": last}]
    (folder / "training.json").write_text(json.dumps({"rows": rows}))
    assert checkpoints.untrained(tmp_path, [(0, "a")]).empty == counted


def test_what_has_not_learnt_is_left_out_and_counted():
    fitted = {0: {"a": 1, "b": 2}, 1: {"a": 3, "b": 4}}
    none = pd.DataFrame(columns=["seed", "model", "first", "last"])
    assert checkpoints.leave_out(fitted, none)[0] == fitted
    one = pd.DataFrame({"seed": [1], "model": ["b"]})
    left, said = checkpoints.leave_out(fitted, one)
    assert left == {0: {"a": 1, "b": 2}, 1: {"a": 3}}
    assert said.startswith("Left out are 1 of 4 trainings: b (seed 1);")
    whole_seed = pd.DataFrame({"seed": [0, 0], "model": ["a", "b"]})
    assert list(checkpoints.leave_out(fitted, whole_seed)[0]) == [1]
    nobody = pd.DataFrame({"seed": [0, 0, 1, 1], "model": ["a", "b", "a", "b"]})
    left, said = checkpoints.leave_out(fitted, nobody)
    assert left == fitted
    assert said.startswith("None of 4 trainings has learnt")
