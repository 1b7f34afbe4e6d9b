"""The index: a card for each study, the headlines in one plot, then every claim."""

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from workbench.claims import NO_EFFECT, OPPOSITE, REPRODUCED, UNRESOLVED, UNTESTABLE
from workbench.errors import UserError
from workbench.lab.ledger import placebo_rate, read_claims
from workbench.lab.project import joined
from workbench.lab.report import claims as report_claims
from workbench.lab.report.blocks import VEGALITE, VIEW, figure_id
from workbench.lab.report.citations import papers
from workbench.lab.report.page import described, links, write_page
from workbench.lab.report.pictures import LOOKS, plot
from workbench.lab.report.thumbnails import thumbnail
from workbench.lab.schema import read_cells
from workbench.sanitize import sanitize

# What stands before a headline's claim, so that the two are what came out.
_FINDINGS = {
    REPRODUCED: "",
    OPPOSITE: "We saw the opposite of this:",
    NO_EFFECT: "No effect:",
    UNRESOLVED: "Not settled:",
    UNTESTABLE: "Could not be tested here:",
}


def write_index(
    runs: Sequence[Path],
    out_path: Path,
    placebos: Sequence[Path] = (),
    pending: Sequence[tuple[str, str]] = (),
) -> Path:
    """Write the front page: a card a study, the headlines in one plot, every claim, how to run it all again.

    Args:
        runs: where two are of one notebook the last counts.
        out_path: the HTML file to write; pages are linked where `<notebook>.html` lies beside it already.
        placebos: runs whose treated arms were second controls; of their claims the rate alone is shown.
        pending: title and state of runs that are still to come.

    Raises:
        UserError: a run.json cannot be read, or the page cannot be written.
    """
    last = {run["notebook"]: run for run in (_study(folder, out_path.parent) for folder in runs)}
    studies = [last[name] for name in sorted(last)]
    ledger = [claim for run in studies for claim in run["made"]]
    for run in studies:
        run["claims"] = report_claims.rows(run["made"], run["link"], ledger, run["papers"])
        run["tally"] = report_claims.tally(run["claims"])
        run["headline"] = next((row for row in run["claims"] if row["headline"]), None)
        run["finding"] = _FINDINGS[run["headline"]["outcome"]] if run["headline"] else ""
    every = [claim for run in studies for claim in run["claims"]]
    about = ("notebook", "title", "plot")
    headlines = [run["headline"] | {name: run[name] for name in about} for run in studies if run["headline"]]
    values = {
        "studies": studies,
        "tally": report_claims.tally(every),
        "verdicts": _verdicts(every),
        "forest": headlines,
        "placebo": _placebo(placebos),
        "pending": [(sanitize(title, 300), state) for title, state in pending],
        "now": f"{datetime.now().astimezone():%H:%M}" if pending else "",
        "command": _command(studies),
        "environment": _environments(studies),
    }
    return write_page(out_path, "index.jinja", [], values)


def _study(folder: Path, reports: Path) -> dict[str, Any]:
    """What the index says of a run: its claims, its page and picture, and where a claim's figure is."""
    run = described(folder)
    page = f"{run['notebook']}.html"
    run["page"] = quote(page) if (reports / page).exists() else ""
    run["title"] = run["title"] or run["notebook"]
    run["made"] = read_claims(folder)
    headline = next((claim for claim in run["made"] if claim.headline), None)
    run["plot"] = plot(headline) if headline else ""
    notebook = folder / "notebook.ipynb"
    state = notebook.stat() if notebook.is_file() else None
    shown = _shown(notebook, (headline and headline.view) or "", state and (state.st_mtime_ns, state.st_size))
    run["picture"], run["papers"] = shown["picture"], shown["papers"]
    run["link"] = links(shown["ids"] if run["page"] else set(), run["page"])
    return run


@lru_cache(maxsize=256)
def _shown(notebook: Path, view: str, version: Any) -> dict[str, Any]:
    """What an executed notebook shows: ids of its figures, papers it links, and a small picture of one.

    Args:
        notebook: nothing is known of one that cannot be read.
        view: title of the figure; of another one where it has no picture.
        version: for the cache alone.
    """
    try:
        cells = read_cells(notebook, follow=False)["cells"] if version else []
    except UserError:
        cells = []
    outputs = [output.get("data", {}) for cell in cells for output in cell.get("outputs", [])]
    figures = [data for data in outputs if isinstance(data.get(VIEW), dict)]
    pictured = [data for data in figures if isinstance(data.get(VEGALITE), dict)]
    named = [data for data in pictured if data[VIEW].get("title") == view]
    chosen = next(iter(named or pictured), None)
    prose = [joined(cell.get("source", "")) for cell in cells if cell["cell_type"] == "markdown"]
    return {
        "ids": {figure_id(sanitize(data[VIEW].get("title", ""))) for data in figures},
        "papers": papers(prose),
        "picture": thumbnail(chosen[VEGALITE]) if chosen else "",
    }


def _verdicts(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The verdicts that there are, with sign and style, in their order."""
    outcomes = {row["outcome"] for row in rows}
    return [
        {"name": name, "symbol": sign, "tone": style}
        for name, (sign, style) in LOOKS.items()
        if name in outcomes
    ]


def _placebo(runs: Sequence[Path]) -> dict[str, Any] | None:
    """How often chance alone came out reproduced; None where no placebo was tested."""
    reproduced, tested = placebo_rate(runs)
    if not tested:
        return None
    return {
        "runs": len(runs),
        "reproduced": reproduced,
        "tested": tested,
        "rate": f"{100 * reproduced / tested:.0f}\u202f%",
    }


def _command(studies: Sequence[dict[str, Any]]) -> str:
    """One command that computes all runs again; empty where they were given different parameters."""
    options = {run["command"].partition(run["notebook"])[2] for run in studies}
    return f"workbench run --all{options.pop()}" if len(options) == 1 else ""


def _environments(studies: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What all runs were made with, and of each what else."""
    known = [dict(run["environment"]) for run in studies if run["environment"]]
    shared = {name: value for name, value in (known[0] if known else {}).items()
              if all(other.get(name) == value for other in known)}  # fmt: skip
    own = [
        (run["notebook"], [pair for pair in run["environment"] if pair[0] not in shared])
        for run in studies
        if any(name not in shared for name, _ in run["environment"])
    ]
    return {"shared": list(shared.items()), "own": own}
