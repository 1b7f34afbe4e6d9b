"""A sweep of short runs on two local workers, against the same runs one after another.

`python -m tests.benchmarks.sweep [points] [rounds]`. Every candidate is the command line as a person gives
it, in a fresh project; half of a run is the start of its kernel, the other half computes on one thread.
Wall-clock time, since the work is done by other processes; both need two free processor cores to tell.
"""

import sys
import tempfile
import time
from pathlib import Path

from tests.benchmarks.side_by_side import compare
from tests.lab_project import command, write_notebook

WORK = """
import time
begin = time.thread_time()
while time.thread_time() < begin + 1:
    sum(range(10_000))
"""


def swept(points: int, jobs: int) -> int:
    """Run the points of a fresh project and return their number, in thousandths."""
    with tempfile.TemporaryDirectory() as root:
        write_notebook(Path(root), "01_work", WORK)
        words = ["sweep", "01", "-p", f"seed=1..{points}", "--jobs", str(jobs)]
        process = command(Path(root), *words, OMP_NUM_THREADS="1", WORKBENCH_RUNS="")
        _, errors = process.communicate()
        assert process.returncode == 0, errors
    return 1000 * points


def main(points: int = 24, rounds: int = 3) -> None:
    compare(
        {
            "one after another": lambda: swept(points, 1),
            "two side by side (goal 1.7)": lambda: swept(points, 2),
        },
        rounds,
        "run/1000",
        time.perf_counter,
    )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
