"""Still pictures (PNG), drawn in a child process: what kills the drawing library ends no run."""

import atexit
import contextlib
import json
import os
import struct
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

SECONDS = 60  # that a picture may take; most take a tenth of one
_CHILD = Path(__file__).with_name("still_child.py")
_lock = threading.RLock()
_running: dict[
    int, subprocess.Popen[bytes]
] = {}  # by the process that started it: a fork has none of its own


class NoPicture(Exception):
    """A picture could not be drawn; the message says why."""


def draw_png(spec: dict[str, Any]) -> bytes:
    """Return a Vega-Lite 5 specification as a compressed PNG at twice its size.

    Raises:
        NoPicture: the specification cannot be drawn, or not in SECONDS, or the drawing process died.
    """
    message = json.dumps(spec, allow_nan=False).encode("ascii")
    with _lock:
        kind, answer = _answered(message)
    if kind != b"P":
        raise NoPicture(answer.decode("utf-8", "replace"))
    return answer


def _answered(message: bytes) -> tuple[bytes, bytes]:
    try:
        child = _child()
    except OSError as error:
        raise NoPicture(f"no drawing process: {error.strerror}") from None
    deadline = threading.Timer(SECONDS, child.kill)
    deadline.start()
    try:
        return _ask(child, message)
    except BaseException as error:
        slow = not deadline.is_alive()
        _stop(child)  # after Ctrl-C, too: a late answer would be taken for the next picture's
        if not isinstance(error, OSError | EOFError):
            raise
        raise NoPicture(f"it took longer than {SECONDS} s" if slow else "the drawing process died") from None
    finally:
        deadline.cancel()


def _ask(child: subprocess.Popen[bytes], message: bytes) -> tuple[bytes, bytes]:
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(struct.pack(">I", len(message)) + message)
    child.stdin.flush()
    head = child.stdout.read(5)
    answer = child.stdout.read(struct.unpack(">I", head[1:])[0]) if len(head) == 5 else b""
    if not answer:
        raise EOFError
    return head[:1], answer


def _child() -> subprocess.Popen[bytes]:
    child = _running.get(os.getpid())
    if child is None or child.poll() is not None:
        # -P: modules beside the script hide no other ones.
        paths = os.pathsep.join(filter(None, sys.path))
        child = subprocess.Popen(
            [sys.executable, "-P", str(_CHILD)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": paths},
            start_new_session=True,  # Ctrl-C is for the run
        )
        _running[os.getpid()] = child
    return child


def _stop(child: subprocess.Popen[bytes]) -> None:
    _running.pop(os.getpid(), None)
    child.kill()
    for stream in filter(None, (child.stdin, child.stdout)):
        with contextlib.suppress(OSError):
            stream.close()
    child.wait()


@atexit.register
def _stop_all() -> None:
    for child in [child for process, child in _running.items() if process == os.getpid()]:
        _stop(child)
