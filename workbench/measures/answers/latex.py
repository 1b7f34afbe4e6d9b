"""Answers in LaTeX, as √2/2 or x = ±3, compared by math-verify in processes that can be ended at any time.

math-verify's own time limits need the main thread of a process, and do not end all that sympy can begin, so
none of it runs here: a worker that does not answer in time, or dies, costs one answer and is replaced.
"""

import importlib.util
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Literal

from workbench.errors import UserError

Outcome = Literal["same", "different", "gold", "given", "time", "crash"]

_WORKER = Path(__file__).with_name("latex_worker.py")
_START = 60.0  # seconds for a worker to come up on a busy machine
_LONGEST = 2000  # characters of an answer; longer ones are no answers


def compare(pairs: Sequence[tuple[str, str]], seconds: float = 5.0, processes: int = 2) -> list[Outcome]:
    """What math-verify says of each (gold, answer): "same", "different", which of them it cannot read
    ("gold", "given"), or what happened to the worker ("time", "crash").

    Raises:
        UserError: math-verify is not installed.
    """
    if not pairs:
        return []
    if importlib.util.find_spec("math_verify") is None:
        raise UserError("Answers in LaTeX need math-verify: install it with pip install math-verify.")
    workers: SimpleQueue[_Worker] = SimpleQueue()
    everyone = [_Worker() for _ in range(min(processes, len(pairs)))]
    for worker in everyone:
        workers.put(worker)

    def ask(pair: tuple[str, str]) -> Outcome:
        worker = workers.get()
        try:
            return worker.ask(pair, seconds)
        finally:
            workers.put(worker)

    # Threads only wait for their worker's line.
    with ThreadPoolExecutor(len(everyone)) as threads:
        try:
            return list(threads.map(ask, pairs))
        finally:
            threads.shutdown(wait=False, cancel_futures=True)
            for worker in everyone:
                worker.end()


@dataclass
class _Worker:
    process: subprocess.Popen | None = None
    unread: bytes = b""

    def ask(self, pair: tuple[str, str], seconds: float) -> Outcome:
        if max(map(len, pair)) > _LONGEST:
            return "gold" if len(pair[0]) > _LONGEST else "given"
        try:
            if self.process is None:
                self.start()
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
            [sys.executable, "-P", str(_WORKER)],
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
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process.stdin.close()
            self.process.stdout.close()
        self.process, self.unread = None, b""
