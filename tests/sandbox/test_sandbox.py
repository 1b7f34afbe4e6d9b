"""Programs that a model wrote: what they answer, how they fail, and what they cannot reach."""

import os
import random
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from decimal import Decimal
from fractions import Fraction

import psutil
import pytest
from programs import ANSWERS, CLOCKS, HOSTILE, STATUS, started

from workbench import sandbox
from workbench.sandbox.outcomes import MAX_ANSWER, MAX_PRINTED, read


@pytest.mark.parametrize("program", ANSWERS)
def test_answers_are_exact(program):
    (outcome,) = sandbox.run([program])
    assert outcome == sandbox.Outcome("ok", ANSWERS[program])
    assert type(outcome.value) is type(ANSWERS[program])


@pytest.mark.parametrize("program", STATUS)
def test_status(program):
    (outcome,) = sandbox.run([program])
    assert outcome.status == STATUS[program]
    assert outcome.value is None
    assert outcome.reason


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_program_costs_only_itself(name, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    program, expected = HOSTILE[name]
    seconds = 0.2 if "timeout" in expected else 10
    running = started()
    first, hostile, last = sandbox.run(["ans = 1", program, "ans = 2"], seconds=seconds)
    assert (first.value, last.value) == (1, 2)
    assert hostile.status in expected, hostile
    assert hostile.value is None
    assert hostile.reason
    assert "\n" not in hostile.reason
    assert len(hostile.reason) < 400
    assert len(hostile.printed) <= MAX_PRINTED
    assert capfd.readouterr().out == ""
    assert not list(tmp_path.iterdir())
    assert started() == running


def test_many_at_once_stay_in_order():
    programs = [
        f"print({i})\nans = {i} * 2" if i % 3 else f"ans = {i} / 0" if i % 2 else "import numpy"
        for i in range(300)
    ]
    outcomes = sandbox.run(programs)
    assert Counter(outcome.status for outcome in outcomes) == {
        "ok": 200,
        "runtime error": 50,
        "unsupported": 50,
    }
    for i, outcome in enumerate(outcomes):
        if i % 3:
            assert outcome == sandbox.Outcome("ok", 2 * i, f"{i}\n")


def test_programs_share_nothing():
    meddle = "import math\nmath.pi = 3\nans = 1\nleft = 5\ndef print(x): pass"
    outcomes = sandbox.run([meddle, "ans = left", meddle, "import math\nprint(1)\nans = math.pi"], workers=1)
    assert outcomes[1].status == "runtime error"
    assert outcomes[3].value > 3
    assert outcomes[3].printed == "1\n"


def test_clock_and_random_are_the_same_each_time():
    first, second = sandbox.run([CLOCKS, CLOCKS])
    assert first.status == "ok"
    assert first == second == sandbox.run([CLOCKS])[0]
    assert first != sandbox.run([CLOCKS], seed=1)[0]


def meet_worker(programs, act, **limits):
    """Run programs in one worker and do something to it once it is busy."""
    before, outcomes = started(), []
    thread = threading.Thread(target=lambda: outcomes.extend(sandbox.run(programs, workers=1, **limits)))
    thread.start()
    end = time.monotonic() + 30
    while time.monotonic() < end and thread.is_alive():
        busy = [
            child
            for root in started() - before
            for child in [root, *root.children(recursive=True)]
            if not child.children() and child.cpu_times().user > 0.1
        ]
        if busy:
            act(busy[0])
            break
        time.sleep(0.01)
    thread.join()
    assert started() == before
    return outcomes


def test_killed_worker_costs_one_program():
    before, killed, *after = meet_worker(
        ["ans = 1", "while True: pass", "ans = 2", "ans = 3"], lambda worker: worker.kill(), seconds=20
    )
    assert killed.status == "crash"
    assert [outcome.value for outcome in (before, *after)] == [1, 2, 3]


def test_hanging_worker_costs_one_program():
    before, hung, *after = meet_worker(
        ["ans = 1", "while True: pass", "ans = 2"], lambda worker: worker.suspend(), seconds=1
    )
    assert hung.status == "timeout"
    assert [outcome.value for outcome in (before, *after)] == [1, 2]


def test_no_worker_outlives_a_killed_run(tmp_path):
    run = "from workbench import sandbox; sandbox.run(['while True: pass'] * 2, seconds=5)"
    killed = psutil.Popen([sys.executable, "-c", run], env=os.environ | {"TMPDIR": str(tmp_path)})
    workers = []
    while len(workers) < 2:  # before them come the short-lived processes that try the walls
        assert killed.poll() is None
        time.sleep(0.01)
        with suppress(psutil.NoSuchProcess):
            children = killed.children(recursive=True)
            workers = [each for each in children if not each.children() and each.cpu_times().user > 0.2]
    killed.kill()
    killed.wait()
    assert psutil.wait_procs(workers, timeout=30)[1] == []


def test_without_a_sandbox_nothing_runs_and_the_reason_says_what_to_install(monkeypatch):
    monkeypatch.setenv("MONTY_BIN", "/nonexistent/monty")
    monkeypatch.setenv("PATH", "")
    assert [outcome.status for outcome in sandbox.run(["ans = 1"] * 2)] == ["not run"] * 2
    (outcome,) = sandbox.run(["ans = 1"], tiers=("monty", "cpython"))
    assert outcome.status == "not run"
    assert "pip install pydantic-monty" in outcome.reason
    assert "apt-get install bubblewrap" in outcome.reason


def test_worker_that_is_no_worker(monkeypatch):
    monkeypatch.setenv("MONTY_BIN", "/usr/bin/true")
    assert sandbox.run(["ans = 1"])[0].status == "not run"


def test_monty_needs_no_bubblewrap(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert sandbox.run(["ans = 1"])[0].value == 1
    (outcome,) = sandbox.run(["import fractions"], tiers=("monty", "cpython"))
    assert outcome.status == "unsupported"
    assert "bubblewrap" in outcome.reason


def test_no_programs():
    assert sandbox.run([]) == []


@pytest.mark.parametrize(
    ("programs", "limits"),
    [
        ([None], {}),
        (["ans = 1"], {"seconds": 0}),
        (["ans = 1"], {"megabytes": -1}),
        (["ans = 1"], {"tiers": ("docker",)}),
        (["ans = 1"], {"tiers": ()}),
    ],
)
def test_mistakes_of_the_caller(programs, limits):
    with pytest.raises(ValueError, match=r"."):
        sandbox.run(programs, **limits)


def test_reading_an_answer_never_raises():
    draw = random.Random(0)
    pieces = [
        *"0123456789-+./eE'\"\\x(, )j_n",
        "Decimal('",
        "Fraction(",
        "np.float64(",
        "1e9999",
        "\ud800",
        "٣",
    ]
    kinds = Counter()
    for _ in range(20_000):
        outcome = read("".join(draw.choices(pieces, k=draw.randint(0, 8))), "")
        kinds[outcome.status] += 1
        if isinstance(outcome.value, Decimal):
            assert abs(outcome.value) < 10 ** (MAX_ANSWER + 1)
            Fraction(outcome.value)
        if isinstance(outcome.value, str):
            outcome.value.encode()
    assert kinds["ok"] > 1000
    assert kinds["wrong type"] > 1000
