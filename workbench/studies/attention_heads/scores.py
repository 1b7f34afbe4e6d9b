"""Measures of attention heads, as sums over one batch of patterns that need not be kept.

A[q, k] is a head's attention from token q to token k <= q; rows add up to 1; token 0 begins the text. Means
are over q >= 1, and every measure is a numerator and a denominator for each text, so that intervals can be
drawn over texts. Sources: Voita et al. 2019 (arXiv 1905.09418, positional heads), Olsson et al. 2022 (arXiv
2209.11895, induction), TransformerLens' head detector (`_mul`, `_abs`).
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

FIRST_ROW = 16  # rows before this one are left out of the fit by offset: few offsets are possible there
NEAR = 8  # tokens: the lifts look beyond these, where local heads do not reach
# Lifts are in multiples of chance, shuffled ones with names and nouns in random places; `_mul` and `_abs` are
# the two scores of TransformerLens' head detector.
MEASURES = (
    "distance", "relative_distance", "distance_without_first", "entropy", "normalised_entropy",
    "effective_tokens", "previous_token", "self", "first_token", "duplicate", "induction", "name_lift",
    "noun_lift", "shuffled_name_lift", "shuffled_noun_lift", "previous_token_mul", "duplicate_mul",
    "induction_mul", "previous_token_abs", "duplicate_abs", "induction_abs",
)  # fmt: skip
HELD_OUT = ("positional", "positional_softmax", "one_offset")  # see `OffsetFit.score`


class Text:
    """What the measures need to know of a batch of texts, whatever the layer and the head.

    Args:
        ids: tokens `[rows, tokens]`, padded on the right.
        lengths: tokens of each text, `[rows]`.
        names: bool `[rows, tokens]`: tokens of names.
        nouns: the same for other nouns.

    Attributes:
        query: `[rows, tokens]`, 1 for q >= 1 that is no padding.
        lengths: tokens of each text, `[rows]`.
        same: of each row, q * tokens + k for every query and every earlier equal token, the first left out.
        far: `[rows, 5, tokens]`, 1 for every key but the first; for names among them; for nouns; and for both
            again in random places.
        weights: `[rows, values, tokens]`: what each query counts in the sums of `measure`.
        denominators: `[rows, 1, measures]`.
        n_pairs: `[rows, 1, 3]`: pairs of query and key for the previous token, an equal one, what followed.
    """

    def __init__(self, ids: Tensor, lengths: Tensor, names: Tensor, nouns: Tensor) -> None:
        position = torch.arange(ids.shape[1], device=ids.device)
        query = (position >= 1) & (position < lengths[:, None])
        earlier = query[:, :, None] & query[:, None, :] & (position < position[:, None])
        same = (ids[:, :, None] == ids[:, None, :]) & earlier
        self.query, self.lengths = query.float(), lengths.float()
        self.same = [each.flatten().nonzero()[:, 0] for each in same]
        flags = torch.stack([query, names, nouns, _shuffled(names, query), _shuffled(nouns, query)], 1)
        self.far = (flags & query[:, None]).float()
        n_same = same.sum(-1).float()
        n_far, *n_flagged = (self._keys_far_back() * self.query[:, None]).unbind(1)
        per_position = self.query / position.clamp(min=1)
        per_nat = self.query / (position + 1).log().clamp(min=1e-6)
        known = [(number > 0).float() for number in n_flagged]
        # A lift is a share over that of chance, which is number / n_far.
        lifts = [here * n_far / number.clamp(min=1) for here, number in zip(known, n_flagged, strict=True)]
        nine = [self.query, per_position, self.query, self.query, per_nat, *[self.query] * 4]
        self.weights = torch.stack([*nine, *lifts], 1)
        after = (n_same > 0).float()  # what followed an equal token stands before q whenever that token does
        counted = torch.stack([*[self.query] * 9, after, after, *known], 1).sum(-1)
        self.denominators = torch.cat([counted, self.lengths[:, None].expand(-1, 6)], 1)[:, None]
        n_pairs = n_same.sum(-1)
        self.n_pairs = torch.stack([self.query.sum(-1), n_pairs, n_pairs], -1)[:, None]

    def _keys_far_back(self) -> Tensor:
        """How many keys of each kind of `far` lie more than `NEAR` tokens before each query."""
        return torch.nn.functional.pad(self.far.cumsum(-1), (NEAR + 1, 0))[..., : self.far.shape[-1]]


def _shuffled(flags: Tensor, query: Tensor) -> Tensor:
    """The flags of each text in another order, the same at every call and in every batch."""
    drawn = torch.as_tensor(np.random.default_rng(0).random(flags.shape[1]), device=flags.device)
    order = drawn.expand(flags.shape).masked_fill(~query, 2).argsort(1)  # the text's own tokens first
    slots = torch.arange(query.shape[1], device=query.device).masked_fill(~query, 1 << 30).argsort(1)
    return torch.zeros_like(flags).scatter(1, slots, flags.gather(1, order)) & query


def entropies(pattern: Tensor, logits: Tensor | None = None) -> Tensor:
    """Entropy of each query's attention in nats, `[rows, heads, tokens]`.

    Args:
        pattern: attention `[rows, heads, tokens, tokens]`.
        logits: what the softmax was taken of; with them no logarithm of the pattern is needed.
    """
    if logits is None:
        return torch.special.entr(pattern).sum(-1)
    peak = _peaks(pattern)[..., None]
    # log A[k] = logits[k] - logits[peak] + log A[peak]; what is masked counts 0 times something finite.
    below = (logits.float() - logits.gather(-1, peak).float()).clamp_(min=-1e4)
    return -below.mul_(pattern).sum(-1) - pattern.gather(-1, peak)[..., 0].log()


def measure(pattern: Tensor, entropy: Tensor, text: Text) -> tuple[Tensor, Tensor]:
    """Numerators and denominators of `MEASURES`, in their order.

    Args:
        pattern: attention `[rows, heads, tokens, tokens]`, zero for k > q.
        entropy: its `entropies`.
        text: of these rows.

    Returns:
        Two tensors `[rows, heads, measures]`; the denominator is 0 where a text cannot say anything.
    """
    position = torch.arange(pattern.shape[-1], device=pattern.device, dtype=pattern.dtype)
    pattern, first = pattern.contiguous(), pattern[..., 0]
    distance = position - pattern @ position
    # The first token lies at distance q: its part is taken out before the rest is scaled up.
    without_first = (distance - first * position) / (1 - first).clamp(min=1e-6)
    previous = torch.nn.functional.pad(pattern.diagonal(-1, 2, 3), (1, 0))
    far, flagged = _far_sums(pattern, text.far).split([1, 4], 1)
    values = [distance, distance, without_first, entropy, entropy, entropy.exp()]
    values += [previous, pattern.diagonal(0, 2, 3), first]
    shares = (flagged / far.clamp(min=1e-9)).transpose(1, 2)
    sums = (torch.cat([torch.stack(values, 2), shares], 2) * text.weights[:, None]).sum(-1)
    plain, lifts = sums.split([9, 4], -1)
    hits = torch.stack([plain[..., 6], *_pair_sums(pattern, text.same)], -1)
    # Sum of A*P over the sum of A, which is the text's length; 1 - T mean|A - P|, P being 0 or 1.
    numerators = torch.cat([plain, hits[..., 1:], lifts, hits, 2 * hits - text.n_pairs], -1)
    return numerators, text.denominators.expand_as(numerators)


def _far_sums(pattern: Tensor, columns: Tensor) -> Tensor:
    """Attention to keys more than `NEAR` tokens back, weighted by columns `[rows, n, tokens]`.

    Right for queries that have such keys, `[rows, n, heads, tokens]`. The keys nearby are zero for the length
    of one product and are then put back, so that neither a copy is needed nor a difference of near equals.
    """
    n_rows, n_heads, length, _ = pattern.shape
    shape = (n_rows * n_heads, max(length - NEAR, 0), NEAR + 1)
    # Row q of this view is A[q, q - NEAR] to A[q, q], for q >= NEAR.
    start = pattern.storage_offset() + NEAR * length
    near = pattern.as_strided(shape, (length * length, length + 1, 1), start)
    kept = near.clone()
    near.zero_()
    sums = columns @ pattern.flatten(1, 2).transpose(1, 2)
    near.copy_(kept)
    return sums.unflatten(-1, (n_heads, length))


def _pair_sums(pattern: Tensor, same: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Attention to earlier equal tokens, and to what followed them, summed over a text, `[rows, heads]`."""
    flat = pattern.flatten(2)
    equal = [rows.index_select(1, pairs).sum(-1) for rows, pairs in zip(flat, same, strict=True)]
    after = [rows.index_select(1, pairs + 1).sum(-1) for rows, pairs in zip(flat, same, strict=True)]
    return torch.stack(equal), torch.stack(after)


