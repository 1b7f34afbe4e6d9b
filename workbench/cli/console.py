"""Where the command line writes, results to one console and mistakes to the other, and how it names paths."""

from pathlib import Path

from rich.console import Console
from rich.text import Text

from workbench.errors import UserError

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


def complain(sentence: str) -> None:
    """Say what went wrong."""
    err.print(Text(sentence, style="red"), soft_wrap=True)


def reports_folder() -> Path:
    """The project's reports/, or one here where runs lie outside any project."""
    from workbench.lab import project

    try:
        return project.find_root() / "reports"
    except UserError:
        return Path.cwd() / "reports"


def short_path(path: Path) -> str:
    """A path as short as it can be given from here."""
    path = path.absolute()
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
