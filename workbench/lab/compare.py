"""The two sides of a comparison as their run folders hold them: parameters, logged curves, tables, claims."""

import json
import os
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from workbench.claims import Claim
from workbench.errors import UserError
from workbench.files import read_bytes
from workbench.lab.defaults import spelled, text
from workbench.lab.history import all_runs, content_mark, find_run, is_run, state
from workbench.lab.ledger import read_claims
from workbench.lab.params import check_names
from workbench.lab.project import runs_folder
from workbench.lab.record import read_run
from workbench.sanitize import sanitize

Row = tuple[str, str, str]
_LONGEST_LINE = 2**20  # bytes of a line of metrics


@dataclass(frozen=True)
class Side:
    """One or more finished runs; `runs` maps "A" or "A1", "A2" … to their folders."""

    name: str
    runs: dict[str, Path]

    @cached_property
    def records(self) -> dict[str, dict[str, Any]]:
        """run.json of each."""
        return {name: read_run(folder) for name, folder in self.runs.items()}


def sides(asked: tuple[str, str]) -> tuple[Side, Side]:
    """Find the runs that two words ask for.

    Args:
        asked: Twice a run (as `workbench show` takes it), several joined by commas, or
            NOTEBOOK:NAME=VALUE for the newest finished run of each setting with that value.

    Raises:
        UserError: A run is not there or not finished, or stands on both sides.
    """
    terms = [[side] if is_run(side) else filter(str.strip, side.split(",")) for side in asked]
    chosen = [[folder for term in side for folder in _find(term.strip())] for side in terms]
    if not all(chosen):
        raise UserError("One side names no run: `workbench list` shows what is there.")
    everywhere = [folder.resolve() for folders in chosen for folder in folders]
    for folder in everywhere:
        if everywhere.count(folder) > 1:
            raise UserError(f"{_name(folder)} is named twice: a run is compared with another one.")
        if state(folder) != "done":
            record = read_run(folder)
            raise UserError(
                f"{_name(folder)} is {state(folder)}, and only finished runs are compared: let"
                f" `workbench run {record['notebook']}` with its parameters finish it."
            )
    a, b = (
        Side(name, {f"{name}{n}" if len(folders) > 1 else name: path for n, path in enumerate(folders, 1)})
        for name, folders in zip("AB", chosen, strict=True)
    )
    return a, b


def code(first: Side, second: Side) -> list[str]:
    """The modules, and the notebook itself, whose code is not the same in all runs."""
    parts = [record["parts"] for side in (first, second) for record in side.records.values()]
    cells = ["the notebook's cells"] if len({part["notebook"] for part in parts}) > 1 else []
    modules = sorted({name for part in parts for name in part["code"]})
    return cells + [
        sanitize(name, 100) for name in modules if len({part["code"].get(name) for part in parts}) > 1
    ]


def curves(*sides: Side) -> list[dict[str, Any]]:
    """What the runs logged, a row a number: side, run, series (the texts of its line), step, metric, value.

    A line without a step counts as the next one; of a step logged twice the last line counts. A metric of
    which every run has one series has none: what a run calls its only model is no reason to keep it apart.
    """
    values: dict[tuple[Any, ...], dict[str, Any]] = {}
    names: dict[tuple[Any, ...], set[str]] = defaultdict(set)
    for side, run, folder in [(one.name, *pair) for one in sides for pair in one.runs.items()]:
        for number, line in enumerate(_entries(folder / "metrics.jsonl")):
            series = " · ".join(value for value in line.values() if isinstance(value, str))
            step = line["step"] if _is_number(line.get("step")) else number
            for metric, value in line.items():
                if metric not in ("time", "step") and _is_number(value):
                    row = {"side": side, "run": run, "series": series, "step": step, "metric": metric}
                    values[tuple(row.values())] = row | {"value": value}
                    names[metric, run].add(series)
    several = {metric for (metric, _), series in names.items() if len(series) > 1}
    return [row if row["metric"] in several else row | {"series": ""} for row in values.values()]


