"""What a person sees in the terminal while notebooks run, and when one fails."""

import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live
from rich.measure import Measurement
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from workbench.lab.execute import CONTINUES, Job
from workbench.lab.outlook import expected_time

if TYPE_CHECKING:
    from workbench.lab.sweep import Results

SIGNS = {
    "waiting": ("·", "dim"),
    "running": ("▸", "cyan"),
    "done": ("✓", "green"),
    "cached": ("=", "green"),
    "failed": ("✗", "bold red"),
    "skipped": ("–", "yellow"),
    "interrupted": ("‖", "yellow"),
}
_SHOWN = 12  # jobs that are named while they run or wait


@contextmanager
def watching(jobs: Sequence[Job], console: Console, errors: Console) -> Iterator[Callable[[], None]]:
    """Show jobs while they run: a table that is redrawn in a terminal, a line for each new cell elsewhere.

    Yields:
        The function to call several times a second.

    Raises:
        SystemExit: 130, after Ctrl-C or SIGTERM and what it leaves to be done.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        if not console.is_terminal:
            yield _line_by_line(jobs, console)
            return
        spinner = Spinner("dots", style="cyan")
        with Live(console=console, auto_refresh=False, transient=True) as live:
            yield lambda: live.update(_table(jobs, spinner, console.width), refresh=True)
    except KeyboardInterrupt:
        errors.print(Text(f"Interrupted; nothing is lost: {CONTINUES}.", style="yellow"))
        raise SystemExit(130) from None


def say(line: Text, console: Console) -> None:
    """Print a line; in a log, with the time before it."""
    time_of_day = "" if console.is_terminal else f"{datetime.now():%H:%M:%S} "
    console.print(Text(time_of_day, style="dim").append_text(line), soft_wrap=True)


def summary(job: Job) -> Text:
    """One line on a job that has ended: sign, name, key, time or reason."""
    sign, style = SIGNS[job.status]
    line = Text.assemble(
        (f"{sign} ", style), (job.name, "bold"), (f"  {job.folder.name}  ", "dim"), job.status
    )
    if job.status in ("done", "failed"):
        line.append(f" {'in' if job.status == 'done' else 'after'} {duration(job.seconds)}")
    if job.error and job.status != "failed":
        line.append(f": {job.error}")
    return line


def failure(job: Job, shown: Callable[[Path], str]) -> Panel:
    """The cell that failed: where it is, its lines, the error, and what was kept."""
    failed = job.failure
    assert failed is not None
    under = f" under “{failed.heading}”" if failed.heading else ""
    parts = [_source(failed.source, failed.line), Text(failed.error[-2000:], style="red")]
    kept = Text.assemble(
        ("\nexecuted notebook  ", "dim"),
        shown(job.folder / "notebook.ipynb"),
        ("\nits output         ", "dim"),
        shown(job.folder / "log.txt"),
    )
    title = Text(f"{job.name}: cell {failed.cell} of {job.progress.cells} failed{under}", style="bold red")
    return Panel(Group(*parts, kept), title=title, title_align="left", border_style="red", padding=(1, 2))


def show_results(results: "Results", console: Console) -> None:
    """Print what the points of a sweep ended with: a line for each, or a column where lines are too long.

    Where neither fits, there are as many tables of lines as the terminal's width asks for.
    """
    tables = [_by_point(results, measures) for measures in _columns(results, console.width)]
    if len(tables) > 1:
        by_measure = _by_measure(results)
        needed = Measurement.get(console, console.options.update(width=10_000), by_measure).minimum
        tables = [by_measure] if needed <= console.width else tables
    for table in tables:
        console.print()
        console.print(table)
    signs = "✓ reproduced  ✕ opposite  = no effect  ○ not resolved  – not testable"
    notes = [signs] if results.claims else []
    notes += [f"Alike in all: {', '.join(results.same)}"] if results.same else []
    for note in notes:
        console.print(Text(note, style="dim"), soft_wrap=True)


def _by_point(results: "Results", measures: Sequence[str]) -> Table:
    table = Table(box=None, header_style="dim", pad_edge=False)
    for name in (*results.rows[0][0], "key", *measures):
        table.add_column(Text(name), justify="right" if name in measures else "left", no_wrap=True)
    for point, job, figures in results.rows:
        # As texts: a value such as [/INST] is no markup.
        numbers = [Text(figures.get(name, "")) for name in measures]
        table.add_row(*map(Text, point.values()), _signed_key(job), *numbers)
    return table


def _by_measure(results: "Results") -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    points = [[*point.values()] for point, _, _ in results.rows]
    longest = max(map(len, (*results.rows[0][0], *results.measures)), default=0)
    table.add_column(overflow="fold", min_width=min(longest, 24))
    for _ in points:
        table.add_column(justify="right", no_wrap=True)
    for name, *values in zip(results.rows[0][0], *points, strict=True):
        table.add_row(Text(name, style="dim"), *map(Text, values))
    table.add_row(Text("key", style="dim"), *(_signed_key(job) for _, job, _ in results.rows))
    for name in results.measures:
        table.add_row(Text(name), *(Text(figures.get(name, "")) for _, _, figures in results.rows))
    return table


def _signed_key(job: Job) -> Text:
    sign, style = SIGNS[job.status]
    return Text.assemble((f"{sign} ", style), job.folder.name[:8])


def duration(seconds: float) -> str:
    """Seconds as a person says them: 4.2 s, 3 min 05 s, 2 h 10 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def against(passed: float, expected: str | None) -> str:
    """The time that has passed, in the unit of the time that is expected: 75 of about 40 s."""
    if expected is None:
        return duration(passed)
    unit = expected.split()[-1]
    amount = passed / {"s": 1, "min": 60, "h": 3600}[unit]
    return f"{amount:.{0 if unit == 's' else 1}f} of about {expected}"


