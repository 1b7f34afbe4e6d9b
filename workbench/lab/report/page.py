"""One self-contained page for a run, and the index with the ledger of all runs.

The pages load nothing: charts are JSON beside one inlined Vega bundle, both packed, and one script of ours
that unpacks them; a Content-Security-Policy allows exactly those two scripts. Where a browser cannot unpack,
the still pictures stay. They are made from the run folder alone.
"""

import base64
import hashlib
import json
import shlex
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2
import vl_convert
from markupsafe import Markup

from workbench.claims import Claim
from workbench.errors import UserError
from workbench.files import atomic_write
from workbench.lab.ledger import placebo_rate, read_claims
from workbench.lab.record import read_run
from workbench.lab.report import claims as report_claims
from workbench.lab.report import forest
from workbench.lab.report.blocks import VIEW, Block, blocks, figure_id, packed
from workbench.lab.report.markdown import Heading
from workbench.lab.schema import read_cells
from workbench.sanitize import sanitize

_HERE = Path(__file__).parent
_CHARTS = _HERE.parents[1] / "charts"
_STEMS = {"playground": ["live", "live_view"], "atlas": ["atlas"], "map": ["point_map"]}
"""Figures with scripts of their own: the files of the script, the last with a style beside it.

The first keeps a copy of the page as it was, to save it.
"""


def write_report(run_folder: Path, out_path: Path) -> Path:
    """Write a run's page from its notebook.ipynb (shown as far as it came), run.json and claims.json.

    Raises:
        UserError: run.json or notebook.ipynb is missing or cannot be read, or the page cannot be written.
    """
    run = _described(run_folder)
    content, headings = _blocks(run_folder)
    run["title"] = run["title"] or next((text for _, _, text in headings), run["notebook"])
    ids = {block["id"] for block in content if "id" in block}
    claims = _claims(run_folder, ids, "")
    if headings and headings[0][0] == 1:
        _drop_heading(content, headings.pop(0))  # the header of the page prints the title
    failed = next((block for block in content if block["type"] == "error"), None)
    tally = report_claims.tally(claims)
    values = {"run": run, "headings": headings, "claims": claims, "tally": tally, "failed": failed}
    return _write(out_path, "report.jinja", content, values)


def write_index(
    runs: list[Path],
    out_path: Path,
    placebos: Sequence[Path] = (),
    pending: Sequence[tuple[str, str]] = (),
) -> Path:
    """Write the ledger: the headlines in one plot, then every claim, with links to the pictures.

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
        run["claims"] = report_claims.rows(run["made"], run["link"], ledger)
    values = {
        "studies": studies,
        "tally": report_claims.tally([claim for run in studies for claim in run["claims"]]),
        "forest": forest.rows(studies),
        "placebo": _placebo(placebos),
        "pending": [(sanitize(title, 300), state) for title, state in pending],
        "now": f"{datetime.now().astimezone():%H:%M}" if pending else "",
    }
    return _write(out_path, "index.jinja", [], values)


def write_comparison(comparison: dict[str, Any], charts: list[dict[str, Any]], out_path: Path) -> Path:
    """Write the page of a comparison.

    Args:
        comparison: what comparison.jinja shows, as plain values.
        charts: mimebundles of the overlaid curves.

    Raises:
        UserError: the page cannot be written.
    """
    outputs = [{"output_type": "display_data", "data": data} for data in charts]
    content, _ = blocks({"cells": [{"cell_type": "code", "outputs": outputs}]})
    return _write(out_path, "comparison.jinja", content, comparison)


def rerun_command(run: dict[str, Any]) -> str:
    """The command line that computes a run again, from its run.json, where `set` names what is no default."""
    words = ["workbench", "run", str(run.get("notebook", ""))]
    for name in run.get("set") or ():
        value = run["params"][name]
        text = value if isinstance(value, str) else "none" if value is None else json.dumps(value)
        words += ["-p", f"{name}={text}"]
    return sanitize(shlex.join(words))


def _described(folder: Path) -> dict[str, Any]:
    """Return what the pages say of a run; whatever an older run.json lacks is left empty."""
    run = read_run(folder)
    return {
        "notebook": run["notebook"],
        "title": sanitize(run["title"], 300),
        "key": run["key"],
        "status": run["status"],
        "seed": None if run["seed"] is None else sanitize(_text(run["seed"]), 40),
        "started": _day(run["started"]),
        "seconds": _duration(run["seconds"]) if run["seconds"] is not None else None,
        "params": _pairs(run["params"]),
        "inputs": _pairs(run["inputs"] | run["revisions"]),
        "environment": _pairs(run["environment"]),
        "code": sanitize(run["environment"].get("git") or "", 80),
        "error": sanitize(run["error"] or "", 500),
        "command": rerun_command(run),
    }


def _pairs(values: Any, prefix: str = "") -> list[tuple[str, str]]:
    if not isinstance(values, dict):
        return []
    pairs = []
    for name, value in values.items():
        if isinstance(value, dict):
            pairs += _pairs(value, f"{prefix}{name} · ")
        else:
            pairs.append((sanitize(f"{prefix}{name}", 100), sanitize(_text(value), 500)))
    return pairs


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value).replace("null", "none")


def _study(folder: Path, reports: Path) -> dict[str, Any]:
    """What the index says of a run: its claims, its page if there is one, and where a claim's figure is."""
    run = _described(folder)
    page = f"{run['notebook']}.html"
    run["page"] = quote(page) if (reports / page).exists() else ""
    run["title"] = run["title"] or run["notebook"]
    run["link"] = _links(_figure_ids(folder) if run["page"] else set(), run["page"])
    run["made"] = read_claims(folder)
    return run


