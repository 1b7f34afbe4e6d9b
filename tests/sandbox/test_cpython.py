"""The second tier: CPython behind bubblewrap, for what Monty does not know."""

from decimal import Decimal
from fractions import Fraction

import pytest
from programs import ANSWERS, CLOCKS, started

from workbench import sandbox
from workbench.sandbox.cpython import judge, run_in_cpython
from workbench.sandbox.outcomes import MAX_PRINTED

(probe,) = run_in_cpython(["ans = 1"], 10, 64, 0, 1)
needs_walls = pytest.mark.skipif(probe.status == "not run", reason=probe.reason)

BEYOND_MONTY = {
    "from fractions import Fraction\nans = Fraction(2, 6)": Fraction(1, 3),
    "import numpy as np\nans = np.float64(1.5) + np.int64(2)": Decimal("3.5"),
    "from sympy import Rational, solve, symbols\nx = symbols('x')\nans = solve(4 * x - 6, x)[0]": Fraction(
        3, 2
    ),
    "def f():\n    yield 1\n    yield 2\nans = sum(f())": 3,
    "class Apples(int): pass\nans = Apples(3) + 1": 4,
    "import statistics\nans = statistics.mean([1, 2, 6])": 3,
}


@needs_walls
def test_cpython_agrees_with_monty():
    assert sandbox.run([*ANSWERS], tiers=("cpython",)) == sandbox.run([*ANSWERS])
    assert sandbox.run([CLOCKS], tiers=("cpython",)) == sandbox.run([CLOCKS])


@needs_walls
def test_cpython_runs_what_monty_does_not_support():
    assert {outcome.status for outcome in sandbox.run([*BEYOND_MONTY])} == {"unsupported"}
    outcomes = sandbox.run([*BEYOND_MONTY, "ans = 1 / 0"], tiers=("monty", "cpython"), seconds=5)
    assert [outcome.value for outcome in outcomes] == [*BEYOND_MONTY.values(), None]
    assert outcomes[-1].status == "runtime error"


@needs_walls
def test_order_of_sets_is_the_same_each_time():
    program = "ans = repr({'a', 'b', 'c', 'd', 'e', 'f'})"
    assert len(set(sandbox.run([program] * 6, tiers=("cpython",)))) == 1


HOSTILE = {
    "endless loop": ("while True: pass", {"timeout"}),
    "deaf to the alarm": (
        "import signal\nsignal.signal(signal.SIGALRM, signal.SIG_IGN)\nwhile True: pass",
        {"timeout"},
    ),
    "wait": ("import select\nselect.select([], [], [], 100)", {"timeout"}),
    "wait with everything closed": (
        "import os, select\nfor i in range(64):\n    try: os.close(i)\n    except OSError: pass\n"
        "select.select([], [], [], 100)",
        {"timeout"},
    ),
    "list of 16 GB": ("ans = [0] * 2_000_000_000", {"memory"}),
    "growing list": ("x = []\nwhile True: x.append('a' * 10**6)", {"memory"}),
    "shared memory": ("import mmap\nx = [mmap.mmap(-1, 1 << 28) for _ in range(100)]", {"runtime error"}),
    "fork": ("import os\nwhile True: os.fork()", {"runtime error"}),
    "threads": ("import threading\nwhile True: threading.Thread(target=print).start()", {"runtime error"}),
    "subprocess": ("import subprocess\nans = subprocess.check_output('id')", {"runtime error"}),
    "open": ("ans = open('/etc/passwd').read()", {"runtime error"}),
    "home": ("from pathlib import Path\nans = str(list(Path('/root').iterdir()))", {"runtime error"}),
    "this repository": (f"ans = open({__file__!r}).read()", {"runtime error"}),
    "processes": ("import os\nans = str(os.listdir('/proc'))", {"runtime error"}),
    "write": ("open('/written', 'w').write('a')", {"runtime error"}),
    "write to packages": ("open('/packages/written', 'w').write('a')", {"runtime error"}),
    "socket": ("import socket\nsocket.create_connection(('1.1.1.1', 53), 2)", {"runtime error"}),
    "become root": ("import os\nos.setuid(0 if os.getuid() else 1)\nos.setuid(0)", {"runtime error"}),
    "kill": (
        "import os\nos.kill(1, 9)\nos.kill(os.getppid(), 9)\nos.kill(os.getpid(), 9)",
        {"runtime error", "timeout"},
    ),
    "exit": ("import os\nos._exit(0)", {"crash"}),
    "segmentation fault": ("import ctypes\nctypes.string_at(0)", {"crash"}),
    "print for ever": ("while True: print('a' * 1000)", {"memory"}),
    "flood every descriptor": (
        "import os\nwhile True:\n    for i in range(64):\n        try: os.write(i, b'a' * 10_000)\n"
        "        except OSError: pass",
        {"memory"},
    ),
    "recursion": ("def f(): f()\nf()", {"runtime error"}),
    "socket to the machine's host": (
        "import socket\nsocket.socket(40, socket.SOCK_STREAM)",
        {"runtime error"},
    ),
    "memory in a file": ("import os\nos.memfd_create('a')", {"runtime error"}),
    "tower of powers": ("ans = 10 ** 10 ** 9", {"timeout"}),
}


