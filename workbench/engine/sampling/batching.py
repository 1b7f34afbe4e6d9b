"""The rows of one sampling call, decoded side by side: a row that ends makes room for a waiting one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from workbench.engine.batches import padded
from workbench.engine.sampling.decoding import LlamaStep, PlainStep, Window, prefill
from workbench.engine.sampling.scoring import not_a_number

if TYPE_CHECKING:
    from transformers import PreTrainedModel

GROWTH = 32  # columns by which the key-value store grows
Settings = tuple[float, float, float, bool]  # of `draw`: temperature, top_p, min_p, filter_first
Row = tuple[list[int], list[float], bool]  # tokens, their log-probabilities, whether the text ended by itself


class ContinuousBatch:
    """Row r is sample r % n of prompt r // n; one row more than there are takes what idle slots draw."""

    def __init__(
        self,
        model: PreTrainedModel,
        ids: list[list[int]],
        *,
        limits: list[int],
        n: int,
        size: int,
        seed: int,
        end_tokens: Sequence[int],
        may_end: Tensor | None,
        ends: Callable[[list[int], list[int]], bool],
        dtype: torch.dtype = torch.float32,
    ) -> None:
        """Args:
        ids: tokens of each prompt.
        limits: longest completion of each prompt, in tokens.
        n: rows a prompt.
        size: rows decoded at a time.
        end_tokens: those that end a text.
        may_end: bool per token: whether `ends` has to be asked after it.
        ends: whether the text of (prompt tokens, completion tokens) holds a stop string.
        dtype: of `LlamaStep`.
        """
        self.model, self.ids, self.n, self.may_end, self.ends = model, ids, n, may_end, ends
        device, count, longest = model.device, len(ids) * n, max(limits)
        self.count, self.size = count, min(size, count)
        self.limit = torch.tensor([limit for limit in limits for _ in range(n)] + [1 << 30], device=device)
        self.tokens = torch.zeros(count + 1, longest, dtype=torch.long, device=device)
        self.logprobs = torch.zeros(count + 1, longest, device=device)
        self.uniforms = uniforms(len(ids), n, longest, seed).to(device)
        self.lengths = torch.zeros(count + 1, dtype=torch.long, device=device)
        self.ended = torch.zeros(count + 1, dtype=torch.bool, device=device)
        self.eos = torch.tensor(end_tokens, dtype=torch.long, device=device)
        # Longest prompts first: who comes later then always finds enough columns on its left.
        self.waiting = sorted(range(count), key=lambda row: (-len(ids[row // n]), row))[::-1]
        self.widest = max(len(row) + limit for row, limit in zip(ids, limits, strict=True))
        lean = LlamaStep.fits(model)
        self.step = LlamaStep(model, self.widest, dtype) if lean else PlainStep(model)
        self.column = len(ids[self.waiting[-1] // n])
        self.store: Tensor | None = None
        # Per slot: its row, the column of its first token, its newest token.
        self.row = torch.full((self.size,), count, device=device)
        self.start, self.last = torch.zeros_like(self.row), torch.zeros_like(self.row)

    def run(self, *settings: *Settings) -> list[Row]:
        """Decode until no row waits or runs; `settings` of `draw`, from temperature on.

        Raises:
            UserError: what the model computes is not a number.
        """
        while True:
            free = torch.nonzero(self.row == self.count)[:, 0]
            busy = len(self.row) - len(free)
            if self.waiting and (not busy or len(free) >= max(1, self.size // 16)):
                self._admit(free, settings)
            elif not busy and not self.waiting:
                break
            else:
                if not self.waiting and len(free) > len(self.row) // 4:
                    self._shrink()
                self._advance(settings)
        return self._rows()

    def _rows(self) -> list[Row]:
        if self.logprobs[: self.count].isnan().any():
            raise not_a_number(self.model)
        lengths, ended = self.lengths.tolist(), self.ended.tolist()
        tokens, logprobs = self.tokens.cpu(), self.logprobs.cpu()
        return [
            (tokens[row, :end].tolist(), logprobs[row, :end].tolist(), ended[row])
            for row, end in enumerate(lengths[: self.count])
        ]

    def _admit(self, free: Tensor, settings: Settings) -> None:
        """Put waiting rows into free slots: each prompt is read once and stands left of the common column."""
        rows = [self.waiting.pop() for _ in range(min(len(free), len(self.waiting)))]
        slots = free[: len(rows)]
        prompts = sorted({row // self.n for row in rows})
        device, texts = self.row.device, [self.ids[prompt] for prompt in prompts]
        lengths = torch.tensor([len(text) for text in texts], device=device)
        logits, read = prefill(self.model, padded(texts).to(device), lengths)
        if logits.isnan().any():
            raise not_a_number(self.model)
        source = torch.tensor([prompts.index(row // self.n) for row in rows], device=device)
        read = self.step.adopt(read)
        if self.store is None:
            layers, two, _, heads, _, dim = read.shape
            most = layers * two * self.size * heads * dim * (self.widest + GROWTH)
            self.memory, self.spare = read.new_empty(most), read.new_empty(most)
            self.store = self.step.room(self.memory, layers, two, self.size, heads, self.column + GROWTH, dim)
        length_of_row = lengths[source]
        for length in length_of_row.unique().tolist():
            same = length_of_row == length
            prompt_store = read[:, :, source[same], :, :length]
            self.store[:, :, slots[same], :, self.column - length : self.column] = prompt_store
        self.row[slots] = torch.tensor(rows, device=device)
        self.start[slots] = self.column - length_of_row
        self._accept(slots, logits[source], settings)

    def _advance(self, settings: Settings) -> None:
        assert self.store is not None  # rows have been admitted
        first = int(self.start.min())
        if self.column == self.store.shape[4]:
            # Grown in small pieces and shed on the left: rows that lie close together in memory are read
            # twice as fast.
            self._restore(self.store[..., first:, :], GROWTH)
            self.start -= first
            self.column -= first
            first = 0
        hidden = None
        if bool((self.start > first).any()):
            hidden = torch.arange(first, self.column + 1, device=self.start.device) < self.start[:, None]
        window = Window(first, self.column, hidden)
        logits = self.step(self.last, self.column - self.start, self.store, window)
        self.column += 1
        self._accept(slice(None), logits, settings)

    def _accept(self, slots: Tensor | slice, logits: Tensor, settings: Settings) -> None:
        """Draw one token for each slot, note it, and free the slots whose row it ends."""
        row = self.row[slots]
        age = self.lengths[row]
        age[row == self.count] = 0
        token, logprob = draw(logits, self.uniforms[row, age], *settings)
        self.tokens[row, age], self.logprobs[row, age] = token, logprob
        self.lengths[row] = age + 1
        self.last[slots] = token
        ended = torch.isin(token, self.eos)
        if self.may_end is not None:
            for slot in torch.nonzero(self.may_end[token] & (row < self.count))[:, 0].tolist():
                index = int(row[slot])
                drawn = self.tokens[index, : age[slot] + 1].tolist()
                ended[slot] |= self.ends(self.ids[index // self.n], drawn)
        self.ended[row] = ended
        done = ended | (age + 1 >= self.limit[row]) | (row == self.count)
        self.row[slots] = row.masked_fill(done, self.count)
        # An idle slot begins anew at every step, so that it holds back no column.
        self.start[slots] = self.start[slots].masked_fill(done, self.column)

    def _shrink(self) -> None:
        assert self.store is not None
        keep = self.row < self.count
        self._restore(self.store[:, :, keep], 0)
        self.row, self.start, self.last = self.row[keep], self.start[keep], self.last[keep]

    def _restore(self, kept: Tensor, more: int) -> None:
        """A store that holds what is kept and some columns more."""
        # Two pieces of memory in turn: fresh memory costs more to get from the system than to fill.
        self.memory, self.spare = self.spare, self.memory
        self.store = self.step.room(self.memory, *kept.shape[:4], kept.shape[4] + more, kept.shape[5])
        self.store[..., : kept.shape[4], :] = kept


def draw(
    logits: Tensor,
    uniforms: Tensor,
    temperature: float,
    top_p: float,
    min_p: float,
    filter_first: bool = False,
) -> tuple[Tensor, Tensor]:
    """One token a row by the inverse of the cumulative distribution.

    With top-p or min-p a first draw from the whole distribution stands if it lies in the kept set (most do);
    the few other rows draw again from that set alone. Both have the restricted distribution, and only the few
    need sorting.

    Args:
        logits: `[rows, vocabulary]`.
        uniforms: `[rows, 2]` in [0, 1).
        temperature: 0 takes the most likely token.
        top_p: probability the kept set has to reach, at that temperature.
        min_p: least share of the most likely token's probability, at that temperature.
        filter_first: choose the kept set at temperature 1 instead.

    Returns:
        Tokens, and their natural log-probabilities at temperature 1 with nothing cut off, `[rows]` each.
    """
    logits = logits.float()
    if temperature == 0:
        token = logits.argmax(-1)
    else:
        if temperature < 1e-3:  # what is divided by so little must not become infinite
            logits = logits - logits.amax(-1, keepdim=True)
        p = torch.softmax(logits if temperature == 1 else logits / temperature, -1)
        token = _invert(p, uniforms[:, 0])
        if top_p < 1 or min_p > 0:
            q = torch.softmax(logits, -1) if filter_first else p  # what is kept is decided on q
            drawn = q.gather(1, token[:, None])
            out = (drawn < min_p * q.amax(-1, keepdim=True))[:, 0]
            if top_p < 1:
                out |= (q * (q > drawn)).sum(-1) >= top_p
            again = torch.nonzero(out)[:, 0]
            if len(again):
                ranked, index = q[again].sort(-1, descending=True)
                kept = (ranked.cumsum(-1) - ranked < top_p) & (ranked >= min_p * ranked[:, :1])
                kept = p[again].gather(1, index) * kept
                token[again] = index.gather(1, _invert(kept, uniforms[again, 1])[:, None])[:, 0]
    if temperature == 1:
        return token, p.gather(1, token[:, None])[:, 0].log()
    return token, logits.gather(1, token[:, None])[:, 0] - logits.logsumexp(-1)


def _invert(p: Tensor, uniforms: Tensor) -> Tensor:
    below = p.cumsum(-1)
    token = torch.searchsorted(below, uniforms[:, None] * below[:, -1:], right=True)[:, 0]
    return token.clamp_(max=p.shape[-1] - 1)  # what is not a number shows in the log-probability


def uniforms(prompts: int, n: int, length: int, seed: int) -> Tensor:
    """Random numbers in [0, 1) `[prompts * n + 1, length, 2]`: a stream for each row (the last is zero)."""
    result = np.zeros((prompts * n + 1, length, 2), dtype=np.float32)
    for row in range(prompts * n):
        stream = np.random.Philox(key=[seed % 2**64, row // n << 32 | row % n])
        np.random.Generator(stream).random(out=result[row], dtype=np.float32)
    # Kept clear of 1, where rounding could reach past the last token with any probability.
    return torch.from_numpy(result).clamp_(max=1 - 2**-20)
