"""Finished runs as pages in reports/, and the index over them; a page that is there already is left alone."""

from pathlib import Path

from workbench.errors import UserError
from workbench.lab.history import all_runs


def publish(folder: Path, reports: Path, again: bool = False) -> bool:
    """Write a run's page as reports/<notebook>.html; returns whether it had to be written."""
    page = reports / f"{folder.parent.name}.html"
    if not again and _shows(page, folder):
        return False
    from workbench.lab.report import write_report

    reports.mkdir(parents=True, exist_ok=True)
    write_report(folder, page)
    return True


def publish_index(reports: Path, runs: Path) -> Path:
    """Write reports/index.html over the runs that the pages in `reports` show."""
    from workbench.lab.report import write_index

    return write_index(shown_runs(reports, runs), reports / "index.html")


def shown_runs(reports: Path, runs: Path) -> list[Path]:
    """The run folders that have a page in `reports`."""
    return [f for f in all_runs(runs) if _shows(reports / f"{f.parent.name}.html", f)]


def one_each(folders: list[Path]) -> None:
    """Check that no two runs would be written to the same page.

    Raises:
        UserError: Two runs of one notebook were named.
    """
    names = [folder.parent.name for folder in folders]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise UserError(f"Two runs of {twice} would be one page: report each with an --out of its own.")


def _shows(page: Path, folder: Path) -> bool:
    """Whether a page was made from this run, whose key stands in it, as it is now."""
    if not page.exists() or page.stat().st_mtime < (folder / "run.json").stat().st_mtime:
        return False
    return folder.name.encode() in page.read_bytes()
