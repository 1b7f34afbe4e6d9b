"""Options that several commands share: engine, jobs, cluster."""

from typing import Annotated, Literal

import typer

from workbench.errors import UserError

Engine = Annotated[Literal["local", "ray"], typer.Option(help="Processes here, or a Ray cluster.")]
Jobs = Annotated[int, typer.Option(min=1, help="Side by side, on this machine.")]
Address = Annotated[str, typer.Option(metavar="HOST:PORT", help="The Ray cluster; else one is started here.")]
Cpus = Annotated[int, typer.Option(min=1, help="With Ray: processors for each.")]
Gpus = Annotated[float, typer.Option(min=0, help="With Ray: graphics cards for each, 0.5 is half.")]


def check_address(address: str, engine: str) -> None:
    """Raises a UserError where the address of a cluster is given and none is to be used."""
    if address and engine != "ray":
        raise UserError("--address goes with --engine ray.")
