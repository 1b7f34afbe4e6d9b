"""Rows of tokens side by side: batches of like length, padded."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence


def padded(rows: Sequence[Any], fill: int = 0, side: str = "right") -> Tensor:
    """Rows of numbers `[rows, longest]`, with `fill` on one side of the shorter ones."""
    tensors = [torch.as_tensor(row) for row in rows]
    return pad_sequence(tensors, batch_first=True, padding_value=fill, padding_side=side)


def batches(lengths: Sequence[int], most_tokens: int, most_rows: int = 1 << 30) -> Iterator[list[int]]:
    """Numbers of rows of like length, the longest first: as many as `most_tokens` allow, padding included."""
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    while order:
        size = max(1, min(most_rows, most_tokens // lengths[order[-1]]))
        yield order[-size:]
        del order[-size:]
