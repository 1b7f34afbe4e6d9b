"""What parameters that are left open become: asked of the study, kept in the record, shown everywhere."""

import re
import shutil

import pytest
from lab_project import write_notebook

import workbench
from workbench.lab import record, terminal
from workbench.lab.defaults import spelled
from workbench.lab.report import page

CELL = """
from typing import Literal
profile: Literal["quick", "laptop"] = "quick"
n: int | None = None
k: int = 1
"""
SIZES = "def defaults(params):\n    return {'n': 2_500 if params.profile == 'quick' else 40_000, 'k': 7}"


@pytest.fixture
def study(root, fresh_studies):
    (root / "studies" / "sized").mkdir(parents=True)
    (root / "studies" / "sized" / "defaults.py").write_text(SIZES)
    (root / "studies" / "sized" / "method.py").write_text("")
    write_notebook(root, "02_sized", "from studies.sized import method", parameters=CELL)
    return root


def finished(root, **values):
    run = workbench.start("02_sized", {"profile": "quick", "n": None, "k": 1} | values)
    shutil.copy(root / "notebooks" / "02_sized.ipynb", run.folder / "notebook.ipynb")
    run.finish()
    return run.folder


def test_a_finished_run_says_what_its_open_parameters_became(study, say):
    folder = finished(study)
    assert record.read_run(folder)["effective"] == {"n": 2500}
    assert spelled(record.read_run(folder)) == {"profile": "quick", "n": "2,500 (quick)", "k": "1"}
    assert re.search(r"n +2,500 \(quick\)", say("show", "02")[1])
    html = page.write_report(folder, study / "page.html").read_text(encoding="utf-8")
    assert "2,500 (quick)" in html
    assert record.read_run(finished(study, n=3))["effective"] == {}, "it was given"


def test_a_comparison_says_it_too(study, say):
    quick, laptop = finished(study), finished(study, profile="laptop")
    out = say("compare", quick.name, laptop.name)[1]
    assert re.search(r"n +2,500 \(quick\) +40,000 \(laptop\)", out)


def test_a_study_that_breaks_costs_no_run(study):
    (study / "studies" / "sized" / "defaults.py").write_text("def defaults(params):\n    return 1 / 0")
    folder = finished(study)
    assert record.read_run(folder)["status"] == "done"
    assert spelled(record.read_run(folder))["n"] == "none"


def test_a_run_of_an_older_workbench_says_none(run):
    run.finish()
    written = record.read_run(run.folder)
    written["params"] = {"seed": None, "chat": False, "name": "x"}
    del written["effective"]
    assert spelled(written) == {"seed": "none", "chat": "false", "name": "x"}


@pytest.mark.parametrize(
    ("passed", "expected", "said"),
    [
        (75, "40 s", "75 of about 40 s"),
        (75.4, None, "1 min 15 s"),
        (192, "12 min", "3.2 of about 12 min"),
        (5400, "2 h", "1.5 of about 2 h"),
    ],
)
def test_the_time_that_has_passed_is_in_the_unit_of_the_time_that_is_expected(passed, expected, said):
    assert terminal.against(passed, expected) == said
