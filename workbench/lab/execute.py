"""Many notebooks in the order of their needs: finished runs are kept, independent ones go side by side."""

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal

from filelock import Timeout

from workbench import files
from workbench.errors import UserError
from workbench.lab import digests, record
from workbench.lab.environment import cores
from workbench.lab.kernel import CellFailed, KernelDied, Progress, execute, kill
from workbench.lab.params import check_names, from_strings
from workbench.lab.project import Notebook, Plan, needed, plan, read_notebook
from workbench.lab.study_check import check_values

CONTINUES = "the same command continues"
Status = Literal["waiting", "running", "done", "cached", "failed", "skipped", "interrupted"]


@dataclass
class Job:
    """One run to be made, and what became of it."""

    plan: Plan
    folder: Path
    needs: list[Path]  #: Folders of the runs that must be finished before
    force: bool  #: Compute again although it is finished
    progress: Progress
    status: Status = "waiting"
    error: str | None = None  #: One sentence, where it failed or was skipped
    failure: CellFailed | None = None
    seconds: float = 0.0
    started: float = field(default_factory=time.monotonic)
    label: str = ""  #: What tells it from other runs of its notebook, in a sweep
    retries: int = 0  #: How often it may go on after its kernel died
    #: Execute the notebook of a finished run again, for its pictures; what it kept stays.
    redraw: bool = False

    @property
    def name(self) -> str:
        return f"{self.plan.notebook.name} {self.label}".rstrip()

    @property
    def is_finished(self) -> bool:
        return self.status in ("done", "cached")


Work = Callable[[Job, threading.Event], None]


class Stopped(Exception):
    """A job was told to stop before it could begin."""


def jobs_for(notebooks: Sequence[Notebook], given: Mapping[str, str], force: bool) -> list[Job]:
    """Plan the runs of some notebooks and of all that they need, needs first; nothing is started.

    Args:
        given: `-p` parameters as text; each must be declared by one of the notebooks at least.
        force: Compute the notebooks asked for again although their runs are finished.

    Raises:
        UserError: A parameter is unknown or invalid, a study refuses it, or a notebook cannot be read.
    """
    fields = dict.fromkeys(name for notebook in notebooks for name in notebook.model.model_fields)
    check_names(given, fields, " + ".join(notebook.name for notebook in notebooks))
    jobs: dict[Path, Job] = {}
    for notebook in notebooks:
        declared = {name: text for name, text in given.items() if name in notebook.model.model_fields}
        values = from_strings(notebook.model, declared, notebook.name)
        check_values(notebook, values)
        add(jobs, plan(notebook, values)).force = force
    return list(jobs.values())


def add(jobs: dict[Path, Job], planned: Plan) -> Job:
    """Add a planned run to the jobs, after those that it needs; the job, which may be there already."""
    needs = [add(jobs, need).folder for need in needed(planned.notebook, planned.params)]
    folder = planned.folder
    if folder not in jobs:
        jobs[folder] = Job(planned, folder, needs, False, Progress(len(planned.notebook.code())))
    return jobs[folder]


