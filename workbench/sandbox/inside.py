"""Runs behind the walls, in a bare CPython: one program from standard input, its outcome to standard output.

Standard library only, and nothing of this package: the walls hide it.
"""

import ctypes
import datetime
import errno
import io
import json
import os
import platform
import random
import resource
import signal
import struct
import sys
import time
from collections.abc import Callable
from typing import Self

RESERVED = 128 << 20  # bytes that CPython, numpy and sympy ask for and do not fill
ADDRESSES = 1 << 30  # bytes of addresses that they take
NOBODY = 65534
# Ways out that no limit covers, by their numbers on x86-64 and on arm64: processes, namespaces and tracing;
# sockets (AF_VSOCK reaches the host); memory beyond the limits; the keyring; interfaces of the kernel.
FORBIDDEN = {
    "clone": (56, 220),
    "fork": (57, None),
    "vfork": (58, None),
    "unshare": (272, 97),
    "setns": (308, 268),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "socket": (41, 198),
    "socketpair": (53, 199),
    "shmget": (29, 194),
    "shmat": (30, 196),
    "semget": (64, 190),
    "msgget": (68, 186),
    "mq_open": (240, 180),
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "mount": (165, 40),
    "pivot_root": (155, 41),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "personality": (135, 92),
    "io_setup": (206, 0),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "pidfd_open": (434, 434),
    "clone3": (435, 435),
}
MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}  # column above, AUDIT_ARCH of the kernel


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


def forbid() -> None:
    """Take the system calls in FORBIDDEN away from this process, for good: a BPF filter, see seccomp(2)."""
    column, architecture = MACHINES[platform.machine()]
    numbers = [row[column] for row in FORBIDDEN.values() if row[column] is not None]
    kill, refuse, allow = 0x80000000, 0x00050000 | errno.EPERM, 0x7FFF0000
    steps = [
        (0x20, 0, 0, 4),
        (0x15, 1, 0, architecture),
        (0x06, 0, 0, kill),
    ]  # load and compare the architecture
    steps += [
        (0x20, 0, 0, 0),
        (0x35, len(numbers), 0, 0x40000000),
    ]  # the call's number; x32 has its own: refused
    steps += [(0x15, len(numbers) - index, 0, number) for index, number in enumerate(numbers)]
    steps += [(0x06, 0, 0, allow), (0x06, 0, 0, refuse)]
    program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    header = ctypes.create_string_buffer(struct.pack("HP", len(steps), ctypes.addressof(program)))
    control = ctypes.CDLL(None, use_errno=True).prctl
    no_new_privileges, seccomp, by_filter = 38, 22, 2
    if control(no_new_privileges, 1, 0, 0, 0) or control(seccomp, by_filter, header, 0, 0):
        raise OSError(ctypes.get_errno(), "this kernel takes no seccomp filter")


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
    forbid()
    outcome = judge(task["program"], task["shown"])
    outcome["printed"] = printed.getvalue()
    os.write(answer, json.dumps(outcome).encode())
    os._exit(0)


if __name__ == "__main__":
    main()
