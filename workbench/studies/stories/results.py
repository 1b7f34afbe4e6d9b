"""From stories to claims: constraints met, diversity with its baselines, coverage of words."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from workbench.corpora.stories import grade, words
from workbench.engine.encoders import embed
from workbench.errors import UserError
from workbench.measures import samples
from workbench.measures.compression import compression_ratio
from workbench.measures.overlap import distinct, phrase_kernel, self_overlap
from workbench.measures.statistics import bootstrap_difference, bootstrap_mean, wilson
from workbench.measures.vendi import vendi_from_features, vendi_from_kernel
from workbench.measures.vocabulary import coverage
from workbench.measures.vocabulary import words as split_words
from workbench.studies.stories.method import WORD_LIST

if TYPE_CHECKING:
    pass


def constraints(frame: pd.DataFrame) -> pd.DataFrame:
    """For each thing asked for, the share of stories that have it.

    Words count in any form that starts with the word or its past tense. Features are read off by the exact
    grader, which knows the simulator's language only; in other text it finds dialogue and little else.

    Returns:
        columns asked, kind ("word" or "feature"), share, low, high, n.
    """
    found: dict[tuple[str, str], list[bool]] = {}
    for row in frame.itertuples():
        tokens = set(split_words(row.story))
        for kind in ("noun", "verb", "adjective"):
            if word := getattr(row, kind):
                forms = (word, words.past(word)) if kind == "verb" else (word,)
                hit = any(token.startswith(form) for token in tokens for form in forms)
                found.setdefault((kind, "word"), []).append(hit)
        if row.features:
            there = grade(row.story).features
            for feature in row.features.split(", "):
                found.setdefault((feature, "feature"), []).append(feature in there)
    rows = []
    for (asked, kind), hits in found.items():
        share = wilson(sum(hits), len(hits))
        rows.append(
            {
                "asked": asked,
                "kind": kind,
                "share": share.value,
                "low": share.low,
                "high": share.high,
                "n": share.n,
            }
        )
    return pd.DataFrame(rows, columns=["asked", "kind", "share", "low", "high", "n"])


BASELINES = ("one story repeated", "shuffled words")


BLOCK_STORIES, BLOCK_WORDS = 50, 6_000


# on blocks of equally many stories the first three, of equally many words the others
MEASURES = {
    "Vendi score": f"effective number of different stories among {BLOCK_STORIES}, by words and pairs",
    "embedding Vendi": f"effective number of different stories among {BLOCK_STORIES}, by topic (LSA)",
    "closest other story": f"word pairs shared with the closest of {BLOCK_STORIES - 1} other stories (F)",
    "different word pairs": f"share of the word pairs in {BLOCK_WORDS:,} words that are different ones",
    "compression": f"how many times smaller {BLOCK_WORDS:,} words get when compressed",
}


def diversity(
    sets: Mapping[str, Sequence[str]],
    *,
    n_blocks: int = 12,
    seed: int = 0,
) -> pd.DataFrame:
    """Every measure on disjoint blocks of equal size, so that sets compare and have a spread.

    Args:
        sets: name → stories; all must fill at least two blocks of each kind.
        n_blocks: blocks a set at most.
        seed: of the drawing of blocks.

    Returns:
        columns set, block, and one per measure of `MEASURES`.

    Raises:
        UserError: a set fills fewer than two blocks.
    """
    cut = {name: _blocks(name, texts, n_blocks, seed) for name, texts in sets.items()}
    # the embedding takes its weights from the texts: sets that are compared go through one call together
    vectors = embed([text for blocks in cut.values() for stories, _ in blocks for text in stories], seed=seed)
    parts = iter(np.split(vectors, len(vectors) // BLOCK_STORIES))
    rows = [
        {
            "set": name,
            "block": block,
            "Vendi score": vendi_from_kernel(phrase_kernel(stories)),
            "embedding Vendi": vendi_from_features(next(parts)),
            "closest other story": float(np.nanmean(self_overlap(stories).overlap)),
            "different word pairs": distinct(words_cut, 2),
            "compression": compression_ratio(words_cut),
        }
        for name, blocks in cut.items()
        for block, (stories, words_cut) in enumerate(blocks)
    ]
    return pd.DataFrame(rows)


def _blocks(name: str, texts: Sequence[str], n_blocks: int, seed: int) -> list[tuple[list[str], list[str]]]:
    """Pairs of a block of equally many stories and one of equally many words."""
    drawn = samples.equal_texts(texts, len(texts), seed)
    starts = range(0, len(drawn) - BLOCK_STORIES + 1, BLOCK_STORIES)
    by_stories = [drawn[at : at + BLOCK_STORIES] for at in starts]
    by_words = samples.blocks(texts, BLOCK_WORDS, seed) if _count_words(texts) >= BLOCK_WORDS else []
    if min(len(by_stories), len(by_words)) < 2:
        raise UserError(
            f"The {len(texts)} stories of the set “{name}” are too few or too short: raise n_compared, "
            f"so that it has {2 * BLOCK_STORIES} stories and {2 * BLOCK_WORDS} words at least."
        )
    return list(zip(by_stories, by_words, strict=False))[:n_blocks]


def _count_words(texts: Sequence[str]) -> int:
    return sum(len(text.split()) for text in texts)


def with_baselines(sets: Mapping[str, Sequence[str]], *, seed: int = 0) -> dict[str, Sequence[str]]:
    """The sets, a floor (one story again and again) and a ceiling (words shuffled over the first set)."""
    first = next(iter(sets.values()))
    return {
        **sets,
        BASELINES[0]: samples.duplicates(first),
        BASELINES[1]: samples.random_words(first, seed),
    }


def summarise(blocks: pd.DataFrame) -> pd.DataFrame:
    """Mean and 95 % interval over blocks: columns set, measure, value, low, high, n."""
    rows = []
    for name, part in blocks.groupby("set", sort=False):
        for measure in MEASURES:
            mean = bootstrap_mean(part[measure])
            rows.append(
                {
                    "set": name,
                    "measure": measure,
                    "value": mean.value,
                    "low": mean.low,
                    "high": mean.high,
                    "n": mean.n,
                }
            )
    return pd.DataFrame(rows)


def claims(blocks: pd.DataFrame) -> list[dict[str, Any]]:
    """What conditioning does to diversity, by three measures of different kinds, as `run.claim` takes it."""
    steps = {
        "words": ("words", "none", "Asking for three random words"),
        "features": ("words+features", "words", "Asking for features as well"),
    }
    return [
        {
            "name": f"{step}-raise-{measure.replace(' ', '-').lower()}",
            "says": f"{asking} raises the diversity of stories ({measure}).",
            "paper": "Random words and features are the source of diversity (no figure given)",
            "unit": measure,
            "view": "How diverse is each set?",
            **gain(blocks, more, less, measure),
        }
        for measure in ("Vendi score", "embedding Vendi", "different word pairs")
        for step, (more, less, asking) in steps.items()
    ]


def gain(blocks: pd.DataFrame, more: str, less: str, measure: str) -> dict[str, Any]:
    """How much higher a measure is on the blocks of one set than on those of another."""
    value = blocks.set_index("set")[measure]
    difference = bootstrap_difference(value[more], value[less])
    return {"effect": difference.value, "low": difference.low, "high": difference.high, "n": difference.n}


def coverage_curve(sets: Mapping[str, Sequence[str]], points: int = 12) -> pd.DataFrame:
    """Share of the word list met after reading so many stories: columns set, stories, share."""
    rows = []
    for name, texts in sets.items():
        for n in np.unique(np.geomspace(10, len(texts), points).astype(int)):
            rows.append({"set": name, "stories": int(n), "share": coverage(texts[:n], WORD_LIST)})
    return pd.DataFrame(rows)
