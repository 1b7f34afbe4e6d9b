"""Trainings side by side: what they log arrives, and no process outlives its trouble."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from workbench.engine.parallel import run_parallel
from workbench.errors import UserError


def count(up_to, *, log):
    for number in range(1, up_to + 1):
        threads = torch.get_num_threads()
        log({"done": number, "number": number, "threads": threads, "process": os.getpid()})


def fail(*, log):
    raise UserError("This one cannot be trained.")


def wait(note, *, log):
    """Leaves its process id, and goes on for ever."""
    Path(note).write_text(str(os.getpid()))
    while True:
        time.sleep(0.05)


def die(*, log):
    os.kill(os.getpid(), signal.SIGKILL)


def gone(process, seconds=10):
    for _ in range(int(seconds / 0.05)):
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return True
        if Path(f"/proc/{process}/stat").read_text().split()[2] == "Z":
            return True
        time.sleep(0.05)
    return False


def counted(processes):
    """Three tasks' rows as they arrive, each with its task."""
    rows, tasks = [], {"a": (3,), "b": (2,), "c": (4,)}
    log = lambda name, row: rows.append(row | {"task": name})
    run_parallel(count, tasks, total=9, unit="number", log=log, processes=processes)
    for name, (up_to,) in tasks.items():
        assert [row["number"] for row in rows if row["task"] == name] == list(range(1, up_to + 1))
    assert len(rows) == 9
    return rows


def test_every_row_of_every_task_arrives_in_order():
    counted(processes=1)


def test_two_processes_share_the_threads_and_go_on_with_the_next_task():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        rows = counted(processes=None)
    finally:
        torch.set_num_threads(before)
    assert {row["threads"] for row in rows} == {1}
    found = {row["process"] for row in rows}
    assert len(found) <= 2
    assert os.getpid() not in found


def test_one_failure_is_raised_here_and_ends_the_others(tmp_path):
    tasks = {"waits": (wait, tmp_path / "note"), "fails": (fail,)}
    with pytest.raises(UserError, match="cannot be trained"):
        run_parallel(either, tasks, total=2, unit="task", log=lambda *_: None, processes=2)
    if (tmp_path / "note").exists():
        assert gone(int((tmp_path / "note").read_text()))


def either(work, *arguments, log):
    work(*arguments, log=log)


def test_a_process_killed_from_outside_is_one_sentence():
    with pytest.raises(UserError, match="ended from outside"):
        run_parallel(die, {"a": (), "b": ()}, total=2, unit="task", log=lambda *_: None, processes=2)


def test_when_the_parent_is_killed_the_processes_stop(tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(
        f"import sys\nsys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from test_parallel import run_parallel, wait\n"
        "if __name__ == '__main__':\n"
        f"    tasks = {{str(i): ({str(tmp_path)!r} + f'/note{{i}}',) for i in range(2)}}\n"
        "    run_parallel(wait, tasks, total=2, unit='task', log=print, processes=2)\n"
    )
    parent = subprocess.Popen([sys.executable, str(script)], stderr=subprocess.DEVNULL)
    notes = [tmp_path / "note0", tmp_path / "note1"]
    for _ in range(600):
        if all(note.exists() and note.read_text() for note in notes):
            break
        time.sleep(0.1)
    parent.kill()
    parent.wait()
    assert all(gone(int(note.read_text())) for note in notes)
