"""Measures of attention heads, as sums over one batch of patterns that need not be kept.

A[q, k] is a head's attention from token q to token k <= q; rows add up to 1; token 0 begins the text. Means
are over q >= 1, and every measure is a numerator and a denominator for each text, so that intervals can be
drawn over texts. Sources: Voita et al. 2019 (arXiv 1905.09418, positional heads), Olsson et al. 2022 (arXiv
2209.11895, induction), TransformerLens' head detector (`_mul`, `_abs`).
"""

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
    """What the measures need to know of a batch of texts, whatever the head.

    Args:
        ids: tokens `[rows, tokens]`, padded on the right.
        lengths: tokens of each text, `[rows]`.
        names: bool `[rows, tokens]`: tokens of names.
        nouns: the same for other nouns.

    Attributes:
        query: `[rows, tokens]`, 1 for q >= 1 that is no padding.
        lengths: tokens of each text, `[rows]`.
        masks: `[rows, tokens, tokens, 7]`, 1 where k is an earlier equal token; where k follows one; where
            k is more than `NEAR` tokens back; where it is a name there, or a noun; the same two with names
            and nouns in random places. The first token is in none of them.
    """

    def __init__(self, ids: Tensor, lengths: Tensor, names: Tensor, nouns: Tensor) -> None:
        position = torch.arange(ids.shape[1], device=ids.device)
        query = (position >= 1) & (position < lengths[:, None])
        both = query[:, :, None] & query[:, None, :] & (position[None] < position[:, None])
        same = (ids[:, :, None] == ids[:, None, :]) & both
        follows = same.roll(1, 2)
        follows[:, :, 0] = False
        far = both & (position[None] < position[:, None] - NEAR)
        flags = (names, nouns, _shuffled(names, query), _shuffled(nouns, query))
        masks = [same, follows, far, *(far & flag[:, None] for flag in flags)]
        self.query, self.lengths, self.masks = query.float(), lengths.float(), torch.stack(masks, -1).float()


def _shuffled(flags: Tensor, query: Tensor) -> Tensor:
    """The flags of each text in another order, the same at every call and in every batch."""
    drawn = torch.as_tensor(np.random.default_rng(0).random(flags.shape[1]), device=flags.device)
    order = drawn.expand(flags.shape).masked_fill(~query, 2).argsort(1)  # the text's own tokens first
    slots = torch.arange(query.shape[1], device=query.device).masked_fill(~query, 1 << 30).argsort(1)
    return torch.zeros_like(flags).scatter(1, slots, flags.gather(1, order)) & query


def entropies(pattern: Tensor) -> Tensor:
    """Entropy of each query's attention in nats, `[rows, heads, tokens]`."""
    length = pattern.shape[-1]
    # In pieces of 64 queries, none of which looks beyond its end: half of the square is zero.
    pieces = [pattern[..., at : at + 64, : at + 64] for at in range(0, length, 64)]
    return torch.cat([torch.special.entr(piece).sum(-1) for piece in pieces], -1)


def measure(pattern: Tensor, entropy: Tensor, text: Text) -> tuple[Tensor, Tensor]:
    """Numerators and denominators of `MEASURES`, in their order.

    Args:
        pattern: attention `[rows, heads, tokens, tokens]`.
        entropy: its `entropies`.
        text: the masks of these rows.

    Returns:
        Two tensors `[rows, heads, measures]`; the denominator is 0 where a text cannot say anything.
    """
    query = text.query[:, None]
    position = torch.arange(pattern.shape[-1], device=pattern.device, dtype=pattern.dtype)
    first = pattern[..., 0]
    previous = torch.nn.functional.pad(pattern.diagonal(-1, 2, 3), (1, 0))
    distance = position - pattern @ position
    inner = (1 - first).clamp(min=1e-6)
    seen = torch.stack([rows.transpose(0, 1) @ mask for rows, mask in zip(pattern, text.masks, strict=True)])
    duplicate, induction, far, *flagged = seen.permute(3, 0, 2, 1)
    counts = text.masks.sum(2)[:, None]  # [rows, 1, tokens, 7]: keys that each mask offers a query
    n_same, n_follow, n_far, *n_flagged = counts.unbind(-1)
    values = {  # and the queries that they are means over
        "distance": (distance, query),
        "relative_distance": (distance / position.clamp(min=1), query),
        # The first token lies at distance q: its part is taken out before the rest is scaled up.
        "distance_without_first": ((distance - first * position) / inner, query),
        "entropy": (entropy, query),
        "normalised_entropy": (entropy / (position + 1).log().clamp(min=1e-6), query),
        "effective_tokens": (entropy.exp(), query),
        "previous_token": (previous, query),
        "self": (pattern.diagonal(0, 2, 3), query),
        "first_token": (first, query),
        "duplicate": (duplicate, (n_same > 0).float()),
        "induction": (induction, (n_follow > 0).float()),
    }
    lifts = ("name_lift", "noun_lift", "shuffled_name_lift", "shuffled_noun_lift")
    for name, attention, number in zip(lifts, flagged, n_flagged, strict=True):
        share, chance = attention / far.clamp(min=1e-9), number / n_far.clamp(min=1)
        values[name] = (share / chance.clamp(min=1e-9), (number > 0).float())
    sums = {name: ((value * rows).sum(-1), rows.sum(-1)) for name, (value, rows) in values.items()}
    for name, number in (("previous_token", query), ("duplicate", n_same), ("induction", n_follow)):
        hit, length = (values[name][0] * query).sum(-1), text.lengths[:, None]
        sums[f"{name}_mul"] = hit, length  # sum of A*P over the sum of A, which is the text's length
        sums[f"{name}_abs"] = 2 * hit - number.sum(-1), length  # 1 - T mean|A - P|, P being 0 or 1
    numerators, denominators = zip(*(torch.broadcast_tensors(*sums[name]) for name in MEASURES), strict=True)
    return torch.stack(numerators, -1), torch.stack(denominators, -1)


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
    skewed = flat.as_strided((n_rows * n_heads, length - 1, length), (square, length + 1, 1), 2)
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
        squares = ((torch.einsum("bhqk,bhqk->bhq", pattern, pattern) - first**2) * rows[:, None]).sum(-1)
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
    on_cpu = pattern.device.type == "cpu"  # where NumPy finds it four times faster
    peaks = torch.from_numpy(pattern.numpy().argmax(-1)) if on_cpu else pattern.argmax(-1)
    return torch.arange(pattern.shape[-1], device=pattern.device) - peaks


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
