"""The command line: run, sweep, list, show, ledger, compare, report, publish and the rest."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from workbench.cli import completion, runs
from workbench.cli.console import complain, err, out, reports_folder, short_path
from workbench.cli.evaluate import evaluate
from workbench.cli.export import export, say_tracked, track_finished
from workbench.cli.fetch import fetch
from workbench.cli.given import check_jobs
from workbench.cli.init import init
from workbench.cli.lab import lab
from workbench.cli.ledger import ledger
from workbench.cli.models import models
from workbench.cli.new import new
from workbench.cli.options import NOTEBOOK, ParamsFile
from workbench.cli.pages import Pages
from workbench.cli.params import params as parameters
from workbench.cli.plain_help import PlainCommand, PlainGroup
from workbench.cli.publish import publish
from workbench.cli.push import push
from workbench.cli.shards import generate, sketch
from workbench.cli.sweep import sweep
from workbench.errors import UserError

if TYPE_CHECKING:
    from workbench.lab.execute import Job


def _say_version(asked: bool) -> None:
    if asked:
        import workbench

        out.print(f"workbench {workbench.__version__}")
        raise typer.Exit


# Everything heavier than typer and rich is imported by the command that uses it: --help must be instant.
app = typer.Typer(
    cls=PlainGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


@app.callback()
def common(
    version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, help="Show the version and exit.", callback=_say_version),
    ] = False,
) -> None:
    """Run notebooks as reproducible studies and share what they show."""


def main() -> None:
    """Entry point: a user's mistake is one sentence on stderr and exit code 2."""
    try:
        app()
    except UserError as error:
        complain(str(error))
        sys.exit(2)


def run(
    notebooks: Annotated[list[str] | None, NOTEBOOK] = None,
    all_: Annotated[bool, typer.Option("--all", help="Every notebook of the project.")] = False,
    parameter: Annotated[
        list[str] | None,
        typer.Option(
            "--parameter",
            "-p",
            metavar="NAME=VALUE",
            help="Set a parameter: `workbench params NOTEBOOK` lists them.",
            autocompletion=completion.parameters,
        ),
    ] = None,
    file: ParamsFile = None,
    jobs: Annotated[
        str,
        typer.Option(
            metavar="N", help="Notebooks side by side; auto: as many as the processor has room for."
        ),
    ] = "auto",
    force: Annotated[
        bool, typer.Option("--force", help="Compute again, even if the run is finished.")
    ] = False,
    track: Annotated[
        str,
        typer.Option("--track", metavar="NAME", help="Log to tensorboard, wandb, mlflow or trackio as well."),
    ] = "",
) -> None:
    """Run notebooks, and first whatever they need; finished runs are kept.

    profile=quick, the default, takes under a minute a notebook.

    profile=laptop takes an evening, up to 2.5 hours for all notebooks on two cores.

    profile=paper, the published sizes, needs a GPU.
    """
    from workbench.lab import execute, order, params, params_file, project, tracking

    if track:
        os.environ[tracking.VARIABLE] = track  # kernels, and what they start, read it too
    tracker = tracking.wanted()
    root = project.find_root()
    if all_:
        chosen = [project.read_notebook(path) for path in project.notebook_paths(root)]
    else:
        chosen = [project.find_notebook(root, name) for name in notebooks or ()]
    if not chosen:
        names = ", ".join(path.stem for path in project.notebook_paths(root))
        raise UserError(f"Name a notebook ({names or 'notebooks/ is empty'}) or give --all.")
    given = params_file.for_run(params_file.read_params_file(file)) | params.pairs(parameter or [])
    planned = execute.jobs_for(chosen, given, force)
    check_jobs(planned)
    asked = {notebook.name for notebook in chosen}
    _run(order.in_order(planned), asked, root, order.side_by_side(jobs, planned), tracker)


