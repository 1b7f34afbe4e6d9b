"""The comparison of runs as one HTML page."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from workbench.charts import run_curves
from workbench.cli.compare import Comparison, _ends, _notes, _reach, _runs, _table
from workbench.lab import compare as lab
from workbench.lab.report import claims, page
from workbench.sanitize import sanitize


def page_name(found: Comparison) -> str:
    """compare-<key>-<key>.html, with the number of runs where a side has several."""
    sides = []
    for side in (found.first, found.second):
        first = next(iter(side.records.values()))
        sides.append(first["key"][:6] + (f"x{len(side.runs)}" if len(side.runs) > 1 else ""))
    return f"compare-{'-'.join(sides)}.html"


def write(found: Comparison, path: Path) -> Path:
    """Write the page: one file that opens offline, as the reports are."""
    bundles = [
        run_curves.curves(own, str(name)).bundle()[0]
        for name, own in found.curves.groupby("metric", sort=False)
        if own["step"].nunique() > 1  # one number a run is in the table of last values, and no curve
    ]
    return page.write_comparison(_page(found), bundles, path)


def _page(found: Comparison) -> dict[str, Any]:
    """What the page says, as plain values."""
    runs = _runs(found)
    return {
        "title": runs[0]["title"] or runs[0]["notebook"],
        "runs": runs,
        "parameters": lab.parameters(found.first, found.second),
        "environment": lab.environment(found.first, found.second),
        "code": lab.code(found.first, found.second),
        "ends": _ends(found),
        "same": [sanitize(name, 100) for name in found.same],
        "tables": [
            {
                "name": sanitize(name, 100),
                "items": sanitize(" + ".join(table.items), 200),
                "n": f"{table.n:,}",
                "notes": _notes(table),
                **_table(table),
            }
            for name, table in found.tables.items()
        ],
        "several": len(found.first.runs) > 1 and len(found.second.runs) > 1,
        "refused": [(sanitize(name, 100), sanitize(reason, 600)) for name, reason in found.refused.items()],
        "without": [sanitize(name, 100) for name in found.without],
        "claims": _claims(found),
    }


def _claims(found: Comparison) -> dict[str, Any]:
    """Claims of the runs as one table, each claim a heading with the runs below it."""
    rows = []
    for says, figures in lab.claims(found.first, found.second):
        unit = figures[0][1].unit
        rows.append({"heading": sanitize(f"{says} ({unit})" if unit else says, 600)})
        reach = _reach([(claim.effect, claim.low, claim.high) for _, claim in figures])
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
