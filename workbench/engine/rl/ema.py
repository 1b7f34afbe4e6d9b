"""A moving average of the weights of a model that is being trained."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class WeightEMA:
    """Exponential moving average of the weights that learn: phi becomes decay phi + (1 - decay) theta."""

    def __init__(self, model: PreTrainedModel, decay: float) -> None:
        self.model, self.decay, self.weights = model, decay, {}

    def _learning(self) -> dict[str, Tensor]:
        return {name: weight for name, weight in self.model.named_parameters() if weight.requires_grad}

    def begin(self) -> None:
        """Copy the weights, the first time."""
        if not self.weights:
            self.weights = {name: weight.detach().clone() for name, weight in self._learning().items()}

    @torch.no_grad()
    def update(self) -> None:
        """Take one step towards the weights as they are."""
        now = self._learning()
        targets = [now[name] for name in self.weights]
        torch._foreach_lerp_(list(self.weights.values()), targets, 1 - self.decay)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Within the block the model has the average weights."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def _swap(self) -> None:
        now = self._learning()
        for name, average in self.weights.items():
            now[name].data, average.data = average.data, now[name].data
