"""The model, the texts and their labels that 03_attention_heads looks at."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from workbench.corpora.labelled_tokens import LabelledTokens, guess_labels, label_tokens, simulated_stories
from workbench.corpora.stories.labels import GROUPS, Spans
from workbench.engine import loading
from workbench.engine.cost import measure
from workbench.engine.interpretability.anatomy import anatomy
from workbench.engine.models import SHAPES
from workbench.errors import UserError
from workbench.studies.attention_heads.experiment import OneLayer, Pair
from workbench.studies.attention_heads.groups import FEWEST
from workbench.studies.attention_heads.induction import Shape
from workbench.studies.common.profiles import REAL
from workbench.studies.tiny_models import ladder

STARTER = "starter"
# What work takes, in passes over a text: attention patterns and their measures, a backward pass beside a
# forward one, a pass from a head's layer on, a card of the map.
PATTERNS, BACKWARD, FROM_LAYER, CARD = 3, 3, 0.6, 6
LABELLED = 0.5  # of the texts must hold a name or a noun that the labels know
NAMES = GROUPS["characters"][:-1]  # the labels of names: all but that of pronouns


@dataclass(frozen=True)
class Sizes:
    """How much is read and trained."""

    texts: int  #: to measure heads on; half choose heads, the other half confirm them
    scored: int  #: texts for the loss when heads are off
    beginnings: int  #: stories continued with heads off
    reply: int  #: tokens of a continuation
    alone: bool  #: whether stories are continued, and questions asked, with single heads off as well
    probes: int  #: questions of each name asked with heads off
    pairs: int  #: pairs of texts patched into one another, and of texts whose name is swapped
    asked: int  #: pairs of prompts asked, of which those are patched that are answered rightly
    groups: int  #: random groups of heads that are to cost as much as a quarter by range
    each: int  #: texts on which each of several trained models is measured, as `texts`
    induction: Shape | None  #: the models of the positive control; None: none are trained
    one_layer: OneLayer | None  #: the models of one layer; None: none are trained
    seeds: int  #: trainings of each arm
    ladder: bool  #: whether the claims about heads are on trainings of 02's largest model
    ablated: int | None = None  #: heads of largest estimate that are switched off alone; None: every head
    drawn: int = 0  #: heads drawn at random beside them
    estimated: int = 0  #: texts whose gradients estimate what each head costs
    cards: int | None = None  #: heads on the map whose cards a page carries; None: as many as it can


SIZES = {
    "quick": Sizes(
        texts=72, scored=12, beginnings=12, reply=32, alone=False, probes=2, pairs=10, asked=24, groups=2,
        each=32, induction=Shape(2, 2, 32, 360_000, 32), one_layer=OneLayer(128, 40_000, 4), seeds=1,
        ladder=False,
    ),
    "laptop": Sizes(
        texts=300, scored=40, beginnings=40, reply=60, alone=True, probes=6, pairs=30, asked=60, groups=3,
        each=120, induction=Shape(2, 2, 32, 450_000, 32), one_layer=OneLayer(128, 320_000, 12), seeds=5,
        ladder=True,
    ),
    REAL: Sizes(
        texts=40, scored=8, beginnings=4, reply=30, alone=False, probes=0, pairs=10, asked=60, groups=0,
        each=0, induction=None, one_layer=None, seeds=1, ladder=False, ablated=40, drawn=20, estimated=8,
        cards=24,
    ),
    "paper": Sizes(
        texts=2_000, scored=500, beginnings=300, reply=100, alone=True, probes=100, pairs=200, asked=1_000,
        groups=5, each=1_000, induction=Shape(2, 8, 256, 10_000_000, 64),
        one_layer=OneLayer(1_024, 50_000_000, 160), seeds=5, ladder=True,
    ),
}  # fmt: skip


def choose_sizes(params: Any) -> Sizes:
    """The profile's sizes; `n_texts` replaces the number of texts measured, `seeds` that of trainings."""
    own = ladder.is_ladder(params.model) or params.model == STARTER
    sizes = SIZES[params.profile]
    sizes = replace(sizes, seeds=params.seeds or sizes.seeds)
    if not own:
        sizes = replace(sizes, ladder=False)  # a model that is given is all that the claims are about
    return replace(sizes, texts=params.n_texts or sizes.texts)


