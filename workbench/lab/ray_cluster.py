"""Runs, and parts of long work, as tasks of a Ray cluster, whose machines see the project at one path."""

import logging
import os
import platform
import secrets
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from workbench.errors import UserError
from workbench.lab import record
from workbench.lab.execute import CONTINUES, Job, Stopped, run_jobs
from workbench.lab.kernel import CellFailed, Progress
from workbench.lab.params import changed_relative
from workbench.lab.project import find_notebook, plan

Outcome = tuple[str, str | None, CellFailed | None]
_PATIENCE = 60  # seconds: how long a shared folder may take to show what another machine wrote


@contextmanager
def ray_session(address: str, slots: int, cpus: int, gpus: float) -> Iterator[int]:
    """Join a Ray cluster that this machine is part of; without an address start one here, and end it after.

    Args:
        address: HOST:PORT of its head, or "auto" for the one that runs on this machine; or "".
        slots: Runs side by side on the one that is started.
        gpus: Graphics cards that a run takes, or a share of one.

    Yields:
        How many runs the cluster can take at once.

    Raises:
        UserError: Ray is not installed, the cluster cannot be joined, or all of its machines are too small.
    """
    if gpus > 1 and gpus % 1:
        raise UserError("--gpus takes a share of one graphics card, or a whole number of them.")
    if not find_spec("ray"):
        raise UserError("--engine ray needs Ray: pip install 'small-model-workbench[ray]'.")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    with tempfile.TemporaryDirectory(prefix="ray", ignore_cleanup_errors=True) as folder:
        if address:
            options: dict[str, Any] = {"address": _reachable(address)}
        else:
            # Its ports are open to the network: only who knows the token of this sweep may use them.
            os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
            os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # or a run would see no card
            options = {"address": "local", "num_cpus": slots * cpus, "include_dashboard": False}
            options |= {"_temp_dir": folder, "object_store_memory": 80 * 2**20}
        import ray

        on_sigterm = signal.getsignal(signal.SIGTERM)
        try:
            _init(options, attempts=1 if address else 2)
        except Exception as error:  # Ray raises many kinds here, bare Exception among them
            reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
            raise UserError(f"Ray cannot be used at {address or 'this machine'}: {reason}") from None
        try:
            signal.signal(signal.SIGTERM, on_sigterm)
            yield _slots(ray.nodes(), cpus, gpus)
        finally:
            ray.shutdown()


def _init(options: dict[str, Any], attempts: int) -> None:
    """Start or join; a busy machine may need longer for a start than the 30 seconds that Ray allows."""
    import ray

    try:
        ray.init(**options, log_to_driver=False, logging_level=logging.CRITICAL)
    except Exception:
        ray.shutdown()
        if attempts == 1:
            raise
        _init(options, attempts - 1)


def run_remote(cpus: int, gpus: float, job: Job, stop: threading.Event) -> None:
    """Have the cluster run one job, once more if its machine or process is lost; the outcome is left in it.

    Raises:
        UserError: What was lost was lost again, or the finished run is not to be seen from here.
    """
    notebook, values = job.plan.notebook, changed_relative(job.plan.params)
    arguments = (str(notebook.root), str(job.folder), notebook.name, values, job.plan.key)
    future, ref = _submit(_run_job, arguments, cpus, gpus, job.name)
    while not future.done() and not stop.is_set():
        wait([future], timeout=0.5)
    if stop.is_set():
        _cancel({future: ref})
        raise Stopped
    status, job.error, job.failure = _result(future)
    if status in ("done", "cached"):
        _wait_for(job)
    job.status = status


