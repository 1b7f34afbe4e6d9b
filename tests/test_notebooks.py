"""Every notebook: clean on disk, and run headless at profile=quick by the runner."""

import ast
import json
import re

import pytest
from all_notebooks import ended_well, run_all
from repository import ROOT

from workbench.claims import UNRESOLVED, UNTESTABLE
from workbench.lab.report.size import limit_of

PATHS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
every_notebook = pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def code_cells(path):
    return [cell for cell in read(path)["cells"] if cell["cell_type"] == "code"]


def source(cell):
    return "".join(cell["source"])


@every_notebook
def test_committed_without_results(path):
    for cell in code_cells(path):
        assert cell["outputs"] == []
        assert cell["execution_count"] is None
    assert "widgets" not in read(path)["metadata"]


@every_notebook
def test_opens_with_parameters_and_start(path):
    first, second, *_ = code_cells(path)
    tagged = [cell for cell in code_cells(path) if "parameters" in cell["metadata"].get("tags", [])]
    assert tagged == [first]
    assert f'workbench.start("{path.stem}", globals())' in source(second)


@every_notebook
def test_parameters_are_typed_literals_with_help(path):
    text = source(code_cells(path)[0])
    statements = [s for s in ast.parse(text).body if not isinstance(s, ast.ImportFrom)]
    for statement in statements:
        assert isinstance(statement, ast.AnnAssign), ast.unparse(statement)
        ast.literal_eval(statement.value)
        assert "  # " in text.splitlines()[statement.end_lineno - 1], ast.unparse(statement)
    declared = {s.target.id: ast.literal_eval(s.value) for s in statements}
    assert declared["profile"] == "quick"
    assert isinstance(declared["seed"], int)


@every_notebook
def test_says_what_it_is_and_needs(path):
    metadata = read(path)["metadata"]
    about = metadata["workbench"]
    assert about["title"]
    first = "".join(read(path)["cells"][0]["source"])
    assert first.startswith(f"# {about['title']}\n")  # one title, not two
    assert about["minutes"] > 0
    assert {need.split(" if ")[0] for need in about["needs"]} <= {other.stem for other in PATHS} - {path.stem}
    assert metadata["kernelspec"]["name"] == "python3"


@every_notebook
def test_stays_thin(path):
    cells = code_cells(path)
    assert len(cells) <= 18
    assert max(len(re.findall(r"^.+$", source(cell), re.M)) for cell in cells) <= 20
    assert sum(cell["cell_type"] == "markdown" for cell in read(path)["cells"]) >= len(cells) // 2


@every_notebook
def test_names_no_place_of_one_machine(path):
    found = re.findall(
        r"""["'\s(=](/(?:home|Users|root|tmp|work|mnt|data)/\S*|[A-Z]:\\\S*)""", path.read_text()
    )
    assert found == []


def run_of(path, project):
    folders = list((project / "runs" / path.stem).glob("*/run.json"))
    assert len(folders) == 1
    return folders[0].parent


@pytest.mark.notebook
@every_notebook
def test_runs_headless(path, project):
    folder = run_of(path, project)
    assert read(folder / "run.json")["status"] == "done"
    assert not list(folder.rglob("*.pkl"))
    for name in ("run.json", "claims.json", "notebook.ipynb", "metrics.jsonl"):
        if (folder / name).exists():
            assert str(project) not in (folder / name).read_text(encoding="utf-8"), name


@pytest.mark.notebook
@every_notebook
def test_claims_have_intervals(path, project):
    claims = read(run_of(path, project) / "claims.json")
    assert claims
    assert sum(claim["headline"] for claim in claims) == 1
    for claim in claims:
        if claim["n"] > 1:
            assert claim["low"] <= claim["effect"] <= claim["high"], claim
        else:  # of one pair of pools nobody knows how it varies
            assert claim["low"] is None, claim
            assert claim["verdict"] in (UNRESOLVED, UNTESTABLE), claim
        assert claim["over"], claim
        assert claim["says"], claim


@pytest.mark.notebook
@every_notebook
def test_report_can_be_sent(path, project):
    reports = project / "runs" / "reports"
    page = (reports / f"{path.stem}.html").read_bytes()
    assert 20_000 < len(page) <= limit_of(page)
    index = (reports / "index.html").read_text(encoding="utf-8")
    assert f'href="{path.stem}.html"' in index
    assert "still to come" not in index
    assert not (project / "reports").exists(), "a run dirties nothing that is committed"


@pytest.mark.notebook
def test_second_run_is_cached(project):
    def state():
        return {file: file.stat().st_mtime_ns for file in (project / "runs").rglob("*.parquet")}

    before = state()
    ended_well(project, run_all(project))
    assert state() == before
    assert len(list((project / "runs").glob("*/*/run.json"))) == len(PATHS)
