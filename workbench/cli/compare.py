"""Two runs, or two sets of runs, side by side: what differs in them, for the terminal and as a page."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table
from rich.text import Text

from workbench.errors import UserError
from workbench.lab import compare as lab
from workbench.lab.report import claims
from workbench.measures import paired
from workbench.measures.statistics import Interval
from workbench.sanitize import sanitize

_ROWS = 24  # differences of one table that the terminal shows; the page has all


@dataclass(frozen=True)
class Comparison:
    """What was found.

    Attributes:
        first: Side A.
        second: Side B; every difference is B − A.
        curves: side, run, series, step, metric, value: the metrics that differ.
        same: Names of the metrics whose curves are alike.
        tables: Tables that could be paired.
        refused: Tables that could not, each with the reason.
        without: Tables without a column that names items, or without one that is measured.
    """

    first: lab.Side
    second: lab.Side
    curves: pd.DataFrame
    same: list[str]
    tables: dict[str, paired.Compared]
    refused: dict[str, str]
    without: list[str]


def compare(first: str, second: str, items: Sequence[str] = ()) -> Comparison:
    """Compare two sides.

    Args:
        first: Side A, as `lab.compare.sides` reads it.
        second: Side B.
        items: Columns that name an item, for the tables that have them all.

    Raises:
        UserError: A run cannot be compared, no table has the columns, or there is nothing in common.
    """
    a, b = lab.sides((first, second))
    tables, refused, without = _tables(a, b, items)
    curves, same = _curves(a, b)
    if not (len(curves) or same or tables):
        reasons = "".join(f"; {name}: {reason}" for name, reason in refused.items())
        raise UserError(f"The runs have no logged metric and no table with items in common{reasons or '.'}")
    return Comparison(a, b, curves, same, tables, refused, without)


def _tables(
    a: lab.Side, b: lab.Side, items: Sequence[str]
) -> tuple[dict[str, paired.Compared], dict[str, str], list[str]]:
    """The tables that could be paired, the reasons for those refused, and those with nothing to pair."""
    tables, refused, without, used = {}, {}, [], not items
    for name in lab.tables(a, b):
        sides = [
            {run: pd.read_parquet(folder / "tables" / f"{name}.parquet") for run, folder in side.runs.items()}
            for side in (a, b)
        ]
        columns = list(next(iter(sides[0].values())))
        columns_given = list(items) if set(items) <= set(columns) else []
        used = used or bool(columns_given)
        if not columns_given and not paired.item_columns(columns):
            without.append(name)
            continue
        try:
            table = paired.compare(*sides, columns_given)
        except UserError as error:
            refused[name] = str(error)
            continue
        if table.differences or table.identical or table.left_out:
            tables[name] = table
        else:
            without.append(name)
    if not used:
        raise UserError(f"No table of these runs has the columns {' and '.join(items)}: see --item.")
    return tables, refused, without


def _curves(a: lab.Side, b: lab.Side) -> tuple[pd.DataFrame, list[str]]:
    """The curves of metrics that differ, and the names of those that do not."""
    columns = ["side", "run", "series", "step", "metric", "value"]
    frame = pd.DataFrame(lab.curves(a, b), columns=columns).astype({"value": float})
    same = []
    for metric, own in frame.groupby("metric", sort=False):
        means = own.groupby(["series", "step", "side"])["value"].mean().unstack("side")
        if list(means) == ["A", "B"] and means["A"].equals(means["B"].rename("A")):
            same.append(str(metric))
    return frame[~frame["metric"].isin(same)], same


def last_values(curves: pd.DataFrame) -> pd.DataFrame:
    """The last value of each metric and series, averaged over a side's runs: metric, series, A, B."""
    ends = curves.sort_values("step").groupby(["metric", "series", "run", "side"], sort=False).last()
    means = ends.groupby(["metric", "series", "side"], sort=False)["value"].mean().unstack("side")
    order = curves[["metric", "series"]].drop_duplicates().groupby("metric", sort=False)
    order = pd.concat([own for _, own in order])
    return order.merge(means.reindex(columns=["A", "B"]).reset_index(), on=["metric", "series"])


