"""list, show, report, clean and doctor: what is there already."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from workbench import files
from workbench.cli import completion
from workbench.cli.console import complain, err, out, pass_over, reports_folder, short_path
from workbench.cli.options import RUN
from workbench.errors import UserError
from workbench.sanitize import sanitize

if TYPE_CHECKING:
    from workbench.lab.execute import Job

_WIDE = 100  # columns of a terminal in which the list of runs has room for when they started


def list_() -> None:
    """List the runs that are there, the newest of each notebook first."""
    from workbench.lab import history, project, record
    from workbench.lab.defaults import text
    from workbench.lab.terminal import duration

    runs, odd = project.runs_folder(), {}
    table = Table(box=None, header_style="dim", pad_edge=False)
    is_narrow = out.width < _WIDE
    for column in ("notebook", "key", "state", *(() if is_narrow else ("started",)), "took", "claims", "set"):
        table.add_column(column, overflow="fold", no_wrap=column != "set")
    for folder in history.all_runs(runs):
        state = history.state(folder)
        row = [Text(folder.parent.name, style="bold"), folder.name, _state(state)]
        if state not in ("newer", "unreadable"):
            run = record.read_run(folder)
            changed = "  ".join(f"{name}={text(run['params'][name])}" for name in run["set"])
            took = "" if run["seconds"] is None else duration(run["seconds"])
            row += [] if is_narrow else [_when(run["started"])]
            row += [Text(took, style="dim"), _tally(folder), sanitize(changed, 300)]
        table.add_row(*row)
        if reason := history.problem(folder):
            odd[folder] = reason
    out.print(table if table.row_count else "No runs yet: `workbench run --all` makes them.")
    for folder, reason in odd.items():
        err.print(Text(f"{short_path(folder)}: {reason}", style="yellow"), soft_wrap=True)


def show(
    run: Annotated[str, RUN],
    why: Annotated[bool, typer.Option("--why", help="What changed since the run before it.")] = False,
) -> None:
    """Show a run: parameters, inputs, environment, claims; with --why, what changed since the run before."""
    from workbench.cli.evaluate import figures_table
    from workbench.lab import defaults, history, ledger, project, record

    if history.is_run(run):
        folder = Path(run).absolute()
        runs = folder.parent.parent
    else:
        runs = project.runs_folder()
        known = history.all_runs(runs)
        folder = history.find_run(known, run)
        _name_newer(folder, run, history.newer(known, folder))
    if why:
        _show_why(folder, *history.why(folder, runs))
        return
    described, claims = record.read_run(folder), ledger.read_claims(folder)
    grid = Table.grid(padding=(0, 2))
    listed = described | {"params": defaults.spelled(described)}
    for name in ("params", "revisions", "inputs", "environment"):
        for number, (key, value) in enumerate(listed[name].items()):
            shown = ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else value
            label = Text("" if number else name, style="dim")
            grid.add_row(label, Text(sanitize(key)), Text(sanitize(defaults.text(shown))))
    title = f"  {sanitize(described['title'])}" if described["title"] else ""
    out.print(Text.assemble((f"{described['notebook']}/{described['key']}", "bold"), title))
    error = Text(sanitize(described["error"] or ""))
    out.print(_state(history.state(folder)), error, _when(described["started"]), "\n")
    out.print(grid)
    for claim in claims:
        out.print(Text(f"\n{sanitize(claim.name)}", style="bold"), Text(sanitize(repr(claim))), sep="\n")
    if figures := figures_table([(described["title"].partition(":")[0], folder)]):
        out.print("", figures, sep="\n")
    out.print(Text(f"\n{short_path(folder)}", style="dim"))


def report(
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN]...",
            help="Runs, as for `show`, or folders of runs such as reports/runs/*. Default: all.",
            autocompletion=completion.runs,
        ),
    ] = None,
    out_folder: Annotated[Path | None, typer.Option("--out", help="Default: runs/reports/.")] = None,
    pdf: Annotated[bool, typer.Option("--pdf", help="Print each page as PDF, too (by Chromium).")] = False,
) -> None:
    """Write the pages of finished runs, and the index with the ledger; outdated pictures are drawn again.

    Each notebook is shown by its newest run, and by its newest placebo.
    """
    from workbench.cli.pages import print_pages, warn_of_size
    from workbench.lab import history
    from workbench.lab.report import publish
    from workbench.lab.report.pdf import needed_browser

    browser = needed_browser() if pdf else ""
    target = out_folder or reports_folder()
    runs_folder = _runs_folder(runs or [])
    known = history.executed(runs_folder)
    folders = history.find_runs(known, runs) if runs else _newest(runs_folder)
    if not folders:
        raise UserError("There is no finished run to report: `workbench run --all` makes them.")
    publish.one_each(folders)
    failed = _redraw(folders)
    written = []
    for folder in folders:
        try:
            publish.publish(folder, target, again=True)
        except UserError as error:
            if runs:
                raise
            pass_over(folder, str(error))
            continue
        written.append(folder)
        page = publish.page_of(folder, target)
        out.print(f"✓ {short_path(page)}")
        warn_of_size(page)
    chance = history.placebos(runs_folder) or [run for run in written if history.is_placebo(run)]
    index = publish.index([*publish.shown_runs(target, runs_folder), *written], target, chance)
    if pdf:
        print_pages([publish.page_of(folder, target) for folder in written], browser)
    out.print(Text.assemble("\nReport: ", (short_path(index), "bold")), soft_wrap=True)
    if failed:
        raise typer.Exit(1)


def _runs_folder(asked: list[str]) -> Path:
    """The project's runs; runs that are named by their paths need no project."""
    from workbench.lab import project

    try:
        return project.runs_folder()
    except UserError:
        if asked and all(Path(name).is_dir() for name in asked):
            return Path.cwd() / "runs"
        raise


