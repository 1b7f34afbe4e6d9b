"""export: a run for other programs: tables, references, logs of what models wrote, trackers."""

import shlex
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from workbench import files
from workbench.cli.console import complain, out, short_path
from workbench.cli.options import RUN
from workbench.errors import UserError


def export(
    run: Annotated[str, RUN],
    to: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="FORMAT",
            help="csv, json, latex, parquet; bibtex; inspect; or tensorboard, wandb, mlflow, trackio.",
        ),
    ] = "inspect",
    target: Annotated[
        Path | None, typer.Option("--out", help="Default: in the run's folder; of BibTeX the terminal.")
    ] = None,
    table: Annotated[str, typer.Option(help="For inspect; by itself: the first with what was written.")] = "",
) -> None:
    """Write a run for other programs: its parameters, claims, metrics and tables, titled and with units.

    bibtex: entries for the study and for the papers that it names.

    inspect, the default: what models wrote, one log for each model, task and training; look at it with
    `inspect view --log-dir FOLDER`, wherever inspect_ai is installed.

    tensorboard, wandb, mlflow, trackio: metrics and claims, as `run --track` writes them while it runs.
    """
    from workbench.lab import citation, exports, trackers, tracking

    known = (*exports.FORMS, "bibtex", "inspect", *trackers.TRACKERS)
    if to not in known:
        raise UserError(f"--to {to}: choose one of {', '.join(known)}.")
    if to in trackers.TRACKERS:
        tracking.check(to)
        if target:
            raise UserError(f"--out is not for {to}, which has a folder for all runs: leave it out.")
    if table and to != "inspect":
        raise UserError("--table is for --to inspect alone: the other formats hold all tables.")
    folder = finished_run(run)
    if to == "bibtex":
        _bibtex(citation.bibtex(folder), target)
    elif to == "inspect":
        _inspect(folder, target or folder / "inspect", table)
    elif to in trackers.TRACKERS:
        tracking.write(folder, to)
        say_tracked(to, folder.absolute().parent.parent)
    else:
        file = f"{folder.parent.name}-{folder.name}.json" if to == "json" else to
        written = exports.write(folder, to, target or folder / file)
        out.print(Text.assemble("✓ ", (short_path(written), "bold")), soft_wrap=True)


def track_finished(folder: Path, name: str) -> None:
    """Write a run that was finished before to a tracker; one that refuses is told, and ends nothing else."""
    from workbench.lab import tracking

    try:
        tracking.write(folder, name)
    except UserError as error:
        complain(str(error))


def say_tracked(name: str, runs: Path) -> None:
    """Say how what a tracker was given of the runs in a folder is shown."""
    from workbench.lab.trackers import TRACKERS

    shown_by = TRACKERS[name].shown_by(runs).replace(f"{Path.cwd()}/", "")
    out.print(Text.assemble("Tracked: ", (shown_by, "bold")), soft_wrap=True)


def finished_run(asked: str) -> Path:
    """The folder of a run that is asked for.

    Raises:
        UserError: There is none, or it is not finished.
    """
    from workbench.lab import history, project, record

    known = [] if history.is_run(asked) else history.all_runs(project.runs_folder())
    folder = history.find_run(known, asked)
    described = record.read_run(folder)
    if (state := history.state(folder)) != "done":
        raise UserError(f"{described['notebook']}/{described['key']} is {state}: let it finish first.")
    return folder


def _bibtex(text: str, target: Path | None) -> None:
    if target is None:
        out.file.write(text)  # as it is: no line is broken, no text styled
    else:
        files.atomic_write(target, files.encoded(text))
        out.print(Text.assemble("✓ ", (short_path(target), "bold")), soft_wrap=True)


def _inspect(folder: Path, target: Path, table: str) -> None:
    from workbench.cli import inspect_logs
    from workbench.lab import record

    samples, logs = inspect_logs.write(folder, record.read_run(folder), target, table)
    said = f"✓ {samples:,} samples in {logs} log{'s' * (logs > 1)}: "
    out.print(
        Text.assemble(said, (f"inspect view --log-dir {shlex.quote(short_path(target))}", "bold")),
        soft_wrap=True,
    )