def load_model(params: Any, trained: Mapping[int, Pair]) -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """The model to look into: the first training of 02's, or one that is given.

    Args:
        params: model (starter, a folder or hub id, ladder, or a preset) and device.
        trained: 02's models by their seeds, see `load_trained`.
    """
    if ladder.is_ladder(params.model):
        return trained[min(trained)]
    return loading.load(params.model, params.device)


def load_trained(models: Path | None, params: Any, sizes: Sizes) -> dict[int, Pair]:
    """02's trainings of the model asked for (of its largest one unless it is a preset), by their seeds.

    Args:
        models: the artifact `models` of 02's run; None without one.
        params: model, profile, seed and device.
        sizes: how many trainings there are.
    """
    if models is None:
        return {}
    rungs = ladder.SIZES[params.profile].rungs
    name = params.model if params.model in SHAPES else ladder.largest(rungs)
    seeds = range(params.seed, params.seed + (sizes.seeds if sizes.ladder else 1))
    return load_rung(models, name, seeds, params.device)


def load_rung(models: Path, name: str, seeds: Iterable[int], device: str) -> dict[int, Pair]:
    """02's trainings of one model of its ladder, by their seeds; see `load_trained`."""
    return {seed: loading.load(ladder.trained(models, name, seed), device) for seed in seeds}


def notes(model: PreTrainedModel, texts: LabelledTokens) -> list[str]:
    """What cannot be measured of this model, or on these texts: a sentence each."""
    sentences = []
    share = float(np.mean([flag.any() for flag in flags(texts)]))
    if share < LABELLED:
        sentences.append(
            f"Names and nouns are known in {share:.0%} of the texts, since the word lists are English: what "
            "heads give to them, and the claims about that, are not testable here; all else is measured."
        )
    parts = anatomy(model)
    n_heads = parts.n_layers * parts.n_heads
    if n_heads < FEWEST:
        sentences.append(
            f"The model has too few attention heads ({n_heads}) to switch off the quarter of shortest and of "
            "longest range: the claims about range are left out."
        )
    return sentences


def expected(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, texts: LabelledTokens, sizes: Sizes
) -> list[str]:
    """What a look into a given model will take, where only some of its heads are switched off."""
    if sizes.ablated is None or sizes.cards is None:
        return []
    cost, parts = measure(model, tokenizer), anatomy(model)
    length = float(np.mean([len(row) for row in texts.rows]))
    ablations = min(parts.n_layers * parts.n_heads, sizes.ablated + sizes.drawn)
    ablation = FROM_LAYER * sizes.scored * length
    read = length * (PATTERNS * (sizes.texts + 2 * sizes.pairs) + sizes.texts + BACKWARD * sizes.estimated)
    minutes = cost.minutes(read=read + ablations * ablation) + cost.minutes(read=CARD * sizes.cards * length)
    seconds = 60 * cost.minutes(read=ablation)
    return [f"{cost.sentence(minutes)} A head switched off on {sizes.scored} texts takes {seconds:.1f} s."]


Labelled = list[tuple[str, Spans]]
Corpus = tuple[list[list[int]], list[np.ndarray]]
"""Tokens of texts, and `flags` for them."""


def labelled_texts(stories: Sequence[str], n: int, seed: int, *, exact: bool, given: bool) -> Labelled:
    """Texts that no model was trained on, with their labels: new ones of the simulator, or held-out ones.

    Args:
        stories: the data that are given, if any.
        n: texts to measure on; as many again are for means.
        seed: of the simulator, and of what is held out.
        exact: whether the simulator writes them.
        given: whether the model is none of 02's, so that more of the data are held out (`ladder.split`).

    Raises:
        UserError: there are too few texts.
    """
    if exact:
        return simulated_stories(2 * n, seed)
    labelled = guess_labels(ladder.split(stories, seed, given=given)[1][: 2 * n])
    if len(labelled) < 16:
        raise UserError(
            f"Measuring heads needs 16 held-out texts, and there are {len(labelled)}: give more data."
        )
    return labelled


def read_texts(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, labelled: Labelled, n: int
) -> tuple[LabelledTokens, Corpus, Corpus, list[list[int]]]:
    """Texts in a model's tokens.

    Returns:
        All texts; half of the first n to choose heads on, the other half to confirm them; and the tokens of
        all others, for means.
    """
    texts = label_tokens(model, tokenizer, labelled)
    n = min(n, len(texts) // 2)
    flagged, halves = flags(texts), (slice(n // 2), slice(n // 2, n))
    first, second = ((texts.rows[half], flagged[half]) for half in halves)
    return texts, first, second, texts.rows[n:]


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