def run_jobs(
    jobs: Sequence[Job],
    workers: int,
    refresh: Callable[[], None],
    finished: Callable[[Job], None],
    work: Work | None = None,
) -> None:
    """Run jobs, at most `workers` at a time; each one's outcome is left in it.

    Args:
        jobs: In the order of their needs.
        workers: Kernels side by side; with more than one they share the processor's threads.
        refresh: Called several times a second, to draw.
        finished: Called here, not in a worker, when a job has ended.
        work: What runs one job, in a thread, and ends early when told to stop; by default a kernel here.

    Raises:
        KeyboardInterrupt: After Ctrl-C, when every kernel has ended and every run is marked.
    """
    threads = max(1, cores() // workers) if workers > 1 and "OMP_NUM_THREADS" not in os.environ else 0
    work = work or partial(_run_here, threads)
    stop = threading.Event()
    by_folder = {job.folder: job for job in jobs}
    running: dict[Future[None], Job] = {}
    with ThreadPoolExecutor(workers) as pool:
        try:
            ended: list[Job] = []
            while ended or running or any(job.status == "waiting" for job in jobs):
                for job in [job for job in jobs if job.status == "waiting"]:
                    states = {by_folder[need].status for need in job.needs}
                    if _settle_early(job, states, finished) or len(running) >= workers:
                        continue
                    if states <= {"done", "cached"}:
                        job.status = "running"
                        running[pool.submit(_run, job, work, stop)] = job
                for job in ended:  # after the next ones have been started: a page takes seconds
                    finished(job)
                ended = []
                for future in wait(running, timeout=0.1, return_when=FIRST_COMPLETED).done:
                    ended.append(running.pop(future))
                    future.result()
                refresh()
        except BaseException:
            stop.set()
            _end(running)
            raise


def _settle_early(job: Job, states: set[str], finished: Callable[[Job], None]) -> bool:
    """Settle a job that needs no kernel: its run is there already, or what it needs is not to be had."""
    try:
        if states & {"failed", "skipped", "interrupted"}:
            job.status, job.error = "skipped", "a notebook that it needs did not finish"
        elif is_complete(job):
            job.status = "cached"
        else:
            return False
    except UserError as error:  # something odd lies where its run is to be
        job.status, job.error = "failed", str(error)
    finished(job)
    return True


def is_complete(job: Job) -> bool:
    """Whether there is nothing to run: the run is finished, and not to be made or drawn again."""
    # A run finished in JupyterLab has its tables but no executed notebook for the report yet.
    executed = record.is_done(job.folder) and (job.folder / "notebook.ipynb").exists()
    return executed and not (job.force or job.redraw)


def _run(job: Job, work: Work, stop: threading.Event) -> None:
    """Run one job in its worker thread; whatever happens ends up in the job."""
    job.started = time.monotonic()
    try:
        work(job, stop)
    except UserError as error:
        job.status, job.error = "failed", str(error)
    except Stopped:
        job.status, job.error = "interrupted", CONTINUES
    finally:
        job.seconds = time.monotonic() - job.started


def _run_here(threads: int, job: Job, stop: threading.Event) -> None:
    """Run one job in a kernel on this machine; whatever happens ends up in run.json too."""
    with _locked(job, "runner", stop):
        if is_complete(job):  # another process finished it while this one waited
            job.status = "cached"
        else:
            _run_locked(job, threads, stop)


def _run_locked(job: Job, threads: int, stop: threading.Event) -> None:
    _check_unchanged(job.plan)
    with _locked(job, "writer", stop):  # a notebook in JupyterLab, say, may write in it
        if job.force:
            shutil.rmtree(job.folder, ignore_errors=True)
        record.prepare(job.plan, job.folder, threads)
    job.progress.cell = 0
    try:
        execute(job.plan, job.folder, job.progress, threads, job.redraw)
        record.note_drawn(job.folder, job.plan.notebook.drawn)
        record.mark(job.folder, "done")
        job.status = "done"
    except Exception as error:
        if isinstance(error, KernelDied) and job.retries and not stop.is_set():
            job.retries -= 1
            _run_locked(job, threads, stop)  # it goes on with what it has kept
            return
        job.status, job.error = "failed", str(error) if isinstance(error, UserError) else None
        job.failure = error if isinstance(error, CellFailed) else None
        if stop.is_set():
            job.status, job.error, job.failure = "interrupted", CONTINUES, None
        if not job.redraw:
            with suppress(UserError):  # on a full disk the record cannot be kept either
                reason = f"interrupted: {CONTINUES}" if stop.is_set() else str(error)
                record.mark(job.folder, "failed", reason)
        if not isinstance(error, UserError | CellFailed) and not stop.is_set():
            raise


def _check_unchanged(planned: Plan) -> None:
    """Check that what is about to run is what the key was made of: other runs may have taken hours.

    Raises:
        UserError: The notebook, a module or a file was changed since.
    """
    now = plan(read_notebook(planned.notebook.path), planned.params.model_dump())
    if now.key != planned.key:
        raise UserError(
            f"{planned.notebook.name}, or what it reads, was changed while it waited: give the command again."
        )


@contextmanager
def _locked(job: Job, role: str, stop: threading.Event) -> Iterator[None]:
    """Hold a lock of the run, after waiting while another process has it.

    Raises:
        Stopped: It was told to stop while it waited.
    """
    lock = digests.lock(job.folder, role)
    while not lock.is_locked:
        if stop.is_set():
            raise Stopped
        try:
            with files.explain_write_error(job.folder):
                lock.acquire(timeout=0.3)
        except Timeout:
            job.progress.line = "another process is at work on this run: waiting for it"
    try:
        yield
    finally:
        lock.release()


def _end(running: Mapping["Future[None]", Job]) -> None:
    """End every kernel and wait for the threads, which mark their runs."""
    left = set(running)
    while left:
        with suppress(KeyboardInterrupt):  # a second one would leave kernels that are only just starting
            for future in left:
                kill(running[future].progress)
            left = wait(left, timeout=0.1).not_done
