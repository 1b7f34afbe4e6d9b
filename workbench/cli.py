"""The command line: run, sweep, sketch, generate, list, show, compare, report, doctor, clean."""

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from workbench.consoles import err, out
from workbench.errors import UserError
from workbench.sharding import generate, sketch
from workbench.sweeping import sweep
from workbench.visible import visible

if TYPE_CHECKING:
    from workbench.lab.execute import Job
    from workbench.lab.ledger import Claim

# Everything heavier than typer and rich is imported by the command that uses it: --help must be instant.
app = typer.Typer(
    help="Run notebooks as reproducible studies and share what they show.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def main() -> None:
    """Entry point: a user's mistake is one sentence on stderr and exit code 2."""
    try:
        app()
    except UserError as error:
        err.print(Text(str(error), style="red"), soft_wrap=True)
        sys.exit(2)


@app.command()
def run(
    notebooks: Annotated[
        list[str] | None, typer.Argument(help="02_tiny_models, 02, tiny_models or a path.")
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="Every notebook of the project.")] = False,
    parameter: Annotated[
        list[str] | None, typer.Option("--parameter", "-p", metavar="NAME=VALUE", help="Set a parameter.")
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Notebooks side by side.")] = 1,
    force: Annotated[
        bool, typer.Option("--force", help="Compute again although the run is finished.")
    ] = False,
) -> None:
    """Run notebooks, and before them what they need; what is finished already is not run again."""
    from workbench.lab import execute, params, project

    root = project.find_root()
    runs = project.runs_folder(root)
    if all_:
        chosen = [project.read_notebook(path) for path in project.notebook_paths(root)]
    else:
        chosen = [project.find_notebook(root, name) for name in notebooks or ()]
    if not chosen:
        names = ", ".join(path.stem for path in project.notebook_paths(root))
        raise UserError(f"Name a notebook ({names or 'notebooks/ is empty'}) or give --all.")
    planned = execute.jobs_for(root, runs, chosen, params.pairs(parameter or []), force)
    _run(planned, root, runs, jobs)


app.command()(sweep)
app.command()(sketch)
app.command()(generate)


@app.command("list")
def list_() -> None:
    """List the runs that are there."""
    from workbench.lab import history, ledger, project, record

    runs = project.runs_folder()
    table = Table(box=None, header_style="dim", pad_edge=False)
    for column in ("notebook", "key", "state", "started", "claims", "set"):
        table.add_column(column, overflow="fold", no_wrap=column != "set")
    for folder in history.all_runs(runs):
        state = history.state(folder)
        row = [Text(folder.parent.name, style="bold"), folder.name, _state(state)]
        if state not in ("newer", "unreadable"):
            run = record.read_run(folder)
            row += [_when(run["started"]), _verdicts(ledger.read_claims(folder)), Text(_set(run))]
        table.add_row(*row)
    out.print(table if table.row_count else "No runs yet: `workbench run --all` makes them.")


@app.command()
def show(
    run: Annotated[str, typer.Argument(help="A notebook (its newest run), a key or its start, or a folder.")],
    why: Annotated[bool, typer.Option("--why", help="What changed against the run before it.")] = False,
) -> None:
    """Show a run: parameters, inputs, environment, claims; or why it has another key than the run before."""
    from workbench.lab import history, ledger, project, record

    if (Path(run) / "run.json").is_file():  # a folder that was moved, perhaps with no project around it
        folder, runs = Path(run).absolute(), Path(run).absolute().parents[1]
    else:
        runs = project.runs_folder()
        folder = history.find_run(history.all_runs(runs), run)
    if why:
        other, lines = history.why(folder, runs)
        _show_why(folder, other, lines)
        return
    described = record.read_run(folder)
    grid = Table.grid(padding=(0, 2))
    for name in ("params", "inputs", "environment"):
        for number, (key, value) in enumerate(described[name].items()):
            shown = ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else str(value)
            label = Text("" if number else name, style="dim")
            grid.add_row(label, Text(visible(key)), Text(visible(shown)))
    title = f"  {visible(described['title'])}" if described["title"] else ""
    out.print(
        Text(f"{described['notebook']}/{described['key']}", style="bold").append(title, style="default")
    )
    error = Text(visible(described["error"] or ""))
    out.print(_state(history.state(folder)), error, _when(described["started"]), "\n")
    out.print(grid)
    for claim in ledger.read_claims(folder):
        out.print(Text(f"\n{visible(claim.name)}", style="bold"), Text(visible(repr(claim))), sep="\n")
    out.print(Text(f"\n{_near(folder)}", style="dim"))


@app.command()
def compare(
    first: Annotated[
        str,
        typer.Argument(
            metavar="A", help="A run as `show` takes it, several with commas, NOTEBOOK:NAME=VALUE."
        ),
    ],
    second: Annotated[str, typer.Argument(metavar="B", help="Likewise; every difference is B − A.")],
    item: Annotated[
        str, typer.Option("--item", metavar="COLUMNS", help="What names an item, in place of item, id, …_id.")
    ] = "",
    out_file: Annotated[
        Path | None, typer.Option("--out", help="The page. Default: one in the project's reports/.")
    ] = None,
) -> None:
    """Compare two runs or sets of runs: parameters, logged curves, paired differences over common items.

    Items are what a table's columns item, id and …_id say, with question, prompt and beginning.

    A text that every item has alike, such as the model, is compared apart; seeds are averaged over.
    """
    from workbench import comparison

    found = comparison.compare(first, second, [name.strip() for name in item.split(",") if name.strip()])
    page = comparison.write(found, out_file or _reports() / comparison.page_name(found))
    comparison.show(found, out)
    out.print(Text.assemble("\nPage: ", (_near(page), "bold")), soft_wrap=True)


@app.command()
def report(
    runs: Annotated[
        list[str] | None, typer.Argument(metavar="[RUN]...", help="Default: the newest of each.")
    ] = None,
    out_folder: Annotated[Path | None, typer.Option("--out", help="Default: the project's reports/.")] = None,
) -> None:
    """Write the pages of finished runs, and the index with the ledger."""
    from workbench.lab import history, project, publish

    place = project.runs_folder()
    folders = [
        history.find_run(history.executed(place), asked) for asked in runs or ()
    ] or history.newest_done(place)
    if not folders:
        raise UserError("There is no finished run to report: `workbench run --all` makes them.")
    publish.one_each(folders)
    target = out_folder or _reports()
    for folder in folders:
        publish.publish(folder, target, again=True)
        out.print(Text(f"✓ {_near(publish.page_of(folder, target))}"))
    index = publish.publish_index(target, [*publish.shown_runs(target, place), *folders])
    out.print(Text.assemble("\nReport: ", (_near(index), "bold")), soft_wrap=True)


@app.command()
def doctor() -> None:
    """Say what is there and what is not, and what to do about it."""
    from workbench.lab.doctor import examine

    grid = Table.grid(padding=(0, 2))
    checks = examine()
    for check in checks:
        sign = ("✓", "green") if not check.advice else ("✗", "bold red") if check.needed else ("○", "yellow")
        found = Text(check.found).append(f"\n{check.advice}" if check.advice else "", style="dim")
        grid.add_row(Text(*sign), Text(check.name, style="bold"), found)
    out.print(grid)
    if any(check.needed and check.advice for check in checks):
        raise typer.Exit(2)


@app.command()
def clean(
    older: Annotated[
        bool, typer.Option("--older", help="Also finished runs that a newer one of the notebook follows.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete runs that did not finish and orphaned temporary files; says what, and asks."""
    from workbench.lab import history, project

    runs, reports = project.runs_folder(), _reports()
    found = history.leftovers(runs, reports, older)
    if not found:
        out.print("Nothing to clean.")
        return
    for path, reason in found.items():
        out.print(Text.assemble((f"{reason:12} ", "yellow"), _near(path)), soft_wrap=True)
    if yes or typer.confirm(f"Delete these {len(found)}?"):
        # Somebody may have gone on with one of them while the question stood.
        gone = found.keys() & history.leftovers(runs, reports, older).keys()
        for path in gone:
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        out.print(f"Deleted {len(gone)}.")


def _run(jobs: "list[Job]", root: Path, runs: Path, workers: int) -> None:
    """Run the jobs, write each one's page, and end with the path of the index."""
    from workbench.lab import execute, publish, terminal

    reports, wrote, troubles = root / "reports", [], []

    def finished(job: execute.Job) -> None:
        out.print(terminal.summary(job), soft_wrap=True)
        if job.failure:
            out.print(terminal.failure(job, _near))
        elif job.status == "failed":
            err.print(Text(f"{job.name}: {job.error}", style="red"), soft_wrap=True)
        if job.status in ("done", "cached"):
            try:
                wrote.append(publish.publish(job.folder, reports))
            except Exception as error:  # a page that cannot be drawn must not end an overnight run
                troubles.append(error)
                said = Text(f"The page of {job.name} could not be written: {error}", style="red")
                err.print(said, soft_wrap=True)

    with terminal.watching(jobs, out, err) as refresh:
        execute.run_jobs(jobs, root, workers, refresh, finished)
    index = reports / "index.html"
    shown = publish.shown_runs(reports, runs) if any(wrote) or not index.exists() else []
    if shown:
        publish.publish_index(reports, shown)
    _closing(jobs, index)
    failed = [job for job in jobs if job.status == "failed"]
    if failed or troubles:
        raise typer.Exit(1 if troubles or any(job.failure for job in failed) else 2)


def _closing(jobs: "list[Job]", index: Path) -> None:
    from workbench.lab import ledger

    claims = [
        claim for job in jobs if job.status in ("done", "cached") for claim in ledger.read_claims(job.folder)
    ]
    if claims:
        counts = (f"{count} {verdict}" for verdict, count in ledger.count_verdicts(claims).items() if count)
        out.print(Text(f"\n{len(claims)} claim{'s' * (len(claims) > 1)}: {' · '.join(counts)}"))
    if index.exists():
        out.print(Text.assemble("\nReport: ", (_near(index), "bold")), soft_wrap=True)


def _show_why(folder: Path, other: Path | None, lines: list[str]) -> None:
    if other is None:
        out.print(f"{folder.parent.name}/{folder.name} is the only run of its notebook.")
        return
    out.print(Text(f"Against {other.parent.name}/{other.name}, the most recent other run:"))
    for line in lines:
        out.print(Text(f"  {line}"), soft_wrap=True)


def _set(run: dict[str, Any]) -> str:
    return visible("  ".join(f"{name}={run['params'][name]}" for name in run["set"]))


def _state(state: str) -> Text:
    from workbench.lab.terminal import SIGNS

    sign, style = SIGNS.get(state, ("‖", "yellow"))
    return Text(f"{sign} {state}", style=style)


def _verdicts(claims: "list[Claim]") -> str:
    from workbench.lab.ledger import REPRODUCED, count_verdicts

    return f"{count_verdicts(claims)[REPRODUCED]} of {len(claims)}" if claims else ""


def _when(moment: str) -> Text:
    from datetime import datetime

    return Text(datetime.fromisoformat(moment).astimezone().strftime("%d %b %H:%M"), style="dim")


def _reports() -> Path:
    """The project's reports/, or one here where runs lie outside any project."""
    from workbench.lab import project

    try:
        return project.find_root() / "reports"
    except UserError:
        return Path.cwd() / "reports"


def _near(path: Path) -> str:
    """A path as short as it can be given from here."""
    path = path.absolute()
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
