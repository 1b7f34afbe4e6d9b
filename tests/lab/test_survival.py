"""What survives a kill, a full disk, a second process and a folder that cannot be written."""

import json
import math
import os
import signal
import subprocess

import pandas
import pytest
from lab_project import ROWS, child

import workbench
from workbench import files
from workbench.errors import UserError

START = 'import workbench\nseed = 0\nrun = workbench.start("01_study", globals())\n'


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
        "import os, signal, pathlib; from workbench import files\n"
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
    (run.folder / ".answers.parquet.7.new").write_bytes(b"half")
    for name in (".model.7.new", ".trained.8.new", ".trained.8.old"):
        (run.folder / name).mkdir()
        (run.folder / name / ".config.json.new").write_text("{")
    run.close()
    reopened = workbench.start("01_study", {"seed": 0})
    assert files.orphans(reopened.folder) == []
    # killed between two renames: whoever made it takes it up
    assert sorted(path.name for path in reopened.folder.glob(".*")) == [".trained.8.new", ".trained.8.old"]


def test_pieces_that_a_kill_left_beside_their_table_go(run, monkeypatch):
    monkeypatch.setattr("workbench.lab.runs.shutil.rmtree", lambda folder, ignore_errors: None)
    run.rows("r", range(4), lambda items: pandas.DataFrame({"x": items}), piece=2)
    monkeypatch.undo()
    assert (run.folder / "tables" / "r").exists()
    assert list(run.rows("r", range(4), lambda items: 1 / 0, piece=2).x) == list(range(4))
    assert [path.name for path in (run.folder / "tables").iterdir()] == ["r.parquet"]


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
