"""Texts in a model's tokens, each token with its labels."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from workbench.corpora.stories import story_at
from workbench.corpora.stories.labels import LABELS, Spans, guess, label
from workbench.engine.models import context_length
from workbench.engine.tokens import begin, encode
from workbench.errors import UserError

FRESH = 1_000_000  # stories from this number on: the corpus of 01_stories never gets that far


@dataclass(frozen=True)
class LabelledTokens:
    """Texts in a model's tokens, and the labels of every token."""

    texts: list[str]  #: as far as they fit into the context
    rows: list[list[int]]  #: tokens of each text, its beginning-of-text token (where there is one) first
    pieces: list[list[str]]  #: the characters of every token behind that one
    labels: list[np.ndarray]  #: bool `[tokens, labels]` for the same tokens
    names: list[str]  #: of the labels
    first: int  #: 1 if rows start with a beginning-of-text token, else 0
    cut: int  #: how many texts were longer than the context

    def __len__(self) -> int:
        return len(self.rows)


def simulated_stories(n: int, seed: int) -> list[tuple[str, Spans]]:
    """n stories that no model was trained on, with their exact labels."""
    stories = (story_at(FRESH + index, seed=seed) for index in range(n))
    return [(story.text, label(story)) for story in stories]


def guess_labels(texts: Sequence[str]) -> list[tuple[str, Spans]]:
    """Any other texts, with labels guessed from spelling and word lists."""
    return [(text, guess(text)) for text in texts]


def label_tokens(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, labelled: Sequence[tuple[str, Spans]]
) -> LabelledTokens:
    """Texts with labelled spans, in tokens: a token has a label if it holds a character of one of its spans.

    Raises:
        UserError: no text, an empty one, a tokenizer that cannot say where its tokens lie, or that gives
            tokens the model does not have.
    """
    texts = [text for text, _ in labelled]
    if not texts or not all(texts):
        raise UserError("There is no text, or an empty one: give at least one word of text.")
    if not tokenizer.is_fast:
        raise UserError("The tokenizer cannot say where its tokens lie: load the fast one (tokenizer.json).")
    first = len(begin(tokenizer))
    n_tokens = context_length(model) - first
    options: dict[str, Any] = {"add_special_tokens": False, "split_special_tokens": True, "verbose": False}
    offsets = tokenizer(texts, return_offsets_mapping=True, **options)["offset_mapping"]
    n_cut = sum(len(ends) > n_tokens for ends in offsets)
    offsets = [ends[:n_tokens] for ends in offsets]
    return LabelledTokens(
        [text[: ends[-1][1]] for text, ends in zip(texts, offsets, strict=True)],
        [row[: n_tokens + first] for row in encode(tokenizer, texts)],
        [_pieces(text, ends) for text, ends in zip(texts, offsets, strict=True)],
        [_in_tokens(spans, np.array(ends)) for (_, spans), ends in zip(labelled, offsets, strict=True)],
        list(LABELS),
        first,
        n_cut,
    )


def _pieces(text: str, offsets: Sequence[tuple[int, int]]) -> list[str]:
    # From one token's end to the next: some tokenizers leave the space before a word to no token.
    ends = [0, *(end for _, end in offsets)]
    return [text[before:end] for before, end in pairwise(ends)]


def _in_tokens(spans: Spans, offsets: np.ndarray) -> np.ndarray:
    flags = np.zeros((len(offsets), len(LABELS)), dtype=bool)
    for column, name in enumerate(LABELS):
        for start, end in spans[name]:
            flags[:, column] |= (offsets[:, 0] < end) & (offsets[:, 1] > start)
    return flags
