"""Run by the Python of `.venv-vllm`, which has no workbench: vLLM's server, until nobody uses it.

`vllm_main.py FOLDER SECONDS ARGUMENTS…`: every user holds a shared lock on FOLDER/users, which the system
takes back however the user ends. When nobody has held one for so long, the server and its processes end.
"""

import fcntl
import os
import runpy
import signal
import sys
import threading
import time
from pathlib import Path


def watch(folder: Path, patience: float) -> None:
    """End this process group when the users' lock has been free for `patience` seconds."""
    with (folder / "users").open("a") as users:
        last_used = time.monotonic()
        while True:
            time.sleep(0.5)
            try:
                fcntl.lockf(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                last_used = time.monotonic()
                continue
            if time.monotonic() - last_used >= patience:
                break  # with the lock: who comes now waits until this process is gone
            fcntl.lockf(users, fcntl.LOCK_UN)
        (folder / "server.json").unlink(missing_ok=True)
        os.killpg(0, signal.SIGTERM)
        time.sleep(20)
        os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    folder, seconds, *arguments = sys.argv[1:]
    threading.Thread(target=watch, args=(Path(folder), float(seconds)), daemon=True).start()
    sys.argv = ["api_server", *arguments]
    runpy.run_module("vllm.entrypoints.openai.api_server", run_name="__main__", alter_sys=True)
