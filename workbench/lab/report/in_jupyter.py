"""What JupyterLab shows when a run ends: the ledger of its claims, and the way to its report."""

import os
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from IPython.display import publish_display_data
from markupsafe import Markup, escape

from workbench.errors import UserError
from workbench.lab import inner
from workbench.lab.history import REPORTS
from workbench.lab.ledger import read_claims
from workbench.lab.outlook import unfinished
from workbench.lab.project import find_notebook, find_root, plan
from workbench.lab.report import claims as report_claims
from workbench.lab.report import publish
from workbench.lab.report.page import template_of
from workbench.sanitize import sanitize

if TYPE_CHECKING:
    from pydantic import BaseModel

_HERE = Path(__file__).parent
_NONE = "This notebook makes no claims."


def show(folder: Path, params: "BaseModel", file: Path) -> None:
    """Show a finished run: its ledger, and a link to its report, which is written first if it is not there.

    Args:
        folder: Of the run.
        params: Of the run.
        file: The notebook that is open; the link leads from its folder.
    """
    claims = read_claims(folder)
    rows = report_claims.rows(claims, lambda claim: None)
    page = template_of("notebook.jinja").render(
        claims=rows,
        none=_NONE,
        tally=report_claims.tally(rows),
        styles=[
            Markup((_HERE / name).read_text(encoding="utf-8")) for name in ("notebook.css", "ledger.css")
        ],
    )
    _show(page, "\n".join(sanitize(claim) for claim in claims) or _NONE)
    if report := _report(folder, params):
        link = quote(os.path.relpath(report, file.parent))
        named = sanitize(report.relative_to(folder.parents[2]))
        where = f'Report: <a href="{link}">{escape(named)}</a>'
        _show(f"<p>{where} (Ctrl-click: in a tab of its own, with live figures)</p>", f"Report: {named}")


def _report(folder: Path, params: "BaseModel") -> Path | None:
    """A run's page, written by `workbench run` if it is not there; None where that cannot be."""
    reports = folder.parents[1] / REPORTS
    if not publish.is_shown(folder, reports):
        try:
            planned = plan(find_notebook(find_root(), folder.parent.name), params.model_dump())
        except UserError:  # a copy that lies elsewhere
            return None
        if planned.folder != folder or unfinished(planned):
            return None
        inner.run(planned, "Drawing the report of ")
    return publish.page_of(folder, reports) if publish.is_shown(folder, reports) else None


def _show(page: str, text: str) -> None:
    publish_display_data({"text/html": page, "text/plain": text})
