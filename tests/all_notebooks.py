"""Every notebook run headless at profile=quick, once for all tests that look at the runs."""

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest
from repository import ROOT

BESIDE = pytest.StashKey["Beside"]()


def run_all(project):
    """Start `workbench run --all` in a project folder, two notebooks at a time; it writes run_all.log."""
    environment = {**os.environ, "WORKBENCH_RUNS": str(project / "runs")}
    environment.pop("OMP_NUM_THREADS", None)  # the runner shares the cores out by itself
    command = [sys.executable, "-m", "workbench", "run", "--all", "--jobs", "2", "-p", "profile=quick"]
    with open(project / "run_all.log", "wb") as log:
        return subprocess.Popen(command, cwd=project, env=environment, stdout=log, stderr=log)


def ended_well(project, process):
    """Wait for the end of `run_all`, and hold that nothing failed."""
    assert process.wait() == 0, end_of_log(project)


def end_of_log(project):
    """What `run_all` said last."""
    return (project / "run_all.log").read_text(encoding="utf-8")[-6000:]


def needs_runs(item):
    """Whether a test looks at the notebooks' runs."""
    return item.get_closest_marker("notebook") is not None


def folder_of(config):
    """Where the notebooks run, told to every process that tests."""
    return (
        Path(config.workerinput["notebooks"])
        if hasattr(config, "workerinput")
        else config.stash[BESIDE].folder
    )


class Beside:
    """The notebooks beside the tests: a process that is no worker starts them once, and ends them."""

    def __init__(self):
        self.folder = Path(tempfile.gettempdir(), f"workbench-notebooks-{secrets.token_hex(6)}")
        self.process = self.waiting = None

    def start_if_wanted(self):
        """Begin once a test of theirs was collected."""
        if self.process is None and (self.folder / "wanted").exists():
            project = self.folder / "project"
            shutil.copytree(ROOT / "notebooks", project / "notebooks")
            self.process = run_all(project)
            signal.signal(signal.SIGTERM, signal.default_int_handler)  # a `kill` is to end the notebooks too
            self.waiting = threading.Thread(target=self._note, daemon=True)
            self.waiting.start()

    def _note(self):
        code = self.process.wait()
        unfinished = self.folder / "code.new"
        unfinished.write_text(str(code))
        unfinished.rename(self.folder / "code")

    def end(self):
        """Stop them where the tests were stopped early (kernels end with their parent), and tidy up."""
        if self.process is not None:
            self.process.terminate()
            self.waiting.join()
        shutil.rmtree(self.folder, ignore_errors=True)


@pytest.fixture(scope="session")
def project(request):
    """The project in which every notebook has run; the checkout is left alone."""
    folder = folder_of(request.config)
    while not (folder / "code").exists():
        time.sleep(0.2)
    assert (folder / "code").read_text() == "0", end_of_log(folder / "project")
    return folder / "project"
