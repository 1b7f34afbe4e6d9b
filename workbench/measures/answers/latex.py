"""Formulas, as √2/2 or x = ±3, compared by math-verify in processes that can be ended at any time.

math-verify's own time limits need the main thread of a process, and do not end all that sympy can begin, so
none of it runs here: a worker that does not answer in time, or dies, costs one answer and is replaced.
Workers start when the first formula is compared, wait for more, and end with this process.
"""

import atexit
import importlib.util
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from typing import Literal

from workbench.errors import UserError

Outcome = Literal["same", "different", "gold", "given", "time", "crash"]

_WORKER = Path(__file__).with_name("latex_worker.py")
_START = 60.0  # seconds for a worker to come up on a busy machine
_LONGEST = 2000  # characters of an answer; longer ones are no answers
_idle: list["_Worker"] = []


def compare(pairs: Sequence[tuple[str, str]], seconds: float = 5.0, processes: int = 2) -> list[Outcome]:
    """What math-verify says of each (gold, answer): "same", "different", which of them it cannot read
    ("gold", "given"), or what happened to the worker ("time", "crash").

    Args:
        pairs: formulas in LaTeX; each pair is compared once, however often it occurs.
        seconds: for one comparison, at most 60.
        processes: workers, at most.

    Raises:
        UserError: math-verify is not installed.
    """
    if not pairs:
        return []
    if importlib.util.find_spec("math_verify") is None:
        raise UserError("Answers in LaTeX need math-verify: install it with pip install math-verify.")
    unique = list(dict.fromkeys(pairs))
    everyone = _workers(min(processes, len(unique)))
    free: SimpleQueue[_Worker] = SimpleQueue()
    for worker in everyone:
        free.put(worker)

    def ask(pair: tuple[str, str]) -> Outcome:
        worker = free.get()
        try:
            return worker.ask(pair, seconds)
        finally:
            free.put(worker)

    threads = ThreadPoolExecutor(len(everyone))  # they only wait for their worker's line
    try:
        outcomes = dict(zip(unique, threads.map(ask, unique), strict=True))
    except BaseException:
        for worker in everyone:  # one that is still at work would answer the next question wrongly
            worker.end()
        raise
    finally:
        threads.shutdown(wait=False, cancel_futures=True)
    _idle.extend(everyone)
    return [outcomes[pair] for pair in pairs]


def _workers(n: int) -> list["_Worker"]:
    """So many workers: those that wait, and new ones. A process forked from this one has none of its own."""
    mine = []
    while len(mine) < n:
        try:
            worker = _idle.pop()
        except IndexError:  # none is left, perhaps since another thread took it
            break
        if worker.owner == os.getpid() and worker.script == _WORKER:
            mine.append(worker)
        elif worker.owner == os.getpid():
            worker.end()
    return mine + [_Worker(_WORKER) for _ in range(n - len(mine))]


@atexit.register
def _end() -> None:
    for worker in _workers(len(_idle)) if _idle else []:
        worker.end()


@dataclass
class _Worker:
    script: Path
    process: subprocess.Popen | None = None
    unread: bytes = b""
    owner: int = field(default_factory=os.getpid)

    def ask(self, pair: tuple[str, str], seconds: float) -> Outcome:
        if max(map(len, pair)) > _LONGEST:
            return "gold" if len(pair[0]) > _LONGEST else "given"
        try:
            if self.process is None:
                self.start()
            assert self.process is not None
            assert self.process.stdin is not None
            self.process.stdin.write(json.dumps(pair).encode() + b"\n")
            return self.line(seconds)
        except TimeoutError:
            self.end()
            return "time"
        except (OSError, EOFError):
            self.end()
            return "crash"

    def start(self) -> None:
        # -P: not to take this folder's modules for those of the standard library.
        self.process = subprocess.Popen(
            [sys.executable, "-P", str(self.script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
        )
        try:
            self.line(_START)
        except (TimeoutError, EOFError) as error:
            raise UserError(
                "math-verify does not start: see what python -c 'import math_verify' says, and reinstall it."
            ) from error

    def line(self, seconds: float) -> Outcome:
        """The next line of the process; TimeoutError, EOFError."""
        assert self.process is not None
        assert self.process.stdout is not None
        output, until = self.process.stdout.fileno(), time.monotonic() + seconds
        while b"\n" not in self.unread:
            if not select.select([output], [], [], max(0.0, until - time.monotonic()))[0]:
                raise TimeoutError
            more = os.read(output, 65536)
            if not more:
                raise EOFError
            self.unread += more
        line, _, self.unread = self.unread.partition(b"\n")
        return json.loads(line)

    def end(self) -> None:
        process, self.process, self.unread = self.process, None, b""
        if process is not None:
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    stream.close()
