"""The model, the texts and their labels that 03_attention_heads looks at."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from workbench.corpora.labelled_tokens import LabelledTokens, guess_labels, label_tokens, simulated_stories
from workbench.corpora.stories.labels import GROUPS
from workbench.engine import loading
from workbench.errors import UserError
from workbench.studies.tiny_models import ladder

NAMES = GROUPS["characters"][:-1]  # the labels of names: all but that of pronouns


@dataclass(frozen=True)
class Sizes:
    """How much is read."""

    texts: int  #: to measure heads on; half choose heads, the other half confirm them
    scored: int  #: texts for the loss when a head is off
    beginnings: int  #: stories continued with a head off
    reply: int  #: tokens of a continuation
    probes: int  #: questions of each name asked with a head off
    pairs: int  #: pairs of texts patched into one another, and of texts whose name is swapped
    repeats: int  #: tokens that each model of the positive control reads
    seeds: int  #: trainings of each of its arms


SIZES = {  # profile: texts, scored, beginnings, reply, probes, pairs, repeats, seeds
    "quick": Sizes(80, 16, 12, 32, 2, 8, 450_000, 1),
    "laptop": Sizes(600, 100, 60, 100, 20, 60, 1_000_000, 5),
    "paper": Sizes(2_000, 500, 300, 100, 100, 200, 2_000_000, 5),
}


def choose_sizes(params: Any) -> Sizes:
    """The profile's sizes; `n_texts` replaces the number of texts measured, `seeds` that of trainings."""
    sizes = SIZES[params.profile]
    sizes = replace(sizes, seeds=params.seeds or sizes.seeds)
    if params.n_texts is None:
        return sizes
    if params.n_texts < 16:
        raise UserError(f"n_texts={params.n_texts} is too few: half choose heads and half confirm; give 16.")
    return replace(sizes, texts=params.n_texts)


def load_model(
    name: str, trained: Path | None, profile: str, device: str
) -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """The model to look into: one that is given, or the largest of 02's ladder, or the preset trained there.

    Args:
        name: starter, a folder or hub id, ladder, or a preset.
        trained: folder of 02's models, if it is one of them.
        profile: whose ladder.
        device: a torch device, or auto.
    """
    if trained is None:
        return loading.load(name, device)
    if name == "ladder":
        name = ladder.largest(ladder.SIZES[profile].rungs)
    return loading.load(ladder.trained(trained, name), device)


Corpus = tuple[list[list[int]], list[np.ndarray]]
"""Tokens of texts, and `flags` for them."""


def read_texts(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    stories: Sequence[str],
    n: int,
    seed: int,
    *,
    exact: bool,
    given: bool,
) -> tuple[LabelledTokens, Corpus, Corpus, list[list[int]]]:
    """Texts that the model was not trained on: new ones of the simulator, or held-out ones of the data.

    `n` texts are measured; they are `exact` if the simulator writes them; the model is `given` if it is none
    of 02's, so that more of the data are held out (`ladder.split`).

    Returns:
        All texts; half of the measured ones to choose heads on, the other half to confirm them; and as many
        again for means, or all of the others.

    Raises:
        UserError: there are too few texts.
    """
    if exact:
        labelled = simulated_stories(2 * n, seed)
    else:
        labelled = guess_labels(ladder.split(stories, seed, given=given)[1][: 2 * n])
    if len(labelled) < 16:
        raise UserError(
            f"Measuring heads needs 16 held-out texts, and there are {len(labelled)}: give more data."
        )
    texts = label_tokens(model, tokenizer, labelled)
    n = min(n, len(texts) // 2)
    flagged, halves = flags(texts), (slice(n // 2), slice(n // 2, n))
    corpora = [(texts.rows[half], flagged[half]) for half in halves]
    return texts, *corpora, texts.rows[n:]


def opening(texts: LabelledTokens) -> str:
    """The first text up to the end of the sentence that its 70th word stands in, for people to look at."""
    text = texts.texts[0]
    sentences = (text[: match.end()] for match in re.finditer(r"[.!?][\"”]?", text))
    return next((beginning for beginning in sentences if len(beginning.split()) >= 70), text)


def flags(texts: LabelledTokens) -> list[np.ndarray]:
    """For each token of each row whether it belongs to a name, and to another noun: bool `[tokens, 2]`."""
    names, noun = [texts.names.index(name) for name in NAMES], texts.names.index("noun")
    first = np.zeros((texts.first, 2), dtype=bool)
    columns = (np.stack([label[:, names].any(1), label[:, noun]], 1) for label in texts.labels)
    return [np.concatenate([first, column]) for column in columns]
