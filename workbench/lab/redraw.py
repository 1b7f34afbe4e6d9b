"""New pictures and words for a finished run, drawn from the tables it has kept."""

import os
from pathlib import Path

from workbench.errors import UserError
from workbench.lab.execute import Job
from workbench.lab.kernel import Progress
from workbench.lab.project import find_notebook, find_root, plan
from workbench.lab.record import is_done, read_run


def is_outdated(job: Job) -> bool:
    """Whether the run's executed notebook shows other words or pictures than the notebook would now."""
    return read_run(job.folder)["drawn"] not in (None, job.plan.notebook.drawn)


def redraw_job(folder: Path) -> Job | None:
    """The job that executes a finished run's notebook again, in its folder and without computing anew.

    Returns:
        None where the run shows what it should, or has no notebook here that would give its key.
    """
    record = read_run(folder)
    try:
        notebook = find_notebook(find_root(), record["notebook"])
        planned = plan(notebook, {name: record["params"][name] for name in record["set"]})
        runs = planned.folder.parents[1]
        inputs_are_there = all(is_done(runs / name / key) for name, key in record["inputs"].items())
    except UserError:
        return None
    job = Job(planned, folder, [], False, Progress(len(notebook.code())), redraw=True)
    writable = os.access(folder, os.W_OK)  # else it is shared to be read
    current = planned.folder.resolve() == folder.resolve() and is_done(folder) and writable
    return job if current and inputs_are_there and is_outdated(job) else None
