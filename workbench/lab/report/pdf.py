"""Pages as PDF, printed by the Chromium that is installed."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from workbench.errors import UserError
from workbench.files import explain_write_error

BROWSERS = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)
SECONDS = 180  # that a page may take; most take five
_DRAWING = 20_000  # milliseconds of the page's own time, which pass quickly, until its scripts have drawn


def find_browser() -> str | None:
    """The Chromium or Chrome that is installed; None where there is none."""
    return next((path for path in map(shutil.which, BROWSERS) if path), None)


def needed_browser() -> str:
    """The browser that prints.

    Raises:
        UserError: There is none.
    """
    if browser := find_browser():
        return browser
    raise UserError(
        "A PDF is printed by Chromium or Chrome, and neither is installed: install one (Debian, Ubuntu: "
        "apt-get install chromium), or leave out --pdf and print the page from your browser."
    )


def print_page(page: Path, browser: str) -> Path:
    """Print a page beside itself; returns the path of the PDF.

    Args:
        page: an HTML file.
        browser: as `find_browser` finds it.

    Raises:
        UserError: It cannot be printed, or not in SECONDS, or the PDF cannot be written.
    """
    target = page.with_suffix(".pdf")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        printed = Path(folder) / "page.pdf"
        command = [
            browser, "--headless", "--disable-gpu", "--no-first-run", f"--user-data-dir={folder}/profile",
            "--no-pdf-header-footer", f"--virtual-time-budget={_DRAWING}", f"--print-to-pdf={printed}",
            *(["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []),
            page.absolute().as_uri(),
        ]  # fmt: skip
        reason = _run(command)
        if not printed.is_file() or not printed.stat().st_size:
            raise UserError(
                f"{page} could not be printed ({reason}): open it in a browser and print it there."
            )
        with explain_write_error(target):
            shutil.copyfile(printed, target)
    return target


def _run(command: list[str]) -> str:
    """Run the browser; returns how that ended."""
    try:
        done = subprocess.run(command, capture_output=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return f"it took longer than {SECONDS} s"
    except OSError as error:
        return f"{command[0]}: {error.strerror}"
    return f"{Path(command[0]).name} ended with {done.returncode}"
