"""Many training sets of one size that differ in diversity, each by every measure taken before training.

Jung et al. 2025, arXiv 2505.20161, section 2.2, where models are trained on more than 300 sets; here small
students (`students`) learn from small sets, whose structures and wordings are crossed.
"""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from math import log2
from pathlib import Path
from random import Random

import numpy as np
import pandas as pd

from workbench.engine.encoders import embed
from workbench.measures.vendi import vendi_from_features
from workbench.studies.prismatic import given
from workbench.studies.prismatic.data import as_examples, pairs_of, texts_of
from workbench.studies.prismatic.given import GivenTask
from workbench.studies.prismatic.items import Pair
from workbench.studies.prismatic.proxy import Proxy, g_vendi, gradients
from workbench.studies.prismatic.tasks import LogicTask, WordTask
from workbench.words import words

STRUCTURES = (2, 4, 8, 16, 32)  # of a set
WORDINGS = (8, 32, 128)  # with fewer, both measures fall together
# Both measures see a little of both factors: over evenly crossed sets they agree, and no accuracy could part
# them. So beside every pair once come, as often again, those that part them: few structures in many wordings,
# and many in few.
PARTING = [(4, 128), (16, 8), (2, 128), (32, 8)]
_EVEN = [(STRUCTURES[2 * at % 5], WORDINGS[at % 3]) for at in range(15)]
DESIGN = [pair for at in range(15) for pair in (_EVEN[at], PARTING[at % 4])]


def sets_of(
    task: LogicTask | WordTask | GivenTask,
    examples: pd.DataFrame,
    vectors: np.ndarray,
    count: int,
    n: int,
    seed: int,
) -> pd.DataFrame:
    """`draw_sets` of an embedded task, or `given.draw_sets` of the user's examples and their gradients."""
    if isinstance(task, GivenTask):
        return given.draw_sets(task, examples, vectors, count, n, seed)
    return draw_sets(task, count, n, seed)


def draw_sets(task: LogicTask | WordTask, count: int, n: int, seed: int) -> pd.DataFrame:
    """Sets of n problems: columns id, prompt, completion, template, answer, subset, n_structures, n_wordings.

    The numbers of structures and of wordings are those of `DESIGN`, over and over.
    """
    names, frames = task.structures, []
    for number in range(count):
        rng = Random(f"{seed}/{number}")
        n_structures, n_wordings = DESIGN[number % len(DESIGN)]
        n_wordings = min(n_wordings, task.wordings)
        structures, wordings = rng.sample(names, n_structures), rng.sample(range(task.wordings), n_wordings)
        items = task.draw(n, seed + 1000 * (number + 1), structures, wordings)
        frame = as_examples(items, f"{number:02d}-")
        numbers = {"n_structures": n_structures, "n_wordings": n_wordings}
        frames.append(frame.assign(subset=f"{number:02d}", **numbers))
    return pd.concat(frames, ignore_index=True)


def pairs(sets: pd.DataFrame, seeds: Sequence[int]) -> dict[tuple[str, int], list[Pair]]:
    """What the students of each set read, by set and seed."""
    of_set = {name: pairs_of(part) for name, part in sets.groupby("subset", sort=False)}
    return {(name, seed): read for seed in seeds for name, read in of_set.items()}


def gradients_of(
    folder: Path, proxy: Proxy, sets: pd.DataFrame, vectors: np.ndarray, losses: pd.DataFrame
) -> tuple[np.ndarray, pd.DataFrame]:
    """Gradients and losses of the sets: those of the examples that they are drawn from, or taken anew."""
    if "example" not in sets:
        return gradients(folder, proxy, sets)
    return vectors[sets["example"]], losses.iloc[sets["example"]].reset_index(drop=True)


def measured(gradients: np.ndarray, losses: pd.DataFrame, examples: pd.DataFrame) -> pd.DataFrame:
    """Each subset by each measure: columns subset, n_structures, n_wordings, measure, value."""
    embeddings = embed(texts_of(examples))  # one call: its axes come from the texts
    rows = []
    for key, part in examples.groupby(["subset", "n_structures", "n_wordings"], sort=False):
        values = {
            "G-Vendi": g_vendi(gradients[part.index]),
            "embedding Vendi": vendi_from_features(embeddings[part.index]),
            "number of structures": float(key[1]),
            "n-gram entropy": ngram_entropy(texts_of(part)),
            "perplexity": perplexity(losses.iloc[part.index]),
        }
        rows += [(*key, measure, value) for measure, value in values.items()]
    return pd.DataFrame(rows, columns=["subset", "n_structures", "n_wordings", "measure", "value"])


def ngram_entropy(texts: Sequence[str]) -> float:
    """Shannon entropy of the pairs of neighbouring words in a set of texts, bits."""
    counts = Counter(gram for text in texts for gram in pairwise(words(text)))
    total = counts.total()
    return -sum(count / total * log2(count / total) for count in counts.values())


def perplexity(losses: pd.DataFrame) -> float:
    """exp of the mean loss per completion token. Columns: loss, n_tokens."""
    return float(np.exp(np.average(losses["loss"], weights=losses["n_tokens"])))
