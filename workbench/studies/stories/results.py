"""From stories to claims: diversity with its baselines, and what asking for things buys."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from workbench.claims import Claim, Gate
from workbench.engine.encoders import embed
from workbench.measures import samples
from workbench.measures.compression import compression_ratio
from workbench.measures.overlap import distinct, phrase_kernel, self_overlap
from workbench.measures.statistics import Interval, bootstrap_mean
from workbench.measures.summaries import summarise_measures
from workbench.measures.vendi import vendi_from_features, vendi_from_kernel
from workbench.measures.vocabulary import coverage
from workbench.studies.stories.blocks import blocks_of
from workbench.studies.stories.commonest import LIKE, share_like_commonest, share_of_commonest
from workbench.studies.stories.method import CONDITIONS, WORD_LIST, set_name

BASELINES = ("one story repeated", "shuffled words")
BLOCK_STORIES, BLOCK_WORDS = 50, 4_000
BASELINE_BLOCKS = 10  # about as many of a baseline: they hardly vary
PLOT, STORY = "commonest plot", "commonest story"
# on blocks of equally many stories the first five, of equally many words the others
MEASURES = {
    PLOT: "share of stories with the plot that is the commonest in the set's other blocks",
    STORY: f"share of stories like the commonest one of the other blocks (LSA, cosine of {LIKE} or more)",
    "Vendi score": "effective number of different stories in a block, by words and pairs",
    "embedding Vendi": "effective number of different stories in a block, by topic (LSA)",
    "closest other story": "word pairs shared with the closest other story of the block (F)",
    "different word pairs": "share of a block's word pairs that are different ones",
    "compression": "how many times smaller a block gets when compressed",
}


def diversity(
    sets: Mapping[str, Sequence[str]],
    plots: Mapping[str, Sequence[str]] | None = None,
    *,
    seed: int = 0,
    block: tuple[int, int] = (BLOCK_STORIES, BLOCK_WORDS),
) -> pd.DataFrame:
    """Every measure on disjoint blocks of equal size, so that sets compare and have a spread.

    Args:
        sets: name → stories; all must fill at least two blocks of each kind.
        plots: name → the plot of each story, for the sets in which they are known.
        seed: of the drawing of blocks.
        block: stories, and words, of a block.

    Returns:
        columns set, block, and one per measure of `MEASURES`.

    Raises:
        UserError: a set fills fewer than two blocks.
    """
    size, _ = block
    cut = {name: blocks_of(name, texts, seed, block) for name, texts in sets.items()}
    # the embedding takes its weights from the texts: sets that are compared go through one call together
    vectors = embed([text for blocks in cut.values() for stories, _ in blocks for text in stories], seed=seed)
    ends = np.cumsum([len(blocks) * size for blocks in cut.values()])
    frames = []
    for (name, blocks), rows in zip(cut.items(), np.split(vectors, ends[:-1]), strict=True):
        known = (plots or {}).get(name)
        frame = pd.DataFrame(_measured(blocks, rows.reshape(len(blocks), size, -1)))
        kinds = None if known is None else _in_blocks(known, len(blocks), size, seed)
        frame[PLOT] = np.nan if kinds is None else share_of_commonest(kinds)
        frame[STORY] = share_like_commonest(rows, len(blocks))
        frames.append(frame.assign(set=name, block=range(len(blocks))))
    return pd.concat(frames, ignore_index=True)


def _measured(blocks: Sequence[tuple[list[str], list[str]]], vectors: np.ndarray) -> list[dict[str, float]]:
    """The measures that each block has by itself."""
    return [
        {
            "Vendi score": vendi_from_kernel(phrase_kernel(stories)),
            "embedding Vendi": vendi_from_features(rows),
            "closest other story": float(np.nanmean(self_overlap(stories).overlap)),
            "different word pairs": distinct(words_cut, 2),
            "compression": compression_ratio(words_cut),
        }
        for (stories, words_cut), rows in zip(blocks, vectors, strict=True)
    ]


def _in_blocks(values: Sequence[str], n_blocks: int, size: int, seed: int) -> np.ndarray:
    """Something known of each text, in the order and the blocks of `blocks_of`: `[blocks, stories]`."""
    drawn = samples.equal_texts(values, len(values), seed)[: n_blocks * size]
    return np.array(drawn, dtype=object).reshape(n_blocks, size)


def with_baselines(
    sets: Mapping[str, Sequence[str]], block_stories: int = BLOCK_STORIES
) -> dict[str, Sequence[str]]:
    """The sets, a floor (one story again and again) and a ceiling (words shuffled over the first set)."""
    first = next(iter(sets.values()))[: BASELINE_BLOCKS * block_stories]
    return {
        **sets,
        BASELINES[0]: samples.duplicates(first),
        BASELINES[1]: samples.random_words(first),
    }


def summary(blocks: pd.DataFrame) -> pd.DataFrame:
    """Mean and 95 % interval over blocks: columns set, measure, value, low, high, n."""
    return summarise_measures(blocks, ["set"], {measure: measure for measure in MEASURES})


# ------------------------------------------------------------------------------- what asking buys
STEPS = {"words": ("words", "none"), "features": ("words+features", "words")}
ASKED = {"words": "Asking for three random words", "features": "Asking for features as well"}
FALLS = (PLOT, STORY, "closest other story", "compression")  # the lower, the more diverse
# measure that claims are made of: smallest effect of interest, stated beforehand, and its reason
DELTAS = {
    PLOT: (0.05, "one story in twenty"),
    STORY: (0.05, "one story in twenty"),
    "Vendi score": (1.0, f"one story more among {BLOCK_STORIES}"),  # of fewer as much less
    "different word pairs": (0.01, "one word pair in a hundred"),
}
NARROW_FROM = 0.2  # share of the commonest plot from which on there is something to break up
APART = 0.1  # how much more of its stories the second generator gives to its commonest plot


def buys(blocks: pd.DataFrame, generators: Sequence[str], step: str, measure: str) -> Interval:
    """How much a step of asking raises diversity by a measure, over blocks.

    With two generators: how much more it raises that of the second one than that of the first. Blocks with
    one number are taken together; they share no story.
    """
    value = blocks.pivot(index="block", columns="set", values=measure)
    more, less = STEPS[step]
    gains = [value[set_name(name, more)] - value[set_name(name, less)] for name in generators]
    gain = gains[0] if len(gains) == 1 else gains[1] - gains[0]
    return bootstrap_mean(-gain if measure in FALLS else gain)


def bought(blocks: pd.DataFrame, generators: Sequence[str]) -> pd.DataFrame:
    """What words and features buy each generator: generator, step, measure, value, low, high, n (blocks)."""
    measures = [measure for measure in DELTAS if _is_known(blocks, generators, measure)]
    return pd.DataFrame(
        [
            {"generator": name, "step": step, "measure": measure} | buys(blocks, [name], step, measure).row()
            for measure in measures
            for name in generators
            for step in STEPS
        ]
    )


def _is_known(blocks: pd.DataFrame, generators: Sequence[str], measure: str) -> bool:
    sets = [set_name(name, condition) for name in generators for condition in CONDITIONS]
    return bool(blocks.loc[blocks["set"].isin(sets), measure].notna().all())


def claims(
    blocks: pd.DataFrame,
    generators: Sequence[str],
    *,
    size: int = BLOCK_STORIES,
    leads: bool = True,
    alike: bool = True,
) -> list[Claim]:
    """What asking does to the second generator's stories, and whether it does more there than to the first's.

    The commonest plot leads where both generators say what the plots are, otherwise the commonest story.

    Args:
        blocks: of `diversity`.
        generators: two.
        size: stories of a block.
        leads: whether one of these claims is the headline.
        alike: whether both are simulators or both models, so that what asking does to one may be held against
            what it does to the other.
    """
    first, second = generators
    lead = PLOT if _is_known(blocks, generators, PLOT) else STORY
    means = blocks.groupby("set")[lead].mean()
    usual = [float(means[set_name(name, CONDITIONS[0])]) for name in (first, second)]
    floor = Gate(f"{lead} of {second}, asked for nothing", usual[1], low=NARROW_FROM)
    apart = Gate(f"the same, minus that of {first}", usual[1] - usual[0], low=APART)
    made = []
    for measure in (lead, "Vendi score", "different word pairs"):
        about = _about(measure, size)
        for step, asking in ASKED.items():
            says = f"{asking} makes the {second} generator's stories more diverse ({measure})."
            effect = "lower" if measure in FALLS else "raise"
            name, is_first = f"{step}-{effect}-{_hyphens(measure)}", (step, measure) == ("words", lead)
            estimate = buys(blocks, [second], step, measure)
            gates = (floor,) if measure == lead else ()
            made.append(
                Claim.of(estimate, name=name, says=says, gates=gates, headline=leads and is_first, **about)
            )
        if not alike:
            continue
        says = (
            f"Asking for words helps the {second} generator, which has few favourites, more than the {first} "
            f"one ({measure})."
        )
        estimate = buys(blocks, generators, "words", measure)
        name = f"words-help-the-narrow-more-{_hyphens(measure)}"
        made.append(Claim.of(estimate, name=name, says=says, gates=(apart,), **about))
    return made


def _about(measure: str, size: int) -> dict[str, Any]:
    delta, reason = DELTAS[measure]
    delta = delta * size / BLOCK_STORIES if measure == "Vendi score" else delta
    return {
        "paper": "Random words and features are the source of diversity (no figure given)",
        "over": "blocks of stories",
        "unit": f"less {measure}" if measure in FALLS else measure,
        "view": "What do words and features buy?",
        "delta": delta,
        "delta_reason": reason,
    }


def _hyphens(measure: str) -> str:
    return measure.replace(" ", "-").lower()


def coverage_curve(sets: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """Share of the word list met after reading so many stories: columns set, stories, share."""
    rows = []
    for name, texts in sets.items():
        for n in np.unique(np.geomspace(10, len(texts), 12).astype(int)):
            rows.append({"set": name, "stories": int(n), "share": coverage(texts[:n], WORD_LIST)})
    return pd.DataFrame(rows)
