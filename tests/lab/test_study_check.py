"""A study of one's own says what it cannot run with: to `run`, to `start()`, and for those that need it."""

import json
import sys

import pytest
from lab_project import run, write_notebook

import workbench
from workbench.errors import UserError
from workbench.lab import project

CHECK = """
from workbench.errors import UserError

def check(params):
    if params.seed % 2:
        raise UserError(f"seed={params.seed} is odd: take the next one.")
"""


@pytest.fixture
def root(tmp_path, monkeypatch, fresh_studies):
    """A project with a study that has a check, and a notebook that needs it."""
    (tmp_path / "studies" / "mine").mkdir(parents=True)
    (tmp_path / "studies" / "mine" / "check.py").write_text(CHECK)
    write_notebook(tmp_path, "01_mine", "run.finish()", check="studies.mine.check")
    write_notebook(tmp_path, "02_other", "run.finish()", needs=["01_mine"])
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WORKBENCH_RUNS", raising=False)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return tmp_path


@pytest.mark.parametrize("name", ["01_mine", "02_other"])
def test_what_a_check_refuses_is_not_begun(root, name):
    with pytest.raises(UserError, match="seed=3 is odd: take the next one"):
        run(root, name, seed="3")
    with pytest.raises(UserError, match="seed=3 is odd"):
        workbench.start(name, {"seed": 3})
    assert not (root / "runs").exists()
    workbench.start(name, {"seed": 2}).close()


def test_it_looks_before_files_are_read_for_the_key(root, monkeypatch):
    monkeypatch.setattr("workbench.lab.params.content", lambda params: pytest.fail("made a digest"))
    with pytest.raises(UserError, match="seed=5 is odd"):
        run(root, "02_other", seed="5")


def test_a_check_is_no_part_of_a_runs_key(root):
    def key():
        return project.plan(project.find_notebook(root, "01"), {"seed": 2}).key

    before = key()
    (root / "studies" / "mine" / "check.py").write_text("def check(params):\n    pass\n")
    assert key() == before
    path = root / "notebooks" / "01_mine.ipynb"
    notebook = json.loads(path.read_text())
    del notebook["metadata"]["workbench"]["check"]
    path.write_text(json.dumps(notebook))
    assert key() == before
