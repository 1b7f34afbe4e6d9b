"""Run by the Python of `.venv-vllm`, which has no workbench: vLLM's server, until nobody uses it.

`vllm_main.py FOLDER SECONDS ARGUMENTS…`: every user holds a shared lock on FOLDER/users, which the system
takes back however the user ends. When nobody has held one for so long, the server and its processes end.
Whoever does not show the key in VLLM_API_KEY is answered nothing, under whatever path.
"""

import fcntl
import hmac
import os
import runpy
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any


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


class Guard:
    """ASGI middleware that asks for the key everywhere: vLLM itself asks for it under a few paths alone."""

    def __init__(self, app: Any) -> None:
        self.app, self.expected = app, f"Bearer {os.environ['VLLM_API_KEY']}".encode()

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Pass on what starts the server up, and requests with the key."""
        shown = dict(scope.get("headers", ())).get(b"authorization", b"")
        if scope["type"] == "lifespan" or hmac.compare_digest(shown, self.expected):
            await self.app(scope, receive, send)
        elif scope["type"] == "http":
            await send({"type": "http.response.start", "status": 401, "headers": []})
            await send({"type": "http.response.body", "body": b""})
        else:
            await send({"type": "websocket.close", "code": 1008})


if __name__ == "__main__":
    sys.modules["workbench_guard"] = sys.modules[__name__]  # as which vLLM imports it
    folder, seconds, *arguments = sys.argv[1:]
    threading.Thread(target=watch, args=(Path(folder), float(seconds)), daemon=True).start()
    sys.argv = ["api_server", *arguments, "--middleware", "workbench_guard.Guard", "--disable-fastapi-docs"]
    runpy.run_module("vllm.entrypoints.openai.api_server", run_name="__main__", alter_sys=True)