def offset_sums(pattern: Tensor, weights: Tensor) -> Tensor:
    """Attention by how far back it looks: sum over q of weight[q] A[q, q - offset], the first token left out.

    Args:
        pattern: attention `[rows, heads, tokens, tokens]`, zero for k > q.
        weights: of each query, `[rows, heads, n, tokens]`.

    Returns:
        `[rows, heads, n, tokens]`, by offset from 0 to tokens - 1.
    """
    n_rows, n_heads, length, _ = pattern.shape
    square = length * length
    flat = pattern.contiguous().view(-1)
    # Row q of this view is A[q, q - length + 1] to A[q, q]: one row further is one column further. What lies
    # left of the text's beginning is the end of the row above, where k > q and A is zero.
    skewed = flat.as_strided(
        (n_rows * n_heads, length - 1, length), (square, length + 1, 1), flat.storage_offset() + 2
    )
    sums = torch.bmm(weights[..., 1:].flatten(0, 1), skewed).flip(-1).unflatten(0, (n_rows, n_heads))
    sums[..., 1:] -= weights[..., 1:] * pattern[:, :, None, 1:, 0]
    return sums


class OffsetFit:
    """How much of a head relative offset alone explains: fitted on some texts, scored on others.

    Two predictions of A[q, k], q >= `FIRST_ROW`, k >= 1, from the offset q - k: its mean over the fitted
    texts, and a softmax over offset scores, which knows that rows add up to 1.
    """

    def __init__(self, n_layers: int, n_heads: int, longest: int, device: torch.device) -> None:
        shape = (n_layers, n_heads, longest)
        self.sums = torch.zeros(*shape[:2], 2, longest, dtype=torch.double, device=device)
        self.peaks = torch.zeros(*shape[:2], longest + 1, dtype=torch.double, device=device)
        self.n_rows = torch.zeros(n_layers, longest, dtype=torch.double, device=device)

    def add(self, pattern: Tensor, text: Text, layer: int) -> None:
        """Adds texts of the fitting half."""
        sums, rows = _by_offset(pattern, text)
        length = rows.shape[-1]
        self.sums[layer, :, :, :length] += sums.sum(0)
        self.n_rows[layer, :length] += rows.sum(0)
        peaks = _peak_offsets(pattern).masked_fill(text.query[:, None] == 0, self.peaks.shape[-1] - 1)
        peaks = peaks.transpose(0, 1).flatten(1)
        self.peaks[layer].scatter_add_(1, peaks, torch.ones_like(peaks, dtype=torch.double))

    def finish(self) -> None:
        """Ends the fit: mean attention by offset `profile`, offset scores, and the commonest peak `peak`."""
        pairs = _pairs(self.n_rows)
        self.profile = (self.sums[:, :, 0] / pairs.clamp(min=1)[:, None]).float()
        self.average = (self.sums[:, :, 0].sum(-1) / pairs.sum(-1, keepdim=True)).float()
        self.peak = self.peaks[..., :-1].argmax(-1)
        self.scores, self.log_total = _offset_scores(self.sums[:, :, 1], self.n_rows)

    def score(self, pattern: Tensor, entropy: Tensor, text: Text, layer: int) -> tuple[Tensor, Tensor]:
        """Numerators and denominators of `HELD_OUT`, `[rows, heads, 3]`; the first two say what is *not*
        explained.
        """
        sums, rows = _by_offset(pattern, text)
        length, query = rows.shape[-1], text.query[:, None]
        n_pairs, first = _pairs(rows), pattern[..., 0]
        squares = ((torch.linalg.vecdot(pattern, pattern) - first**2) * rows[:, None]).sum(-1)
        profile, average = self.profile[layer, :, :length], self.average[layer]
        missed = squares - 2 * (sums[:, :, 0] * profile).sum(-1) + (n_pairs[:, None] * profile**2).sum(-1)
        spread = squares - 2 * average * sums[:, :, 0].sum(-1) + average**2 * n_pairs.sum(-1)[:, None]
        inner = (1 - first).clamp(min=1e-6)
        scaled = (entropy - torch.special.entr(first)) / inner + inner.log()  # with the first token left out
        scaled = (scaled * rows[:, None]).sum(-1)
        fitted = (rows[:, None] * self.log_total[layer, :, :length]).sum(-1)
        fitted = fitted - (sums[:, :, 1] * self.scores[layer, :, :length]).sum(-1)
        uniform = (rows * torch.arange(length, device=rows.device).clamp(min=1).log()).sum(-1)[:, None]
        hits = ((_peak_offsets(pattern) == self.peak[layer][:, None]) * query).sum(-1)
        numerators = (missed, fitted - scaled, hits)
        denominators = (spread, uniform - scaled, query.sum(-1).expand_as(hits))
        return torch.stack(numerators, -1), torch.stack(denominators, -1)


