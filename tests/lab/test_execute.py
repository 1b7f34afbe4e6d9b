"""Notebooks through the runner: order, cache, failures, interruption. Real kernels."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pandas
import pytest
from lab_project import ROWS, command, run, wait_until, write_notebook

import workbench
from workbench import files
from workbench.errors import UserError
from workbench.lab import execute, history, project, record

SLOW_ROWS = ROWS.replace("    return", "    import time; time.sleep(0.2)\n    return")
USE_ROWS = 'rows = run.rows("r", range(8), work, piece=1)\nprint(len(rows), "rows")'


@pytest.fixture
def root(tmp_path, monkeypatch):
    for name in ("WORKBENCH_RUNS", "WORKBENCH_RUN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WORK_DONE", str(tmp_path / "done.txt"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    (tmp_path / "notebooks").mkdir()
    return tmp_path


def worked(root):
    """The items that were worked on, as the notebooks' own work noted them."""
    return [int(line) for line in (root / "done.txt").read_text().split()]


def alive(word):
    """Processes of ours that have a word in their environment."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if word.encode() in (entry / "environ").read_bytes():
                found.append(entry)
        except OSError:
            continue
    return found


def test_needs_run_first_and_a_changed_parameter_reruns_exactly_the_dependents(root):
    write_notebook(
        root, "01_rows", ROWS + 'run.rows("r", range(n), work)', parameters="n: int = 3\nseed: int = 0"
    )
    read = 'print(len(run.input("01_rows").table("r")) * k)'
    write_notebook(root, "02_read", read, parameters="n: int = 3\nk: int = 2", needs=["01_rows"])

    first = run(root, "02")
    assert {name: job.status for name, job in first.items()} == {"01_rows": "done", "02_read": "done"}
    assert list(first) == ["01_rows", "02_read"]
    assert worked(root) == [0, 1, 2]
    assert "6" in (first["02_read"].folder / "log.txt").read_text()

    downstream = run(root, "02", k="5")
    assert {name: job.status for name, job in downstream.items()} == {"01_rows": "cached", "02_read": "done"}
    assert "15" in (downstream["02_read"].folder / "log.txt").read_text()
    upstream = execute.jobs_for([project.find_notebook(root, "02")], {"n": "4"}, False)
    assert [record.is_done(job.folder) for job in upstream] == [False, False]

    again = run(root, "02")
    assert {job.status for job in again.values()} == {"cached"}
    assert again["02_read"].folder == first["02_read"].folder


def test_the_kernel_is_this_python_with_our_settings_and_no_history(root, monkeypatch):
    bogus = root / "share" / "kernels" / "python3"
    bogus.mkdir(parents=True)
    (bogus / "kernel.json").write_text(
        json.dumps({"argv": ["/bin/false"], "display_name": "x", "language": "python"})
    )
    monkeypatch.setenv("JUPYTER_PATH", str(root / "share"))
    cell = """
import os, sys, json, time
from tqdm.auto import tqdm
for _ in tqdm(range(3), desc="steps", mininterval=0):
    time.sleep(0.1)
print(json.dumps([sys.executable == PYTHON, os.environ["OMP_WAIT_POLICY"], os.environ["WORKBENCH_HEADLESS"],
                  os.path.samefile(os.getcwd(), PLACE), get_ipython().history_manager.enabled]))
