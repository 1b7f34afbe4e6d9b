"""Bubblewrap: processes that see a read-only system, no home, no network and no other process."""

import functools
import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory


def command(program: list[str], visible: dict[str, str]) -> list[str]:
    """The command that runs a program behind the walls; it can read `visible` there, besides /usr."""
    # Root needs no user namespace, and a limit on processes would not hold it: inside.py becomes nobody.
    user = "--cap-add CAP_SETUID --cap-add CAP_SETGID" if os.getuid() == 0 else "--unshare-user"
    walls = shlex.split(
        "bwrap --unshare-ipc --unshare-pid --unshare-net --unshare-uts --unshare-cgroup-try "
        "--die-with-parent --new-session --clearenv --cap-drop ALL "
        f"--ro-bind /usr /usr --ro-bind-try /lib /lib --ro-bind-try /lib64 /lib64 {user}"
    )
    for path, seen_at in visible.items():
        walls += ["--ro-bind", path, seen_at]
    return [*walls, "--remount-ro", "/", "--chdir", "/", "--", *program]


def missing(program: list[str], visible: dict[str, str]) -> str:
    """Why a program (one that knows --version) cannot run behind the walls; empty where it can."""
    if not shutil.which("bwrap"):
        return "bubblewrap is missing; install it with: apt-get install bubblewrap"
    return probe(*command([*program, "--version"], visible))


@functools.cache
def probe(*words: str) -> str:
    """Why a command that begins with bwrap fails."""
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return ""
    said = " ".join(done.stderr.split())
    return f"bubblewrap does not work here; containers and AppArmor often bar it ({said})"


@contextmanager
def walled(binary: str) -> Iterator[str]:
    """A file that starts a binary behind the walls, or the binary itself where that cannot be."""
    with TemporaryDirectory(prefix="workbench-") as folder:
        script = Path(folder, "start")
        visible = {binary: "/binary"}
        start = shlex.join(command(["/binary"], visible))
        script.write_text(f'#!/bin/sh\nexec {start} "$@" 2>/dev/null\n')
        script.chmod(0o700)
        # Not executable where the folder for temporary files is mounted so.
        yield binary if missing(["/binary"], visible) or not os.access(script, os.X_OK) else str(script)
