"""What a model costs on this machine, measured before a notebook begins."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch

from workbench.engine.models import context_length, evaluating
from workbench.engine.sampling.sampler import SamplingParams
from workbench.engine.sampling.transformers_sampler import TransformersSampler
from workbench.engine.tokens import encode
from workbench.engine.training.common import uses_bf16

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

_TEXT = "Once upon a time there was a girl who lived by the sea and had a boat. One day she saw a fish. "
# Tokens read in float32 in the time in which one is learnt, and what bf16 leaves of that, where it is used.
_LEARNT, _BF16 = {"lora": 2.5, "full": 3.5}, 0.6
_ROWS, _LENGTH = 4, 256  # texts read at once, and their tokens
_WRITTEN, _WRITES = 32, 16  # texts written at once, and the new tokens of each


@dataclass(frozen=True)
class Cost:
    """What a model does in a second on this machine, as busy as it is."""

    read: float  #: tokens of texts read, with their logits
    write: float = 0  #: tokens of many texts written side by side; 0 where it was not measured

    def minutes(self, *, read: float = 0, write: float = 0) -> float:
        """How long so much takes.

        Args:
            read: tokens of texts; a pass that begins halfway up the layers counts half its tokens.
            write: tokens sampled.
        """
        return (read / self.read + (write / self.write if write else 0)) / 60

    def sentence(self, minutes: float) -> str:
        """What to print before it begins."""
        writes = f" and writes {self.write:,.0f}" if self.write else ""
        return (
            f"Measured on this machine: the model reads {self.read:,.0f} tokens a second{writes}. "
            f"This notebook will take about {max(1, round(minutes))} min."
        )


def reads_per_learnt(model: PreTrainedModel, tuning: Literal["lora", "full"]) -> float:
    """Tokens that are read in the time in which one is learnt, as measured on a Llama of 135M on a CPU."""
    return _LEARNT[tuning] * (_BF16 if uses_bf16(model, "auto") else 1)


@torch.inference_mode()
def measure(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, seconds: float = 2, *, writes: bool = False
) -> Cost:
    """Times the model on a short story over and over, for about so many seconds.

    Args:
        model: any transformers causal language model, in the mode and dtype that it will be used in.
        tokenizer: its tokenizer.
        seconds: to spend on each kind of work; at least two passes are timed, behind one that is not.
        writes: whether to time writing as well.
    """
    (story,) = encode(tokenizer, [_TEXT * 20])
    ids = torch.tensor([story[: min(_LENGTH, context_length(model))]] * _ROWS, device=model.device)

    def read() -> int:
        model(ids, use_cache=False).logits[0, -1, 0].item()  # waits for the device
        return ids.numel()

    def write() -> int:
        replies = sampler.sample(["Once upon a time"] * _WRITTEN, SamplingParams(max_tokens=_WRITES))
        return sum(len(reply.tokens) for (reply,) in replies)

    sampler = TransformersSampler(model, tokenizer)
    with evaluating(model):
        return Cost(read=_rate(read, seconds), write=_rate(write, seconds) if writes else 0)


def _rate(work: Callable[[], int], seconds: float) -> float:
    """How much is done in a second: the mean over the passes that fit into some seconds."""
    work()
    begun, amount, passes = time.perf_counter(), 0, 0
    while passes < 2 or time.perf_counter() - begun < seconds:
        amount += work()
        passes += 1
    return amount / (time.perf_counter() - begun)
