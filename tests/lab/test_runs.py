"""Run folders: what stands in them, and what survives a kill, a full disk and a second process."""

import json
import math
import shutil
from pathlib import Path

import pandas
import pytest
from lab_project import write_notebook

import workbench
from workbench import files
from workbench.claims import Claim
from workbench.errors import UserError
from workbench.lab import history, project, record
from workbench.lab.ledger import read_claims

START = 'import workbench\nseed = 0\nrun = workbench.start("01_study", globals())\n'


def frame(rows=3):
    return pandas.DataFrame({"x": range(rows)})


def test_the_same_parameters_open_the_same_folder(root):
    first = workbench.start("01_study", {"seed": 0})
    first.close()
    again, other = workbench.start("01_study", {"seed": 0}), workbench.start("01_study", {"seed": 1})
    assert again.folder == first.folder
    assert other.folder != first.folder
    assert other.seed == other.params.seed == 1


def test_start_again_in_the_same_kernel_does_not_wait_for_itself(root):
    namespace = {"seed": 0}
    namespace["run"] = workbench.start("01_study", namespace)
    namespace["run"] = workbench.start("01_study", namespace)
    assert record.is_locked(namespace["run"].folder)


def test_a_table_is_made_once_and_reads_the_same_afterwards(run):
    made = run.table("squares", frame)
    again = run.table("squares", lambda: pytest.fail("made twice"))
    pandas.testing.assert_frame_equal(made, again)
    with pytest.raises(UserError, match="no table other"):
        run.table("other")


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/b", "", ".hidden", "x" * 65])
def test_names_cannot_leave_the_folder(run, name):
    with pytest.raises(UserError, match="cannot name a file"):
        run.artifact(name)


def test_rows_come_in_the_order_of_the_items_whatever_the_piece(run):
    def work(items):
        return frame(0) if not items else pandas.DataFrame({"x": items})

    whole = run.rows("whole", range(10), work, piece=100)
    pieces = run.rows("pieces", range(10), work, piece=3)
    assert list(pieces.x) == list(range(10))
    pandas.testing.assert_frame_equal(whole, pieces)
    assert len(run.rows("none", [], work)) == 0
    assert [path.name for path in sorted((run.folder / "tables").iterdir())] == [
        "none.parquet",
        "pieces.parquet",
        "whole.parquet",
    ]


def test_a_finished_run_keeps_its_metrics_when_it_is_opened_again(run):
    run.log(step=1)
    run.finish()
    again = workbench.start("01_study", {"seed": 0})
    again.log(step=1)
    assert len((run.folder / "metrics.jsonl").read_text().splitlines()) == 1
    assert record.is_done(run.folder)


def test_a_finished_run_keeps_the_time_it_took_when_it_is_finished_again(run):
    run.finish()
    before = files.read_json(run.folder / "run.json") | {"started": "2020-01-01T00:00:00+00:00"}
    files.write_json(run.folder / "run.json", before)
    workbench.start("01_study", {"seed": 0}).finish()
    assert files.read_json(run.folder / "run.json") == before


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.1, 0.3, "reproduced"),
        (-0.3, -0.1, "opposite"),
        (-0.1, 0.3, "not resolved at this scale"),
        (0.0, 0.3, "not resolved at this scale"),
        (math.nan, 0.3, "not resolved at this scale"),
    ],
)
def test_the_verdict_follows_from_the_interval(low, high, verdict):
    assert Claim("c", "It grows.", "yes", 0.2, low, high, 5, "stories").verdict == verdict


def test_a_claim_of_the_same_name_is_replaced_and_nan_survives_the_file(run):
    for name, effect in (("a", 0.2), ("b", 0.2), ("a", math.nan)):
        run.claim(Claim(name, "It grows.", "yes", effect, 0.1, 0.3, 5, "stories"))
    a, b = read_claims(run.folder)
    assert (a.name, b.name, b.verdict) == ("a", "b", "reproduced")
    assert math.isnan(a.effect)
    assert a.verdict == "not resolved at this scale"
    assert "NaN" not in (run.folder / "claims.json").read_text()


def test_a_run_of_a_newer_schema_is_left_alone(run):
    run.close()
    path = run.folder / "run.json"
    path.write_text(json.dumps(files.read_json(path) | {"schema": record.SCHEMA + 1, "status": "odd"}))
    before = path.read_bytes()
    with pytest.raises(UserError, match="newer workbench"):
        workbench.start("01_study", {"seed": 0})
    assert path.read_bytes() == before
    assert not record.is_locked(run.folder)
    assert history.state(run.folder) == "newer"
    assert history.leftovers(run.folder.parents[1], run.folder / "none", older=True) == {}


def test_a_folder_that_was_moved_still_reads(run, root, monkeypatch):
    run.table("squares", frame)
    run.claim(Claim("c", "It grows.", "yes", 1, 0.5, 2, 3, "stories"))
    run.finish()
    shutil.move(root / "runs", root / "elsewhere")
    monkeypatch.setenv("WORKBENCH_RUNS", str(root / "elsewhere"))
    moved = history.find_run(history.all_runs(project.runs_folder(root)), "01")
    assert history.state(moved) == "done"
    assert read_claims(moved)[0].verdict == "reproduced"
    shutil.copytree(moved, moved.with_name(f"{moved.name}-copy"))
    assert history.find_run(history.all_runs(project.runs_folder(root)), moved.name) == moved
    again = workbench.start("01_study", {"seed": 0})
    assert again.folder == moved
    assert len(again.table("squares")) == 3


def test_no_absolute_path_and_no_pickle_in_a_run_folder(root):
    (root / "data.txt").write_text("a story")
    write_notebook(root, "02_file", parameters='data: str = "embedded"')
    opened = workbench.start("02_file", {"data": str(root / "data.txt")})
    opened.table("squares", frame)
    opened.rows("r", range(4), lambda items: pandas.DataFrame({"x": items}), piece=2)
    opened.log(step=1)
    opened.finish()
    for path in filter(Path.is_file, opened.folder.rglob("*")):
        assert str(root).encode() not in path.read_bytes(), path
        assert path.suffix in {".json", ".jsonl", ".parquet"}
    assert record.read_run(opened.folder)["params"] == {"data": "data.txt"}


@pytest.mark.parametrize(
    ("namespace", "said"),
    [
        ({}, "run the parameters cell first"),
        ({"seed": "0"}, "seed=0 does not fit"),
        ({"seed": 0, "In": ["", "# Parameters\nsed = 1\n"]}, "did you mean seed?"),
    ],
)
def test_start_checks_the_parameters_that_the_notebook_holds(root, namespace, said):
    with pytest.raises(UserError, match=said):
        workbench.start("01_study", namespace)
    assert not (root / "runs").exists()


def test_only_what_changed_is_named(root):
    for seed in (0, 1):
        workbench.start("01_study", {"seed": seed}).finish()
    newest = history.find_run(history.all_runs(root / "runs"), "01_study")
    _, lines = history.why(newest, root / "runs")
    assert lines == ["parameter seed: 0 → 1"]


def test_a_damaged_table_is_one_sentence(run):
    (run.folder / "tables").mkdir(exist_ok=True)
    (run.folder / "tables" / "t.parquet").write_bytes(b"PAR1")
    with pytest.raises(UserError, match=r"Cannot read .*t\.parquet"):
        run.table("t")
