"""The pages of runs and their index, written while the runs go on."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text

from workbench.cli.console import complain, err, out, short_path
from workbench.errors import UserError

if TYPE_CHECKING:
    from workbench.lab.execute import Job

# What imports the templates is imported where a page is written: a run that is there already is quick.


class Pages:
    """Writes the page of each job that has ended, and the index anew."""

    def __init__(self, jobs: "Sequence[Job]", runs: Path) -> None:
        from workbench.lab.history import REPORTS
        from workbench.lab.order import is_open

        self._jobs, self._runs = jobs, runs
        self._reports = runs / REPORTS
        self._to_come = [job for job in jobs if is_open(job)]
        self._grows = bool(self._to_come)
        self._is_old = not self.index.exists()
        self.has_trouble = False

    @property
    def index(self) -> Path:
        return self._reports / "index.html"

    def announce(self) -> None:
        """Before anything runs, say where the index is and write one: what is there, what will come."""
        if self._grows:
            named = (short_path(self.index), "bold")
            out.print(Text.assemble("Report (grows as notebooks finish): ", named), soft_wrap=True)
            try:
                self._refresh()
            except UserError:
                raise  # where no page can be written, nothing is begun
            except Exception as error:
                self._complain(f"The index could not be written: {error}")

    def add(self, job: "Job") -> None:
        """Write the page of a job that has ended; what is wrong with it is said, and ends no other run."""
        from workbench.lab.report import publish

        try:
            if job.is_finished and publish.publish(job.folder, self._reports):
                self._is_old = True
                warn_of_size(publish.page_of(job.folder, self._reports))
        except Exception as error:  # a page that cannot be drawn must not end an overnight run
            self._complain(f"The page of {job.name} could not be written: {error}")
        if self._grows and (self._is_old or job.status != "cached"):
            with suppress(Exception):  # the last index says what is wrong
                self._refresh()

    def close(self) -> None:
        """Write the index in which nothing is still to come; where something failed before, that was said."""
        if not (self._grows or self._is_old):
            return
        failed = any(job.status == "failed" for job in self._jobs)
        self._to_come = []
        try:
            self._refresh()
        except Exception as error:
            if not (failed or self.has_trouble):
                self._complain(f"The index could not be written: {error}")

    def _refresh(self) -> None:
        from workbench.lab.report import publish

        pending = [
            (self._title(job), job.status) for job in self._to_come if job.status in ("running", "waiting")
        ]
        publish.refresh_index(self._reports, self._runs, pending)
        self._is_old = False

    def _title(self, job: "Job") -> str:
        title = job.plan.notebook.metadata.get("title")
        return f"{job.name}: {title}" if isinstance(title, str) and title else job.name

    def _complain(self, sentence: str) -> None:
        self.has_trouble = True
        complain(sentence)


def warn_of_size(page: Path) -> None:
    """Say that a page is larger than it may be, and which figures make it so."""
    from workbench.lab.report import size

    if sentence := size.warning(page):
        err.print(Text(sentence, style="yellow"), soft_wrap=True)


def print_pages(pages: "Sequence[Path]", browser: str) -> None:
    """Print pages as PDF beside them, and name each."""
    from workbench.lab.report.pdf import print_page

    for page in pages:
        out.print(f"✓ {short_path(print_page(page, browser))}")
