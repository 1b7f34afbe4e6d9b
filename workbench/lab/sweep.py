"""A grid of parameters: a run for each point, where `workbench run` would keep it, and a table of them."""

import itertools
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.errors import UserError
from workbench.lab import compare, execute
from workbench.lab.digests import canonical
from workbench.lab.ledger import read_claims
from workbench.lab.params import check_names, from_strings, shown
from workbench.lab.project import Notebook, plan
from workbench.lab.report.pictures import number, symbol
from workbench.lab.study_check import check_values
from workbench.sanitize import sanitize
from workbench.sources import parse, paths_in

MANY = 300
_RANGE = re.compile(r"(-?\d{1,18})\.\.(-?\d{1,18})", re.ASCII)


@dataclass(frozen=True)
class Sweep:
    """The runs of a grid."""

    varied: list[str]  #: Names of the parameters that have several values
    points: list[execute.Job]  #: One job a point, in the order of the grid, the last parameter fastest
    jobs: list[execute.Job]  #: The points' jobs and those that they need, needs first


@dataclass(frozen=True)
class Results:
    """What the points ended with."""

    claims: list[str]  #: Names of the claims made
    metrics: list[str]  #: Names of the logged metrics whose last values differ among the points
    #: For each point its values, its job, and its figures by claim and metric.
    rows: list[tuple[dict[str, str], execute.Job, dict[str, str]]]
    same: list[str]  #: Logged metrics that end alike in all points

    @property
    def measures(self) -> list[str]:
        """Claims, then metrics."""
        return [*self.claims, *self.metrics]


def plan_sweep(notebook: Notebook, given: Mapping[str, str], yes: bool) -> Sweep:
    """Check every value and every need of a grid, and plan its runs; nothing is started.

    Args:
        given: Parameter to its values as text: `64,128`, or `0..2` with both ends. A comma within a value
            is written `\\,` or stands in brackets; else a value reads as `workbench run -p` reads it.
        yes: Plan more than `MANY` points too.

    Raises:
        UserError: No parameter is given, one is unknown, a value does not fit, a need is not there, or the
            points are many.
    """
    if not given:
        raise UserError(
            f"A sweep varies parameters: give some, as -p seed=0..4 (`workbench run {notebook.name}` is one "
            "run)."
        )
    check_names(given, notebook.model.model_fields, notebook.name)
    words = {name: _words(notebook, name, text) for name, text in given.items()}
    count = math.prod(sum(len(word) for word in texts) for texts in words.values())
    if count > MANY and not yes:
        raise UserError(f"That is {count:,} runs of {notebook.name}: give --yes if you mean it.")
    values = {}
    for name, texts in words.items():
        read = [_value(notebook, name, str(word)) for word in itertools.chain(*texts)]
        values[name] = list({canonical(value): value for value in read}.values())
    varied = [name for name, choices in values.items() if len(choices) > 1]
    jobs: dict[Path, execute.Job] = {}
    points: dict[Path, execute.Job] = {}
    for chosen in itertools.product(*values.values()):
        point = dict(zip(values, chosen, strict=True))
        check_values(notebook, point)
        job = execute.add(jobs, plan(notebook, point))
        job.label = " ".join(f"{name}={text}" for name, text in _point(job, varied).items())
        points[job.folder] = job
    for job in jobs.values():
        job.retries = 1
    return Sweep(varied, list(points.values()), list(jobs.values()))


def results(sweep: Sweep) -> Results:
    """Claims and last logged values of the finished points."""
    claims = {job.folder: _claims(job.folder) for job in sweep.points if job.is_finished}
    ends = _ends(claims)
    metrics = list(dict.fromkeys(name for last in ends.values() for name in last))
    same = [
        name for name in metrics if len(ends) > 1 and len({last.get(name) for last in ends.values()}) == 1
    ]
    names = dict.fromkeys(name for made in claims.values() for name in made)
    figures = {folder: claims[folder] | ends[folder] for folder in claims}
    rows = [(_point(job, sweep.varied), job, figures.get(job.folder, {})) for job in sweep.points]
    return Results(list(names), [name for name in metrics if name not in same], rows, same)


def _claims(folder: Path) -> dict[str, str]:
    """Effect and verdict of each claim that a run made; nothing where they cannot be read."""
    try:
        made = read_claims(folder)
    except UserError:
        return {}
    return {sanitize(c.name, 60): f"{number(c.effect)} {symbol(c.verdict)}" for c in made}


def _words(notebook: Notebook, name: str, text: str) -> list[Sequence[Any]]:
    """The values as they are written: a range of integers, or a tuple of one text."""
    words: list[Sequence[Any]] = []
    is_one_path = len(parse(text)) == 1 and bool(paths_in(text))  # which may hold a comma
    for word in [text] if is_one_path else split(text):
        ends = _RANGE.fullmatch(word)
        if ends and not isinstance(_value(notebook, name, ends[1]), str):
            low, high = int(ends[1]), int(ends[2])
            if low > high:
                raise UserError(f"-p {name}={word} is empty: write {name}={high}..{low}.")
            words.append(range(low, high + 1))
        else:
            words.append((word,))
    return words


def split(text: str) -> list[str]:
    """Split at commas that no backslash precedes and no bracket encloses; `\\,` becomes a comma."""
    words, depth = [""], 0
    for piece in re.findall(r"\\,|.", text, re.DOTALL):
        depth = max(0, depth + (piece == "[") - (piece == "]"))
        if piece == "," and not depth:
            words.append("")
        else:
            words[-1] += "," if piece == "\\," else piece
    return [word.strip() for word in words] if len(words) > 1 else words


def _value(notebook: Notebook, name: str, text: str) -> Any:
    return from_strings(notebook.model, {name: text}, notebook.name)[name]


def _point(job: execute.Job, varied: Sequence[str]) -> dict[str, str]:
    params = shown(job.plan.params)
    return {name: sanitize(" ".join(str(params[name]).split()), 60) for name in varied}


def _ends(folders: Iterable[Path]) -> dict[Path, dict[str, str]]:
    """For each run the last value of each metric that it logged, by metric and, where there are, series."""
    ends: dict[Path, dict[str, str]] = {folder: {} for folder in folders}
    side = compare.Side("", {str(folder): folder for folder in ends})
    for row in sorted(compare.curves(side), key=lambda row: row["step"]):
        name = f"{row['metric']} · {row['series']}" if row["series"] else row["metric"]
        ends[Path(row["run"])][sanitize(name, 60)] = f"{row['value']:.4g}"
    return ends