def _columns(results: "Results", width: int) -> list[list[str]]:
    """The measures, cut where a table with the points before it would be wider than the terminal."""
    points = [point for point, _, _ in results.rows]
    widths = [max(len(name), *(len(point[name]) for point in points)) + 2 for name in points[0]]
    cut: list[list[str]] = [[]]
    room = width - sum(widths) - 12
    left = room
    for name in results.measures:
        wide = max(len(name), *(len(figures.get(name, "")) for _, _, figures in results.rows)) + 2
        if wide > left and cut[-1]:
            cut.append([])
            left = room
        cut[-1].append(name)
        left -= wide
    return cut


def _table(jobs: Sequence[Job], spinner: Spinner, width: int) -> Group:
    running = [job for job in jobs if job.status == "running"]
    waiting = [job.name for job in jobs if job.status == "waiting"]
    rows: list[Table | Text] = []
    for job in running[:_SHOWN]:
        at = job.progress
        row = Table.grid(padding=(0, 1))
        bar = ProgressBar(total=at.cells, completed=max(at.cell - 1, 0), width=16)
        passed = Text(against(time.monotonic() - job.started, expected_time(job.plan)), style="dim")
        cells = Text(f"{at.cell}/{at.cells}", style="cyan")
        row.add_row(spinner, Text(job.name, style="bold"), bar, cells, passed, Text(at.heading))
        rows.append(row)
        line = Text(f"  {at.line[:500]}", style="dim")
        line.truncate(max(width - 1, 10), overflow="ellipsis")
        rows.append(line)
    if len(waiting) + len(running) > _SHOWN:
        ended = len(jobs) - len(waiting) - len(running)
        rows.append(Text(f"· {ended} of {len(jobs)} have ended", style="dim"))
    elif waiting:
        rows.append(Text(f"· then {', '.join(waiting)}", style="dim"))
    return Group(*rows)


def _line_by_line(jobs: Sequence[Job], console: Console) -> Callable[[], None]:
    seen: dict[Path, int] = {}

    def refresh() -> None:
        for job in jobs:
            at = job.progress
            if job.status == "running" and at.cell != seen.get(job.folder):
                seen[job.folder] = at.cell
                step = f"cell {at.cell}/{at.cells}  {at.heading}" if at.cell else "starting"
                say(Text(f"▸ {job.name}  {step}"), console)

    return refresh


def _source(source: str, line: int | None) -> Group:
    """A few lines around the failing one, which is pointed at."""
    lines = source.splitlines()
    at = line if line and line <= len(lines) else len(lines)
    first = max(at - 5, 1)
    texts = []
    for number, code in enumerate(lines[first - 1 : at + 2], first):
        sign, style = ("❱", "bold") if number == line else (" ", "dim")
        texts.append(Text(f"{sign} {number:3d}  {code}", style=style))
    return Group(*texts, Text(""))
