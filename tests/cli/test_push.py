"""What `workbench push` writes for the hub: models that load, tables that are read, cards without secrets."""

import json

import huggingface_hub
import pandas
import pytest
from example_run import HOSTILE, write_example_run
from huggingface_hub import DatasetCard, ModelCard, RepoUrl

from workbench.lab import cards

KEY = "hf_" + "a1B2" * 8
PLACE = "/srv/somebody/secret-project"
PARAMS = {"profile": "laptop", "seed": 0, "model": f"{PLACE}/base-model", "data": "gsm8k:some/problems:test",
          "judge": f"openai:http://10.0.0.7:8000/v1?key={KEY}#judge", "note": None}  # fmt: skip


@pytest.fixture
def models(root):
    """Two small models, one of them a step on the way, and their run."""
    from transformers import LlamaConfig, LlamaForCausalLM

    parts = {"parameters": {"model": {"sha256": "0" * 64}}}
    about = {"params": PARAMS, "set": ["model", "data", "judge"], "parts": parts, "workbench": "0.1.0"}
    about |= {"revisions": {"some/problems": "b" * 40}, "finished": "2026-11-20T21:31:00+00:00"}
    run = write_example_run(root / "runs", **about)
    small = LlamaConfig(hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1,
                        vocab_size=11)  # fmt: skip
    for name in ("models/seed-0/a b/model", "models/seed-0/a b/checkpoints/1"):
        folder = run / "artifacts" / name
        LlamaForCausalLM(small).save_pretrained(folder)
        config = json.loads((folder / "config.json").read_text()) | {"_name_or_path": f"{PLACE}/base-model"}
        (folder / "config.json").write_text(json.dumps(config))
        (folder / "optimizer.pt").write_bytes(b"nobody's business")
        (folder / "training.json").write_text("{}")
    (run / "tables").mkdir()
    rows = {"item": [0, 1], "text": [f"a {KEY}", f"{PLACE}/file.txt"]}
    pandas.DataFrame(rows).to_parquet(run / "tables/answers.parquet")
    return run


@pytest.fixture
def written(root, models, say, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", KEY)
    code, out, err = say("push", "02", "me/tiny", "--out", "pushed")
    assert code == 0, err
    assert out.split() == ["✓", "pushed/model/README.md", "✓", "pushed/dataset/README.md"]
    return root / "pushed"


def test_the_models_load_and_only_what_loading_takes_is_there(written):
    from transformers import AutoModelForCausalLM

    names = {path.relative_to(written / "model").as_posix() for path in (written / "model").rglob("*.*")}
    assert names == {"README.md", "config.json", "generation_config.json", "model.safetensors"}
    assert AutoModelForCausalLM.from_pretrained(written / "model").config.vocab_size == 11


def test_several_models_have_a_folder_each_with_the_line_that_loads_one(models, say, root):
    (models / "artifacts/models/seed-0/a b/checkpoints").rename(models / "artifacts/other")
    assert say("push", "02", "me/tiny", "--out", "pushed")[0] == 0
    kept = {
        path.parent.relative_to(root / "pushed/model").as_posix()
        for path in root.rglob("pushed/**/config.json")
    }
    assert kept == {"other/1", "seed-0/a-b"}
    text = (root / "pushed/model/README.md").read_text()
    assert "The 2 models that a run of the study" in text
    assert 'from_pretrained("me/tiny", subfolder="seed-0/a-b")' in text


def test_the_cards_say_what_it_is_how_it_was_made_and_what_came_of_it(written):
    model, data = ModelCard.load(written / "model/README.md"), DatasetCard.load(written / "dataset/README.md")
    results = {result.metric_type: result for result in model.data.eval_results}
    headline = results["grammar-first"]
    assert headline.metric_value == 31.2
    assert headline.metric_args == {
        "low": 22.4, "high": 40.3, "level": 0.95, "unit": "points", "n": 200, "over": "stories",
        "verdict": "seen in 2 trainings",
    }  # fmt: skip
    assert model.data.library_name == "transformers"
    assert model.data.datasets == ["some/problems"]
    assert (model.data.license, data.data.license) == ("other", "other")  # something was given
    assert [entry["config_name"] for entry in data.data.configs] == ["claims", "answers"]
    for entry in data.data.configs:
        assert len(pandas.read_parquet(written / "dataset" / entry["data_files"]))
    for card in (model, data):
        for words in ("3fa9c1d2b7e0", "| workbench | 0.1.0 |", "| model | base-model |", "22.4 to 40.3",
                      "gsm8k:some/problems:test", "b" * 40, "@software{small-model-workbench,"):  # fmt: skip
            assert words in card.content


def test_nothing_that_is_pushed_holds_a_secret_a_place_or_a_script(written):
    for path in (path for path in written.rglob("*") if path.is_file()):
        content = path.read_bytes()
        for word in (KEY, PLACE, "/srv/somebody", "10.0.0.7"):
            assert word.encode() not in content, path
    texts = list(pandas.read_parquet(written / "dataset/tables/answers.parquet")["text"])
    assert texts == ["a ***", "file.txt"]
    body = ModelCard.load(written / "model/README.md").text
    for raw in (*HOSTILE[:2], "<img", "<script", "<svg"):
        assert raw not in body


def test_what_the_workbench_made_itself_is_under_its_own_licence(root, say):
    run = write_example_run(root / "runs")
    assert say("push", str(run), "me/tiny", "--out", "pushed")[0] == 0
    card = DatasetCard.load(root / "pushed/dataset/README.md")
    assert card.data.license == "apache-2.0"
    assert "no model or data of others" in card.text
    assert not (root / "pushed/model").exists()


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("gsm8k:/srv/me/train.jsonl", "gsm8k:train.jsonl"),
        ("../../data/a.txt,~/b.txt", "a.txt,b.txt"),
        (r"C:\Users\me\model", "model"),
        ("https://arxiv.org/abs/2305.07759", "https://arxiv.org/abs/2305.07759"),
        ("org/name and/or 3/4 \\cite{x}", "org/name and/or 3/4 \\cite{x}"),
    ],
)
def test_of_a_path_the_last_name_is_kept(text, kept):
    assert cards.public(text) == kept


