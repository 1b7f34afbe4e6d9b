"""A project of one notebook and its open run, and the project in which every notebook has run."""

import pytest
from all_notebooks import project  # noqa: F401  a fixture
from lab_project import write_notebook

import workbench


@pytest.fixture
def root(tmp_path, monkeypatch):
    for name in ("WORKBENCH_RUNS", "WORKBENCH_RUN"):
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