def compare(
    first: Annotated[
        str,
        typer.Argument(
            metavar="A", help="A run, as for `show`; several with commas between them; NOTEBOOK:NAME=VALUE."
        ),
    ],
    second: Annotated[str, typer.Argument(metavar="B", help="The same. Every difference is B − A.")],
    item: Annotated[
        str,
        typer.Option(
            "--item", metavar="COLUMNS", help="Columns that name an item, instead of item, id and …_id."
        ),
    ] = "",
    out_file: Annotated[
        Path | None, typer.Option("--out", help="The page to write. Default: one in runs/reports/.")
    ] = None,
) -> None:
    """Compare two runs or sets of runs: parameters, logged curves, paired differences over common items.

    Rows are paired by the columns item, id and …_id of a table, together with question, prompt and beginning.

    Each value of another text column, such as the model, is compared separately; seeds are averaged.
    """
    from workbench.cli import compare as _compare
    from workbench.cli import compare_page

    said, curves = _compare.compare(first, second, [n.strip() for n in item.split(",") if n.strip()])
    page = out_file or reports_folder() / compare_page.page_name(said)
    compare_page.write(said, curves, page)
    _compare.show(said, out)
    out.print(Text.assemble("\nPage: ", (short_path(page), "bold")), soft_wrap=True)


def _run(jobs: "list[Job]", asked: set[str], root: Path, workers: int, tracker: str | None) -> None:
    """Run the jobs, write each one's page and the index, and end with the index's path."""
    from workbench.lab import execute, project, terminal

    runs_folder = project.runs_folder(root)
    pages = Pages(jobs, runs_folder)
    pages.announce()

    def finished(job: execute.Job) -> None:
        terminal.say(terminal.summary(job), out)
        if job.failure:
            out.print(terminal.failure(job, short_path))
        elif job.status == "failed":
            complain(f"{job.name}: {job.error}")
        pages.add(job)
        if tracker and job.status == "cached":
            track_finished(job.folder, tracker)

    try:
        with terminal.watching(jobs, out, err) as refresh:
            execute.run_jobs(jobs, workers, refresh, finished)
    finally:
        pages.close()
    if all(job.is_finished for job in jobs):
        _count_claims([job.folder for job in jobs if job.plan.notebook.name in asked])
    if pages.index.exists():
        out.print(Text.assemble("\nReport: ", (short_path(pages.index), "bold")), soft_wrap=True)
    if tracker and any(job.is_finished for job in jobs):
        say_tracked(tracker, runs_folder)
    _name_outdated(jobs, runs_folder)
    failed = [job for job in jobs if job.status == "failed"]
    if failed or pages.has_trouble:
        raise typer.Exit(1 if pages.has_trouble or any(job.failure for job in failed) else 2)


def _count_claims(folders: list[Path]) -> None:
    from workbench.lab import history, ledger

    claims = [
        claim for folder in folders if not history.problem(folder) for claim in ledger.read_claims(folder)
    ]
    if claims:
        counts = (f"{count} {verdict}" for verdict, count in ledger.count_verdicts(claims).items() if count)
        out.print(Text(f"\n{len(claims)} claim{'s' * (len(claims) > 1)}: {' · '.join(counts)}"))


def _name_outdated(jobs: "list[Job]", runs_folder: Path) -> None:
    """Say which pages show other words or pictures than their notebooks would now."""
    from workbench.lab import history, redraw

    outdated = [job for job in jobs if job.status == "cached" and redraw.is_outdated(job)]
    if outdated:
        newest = history.newest_done(runs_folder)
        names = [
            job.plan.notebook.name if job.folder in newest else f"{job.plan.notebook.name}/{job.folder.name}"
            for job in outdated
        ]
        pages = "The page of this run is" if len(names) == 1 else f"The pages of {len(names)} runs are"
        command = f"workbench report {' '.join(names)}"
        out.print(Text.assemble(f"{pages} older than the notebook: ", (command, "bold"), " draws it again."))


_COMMANDS = {
    "Begin": (init, lab, new, models, fetch, runs.doctor),
    "Compute": (run, parameters, sweep, generate, sketch, evaluate),
    "Look": (runs.list_, runs.show, compare, ledger, runs.report),
    "Share, tidy up": (export, publish, push, runs.clean),
}
for _panel, _commands in _COMMANDS.items():
    for _command in _commands:
        app.command(_command.__name__.strip("_"), cls=PlainCommand, rich_help_panel=_panel)(_command)
