"""Two runs, or two sets of runs, side by side: what differs in them, for the terminal and as a page."""

import math
from collections.abc import Sequence
from itertools import groupby
from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table
from rich.text import Text

from workbench.errors import UserError
from workbench.files import read_table
from workbench.lab import compare as lab
from workbench.lab.report import claims
from workbench.lab.report.pictures import interval, number
from workbench.measures import paired
from workbench.measures.statistics import Interval
from workbench.sanitize import sanitize

_ROWS = 24  # differences of one table that the terminal shows; the page has all
_NARROWEST = 8  # characters of a column


def compare(first: str, second: str, items: Sequence[str]) -> tuple[dict[str, Any], pd.DataFrame]:
    """Compare two sides; every difference is B − A.

    Args:
        first: Side A, as `lab.compare.sides` reads it.
        items: Columns that name an item, for the tables that have them all.

    Returns:
        What the page and the terminal say, as plain values that are safe to show; and the curves of the
        metrics that differ: side, run, series, step, metric, value.

    Raises:
        UserError: A run cannot be compared, no table has the columns, or there is nothing in common.
    """
    a, b = sides = lab.sides((first, second))
    tables = _tables(a, b, items)
    curves, same = _curves(a, b)
    runs = [_described(run, record) for side in sides for run, record in side.records.items()]
    if len({run["notebook"] for run in runs}) > 1 and not (len(curves) or same or tables["tables"]):
        reasons = "".join(f"; {name}: {reason}" for name, reason in tables["refused"])
        raise UserError(
            "The runs are of different notebooks and have no logged metric and no table with items in common"
            f"{reasons or '.'}"
        )
    return {
        "title": runs[0]["title"] or runs[0]["notebook"],
        "runs": runs,
        "parameters": [
            row for part in ("params", "revisions", "inputs") for row in lab.differing(a, b, part)
        ],
        "environment": lab.differing(a, b, "environment"),
        "code": lab.code(a, b),
        "ends": _last_rows(curves),
        "same": [sanitize(name, 100) for name in same],
        **tables,
        "several": all(len(side.runs) > 1 for side in sides),
        "claims": _claims(a, b),
    }, curves


def _tables(a: lab.Side, b: lab.Side, items: Sequence[str]) -> dict[str, list[Any]]:
    """The tables that could be paired, those refused with the reasons, and those with nothing to pair."""
    tables, refused, without, used = [], [], [], not items
    for name in lab.tables(a, b):
        try:
            sides = [_frames(side, name) for side in (a, b)]
            columns = list(next(iter(sides[0].values())))
            columns_given = list(items) if set(items) <= set(columns) else []
            used = used or bool(columns_given)
            if not columns_given and not paired.item_columns(columns):
                without.append(sanitize(name, 100))
                continue
            table = paired.compare(sides[0], sides[1], columns_given)
        except (UserError, ArithmeticError, LookupError, TypeError, ValueError) as error:
            # Whoever wrote it, one table that cannot be compared leaves the others.
            refused.append((sanitize(name, 100), sanitize(error, 600)))
            continue
        if table.differences or table.identical or table.left_out:
            tables.append({"name": sanitize(name, 100), **_table_rows(table)})
        else:
            without.append(sanitize(name, 100))
    if not used:
        raise UserError(f"No table of these runs has the columns {' and '.join(items)}: see --item.")
    return {"tables": tables, "refused": refused, "without": without}


def _frames(side: lab.Side, name: str) -> dict[str, pd.DataFrame]:
    frames = {run: read_table(folder / "tables" / f"{name}.parquet") for run, folder in side.runs.items()}
    return {run: frame.rename(columns=str) for run, frame in frames.items()}


def _curves(a: lab.Side, b: lab.Side) -> tuple[pd.DataFrame, list[str]]:
    """The curves of metrics that differ, and the names of those that do not."""
    columns = ["side", "run", "series", "step", "metric", "value"]
    frame = pd.DataFrame(lab.curves(a, b), columns=columns).astype({"value": float})
    same = []
    for metric, curve in frame.groupby("metric", sort=False):
        means = curve.groupby(["series", "step", "side"])["value"].mean().unstack("side")
        if list(means) == ["A", "B"] and means["A"].equals(means["B"].rename("A")):
            same.append(str(metric))
    return frame[~frame["metric"].isin(same)], same


