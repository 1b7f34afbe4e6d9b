"""Arguments and options that several commands share: a notebook, parameters, engine, jobs, cluster."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from workbench.cli import completion
from workbench.errors import UserError

NOTEBOOK = typer.Argument(
    metavar="NOTEBOOK",
    help="02_tiny_models, 02, tiny_models or a path.",
    autocompletion=completion.notebooks,
)
RUN = typer.Argument(
    metavar="RUN",
    help="A notebook (its newest finished run), a key or its start, or a folder.",
    autocompletion=completion.runs,
)
ParamsFile = Annotated[
    Path | None,
    typer.Option(
        "--params", "-P", metavar="FILE", help="Parameters from a .yaml or .json file; -p overrides it."
    ),
]
Engine = Annotated[Literal["local", "ray"], typer.Option(help="Processes here, or a Ray cluster.")]
Jobs = Annotated[int, typer.Option(min=1, help="How many at a time, on this machine.")]
Address = Annotated[
    str, typer.Option(metavar="HOST:PORT", help="The Ray cluster; without it one is started here.")
]
Cpus = Annotated[int, typer.Option(min=1, help="With Ray: processors for each.")]
Gpus = Annotated[float, typer.Option(min=0, help="With Ray: graphics cards for each; 0.5 is half of one.")]


def check_address(address: str, engine: str) -> None:
    """Raises a UserError where the address of a cluster is given and none is to be used."""
    if address and engine != "ray":
        raise UserError("--address goes with --engine ray.")
