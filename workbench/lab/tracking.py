"""A run followed by a tracker: while it is made (`WORKBENCH_TRACK`), or afterwards (`workbench export`).

Either way the tracker is given what the run folder holds, by the same lines, and a run has the same key.
"""

import json
import os
import time
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path

from workbench.errors import UserError
from workbench.lab.digests import map_texts
from workbench.lab.ledger import read_claims
from workbench.lab.record import read_run
from workbench.lab.trackers import TRACKERS, Point, Tracker, clean
from workbench.sanitize import redact, sanitize

VARIABLE = "WORKBENCH_TRACK"
_PAUSE = 2  # seconds between two looks at what was logged


def wanted() -> str | None:
    """The tracker that WORKBENCH_TRACK names, or None.

    Raises:
        UserError: There is none of that name, or it is not installed.
    """
    name = os.environ.get(VARIABLE, "").strip().lower()
    if name:
        check(name)
    return name or None


def check(name: str) -> None:
    """Check that a tracker can be used.

    Raises:
        UserError: There is none of that name, or it is not installed.
    """
    if name not in TRACKERS:
        names = ", ".join(TRACKERS)
        raise UserError(f"{sanitize(name, 60)!r} is not a tracker that is known here: choose one of {names}.")
    spec = find_spec(name)
    if spec is None or spec.origin is None:  # a folder of that name, as W&B makes one, is no package
        raise UserError(f"{name} is not installed: pip install 'small-model-workbench[{name}]'")


class Followed:
    """A run folder that a tracker follows.

    Args:
        folder: Of the run.
        name: Of the tracker, which is installed; None where nobody follows.
        is_all: Whether there is nothing but the following, so that its failure is a mistake to be told.

    Raises:
        UserError: The tracker cannot be opened.
    """

    def __init__(self, folder: Path, name: str | None, *, is_all: bool = False) -> None:
        self._folder, self._name, self._is_all = folder, name, is_all
        self._tracker: Tracker | None = None
        try:
            if name:
                run = read_run(folder)  # its parameters may go to a server
                run |= {"params": map_texts(run["params"], redact)}
                self._tracker = TRACKERS[name](folder, run)
        except Exception as error:  # a database, a network, an account
            raise UserError(f"{name} cannot be opened ({_said(error)}).") from error
        self._read, self._looked = 0, 0.0
        self._counts: dict[str, int] = {}

    def catch_up(self, pause: float = _PAUSE) -> None:
        """Write what was logged since; a tracker that fails ends the following, not the run."""
        if self._tracker is None or time.monotonic() - self._looked < pause:
            return
        try:
            self._tracker.log(self._points())
        except Exception as error:  # of any kind: disk, database, network
            self._give_up(error)
        self._looked = time.monotonic()

    def close(self) -> None:
        """Write the rest, and the claims."""
        self.catch_up(pause=0)
        try:
            if self._tracker is not None:
                self._tracker.claim(read_claims(self._folder))
                self._tracker.close()
        except Exception as error:
            self._give_up(error)
        self._tracker = None

    def _give_up(self, error: Exception) -> None:
        self._tracker = None
        if self._is_all:
            raise UserError(f"{self._name} does not take the run ({_said(error)}).") from error
        again = f"workbench export {self._folder.name} --to {self._name}"
        print(f"{self._name} takes no more of this run ({_said(error)}): later, `{again}` writes it.")

    def _points(self) -> list[Point]:
        """What whole lines of metrics.jsonl say that were not read yet; of one step the last line counts."""
        try:
            with open(self._folder / "metrics.jsonl", "rb") as file:
                file.seek(self._read)
                data = file.read()
        except FileNotFoundError:
            return []
        whole = data[: data.rfind(b"\n") + 1]
        self._read += len(whole)
        points = {}
        for point in _points(whole.decode("utf-8", "replace").splitlines(), self._counts):
            points[point.series, point.step, *point.values] = point
        return list(points.values())


def write(folder: Path, name: str) -> None:
    """Write a run to a tracker in place of what was written of it before.

    Raises:
        UserError: The tracker is not installed, or refuses.
    """
    check(name)
    Followed(folder, name, is_all=True).close()


def _said(error: Exception) -> str:
    words = " ".join((str(error) or type(error).__name__).split())
    return sanitize(redact(words), 300).rstrip(".")


def _points(lines: Iterable[str], counts: dict[str, int]) -> Iterator[Point]:
    """What lines of metrics.jsonl say; where a line names no step, the lines of its series are counted."""
    for text in lines:
        try:
            line = json.loads(text)
        except ValueError:
            continue
        line = line if isinstance(line, dict) else {}
        parts = [value for value in line.values() if isinstance(value, str)]
        parts += [f"seed {line['seed']}"] if "seed" in line else []
        series = clean(" ".join(parts))
        counts[series] = count = counts.get(series, -1) + 1
        numbers = {name: value for name, value in line.items() if type(value) in (int, float)}
        moment, step = numbers.pop("time", 0.0), int(numbers.pop("step", count))
        numbers.pop("seed", None)
        if numbers:
            yield Point(series, step, moment, {clean(name): value for name, value in numbers.items()})
