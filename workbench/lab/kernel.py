"""One notebook through papermill, in a kernel of this very Python, watched while it runs."""

import json
import logging
import os
import re
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from workbench.errors import UserError
from workbench.files import explain_write_error, no_link, write_json
from workbench.lab.digests import map_texts
from workbench.lab.project import Plan, joined, source_of
from workbench.sanitize import redact

# Escape sequences, control characters, and what turns the direction of writing around.
_CONTROL = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
_FRAME = re.compile(r"File (.+?\.py):(\d+)")
_INSTALLED = {"site-packages", "dist-packages"}


@dataclass
class Progress:
    """Where a notebook is, written by its thread and read by the terminal."""

    cells: int
    cell: int = 0
    heading: str = ""
    line: str = ""
    kernel: int | None = None


@dataclass(eq=False)
class CellFailed(Exception):
    """A cell raised an error."""

    cell: int  #: Its number among the notebook's code cells, from 1
    heading: str  #: The heading that it stands under
    source: str
    line: int | None  #: The line that failed, from 1; None where the traceback does not say
    error: str  #: Type and message

    def __str__(self) -> str:
        return self.error


class KernelDied(CellFailed):
    """A kernel died in a cell, or did not start."""


def execute(planned: Plan, folder: Path, progress: Progress, threads: int, keep_earlier: bool) -> None:
    """Run a notebook from its first cell; the executed notebook and log.txt are left in the run folder.

    Args:
        planned: The run; the project's folder is left out of every path in what is kept.
        threads: Processor threads the kernel may use; 0 leaves that to the libraries.
        keep_earlier: Where a cell fails, leave the executed notebook that is there.

    Raises:
        UserError: A cell raised one, or the disk is full.
        CellFailed: A cell raised anything else, or its kernel died.
    """
    part, final, native = (
        folder / name for name in (".notebook.part.ipynb", "notebook.ipynb", ".kernel.part.txt")
    )
    root = planned.notebook.root
    with (
        explain_write_error(folder / "log.txt"),
        open(folder / "log.txt", "a", encoding="utf-8", errors="backslashreplace", opener=no_link) as log,
        open(native, "w+", encoding="utf-8", errors="replace", opener=no_link) as words,
    ):
        try:
            manager = _manager(folder, words, progress, threads)
            _run_cells(planned, part, progress, log, manager)
        except BaseException as error:
            if keep_earlier:
                part.unlink(missing_ok=True)
            with suppress(UserError, ValueError):  # a full disk cuts it short; the cell's error says more
                _keep(part, final, root)
            if isinstance(error, RuntimeError):
                words.seek(0)  # a kernel that cannot start says why there and nowhere else
                log.write(clean(_without_paths(words.read(), root)))
            raise _failure(error, progress, root) from None
        finally:
            native.unlink(missing_ok=True)
        _keep(part, final, root)


def _failure(error: BaseException, progress: Progress, root: Path) -> BaseException:
    """What papermill's error means: a cell that failed, a kernel that died, a user's mistake."""
    from papermill.exceptions import PapermillExecutionError

    if isinstance(error, RuntimeError):  # the kernel died, or did not start
        message = f"The kernel died, often for lack of memory ({error})"
        return KernelDied(progress.cell, progress.heading, "", None, message)
    if not isinstance(error, PapermillExecutionError):
        return error
    failed: Any = error  # papermill has no types
    if failed.ename == "UserError":
        return UserError(clean(failed.evalue))
    traceback = clean("\n".join(failed.traceback))
    message = clean(_without_paths(f"{failed.ename}: {failed.evalue}", root)) + _module(traceback, root)
    match = re.search(r"Cell In\[\d+\], line (\d+)", traceback)
    line = int(match.group(1)) if match else None
    return CellFailed(progress.cell, progress.heading, failed.source, line, message)


def _module(traceback: str, root: Path) -> str:
    """Where among the project's own modules an error came from, if it did."""
    frames = [(Path(file).expanduser(), line) for file, line in _FRAME.findall(traceback)]
    own = [(file.relative_to(root), line) for file, line in frames if file.is_relative_to(root)]
    own = [(file, line) for file, line in own if not _INSTALLED & set(file.parts)]
    return f" (in {own[-1][0].as_posix()}, line {own[-1][1]})" if own else ""


def kill(progress: Progress) -> None:
    """End a kernel and the processes it started, at once; what a run has written is whole at every moment."""
    if progress.kernel is not None:
        with suppress(ProcessLookupError):
            os.killpg(progress.kernel, signal.SIGKILL)


def clean(text: str) -> str:
    """Text of others for the terminal and for files: no control sequences, no secrets."""
    return redact(_CONTROL.sub("", text))


