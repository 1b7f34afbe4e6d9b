"""A run in TensorBoard, W&B, MLflow and trackio, written while it is made and afterwards, and read back."""

import json
import shlex
import struct
from importlib.util import find_spec
from types import SimpleNamespace
from typing import ClassVar

import pytest
from lab_project import child, write_notebook
from lab_project import run as run_notebook

from workbench.errors import UserError
from workbench.lab import project, record, trackers, tracking

CELL = """
from workbench.claims import Claim
for step in (1, 2, 3):
    run.log(model="large, wide", step=step, loss=4.0 / step)
run.log(note="nothing to draw")
run.log(model="small", step=1, loss=float("nan"), tokens=10)
run.claim(Claim("grows | fast", "It grows.", "It did.", 0.25, 0.125, 0.5, 12, "trainings", "points"))
run.finish()
"""
LOGGED = {("large-wide/loss", step): 4 / step for step in (1, 2, 3)} | {("small/tokens", 1): 10.0}
CLAIMS = {"claims/grows-fast/effect": 0.25, "claims/grows-fast/low": 0.125, "claims/grows-fast/high": 0.5}
VARIABLES = ("WANDB_DIR", "WANDB_MODE", "WANDB_PROJECT", "MLFLOW_TRACKING_URI", "TRACKIO_DIR")


@pytest.fixture(params=trackers.TRACKERS)
def tracker(request):
    if find_spec(request.param) is None:
        pytest.skip(f"needs the extra {request.param}: pip install 'small-model-workbench[{request.param}]'")
    return request.param


