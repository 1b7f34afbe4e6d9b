"""From stories to claims: constraints met, diversity with its baselines, coverage of words."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from workbench.claims import Claim
from workbench.corpora.stories import grade, words
from workbench.engine.encoders import embed
from workbench.errors import UserError
from workbench.measures import samples
from workbench.measures.compression import compression_ratio
from workbench.measures.overlap import distinct, phrase_kernel, self_overlap
from workbench.measures.statistics import Interval, bootstrap_difference
from workbench.measures.summaries import summarise_measures, summarise_shares
from workbench.measures.vendi import vendi_from_features, vendi_from_kernel
from workbench.measures.vocabulary import coverage
from workbench.studies.stories.method import WORD_LIST
from workbench.words import words as split_words

BASELINES = ("one story repeated", "shuffled words")
BLOCK_STORIES, BLOCK_WORDS = 50, 6_000
N_BLOCKS = 40  # of a set, at most
HEADLINE = ("words", "Vendi score")
# on blocks of equally many stories the first three, of equally many words the others
MEASURES = {
    "Vendi score": f"effective number of different stories among {BLOCK_STORIES}, by words and pairs",
    "embedding Vendi": f"effective number of different stories among {BLOCK_STORIES}, by topic (LSA)",
    "closest other story": f"word pairs shared with the closest of {BLOCK_STORIES - 1} other stories (F)",
    "different word pairs": f"share of the word pairs in {BLOCK_WORDS:,} words that are different ones",
    "compression": f"how many times smaller {BLOCK_WORDS:,} words get when compressed",
}


def constraints(frame: pd.DataFrame) -> pd.DataFrame:
    """For each thing asked for, the share of stories that have it.

    Words count in any form that starts with the word or its past tense. Features are read off by the exact
    grader, which knows the simulator's language only; in other text it finds dialogue and little else.

    Returns:
        columns asked, kind ("word" or "feature"), share, low, high, n.
    """
    hits = []
    for row in frame.itertuples():
        tokens = set(split_words(row.story))
        for kind in ("noun", "verb", "adjective"):
            if word := getattr(row, kind):
                forms = (word, words.past(word)) if kind == "verb" else (word,)
                hits.append((kind, "word", any(token.startswith(form) for token in tokens for form in forms)))
        if row.features:
            features = grade(row.story).features
            hits += [(name, "feature", name in features) for name in row.features.split(", ")]
    table = summarise_shares(pd.DataFrame(hits, columns=["asked", "kind", "hit"]), ["asked", "kind"], "hit")
    return table.rename(columns={"value": "share"})


def diversity(sets: Mapping[str, Sequence[str]], *, seed: int = 0) -> pd.DataFrame:
    """Every measure on disjoint blocks of equal size, so that sets compare and have a spread.

    Args:
        sets: name → stories; all must fill at least two blocks of each kind.
        seed: of the drawing of blocks.

    Returns:
        columns set, block, and one per measure of `MEASURES`.

    Raises:
        UserError: a set fills fewer than two blocks.
    """
    cut = {name: _blocks(name, texts, seed) for name, texts in sets.items()}
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


def _blocks(name: str, texts: Sequence[str], seed: int) -> list[tuple[list[str], list[str]]]:
    """Pairs of a block of equally many stories and one of equally many words."""
    drawn = samples.equal_texts(texts, len(texts), seed)
    starts = range(0, len(drawn) - BLOCK_STORIES + 1, BLOCK_STORIES)
    by_stories = [drawn[at : at + BLOCK_STORIES] for at in starts]
    by_words = (
        samples.blocks(texts, BLOCK_WORDS, seed)
        if sum(len(text.split()) for text in texts) >= BLOCK_WORDS
        else []
    )
    if min(len(by_stories), len(by_words)) < 2:
        raise UserError(
            f"The {len(texts)} stories of the set “{name}” are too few or too short: raise n_compared, "
            f"so that it has {2 * BLOCK_STORIES} stories and {2 * BLOCK_WORDS} words at least."
        )
    return list(zip(by_stories, by_words, strict=False))[:N_BLOCKS]


def with_baselines(sets: Mapping[str, Sequence[str]]) -> dict[str, Sequence[str]]:
    """The sets, a floor (one story again and again) and a ceiling (words shuffled over the first set)."""
    first = next(iter(sets.values()))
    return {
        **sets,
        BASELINES[0]: samples.duplicates(first),
        BASELINES[1]: samples.random_words(first),
    }


def summary(blocks: pd.DataFrame) -> pd.DataFrame:
    """Mean and 95 % interval over blocks: columns set, measure, value, low, high, n."""
    return summarise_measures(blocks, ["set"], {measure: measure for measure in MEASURES})


def claims(blocks: pd.DataFrame) -> list[Claim]:
    """What conditioning does to diversity, by three measures of different kinds."""
    steps = {
        "words": ("words", "none", "Asking for three random words"),
        "features": ("words+features", "words", "Asking for features as well"),
    }
    return [
        Claim.of(
            gain(blocks, more, less, measure),
            name=f"{step}-raise-{measure.replace(' ', '-').lower()}",
            says=f"{asking} raises the diversity of stories ({measure}).",
            paper="Random words and features are the source of diversity (no figure given)",
            over="blocks of stories",
            unit=measure,
            view="How diverse is each set?",
            headline=(step, measure) == HEADLINE,
        )
        for measure in ("Vendi score", "embedding Vendi", "different word pairs")
        for step, (more, less, asking) in steps.items()
    ]


def gain(blocks: pd.DataFrame, more: str, less: str, measure: str) -> Interval:
    """How much higher a measure is on the blocks of one set than on those of another."""
    value = blocks.set_index("set")[measure]
    return bootstrap_difference(value[more], value[less])


def coverage_curve(sets: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """Share of the word list met after reading so many stories: columns set, stories, share."""
    rows = []
    for name, texts in sets.items():
        for n in np.unique(np.geomspace(10, len(texts), 12).astype(int)):
            rows.append({"set": name, "stories": int(n), "share": coverage(texts[:n], WORD_LIST)})
    return pd.DataFrame(rows)
