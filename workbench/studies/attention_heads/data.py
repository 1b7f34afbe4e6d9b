"""The model, the texts and their labels that 03_attention_heads looks at."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from workbench.corpora.labelled_tokens import LabelledTokens, guess_labels, label_tokens, simulated_stories
from workbench.engine import loading
from workbench.errors import UserError
from workbench.studies.tiny_models import ladder

NAMES = (
    "main character, introduced",
    "main character, again",
    "other character, introduced",
    "other character, again",
)


@dataclass(frozen=True)
class Sizes:
    """How much is read.

    Attributes:
        texts: to measure heads on; half choose heads, the other half confirm them.
        scored: texts for the loss when a head is off.
        beginnings: stories continued with a head off.
        probes: questions of each name asked with a head off.
        pairs: pairs of texts patched into one another, and of texts whose name is swapped.
        repeats: tokens that the model trained on repeats reads.
    """

    texts: int
    scored: int
    beginnings: int
    probes: int
    pairs: int
    repeats: int


SIZES = {
    "tiny": Sizes(texts=300, scored=60, beginnings=30, probes=20, pairs=30, repeats=700_000),
    "small": Sizes(texts=1_000, scored=200, beginnings=100, probes=50, pairs=100, repeats=2_000_000),
    "paper": Sizes(texts=2_000, scored=500, beginnings=300, probes=100, pairs=200, repeats=2_000_000),
}


def sizes(params: Any) -> Sizes:
    """The profile's sizes; `n_texts` replaces the number of texts measured."""
    chosen = SIZES[params.profile]
    if params.n_texts is None:
        return chosen
    if params.n_texts < 16:
        raise UserError(f"n_texts={params.n_texts} is too few: half choose heads and half confirm; give 16.")
    return replace(chosen, texts=params.n_texts)


def load_model(params: Any, folder: Path) -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """The model to look into: the largest of 02's ladder, the preset trained there, a folder or a hub id."""
    if not ladder.is_ladder(params.model):
        return loading.load(params.model, params.device)
    sized = [rung.name for rung in ladder.SIZES[params.profile].rungs if rung.part == "size"]
    name = sized[-1] if params.model == "ladder" else params.model.removeprefix("tiny:")
    return loading.load(folder / name, params.device)


Corpus = tuple[list[list[int]], list[np.ndarray]]
"""Tokens of texts, and `flags` for them."""


def read_texts(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    stories: Sequence[str],
    sizes: Sizes,
    params: Any,
) -> tuple[LabelledTokens, Corpus, Corpus, list[list[int]]]:
    """Texts that the model was not trained on: new ones of the simulator, or held-out ones of the data.

    Returns:
        All texts; half of the measured ones to choose heads on, the other half to confirm them; and as many
        again for means, or all of the others.

    Raises:
        UserError: there are too few texts.
    """
    if params.data == "embedded":
        labelled = simulated_stories(2 * sizes.texts, params.seed)
    else:
        given = not ladder.is_ladder(params.model)
        labelled = guess_labels(ladder.split(stories, params.seed, given=given)[1][: 2 * sizes.texts])
    if len(labelled) < 16:
        raise UserError(
            f"Measuring heads needs 16 held-out texts, and there are {len(labelled)}: give more data."
        )
    texts = label_tokens(model, tokenizer, labelled)
    flagged, middle = flags(texts), min(sizes.texts, len(texts) // 2)
    corpora = [(texts.rows[a:b], flagged[a:b]) for a, b in ((0, middle // 2), (middle // 2, middle))]
    return texts, *corpora, texts.rows[middle:]


def opening(texts: LabelledTokens, words: int = 70) -> str:
    """The beginning of the first text, at a sentence's end, for people to look at."""
    ends = [match.end() for match in re.finditer(r"[.!?][\"”]?", texts.texts[0])]
    counts = [len(texts.texts[0][:end].split()) for end in ends]
    return next(
        (texts.texts[0][:end] for end, n in zip(ends, counts, strict=True) if n >= words), texts.texts[0]
    )


def flags(texts: LabelledTokens) -> list[np.ndarray]:
    """For each token of each row whether it belongs to a name, and to another noun: bool `[tokens, 2]`."""
    names = [texts.names.index(name) for name in NAMES]
    noun = texts.names.index("noun")
    first = np.zeros((texts.first, 2), dtype=bool)
    columns = (np.stack([label[:, names].any(1), label[:, noun]], 1) for label in texts.labels)
    return [np.concatenate([first, found]) for found in columns]