@pytest.fixture
def study(root, monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(tracking.VARIABLE, "")
    write_notebook(root, "01_study", CELL)
    return root


@pytest.mark.parametrize("when", ["while it is made", "afterwards"])
def test_what_was_logged_and_claimed_is_read_back(study, tracker, when, monkeypatch):
    if when == "while it is made":
        monkeypatch.setenv(tracking.VARIABLE, tracker)
    job = run_notebook(study, "01_study")["01_study"]
    assert job.status == "done", job.failure
    assert "takes no more" not in (job.folder / "notebook.ipynb").read_text()
    if when == "afterwards":
        assert not (study / "runs/.tracked").exists()
        for _ in range(2):  # the second takes the first one's place
            exported(study, job.folder, tracker)
    values, verdict = READERS[tracker](study, job.folder)
    assert "small/loss" not in values  # it was not known
    figures = {name: next(iter(values.pop(name).values())) for name in CLAIMS}
    assert figures == pytest.approx(CLAIMS)
    logged = {(name, step): value for name, points in values.items() for step, value in points.items()}
    assert logged == pytest.approx(LOGGED)
    assert verdict == "reproduced"


def exported(root, folder, tracker):
    """Write a run in a process of its own, as the command does."""
    ended = child(root, "-m", "workbench", "export", str(folder), "--to", tracker)
    out, err = ended.communicate()
    assert ended.returncode == 0, err
    assert {"tensorboard": "tensorboard --logdir"}.get(tracker, tracker) in out


def test_a_run_has_one_key_whether_it_is_tracked_or_not(study, monkeypatch):
    notebook = project.find_notebook(study, "01")
    key = project.plan(notebook, {}).key
    monkeypatch.setenv(tracking.VARIABLE, "tensorboard")
    assert project.plan(notebook, {}).key == key


@pytest.mark.parametrize("name", trackers.TRACKERS)
def test_a_tracker_that_is_missing_is_one_sentence_before_anything_runs(study, name, monkeypatch, say):
    monkeypatch.setattr(tracking, "find_spec", lambda _: None)
    sentence = f"{name} is not installed: pip install 'small-model-workbench[{name}]'"
    for words in (("run", "01", "--track", name), ("export", "01", "--to", name)):
        code, _, err = say(*words)
        assert (code, err.strip()) == (2, sentence)
    assert not (study / "runs").exists()
    monkeypatch.setenv(tracking.VARIABLE, name)
    with pytest.raises(UserError, match="is not installed"):
        tracking.wanted()


def test_an_unknown_tracker_is_refused_by_name(study, say):
    code, _, err = say("run", "01", "--track", "tensorbord")
    assert code == 2
    assert "tensorboard, wandb, mlflow, trackio" in err


@pytest.mark.parametrize("name", trackers.TRACKERS)
def test_the_command_that_shows_it_can_be_pasted(name, tmp_path, monkeypatch):
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    words = shlex.split(trackers.TRACKERS[name].shown_by(tmp_path / "my lab" / "runs"))
    assert any("my lab/runs/.tracked" in word for word in words)


def test_the_command_that_shows_it_holds_no_password(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://me:pass@example.org")
    assert "pass@" not in trackers.MLflow.shown_by(tmp_path)


class Collector:
    """A tracker that keeps what it is given."""

    made: ClassVar = []

    @staticmethod
    def shown_by(runs):
        return f"show {runs}/.tracked"

    def __init__(self, folder, run):
        self.made.append(self)
        self.params = run["params"]
        self.points, self.claims, self.is_closed = [], [], False

    def log(self, points):
        self.points += points

    def claim(self, claims):
        self.claims += claims

    def close(self):
        self.is_closed = True


@pytest.fixture
def collector(monkeypatch):
    monkeypatch.setitem(trackers.TRACKERS, "collector", Collector)
    monkeypatch.setattr(tracking, "find_spec", lambda name: SimpleNamespace(origin=name))
    monkeypatch.setattr(Collector, "made", [])


@pytest.fixture
def followed(run, collector):
    return tracking.Followed(run.folder, "collector")


def test_a_tracker_is_given_no_key_that_a_parameter_holds(run, collector):
    key = "hf_" + "a1B2" * 8
    described = record.read_run(run.folder)
    described["params"]["generator"] = f"openai:http://me:pass@host/v1?key={key}#model"
    (run.folder / "run.json").write_text(json.dumps(described))
    tracking.write(run.folder, "collector")
    (kept,) = Collector.made
    assert kept.params["generator"].startswith("openai:http://")
    assert key not in kept.params["generator"]
    assert "pass@" not in kept.params["generator"]


def test_a_folder_that_is_named_like_a_tracker_is_not_the_tracker(tmp_path, monkeypatch):
    (tmp_path / "collector").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(trackers.TRACKERS, "collector", Collector)
    with pytest.raises(UserError, match="collector is not installed"):
        tracking.check("collector")


def test_a_run_that_was_finished_before_is_tracked_too(study, collector, say):
    assert run_notebook(study, "01_study")["01_study"].status == "done"
    code, out, err = say("run", "01", "--track", "collector")
    assert code == 0, err
    assert "Tracked: show runs/.tracked" in out
    (kept,) = Collector.made
    assert len(kept.points) == 4
    assert [claim.name for claim in kept.claims] == ["grows | fast"]
    assert kept.is_closed


def test_of_a_step_that_was_logged_again_the_last_counts(run, followed):
    for loss in (3.0, 2.0):
        run.log(model="a", step=1, loss=loss)
    (run.folder / "metrics.jsonl").open("a").write('{"torn": ')
    followed.catch_up(pause=0)
    (run.folder / "metrics.jsonl").open("a").write('1, "loss": 1.5}\nno JSON\n[1]\n')
    followed.catch_up(pause=0)
    points = [(point.series, point.step, point.values) for point in followed._tracker.points]
    assert points == [("a", 1, {"loss": 2.0}), ("", 0, {"torn": 1, "loss": 1.5})]


def test_lines_without_a_step_are_numbered_and_seeds_told_apart(run, followed):
    for seed in (0, 1):
        run.log(arm="a", seed=seed, reward=0.5)
        run.log(arm="a", seed=seed, reward=1)
    followed.catch_up(pause=0)
    points = [(point.series, point.step) for point in followed._tracker.points]
    assert points == [("a-seed-0", 0), ("a-seed-0", 1), ("a-seed-1", 0), ("a-seed-1", 1)]


def test_a_tracker_that_fails_does_not_end_the_run(run, followed, monkeypatch, capsys):
    def refuse(self, points):
        raise OSError("no space left, password=hunter2hunter2")

    monkeypatch.setattr(Collector, "log", refuse)
    run.log(step=1, loss=1.0)
    followed.catch_up(pause=0)
    followed.close()
    said = capsys.readouterr().out
    assert "no space left" in said
    assert f"workbench export {run.key} --to collector" in said
    assert "hunter2" not in said
    assert record.read_run(run.folder)["status"] == "running"
    with pytest.raises(UserError, match="does not take the run"):
        tracking.write(run.folder, "collector")


# ------------------------------------------------------------------------------- reading back
def read_tensorboard(root, folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    values, verdict = {}, ""
    kept = root / "runs/.tracked/tensorboard" / folder.parent.name / folder.name
    for path in sorted({file.parent for file in kept.rglob("events.*")}):
        events = EventAccumulator(str(path)).Reload()
        for tag in events.Tags()["scalars"]:
            name = "/".join([*path.relative_to(kept).parts, tag])
            values[name] = {event.step: event.value for event in events.Scalars(tag)}
        if "claims/text_summary" in events.Tags()["tensors"]:
            text = events.Tensors("claims/text_summary")[0].tensor_proto.string_val[0].decode()
            name, _, *figures, _, verdict = text.splitlines()[-1].strip("| ").replace("\\|", "/").split(" | ")
            assert name == "grows / fast"
            assert values.pop("claims/grows-fast") == {0: 0.25}
            values |= {name: {0: float(value)} for name, value in zip(CLAIMS, figures, strict=True)}
    return values, verdict


def read_wandb(root, folder):
    """The records of W&B's own file: a log of LevelDB, in blocks of 32 KiB, of protocol buffers."""
    from wandb.proto.wandb_internal_pb2 import Record

    (path,) = (root / "runs/.tracked/wandb/wandb").glob("offline-run-*/*.wandb")
    data, at, joined = path.read_bytes(), 7, b""
    values, verdict, steps = {}, "", {}
    while at + 7 <= len(data):
        if 32768 - at % 32768 < 7:
            at += 32768 - at % 32768
            continue
        _, length, kind = struct.unpack("<IHB", data[at : at + 7])
        joined, at = joined + data[at + 7 : at + 7 + length], at + 7 + length
        if kind not in (1, 4):  # a record goes on in the next block
            continue
        entry, joined = Record.FromString(joined), b""
        row = {(i.key or "/".join(i.nested_key)): json.loads(i.value_json) for i in entry.history.item}
        for name in [name for name in row if not name.startswith("_") and not name.endswith("/step")]:
            values.setdefault(name, {})[row[f"{name.rpartition('/')[0]}/step"]] = row[name]
        for item in entry.summary.update:
            key = item.key or "/".join(item.nested_key)
            steps[key] = json.loads(item.value_json)
        assert "password" not in str(entry.config)
    verdict = steps.pop("claims/grows-fast/verdict", "")
    values |= {name: {0: steps[name]} for name in steps if name.startswith("claims/")}
    return values, verdict


def read_mlflow(root, folder):
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{root}/runs/.tracked/mlflow/mlflow.db")
    experiment = client.get_experiment_by_name("01_study")
    (kept,) = client.search_runs([experiment.experiment_id])
    assert kept.data.params == {"seed": "0"}
    assert kept.info.status == "FINISHED"
    values = {
        name: {metric.step: metric.value for metric in client.get_metric_history(kept.info.run_id, name)}
        for name in kept.data.metrics
    }
    return values, kept.data.tags["claims/grows-fast/verdict"]


def read_trackio(root, folder):
    """In a process of its own: the library looks for its folder when it is imported."""
    script = (
        "import json, trackio; (kept,) = trackio.Api().runs('small-model-workbench');"
        "from trackio.sqlite_storage import SQLiteStorage as S;"
        "print(json.dumps([kept.config, S.get_logs('small-model-workbench', kept.name)]))"
    )
    ended = child(root, "-c", script, TRACKIO_DIR=str(root / "runs/.tracked/trackio"))
    out, err = ended.communicate()
    assert ended.returncode == 0, err
    config, rows = json.loads(out.splitlines()[-1])
    assert config["seed"] == 0
    values, verdict = {}, ""
    for row in rows:
        verdict = row.pop("claims/grows-fast/verdict", verdict)
        for name in row.keys() - {"timestamp", "step"}:
            values.setdefault(name, {})[row["step"]] = row[name]
    return values, verdict


READERS = {
    "tensorboard": read_tensorboard,
    "wandb": read_wandb,
    "mlflow": read_mlflow,
    "trackio": read_trackio,
}