def tables(first: Side, second: Side) -> list[str]:
    """Names of the tables that every run kept."""
    runs = [*first.runs.values(), *second.runs.values()]
    names = [
        {path.stem for path in (folder / "tables").glob("[!.]*.parquet")}
        for folder in runs
        if not (folder / "tables").is_symlink()
    ]
    if len(names) < len(runs):
        return []
    return sorted(set.intersection(*names))


def claims(first: Side, second: Side) -> list[tuple[str, list[tuple[str, Claim]]]]:
    """Claims that both sides made: the sentence, and each run's figure."""
    made = {
        run: {claim.name: claim for claim in read_claims(folder)}
        for side in (first, second)
        for run, folder in side.runs.items()
    }
    names = list(made[next(iter(first.runs))])
    names = [name for name in names if any(name in made[run] for run in second.runs)]
    by_run = [[(run, of_run[name]) for run, of_run in made.items() if name in of_run] for name in names]
    return [(entries[0][1].says, entries) for entries in by_run]


def _find(term: str) -> list[Path]:
    if is_run(term):
        return [Path(term)]
    known = all_runs(runs_folder())
    notebook, *wanted = re.split(r":(?=\w+=)", term)
    if not wanted:
        return [find_run(known, term)]
    values = dict(pair.split("=", 1) for pair in wanted)
    like = find_run(known, notebook).parent.name
    own = [folder for folder in known if folder.parent.name == like and state(folder) == "done"]
    params = {folder: read_run(folder)["params"] for folder in own}
    if own:
        check_names(values, {name for declared in params.values() for name in declared}, like)
    newest: dict[str, Path] = {}  # of runs alike in all parameters the newest
    for folder, declared in params.items():
        if all(name in declared and text(declared[name]) == asked for name, asked in values.items()):
            newest.setdefault(json.dumps(declared, sort_keys=True), folder)
    if not newest:
        raise UserError(f"There is no finished run {term}: `workbench list` shows what is there.")
    return list(newest.values())


def differing(first: Side, second: Side, part: str) -> list[Row]:
    """What is not the same in all runs of a part of run.json: name, values of either side."""
    values = [[_flat(record, part) for record in side.records.values()] for side in (first, second)]
    names = dict.fromkeys(name for side in values for run in side for name in run)
    rows = []
    for name in names:
        a, b = ([run.get(name, "–") for run in side] for side in values)
        if len({*a, *b}) > 1:
            texts = (name, ", ".join(dict.fromkeys(a)), ", ".join(dict.fromkeys(b)))
            rows.append(tuple(sanitize(text, 300) for text in texts))
    return rows


def _flat(record: dict[str, Any], part: str) -> dict[str, str]:
    """One part of run.json as texts; a file that a parameter names shows by its content too."""
    if part == "params":
        contents = record["parts"]["parameters"]
        return {name: shown + content_mark(contents.get(name)) for name, shown in spelled(record).items()}
    flat = {}
    for name, value in record[part].items():
        within = value.items() if isinstance(value, dict) else ()
        flat |= {f"{name} · {key}": text(entry) for key, entry in within} if within else {name: text(value)}
    return flat


def _entries(metrics: Path) -> Iterator[dict[str, Any]]:
    """The lines of a run's metrics that can be read; none where there is no such file."""
    lines = read_bytes(metrics, follow=False).splitlines() if os.path.lexists(metrics) else []
    for line in lines:
        try:
            entry = json.loads(line[:_LONGEST_LINE])
        except (ValueError, RecursionError):  # such as a line that a killed process left half
            continue
        if isinstance(entry, dict):
            yield entry


def _is_number(value: Any) -> bool:
    """Whether a value is a number that a chart can show."""
    return isinstance(value, int | float) and abs(value) < 1e300


def _name(folder: Path) -> str:
    return f"{folder.parent.name}/{folder.name}"
