"""Whether stories have what they were asked for, and how often they would have it by chance."""

from collections.abc import Mapping, Sequence

import pandas as pd

from workbench.corpora.stories import grade, words
from workbench.measures.summaries import summarise_shares
from workbench.studies.stories.method import CONDITIONS, set_name
from workbench.words import words as split_words


def constraints(frame: pd.DataFrame) -> pd.DataFrame:
    """For each thing asked for, the share of stories that have it.

    Words count in any form that starts with the word or its past tense. Features are read off by the exact
    grader, which knows the simulator's language only; in other text it finds dialogue and little else.

    Returns:
        columns asked, kind ("word" or "feature"), share, low, high, n.
    """
    hits = []
    for row in frame.itertuples():
        for kind in ("noun", "verb", "adjective"):
            if word := getattr(row, kind):
                hits.append((kind, "word", has_word(row.story, kind, word)))
        if row.features:
            features = grade(row.story).features
            hits += [(name, "feature", name in features) for name in row.features.split(", ")]
    table = summarise_shares(pd.DataFrame(hits, columns=["asked", "kind", "hit"]), ["asked", "kind"], "hit")
    return table.rename(columns={"value": "share"})


def has_word(story: str, kind: str, word: str) -> bool:
    """Whether a story has a noun, verb or adjective in any form that starts with it or its past tense."""
    forms = (word, words.past(word)) if kind == "verb" else (word,)
    return any(token.startswith(forms) for token in split_words(story))


ASKED_FOR, BY_CHANCE = "asked for it", "asked for nothing"


def kept(sets: Mapping[str, pd.DataFrame], generators: Sequence[str], models: Sequence[str]) -> pd.DataFrame:
    """Whether what was asked for is in the stories of the last language model, else of the first simulator.

    Args:
        sets: of `method.requests`, by name.
        generators: who wrote them.
        models: those of them that are language models.
    """
    if not models:
        return constraints(sets[set_name(generators[0], "words+features")])
    return words_against_chance(*(sets[set_name(models[-1], condition)] for condition in ("words", "none")))


def one_of_each(sets: Mapping[str, pd.DataFrame], generator: str) -> pd.DataFrame:
    """The first story of a generator under every condition."""
    return pd.concat([sets[set_name(generator, condition)].head(1) for condition in CONDITIONS])


def words_against_chance(asked: pd.DataFrame, unasked: pd.DataFrame) -> pd.DataFrame:
    """The words of `constraints` in stories that were asked for them, and in others by the same writer.

    Args:
        asked: stories asked for words.
        unasked: as many that were asked for nothing; each is searched for the words asked of the other.

    Returns:
        columns of `constraints`, and stories (ASKED_FOR or BY_CHANCE).
    """
    asked = asked.assign(features="").head(len(unasked))
    chance = asked.assign(story=unasked["story"].to_numpy()[: len(asked)])
    parts = {ASKED_FOR: asked, BY_CHANCE: chance}
    return pd.concat([constraints(part).assign(stories=name) for name, part in parts.items()])
