"""Every notebook run headless at profile=tiny, once for all tests that look at the runs."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def run_all(project):
    """`workbench run --all` in a project folder, two notebooks at a time: alone, each leaves a core idle."""
    environment = {**os.environ, "WORKBENCH_RUNS": str(project / "runs")}
    command = [sys.executable, "-m", "workbench", "run", "--all", "--jobs", "2", "-p", "profile=tiny"]
    return subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="session")
def project(tmp_path_factory):
    """A project of its own in which every notebook has run; the checkout is left alone."""
    folder = tmp_path_factory.mktemp("project")
    shutil.copytree(ROOT / "notebooks", folder / "notebooks")
    done = run_all(folder)
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
    return folder
