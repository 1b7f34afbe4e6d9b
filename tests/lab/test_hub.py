"""Revisions of hub ids: recorded with a run, and part of its key where it is known beforehand."""

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


def test_offline_another_revision_is_another_run(cache, root, monkeypatch, say):
    write_notebook(root, "01_study", parameters="model: str = 'embedded'")
    study = project.find_notebook(root, "01")
    values = {"model": "some-org/some-model"}
    online = project.plan(study, values).key
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    folders = []
    for commit in COMMITS:
        cache["models--some-org--some-model"].write_text(commit)
        run = workbench.start("01_study", values)
        run.finish()
        assert record.read_run(run.folder)["revisions"] == {"some-org/some-model": commit}
        folders.append(run.folder.name)
    assert len({online, *folders}) == 3
    assert "revision some-org/some-model" in say("show", "01", "--why")[1]
    assert project.plan(study, {}).parts.keys() == {"notebook", "code", "parameters", "inputs"}
