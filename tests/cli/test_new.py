"""workbench new: a study that runs as it stands, passes the linter, and counts in the key."""

import shutil
import subprocess
import sys

import pytest
from lab_project import command
from repository import ROOT

from workbench.cli import new
from workbench.lab import project

PARTS = ["__init__", "check", "defaults", "experiment", "method", "results", "views"]


@pytest.fixture
def study(say, root):
    code, printed, _ = say("new", "02_tides")
    assert code == 0
    assert "notebooks/02_tides.ipynb" in printed
    return root / "studies" / "tides"


def key(root):
    return project.plan(project.find_notebook(root, "02"), {}).key


def edit(path, before, after):
    text = path.read_text()
    assert text.count(before) == 1
    path.write_text(text.replace(before, after))


def test_everything_is_written(study, root):
    assert sorted(path.stem for path in study.glob("*.py")) == PARTS
    notebook = project.find_notebook(root, "02")
    assert project.source_of(notebook.cells[0]).startswith(f"# {notebook.metadata['title']}\n")
    assert (root / "tests" / "tides" / "test_tides.py").exists()
    assert (root / "studies" / "__init__.py").exists()


def test_modules_of_the_project_count_and_pictures_do_not(study, root):
    first = key(root)
    counted = project.find_notebook(root, "02").key_parts["code"]
    assert {f"studies/tides/{name}.py" for name in PARTS} - set(counted) == {
        "studies/tides/check.py",
        "studies/tides/defaults.py",
        "studies/tides/views.py",
    }
    edit(study / "views.py", "One beginning, two ways", "The same beginning, two ways")
    edit(study / "method.py", "The ways of drawing a token", "What is compared: the ways of drawing a token")
    assert key(root) == first
    edit(study / "method.py", "NUCLEUS: top_p", "NUCLEUS: top_p / 2")
    assert key(root) != first


@pytest.mark.slow
def test_it_runs_and_appears_where_the_others_do(study, root, say):
    ran = command(root, "run", "02")
    assert (ran.wait(timeout=300), ran.stderr.read()) == (0, "")
    page = (root / "runs" / "reports" / "02_tides.html").read_text(encoding="utf-8")
    assert "Sentences that the grader can read" in page
    assert 'href="02_tides.html"' in (root / "runs" / "reports" / "index.html").read_text(encoding="utf-8")
    assert "02_tides" in say("list")[1]
    assert "never draws unlikely tokens" in say("ledger")[1]
    ran = command(root, "sweep", "02", "-p", "seed=0,1")
    assert ran.wait(timeout=300) == 0
    assert len(list((root / "runs" / "02_tides").glob("*/run.json"))) == 2
    code, printed, _ = say("compare", "02:seed=0", "02:seed=1")
    assert code == 0
    assert "seed" in printed


@pytest.mark.slow
def test_its_test_passes_wherever_pytest_is_started(study, root):
    bare = ["-p", "no:cacheprovider", "-q", "tests"]
    done = subprocess.run([sys.executable, "-m", "pytest", *bare], cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("inside", [False, True], ids=["project", "checkout"])
def test_it_passes_the_linter(say, root, inside):
    if inside:
        leave_out = shutil.ignore_patterns("__pycache__", "assets")
        shutil.copytree(ROOT / "workbench", root / "workbench", ignore=leave_out)
    assert say("new", "02_tides")[0] == 0
    where = root / "workbench" / "studies" if inside else root / "studies"
    assert (where / "tides" / "method.py").exists()
    for words in (["check"], ["format", "--check"]):
        command = [sys.executable, "-m", "ruff", *words, "--no-cache", "--config", ROOT / "pyproject.toml"]
        paths = [where / "tides", root / "tests", root / "notebooks" / "02_tides.ipynb"]
        done = subprocess.run([*command, *paths], cwd=root, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout


REFUSED = {
    "tides": "tides has no number: give a free one before it, as in 02_tides.",
    "01_tides": "The number 01 is taken by 01_study: 02_tides is free.",
    "1000_tides": "as in 02_tides.",
    "1_tides": "cannot name a study, whose modules Python imports: two or three digits, then small"
    " letters, digits and underscores, as in 02_tides.",
    "02_study": "The name study is taken by 01_study: choose another one.",
    "02_low tides": "as in 02_low_tides.",
    "02-low-tides": "as in 02_low_tides.",
    "02_Tides": "as in 02_tides.",
    "02_class": "as in 02_study_class.",
    "02_": "as in 02_my_study.",
    "02_3d": "as in 02_study_3d.",
    "../02_x": "../02_x has no number: give a free one before it, as in 02_study_02_x.",
    "02_" + "x" * 80: "cannot name a study",
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_name_that_will_not_do_is_one_sentence(say, root, name):
    before = sorted(root.rglob("*"))
    code, printed, complaint = say("new", name)
    assert (code, printed) == (2, "")
    assert REFUSED[name] in complaint
    assert complaint.count("\n") == 1
    assert sorted(root.rglob("*")) == before


def test_what_is_suggested_will_do():
    for name in REFUSED:
        try:
            new.check_name(name, ["01_study"])
        except new.UserError as error:
            if "as in " in str(error):
                new.check_name(str(error).partition("as in ")[2].rstrip("."), ["01_study"])


def test_files_that_are_there_are_kept(say, root):
    mine = root / "studies" / "tides" / "method.py"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    code, _, complaint = say("new", "02_tides")
    assert (code, complaint) == (
        2,
        "studies/tides/method.py is there already: choose another name than 02_tides.\n",
    )
    assert mine.read_text() == "mine"
    assert not (root / "notebooks" / "02_tides.ipynb").exists()


@pytest.mark.slow
def test_a_module_that_breaks_is_named_with_its_line(study, root):
    method = study / "method.py"
    method.write_text(method.read_text() + "\nways = undefined_name\n")
    ran = command(root, "run", "02")
    assert ran.wait(timeout=120) == 1
    printed = " ".join(ran.stdout.read().replace("│", " ").split())
    line = len(method.read_text().splitlines())
    assert f"name 'undefined_name' is not defined (in studies/tides/method.py, line {line})" in printed
    assert "Traceback" not in printed


def test_a_check_that_does_not_import_is_named_before_anything_runs(study, root, say):
    (study / "check.py").write_text("import no_such_module\n")
    code, _, complaint = say("run", "02")
    assert code == 2
    assert "studies.tides.check" in complaint
    assert "no_such_module" in complaint
    assert not (root / "runs" / "02_tides").exists()