"""
    cell = cell.replace("PLACE", repr(str(root))).replace("PYTHON", repr(sys.executable))
    write_notebook(root, "01_look", cell, kernel="some-other-kernel")
    job = run(root, "01_look")["01_look"]
    log = (job.folder / "log.txt").read_text().splitlines()
    found = json.loads(next(line for line in log if line.startswith("[")))
    assert found == [True, "PASSIVE", "1", True, False]
    assert sum("steps" in line for line in log) == 1, "a progress bar is one line in the log"
    kept = json.loads((job.folder / "notebook.ipynb").read_text())
    told = [o["text"] for c in kept["cells"] for o in c.get("outputs", []) if o["output_type"] == "stream"]
    assert sum("".join(text).count("steps") for text in told) == 1, "and one in the notebook"


def test_a_failing_cell_is_shown_and_kept_and_the_run_is_marked(root):
    write_notebook(root, "01_fail", "x = 1", "y = 2\nx / 0\ny = 3")
    write_notebook(root, "02_after", "1", needs=["01_fail"])
    jobs = run(root, "02_after")
    job = jobs["01_fail"]
    assert job.status == "failed"
    assert (job.failure.cell, job.failure.line, job.failure.heading) == (4, 2, "The work")
    assert job.failure.error == "ZeroDivisionError: division by zero"
    assert jobs["02_after"].status == "skipped"
    assert record.read_run(job.folder)["status"] == "failed"
    kept = files.read_json(job.folder / "notebook.ipynb")
    assert kept["cells"][-1]["outputs"][0]["ename"] == "ZeroDivisionError"
    assert len(kept["cells"]) == 5, "papermill's banners are left out"


def test_a_mistake_of_the_user_in_a_cell_is_its_sentence_alone(root):
    write_notebook(root, "01_user", 'run.table("none")')
    job = run(root, "01_user")["01_user"]
    assert job.status == "failed"
    assert job.failure is None
    assert job.error.endswith("has no table none: run 01_user again.")


def test_a_kernel_that_dies_is_said_so(root):
    write_notebook(root, "01_die", "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")
    job = run(root, "01_die")["01_die"]
    assert "kernel died" in job.failure.error
    assert job.failure.cell == 3


def test_a_kernel_that_does_not_start_leaves_its_reason_in_the_log(root, monkeypatch):
    (root / "python").write_text("#!/bin/sh\necho no kernel here >&2\nexit 1")
    (root / "python").chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(root / "python"))
    write_notebook(root, "01_start")
    job = run(root, "01_start")["01_start"]
    assert "kernel died" in job.failure.error
    assert (job.folder / "log.txt").read_text().strip() == "no kernel here"


def test_what_is_kept_names_no_place_and_no_secret(root):
    cell = 'import os; print(os.path.abspath("here")); print("https://me:pass@host/ and token=abc")'
    write_notebook(root, "01_kept", cell, parameters='data: str = "embedded"')
    (root / "data.txt").write_text("story")
    job = run(root, "01_kept", data=str(root / "data.txt"))["01_kept"]
    assert job.status == "done"
    for path in filter(Path.is_file, job.folder.rglob("*")):
        text = path.read_text()
        assert str(root) not in text, path
        assert sys.prefix not in text, path
        assert "pass@" not in text, path
        assert "abc" not in text, path


def test_a_full_disk_ends_with_its_sentence_and_more_space_lets_it_continue(root, monkeypatch):
    disk = root / "disk"
    disk.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", disk], capture_output=True
    ).returncode:
        pytest.skip("a small file system cannot be mounted here")
    monkeypatch.setenv("WORKBENCH_RUNS", str(disk / "runs"))
    big = ROWS.replace('{"item": items}', '{"item": items, "b": [os.urandom(30_000) for _ in items]}')
    write_notebook(root, "01_rows", big, USE_ROWS)
    try:
        job = run(root, "01")["01_rows"]
        assert (job.status, job.failure) == ("failed", None)
        assert job.error.startswith("The disk is full")
        subprocess.run(["mount", "-o", "remount,size=9m", disk], check=True)
        assert run(root, "01")["01_rows"].status == "done"
        assert len(worked(root)) <= 8 + 1
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


def test_addresses_stay_whole_where_the_home_folder_is_the_root(root, monkeypatch):
    monkeypatch.setenv("HOME", "/")
    write_notebook(root, "01_link", 'print("see https://example.org")')
    job = run(root, "01")["01_link"]
    assert "see https://example.org" in (job.folder / "log.txt").read_text()


def test_independent_notebooks_run_side_by_side(root):
    meet = """
import time, pathlib
pathlib.Path({mine!r}).touch()
deadline = time.monotonic() + 60
while not pathlib.Path({other!r}).exists():
    assert time.monotonic() < deadline, "the other one never came"
    time.sleep(0.05)