def _pairs(rows: Tensor) -> Tensor:
    """How many pairs of query and key lie at each offset: query q has the offsets 0 to q - 1."""
    return rows.flip(-1).cumsum(-1).flip(-1) - rows


def _by_offset(pattern: Tensor, text: Text) -> tuple[Tensor, Tensor]:
    """Offset sums of A and of A scaled to add up to 1 without the first token; and the queries counted."""
    rows = text.query * (torch.arange(pattern.shape[-1], device=pattern.device) >= FIRST_ROW)
    inner = (1 - pattern[..., 0]).clamp(min=1e-6)
    weights = torch.stack([rows[:, None].expand_as(inner), rows[:, None] / inner], 2)
    return offset_sums(pattern, weights), rows


def _peak_offsets(pattern: Tensor) -> Tensor:
    return torch.arange(pattern.shape[-1], device=pattern.device) - _peaks(pattern)


def _peaks(pattern: Tensor) -> Tensor:
    """The key that each query attends to most."""
    on_cpu = pattern.device.type == "cpu"  # where NumPy finds it four times faster
    return torch.from_numpy(pattern.numpy().argmax(-1)) if on_cpu else pattern.argmax(-1)


def _offset_scores(sums: Tensor, n_rows: Tensor) -> tuple[Tensor, Tensor]:
    """Scores b, so that softmax over k of b(q - k) fits the rows best, and for each q the log of its total.

    Maximum likelihood by generalised iterative scaling (Darroch & Ratcliff 1972): each pair has one offset,
    so a step scales every offset by what was seen over what is expected.

    Args:
        sums: of rows that add up to 1, by offset `[layers, heads, tokens]`.
        n_rows: rows by q, `[layers, tokens]`.
    """
    seen = sums.clamp(min=1e-9)
    log_scores = torch.zeros_like(seen)
    for _ in range(300):
        weights = log_scores.exp()
        per_row = n_rows[:, None] / weights.cumsum(-1).roll(1, -1)  # query q has offsets 0 to q - 1
        per_row[..., 0] = 0
        expected = weights * _pairs(per_row)
        log_scores = log_scores + (seen / expected.clamp(min=1e-9)).log().masked_fill(expected <= 0, 0)
        log_scores = log_scores - log_scores.amax(-1, keepdim=True)
    log_total = torch.nn.functional.pad(log_scores.logcumsumexp(-1)[..., :-1], (1, 0))
    return log_scores.float(), log_total.float()
