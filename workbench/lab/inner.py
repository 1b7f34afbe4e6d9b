"""Another notebook run from within one that is open, by the command line, in a process of its own."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from queue import Empty, SimpleQueue
from threading import Thread

from workbench.lab.outlook import expected_time
from workbench.lab.project import Plan
from workbench.lab.record import is_done

_STEP = re.compile(r".*▸ (?:.*  cell (?P<cell>\d+)/\d+)?")  # written by terminal.watching
# Jupyter sets these in every kernel; an inner process would draw for a terminal that is not there.
_FOR_TERMINALS = ("FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "TTY_COMPATIBLE", "TTY_INTERACTIVE")
_BAR = "{desc}: {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} cells, {elapsed}"


def run(planned: Plan, doing: str = "") -> None:
    """Run a notebook; one bar says where it is, and only a failure shows its output.

    Args:
        planned: The run; what it needs is finished.
        doing: What is said before its name.
    """
    from tqdm.auto import tqdm

    from workbench.lab.params import changed

    command = [sys.executable, "-m", "workbench", "run", planned.notebook.name]
    for name, value in changed(planned.params).items():
        command += ["-p", f"{name}={value if isinstance(value, str) else json.dumps(value)}"]
    left_out = {"WORKBENCH_RUN", *_FOR_TERMINALS}
    environment = {name: value for name, value in os.environ.items() if name not in left_out}
    about = None if is_done(planned.folder) else expected_time(planned)
    shown = {
        "total": len(planned.notebook.code()),
        "desc": f"{doing}{planned.notebook.name}",
        "bar_format": _BAR + (f" of about {about}" if about else ""),
    }
    output = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    said: list[str] = []
    with subprocess.Popen(command, env=environment, **output) as process, tqdm(**shown) as bar:
        for line in _lines(process):
            if line is None:
                bar.refresh()
                continue
            if step := _STEP.match(line):
                bar.n = max(int(step["cell"] or 0) - 1, 0)
                bar.refresh()
            else:
                said.append(line)
        if process.wait() == 0:
            bar.n = bar.total
    if process.returncode:
        print("".join(said))


def _lines(process: "subprocess.Popen[str]") -> Iterator[str | None]:
    """A process's lines, and None whenever a second has passed without one."""
    lines: SimpleQueue[str | None] = SimpleQueue()

    def read() -> None:
        for line in process.stdout or ():
            lines.put(line)
        lines.put(None)

    reader = Thread(target=read, daemon=True)
    reader.start()
    while True:
        try:
            line = lines.get(timeout=1)
        except Empty:
            yield None
            continue
        if line is None:
            return
        yield line
