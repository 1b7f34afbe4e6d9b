"""One self-contained page for a run, and what it has in common with the index.

The pages load nothing: charts are JSON beside one inlined Vega bundle, both packed, and scripts of ours that
unpack and serve them; a Content-Security-Policy allows exactly these scripts. Where a browser cannot unpack,
the still pictures stay. They are made from the run folder alone.
"""

import base64
import hashlib
import json
import shlex
from collections.abc import Callable
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
import vl_convert
from markupsafe import Markup

from workbench.claims import Claim
from workbench.errors import UserError
from workbench.files import atomic_write
from workbench.lab.defaults import spelled
from workbench.lab.ledger import read_claims
from workbench.lab.project import joined
from workbench.lab.record import read_run
from workbench.lab.report import claims as report_claims
from workbench.lab.report.blocks import Block, blocks, figure_id, packed
from workbench.lab.report.citations import papers
from workbench.lab.report.markdown import Heading
from workbench.lab.report.typography import smart
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
    run = described(run_folder)
    notebook = read_cells(run_folder / "notebook.ipynb", follow=False)
    content, headings = _blocks(run_folder, notebook)
    listing = Markup("\n\n").join(_code(content))
    run["title"] = run["title"] or next((text for _, _, text in headings), run["notebook"])
    if headings and headings[0][0] == 1:
        _cut(content, headings.pop(0))  # the header of the page prints the title
    ids = {block["id"] for block in content if "id" in block}
    cited = papers(joined(cell.get("source", "")) for cell in notebook["cells"])
    claims = report_claims.rows(read_claims(run_folder), links(ids, ""), papers=cited)
    values = {
        "run": run,
        "said": _said_of_claims(content, headings) if claims else "",
        "headings": headings,
        "claims": claims,
        "tally": report_claims.tally(claims),
        "failed": next((block for block in content if block["type"] == "error"), None),
        "listing": listing,
    }
    return write_page(out_path, "report.jinja", content, values)


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
    return write_page(out_path, "comparison.jinja", content, comparison)


def rerun_command(run: dict[str, Any]) -> str:
    """The command line that computes a run again, from its run.json, where `set` names what is no default."""
    words = ["workbench", "run", str(run.get("notebook", ""))]
    for name in run.get("set") or ():
        value = run["params"][name]
        text = value if isinstance(value, str) else "none" if value is None else json.dumps(value)
        words += ["-p", f"{name}={text}"]
    return sanitize(shlex.join(words))


def described(folder: Path) -> dict[str, Any]:
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
        "params": _pairs(spelled(run)),
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
    """A value in words, as one would give it."""
    if isinstance(value, list | tuple):
        return ", ".join(map(_text, value))
    return value if isinstance(value, str) else json.dumps(value).replace("null", "none")


def links(ids: set[str], page: str) -> Callable[[Claim], str | None]:
    """Where the figure of a claim is: in the page if that has it, else the page itself."""

    def link(claim: Claim) -> str | None:
        name = figure_id(sanitize(claim.view or ""))
        return f"{page}#{name}" if name in ids else page or None

    return link


def _blocks(folder: Path, notebook: dict[str, Any]) -> tuple[list[Block], list[Heading]]:
    try:
        return blocks(notebook)
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        # Its cells are as they should be, but a picture or table in them is not.
        reason = sanitize(f"{type(error).__name__}: {error}", 200)
        raise UserError(
            f"{folder / 'notebook.ipynb'} holds an output that cannot be shown ({reason})."
        ) from error


def _code(content: list[Block]) -> list[Markup]:
    """All code of a notebook; what stands below no figure and before no failure is taken from the content."""
    code = [block["html"] if block["type"] == "code" else block["code"]["html"]
            for block in content if block["type"] == "code" or block.get("code")]  # fmt: skip
    failing = {number - 1 for number, block in enumerate(content) if block["type"] == "error"}
    content[:] = [
        block for number, block in enumerate(content) if block["type"] != "code" or number in failing
    ]
    return code


def _said_of_claims(content: list[Block], headings: list[Heading]) -> Markup:
    """What a notebook's last section says of its claims, taken from the content to stand above the ledger."""
    number = max((n for n, block in enumerate(content) if block["type"] == "prose"), default=-1)
    if not headings or headings[-1][2] != "Claims" or any(map(_is_figure, content[number:])):
        return Markup("")
    heading = headings[-1]
    before, after = _cut(content[number : number + 1], heading)
    if after:
        headings.pop()
        content[number]["html"] = before
    return after


def _is_figure(block: Block) -> bool:
    return "label" in block


def _cut(content: list[Block], heading: Heading) -> tuple[Markup, Markup]:
    """Take a heading out of the prose; returns what stands before and after it there."""
    level = max(heading[0], 2)
    start, end = f'<h{level} id="{heading[1]}">', f"</h{level}>"
    for block in content:
        if block["type"] == "prose" and start in block["html"]:
            before, rest = str(block["html"]).split(start, 1)
            after = rest.split(end, 1)[1]
            block["html"] = Markup(before + after)
            return Markup(before), Markup(after)
    return Markup(""), Markup("")


def write_page(out_path: Path, template: str, content: list[Block], values: dict[str, Any]) -> Path:
    """Write a page with the scripts and styles that the blocks of its content need."""
    types = {block["type"] for block in content}
    theme, bundle = _script("theme.js"), _bundle() if "chart" in types else ("", "")
    is_index = template == "index.jinja"
    scripts = [*_scripts(types), _script("page.js"), *([_script("index.js")] if is_index else [])]
    stems = [_STEMS[kind][-1] for kind in _STEMS if kind in types]
    names = ["report.css", "ledger.css", *(["front.css"] if is_index else []), "screens.css"]
    styles = [*(_HERE / name for name in names), *(_CHARTS / f"{stem}.css" for stem in stems)]
    page = template_of(template).render(
        style=Markup("\n".join(file.read_text(encoding="utf-8") for file in styles)),
        scripts=[Markup(script) for script in scripts],
        bundle=bundle[1],
        theme=Markup(theme),
        policy=_policy([theme, *scripts, *filter(None, [bundle[0]])]),
        content=content,
        **values,
    )
    atomic_write(out_path, page.encode("utf-8", "replace"))
    return out_path


@cache
def template_of(name: str) -> jinja2.Template:
    """A template of this folder, in which every value is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["smart"] = smart
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


def _script(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


def _scripts(types: set[str]) -> list[str]:
    scripts = [
        "\n".join((_CHARTS / f"{stem}.js").read_text(encoding="utf-8") for stem in stems)
        for kind, stems in _STEMS.items()
        if kind in types
    ]
    return [*scripts, _script("report.js")] if types & {"chart", "table"} else scripts


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
