"""Many training sets of one size that differ in diversity, each by every measure taken before training.

Jung et al. 2025, arXiv 2505.20161, section 2.2, where models are trained on more than 300 sets; here small
students (`students`) learn from small sets of word problems.
"""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from math import log2
from random import Random

import numpy as np
import pandas as pd

from workbench.corpora.problems import draw
from workbench.engine.encoders import embed
from workbench.measures.vendi import vendi_from_features
from workbench.studies.common.word_problems import LARGEST, Pair, two_steps
from workbench.studies.prismatic.data import as_examples, pairs_of, texts_of
from workbench.studies.prismatic.method import g_vendi
from workbench.words import words

TEMPLATES = (2, 16, 4, 64, 8, 32)  # of a set; few sets are spread over all that there is, too
VOCABULARIES = {"few words": 3, "all words": None}  # names and things of each scenario


def draw_sets(count: int, n: int, seed: int) -> pd.DataFrame:
    """Sets of n problems: columns id, prompt, completion, template, subset, vocabulary, n_templates.

    The number of templates and the number of different names and things vary apart from each other, so that
    measures of structure and of wording can disagree.
    """
    names, frames = two_steps(), []
    for number in range(count):
        n_templates = TEMPLATES[number // 2 % len(TEMPLATES)]
        vocabulary = list(VOCABULARIES)[number % 2]
        problems = draw(
            n,
            seed + 1000 * (number + 1),
            templates=Random(f"{seed}/{number}").sample(names, n_templates),
            n_words=VOCABULARIES[vocabulary],
            largest=LARGEST,
        )
        frame = as_examples(problems, f"{number:02d}-")
        frames.append(frame.assign(subset=f"{number:02d}", vocabulary=vocabulary, n_templates=n_templates))
    return pd.concat(frames, ignore_index=True) if frames else as_examples([])


def pairs(sets: pd.DataFrame, seeds: Sequence[int]) -> dict[tuple[str, int], list[Pair]]:
    """What the students of each set read, by set and seed."""
    of_set = {name: pairs_of(part) for name, part in sets.groupby("subset", sort=False)}
    return {(name, seed): read for seed in seeds for name, read in of_set.items()}


def measured(gradients: np.ndarray, losses: pd.DataFrame, examples: pd.DataFrame) -> pd.DataFrame:
    """Each subset by each measure: columns subset, vocabulary, n_templates, measure, value."""
    embeddings = embed(texts_of(examples))  # one call: its axes come from the texts
    rows = []
    for key, part in examples.groupby(["subset", "vocabulary", "n_templates"], sort=False):
        values = {
            "G-Vendi": g_vendi(gradients[part.index]),
            "embedding Vendi": vendi_from_features(embeddings[part.index]),
            "n-gram entropy": ngram_entropy(texts_of(part)),
            "perplexity": perplexity(losses.iloc[part.index]),
        }
        rows += [(*key, measure, value) for measure, value in values.items()]
    return pd.DataFrame(rows, columns=["subset", "vocabulary", "n_templates", "measure", "value"])


def ngram_entropy(texts: Sequence[str]) -> float:
    """Shannon entropy of the pairs of neighbouring words in a set of texts, bits."""
    counts = Counter(gram for text in texts for gram in pairwise(words(text)))
    total = counts.total()
    return -sum(count / total * log2(count / total) for count in counts.values())


def perplexity(losses: pd.DataFrame) -> float:
    """exp of the mean loss per completion token. Columns: loss, n_tokens."""
    return float(np.exp(np.average(losses["loss"], weights=losses["n_tokens"])))
