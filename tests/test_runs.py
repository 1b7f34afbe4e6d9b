"""Run folders: what stands in them, and what survives a kill, a full disk and a second process."""

import json
import math
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pandas
import pytest
from lab_project import ROWS, child, write_notebook

import workbench
from workbench.errors import UserError
from workbench.lab import files, history, project, record
from workbench.lab.ledger import Claim, read_claims

START = 'import workbench\nseed = 0\nrun = workbench.start("01_study", globals())\n'


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


def test_a_kill_in_the_middle_of_rows_loses_only_the_piece_in_flight(root):
    killed = ROWS.replace(
        "    return", "    if 5 in items: import signal; os.kill(os.getpid(), signal.SIGKILL)\n    return"
    )
    process = child(root, "-c", START + killed + 'run.rows("r", range(10), work, piece=2)')
    assert process.wait() == -signal.SIGKILL
    process.communicate()
    process = child(root, "-c", START + ROWS + 'print(list(run.rows("r", range(10), work, piece=2).item))')
    out, err = process.communicate()
    assert out.strip().endswith(str(list(range(10)))), err
    worked = [int(line) for line in (root / "done.txt").read_text().split()]
    assert sorted(worked) == sorted([*range(10), 4, 5])  # items 4 and 5 were in flight


def test_pieces_cut_another_way_are_not_mixed(run):
    def fail_late(items):
        if 4 in items:
            raise RuntimeError
        return pandas.DataFrame({"x": items})

    with pytest.raises(RuntimeError):
        run.rows("r", range(6), fail_late, piece=2)
    assert list(run.rows("r", range(7), lambda i: pandas.DataFrame({"x": i}), piece=3).x) == list(range(7))


def test_a_kill_between_writing_and_renaming_leaves_the_old_file_whole(root):
    path = root / "kept.json"
    files.write_json(path, "old")
    code = (
        "import os, signal, pathlib; from workbench.lab import files\n"
        "os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "files.write_json(pathlib.Path('kept.json'), 'new')"
    )
    process = child(root, "-c", code)
    assert process.wait() == -signal.SIGKILL
    process.communicate()
    assert files.read_json(path) == "old"
    assert len(files.orphans(root)) == 1


def test_orphaned_temporary_files_go_when_the_run_is_opened_again(run):
    (run.folder / ".x.parquet.7.part.parquet").write_bytes(b"half")
    run.close()
    reopened = workbench.start("01_study", {"seed": 0})
    assert files.orphans(reopened.folder) == []


def test_two_processes_at_one_run_one_works_and_the_other_waits(root):
    slow = ROWS.replace("    return", "    import time; time.sleep(0.05)\n    return")
    code = START + slow + 'print(len(run.rows("r", range(40), work, piece=2)))\nrun.finish()'
    processes = [child(root, "-c", code) for _ in range(2)]
    outputs = [process.communicate()[0] for process in processes]
    assert [output.split()[-1] for output in outputs] == ["40", "40"]
    assert sum("waiting for it" in output for output in outputs) == 1
    assert sorted(map(int, (root / "done.txt").read_text().split())) == list(range(40))


def test_a_torn_last_line_of_the_metrics_is_dropped(run):
    run.log(step=1, loss=math.nan)
    path = run.folder / "metrics.jsonl"
    with open(path, "a") as file:
        file.write('{"step": 2, "lo')
    run.close()
    workbench.start("01_study", {"seed": 0}).log(step=2, loss=0.5)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(line["step"], line["loss"]) for line in lines] == [(1, None), (2, 0.5)]


def test_a_finished_run_keeps_its_metrics_when_it_is_opened_again(run):
    run.log(step=1)
    run.finish()
    again = workbench.start("01_study", {"seed": 0})
    again.log(step=1)
    assert len((run.folder / "metrics.jsonl").read_text().splitlines()) == 1
    assert record.is_done(run.folder)


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
    assert Claim("c", "It grows.", "yes", 0.2, low, high, 5).verdict == verdict


def test_a_claim_of_the_same_name_is_replaced_and_nan_survives_the_file(run):
    given = {"says": "It grows.", "paper": "yes", "low": 0.1, "high": 0.3, "n": 5}
    run.claim("a", effect=0.2, **given)
    run.claim("b", effect=0.2, **given)
    run.claim("a", effect=math.nan, **given)
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
    assert history.state(run.folder) == "newer"
    assert history.leftovers(run.folder.parents[1], older=True) == {}


