"""The folder that is committed: written by one command, and enough to draw every page again."""

import json
import shutil

import pytest
from example_run import example_notebook
from lab_project import write_notebook

import workbench
from workbench import files
from workbench.claims import Claim
from workbench.lab import history, record
from workbench.lab.report import publication

EXECUTED = json.dumps(example_notebook(), indent=1)


@pytest.fixture
def root(tmp_path, monkeypatch):
    for name in ("WORKBENCH_RUNS", "WORKBENCH_RUN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    for name in ("01_rows", "02_read"):
        write_notebook(tmp_path, name, parameters="n: int = 3\nplacebo: bool = False")
    return tmp_path


def finished(name, **values):
    """A finished run with tables, metrics, artifacts and an executed notebook."""
    import pandas as pd

    run = workbench.start(name, {"n": 3, "placebo": False} | values)
    run.claim(Claim("grows", "It grows.", "yes", 0.2, 0.1, 0.3, 5, "stories"))
    for table, size in (("few", 3), ("many", 4000)):
        run.table(table, lambda size=size: pd.DataFrame({"x": [0.1 * x for x in range(size)]}))
    run.log(step=1, loss=2.0)
    (run.folder / "artifacts").mkdir()
    (run.folder / "artifacts" / "model.safetensors").write_bytes(b"weights")
    (run.folder / "notebook.ipynb").write_text(EXECUTED)
    run.finish()
    return run.folder


def read_all(folder):
    return {path.name: path.read_bytes() for path in folder.glob("*.html")}


def test_what_is_published_draws_the_same_pages_when_the_runs_are_gone(
    root, say, tmp_path_factory, monkeypatch
):
    kept = finished("01_rows", n=4)
    finished("02_read")
    placebo = finished("02_read", placebo=True)
    code, out, err = say("publish")
    assert (code, err) == (0, "")
    assert "Published: reports/index.html (3 pages" in out
    pages = read_all(root / "reports")
    assert set(pages) == {"01_rows.html", "02_read.html", "02_read-placebo.html", "index.html"}
    here = root / "reports" / "runs" / "01_rows" / kept.name
    names = {path.relative_to(here).as_posix() for path in here.rglob("*") if path.is_file()}
    tables = {"tables/few.parquet", "tables/many.parquet"}
    assert names == {"run.json", "claims.json", "notebook.ipynb", "metrics.jsonl"} | tables
    shutil.rmtree(root / "runs")
    away = tmp_path_factory.mktemp("away")
    monkeypatch.chdir(away)
    folders = sorted((root / "reports" / "runs").iterdir())
    assert say("report", *map(str, folders))[0] == 0
    assert read_all(away / "reports") == pages
    each = [str(path.parent) for path in (root / "reports" / "runs").glob("*/*/run.json")]
    assert say("report", *each, "--out", "each")[0] == 0
    assert read_all(away / "each") == pages
    assert placebo.name.encode() not in pages["index.html"]


def test_the_readme_says_what_when_from_which_commit_and_how(root, say):
    folder = finished("01_rows", n=4)
    described = files.read_json(folder / "run.json")
    described["environment"]["git"] = "0123456789abcdef+changes"
    files.write_json(folder / "run.json", described)
    say("publish")
    text = (root / "reports" / "README.md").read_text()
    for words in (
        "[01_rows](01_rows.html)",
        folder.name,
        "n=4",
        "`0123456789ab` with changes",
        "make reproduce",
    ):
        assert words in text
    assert str(root) not in text


def test_another_folder_is_published_to_and_leaves_the_first_alone(root, say):
    finished("01_rows")
    say("publish")
    before = read_all(root / "reports")
    finished("02_read")
    code, out, err = say("publish", "02_read", "--out", "reports/real")
    assert (code, err) == (0, "")
    assert "Published: reports/real/index.html (1 page" in out
    assert set(read_all(root / "reports" / "real")) == {"02_read.html", "index.html"}
    assert read_all(root / "reports") == before


def test_the_newest_runs_are_published_or_those_named_or_those_of_parameters(root, say):
    old, new = finished("01_rows"), finished("01_rows", n=4)
    finished("02_read")

    def published():
        return {path.parent.name for path in (root / "reports" / "runs").glob("*/*/run.json")} & {
            old.name, new.name
        }  # fmt: skip

    say("publish")
    assert published() == {new.name}
    assert say("publish", old.name[:6])[0] == 0
    assert published() == {old.name}
    assert not (root / "reports" / "02_read.html").exists(), "what was published before is cleared"
    assert say("publish", "-p", "n=3")[0] == 0
    assert published() == {old.name}
    code, _, err = say("publish", "-p", "n=4")
    assert code == 2
    assert "02_read" in err
    assert "workbench run --all -p n=4" in err
    assert published() == {old.name}, "and what is there stays"


def test_there_is_no_end_of_room_and_what_is_left_out_is_named(root, say, monkeypatch):
    folder = finished("01_rows")
    sizes = {path.name: path.stat().st_size for path in (folder / "tables").iterdir()}
    logged = (folder / "metrics.jsonl").stat().st_size
    monkeypatch.setattr(publication, "MOST", logged + sizes["few.parquet"] + 10)
    _, out, _ = say("publish")
    name = f"01_rows/{folder.name}/tables/many.parquet"
    assert name in "".join(out.split())
    assert name in (root / "reports" / "README.md").read_text()
    assert {path.name for path in (root / "reports").rglob("*.parquet")} == {"few.parquet"}


def test_what_lies_in_reports_beside_the_publication_stays(root, say):
    finished("01_rows")
    (root / "reports").mkdir()
    (root / "reports" / "mine.html").write_text("mine")
    say("publish")
    say("publish")
    assert (root / "reports" / "mine.html").read_text() == "mine"
    assert not list((root / "reports").rglob(".*"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "There is no finished run to publish"),
        (["03_none"], "There is no run 03_none"),
        (["01", "-p", "n=3"], "not both"),
        (["-p", "m=3"], "no parameter m"),
    ],
)
def test_a_mistake_is_one_sentence(root, say, words, said):
    code, out, err = say("publish", *words)
    assert (code, out, len(err.strip().splitlines())) == (2, "", 1)
    assert said in err
    assert not (root / "reports").exists()


