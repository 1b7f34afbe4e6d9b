"""Decoding for models whose caches cannot be padded or taken apart: rows of equal lengths."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from workbench.engine.sampling.batching import ContinuousBatch, Row, Settings
from workbench.engine.sampling.decoding import EqualRows
from workbench.engine.sampling.paths import Path, rope_switch


class EqualLengths(ContinuousBatch):
    """The same rows as those of a `ContinuousBatch`, drawn by the same random numbers."""

    def __init__(self, *args: Any, path: Path, **options: Any) -> None:
        """`path`: whether a step uses a cache, and whether each row is read alone; the rest as there."""
        super().__init__(*args, **options)
        self.path, self.switch = path, rope_switch(self.model)

    def run(self, *settings: *Settings) -> list[Row]:
        """Decode group by group; see `ContinuousBatch.run`."""
        while self.waiting:
            rows = self._next_group()
            texts = torch.tensor([self.ids[row // self.n] for row in rows], device=self.row.device)
            self.row = torch.tensor(rows, device=self.row.device)
            self.start, self.last = torch.zeros_like(self.row), torch.zeros_like(self.row)
            self._decode(texts, settings)
        return self._rows()

    def _next_group(self) -> list[int]:
        """Waiting rows whose prompts are as long as that of the first one."""
        rows = [self.waiting.pop()]
        length, most = len(self.ids[rows[0] // self.n]), 1 if self.path.alone else self.size
        while self.waiting and len(rows) < most and len(self.ids[self.waiting[-1] // self.n]) == length:
            rows.append(self.waiting.pop())
        return rows

    def _decode(self, texts: Tensor, settings: Settings) -> None:
        read = EqualRows(self.model, self.path.cached)
        while bool((running := self.row < self.count).any()):
            if texts.shape[1] == self.switch + 1:  # keys in the cache are turned by the angles of short texts
                read.cache = {}
            if not read.cache:
                texts, self.row, self.last = texts[running], self.row[running], self.last[running]
                self.start = self.start[running]
            self._accept(slice(None), read(texts), settings)
            texts = torch.cat((texts, self.last[:, None]), 1)