# ------------------------------------------------------------------------------- uploading
class Hub:
    """A hub that keeps what it is asked."""

    def __init__(self, token):
        self.asked.append(token)

    def create_repo(self, repo, repo_type, private, exist_ok):
        self.asked.append((repo, repo_type, private))
        return RepoUrl(f"https://huggingface.co/{'datasets/' * (repo_type == 'dataset')}{repo}")

    def upload_folder(self, repo_id, folder_path, repo_type, commit_message):
        self.asked.append((repo_id, repo_type, sorted(path.name for path in folder_path.iterdir())))


@pytest.fixture
def hub(monkeypatch):
    monkeypatch.setattr(Hub, "asked", [], raising=False)
    monkeypatch.setattr(huggingface_hub, "HfApi", Hub)
    monkeypatch.setattr("workbench.engine.hub.hub_answers", lambda: True)
    monkeypatch.setenv("HF_TOKEN", KEY)


def test_with_a_token_both_go_to_a_private_repository(models, hub, say):
    code, out, err = say("push", "02", "me/tiny")
    assert code == 0, err
    assert Hub.asked == [
        KEY,
        ("me/tiny", "model", True),
        ("me/tiny", "model", ["README.md", "config.json", "generation_config.json", "model.safetensors"]),
        ("me/tiny", "dataset", True),
        ("me/tiny", "dataset", ["README.md", "claims.parquet", "tables"]),
    ]
    assert out.split()[1::2] == ["https://huggingface.co/me/tiny", "https://huggingface.co/datasets/me/tiny"]
    Hub.asked.clear()
    assert say("push", "02", "me/tiny", "--public")[0] == 0
    assert Hub.asked[1] == ("me/tiny", "model", False)


def test_a_hub_that_refuses_is_one_sentence(models, hub, say, monkeypatch):
    def refuse(self, *words, **more):
        raise ValueError(f"403 Forbidden\nfor token {KEY}")

    monkeypatch.setattr(Hub, "upload_folder", refuse)
    code, out, err = say("push", "02", "me/tiny")
    assert (code, out, len(err.strip().splitlines())) == (2, "", 1)
    assert "The hub does not take me/tiny (403 Forbidden for token ***)." in err


def test_without_a_token_or_a_network_nothing_is_tried(models, hub, say, monkeypatch):
    monkeypatch.setattr("workbench.engine.hub.hub_answers", lambda: False)
    code, _, err = say("push", "02", "me/tiny")
    assert (code, len(err.strip().splitlines())) == (2, 1)
    assert "cannot be reached" in err
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: None)
    code, _, err = say("push", "02", "me/tiny")
    assert (code, len(err.strip().splitlines())) == (2, 1)
    assert "There is no token of the hub: set HF_TOKEN" in err
    assert "--out FOLDER" in err
    assert Hub.asked == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["02", "a//b", "--out", "new"], "write OWNER/NAME"),
        (["02", "me/tiny", "--out", "notebooks"], "is there already"),
        (["99", "me/tiny", "--out", "new"], "There is no run 99"),
        (["02", "me/tiny", "--out", "notebooks/01_study.ipynb"], "is there already"),
    ],
)
def test_a_mistake_is_one_sentence(root, models, say, words, said):
    code, out, err = say("push", *words)
    assert (code, out, len(err.strip().splitlines())) == (2, "", 1)
    assert said in err
    assert not (root / "new").exists()


def test_tables_named_like_other_parts_have_names_of_their_own(models, say, root):
    for name in ("claims", "metrics"):
        pandas.DataFrame({"own": [1]}).to_parquet(models / f"tables/{name}.parquet")
    assert say("push", "02", "me/tiny", "--out", "pushed")[0] == 0
    card = DatasetCard.load(root / "pushed/dataset/README.md")
    names = [entry["config_name"] for entry in card.data.configs]
    assert names == ["claims", "answers", "tables_claims", "tables_metrics"]


def test_the_name_of_a_home_folder_may_hold_blanks(monkeypatch):
    monkeypatch.setenv("HOME", "/srv/Jane Doe")
    assert cards.public("/srv/Jane Doe/models/base") == "base"
    assert cards.without_place("/srv/Jane Doe/models/base") == "base"
    assert cards.public("gsm8k:/srv/Jane Doe/train.jsonl") == "gsm8k:train.jsonl"
    assert "Jane" not in cards.without_place("see /srv/Jane Doe/my models/base for more")
    monkeypatch.setenv("HOME", "/")
    assert cards.public("https://example.org/a") == "https://example.org/a"


def test_a_claim_whose_gate_is_shut_is_no_result_of_the_model(models, say, root):
    path = models / "claims.json"
    claims = json.loads(path.read_text())
    for entry in claims:
        if entry["name"] == "grammar-first":
            entry["gates"] = [{"name": "floor", "value": 0.0, "low": 0.5, "high": None}]
    path.write_text(json.dumps(claims))
    assert say("push", "02", "me/tiny", "--out", "pushed")[0] == 0
    card = ModelCard.load(root / "pushed/model/README.md")
    assert "grammar-first" not in {result.metric_type for result in card.data.eval_results}
    assert "not testable here" in card.text
