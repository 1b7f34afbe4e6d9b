"""Sampling of a real small model at batch 16, two threads: ours, `model.generate`, and other engines.

`python -m tests.benchmarks.real_sampling MODEL_FOLDER [rounds] [KIND=PYTHON:MODEL ...]`: a KIND of `writers`,
with the interpreter that has it, such as `ctranslate2_int8=/venv/bin/python:ct2_folder` or
`llamacpp=/venv/bin/python:model.gguf`. All take turns, each in a process of its own; ratios to `generate` are
by the clock and by processor time, which a busy machine spoils less.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import psutil

from tests.benchmarks.writers import THREADS
from workbench.engine.loading import load

OWN = ("generate", "ours", "bfloat16")
BATCH, NEW = 16, 64
TEXT = "Once upon a time there was a little girl who loved to play in the park with her big red ball"


class Writer:
    """A process of `writers`."""

    def __init__(self, kind: str, python: str, model: str) -> None:
        threads = {"OMP_NUM_THREADS": str(THREADS), "OMP_WAIT_POLICY": "PASSIVE"}
        # -P: of the modules beside `writers`, one is named like a rival.
        own = {"PYTHONPATH": str(Path(__file__).parents[2])} if kind in OWN else {}
        self.process = subprocess.Popen(
            [python, "-P", str(Path(__file__).with_name("writers.py")), kind, model],
            env=os.environ | threads | own,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._answer("READY")

    def _answer(self, word: str) -> str:
        for line in self.process.stdout:
            if line.startswith(word):
                return line.removeprefix(word)
        raise SystemExit(f"{self.process.args} ended.")

    def processor(self) -> float:
        """Seconds of processors that it and its children have used."""
        of = psutil.Process(self.process.pid)
        return sum(sum(each.cpu_times()[:2]) for each in [of, *of.children(recursive=True)])

    def write(self, prompts: list[list[int]], new: int) -> tuple[float, float]:
        """Tokens a second of the clock, and of the processors, a `THREADS`th each."""
        begin, before = time.perf_counter(), self.processor()
        print(json.dumps([prompts, new]), file=self.process.stdin, flush=True)
        count = int(self._answer("WROTE"))
        assert count == len(prompts) * new, f"{self.process.args[2]} wrote {count} tokens"
        return count / (time.perf_counter() - begin), count * THREADS / (self.processor() - before)


def main(folder: str, rounds: int = 5, *rivals: str, new: int = NEW) -> None:
    _, tokenizer = load(folder, "cpu")
    words = TEXT.split()
    prompts = [tokenizer(" ".join(words[: 4 + row % 12])).input_ids for row in range(BATCH)]
    commands = dict.fromkeys(OWN, (sys.executable, folder))
    commands |= {kind: tuple(rest.split(":", 1)) for kind, rest in (each.split("=", 1) for each in rivals)}
    writers = {kind: Writer(kind, *command) for kind, command in commands.items()}
    rates = {kind: [] for kind in writers}
    for turn in range(rounds + 1):
        for kind, writer in writers.items():
            rate = writer.write(prompts, new)
            if turn:
                rates[kind].append(rate)
    print(f"{BATCH} rows of {new} new tokens, {THREADS} threads, {rounds} rounds")
    print("by the clock, by processor time: median tokens a second, median ratio to generate (least to most)")
    for kind, values in rates.items():
        line = f"{kind:<20}"
        for clock in (0, 1):
            pairs = zip(values, rates["generate"], strict=True)
            ratios = sorted(one[clock] / base[clock] for one, base in pairs)
            median = statistics.median(value[clock] for value in values)
            line += f"{median:>10,.0f}  {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
        print(line)
    for writer in writers.values():
        writer.process.stdin.close()
        writer.process.wait()


if __name__ == "__main__":
    folder, *rest = sys.argv[1:]
    counts = [int(each) for each in rest if each.isdigit()]
    main(folder, *(counts or [5]), *(each for each in rest if not each.isdigit()))