def _last_rows(curves: pd.DataFrame) -> list[tuple[str, ...]]:
    """The last value of each metric and series, averaged over a side's runs: name, A, B, B − A."""
    if curves.empty:
        return []
    ends = curves.sort_values("step").groupby(["metric", "series", "run", "side"], sort=False).last()
    means = ends.groupby(["metric", "series", "side"], sort=False)["value"].mean().unstack("side")
    means = means.reindex(columns=["A", "B"]).reset_index()
    order = curves[["metric", "series"]].drop_duplicates().groupby("metric", sort=False)
    rows = pd.concat([group for _, group in order]).merge(means, on=["metric", "series"])
    names = rows["metric"].where(rows["series"] == "", rows["metric"] + " · " + rows["series"])
    return [
        (sanitize(name, 120), _number(a), _number(b), number(b - a))
        for name, a, b in zip(names, rows["A"], rows["B"], strict=True)
    ]


def show(said: dict[str, Any], console: Console) -> None:
    """Print what differs."""
    for run in said["runs"]:
        line = Text.assemble((f"{run['run']:3}", "bold"), f"{run['notebook']}/{run['key']}")
        console.print(line.append(f"  {run['set']}", style="dim"), soft_wrap=True)
    rows = said["parameters"]
    _print(console, "Parameters that differ" if rows else "No parameter differs", ["A", "B"], rows)
    if said["code"]:
        console.print(Text(f"  Code that differs: {', '.join(said['code'])}", style="dim"))
    if said["ends"]:
        _print(console, "Last logged values", ["A", "B", "B − A"], said["ends"])
    if said["same"]:
        console.print(Text(f"  Alike at every step: {', '.join(said['same'])}", style="dim"))
    for table in said["tables"]:
        rows = [[row["heading"]] if "heading" in row else row["cells"] for row in table["rows"]]
        title = f"{table['name']}, paired by {table['items']}: {table['n']} items in common"
        _print(console, title, table["heads"][1:], rows[:_ROWS])
        more = [f"{len(rows) - _ROWS} more lines on the page."] if len(rows) > _ROWS else []
        for note in [*more, *table["notes"]]:
            console.print(Text(f"  {note}", style="dim"), soft_wrap=True)
    for name, reason in said["refused"]:
        console.print(Text(f"\n{name} is not compared: {reason}", style="yellow"), soft_wrap=True)
    if said["without"]:
        names = ", ".join(said["without"])
        console.print(Text(f"\nNo column names items, or none is measured: {names}", style="dim"))
    if rows := said["claims"]["rows"]:
        cells = [[row["name"]] if "heading" in row else row["cells"] for row in rows]
        _print(console, "Claims, each run's own", said["claims"]["heads"][1:], cells)


