"""Every notebook run headless at profile=quick, once for all tests that look at the runs."""

import os
import shutil
import signal
import subprocess
import sys

import pytest
from repository import ROOT


def run_all(project):
    """Start `workbench run --all` in a project folder, two notebooks at a time; it writes run_all.log."""
    environment = {**os.environ, "WORKBENCH_RUNS": str(project / "runs")}
    environment.pop("OMP_NUM_THREADS", None)  # the runner shares the cores out by itself
    command = [sys.executable, "-m", "workbench", "run", "--all", "--jobs", "2", "-p", "profile=quick"]
    with open(project / "run_all.log", "wb") as log:
        return subprocess.Popen(command, cwd=project, env=environment, stdout=log, stderr=log)


def ended_well(project, process):
    """Wait for the end of `run_all`, and hold that nothing failed."""
    assert process.wait() == 0, (project / "run_all.log").read_text(encoding="utf-8")[-6000:]


def needs_runs(item):
    """Whether a test looks at the notebooks' runs."""
    return item.get_closest_marker("notebook") is not None


@pytest.fixture(scope="session", autouse=True)
def started(request, tmp_path_factory):
    """Begin with the notebooks, in a project of their own: they run beside the tests that need none."""
    if not any(map(needs_runs, request.session.items)):
        yield None
        return
    folder = tmp_path_factory.mktemp("project")
    shutil.copytree(ROOT / "notebooks", folder / "notebooks")
    process = run_all(folder)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a `kill` is to end the notebooks too
    yield folder, process
    process.terminate()  # where the tests were stopped early; kernels end when their parent is gone
    process.wait()


@pytest.fixture(scope="session")
def project(started):
    """The project in which every notebook has run; the checkout is left alone."""
    folder, process = started
    ended_well(folder, process)
    return folder
