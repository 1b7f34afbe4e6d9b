"""The command `workbench sweep`: a notebook at every point of a grid, here or on a Ray cluster."""

from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli import completion
from workbench.cli.console import complain, err, out
from workbench.cli.given import check_jobs
from workbench.cli.options import NOTEBOOK, Address, Cpus, Engine, Gpus, Jobs, ParamsFile, check_address

if TYPE_CHECKING:
    from workbench.lab.execute import Job


_VALUES = "width=64,128, or seed=0..2 with both ends; write a comma within a value as \\,"


def sweep(
    notebook: Annotated[str, NOTEBOOK],
    parameter: Annotated[
        list[str] | None,
        typer.Option(
            "--parameter", "-p", metavar="NAME=VALUES", help=_VALUES, autocompletion=completion.parameters
        ),
    ] = None,
    file: ParamsFile = None,
    engine: Engine = "local",
    jobs: Jobs = 2,
    address: Address = "",
    cpus: Cpus = 1,
    gpus: Gpus = 0,
    yes: Annotated[bool, typer.Option("--yes", help="Even if that is more than 300 runs.")] = False,
) -> None:
    """Run a notebook at every point of a grid of parameters, and show what each run ended with.

    Whatever the runs need is run first, once; finished runs are kept.

    All machines of a Ray cluster must see the project, its environment and its runs at the same paths.
    """
    from workbench.lab import execute, params, params_file, project, ray_cluster, terminal, tracking
    from workbench.lab import sweep as sweeps

    check_address(address, engine)
    tracking.wanted()  # what WORKBENCH_TRACK names is not there: before anything runs
    study = project.find_notebook(project.find_root(), notebook)
    given = params_file.for_sweep(params_file.read_params_file(file), study.model)
    planned = sweeps.plan_sweep(study, given | params.pairs(parameter or []), yes)
    check_jobs(planned.jobs)

    def finished(job: "Job") -> None:
        terminal.say(terminal.summary(job), out)

    with terminal.watching(planned.jobs, out, err) as refresh:
        if engine == "local":
            execute.run_jobs(planned.jobs, jobs, refresh, finished)
        else:
            with ray_cluster.ray_session(address, jobs, cpus, gpus) as slots:
                remote = partial(ray_cluster.run_remote, cpus, gpus)
                execute.run_jobs(planned.jobs, slots, refresh, finished, remote)
    terminal.show_results(sweeps.results(planned), out)
    for job in planned.jobs:
        if job.status == "failed":
            complain(f"{job.name}: {job.failure or job.error}")
    if not all(job.is_finished for job in planned.points):
        raise typer.Exit(1)
