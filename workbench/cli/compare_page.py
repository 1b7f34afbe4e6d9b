"""The comparison of runs as one HTML page."""

from pathlib import Path
from typing import Any

import pandas as pd

from workbench.charts import run_curves
from workbench.lab.report import page


def page_name(said: dict[str, Any]) -> str:
    """compare-<key>-<key>.html, with the number of runs where a side has several."""
    sides = [[run["key"] for run in said["runs"] if run["run"].startswith(side)] for side in "AB"]
    names = [keys[0][:6] + (f"x{len(keys)}" if len(keys) > 1 else "") for keys in sides]
    return f"compare-{'-'.join(names)}.html"


def write(said: dict[str, Any], curves: pd.DataFrame, path: Path) -> None:
    """Write the page: one file that opens offline, as the reports are."""
    bundles = [
        run_curves.curves(frame, str(name)).bundle()[0]
        for name, frame in curves.groupby("metric", sort=False)
        if frame["step"].nunique() > 1  # one number a run is in the table of last values, and no curve
    ]
    page.write_comparison(said, bundles, path)
