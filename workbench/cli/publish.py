"""publish: the folder of pages that is committed."""

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from workbench.cli.console import out, short_path
from workbench.cli.pages import warn_of_size
from workbench.errors import UserError


def publish(
    runs: Annotated[
        list[str] | None, typer.Argument(metavar="[RUN]...", help="Default: the newest of each notebook.")
    ] = None,
    parameter: Annotated[
        list[str] | None,
        typer.Option(
            "--parameter", "-p", metavar="NAME=VALUE", help="The runs that `run --all -p NAME=VALUE` makes."
        ),
    ] = None,
    folder: Annotated[Path | None, typer.Option("--out", help="Default: the project's reports/.")] = None,
) -> None:
    """Write the project's reports/, to be committed: pages, index and the data behind them.

    `workbench report reports/runs/*` draws the pages from it on any machine.
    """
    from workbench.lab import project
    from workbench.lab.report import publication
    from workbench.lab.report import publish as pages
    from workbench.lab.report.size import megabytes

    if runs and parameter:
        raise UserError("Name runs, or give -p, not both.")
    root = project.find_root()
    folders = _made_with(root, parameter) if parameter else _chosen(project.runs_folder(root), runs or ())
    if not folders:
        raise UserError("There is no finished run to publish: `workbench run --all` makes them.")
    reports = folder or root / "reports"
    left_out = publication.write(folders, reports)
    for folder in folders:
        page = pages.page_of(folder, reports)
        out.print(f"✓ {short_path(page)}")
        warn_of_size(page)
    for name, size in left_out.items():
        out.print(f"Left out, {megabytes(size)}: {name}")
    kept = sum(path.stat().st_size for path in (reports / "runs").rglob("*") if path.is_file())
    n_pages = f"{len(folders)} {'page' if len(folders) == 1 else 'pages'}"
    size = f" ({n_pages}, drawn from {megabytes(kept)}; commit the folder to share them)"
    out.print(
        Text.assemble("\nPublished: ", (short_path(reports / "index.html"), "bold"), size), soft_wrap=True
    )


def _chosen(runs_folder: Path, asked: list[str] | tuple[()]) -> list[Path]:
    """The runs named, or of each notebook the newest finished one and the newest placebo."""
    from workbench.lab import history

    known = history.all_runs(runs_folder)
    if asked:
        return [history.find_run(known, name) for name in asked]
    return [*history.newest_done(runs_folder), *history.newest_placebos(runs_folder)]


def _made_with(root: Path, parameter: list[str]) -> list[Path]:
    """The runs that `run --all` makes with these parameters, and the placebos made with them.

    Raises:
        UserError: One is not finished.
    """
    from workbench.lab import execute, history, params, project

    notebooks = [project.read_notebook(path) for path in project.notebook_paths(root)]
    given = params.pairs(parameter)
    jobs = execute.jobs_for(notebooks, given, False)
    missing = [job.name for job in jobs if not history.is_sound(job.folder)]
    if missing:
        words = " ".join(f"-p {pair}" for pair in parameter)
        raise UserError(
            f"Not finished, so not published: {', '.join(missing)}; `workbench run --all {words}` goes on."
        )
    with_arms = [notebook for notebook in notebooks if "placebo" in notebook.model.model_fields]
    fields = {name for notebook in with_arms for name in notebook.model.model_fields}
    known = {name: text for name, text in given.items() if name in fields} | {"placebo": "true"}
    placebos = execute.jobs_for(with_arms, known, False) if with_arms else []
    both = [job.folder for job in [*jobs, *placebos] if history.is_sound(job.folder)]
    return list(dict.fromkeys(both))
