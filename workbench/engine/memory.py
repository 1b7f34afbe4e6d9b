"""Whether a model fits into the memory."""

import math
import os
import re
from pathlib import Path

from workbench.engine.model_files import read_settings, weight_files, weight_shapes
from workbench.errors import UserError


def check_memory(folder: Path, device: str) -> None:
    """Whether the weights fit into the memory that is free.

    Raises:
        UserError: they do not.
    """
    n_weights = sum(math.prod(shape) for shape in weight_shapes(folder).values())
    config = read_settings(folder / "config.json")
    widths = {"float32": 4, "float16": 2, "bfloat16": 2}
    # On the CPU weights become float32.
    width = 4 if device == "cpu" else widths.get(str(config.get("dtype") or config.get("torch_dtype")))
    needed = n_weights * width if width else sum(file.stat().st_size for file in weight_files(folder))
    free = free_memory()
    if device.startswith("cuda"):
        import torch

        free = torch.cuda.mem_get_info(device)[0]
        free += torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    if needed > free:
        raise UserError(
            f"The model in {folder} needs {needed / 1e9:.1f} GB of memory, and {free / 1e9:.1f} GB are free: "
            "take a smaller model, or a machine with more memory."
        )


def free_memory() -> int:
    """Bytes that programs can still use: of this machine, or of the container around this process."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        table = Path("/proc/meminfo").read_text(encoding="ascii")
        if available := re.search(r"MemAvailable:\s+(\d+)", table):
            pages = 1024 * int(available[1])
        group = Path("/sys/fs/cgroup")
        limit, used = (int((group / f"memory.{name}").read_text()) for name in ("max", "current"))
    except (OSError, ValueError):  # no such files, or no limit
        return pages
    return min(pages, limit - used)
