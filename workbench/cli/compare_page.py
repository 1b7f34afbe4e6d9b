"""The comparison of runs as one HTML page."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from workbench.charts import run_curves
from workbench.cli.compare import Comparison, described_runs, last_rows, notes_on, table_rows, widest_reach
from workbench.lab import compare as lab
from workbench.lab.report import claims, page
from workbench.sanitize import sanitize


def page_name(comparison: Comparison) -> str:
    """compare-<key>-<key>.html, with the number of runs where a side has several."""
    sides = []
    for side in (comparison.first, comparison.second):
        first = next(iter(side.records.values()))
        sides.append(first["key"][:6] + (f"x{len(side.runs)}" if len(side.runs) > 1 else ""))
    return f"compare-{'-'.join(sides)}.html"


def write(comparison: Comparison, path: Path) -> Path:
    """Write the page: one file that opens offline, as the reports are."""
    bundles = [
        run_curves.curves(frame, str(name)).bundle()[0]
        for name, frame in comparison.curves.groupby("metric", sort=False)
        if frame["step"].nunique() > 1  # one number a run is in the table of last values, and no curve
    ]
    return page.write_comparison(_page(comparison), bundles, path)


def _page(comparison: Comparison) -> dict[str, Any]:
    """What the page says, as plain values."""
    runs = described_runs(comparison)
    return {
        "title": runs[0]["title"] or runs[0]["notebook"],
        "runs": runs,
        "parameters": lab.parameters(comparison.first, comparison.second),
        "environment": lab.environment(comparison.first, comparison.second),
        "code": lab.code(comparison.first, comparison.second),
        "ends": last_rows(comparison),
        "same": [sanitize(name, 100) for name in comparison.same],
        "tables": [
            {
                "name": sanitize(name, 100),
                "items": sanitize(" + ".join(table.items), 200),
                "n": f"{table.n:,}",
                "notes": notes_on(table),
                **table_rows(table),
            }
            for name, table in comparison.tables.items()
        ],
        "several": len(comparison.first.runs) > 1 and len(comparison.second.runs) > 1,
        "refused": [
            (sanitize(name, 100), sanitize(reason, 600)) for name, reason in comparison.refused.items()
        ],
        "without": [sanitize(name, 100) for name in comparison.without],
        "claims": _claims(comparison),
    }


def _claims(comparison: Comparison) -> dict[str, Any]:
    """Claims of the runs as one table, each claim a heading with the runs below it."""
    rows = []
    for says, figures in lab.claims(comparison.first, comparison.second):
        unit = figures[0][1].unit
        rows.append({"heading": sanitize(f"{says} ({unit})" if unit else says, 600)})
        reach = widest_reach([(claim.effect, claim.low, claim.high) for _, claim in figures])
        for run, claim in figures:
            shown = claims.row(asdict(claim), None)
            effect = claims.number(claim.effect)
            rows.append(
                {
                    "cells": [
                        run,
                        f"{shown['symbol']} {shown['verdict']}",
                        effect,
                        shown["range"],
                        shown["n"],
                    ],
                    "picture": claims.interval(claim.effect, claim.low, claim.high, reach),
                }
            )
    return {"heads": ["", "verdict", "effect", "95 % interval", "n"], "rows": rows}