def _run_cells(planned: Plan, part: Path, progress: Progress, log: TextIO, manager: type) -> None:
    import papermill

    from workbench.lab.params import changed_relative

    logging.getLogger("papermill").setLevel(logging.CRITICAL)
    streams = [_Stream(log, planned.notebook.root, progress) for _ in range(2)]
    # papermill fills {names} in paths from the parameters.
    source, target = (
        str(path).replace("{", "{{").replace("}", "}}") for path in (planned.notebook.path, part)
    )
    try:
        papermill.execute_notebook(
            source,
            target,
            parameters=changed_relative(planned.params),
            kernel_name="python3",
            language="python",
            progress_bar=False,
            stdout_file=streams[0],
            stderr_file=streams[1],
            on_cell_start=lambda cell, cell_index: _note(cell, progress),
            kernel_manager_class=manager,
            extra_arguments=["--HistoryManager.enabled=False", "--IPKernelApp.log_level=ERROR"],
        )
    finally:
        for stream in streams:
            stream.write("\n")


class _Stream:
    """Takes a kernel's output: whole lines to log.txt, the latest words to the terminal."""

    def __init__(self, log: TextIO, root: Path, progress: Progress) -> None:
        self.log, self.root, self.progress = log, root, progress
        self.pending = ""

    def write(self, text: str) -> None:
        *lines, self.pending = (self.pending + text).split("\n")
        for line in lines:
            if final := _final(line):
                self.log.write(clean(_without_paths(final, self.root)) + "\n")
        self.pending = self.pending[-4000:]
        for line in (*reversed(lines), self.pending)[::-1]:
            if words := clean(_final(line)).strip():
                self.progress.line = words
                break

    def flush(self) -> None:
        self.log.flush()


def _manager(folder: Path, words: TextIO, progress: Progress, threads: int) -> type:
    """A kernel manager that starts this Python, whatever kernels are installed under which name."""
    from jupyter_client.kernelspec import KernelSpec
    from jupyter_client.manager import AsyncKernelManager

    environment = {"OMP_WAIT_POLICY": "PASSIVE", "WORKBENCH_RUN": str(folder), "WORKBENCH_HEADLESS": "1"}
    if threads:
        environment["OMP_NUM_THREADS"] = str(threads)

    class ThisPython(AsyncKernelManager):
        @property
        def kernel_spec(self) -> KernelSpec:
            command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
            return KernelSpec(argv=command, env=environment, language="python", display_name="Python 3")

        async def start_kernel(self, **options: Any) -> None:
            await super().start_kernel(stdout=words, stderr=words, **options)
            progress.kernel = getattr(self.provisioner, "pid", None)

    return ThisPython


def _note(cell: Any, progress: Progress) -> None:
    if cell.cell_type == "markdown":
        headings = [line for line in cell.source.splitlines() if line.startswith("#")]
        progress.heading = headings[-1].lstrip("# ") if headings else progress.heading
    elif "injected-parameters" not in cell.metadata.get("tags", []):
        progress.cell += 1
        progress.line = ""


def _keep(part: Path, final: Path, root: Path) -> None:
    """Put the executed notebook in its place, without papermill's marks, this machine's paths and secrets."""
    if not part.exists():
        return
    data = part.read_bytes()
    part.unlink()
    notebook = json.loads(data)
    marked = "papermill-error-cell-tag"
    notebook["cells"] = [c for c in notebook["cells"] if marked not in c["metadata"].get("tags", [])]
    for holder in (notebook, *notebook["cells"]):
        holder["metadata"].pop("papermill", None)
    for cell in notebook["cells"]:
        cell["source"] = redact(source_of(cell))
        if "outputs" in cell:
            cell["outputs"] = _clean_outputs(cell["outputs"], root)
    write_json(final, notebook)


def _clean_outputs(outputs: list[dict[str, Any]], root: Path) -> Any:
    """Outputs as they may be kept: a stream's pieces put together, a progress bar in its last state."""
    merged: list[dict[str, Any]] = []
    for output in outputs:
        text = joined(output.get("text", ""))
        if merged and output["output_type"] == "stream" and output.get("name") == merged[-1].get("name"):
            merged[-1]["text"] += text
        else:
            merged.append({**output, "text": text} if output["output_type"] == "stream" else output)
    for output in merged:
        if output["output_type"] == "stream":
            output["text"] = "\n".join(_final(line) for line in output["text"].split("\n"))
    return map_texts(merged, lambda text: redact(_without_paths(text, root)))


def _final(line: str) -> str:
    """What a terminal would show of a line that was overwritten with carriage returns."""
    return next((piece for piece in reversed(line.split("\r")) if piece), "")


def _without_paths(text: str, root: Path) -> str:
    for path, name in ((root, ""), (Path(sys.prefix), ""), (Path(sys.base_prefix), ""), (Path.home(), "~/")):
        if path != path.parent:  # a container's home may be /, which stands in every address
            text = text.replace(f"{path}{os.sep}", name)
    return text
