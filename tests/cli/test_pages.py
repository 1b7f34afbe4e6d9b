"""Pages and index while runs go on: there from the start, whole at the end, no larger than they may be."""

import json
import re
import shutil
import signal
import threading
import time

import pytest
from example_run import example_notebook
from lab_project import command, wait_until, write_notebook

import workbench
from workbench.claims import Claim
from workbench.lab.report import index as index_page
from workbench.lab.report import publish, size


@pytest.fixture
def root(tmp_path, monkeypatch):
    for name in ("WORKBENCH_RUNS", "WORKBENCH_RUN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    write_notebook(tmp_path, "01_rows", "1 + 1", parameters="n: int = 3  # rows")
    write_notebook(tmp_path, "02_read", parameters="n: int = 3", needs=["01_rows"], title="Reading")
    return tmp_path


def finished(root, name):
    """A finished run with an executed notebook, made without a kernel."""
    run = workbench.start(name, {"n": 3})
    run.claim(Claim("grows", "It grows.", "yes", 0.2, 0.1, 0.3, 5, "stories"))
    shutil.copy(root / "notebooks" / f"{name}.ipynb", run.folder / "notebook.ipynb")
    run.finish()
    return run.folder


WAIT = """
import time, pathlib
deadline = time.monotonic() + 120
while not pathlib.Path({other!r}).exists():
    assert time.monotonic() < deadline, "nobody came"
    time.sleep(0.05)
"""


def test_there_is_an_index_from_the_start_and_it_grows(root):
    write_notebook(root, "03_slow", WAIT.format(other="go on"), title="The slow one", minutes=9)
    write_notebook(root, "04_last", title="The last one")
    process = command(root, "run", "--all", "--jobs", "1")
    index = root / "runs" / "reports" / "index.html"
    try:
        wait_until(index.exists)
        first = index.read_text()
        assert "No run yet" in first
        for line in ("01_rows (waiting)", "02_read: Reading (waiting)", "03_slow: The slow one (waiting)"):
            assert line in first
        wait_until(lambda: ">01_rows</a></h2>" in index.read_text())
        assert "01_rows (" not in index.read_text()
        wait_until(lambda: "03_slow: The slow one (running)" in index.read_text())
    finally:
        (root / "go on").touch()
    out, err = process.communicate(timeout=300)
    assert (process.returncode, err) == (0, "")
    assert out.startswith("Report (grows as notebooks finish): runs/reports/index.html\n")
    assert "still to come" not in index.read_text()
    assert index.read_text().count("</a></h2>") == 4


def test_after_ctrl_c_the_index_promises_nothing(root):
    write_notebook(root, "03_slow", WAIT.format(other="never"))
    process = command(root, "run", "03")
    index = root / "runs" / "reports" / "index.html"
    wait_until(lambda: any(root.glob("runs/03_slow/*/run.json")))
    assert "03_slow (" in index.read_text()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=120)
    assert process.returncode == 130
    assert "03_slow (" not in index.read_text()


def test_pages_written_at_once_are_all_in_the_index(root, monkeypatch):
    runs = root / "runs"
    folders = [finished(root, "01_rows"), finished(root, "02_read")]
    write_index, both = index_page.write_index, threading.Barrier(2)

    def slowly(*args):
        time.sleep(0.3)
        return write_index(*args)

    def publish_one(folder):
        both.wait()
        publish.publish(folder, runs / "reports")
        publish.refresh_index(runs / "reports", runs)

    monkeypatch.setattr(index_page, "write_index", slowly)
    threads = [threading.Thread(target=publish_one, args=[folder]) for folder in folders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    text = (runs / "reports" / "index.html").read_text()
    assert all(folder.name in text for folder in folders)


def test_a_page_over_its_limit_is_warned_of_with_its_largest_figures(root, say, monkeypatch):
    folder = finished(root, "01_rows")
    (folder / "notebook.ipynb").write_text(json.dumps(example_notebook()))
    assert say("run", "01")[2] == ""
    monkeypatch.setattr(size, "LIMIT", 300_000)
    code, _, err = say("report")
    assert code == 0
    assert re.search(r"The page 01_rows.html has 0\.\d\d MB, its limit is 0\.30 MB", err)
    largest = size.figures((root / "runs" / "reports" / "01_rows.html").read_bytes())
    assert len(largest) == 8
    assert [bytes_ for _, bytes_ in largest] == sorted((bytes_ for _, bytes_ in largest), reverse=True)
    for name, _ in largest[:3]:
        assert name in err
    assert len(err.strip().splitlines()) == 1
    (root / "runs" / "reports" / "01_rows.html").unlink()
    assert len(say("run", "01")[2].strip().splitlines()) == 1, "a run warns, too"
