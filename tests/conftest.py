"""A project of one notebook and its open run, and the project in which every notebook has run."""

import os
import sys

import pytest
from all_notebooks import needs_runs, project, started  # noqa: F401  fixtures
from lab_project import write_notebook

import workbench
from workbench.cli import app

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read by torch; the notebooks run beside the tests


@pytest.fixture
def root(tmp_path, monkeypatch):
    for name in ("WORKBENCH_RUNS", "WORKBENCH_RUN", "WORKBENCH_ANSWERS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WORK_DONE", str(tmp_path / "done.txt"))
    write_notebook(tmp_path, "01_study")
    return tmp_path


@pytest.fixture
def run(root):
    opened = workbench.start("01_study", {"seed": 0})
    yield opened
    opened.close()


def pytest_collection_modifyitems(items):
    """Tests of the notebooks' runs come last: the notebooks run beside all others."""
    items.sort(key=needs_runs)


@pytest.fixture
def say(root, monkeypatch, capfd):
    """Give a command in this process; returns exit code, stdout and stderr."""

    def give(*words):
        monkeypatch.setattr(sys, "argv", ["workbench", *words])
        monkeypatch.setattr(app.out, "_width", 120)
        with pytest.raises(SystemExit) as ended:
            app.main()
        return (ended.value.code or 0, *capfd.readouterr())

    return give
