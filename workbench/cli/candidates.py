"""Which models a word of a command means: one by itself, or those of a run, before training and after."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.errors import UserError
from workbench.sources import located

_AFTER = {"08_siked": "SIKeD", "11_rlp": "RLP"}  # the arm that a run of a notebook is about
_NO_ARMS = ("start", "guide", "base")  # folders of models that no arm has left


@dataclass(frozen=True)
class Candidate:
    """A model to be asked.

    Attributes:
        name: as a line of the table calls it.
        source: its folder, file or hub id.
        inputs: the run that has trained it, by notebook.
    """

    name: str
    source: str
    inputs: Mapping[str, str]


def candidates(asked: str, arms: Sequence[str]) -> list[Candidate]:
    """The model that a word names, or those of a run: the base, and what its arms are after training."""
    run = _run(asked)
    if run is None:
        if arms:
            raise UserError(f"--arm is about a run's models, and {asked} is not a run.")
        return [Candidate(Path(asked).name, asked, {})]
    from workbench.lab import history, record

    described = record.read_run(run)
    notebook, key = described["notebook"], described["key"]
    if (state := history.state(run)) != "done":
        raise UserError(f"{notebook}/{key} is {state}: let `workbench run {notebook}` finish it first.")
    trained = _trained(run / "artifacts", described["params"].get("seed", 0))
    if not trained:
        raise UserError(
            f"{notebook}/{key} keeps no models that it has trained from one base: give a run of 08 or 11 "
            "that was computed here (published runs hold tables alone), or a model's folder."
        )
    wanted = arms or ([_AFTER[notebook]] if notebook in _AFTER else [])
    if not wanted:
        raise UserError(f"Name with --arm which model of {notebook} is meant: {', '.join(trained)}.")
    inputs, after = {notebook: key}, []
    for name in wanted:
        folder_name = name.replace(",", "").replace(" ", "-")
        if folder_name not in trained:
            raise UserError(f"{notebook}/{key} has no arm {name!r}: there are {', '.join(trained)}.")
        after.append(Candidate(f"{name}, after", str(trained[folder_name]), inputs))
    return [Candidate("base, before", _base(run, described["params"]), inputs), *after]


def _run(asked: str) -> Path | None:
    """The run that a word names, if it names one and no model."""
    from workbench.lab import history, project

    if history.is_run(asked):
        return Path(asked).absolute()
    if Path(located(asked)).expanduser().exists():
        return None
    try:
        return history.find_run(history.all_runs(project.runs_folder()), asked)
    except UserError:
        return None


def _trained(artifacts: Path, seed: int) -> dict[str, Path]:
    """Of each arm of the run's first training the model that it ended with."""
    trained: dict[str, Path] = {}
    for path in _models(artifacts):
        names = path.relative_to(artifacts).parts
        if f"seed-{seed}" in names[:-1]:
            arm = names[names.index(f"seed-{seed}") + 1]
            if arm not in _NO_ARMS and not any(name.startswith(".") for name in names):
                trained[arm] = path
    return trained


def _models(folder: Path) -> list[Path]:
    """Folders of models anywhere below, round 10 behind round 9."""
    found = [path.parent for path in folder.rglob("config.json") if list(path.parent.glob("*.safetensors"))]
    digits = re.compile(r"(\d+)")
    return sorted(found, key=lambda path: [part.zfill(9) for part in digits.split(str(path))])


def _base(run: Path, params: Mapping[str, Any]) -> str:
    if params.get("model") not in (None, "embedded"):
        return str(params["model"])
    places = (run / "artifacts" / "base", *sorted((run / "artifacts").glob("*/seed-*/start/base")))
    bases = [path for folder in places for path in _models(folder)]
    if not bases:
        raise UserError(f"The base of {run.parent.name}/{run.name} is not among what the run has kept.")
    return str(bases[-1] if bases[-1].is_relative_to(places[0]) else bases[0])