@needs_walls
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_program_behind_the_walls(name):
    program, expected = HOSTILE[name]
    running = started()
    hostile, after = sandbox.run(
        [program, "ans = 2"], tiers=("cpython",), seconds=0.3 if expected == {"timeout"} else 5, workers=1
    )
    assert hostile.status in expected, hostile
    assert hostile.value is None
    assert hostile.reason
    assert len(hostile.printed) <= MAX_PRINTED
    assert after.value == 2
    assert started() == running


CALLS = {  # of the C library where it has them, by number (x86-64, arm64) where not
    "keyring": "library.syscall({'x86_64': 250, 'aarch64': 219}[machine], 0, -3, 1)",
    "new key": "library.syscall({'x86_64': 248, 'aarch64': 217}[machine], b'user', b'a', b'b', 1, -3)",
    "System V memory": "library.shmget(0, 1 << 30, 0o1600)",
    "user namespace": "library.unshare(0x10000000)",
    "io_uring": "library.syscall(425, 8, ctypes.create_string_buffer(256))",
    "process by clone3": "library.syscall(435, ctypes.create_string_buffer(88), 88)",
    "tracing": "library.ptrace(0, 0, 0, 0)",
}


@needs_walls
@pytest.mark.parametrize("name", CALLS)
def test_the_kernel_refuses_what_no_limit_covers(name):
    program = (
        "import ctypes, platform\nmachine = platform.machine()\nlibrary = ctypes.CDLL(None, use_errno=True)\n"
        f"ans = ctypes.get_errno() if ({CALLS[name]}) == -1 else 'allowed'"
    )
    (outcome,) = sandbox.run([program], tiers=("cpython",))
    assert outcome == sandbox.Outcome("ok", 1)  # EPERM


def test_a_machine_of_unknown_system_calls_runs_nothing(monkeypatch):
    monkeypatch.setattr("platform.machine", lambda: "pdp11")
    (outcome,) = sandbox.run(["ans = 1"], tiers=("cpython",))
    assert outcome.status == "not run"
    assert "pdp11" in outcome.reason


@needs_walls
def test_secrets_of_the_environment_are_hidden(monkeypatch):
    monkeypatch.setenv("TOKEN_OF_MINE", "secret")
    (outcome,) = sandbox.run(["import os\nans = repr(sorted(os.environ))"], tiers=("cpython",))
    assert outcome.status == "ok"
    assert "TOKEN_OF_MINE" not in outcome.value


@pytest.mark.parametrize(
    "reply",
    [b"", b"{", b"[" * 100_000, b"[]", b"3", b"null", b'{"status": "won"}', b"\xff", b'{"status": ["ok"]}'],
)
def test_forged_reply_is_a_crash(reply):
    assert judge(reply, 0).status == "crash"


def test_forged_reply_cannot_exceed_the_limits():
    outcome = judge(b'{"status": "ok", "shown": "5", "printed": "%s"}' % (b"a" * 50_000), 0)
    assert outcome.value == 5
    assert len(outcome.printed) == MAX_PRINTED