def run_tasks(
    work: Callable[..., None],
    tasks: Iterable[tuple[Any, ...]],
    cpus: int,
    gpus: float,
    refresh: Callable[[], None],
) -> None:
    """Have the cluster call `work(*arguments)` for every task, once more where a machine or process is lost.

    Args:
        work: A module's function that goes on with what it has kept.
        gpus: Graphics cards for a task, or a share of one.
        refresh: Called several times a second, to draw.

    Raises:
        UserError: As `work`, or what was lost was lost again.
    """
    waiting = dict(_submit(work, arguments, cpus, gpus, work.__name__) for arguments in tasks)
    try:
        while waiting:
            for future in wait(waiting, timeout=0.5, return_when=FIRST_COMPLETED).done:
                del waiting[future]
                _result(future)
            refresh()
    except BaseException:
        _cancel(waiting)
        raise


def _submit(
    work: Callable[..., Any], arguments: tuple[Any, ...], cpus: int, gpus: float, name: str
) -> tuple[Future, Any]:
    import ray

    environment = {name: value for name, value in os.environ.items() if name.startswith("WORKBENCH_")}
    task = ray.remote(remote_main).options(num_cpus=cpus, num_gpus=gpus, max_retries=1, name=name)
    ref = task.remote(os.getcwd(), environment, work, arguments)
    return ref.future(), ref


def _result(future: Future) -> Any:
    from ray.exceptions import RayError

    try:
        result, mistake = future.result()
    except RayError as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(f"The cluster lost it twice ({reason}): {CONTINUES}.") from None
    if mistake:
        raise UserError(mistake)
    return result


def remote_main(
    folder: str, environment: dict[str, str], work: Callable[..., Any], arguments: tuple[Any, ...]
) -> tuple[Any, str | None]:
    """In a worker of the cluster: what the work returns, or the sentence of a mistake."""
    os.environ |= environment
    # `ray.cancel` interrupts as Ctrl-C does elsewhere; under nohup that signal is ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        try:
            os.chdir(folder)
        except OSError as error:
            raise _mismatch(error) from None
        return work(*arguments), None
    except UserError as error:
        return None, str(error)


def _run_job(root: str, folder: str, name: str, values: dict[str, Any], key: str) -> Outcome:
    try:
        notebook = find_notebook(Path(root), name)
    except UserError as error:
        raise _mismatch(error) from None
    planned = plan(notebook, values)
    if planned.key != key:
        raise UserError(
            f"{platform.node()} has other code or data than this machine: install the same on both."
        )
    job = Job(planned, Path(folder), [], False, Progress(len(notebook.code())), retries=1)
    run_jobs([job], 1, lambda: None, lambda job: None)
    return job.status, job.error, job.failure


def _mismatch(error: Exception) -> UserError:
    return UserError(f"{platform.node()} does not see the project as it is here ({error}).")


def _cancel(running: Mapping[Future, Any]) -> None:
    """Interrupt tasks, and end their processes if that does not help."""
    import ray

    for force in (False, True):
        left = [future for future in running if not future.done()]
        for future in left:
            ray.cancel(running[future], force=force)
        wait(left, timeout=20)


def _wait_for(job: Job) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not record.is_done(job.folder):
        if time.monotonic() > deadline:
            raise UserError(
                f"It is finished, but not to be seen in {job.folder.parent} here: set WORKBENCH_RUNS to a"
                " folder that all machines share."
            )
        time.sleep(0.5)


def _reachable(address: str) -> str:
    """The address, once something answers there: Ray itself would try for minutes."""
    if address == "auto":
        return address
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except (OSError, ValueError) as error:
        raise UserError(
            f"No Ray cluster answers at {address} ({error}): give the HOST:PORT that `ray start --head` said."
        ) from None
    return address


def _slots(nodes: list[dict[str, Any]], cpus: int, gpus: float) -> int:
    slots = 0
    for node in nodes:
        has = node["Resources"] if node["Alive"] else {}
        fits = has.get("CPU", 0) // cpus
        slots += int(min(fits, has.get("GPU", 0) / gpus) if gpus else fits)
    if not slots:
        cards = f" and {gpus:g} graphics cards" if gpus else ""
        raise UserError(f"No machine of the cluster has the {cpus} processors{cards} that a run is to take.")
    return slots
