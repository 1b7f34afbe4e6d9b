"""Examples laid out in rows of one length, so that training never computes on much padding."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, cast

import numpy as np
from torch.utils.data import Dataset

from workbench.engine.batches import padded
from workbench.engine.tokens import encode, encode_pairs
from workbench.errors import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

logger = logging.getLogger(__name__)
Example = str | tuple[str, str]
IGNORED = -100  # the target of a token that is not learnt


@dataclass(frozen=True)
class Blocks:
    """Rows of tokens `[rows, context]`, int32."""

    ids: np.ndarray  #: tokens
    targets: np.ndarray  #: for each token the one that follows, or `IGNORED`
    positions: np.ndarray  #: place of each token in its document; one below its neighbour's starts a document

    def digest(self) -> str:
        """Fingerprint of the content."""
        parts = (self.ids, self.targets, self.positions)
        return hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest()


class Order(Dataset):
    """Row numbers in the order of training: every pass shuffled anew, from the seed alone, or none."""

    def __init__(self, rows: int, length: int, seed: int, in_order: bool = False) -> None:
        numbers = range(-(-length // rows))
        passes = [np.random.default_rng([seed, n]).permutation(rows) for n in numbers]
        if in_order:
            passes = [np.arange(rows) for _ in numbers]
        self.order = np.concatenate(passes)[:length]

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, index: int) -> int:
        return self.order[index]


def pack(
    tokenizer: PreTrainedTokenizerFast, examples: Sequence[Example], context: int, one_per_row: bool = False
) -> Blocks:
    """Lay out texts (every token is learnt) or (prompt, completion) pairs (only completions are).

    Examples stay whole, several to a row (first fit, longest first): a story that lost its beginning cannot
    teach who is who. A text longer than a row is cut into rows; a pair that long loses its end, and is left
    out where its prompt fills the row. Each example ends with the end-of-text token.

    Args:
        tokenizer: needs an end-of-text token.
        examples: all texts or all pairs.
        one_per_row: keep documents apart, for models that cannot tell where in a row one begins.

    Raises:
        UserError: no examples, a mixture of both kinds, or nothing left to learn.
    """
    if not len(examples):
        raise UserError("There are no examples to train on.")
    texts = [example for example in examples if isinstance(example, str)]
    asked = [example for example in examples if not isinstance(example, str)]
    if texts and asked:
        raise UserError("Examples must be all texts or all (prompt, completion) pairs.")
    end = [end_token(tokenizer)]
    if texts:
        # One more token than a row holds: the last is only a target.
        pieces = [
            (row[at : at + context + 1], 1)
            for row in (row + end for row in encode(tokenizer, texts))
            for at in range(0, len(row) - 1, context)
        ]
    else:
        pairs = encode_pairs(tokenizer, asked)
        pieces = _within([(prompt + rest + end, max(1, len(prompt))) for prompt, rest in pairs], context)
    if not pieces:
        raise UserError(f"No example has anything to learn within {context} tokens: raise the context.")
    return _fill([[piece] for piece in pieces] if one_per_row else _first_fit(pieces, context), context)


def end_token(tokenizer: PreTrainedTokenizerFast) -> int:
    """The token that ends a text.

    Raises:
        UserError: there is none.
    """
    if tokenizer.eos_token_id is None:
        raise UserError(
            "The tokenizer has no end-of-text token, so a model cannot learn to end: set eos_token in its "
            "tokenizer_config.json, or take another model."
        )
    return cast(int, tokenizer.eos_token_id)


def separated(blocks: Blocks) -> Blocks:
    """Each document that teaches something in a row of its own; rows are as long as the longest of them."""
    pieces = []
    for ids, targets, positions in zip(blocks.ids, blocks.targets, blocks.positions, strict=True):
        starts = [0, *(np.flatnonzero(np.diff(positions) != 1) + 1), len(ids)]
        for begin, end in pairwise(starts):
            learnt = np.flatnonzero(targets[begin:end] != IGNORED)
            if len(learnt):
                last = begin + learnt[-1] + 1
                pieces.append((ids[begin:last], targets[begin:last], positions[begin:last]))
    if not pieces:
        return blocks
    columns = zip(*pieces, strict=True)
    return Blocks(
        *(padded(column, fill).numpy() for column, fill in zip(columns, (0, IGNORED, 0), strict=True))
    )


def _within(pairs: list[tuple[list[int], int]], context: int) -> list[tuple[list[int], int]]:
    """As much of each pair as a row holds, if that is more than the prompt."""
    kept = [
        (tokens[: context + 1], learnt) for tokens, learnt in pairs if min(len(tokens), context + 1) > learnt
    ]
    if missing := len(pairs) - len(kept):
        says = "%d of %d examples are left out: their prompts fill the %d tokens of a row."
        logger.warning(says, missing, len(pairs), context)
    if cut := sum(len(tokens) > context + 1 > learnt for tokens, learnt in pairs):
        says = "%d of %d examples lose their end: they have more than the %d tokens of a row."
        logger.warning(says, cut, len(pairs), context)
    return kept


def _first_fit(documents: list[tuple[list[int], int]], context: int) -> list[list[tuple[list[int], int]]]:
    order = sorted(range(len(documents)), key=lambda index: -len(documents[index][0]))
    rows: list[list[tuple[list[int], int]]] = []
    by_room: list[list[int]] = [[] for _ in range(context + 1)]  # rows by how many tokens they still take
    for index in order:
        need = len(documents[index][0]) - 1
        room = next((room for room in range(need, context + 1) if by_room[room]), None)
        if room is None:
            rows.append([])
            row, room = len(rows) - 1, context
        else:
            row = by_room[room].pop()
        rows[row].append(documents[index])
        by_room[room - need].append(row)
    return rows


def _fill(rows: list[list[tuple[list[int], int]]], context: int) -> Blocks:
    ids = np.zeros((len(rows), context), dtype=np.int32)
    targets = np.full((len(rows), context), IGNORED, dtype=np.int32)
    # Padding is a document of its own, that nothing is learnt from.
    positions = np.zeros((len(rows), context), dtype=np.int32)
    for row, pieces in enumerate(rows):
        at = 0
        for tokens, learnt in pieces:
            end = at + len(tokens) - 1
            ids[row, at:end] = tokens[:-1]
            targets[row, at + learnt - 1 : end] = tokens[learnt:]
            positions[row, at:end] = np.arange(end - at)
            at = end
        positions[row, at:] = np.arange(context - at)
    return Blocks(ids, targets, positions)