def _placebo(runs: Sequence[Path]) -> dict[str, Any] | None:
    """How often chance alone came out reproduced; None where no placebo was tested."""
    reproduced, tested = placebo_rate(runs)
    if not tested:
        return None
    return {
        "runs": len(runs),
        "reproduced": reproduced,
        "tested": tested,
        "rate": f"{100 * reproduced / tested:.0f} %",
    }


def _claims(folder: Path, ids: set[str], page: str) -> list[dict[str, Any]]:
    """A run's claims as rows, each with a link to its figure in the page, if that has it."""
    return report_claims.rows(read_claims(folder), _links(ids, page))


def _links(ids: set[str], page: str) -> Callable[[Claim], str | None]:
    """Where the figure of a claim is: in the page if that has it, else the page itself."""

    def link(claim: Claim) -> str | None:
        name = figure_id(sanitize(claim.view or ""))
        return f"{page}#{name}" if name in ids else page or None

    return link


def _figure_ids(folder: Path) -> set[str]:
    """The figures of a run's page; none where its notebook cannot be read."""
    try:
        notebook = read_cells(folder / "notebook.ipynb", follow=False)
    except UserError:
        return set()
    outputs = (output for cell in notebook["cells"] for output in cell.get("outputs", []))
    records = (output.get("data", {}).get(VIEW) for output in outputs)
    return {figure_id(sanitize(record.get("title", ""))) for record in records if isinstance(record, dict)}


def _blocks(folder: Path) -> tuple[list[Block], list[Heading]]:
    notebook = read_cells(folder / "notebook.ipynb", follow=False)
    try:
        return blocks(notebook)
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        # Its cells are as they should be, but a picture or table in them is not.
        reason = sanitize(f"{type(error).__name__}: {error}", 200)
        raise UserError(
            f"{folder / 'notebook.ipynb'} holds an output that cannot be shown ({reason})."
        ) from error


def _drop_heading(content: list[Block], heading: tuple[int, str, str]) -> None:
    start = f'<h2 id="{heading[1]}">'
    for block in content:
        if block["type"] == "prose" and start in block["html"]:
            before, rest = str(block["html"]).split(start, 1)
            block["html"] = Markup(before + rest.split("</h2>", 1)[1])


def _write(out_path: Path, template: str, content: list[Block], values: dict[str, Any]) -> Path:
    """Write a page with the scripts and styles that the blocks of its content need."""
    types = {block["type"] for block in content}
    scripts, bundle = _scripts(types), _bundle() if "chart" in types else ("", "")
    stems = [_STEMS[kind][-1] for kind in _STEMS if kind in types]
    styles = [_HERE / "report.css", _HERE / "ledger.css", *(_CHARTS / f"{stem}.css" for stem in stems)]
    page = template_of(template).render(
        style=Markup("\n".join(file.read_text(encoding="utf-8") for file in styles)),
        scripts=[Markup(script) for script in scripts],
        bundle=bundle[1],
        policy=_policy([*scripts, *filter(None, [bundle[0]])]),
        content=content,
        **values,
    )
    atomic_write(out_path, page.encode("utf-8", "replace"))
    return out_path


def template_of(name: str) -> jinja2.Template:
    """A template of this folder, in which every value is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    return environment.get_template(name)


def _policy(scripts: list[str]) -> str:
    hashes = (hashlib.sha256(script.encode()).digest() for script in scripts)
    allowed = " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in hashes) or "'none'"
    rest = "style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
    return f"default-src 'none'; script-src {allowed}; {rest}"


@cache
def _bundle() -> tuple[str, Markup]:
    """Return Vega, Vega-Lite and vega-embed as one script, and packed; it takes a second, once a process."""
    bundle = vl_convert.javascript_bundle("window.workbenchEmbed = vegaEmbed;", vl_version="6.4")
    script = f'(() => {{"use strict";{bundle}\n}})();'
    return script, packed(script)


def _scripts(types: set[str]) -> list[str]:
    ours = (_HERE / "report.js").read_text(encoding="utf-8")
    scripts = [
        "\n".join((_CHARTS / f"{stem}.js").read_text(encoding="utf-8") for stem in stems)
        for kind, stems in _STEMS.items()
        if kind in types
    ]
    return [*scripts, ours] if types & {"chart", "table"} else scripts


def _day(started: Any) -> str | None:
    try:
        moment = datetime.fromisoformat(started)
    except (TypeError, ValueError):
        return None
    return f"{moment.day} {moment:%B %Y, %H:%M} {moment.tzname() or ''}".strip()


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.1f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
