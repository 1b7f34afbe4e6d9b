"""What servers answered in a run, row by row, so that a killed run does not ask again."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from workbench.engine.sampling.sampler import Completion
from workbench.files import explain_write_error


def request_key(*parts: Any) -> str:
    """A digest of everything that fixes an answer: model, rendered prompt, settings, seed."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


class ResponseCache:
    """Completions by the key of their request, in the file that `workbench.start` puts in WORKBENCH_ANSWERS.

    Where no run was started (in a script) nothing is kept. Only offsets are held in memory.
    """

    def __init__(self) -> None:
        """Reads what is there; a line that a kill cut short counts as not there."""
        path = os.environ.get("WORKBENCH_ANSWERS")
        self._path = Path(path) if path else None
        self._offsets: dict[str, int] = {}
        if self._path and self._path.exists():
            offset = 0
            for line in self._path.open("rb"):
                if line.endswith(b"}}\n") and line.startswith(b'{"key": "'):
                    self._offsets[line[9:41].decode()] = offset
                offset += len(line)

    def get(self, key: str) -> Completion | None:
        """The completion of a request, if it was kept."""
        if key not in self._offsets or not self._path:
            return None
        with self._path.open("rb") as file:
            file.seek(self._offsets[key])
            return Completion(**json.loads(file.readline())["completion"])

    def keep(self, rows: Mapping[str, Completion]) -> None:
        """Add completions, for the next process of the run.

        Raises:
            UserError: the disk is full, or the folder cannot be written.
        """
        if not self._path:
            return
        lines = [json.dumps({"key": key, "completion": asdict(row)}) for key, row in rows.items()]
        with explain_write_error(self._path), self._path.open("a+b") as file:
            torn = file.seek(0, os.SEEK_END) and (file.seek(-1, os.SEEK_END), file.read())[1] != b"\n"
            file.write((torn * "\n" + "".join(f"{line}\n" for line in lines)).encode())
