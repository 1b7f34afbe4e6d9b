"""Several small trainings at once: on a few cores, one thread each is faster than all threads on one."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing import parent_process
from queue import Empty
from threading import Thread
from typing import TYPE_CHECKING, Any

from tqdm.auto import tqdm

from workbench.errors import UserError

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess

Row = dict[str, float]


def run_parallel(
    work: Callable[..., None],
    tasks: Mapping[str, tuple[Any, ...]],
    *,
    total: int,
    unit: str,
    device: str = "cpu",
    processes: int | None = None,
    log: Callable[[str, Row], None],
) -> None:
    """Runs `work(*arguments, log=…)` for every task, in processes of their own.

    The work keeps what it does by itself and goes on with it when it is called again (as `train.train` does).
    It reports how far it is with `log({"done": …})`, beside what else it logs. A process whose parent is
    gone, killed for instance, ends at once.

    Args:
        work: a module's function, or a `partial` of one; raises what this call then raises.
        tasks: name → arguments, all of which can be pickled; the longest first keeps all processes busy.
        total: what all tasks together have to do, for the time left.
        unit: what `total` and `done` count.
        device: where the work is done: on the CPU one task for each thread at a time, elsewhere one alone.
        processes: tasks at a time instead; 1 runs them in this process.
        log: called here with a task's name and each row it logs, without `done`.
    """
    import torch

    if processes is None:
        processes = min(torch.get_num_threads(), len(tasks)) if device == "cpu" else 1
    with tqdm(total=total, unit=f" {unit}s", unit_scale=True, desc="train") as bar:
        done = dict.fromkeys(tasks, 0)

        def note(name: str, row: Row) -> None:
            now = row.pop("done", done[name])
            bar.update(now - done[name])
            done[name] = now
            if row:
                log(name, row)

        if processes == 1:
            for name, arguments in tasks.items():
                work(*arguments, log=lambda row, name=name: note(name, dict(row)))
            return
        for name, row in _rows(work, tasks, processes):
            note(name, row)


def _rows(work: Callable[..., None], tasks: Mapping[str, tuple], processes: int) -> Iterator[tuple[str, Row]]:
    import torch.multiprocessing

    context = torch.multiprocessing.get_context("spawn")
    queue = context.Queue()
    waiting, running = list(tasks), {}
    threads = max(1, torch.get_num_threads() // processes)
    with _ended(running):
        for name in waiting[:processes]:
            there, here = context.Pipe(duplex=False)
            arguments = (work, there, queue, threads)
            running[name] = context.Process(target=_child, args=arguments, daemon=True), here
            running[name][0].start()
            there.close()
        waiting = waiting[processes:]
        for name, (_, line) in running.items():
            _hand(line, (name, tasks[name]))
        while running:
            try:
                name, kind, value = queue.get(timeout=1)
            except Empty:
                if queue.empty():
                    _check(running)
                continue
            if kind == "row":
                yield name, value
            elif kind == "done":
                process, line = running.pop(name)
                if waiting:  # a process goes on with the next task: a new one takes seconds to start
                    name = waiting.pop(0)
                    running[name] = process, line
                    _hand(line, (name, tasks[name]))
                else:
                    _hand(line, None)
                    process.join()
            else:
                raise value


def _hand(line: Connection, task: tuple[str, tuple] | None) -> None:
    with suppress(BrokenPipeError):  # a process that is gone: `_check` tells of it
        line.send(task)


def _check(running: Mapping[str, tuple[BaseProcess, Connection]]) -> None:
    for name, (process, _) in running.items():
        if not process.is_alive():
            raise UserError(
                f"The training of {name} was ended from outside (exit code {process.exitcode}): "
                "if memory ran out, train fewer or smaller models; run again to go on."
            ) from None


@contextmanager
def _ended(running: Mapping[str, tuple[BaseProcess, Connection]]) -> Iterator[None]:
    """Whatever happens here, no process is left behind."""
    try:
        yield
    finally:
        for process, _ in running.values():
            process.terminate()
        for process, _ in running.values():
            process.join()


def _child(work: Callable[..., None], line: Connection, queue: Any, threads: int) -> None:
    import torch

    end_with_parent()
    torch.set_num_threads(threads)
    os.environ["TQDM_DISABLE"] = "1"  # for `trainer.run`: the parent shows one bar for all
    name = ""
    try:
        while (task := line.recv()) is not None:
            name, arguments = task
            work(*arguments, log=partial(_send, queue, name))
            queue.put((name, "done", None))
    except BaseException as error:
        queue.put((name, "failed", _sendable(error)))
        raise SystemExit(1) from error


def end_with_parent() -> None:
    """From now on this process, which `multiprocessing` has made, ends when its parent does, however.

    At once: what it wrote later nobody would hear of, and it would meet what a repeated call writes.
    """

    def wait() -> None:
        parent_process().join()
        os._exit(1)

    Thread(target=wait, daemon=True).start()


def _send(queue: Any, name: str, row: Row) -> None:
    queue.put((name, "row", row))


def _sendable(error: BaseException) -> BaseException:
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
