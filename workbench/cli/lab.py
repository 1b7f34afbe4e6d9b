"""`workbench lab`: JupyterLab on the project's notebooks."""

import os
import subprocess
import sys
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
    raise typer.Exit(_wait(command(root, shown, [word for word in words if word not in names]), root))


def command(root: Path, notebook: str = "", options: Sequence[str] = ()) -> list[str]:
    """What starts JupyterLab on a project, at one of its notebooks or at their folder."""
    return [
        *(sys.executable, "-m", "jupyterlab"),
        f"--ServerApp.root_dir={root}",
        "--ServerApp.contents_manager_class=workbench.lab.contents.ProjectContents",
        f"--LabApp.default_url=/lab/tree/notebooks/{notebook}".rstrip("/"),
        *options,
    ]


def _wait(words: list[str], root: Path) -> int:
    """Run until it ends; Ctrl-C is for JupyterLab, which asks whether it is meant."""
    with subprocess.Popen(words, cwd=root, env={"OMP_WAIT_POLICY": "PASSIVE", **os.environ}) as server:
        while True:
            try:
                return server.wait()
            except KeyboardInterrupt:
                continue
