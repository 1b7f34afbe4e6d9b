"""Finished runs as pages of a folder, and the index over them; a page that is there already is left alone."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from workbench.errors import UserError
from workbench.files import explain_write_error
from workbench.lab import digests
from workbench.lab.history import all_runs, is_placebo, is_sound, placebos
from workbench.lab.record import read_run
from workbench.lab.report import turns


def publish(folder: Path, reports: Path, again: bool = False) -> bool:
    """Write a run's page as <notebook>.html, of a placebo beside it; returns whether it had to be written."""
    if not again and is_shown(folder, reports):
        return False
    from workbench.lab.report.page import write_report

    with explain_write_error(page_of(folder, reports)):
        reports.mkdir(parents=True, exist_ok=True)
    write_report(folder, page_of(folder, reports))
    return True


def page_of(folder: Path, reports: Path) -> Path:
    """Where the page of a run is, wherever its folder was moved to."""
    return reports / page_names(read_run(folder)["notebook"])[is_placebo(folder)]


def page_names(notebook: str) -> tuple[str, str]:
    """What the pages of a notebook's runs are called: of a run, of a placebo."""
    return f"{notebook}.html", f"{notebook}-placebo.html"


def refresh_index(reports: Path, runs: Path, pending: Sequence[tuple[str, str]] = ()) -> None:
    """Write the index of the runs that have pages; processes that end runs at once do so one after the other.

    Args:
        runs: The folder of runs, all placebos in which count.
        pending: Title and state of what is still to come.
    """
    lock = digests.lock(reports, "index")
    with explain_write_error(reports / "index.html"), lock:
        index(shown_runs(reports, runs), reports, placebos(runs), pending)


def index(
    shown: Iterable[Path],
    reports: Path,
    chance: Sequence[Path] = (),
    pending: Sequence[tuple[str, str]] = (),
) -> Path:
    """Write the index of runs, in which placebos have no place but that of chance; returns its path."""
    from workbench.lab.report.index import write_index

    shown = list(shown)
    studies = [folder for folder in shown if not is_placebo(folder)]
    pages = sorted({page_of(folder, reports) for folder in shown})
    turns.link([page for page in pages if page.is_file()])
    return write_index(studies, reports / "index.html", chance, pending)


def shown_runs(reports: Path, runs: Path) -> list[Path]:
    """The run folders that have a page in `reports`."""
    return [folder for folder in all_runs(runs) if is_sound(folder) and is_shown(folder, reports)]


def one_each(folders: list[Path]) -> None:
    """Check that no two runs would be written to the same page.

    Raises:
        UserError: Two runs of one notebook were named.
    """
    pages = [page_of(folder, Path()).stem for folder in folders]
    twice = next((name for name in pages if pages.count(name) > 1), None)
    if twice:
        raise UserError(f"Two runs of {twice} would be one page: report each with an --out of its own.")


def is_shown(folder: Path, reports: Path) -> bool:
    """Whether the notebook's page was made from this run, whose key stands in it, as it is now."""
    page = page_of(folder, reports)
    sources = [folder / "run.json", folder / "notebook.ipynb"]
    if not all(path.is_file() for path in [page, *sources]):
        return False
    current = page.stat().st_mtime >= max(path.stat().st_mtime for path in sources)
    return current and folder.name.encode() in page.read_bytes()