def show(comparison: Comparison, console: Console) -> None:
    """Print what differs."""
    for run in described_runs(comparison):
        line = Text.assemble((f"{run['run']:3}", "bold"), f"{run['notebook']}/{run['key']}")
        console.print(line.append(f"  {run['set']}", style="dim"), soft_wrap=True)
    rows = lab.parameters(comparison.first, comparison.second)
    _print(console, "Parameters that differ" if rows else "No parameter differs", ["A", "B"], rows)
    if code := lab.code(comparison.first, comparison.second):
        console.print(Text(f"  Code that differs: {', '.join(code)}", style="dim"))
    if ends := last_rows(comparison):
        _print(console, "Last logged values", ["A", "B", "B − A"], ends)
    if comparison.same:
        console.print(Text(f"  Alike at every step: {sanitize(', '.join(comparison.same))}", style="dim"))
    for name, table in comparison.tables.items():
        shown = table_rows(table)
        rows = [[row["heading"]] if "heading" in row else row["cells"] for row in shown["rows"]]
        title = f"{name}, paired by {' + '.join(table.items)}: {table.n:,} items in common"
        _print(console, title, shown["heads"][1:], rows[:_ROWS])
        more = [f"{len(rows) - _ROWS} more lines on the page."] if len(rows) > _ROWS else []
        for note in [*more, *notes_on(table)]:
            console.print(Text(f"  {note}", style="dim"), soft_wrap=True)
    for name, reason in comparison.refused.items():
        console.print(Text(f"\n{sanitize(f'{name}: {reason}')}", style="yellow"), soft_wrap=True)
    if comparison.without:
        console.print(
            Text(
                f"\nNo column names items, or none is measured: {sanitize(', '.join(comparison.without))}",
                style="dim",
            )
        )


def _print(console: Console, title: str, heads: list[str], rows: Sequence[Sequence[str]]) -> None:
    console.print(Text(f"\n{sanitize(title)}", style="bold"))
    if rows:
        table = Table(box=None, header_style="dim", padding=(0, 0, 0, 2))
        # Long texts (of parameters) are folded, so that names and numbers keep their room.
        widths = [max(len(cell) for cell in column) for column in itertools.zip_longest(*rows, fillvalue="")]
        for head, width in zip(["", *heads], widths, strict=True):
            table.add_column(
                head, justify="right" if head else "left", overflow="fold", min_width=min(width, 14)
            )
        for row in rows:
            table.add_row(*(Text(sanitize(cell, 60)) for cell in row))
        console.print(table)


def described_runs(comparison: Comparison) -> list[dict[str, str]]:
    return [
        {
            "run": run,
            "notebook": sanitize(record["notebook"], 100),
            "title": sanitize(record["title"] or "", 300),
            "key": sanitize(record["key"], 64),
            "set": sanitize("  ".join(f"{name}={record['params'].get(name)}" for name in record["set"]), 300),
            "started": sanitize(record["started"][:16].replace("T", " ")),
        }
        for side in (comparison.first, comparison.second)
        for run, record in side.records.items()
    ]


def last_rows(comparison: Comparison) -> list[tuple[str, ...]]:
    if comparison.curves.empty:
        return []
    return [
        (_named(row.metric, row.series), _number(row.A), _number(row.B), claims.number(row.B - row.A))
        for row in last_values(comparison.curves).itertuples()
    ]


def table_rows(table: paired.Compared) -> dict[str, Any]:
    """Heads and rows of one table; where there are conditions each measure is a heading of its own."""
    rows: list[dict[str, Any]] = []
    for measure, own in groupby(table.differences, key=lambda difference: difference.measure):
        group = list(own)
        if any(difference.condition for difference in group):
            rows.append({"heading": sanitize(measure, 200)})
        pictures = [(difference.over_items.value, *_widest(difference)) for difference in group]
        reach = widest_reach(pictures)
        for difference, picture in zip(group, pictures, strict=True):
            cells = [
                sanitize(difference.condition or measure, 80),
                _number(difference.first),
                _number(difference.second),
                claims.number(difference.over_items.value),
                *map(_range, _intervals(difference).values()),
                f"{difference.over_items.n:,}",
            ]
            rows.append({"cells": cells, "picture": claims.interval(*picture, reach)})
    names = _intervals(table.differences[0]) if table.differences else ()
    return {"heads": ["", "A", "B", "B − A", *names, "n"], "rows": rows}


def widest_reach(pictures: Sequence[tuple[float, float, float]]) -> float:
    """The largest number of some intervals, so that they can be drawn on one scale."""
    return max((abs(end) for picture in pictures for end in picture if math.isfinite(end)), default=0.0)


def _widest(difference: paired.Difference) -> tuple[float, float]:
    widest = max(_intervals(difference).values(), key=lambda interval: interval.high - interval.low)
    return widest.low, widest.high


def _intervals(difference: paired.Difference) -> dict[str, Interval]:
    if difference.over_runs is None:
        return {"95 % interval": difference.over_items}
    return {"95 %, items drawn": difference.over_items, "95 %, runs drawn": difference.over_runs}


def notes_on(table: paired.Compared) -> list[str]:
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


def _named(name: str, condition: str) -> str:
    return sanitize(f"{name} · {condition}" if condition else name, 120)


def _number(value: float) -> str:
    return claims.number(value).removeprefix("+")


def _range(interval: Interval) -> str:
    low, high = interval.low, interval.high
    if low == high == 0:
        return "alike in every item"
    return f"{claims.number(low)} to {claims.number(high)}" if low <= high else "none"
