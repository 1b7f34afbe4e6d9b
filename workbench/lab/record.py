"""run.json: the record that stands in every run folder, and who may write there now."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

import workbench
from workbench import files
from workbench.errors import UserError
from workbench.lab import digests
from workbench.lab.hub import revisions
from workbench.lab.project import Plan
from workbench.sanitize import redact

SCHEMA = 1


class NewerRunError(UserError):
    """A run folder that a newer workbench wrote."""


def prepare(planned: Plan, folder: Path, threads: int = 0) -> dict[str, Any]:
    """Make a run's folder ready to be written in and return its record; a finished one keeps its status.

    Args:
        folder: Its folder, which no other process writes in now.
        threads: Processor threads the kernel is given; 0 where that is left to the libraries.

    Raises:
        UserError: The folder cannot be written, or a newer workbench wrote it.
    """
    from workbench.lab.environment import capture
    from workbench.lab.params import changed, shown

    files.check_no_links(folder)
    earlier = read_run(folder) if (folder / "run.json").exists() else {"status": "failed", "finished": None}
    if earlier["status"] == "done":
        return earlier
    record = {
        "schema": SCHEMA,
        "notebook": planned.notebook.name,
        "title": str(planned.notebook.metadata.get("title", "")),
        "key": planned.key,
        "status": "running",
        "params": shown(planned.params),
        "set": list(changed(planned.params)),
        "seed": getattr(planned.params, "seed", None),
        "inputs": planned.parts["inputs"],
        "parts": planned.parts,
        "drawn": planned.notebook.drawn,
        "workbench": workbench.__version__,
        "environment": capture(planned.notebook.root, threads),
        "started": _now(),
        "finished": earlier["finished"],
        "seconds": None,
        "error": None,
    }
    files.write_json(folder / "run.json", record)
    files.drop_torn_line(folder / "metrics.jsonl")
    for orphan in files.orphans(folder):
        files.remove(orphan)
    return record


def read_run(folder: Path) -> dict[str, Any]:
    """Read run.json; what an older workbench did not write is empty.

    Raises:
        UserError: There is none, it is not the record of a run, or a newer workbench wrote it.
    """
    from workbench.lab.schema import read_record

    schema, record = read_record(folder)
    if schema > SCHEMA:
        raise NewerRunError(
            f"Run {folder.parent.name}/{folder.name} was written by a newer workbench (schema {schema}, this"
            f" one reads {SCHEMA}): update the workbench, or set WORKBENCH_RUNS to another folder."
        )
    return record()


def when(folder: Path) -> str:
    """When a run was started, as a text that sorts; empty where that cannot be read."""
    try:
        return read_run(folder)["started"] or ""
    except UserError:
        return ""


def mark(folder: Path, status: str, error: str | None = None) -> None:
    """Set a run's status (running, done or failed) and the time it took, which a finished one keeps."""
    record = read_run(folder)
    if status == record["status"] == "done":
        return
    started = datetime.fromisoformat(record["started"] or _now())
    seconds = max((datetime.now(UTC) - started).total_seconds(), 0)
    record |= {"status": status, "error": error and redact(error), "seconds": round(seconds, 1)}
    record["finished"] = _now() if status == "done" else record["finished"]
    if status == "done":
        record["revisions"] = revisions(record["params"].values())
    files.write_json(folder / "run.json", record)


def note_drawn(folder: Path, drawn: str) -> None:
    """Note what the executed notebook shows now."""
    record = read_run(folder)
    if record["drawn"] != drawn:
        files.write_json(folder / "run.json", record | {"drawn": drawn})


def note_effective(folder: Path, values: dict[str, Any]) -> None:
    """Note what the parameters became that were left open."""
    record = read_run(folder)
    if record["effective"] != values:
        files.write_json(folder / "run.json", record | {"effective": values})


def is_done(folder: Path) -> bool:
    """Whether the run was finished."""
    return (folder / "run.json").exists() and read_run(folder)["status"] == "done"


def is_locked(folder: Path) -> bool:
    """Whether some process is at work on the run now; so it is taken where that cannot be known."""
    for role in ("runner", "writer"):
        path = digests.lock_path(folder, role)
        if path.exists():
            lock = digests.lock(folder, role)
            try:
                lock.acquire(timeout=0)
            except (Timeout, OSError):  # an OSError: in a shared folder that is only read
                return True
            lock.release()
    return False


def wait_for(lock: FileLock, folder: Path) -> None:
    """Take a run folder's lock; while another process is at work on the run, say so and wait."""
    with files.explain_write_error(folder):
        try:
            lock.acquire(timeout=0)
        except Timeout:
            print(f"Another process is at work on {folder.parent.name}/{folder.name}: waiting for it.")
            lock.acquire(poll_interval=0.2)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
