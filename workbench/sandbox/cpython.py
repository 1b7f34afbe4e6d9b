"""The second tier: CPython behind the walls of bubblewrap, a new process for each program."""

import json
import platform
import signal
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from workbench.sandbox import walls
from workbench.sandbox.inside import MACHINES
from workbench.sandbox.outcomes import MAX_PRINTED, NOW, SHOWN, STATUSES, Outcome, one_line, read

MAX_REPLY = 20 * (MAX_PRINTED + SHOWN)  # bytes; JSON writes a character in 12 at most
GRACE = 10.0  # seconds to start and to load numpy or sympy, which do not count
LATE = {-signal.SIGKILL, *(128 + number for number in (signal.SIGALRM, signal.SIGXCPU, signal.SIGKILL))}


def run_in_cpython(
    programs: Sequence[str], seconds: float, megabytes: int, seed: int, workers: int
) -> list[Outcome]:
    """Run programs side by side; the arguments are those of `sandbox.run`."""
    inside = str(Path(__file__).with_name("inside.py"))
    visible = {sys.base_prefix: "/python", sysconfig.get_path("platlib"): "/packages", inside: "/inside.py"}
    python = "/python/bin/python{}.{}".format(*sys.version_info)
    # A fixed order of sets, one thread for numpy, and the libraries of a python that was built elsewhere.
    settings = ["PYTHONHASHSEED=0", "OPENBLAS_NUM_THREADS=1", "LD_LIBRARY_PATH=/python/lib"]
    start = ["/usr/bin/env", *settings, python, "-S", "-P", "-B"]
    reason = walls.missing(start, visible)
    if platform.machine() not in MACHINES:
        reason = f"its system calls are not known on {platform.machine()}"
    if reason:
        return [Outcome("not run", reason=reason)] * len(programs)
    command = walls.command([*start, "/inside.py"], visible)
    task = {"seconds": seconds, "megabytes": megabytes, "seed": seed, "now": NOW.timestamp()}
    task |= {"printed": MAX_PRINTED, "shown": SHOWN}

    def one(program: str) -> Outcome:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        alarm = threading.Timer(seconds + GRACE, process.kill)
        alarm.start()
        assert process.stdin is not None
        assert process.stdout is not None
        with process:
            with suppress(BrokenPipeError):
                process.stdin.write(json.dumps(task | {"program": program}).encode())
                process.stdin.close()
            reply = process.stdout.read(MAX_REPLY)
            if len(reply) == MAX_REPLY:
                process.kill()
        alarm.cancel()
        return judge(reply, process.returncode)

    with ThreadPoolExecutor(workers) as threads:
        return list(threads.map(one, programs))


def judge(reply: bytes, code: int) -> Outcome:
    """The outcome in a reply, which the program may have forged, of a process that ended with a code."""
    if len(reply) == MAX_REPLY:
        return Outcome("memory", reason=f"the process wrote more than {MAX_REPLY:,} bytes")
    if code in LATE:
        return Outcome("timeout", reason="the process was stopped at its time limit")
    try:
        fields = json.loads(reply)
        status, shown, printed, reason = (
            str(fields.get(name, "")).encode("utf-8", "replace").decode()
            for name in ("status", "shown", "printed", "reason")
        )
    except (ValueError, AttributeError, RecursionError):
        return Outcome("crash", reason=f"the process ended with code {code} and without an outcome")
    printed = printed[:MAX_PRINTED]
    if status == "ok":
        return read(shown, printed)
    return Outcome(status if status in STATUSES else "crash", None, printed, one_line(reason))
