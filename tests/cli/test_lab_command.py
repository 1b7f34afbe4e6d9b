"""workbench lab: JupyterLab is started on this project, at the notebook that is named, with its options."""

import pytest

START = "--LabApp.default_url=/lab/tree/notebooks"


@pytest.fixture
def started(monkeypatch):
    """The arguments that JupyterLab would have been started with."""
    from jupyterlab import labapp

    given = []
    monkeypatch.setattr(labapp, "main", given.append)
    return given


def test_it_opens_the_folder_of_the_notebooks(say, root, started, monkeypatch):
    monkeypatch.chdir(root / "notebooks")
    assert say("lab")[0] == 0
    ((where, contents, address),) = started
    assert where == f"--ServerApp.root_dir={root}"
    assert contents.endswith("=workbench.lab.contents.ProjectContents")
    assert address == START


def test_it_opens_one_notebook_and_hands_options_on(say, started):
    assert say("lab", "study", "--", "--no-browser", "--port=8890")[0] == 0
    assert started[0][2:] == [f"{START}/01_study.ipynb", "--no-browser", "--port=8890"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["lab", "stduy"], "There is no notebook stduy in"),
        (["lab", "01", "--", "--port", "8890"], "Open 01 or 8890; options come with their value"),
    ],
)
def test_a_mistake_is_one_sentence_and_starts_nothing(say, started, words, sentence):
    code, printed, complaint = say(*words)
    assert (code, printed) == (2, "")
    assert complaint.startswith(sentence)
    assert complaint.count("\n") == 1
    assert not started