"""
    write_notebook(root, "01_left", meet.format(mine="left", other="right"))
    write_notebook(root, "02_right", meet.format(mine="right", other="left"))
    assert {job.status for job in run(root, "01", "02", jobs=2).values()} == {"done"}


@pytest.mark.parametrize("force", [False, True])
def test_a_notebook_at_work_in_jupyterlab_is_waited_for_and_left_alone(root, force):
    write_notebook(root, "01_rows", 'run.table("t", lambda: __import__("pandas").DataFrame({"x": [1]}))')
    there = workbench.start("01_rows", {"seed": 0})
    writes = there.folder / "tables" / ".t.parquet.1.part.parquet"
    writes.parent.mkdir()
    writes.write_bytes(b"half")
    chosen = [project.find_notebook(root, "01")]
    (job,) = execute.jobs_for(chosen, {}, force)
    done = threading.Thread(target=execute.run_jobs, args=([job], 1, lambda: None, lambda job: None))
    done.start()
    wait_until(lambda: "waiting" in job.progress.line)
    assert writes.exists()
    there.close()
    done.join()
    assert job.status == "done"
    assert not writes.exists()


def test_after_sigkill_the_same_command_continues(root):
    write_notebook(root, "01_rows", SLOW_ROWS, USE_ROWS)
    process = command(root, "run", "01")
    wait_until(lambda: (root / "done.txt").exists() and len(worked(root)) >= 3)
    process.kill()
    process.communicate()
    wait_until(lambda: history.state(history.all_runs(root / "runs")[0]) == "unfinished")
    assert not alive(f"WORKBENCH_RUN={root}")
    seen = len(worked(root))
    job = run(root, "01")["01_rows"]
    assert job.status == "done"
    assert "8 rows" in (job.folder / "log.txt").read_text()
    assert sorted(set(worked(root))) == list(range(8))
    assert len(worked(root)) <= 8 + 1, f"at most the piece in flight is worked on twice (killed after {seen})"


def test_ctrl_c_ends_the_kernel_and_the_same_command_continues(root):
    write_notebook(root, "01_rows", SLOW_ROWS, USE_ROWS)
    process = command(root, "run", "01")
    wait_until(lambda: (root / "done.txt").exists() and len(worked(root)) >= 2)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "the same command continues" in err
    assert "Traceback" not in err
    assert not alive(f"WORKBENCH_RUN={root}")
    (folder,) = history.all_runs(root / "runs")
    assert history.state(folder) == "unfinished"
    assert "the same command continues" in record.read_run(folder)["error"]
    assert run(root, "01")["01_rows"].status == "done"
    assert len(worked(root)) <= 8 + 1


def test_two_runners_at_one_run_work_once(root):
    write_notebook(root, "01_rows", SLOW_ROWS, USE_ROWS)
    processes = [command(root, "run", "01") for _ in range(2)]
    outputs = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    assert sorted(worked(root)) == list(range(8))
    assert sum("done in" in out for out, _ in outputs) == 1
    assert sum("cached" in out for out, _ in outputs) == 1


def test_force_computes_again(root):
    write_notebook(root, "01_rows", ROWS + 'run.rows("r", range(2), work)')
    finished = workbench.start("01_rows", {"seed": 0})
    finished.rows("r", range(2), lambda items: pandas.DataFrame({"item": items}))
    shutil.copy(root / "notebooks" / "01_rows.ipynb", finished.folder / "notebook.ipynb")
    finished.finish()
    assert run(root, "01")["01_rows"].status == "cached"
    assert run(root, "01", force=True)["01_rows"].status == "done"
    assert worked(root) == [0, 1]


def test_plain_papermill_fails_on_a_typo_in_the_second_cell_and_else_finishes_the_same_run(root):
    import papermill
    from papermill.exceptions import PapermillExecutionError

    source = str(write_notebook(root, "01_plain", "run.finish()"))
    with pytest.raises(PapermillExecutionError, match="did you mean seed") as raised:
        papermill.execute_notebook(source, "out.ipynb", {"sed": 1}, progress_bar=False, kernel_name="python3")
    assert raised.value.ename == "UserError"
    assert "workbench.start" in raised.value.source
    assert not (root / "runs").exists()

    papermill.execute_notebook(source, "out.ipynb", {"seed": 1}, progress_bar=False, kernel_name="python3")
    (folder,) = history.all_runs(root / "runs")
    (job,) = execute.jobs_for([project.find_notebook(root, "01")], {"seed": "1"}, False)
    assert job.folder == folder
    assert record.is_done(folder)


def test_notebooks_that_need_each_other_are_refused(root):
    write_notebook(root, "01_a", needs=["02_b"])
    write_notebook(root, "02_b", needs=["01_a"])
    with pytest.raises(UserError, match="in a circle: 01_a → 02_b → 01_a"):
        run(root, "01")


def test_a_need_may_depend_on_a_parameter(root):
    write_notebook(root, "01_rows")
    write_notebook(root, "02_models")
    needs = ["01_rows if data!=embedded", "02_models if model=ladder,tiny:*"]
    parameters = 'model: str = "starter"\ndata: str = "embedded"'
    write_notebook(root, "03_read", parameters=parameters, needs=needs)

    def needed(**values):
        return list(project.plan(project.find_notebook(root, "03"), values).parts["inputs"])

    assert needed() == []
    assert needed(model="tiny:1M") == ["02_models"]
    assert needed(model="ladder", data="mine.txt") == ["01_rows", "02_models"]
    write_notebook(
        root, "03_read", parameters=parameters, needs=["02_models if data=embedded and model!=starter"]
    )
    assert needed() == needed(model="ladder", data="mine.txt") == []
    assert needed(model="ladder") == ["02_models"]
    write_notebook(root, "03_read", parameters=parameters, needs=needs)
    opened = workbench.start("03_read", {"model": "starter", "data": "embedded"})
    with pytest.raises(UserError, match='03_read reads 02_models: add it to "needs"'):
        opened.input("02_models")
    for wrong in ("../01_rows", "01_rows if size=3", "01_rows if data=a and size=3"):
        write_notebook(root, "04_wrong", parameters=parameters, needs=[wrong])
        with pytest.raises(UserError, match=f"04_wrong needs `{wrong}`: write NOTEBOOK"):
            run(root, "04")


def test_an_input_that_is_not_declared_is_refused_and_a_missing_one_is_computed(root, monkeypatch, capfd):
    write_notebook(root, "01_rows", ROWS + 'run.rows("r", range(n), work)', parameters="n: int = 3")
    write_notebook(root, "02_read", parameters="n: int = 3", needs=["01_rows"])
    opened = workbench.start("02_read", {"n": 2})
    with pytest.raises(UserError, match='add it to "needs"'):
        opened.input("03_other")
    assert list(opened.input("01_rows").table("r").item) == [0, 1]
    assert "01_rows" in capfd.readouterr().out
    assert worked(root) == [0, 1]
    assert os.environ.get("WORKBENCH_RUN") is None