def _print(console: Console, title: str, heads: list[str], rows: Sequence[Sequence[str]]) -> None:
    """A table; a row of one cell is a heading, which has the whole line."""
    console.print(Text(f"\n{title}", style="bold"))
    cells = [["", *heads], *([sanitize(cell, 60) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*(row for row in cells if len(row) > 1), strict=True)]
    while sum(widths) + 2 * len(widths) > console.width and max(widths) > _NARROWEST:
        widths[widths.index(max(widths))] -= 1
    for line, row in enumerate(cells if rows else []):  # a table each: in one, no cell spans the columns
        table = Table.grid(padding=(0, 0, 0, 2), pad_edge=True)
        for column, width in enumerate(widths if len(row) > 1 else [console.width]):
            table.add_column(justify="right" if column else "left", overflow="fold", width=width + 2)
        table.add_row(*(Text(cell, style="" if line else "dim") for cell in row))
        console.print(table)


def _described(run: str, record: dict[str, Any]) -> dict[str, str]:
    changed = "  ".join(f"{name}={record['params'].get(name)}" for name in record["set"])
    return {
        "run": run,
        "notebook": sanitize(record["notebook"], 100),
        "title": sanitize(record["title"] or "", 300),
        "key": sanitize(record["key"], 64),
        "set": sanitize(changed, 300),
        "started": sanitize((record["started"] or "")[:16].replace("T", " ")),
    }


def _table_rows(table: paired.Compared) -> dict[str, Any]:
    """Notes, heads and rows of one table; where there are conditions each measure is a heading of its own."""
    rows: list[dict[str, Any]] = []
    for measure, own in groupby(table.differences, key=lambda difference: difference.measure):
        group = list(own)
        if any(difference.condition for difference in group):
            rows.append({"heading": sanitize(measure, 200)})
        pictures = [(difference.over_items.value, *_widest(difference)) for difference in group]
        reach = _widest_reach(pictures)
        for difference, picture in zip(group, pictures, strict=True):
            cells = [
                sanitize(difference.condition or measure, 80),
                _number(difference.first),
                _number(difference.second),
                number(difference.over_items.value),
                *map(_range, _intervals(difference).values()),
                f"{difference.over_items.n:,}",
            ]
            rows.append({"cells": cells, "picture": interval(*picture, reach)})
    names = _intervals(table.differences[0]) if table.differences else ()
    return {
        "items": sanitize(" + ".join(table.items), 200),
        "n": f"{table.n:,}",
        "notes": _notes_on(table),
        "heads": ["", "A", "B", "B − A", *names, "n"],
        "rows": rows,
    }


def _claims(a: lab.Side, b: lab.Side) -> dict[str, Any]:
    """Claims of the runs as one table, each claim a heading with the runs below it."""
    rows = []
    for says, figures in lab.claims(a, b):
        first = figures[0][1]
        heading = sanitize(f"{says} ({first.unit})" if first.unit else says, 600)
        rows.append({"heading": heading, "name": sanitize(first.name, 60)})
        reach = _widest_reach([(claim.effect, claim.low, claim.high) for _, claim in figures])
        for run, claim in figures:
            shown = claims.row(claim, None)
            verdict, effect = f"{shown['symbol']} {shown['verdict']}", number(claim.effect)
            picture = interval(claim.effect, claim.low, claim.high, reach)
            rows.append({"cells": [run, verdict, effect, shown["range"], shown["n"]], "picture": picture})
    return {"heads": ["", "verdict", "effect", "95 % interval", "n"], "rows": rows}


def _widest_reach(pictures: Sequence[tuple[float, float, float]]) -> float:
    """The largest number of some intervals, so that they can be drawn on one scale."""
    return max((abs(end) for picture in pictures for end in picture if math.isfinite(end)), default=0.0)


def _widest(difference: paired.Difference) -> tuple[float, float]:
    widest = max(_intervals(difference).values(), key=lambda interval: interval.high - interval.low)
    return widest.low, widest.high


def _intervals(difference: paired.Difference) -> dict[str, Interval]:
    if difference.over_runs is None:
        return {"95 % interval": difference.over_items}
    return {"95 %, items drawn": difference.over_items, "95 %, runs drawn": difference.over_runs}


def _notes_on(table: paired.Compared) -> list[str]:
    notes = {
        "The same in every item": dict.fromkeys(name.partition(" = ")[0] for name in table.identical),
        "Not in every run, so left out": table.left_out,
        "One value a run": table.labels,
    }
    lines = [f"{start}: {sanitize(', '.join(names), 500)}." for start, names in notes.items() if names]
    numbered = (
        "Items are known by their numbers alone: make sure that a number is the same item in every run."
    )
    return [*lines, numbered] if table.numbered else lines


def _number(value: float) -> str:
    return number(value).removeprefix("+")


def _range(interval: Interval) -> str:
    low, high = interval.low, interval.high
    if low == high == 0:
        return "alike in every item"
    return f"{number(low)} to {number(high)}" if low <= high else "none"
