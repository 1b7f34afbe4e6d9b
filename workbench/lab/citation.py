"""BibTeX for a run: the workbench, the study, and the papers that its notebook links."""

import re
from pathlib import Path

from workbench.lab.latex import latex
from workbench.lab.project import source_of
from workbench.lab.record import read_run
from workbench.lab.schema import read_cells
from workbench.sanitize import sanitize

PAPERS = Path(__file__).resolve().parent.parent / "assets" / "papers.bib"
_ARXIV = re.compile(r"arxiv\.org/(?:abs|pdf)/(\d{4}\.\d{4,5})")
# As CITATION.cff has them.
_AUTHOR = "{The developers of the small-model reasoning workbench}"
_YEAR = 2026


def bibtex(folder: Path) -> str:
    """Entries for the workbench, for the study as it was run, and for its papers, in the notebook's order.

    A paper that is not among those known here is named by its number on arXiv alone.

    Raises:
        UserError: The record or the notebook of the run cannot be read.
    """
    run, known = read_run(folder), papers()
    version = run.get("workbench") or "unknown"
    about = {
        "title": "{Small-model reasoning workbench}",
        "author": _AUTHOR,
        "version": latex(sanitize(version, 40)),
        "year": str(_YEAR),
    }
    study = {
        "title": f"{{{latex(sanitize(run['title'] or run['notebook'], 300))}}}",
        "author": _AUTHOR,
        "howpublished": f"Notebook {latex(run['notebook'])}, run {latex(run['key'])}",
        "year": (run["finished"] or run["started"] or str(_YEAR))[:4],
        "note": f"Small-model reasoning workbench {about['version']}, \\cite{{small-model-workbench}}",
    }
    name = re.sub(r"[^A-Za-z0-9-]+", "-", f"{run['notebook']}-{run['key']}")
    entries = [_entry("software", "small-model-workbench", about), _entry("misc", name, study)]
    entries += [known.get(number) or _unknown(number) for number in linked(folder)]
    return "\n\n".join([*entries, ""])


def papers() -> dict[str, str]:
    """The entries of the papers behind the notebooks, by their numbers on arXiv."""
    entries = PAPERS.read_text(encoding="utf-8").strip().split("\n\n")
    pairs = ((re.search(r"eprint = \{([\d.]+)\}", entry), entry) for entry in entries)
    numbers = {number[1]: entry for number, entry in pairs if number}
    archive = "  archiveprefix = {arXiv},\n  url = {https://arxiv.org/abs/%s},\n}"
    return {number: entry.removesuffix("}") + archive % number for number, entry in numbers.items()}


def linked(folder: Path) -> list[str]:
    """The papers that a run's notebook links, by their numbers on arXiv, in its order."""
    path = folder / "notebook.ipynb"
    if not path.exists():  # it ran in JupyterLab
        return []
    texts = [source_of(cell) for cell in read_cells(path, follow=False)["cells"]]
    return list(dict.fromkeys(number for text in texts for number in _ARXIV.findall(text)))


def _unknown(number: str) -> str:
    url = f"https://arxiv.org/abs/{number}"
    fields = {"title": f"arXiv:{number}", "eprint": number, "archiveprefix": "arXiv", "url": url}
    return _entry("misc", f"arxiv-{number}", fields)


def _entry(kind: str, name: str, fields: dict[str, str]) -> str:
    lines = [f"  {field} = {{{value}}}," for field, value in fields.items()]
    return "\n".join([f"@{kind}{{{name},", *lines, "}"])
