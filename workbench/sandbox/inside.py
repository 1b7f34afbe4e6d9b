"""Runs behind the walls, in a bare CPython: one program from standard input, its outcome to standard output.

Standard library only, and nothing of this package: the walls hide it.
"""

import datetime
import io
import json
import os
import random
import resource
import signal
import sys
import time
from collections.abc import Callable
from typing import Self

RESERVED = 128 << 20  # bytes that CPython, numpy and sympy ask for and do not fill
ADDRESSES = 1 << 30  # bytes of addresses that they take
NOBODY = 65534


class Printed(io.StringIO):
    """Standard output of the program, stopped at a number of characters."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most

    def write(self, text: str) -> int:
        room = self.most - self.tell()
        super().write(text[:room])
        if len(text) > room:
            raise MemoryError(f"printed more than {self.most:,} characters")
        return len(text)


def confine(seconds: float, megabytes: int) -> None:
    """Give up the right to processes, files, memory and time beyond the limits."""
    if os.getuid() == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    filled = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
    limits = {
        "DATA": filled + RESERVED + (megabytes << 20),
        "AS": ADDRESSES + (megabytes << 20),
        "NPROC": 0,
        "FSIZE": 0,
        "CORE": 0,
        "NOFILE": 64,
        "CPU": int(seconds) + 1,
    }
    for name, most in limits.items():
        resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (most, most))
    signal.setitimer(signal.ITIMER_REAL, seconds)  # nothing handles the alarm, so it ends the process


def stop_clocks(now: float, seed: int) -> None:
    """Make clocks and `random` the same in every run."""

    def at(real: Callable) -> Callable:
        return lambda seconds=None: real(now if seconds is None else seconds)

    for name in ("time", "monotonic", "perf_counter", "process_time", "thread_time"):
        setattr(time, name, lambda: now)
        setattr(time, f"{name}_ns", lambda: int(now * 1e9))
    time.gmtime, time.localtime, time.ctime = at(time.gmtime), at(time.gmtime), at(time.ctime)
    time.sleep = lambda _seconds: None

    class Date(datetime.date):
        @classmethod
        def today(cls) -> Self:
            return cls.fromtimestamp(now)

    class Datetime(datetime.datetime):
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> Self:
            return cls.fromtimestamp(now, tz)

        @classmethod
        def utcnow(cls) -> Self:
            return cls.now()

        today = utcnow

    datetime.date, datetime.datetime = Date, Datetime
    random.seed(seed)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(seed)


def judge(program: str, shown: int) -> dict[str, str]:
    """Execute a program and show its `ans`, cut after some characters."""
    names = {"__name__": "__main__"}
    ended = False
    try:
        exec(compile(program, "<program>", "exec"), names)
        ended = True
        if "ans" not in names:
            return {"status": "wrong type", "reason": "the program never set ans"}
        return {"status": "ok", "shown": repr(names["ans"])[:shown]}
    except MemoryError as error:
        return {"status": "memory", "reason": f"MemoryError: {error}"}
    except (SyntaxError, ModuleNotFoundError, UnicodeEncodeError) as error:
        status = "unsupported" if isinstance(error, ModuleNotFoundError) else "syntax"
        return {"status": status, "reason": f"{type(error).__name__}: {error}"}
    except BaseException as error:
        reason = f"{type(error).__name__}: {error}"
        if ended:
            return {"status": "wrong type", "reason": f"ans cannot be shown: {reason}"}
        return {"status": "runtime error", "reason": reason}


def main() -> None:
    task = json.load(sys.stdin)
    answer = os.dup(1)  # the program's own writes to standard output cannot reach it by accident
    os.close(1)
    sys.path.append("/packages")
    for name in ("numpy", "sympy"):
        if name in task["program"]:
            __import__(name)  # before the clock starts
    stop_clocks(task["now"], task["seed"])
    sys.stdout = printed = Printed(task["printed"])
    confine(task["seconds"], task["megabytes"])
    outcome = judge(task["program"], task["shown"])
    outcome["printed"] = printed.getvalue()
    os.write(answer, json.dumps(outcome).encode())
    os._exit(0)


if __name__ == "__main__":
    main()
