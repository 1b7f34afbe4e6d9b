"""What is installed and reachable, and what to do about what is not."""

import os
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.lab.environment import cores, cpu_name, version, vllm_version
from workbench.lab.report.pdf import find_browser


@dataclass(frozen=True)
class Check:
    """What was looked at, what came of it, and what to do ("" when all is well)."""

    name: str
    finding: str
    advice: str = ""
    needed: bool = False


def examine() -> list[Check]:
    """Look at everything; takes a few seconds, most of them to import torch."""
    chromium = find_browser()
    return [
        Check("python", f"{sys.version.split()[0]} in {sys.prefix}"),
        *_torch(),
        _installed("transformers", version("transformers"), "pip install transformers", needed=True),
        _installed("jupyterlab", version("jupyterlab"), "pip install jupyterlab, to explore the notebooks"),
        _installed("vllm", vllm_version(), "optional, for large models: put it in .venv-vllm (make vllm)"),
        _installed(
            "ray", version("ray"), "optional, for several machines: pip install 'small-model-workbench[ray]'"
        ),
        _hub(),
        _installed("chromium", chromium, "for `report --pdf` and the browser tests: apt install chromium"),
        _data(),
    ]


def _torch() -> list[Check]:
    if not version("torch"):
        return [Check("torch", "missing", "pip install torch", needed=True)]
    import torch

    on_gpu = torch.cuda.is_available()  # as `engine.loading.pick_device` has it
    device = f"cuda: {torch.cuda.get_device_name()}" if on_gpu else f"cpu: {cpu_name()}"
    idle = torch.backends.mps.is_available()
    left_out = "Apple's mps is not used: it knows no float64, in which results are summed" if idle else ""
    policy = os.environ.get("OMP_WAIT_POLICY", "").upper()
    slow = cores() > 1 and policy != "PASSIVE"
    advice = "outside `workbench run`, set OMP_WAIT_POLICY=PASSIVE: waiting threads then leave the cores free"
    return [
        Check("torch", torch.__version__),
        Check("device", device, left_out),
        Check("threads", f"{torch.get_num_threads()} of {cores()} cores", advice if slow else ""),
        _bf16(torch),
    ]


def _bf16(torch: Any) -> Check:
    """Compare the speed of matrix products; emulated bf16 is slower than fp32."""
    speeds = {}
    for name in ("float32", "bfloat16"):
        kind = getattr(torch, name)
        device = "cuda" if torch.cuda.is_available() else "cpu"
        matrix = torch.randn(768, 768, device=device).to(kind)
        times = []
        for _ in range(4):
            start = time.perf_counter()
            (matrix @ matrix)[0, 0].item()
            times.append(time.perf_counter() - start)
        speeds[name] = 2 * 768**3 / min(times) / 1e9
    ratio = speeds["bfloat16"] / speeds["float32"]
    finding = f"{ratio:.1f} times the speed of fp32 ({speeds['bfloat16']:.0f} GFLOP/s)"
    return Check("bf16", finding, "" if ratio > 1.1 else "it gains nothing here: train with precision=fp32")


def _installed(name: str, finding: str | None, advice: str, needed: bool = False) -> Check:
    return Check(name, finding or "not installed", "" if finding else advice, needed)


def _hub() -> Check:
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "TRUE", "YES", "ON"):
        return Check("hub", "switched off by HF_HUB_OFFLINE", "unset it to load models and data by hub id")
    address = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
    try:
        with urllib.request.urlopen(urllib.request.Request(address, method="HEAD"), timeout=3):
            return Check("hub", "reachable")
    except urllib.error.HTTPError:
        return Check("hub", "reachable")
    except (OSError, ValueError):
        advice = "the embedded data and models need no network; for others give a local file or folder"
        return Check("hub", "not reachable", advice)


def _data() -> Check:
    folder = os.environ.get("WORKBENCH_DATA")
    if not folder:
        return Check("WORKBENCH_DATA", "not set", "only for the tests on real data: the folder that holds it")
    advice = "" if Path(folder).is_dir() else "there is no such folder: set it to one that is there"
    return Check("WORKBENCH_DATA", folder, advice)
