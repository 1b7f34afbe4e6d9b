"""What training, its loss and its loop share: precision, schedule, history."""

from __future__ import annotations

import inspect
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch

from workbench.errors import UserError

if TYPE_CHECKING:
    import pandas as pd
    from transformers import PreTrainedModel


Precision = Literal["auto", "fp32", "bf16"]


Schedule = Literal["cosine", "linear", "constant"]


@dataclass(frozen=True)
class History:
    """What a training logged.

    Attributes:
        rows: dicts with step, tokens (all processes, padding too), loss (nats per learnt token since the row
            before), learning_rate, tokens_per_second, and where it was measured held_out_nats and
            held_out_bits_per_byte.
        finished: false if `stop` ended it early; the same call goes on.
    """

    rows: list[dict[str, float]]
    finished: bool

    def frame(self) -> pd.DataFrame:
        """The rows as a table."""
        import pandas as pd

        return pd.DataFrame(self.rows)


def world_size() -> int:
    """Processes that `torchrun` started, or 1."""
    return int(os.environ.get("WORLD_SIZE", 1))


def supports_position_ids(model: PreTrainedModel) -> bool:
    """Whether position ids that restart keep packed documents from seeing each other."""
    return "position_ids" in inspect.signature(model.forward).parameters


def uses_bf16(model: PreTrainedModel, precision: Precision) -> bool:
    """Whether to autocast to bf16.

    Raises:
        UserError: there is no such precision.
    """
    if precision not in ("auto", "fp32", "bf16"):
        raise UserError(f"precision={precision!r} is not one of auto, fp32 and bf16.")
    if precision != "auto":
        return precision == "bf16"
    if model.device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