def test_a_file_in_place_of_the_runs_folder_is_one_sentence(root):
    (root / "runs").write_text("")
    with pytest.raises(UserError, match=r"Cannot write in .*WORKBENCH_RUNS"):
        workbench.start("01_study", {"seed": 0})


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_an_unwritable_runs_folder_is_one_sentence(root):
    (root / "runs").mkdir(mode=0o500)
    with pytest.raises(UserError, match=r"Cannot write in .*WORKBENCH_RUNS"):
        workbench.start("01_study", {"seed": 0})


def test_a_file_that_may_not_grow_is_a_full_disk_and_loses_nothing(root):
    code = START + (
        "import resource, pandas, numpy\n"
        'run.table("kept", lambda: pandas.DataFrame({"x": [1]})); run.log(step=1)\n'
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "try: run.log(step=2, text='x' * 9000)\n"
        "except workbench.errors.UserError as error: print(error)\n"
        'run.table("big", lambda: pandas.DataFrame({"x": numpy.random.rand(9999)}))'
    )
    out, err = child(root, "-c", code).communicate()
    assert "The disk is full" in out
    assert "UserError: The disk is full" in err
    (folder,) = (root / "runs" / "01_study").glob("[!.]*")
    assert [path.name for path in (folder / "tables").iterdir()] == ["kept.parquet"]
    assert [json.loads(line)["step"] for line in (folder / "metrics.jsonl").read_text().splitlines()] == [1]


def test_a_full_disk_is_one_sentence_and_the_same_command_continues(root, monkeypatch):
    disk = root / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", disk], capture_output=True)
    if mounted.returncode:
        pytest.skip("a small file system cannot be mounted here")
    monkeypatch.setenv("WORKBENCH_RUNS", str(disk / "runs"))

    def work(items):
        return pandas.DataFrame({"x": [os.urandom(20_000) for _ in items]})

    opened = workbench.start("01_study", {"seed": 0})
    try:
        with pytest.raises(UserError, match=r"The disk is full .* continues"):
            opened.rows("r", range(9), work, piece=1)
        kept = sorted((opened.folder / "tables" / "r").glob("*.parquet"))
        assert 2 <= len(kept) < 9
        assert all(len(pandas.read_parquet(path)) == 1 for path in kept)
        assert files.orphans(disk) == []
        subprocess.run(["mount", "-o", "remount,size=9m", disk], check=True)
        assert len(opened.rows("r", range(9), work, piece=1)) == 9
    finally:
        opened.close()
        subprocess.run(["umount", "--lazy", disk], check=True)


def test_a_folder_that_was_moved_still_reads(run, root, monkeypatch):
    run.table("squares", frame)
    run.claim("c", says="It grows.", paper="yes", effect=1, low=0.5, high=2, n=3)
    run.finish()
    shutil.move(root / "runs", root / "elsewhere")
    monkeypatch.setenv("WORKBENCH_RUNS", str(root / "elsewhere"))
    moved = history.find_run(project.runs_folder(root), "01")
    assert history.state(moved) == "done"
    assert read_claims(moved)[0].verdict == "reproduced"
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


def test_the_key_follows_code_that_is_imported_and_no_other(tmp_path):
    package = tmp_path / "workbench"
    for name, text in {
        "__init__.py": "from workbench.lab import runs",
        "lab/__init__.py": "",
        "lab/runs.py": "",
        "studies/__init__.py": "",
        "studies/heads.py": "def f():\n    from ..engine.models import load",
        "studies/other.py": "",
        "engine/__init__.py": "",
        "engine/models.py": "",
        "engine/words.txt": "a",
    }.items():
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text(text)
    found = project.code_digests(["%matplotlib inline\nfrom workbench.studies import heads"], package)
    assert set(found) == {
        "workbench/studies/__init__.py",
        "workbench/studies/heads.py",
        "workbench/engine/__init__.py",
        "workbench/engine/models.py",
        "workbench/engine/words.txt",
    }
    (package / "engine/models.py").write_text("x = 1")
    changed = project.code_digests(["from workbench.studies import heads"], package)
    assert {name for name in found if found[name] != changed[name]} == {"workbench/engine/models.py"}


def test_only_what_changed_is_named(root):
    for seed in (0, 1):
        workbench.start("01_study", {"seed": seed}).finish()
    newest = history.find_run(root / "runs", "01_study")
    _, lines = history.why(newest, root / "runs")
    assert lines == ["parameter seed: 0 → 1"]