def test_a_run_that_is_not_finished_or_has_nothing_to_show_is_refused(root, say):
    failed = finished("01_rows")
    record.mark(failed, "failed", "broken")
    code, _, err = say("publish", "01")
    assert (code, "it is failed" in err, len(err.strip().splitlines())) == (2, True, 1)
    unseen = finished("02_read")
    (unseen / "notebook.ipynb").unlink()
    code, _, err = say("publish", "02")
    assert (code, "shows nothing" in err, len(err.strip().splitlines())) == (2, True, 1)
    both = finished("02_read", n=5)
    code, _, err = say("publish", both.name, finished("02_read", n=6).name)
    assert (code, "Two runs of 02_read would be one page" in err) == (2, True)
    assert not (root / "reports").exists()


def test_a_placebo_has_a_page_of_its_own_and_is_never_the_newest(root, say):
    run = finished("01_rows")
    placebo = finished("01_rows", placebo=True)
    assert history.find_run(history.all_runs(root / "runs"), "01_rows") == run
    assert history.newest_done(root / "runs") == [run]
    assert history.newest_placebos(root / "runs") == [placebo]
    assert history.leftovers(root / "runs", root / "reports", older=True) == {}
    for words in (["report"], ["run", "01"], ["run", "01", "-p", "placebo=true"]):
        assert say(*words)[0] == 0
        pages = root / "runs" / "reports"
        assert run.name in (pages / "01_rows.html").read_text()
        assert placebo.name in (pages / "01_rows-placebo.html").read_text()
        index = (pages / "index.html").read_text()
        assert run.name in index
        assert placebo.name not in index
        assert "Placebo: in one run" in index
