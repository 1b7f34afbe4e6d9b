"""`workbench lab`: JupyterLab on the project's notebooks."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from workbench.errors import UserError


def lab(
    arguments: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NOTEBOOK] [-- OPTIONS]", help="What to open; JupyterLab's options, as -- --no-browser."
        ),
    ] = None,
) -> None:
    """Open the notebooks in JupyterLab.

    Outputs are kept among the runs, not in the notebooks' files: git sees what you edited and no more.
    """
    from workbench.lab import project

    root, words = project.find_root(), arguments or []
    names = [word for word in words if not word.startswith("-")]
    if len(names) > 1:
        raise UserError(
            f"Open {names[0]} or {names[1]}; options come with their value, as in -- --port=8890."
        )
    shown = project.find_notebook(root, names[0]).path.name if names else ""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # for the kernels, where waiting threads would spin

    from jupyterlab.labapp import main

    main(arguments_for(root, shown, [word for word in words if word not in names]))


def arguments_for(root: Path, notebook: str = "", options: Sequence[str] = ()) -> list[str]:
    """JupyterLab's arguments for a project, opened at one of its notebooks or at their folder."""
    return [
        f"--ServerApp.root_dir={root}",
        "--ServerApp.contents_manager_class=workbench.lab.contents.ProjectContents",
        f"--LabApp.default_url=/lab/tree/notebooks/{notebook}".rstrip("/"),
        *options,
    ]
