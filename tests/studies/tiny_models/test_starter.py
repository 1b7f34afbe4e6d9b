"""The model that comes with the package: where it is found, what its card says, and whether that is so."""

import json
from dataclasses import replace

import pandas as pd
import pytest
import torch

from workbench.corpora.labelled_tokens import simulated_stories
from workbench.corpora.stories import write_stories
from workbench.engine import loading, models
from workbench.engine.training.loss import loss
from workbench.engine.training.train import train
from workbench.errors import UserError
from workbench.lab.params import content, model_of
from workbench.sources import SHIPPED, located
from workbench.studies.stories.method import simulate
from workbench.studies.tiny_models import ladder, starter

torch.set_num_threads(1)
FOLDER = SHIPPED["starter"]


@pytest.fixture(scope="module")
def card():
    return json.loads((FOLDER / "card.json").read_text(encoding="utf-8"))


def test_the_starter_is_small_and_what_its_card_says(card):
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) <= 2.5e6
    model, tokenizer = loading.load("starter", "cpu")
    assert model.dtype == torch.float32
    assert models.count_parameters(model).total == card["parameters"]
    texts = [text for text, _ in simulated_stories(40, card["corpus_seed"])]  # it has read none of them
    assert loss(model, tokenizer, texts).nats_per_token == pytest.approx(card["nats"], abs=0.1)
    assert card["licence"] == "Apache-2.0"
    assert card["command"] in (FOLDER / "README.md").read_text(encoding="utf-8")


def test_the_starter_counts_in_a_key_by_its_content_and_a_folder_of_its_name_wins(tmp_path, monkeypatch):
    params = model_of('model: str = "starter"', "x")
    assert located("starter") == str(FOLDER)
    monkeypatch.chdir(tmp_path)
    shipped = content(params())
    assert set(shipped["model"]) == {"sha256"}
    assert content(params(model="transformers:starter"))["model"]["sha256"] == shipped["model"]["sha256"]
    (tmp_path / "starter").mkdir()
    assert content(params()) != shipped
    with pytest.raises(UserError, match="starter holds no model"):
        loading.load("starter")


@pytest.mark.slow
def test_the_recipe_begins_with_the_losses_that_the_card_keeps(tmp_path, card):
    sizes = ladder.SIZES["laptop"]
    stories = simulate(range(card["stories"]), seed=card["corpus_seed"])["story"].tolist()
    training, _ = ladder.split(stories, card["seed"])
    tokenizer = ladder.fit_tokenizer(training, sizes)
    assert tokenizer.get_vocab() == loading.load("starter", "cpu")[1].get_vocab()
    config, settings = ladder.arms_of(sizes, len(tokenizer), "llama")[starter.RUNG]
    rows, last = [], card["early"][-1]["step"]
    train(
        models.build(config, card["seed"]),
        tokenizer,
        training,
        replace(settings, seed=card["seed"]),
        folder=tmp_path / "model",
        log=rows.append,
        stop=lambda: bool(rows) and rows[-1]["step"] == last,
    )
    assert [row["step"] for row in rows] == [row["step"] for row in card["early"]]
    losses = [row["loss"] for row in rows]
    assert losses == pytest.approx([row["loss"] for row in card["early"]], abs=0.05)  # other processors round


@pytest.fixture
def run(tmp_path):
    """A finished run of 02 with one model, and the run of 01 that it has read."""
    texts = [story.text for story in write_stories(60, seed=0)]
    sizes = ladder.Sizes((ladder.Rung(starter.RUNG, "tiny:0.1M"),), 2048, 300, 64, 4, 1, 1, 1)
    folder, corpus = tmp_path / "02_tiny_models/abc", tmp_path / "01_stories/def/tables"
    corpus.mkdir(parents=True)
    pd.DataFrame({"story": texts}).to_parquet(corpus / "stories.parquet")
    ladder.fit_ladder(
        ladder.fit_tokenizer(texts, sizes), texts[:50], texts[50:], sizes, folder / "artifacts/models",
        architecture="llama", device="cpu", seeds=[7, 8], log=lambda **row: None,
    )  # fmt: skip
    record = {"notebook": "02_tiny_models", "key": "abc", "seed": 7, "inputs": {"01_stories": "def"}}
    (folder / "run.json").write_text(json.dumps(record | {"params": {"profile": "laptop"}}))
    return folder


def test_a_finished_run_gives_a_starter_with_its_card(run, tmp_path):
    card = starter.make(run, tmp_path / "new")
    assert (card["key"], card["seed"], card["stories"], card["tokens"]) == ("abc", 7, 60, 2048)
    assert card["command"] == "workbench run 02_tiny_models -p profile=laptop"
    assert [row["step"] for row in card["early"]] == [1, 2, 3, 4]
    assert json.loads((tmp_path / "new/card.json").read_text()) == card
    model, _ = loading.load(tmp_path / "new", "cpu")
    trained, _ = loading.load(ladder.trained(run / "artifacts/models", starter.RUNG, 7), "cpu")
    for (name, new), old in zip(model.named_parameters(), trained.parameters(), strict=True):
        assert torch.equal(new, old.half().float()), name


def test_what_is_no_finished_run_gives_no_starter(run, tmp_path):
    (ladder.trained(run / "artifacts/models", starter.RUNG, 7) / "training.json").unlink()
    for folder in (run, tmp_path):
        with pytest.raises(
            UserError, match=f"is no finished run of 02_tiny_models with a {starter.RUNG} model"
        ):
            starter.make(folder, tmp_path / "new")
    assert not (tmp_path / "new").exists()
