"""Work for processes that are killed; imports nothing heavy, since every new process does."""

import os
import signal
import time


def dies(folder, times, part):
    """Kills its process so many times, then leaves a file."""
    with open(folder / f"{part[0]}.txt", "a") as file:
        file.write("x")
    if part[0] == 0 and len((folder / "0.txt").read_text()) <= times:
        os.kill(os.getpid(), signal.SIGKILL)
    (folder / f"done-{part[0]}").touch()


def stays(folder, part):
    """Notes its process and does not end."""
    (folder / f"{part[0]}.pid").write_text(str(os.getpid()))
    time.sleep(600)
