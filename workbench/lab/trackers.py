"""TensorBoard, Weights & Biases, MLflow and trackio, each given what was logged and claimed in a run."""

# Its libraries are optional, and may not be where types are checked.
# pyright: reportMissingImports=false
import io
import logging
import os
import re
import shlex
import shutil
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from workbench.claims import Claim
from workbench.sanitize import redact, sanitize

PROJECT = "small-model-workbench"


@dataclass(frozen=True)
class Point:
    """What was logged at one step of one training."""

    series: str  #: Such as base-seed-0; empty where a run logs one thing alone
    step: int
    time: float  #: Seconds since 1970
    values: dict[str, float]

    def named(self) -> dict[str, float]:
        """The values, each with its series before its name."""
        return {_join(self.series, name): value for name, value in self.values.items()}


class Tracker(Protocol):
    """A run as a tracker has it, made anew when it is opened."""

    @staticmethod
    def shown_by(runs: Path) -> str:
        """The command that shows what was written of the runs in a folder."""
        ...

    def __init__(self, folder: Path, run: Mapping[str, Any]) -> None: ...

    def log(self, points: Sequence[Point]) -> None:
        """Add what was logged."""

    def claim(self, claims: Sequence[Claim]) -> None:
        """Add what the run claims."""

    def close(self) -> None:
        """End the run."""


def clean(text: str) -> str:
    """A name that every tracker takes."""
    return re.sub(r"[^\w.]+", "-", text).strip("-")


def _join(*parts: str) -> str:
    return "/".join(filter(None, parts))


def _figures(claim: Claim) -> dict[str, float]:
    values = {"effect": claim.effect, "low": claim.low, "high": claim.high}
    return {name: float(value) for name, value in values.items() if value == value}


def _kept(runs: Path, tracker: str) -> Path:
    """Where a tracker of the runs in a folder keeps what it is given."""
    return runs.absolute() / ".tracked" / tracker


def _quoted(target: object) -> str:
    """A folder or an address for the shell, without the passwords that an address may hold."""
    return shlex.quote(redact(str(target)))


def _runs(folder: Path) -> Path:
    return folder.absolute().parent.parent


def _name(run: Mapping[str, Any]) -> str:
    return f"{run['notebook']}-{run['key']}"


class TensorBoard:
    """A folder of events for each training, so that trainings share a chart."""

    @staticmethod
    def shown_by(runs: Path) -> str:
        return f"tensorboard --logdir {_quoted(_kept(runs, 'tensorboard'))}"

    def __init__(self, folder: Path, run: Mapping[str, Any]) -> None:
        self._folder = _kept(_runs(folder), "tensorboard") / run["notebook"] / run["key"]
        shutil.rmtree(self._folder, ignore_errors=True)
        self._writers: dict[str, Any] = {}
        rows = [f"| {sanitize(name)} | {_cell(value)} |" for name, value in run["params"].items()]
        self._writer("").add_text("parameters", "\n".join(["| parameter | value |", "|---|---|", *rows]))

    def _writer(self, series: str) -> Any:
        from torch.utils.tensorboard import SummaryWriter

        if series not in self._writers:
            self._writers[series] = SummaryWriter(str(self._folder / series))
        return self._writers[series]

    def log(self, points: Sequence[Point]) -> None:
        for point in points:
            for name, value in point.values.items():
                self._writer(point.series).add_scalar(name, value, point.step, point.time)
        for writer in self._writers.values():
            writer.flush()

    def claim(self, claims: Sequence[Claim]) -> None:
        rows = []
        for claim in claims:
            figures = _figures(claim)
            if "effect" in figures:
                self._writer("").add_scalar(_join("claims", clean(claim.name)), figures["effect"])
            shown = [f"{figures[name]:.4g}" if name in figures else "" for name in ("effect", "low", "high")]
            cells = (claim.name, claim.says, *shown, claim.unit, claim.verdict_text)
            rows.append(f"| {' | '.join(map(_cell, cells))} |")
        head = ["| claim | we tested | effect | low | high | unit | verdict |", f"|{'---|' * 7}"]
        self._writer("").add_text("claims", "\n".join([*head, *rows]))

    def close(self) -> None:
        for writer in self._writers.values():
            writer.close()


def _cell(text: object) -> str:
    return sanitize(text, 500).replace("|", "\\|").replace("\n", " ")


