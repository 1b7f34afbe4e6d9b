"""Programs a second in each tier of the sandbox, against one CPython process for each without a sandbox.

`OMP_NUM_THREADS=1 python -m tests.benchmarks.sandbox [rounds]`. The programs are solutions that the grammar
of word problems writes; every candidate uses every processor and must find the right answers. Wall-clock
time, since the work is done by other processes.
"""

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction

from tests.benchmarks.side_by_side import compare
from workbench import sandbox
from workbench.corpora.problems import draw
from workbench.lab.environment import cores

MANY, FEW = 5_000, 100


def main(rounds: int = 5) -> None:
    problems = draw(MANY, seed=0)
    programs = [problem.rationale("pot") for problem in problems]
    answers = [problem.answer for problem in problems]

    def alone(program: str) -> str:
        command = [sys.executable, "-I", "-S", "-c", f"{program}\nprint(ans)"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    def processes() -> int:
        with ThreadPoolExecutor(cores()) as threads:
            found = list(threads.map(alone, programs[:FEW]))
        assert [Fraction(text) for text in found] == answers[:FEW]
        return FEW

    def ours(n: int, **settings: tuple[str, ...]) -> int:
        found = sandbox.run(programs[:n], **settings)
        assert [Fraction(outcome.value) for outcome in found] == answers[:n]
        return n

    candidates = {"one CPython for each program, no sandbox": processes, "monty": lambda: ours(MANY)}
    if sandbox.run(["ans = 1"], tiers=("cpython",))[0].status == "ok":
        candidates["cpython behind bubblewrap"] = lambda: ours(FEW, tiers=("cpython",))
    print(f"{cores()} processor(s); for example:\n{programs[0]}")
    compare(candidates, rounds, "programs", time.perf_counter)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
