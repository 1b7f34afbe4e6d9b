"""Where the command line writes, results to one console and mistakes to the other, and how it names paths."""

from collections.abc import Iterator
from pathlib import Path

from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderHook
from rich.segment import Segment
from rich.text import Text

from workbench.errors import UserError
from workbench.sanitize import redact, sanitize


class _Visible(RenderHook):
    """Whatever is printed: no character of a name or a message can steer the terminal."""

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        """Wrap everything that is about to be printed."""
        return [_Sanitized(renderable) for renderable in renderables]


class _Sanitized:
    def __init__(self, renderable: ConsoleRenderable) -> None:
        self.renderable = renderable

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        for text, style, control in console.render(self.renderable, options):
            yield Segment(text if control else sanitize(text), style, control)


def _console(stderr: bool) -> Console:
    """A console that takes texts as they are: names may hold what looks like markup."""
    console = Console(stderr=stderr, highlight=False, markup=False, emoji=False)
    console.push_render_hook(_Visible())
    return console


out = _console(stderr=False)
err = _console(stderr=True)


def complain(sentence: str) -> None:
    """Say what went wrong."""
    err.print(Text(redact(sentence), style="red"), soft_wrap=True)


def pass_over(folder: Path, reason: str) -> None:
    """Say which run is left out, and why."""
    err.print(Text(f"{short_path(folder)} is left out: {redact(reason)}", style="yellow"), soft_wrap=True)


def reports_folder() -> Path:
    """The folder of pages among the runs, or one here where these lie outside any project."""
    from workbench.lab import history, project

    try:
        return project.runs_folder() / history.REPORTS
    except UserError:
        return Path.cwd() / history.REPORTS


def short_path(path: Path) -> str:
    """A path as short as it can be given from here."""
    path = path.absolute()
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
