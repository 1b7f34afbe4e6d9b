"""The card of one cell of an atlas: scores, a head over a text, coloured tokens, texts side by side."""

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from workbench.charts.view import Texts
from workbench.errors import UserError
from workbench.sanitize import sanitize

__all__ = ["Attention", "Card", "Strip", "card_record"]

MAX_TOKENS = 1024  # half a million weights; more cannot be read on a screen


@dataclass(frozen=True)
class Attention:
    """One head's attention over a text."""

    tokens: Sequence[str]  #: T display strings, as they stand in the running text (" the", not "Ġthe")
    weights: np.ndarray  #: [T, T]; row i holds what token i looks at. Only the lower triangle is read.


@dataclass(frozen=True)
class Strip:
    """Tokens of a text, each coloured by a number."""

    title: str  #: names the number
    tokens: Sequence[str]  #: T display strings
    values: Sequence[float] | np.ndarray  #: T numbers; NaN where a token has none
    unit: str = ""  #: of the values, such as "nats"
    #: colour both sides of zero (purple below, orange above); otherwise from low to high.
    diverging: bool = True


@dataclass(frozen=True)
class Card:
    """What the atlas shows of one cell."""

    title: str  #: heads the card
    facts: Sequence[tuple[str, str]] = ()  #: names and written values
    attention: Attention | None = None  #: a head view
    strips: Sequence[Strip] = ()  #: coloured tokens
    #: dicts as `Texts` takes them: `label`, `text` and, where wanted, `marks`.
    texts: Sequence[Mapping[str, Any]] = ()


def card_record(card: Card) -> dict[str, Any]:
    """Return a card as JSON, its texts made visible and its attention packed into bytes.

    Raises:
        UserError: attention over no text, over too many tokens, or with NaN.
        ValueError: a strip has not one value a token, or the weights are not [T, T].
    """
    texts = Texts(card.texts, "", "").record
    return {
        "title": sanitize(card.title, 200),
        "facts": [[sanitize(name, 100), _unbroken(sanitize(value, 300))] for name, value in card.facts],
        "attention": _packed(card.attention) if card.attention else None,
        "strips": [_strip(strip) for strip in card.strips],
        "texts": texts["items"],
        "kinds": texts["kinds"],
        "looks": texts["looks"],
    }


def _unbroken(value: str) -> str:
    """A written value whose interval stays in one line."""
    return re.sub(r"\[[^\]]*\]", lambda interval: interval[0].replace(" ", "\u00a0"), value)


def _packed(attention: Attention) -> dict[str, Any]:
    """Pack the lower triangle, row by row, as base64 of bytes q: weight = scale of its row · (q / 255)².

    The square root keeps what a head gives to many tokens apart from nothing, beside a first token that
    takes nearly all; a weight is right to within 1/255 of the largest in its row.
    """
    weights, count = np.asarray(attention.weights, dtype=float), len(attention.tokens)
    if weights.shape != (count, count):
        raise ValueError(f"Attention of shape {weights.shape} does not fit {count} tokens.")
    if not 0 < count <= MAX_TOKENS:
        raise UserError(f"Attention over {count:,} tokens cannot be shown: take 1 to {MAX_TOKENS:,} tokens.")
    rows, columns = np.tril_indices(count)
    lower = weights[rows, columns]
    if not (np.isfinite(lower).all() and (lower >= 0).all()):
        raise UserError("The attention holds NaN or negative weights: check the model's weights.")
    scales = [float(f"{scale:.4g}") for scale in np.tril(weights).max(axis=1)]
    share = lower / np.where(np.asarray(scales) > 0, scales, 1)[rows]
    codes = np.rint(255 * np.sqrt(share.clip(0, 1))).astype(np.uint8)
    return {
        "tokens": [sanitize(token, 200) for token in attention.tokens],
        "scales": scales,
        "weights": base64.b64encode(codes.tobytes()).decode("ascii"),
    }


def _strip(strip: Strip) -> dict[str, Any]:
    values = np.asarray(strip.values, dtype=float)
    if values.shape != (len(strip.tokens),):
        raise ValueError(f"Strip '{strip.title}': {values.size} values for {len(strip.tokens)} tokens.")
    return {
        "title": sanitize(strip.title, 200),
        "tokens": [sanitize(token, 200) for token in strip.tokens],
        "values": [float(f"{value:.4g}") if np.isfinite(value) else None for value in values],
        "unit": sanitize(strip.unit, 60),
        "diverging": bool(strip.diverging),
    }
