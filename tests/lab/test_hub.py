"""Revisions of hub ids: recorded with a run, and part of its key where it is known beforehand."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from lab_project import write_notebook

import workbench
from workbench.lab import hub, project, record

COMMITS = ("a" * 40, "b" * 40)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache of the hub that holds a model, a model without owner, and a data set."""
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    paths = {}
    for folder in ("models--some-org--some-model", "models--small", "datasets--some-org--some-problems"):
        paths[folder] = tmp_path / "hf" / "hub" / folder / "refs" / "main"
        paths[folder].parent.mkdir(parents=True)
        paths[folder].write_text(COMMITS[0])
    return paths


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("some-org/some-model", ["some-org/some-model"]),
        ("transformers:some-org/some-model,hidden:small", ["some-org/some-model", "small"]),
        ("gsm8k:some-org/some-problems:main:test", ["some-org/some-problems"]),
        ("embedded", []),
        ("Somebody of the group {group} is asked: ", []),
        ("openai:http://host/v1#some-org/some-model", []),
        ("../some-org", []),
    ],
)
def test_the_ids_in_a_text_are_found_with_their_commits(cache, text, ids):
    assert hub.revisions([text, 3, None]) == dict.fromkeys(ids, COMMITS[0])
    assert hub.revisions([[text]]) == dict.fromkeys(ids, COMMITS[0])


def test_what_is_not_in_the_cache_is_unknown(cache):
    assert hub.revisions(["other/model", "embedded"]) == {"other/model": "unknown"}
    cache["models--small"].write_text("../../etc")
    assert hub.revisions(["small"]) == {}


@pytest.fixture
def answers(monkeypatch):
    """A hub on this machine: what it answers, by path; the paths asked for are kept under "asked"."""
    answers = {"asked": []}

    class Hub(BaseHTTPRequestHandler):
        def do_GET(self):
            answers["asked"].append(self.path)
            self.send_response(200 if self.path in answers else 404)
            self.end_headers()
            self.wfile.write(json.dumps({"sha": answers.get(self.path)}).encode())

        def log_message(self, *words):
            pass

    server = HTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    hub._newest.cache_clear()
    yield answers
    server.shutdown()


def revision_parts(root, **values):
    hub._newest.cache_clear()
    lines = [f"{name}: str = 'embedded'" for name in ("model", "data")]
    write_notebook(root, "01_study", parameters="\n".join(lines))
    return project.plan(project.find_notebook(root, "01"), values).parts.get("revisions")


def test_online_the_newest_revision_counts_and_offline_the_one_that_was_fetched(
    cache, answers, root, monkeypatch
):
    answers |= {
        "/api/models/some-org/some-model": COMMITS[1],
        "/api/datasets/other/problems": COMMITS[1],
        "/api/models/large": COMMITS[0],
    }
    given = {"model": "some-org/some-model", "data": "gsm8k:other/problems:main:test"}
    online = {"some-org/some-model": COMMITS[1], "other/problems": COMMITS[1]}
    assert revision_parts(root, **given) == online
    assert revision_parts(root, model="large") == {"large": COMMITS[0]}  # a bare name, not in the cache yet
    cache["models--some-org--some-model"].write_text(COMMITS[1])
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    answers["asked"].clear()
    assert revision_parts(root, **given) == online | {"other/problems": "unknown"}
    assert not answers["asked"]


def test_a_hub_that_does_not_answer_leaves_the_cache_s_revision(cache, answers, root, monkeypatch):
    given = {"model": "some-org/some-model", "data": "some-org/some-problems"}
    assert revision_parts(root, **given) == dict.fromkeys(given.values(), COMMITS[0])  # it knows neither
    answers["/api/models/some-org/some-model"] = "../../etc"
    assert revision_parts(root, **given) == dict.fromkeys(given.values(), COMMITS[0])
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert revision_parts(root, **given) == dict.fromkeys(given.values(), COMMITS[0])


def test_nobody_is_asked_about_words_that_are_no_ids(answers, root):
    assert revision_parts(root, model="starter", data="logic") is None
    assert answers["asked"] == []


def test_one_command_asks_once_however_often_it_plans(cache, answers, root):
    revision_parts(root, model="some-org/some-model")
    answers["asked"].clear()
    for _ in range(3):
        project.plan(project.find_notebook(root, "01"), {"model": "some-org/some-model"})
    assert len(answers["asked"]) <= 2  # models and data sets, unless a minute has begun meanwhile


def test_offline_another_revision_is_another_run(cache, root, monkeypatch, say):
    write_notebook(root, "01_study", parameters="model: str = 'embedded'")
    study = project.find_notebook(root, "01")
    values = {"model": "some-org/some-model"}
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    folders = []
    for commit in COMMITS:
        cache["models--some-org--some-model"].write_text(commit)
        run = workbench.start("01_study", values)
        run.finish()
        assert record.read_run(run.folder)["revisions"] == {"some-org/some-model": commit}
        folders.append(run.folder.name)
    assert len({*folders}) == 2
    assert "revision some-org/some-model" in say("show", "01", "--why")[1]
    assert project.plan(study, {}).parts.keys() == {"notebook", "code", "parameters", "inputs"}
