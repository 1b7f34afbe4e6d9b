"""Finished runs as pages in reports/, and the index over them; a page that is there already is left alone."""

from pathlib import Path

from workbench.errors import UserError
from workbench.files import explain_write_error
from workbench.lab.history import all_runs, problem, state
from workbench.lab.record import read_run


def publish(folder: Path, reports: Path, again: bool = False) -> bool:
    """Write a run's page as reports/<notebook>.html; returns whether it had to be written."""
    if not again and _is_shown(folder, reports):
        return False
    from workbench.lab.report.page import write_report

    with explain_write_error(page_of(folder, reports)):
        reports.mkdir(parents=True, exist_ok=True)
    write_report(folder, page_of(folder, reports))
    return True


def page_of(folder: Path, reports: Path) -> Path:
    """Where the page of a run is, wherever its folder was moved to."""
    return reports / f"{read_run(folder)['notebook']}.html"


def shown_runs(reports: Path, runs: Path) -> list[Path]:
    """The run folders that have a page in `reports`."""
    known = [folder for folder in all_runs(runs) if problem(folder) is None]
    return [folder for folder in known if state(folder) == "done" and _is_shown(folder, reports)]


def one_each(folders: list[Path]) -> None:
    """Check that no two runs would be written to the same page.

    Raises:
        UserError: Two runs of one notebook were named.
    """
    names = [read_run(folder)["notebook"] for folder in folders]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise UserError(f"Two runs of {twice} would be one page: report each with an --out of its own.")


def _is_shown(folder: Path, reports: Path) -> bool:
    """Whether the notebook's page was made from this run, whose key stands in it, as it is now."""
    page = page_of(folder, reports)
    sources = [folder / "run.json", folder / "notebook.ipynb"]
    if not all(path.is_file() for path in [page, *sources]):
        return False
    current = page.stat().st_mtime >= max(path.stat().st_mtime for path in sources)
    return current and folder.name.encode() in page.read_bytes()
