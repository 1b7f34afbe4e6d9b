"""Small models are a third slower on two threads than on one."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

SMALL = 5_000_000  # parameters


@contextmanager
def suited_threads(parameters: int) -> Iterator[None]:
    """One thread for a small model, and as many as before for any other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1 if parameters < SMALL else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
