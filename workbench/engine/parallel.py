"""Several small trainings at once: on a few cores, one thread each is faster than all threads on one."""

import os
import pickle
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import parent_process
from queue import Empty
from threading import Thread
from typing import Any

from tqdm.auto import tqdm

from workbench.errors import UserError

Row = dict[str, Any]
_queue: Any = None  # of a child process: takes (task, row), and (task, None) when a task has ended


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
        done: dict[str, float] = dict.fromkeys(tasks, 0)

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
    queue, threads = context.Queue(), max(1, torch.get_num_threads() // processes)
    pool = ProcessPoolExecutor(processes, context, _begin, (queue, threads))
    running: dict[str, Future] = {}
    try:
        for name, arguments in tasks.items():
            running[name] = pool.submit(_run, work, name, arguments)
        while running:
            try:
                name, row = queue.get(timeout=1)
            except Empty:
                for future in running.values():
                    if future.done():
                        future.result()
                continue
            if row is None:
                running.pop(name).result()
            else:
                yield name, row
    except BrokenProcessPool as error:
        raise UserError(
            f"The training of {' or '.join(list(running)[:processes])} was ended from outside: "
            "if memory ran out, train fewer or smaller models; run again to go on."
        ) from error
    finally:  # whatever happens here, no process is left behind
        for process in list((pool._processes or {}).values()) if running else ():
            process.terminate()
        pool.shutdown(cancel_futures=True)


def _begin(queue: Any, threads: int) -> None:
    import torch

    global _queue
    _queue = queue
    end_with_parent()
    torch.set_num_threads(threads)
    os.environ["TQDM_DISABLE"] = "1"  # for `training.loop`: the parent shows one bar for all


def _run(work: Callable[..., None], name: str, arguments: tuple) -> None:
    try:
        work(*arguments, log=lambda row: _queue.put((name, row)))
    except BaseException as error:
        try:
            pickle.loads(pickle.dumps(error))
        except Exception:
            raise RuntimeError(f"{type(error).__name__}: {error}") from None
        raise
    finally:
        _queue.put((name, None))  # behind all its rows


def end_with_parent() -> None:
    """From now on this process, which `multiprocessing` has made, ends when its parent does, however.

    At once: what it wrote later nobody would hear of, and it would meet what a repeated call writes.
    """

    def wait() -> None:
        parent = parent_process()
        assert parent is not None
        parent.join()
        os._exit(1)

    Thread(target=wait, daemon=True).start()