class WeightsAndBiases:
    """A run of W&B, offline unless WANDB_MODE says otherwise."""

    @staticmethod
    def shown_by(runs: Path) -> str:
        return f"wandb sync {_quoted(WeightsAndBiases._folder(runs))}/wandb/offline-run-*"

    @staticmethod
    def _folder(runs: Path) -> Path:
        return Path(os.environ.get("WANDB_DIR") or _kept(runs, "wandb"))

    def __init__(self, folder: Path, run: Mapping[str, Any]) -> None:
        import wandb

        kept, identity = self._folder(_runs(folder)), _name(run)
        kept.mkdir(parents=True, exist_ok=True)
        for old in kept.glob(f"wandb/offline-run-*-{identity}"):
            shutil.rmtree(old, ignore_errors=True)
        quiet = {"silent": True, "console": "off", "disable_git": True, "save_code": False}
        quiet |= {"x_disable_meta": True, "x_disable_stats": True}  # of this machine
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            id=identity,
            name=f"{run['notebook']}/{run['key']}",
            group=run["notebook"],
            notes=run["title"],
            dir=str(kept),
            mode=os.environ.get("WANDB_MODE", "offline"),
            config=dict(run["params"]),
            reinit="create_new",
            settings=wandb.Settings(**quiet),
        )
        self._series: set[str] = set()

    def log(self, points: Sequence[Point]) -> None:
        for point in points:
            step = _join(point.series, "step")
            if point.series not in self._series:
                self._series.add(point.series)
                self._run.define_metric(step, hidden=True)
                self._run.define_metric(_join(point.series, "*"), step_metric=step)
            self._run.log({**point.named(), step: point.step})

    def claim(self, claims: Sequence[Claim]) -> None:
        for claim in claims:
            name = _join("claims", clean(claim.name))
            figures = {_join(name, figure): value for figure, value in _figures(claim).items()}
            self._run.summary.update({**figures, _join(name, "verdict"): claim.verdict_text})

    def close(self) -> None:
        self._run.finish()


class MLflow:
    """A run of MLflow, in a database of its own unless MLFLOW_TRACKING_URI names another."""

    @staticmethod
    def shown_by(runs: Path) -> str:
        return f"mlflow ui --backend-store-uri {_quoted(MLflow._address(runs))}"

    @staticmethod
    def _address(runs: Path) -> str:
        # A database: MLflow refuses folders of files, which it keeps alive no longer, unless told otherwise.
        return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{_kept(runs, 'mlflow')}/mlflow.db"

    def __init__(self, folder: Path, run: Mapping[str, Any]) -> None:
        from mlflow.tracking import MlflowClient

        logging.getLogger("mlflow").setLevel(logging.WARNING)  # how it makes its database is nobody's concern
        kept = _kept(_runs(folder), "mlflow")
        kept.mkdir(parents=True, exist_ok=True)
        self._client = MlflowClient(self._address(_runs(folder)))
        experiment = self._client.get_experiment_by_name(run["notebook"])
        if experiment is None:
            artifacts = None if "MLFLOW_TRACKING_URI" in os.environ else (kept / "artifacts").as_uri()
            number = self._client.create_experiment(run["notebook"], artifact_location=artifacts)
        else:
            number = experiment.experiment_id
        for old in self._client.search_runs([number], f"tags.workbench_key = '{run['key']}'"):
            self._client.delete_run(old.info.run_id)
        tags = {"workbench_key": run["key"], "mlflow.note.content": run["title"]}
        self._id = self._client.create_run(number, run_name=_name(run), tags=tags).info.run_id
        for name, value in run["params"].items():
            self._client.log_param(self._id, clean(name), sanitize(value, 500))

    def log(self, points: Sequence[Point]) -> None:
        from mlflow.entities import Metric

        metrics = [
            Metric(name, value, int(1000 * point.time), point.step)
            for point in points
            for name, value in point.named().items()
        ]
        for first in range(0, len(metrics), 1000):  # no more at once
            self._client.log_batch(self._id, metrics=metrics[first : first + 1000])

    def claim(self, claims: Sequence[Claim]) -> None:
        for claim in claims:
            name = _join("claims", clean(claim.name))
            for figure, value in _figures(claim).items():
                self._client.log_metric(self._id, _join(name, figure), value)
            self._client.set_tag(self._id, _join(name, "verdict"), claim.verdict_text)

    def close(self) -> None:
        self._client.set_terminated(self._id)


class Trackio:
    """A run of trackio, among the runs unless TRACKIO_DIR names another folder."""

    @staticmethod
    def shown_by(runs: Path) -> str:
        return f"TRACKIO_DIR={_quoted(Trackio._folder(runs))} trackio show --project {PROJECT}"

    @staticmethod
    def _folder(runs: Path) -> str:
        return os.environ.get("TRACKIO_DIR") or str(_kept(runs, "trackio"))

    def __init__(self, folder: Path, run: Mapping[str, Any]) -> None:
        os.environ["TRACKIO_DIR"] = self._folder(_runs(folder))  # read when trackio is imported
        import trackio

        name = _name(run)
        with suppress(ValueError):  # no run is there yet
            for old in [old for old in trackio.Api().runs(PROJECT) if old.name == name]:
                old.delete()
        about = {"project": PROJECT, "name": name, "group": run["notebook"], "config": dict(run["params"])}
        with redirect_stdout(io.StringIO()):
            self._run = trackio.init(**about, embed=False, auto_log_gpu=False, auto_log_cpu=False)

    def log(self, points: Sequence[Point]) -> None:
        for point in points:
            self._run.log(point.named(), point.step)

    def claim(self, claims: Sequence[Claim]) -> None:
        for claim in claims:
            name = _join("claims", clean(claim.name))
            figures = {_join(name, figure): value for figure, value in _figures(claim).items()}
            self._run.log({**figures, _join(name, "verdict"): claim.verdict_text})

    def close(self) -> None:
        import trackio

        with redirect_stdout(io.StringIO()):
            self._run.finish()
            with suppress(RuntimeError):  # else it says at exit that it uploads something
                trackio.finish()


TRACKERS: dict[str, type[Tracker]] = {
    "tensorboard": TensorBoard,
    "wandb": WeightsAndBiases,
    "mlflow": MLflow,
    "trackio": Trackio,
}
