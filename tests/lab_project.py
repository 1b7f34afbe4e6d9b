"""Small projects for the lab: notebooks written by nbformat, and child processes that can be killed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from workbench.lab import execute, project

PARAMETERS = "seed: int = 0  # seed of everything random"

ROWS = """
import os, pandas
def work(items):
    with open(os.environ["WORK_DONE"], "a") as done:
        done.writelines(f"{item}\\n" for item in items)
    return pandas.DataFrame({"item": items})
"""


def write_notebook(
    root: Path, name: str, *cells: str, parameters: str = PARAMETERS, kernel: str = "python3", **meta: Any
) -> Path:
    """Write notebooks/<name>.ipynb: the parameters cell, the start cell, a heading, then `cells`."""
    first = new_code_cell(parameters, metadata={"tags": ["parameters"]})
    start = new_code_cell(f'import workbench\nrun = workbench.start("{name}", globals())')
    notebook = new_notebook(
        cells=[first, start, new_markdown_cell("## The work"), *map(new_code_cell, cells)],
        metadata={
            "workbench": meta,
            "kernelspec": {"name": kernel, "display_name": kernel, "language": "python"},
        },
    )
    path = root / "notebooks" / f"{name}.ipynb"
    path.parent.mkdir(exist_ok=True)
    nbformat.write(notebook, path)
    return path


def run(root: Path, *names: str, jobs: int = 1, force: bool = False, **given: str) -> dict[str, execute.Job]:
    """Run notebooks in this process, as the command line does; returns what became of each job."""
    notebooks = [project.find_notebook(root, name) for name in names]
    planned = execute.jobs_for(notebooks, given, force)
    execute.run_jobs(planned, jobs, lambda: None, lambda job: None)
    return {job.name: job for job in planned}


def command(root: Path, *words: str, **environment: str) -> "subprocess.Popen[str]":
    """Start the command line in a process of its own."""
    return child(root, "-m", "workbench", *words, **environment)


def child(root: Path, *words: str, **environment: str) -> "subprocess.Popen[str]":
    """Start Python in a process of its own, in the project's folder; it hears Ctrl-C in any case."""
    return subprocess.Popen(
        [sys.executable, *words],
        cwd=root,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def wait_until(condition: Callable[[], bool], seconds: float = 180) -> None:
    """Sleep until the condition holds; fails when it never does."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)