def _newest(runs_folder: Path) -> list[Path]:
    """The newest run of each notebook and the newest placebo; what cannot be shown is named."""
    from workbench.lab import history

    for folder in history.all_runs(runs_folder):
        if (reason := history.problem(folder)) and history.state(folder) in ("done", "unreadable"):
            pass_over(folder, reason)
    return [*history.newest_done(runs_folder), *history.newest_placebos(runs_folder)]


def _redraw(folders: list[Path]) -> "list[Job]":
    """Draw the outdated pictures of runs again, from what the runs have kept; the jobs that failed."""
    from workbench.lab import execute, redraw, terminal

    jobs = [job for folder in folders if (job := redraw.redraw_job(folder))]
    if not jobs:
        return []
    with terminal.watching(jobs, out, err) as refresh:
        execute.run_jobs(jobs, 1, refresh, lambda job: None)
    failed = [job for job in jobs if job.status != "done"]
    for job in failed:
        reason = job.failure or job.error
        complain(f"{job.name} could not be drawn again ({reason}): its page stays as it ran.")
    return failed


def doctor() -> None:
    """Check the installation: what is there, what is missing, and what to do about it."""
    from workbench.lab.doctor import examine

    grid = Table.grid(padding=(0, 2))
    checks = examine()
    for check in checks:
        sign = ("✓", "green") if not check.advice else ("✗", "bold red") if check.needed else ("○", "yellow")
        finding = Text(check.finding).append(f"\n{check.advice}" if check.advice else "", style="dim")
        grid.add_row(Text(*sign), Text(check.name, style="bold"), finding)
    out.print(grid)
    if any(check.needed and check.advice for check in checks):
        raise typer.Exit(2)


def clean(
    older: Annotated[
        bool, typer.Option("--older", help="Also finished runs of which the notebook has a newer one.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete unfinished runs and orphaned temporary files, after listing them and asking."""
    from workbench.lab import history, project

    runs, reports = project.runs_folder(), reports_folder()
    reasons = history.leftovers(runs, reports, older)
    if not reasons:
        out.print("Nothing to clean.")
        return
    for path, reason in reasons.items():
        out.print(Text.assemble((f"{reason:12} ", "yellow"), short_path(path)), soft_wrap=True)
    if yes or typer.confirm(f"Delete these {len(reasons)}?"):
        # Somebody may have gone on with one of them while the question stood.
        gone = reasons.keys() & history.leftovers(runs, reports, older).keys()
        for path in gone:
            with files.explain_write_error(path):
                files.remove(path)
        out.print(f"Deleted {len(gone)}.")


def _tally(folder: Path) -> str:
    from workbench.claims import REPRODUCED
    from workbench.lab import ledger

    try:
        claims = ledger.read_claims(folder)
    except UserError:
        return "unreadable"
    reproduced = ledger.count_verdicts(claims)[REPRODUCED]
    return f"{reproduced} of {len(claims)}" if claims else ""


def _name_newer(folder: Path, asked: str, newer: Path | None) -> None:
    """Where a notebook is asked for, say that a newer run of it has not finished, or that none has."""
    from workbench.lab import history

    name = folder.parent.name
    if asked not in history.names(name):
        return
    if newer:
        state = history.state(newer)
        became = state if state == "failed" else f"is {state}"
        err.print(Text(f"A newer run {became}: `workbench show {newer.name}` shows it.", style="yellow"))
    elif history.state(folder) != "done":
        err.print(Text(f"No run of {name} has finished: this is the newest.", style="yellow"))


def _show_why(folder: Path, other: Path | None, lines: list[str]) -> None:
    if other is None:
        out.print(f"No run of its notebook was started before {folder.parent.name}/{folder.name}.")
        return
    out.print(Text(f"Since {other.parent.name}/{other.name}, the run before it:"))
    for line in lines or ["nothing that its key is made of has changed"]:
        out.print(Text(f"  {line}"), soft_wrap=True)


def _state(state: str) -> Text:
    from workbench.lab.terminal import SIGNS

    sign, style = SIGNS.get(state, ("‖", "yellow"))
    return Text(f"{sign} {state}", style=style)


def _when(moment: str | None) -> Text:
    from datetime import datetime

    if not moment:
        return Text("")
    return Text(datetime.fromisoformat(moment).astimezone().strftime("%d %b %H:%M"), style="dim")
