"""Runs of commands: what no notebook computes, kept as theirs are, so that it is not computed twice."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import workbench
from workbench import files
from workbench.lab import digests
from workbench.lab.environment import capture
from workbench.lab.project import runs_folder
from workbench.lab.record import SCHEMA, mark, read_run, wait_for


def key_of(parts: Mapping[str, Any]) -> str:
    """First 12 hexadecimal digits of the SHA-256 of what a run's key is made of."""
    return digests.digest(digests.canonical({"notebook": "", "code": {}, "parameters": parts}))[:12]


@contextmanager
def opened(
    command: str,
    title: str,
    params: Mapping[str, Any],
    changed: list[str],
    parts: Mapping[str, Any],
    inputs: Mapping[str, str],
) -> Iterator[tuple[Path, bool]]:
    """The run of a command, which is finished when the block ends well.

    Args:
        command: names the folder of its runs.
        params: as they were given, and which of them were `changed`.
        parts: what the key is made of, names to values or to {"sha256": …} of what a file or folder holds.
        inputs: runs that were looked at, by notebook.

    Yields:
        Its folder, and whether it was finished before.

    Raises:
        UserError: there is no project around, or the folder cannot be written.
    """
    folder = runs_folder() / command / key_of(parts)
    lock = digests.lock(folder, "writer")
    wait_for(lock, folder)
    try:
        if (folder / "run.json").exists() and read_run(folder)["status"] == "done":
            yield folder, True
            return
        files.check_no_links(folder)
        record = {
            "schema": SCHEMA,
            "notebook": command,
            "title": title,
            "key": folder.name,
            "status": "running",
            "params": files.plain(dict(params)),
            "set": changed,
            "seed": None,
            "inputs": dict(inputs),
            "parts": {"notebook": "", "code": {}, "parameters": files.plain(dict(parts))},
            "drawn": None,
            "workbench": workbench.__version__,
            "environment": capture(Path.cwd(), 0),
            "started": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "finished": None,
            "seconds": None,
            "error": None,
        }
        files.write_json(folder / "run.json", record)
        try:
            yield folder, False
        except Exception as error:  # not Ctrl-C: what was interrupted is unfinished
            mark(folder, "failed", str(error))
            raise
        mark(folder, "done")
    finally:
        lock.release()
