"""Many training sets of one size that differ in diversity, and which measure foretells what each teaches.

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
from scipy.stats import rankdata

from workbench.claims import Claim
from workbench.corpora.problems import Problem, draw
from workbench.engine.encoders import embed
from workbench.measures.statistics import Interval, spearman, wilson
from workbench.measures.vendi import vendi_from_features
from workbench.measures.vocabulary import words
from workbench.studies.common.word_problems import LARGEST, pair, two_steps

TEMPLATES = (2, 4, 8, 16, 32, 64)  # of a set
VOCABULARIES = {"few words": 3, "all words": None}  # names and things of each scenario


def draw_sets(count: int, n: int, seed: int) -> pd.DataFrame:
    """Sets of n problems: columns id, prompt, completion, template, subset, vocabulary, n_templates.

    The number of templates and the number of different names and things vary apart from each other, so that
    measures of structure and of wording can disagree.
    """
    names, frames = two_steps(), []
    for number in range(count):
        n_templates = TEMPLATES[number % len(TEMPLATES)]
        vocabulary = list(VOCABULARIES)[number // len(TEMPLATES) % 2]
        chosen = Random(f"{seed}/{number}").sample(names, n_templates)
        drawn = draw(
            n,
            seed + 1000 * (number + 1),
            templates=chosen,
            n_words=VOCABULARIES[vocabulary],
            largest=LARGEST,
        )
        frame = as_examples(drawn, f"{number:02d}-")
        frames.append(frame.assign(subset=f"{number:02d}", vocabulary=vocabulary, n_templates=n_templates))
    return pd.concat(frames, ignore_index=True) if frames else as_examples([])


def as_examples(problems: Sequence[Problem], prefix: str = "") -> pd.DataFrame:
    """Problems as examples to learn: columns id, prompt, completion, template."""
    rows = [(f"{prefix}{place}", *pair(each), each.template) for place, each in enumerate(problems)]
    return pd.DataFrame(rows, columns=["id", "prompt", "completion", "template"])


def pairs_of(examples: pd.DataFrame) -> list[tuple[str, str]]:
    """Prompts and completions."""
    return list(zip(examples["prompt"], examples["completion"], strict=True))


def pairs_by(examples: pd.DataFrame, column: str) -> dict[str, list[tuple[str, str]]]:
    """Prompts and completions of each group of examples."""
    return {name: pairs_of(part) for name, part in examples.groupby(column, sort=False)}


def texts_of(examples: pd.DataFrame) -> list[str]:
    """Prompt and completion as one text."""
    return (examples["prompt"] + examples["completion"]).tolist()


def perplexity(about: pd.DataFrame) -> float:
    """exp of the mean loss per completion token."""
    return float(np.exp(np.average(about["loss"], weights=about["n_tokens"])))


def ngram_entropy(texts: Sequence[str]) -> float:
    """Shannon entropy of the pairs of neighbouring words in a set of texts, bits."""
    counts = Counter(gram for text in texts for gram in pairwise(words(text)))
    total = counts.total()
    return -sum(count / total * log2(count / total) for count in counts.values())


def measured(vectors: np.ndarray, about: pd.DataFrame, examples: pd.DataFrame) -> pd.DataFrame:
    """Each subset by each measure: columns subset, vocabulary, n_templates, measure, value."""
    embedded = embed(texts_of(examples))  # one call: its axes come from the texts
    rows = []
    for key, part in examples.groupby(["subset", "vocabulary", "n_templates"], sort=False):
        places = part.index.to_numpy()
        values = {
            "G-Vendi": vendi_from_features(vectors[places]),
            "embedding Vendi": vendi_from_features(embedded[places]),
            "n-gram entropy": ngram_entropy(texts_of(part)),
            "perplexity": perplexity(about.iloc[places]),
        }
        rows += [(*key, measure, value) for measure, value in values.items()]
    return pd.DataFrame(rows, columns=["subset", "vocabulary", "n_templates", "measure", "value"])


def against_accuracy(values: pd.DataFrame, answers: pd.DataFrame, kind: str = "unseen") -> pd.DataFrame:
    """`measured` with each student's accuracy on one kind of test and each measure's rank correlation.

    Adds columns accuracy, low, high, rho, rho_low, rho_high, n (subsets).
    """
    answered = answers[answers["kind"] == kind].groupby("student")["right"]
    shares = {student: wilson(int(right.sum()), len(right)) for student, right in answered}
    accuracy = [shares[student] for student in values["subset"]]
    frame = values.assign(
        accuracy=[share.value for share in accuracy],
        low=[share.low for share in accuracy],
        high=[share.high for share in accuracy],
    )
    by_measure = {name: spearman(part["value"], part["accuracy"]) for name, part in frame.groupby("measure")}
    rho = [by_measure[name] for name in frame["measure"]]
    return frame.assign(
        rho=[correlation.value for correlation in rho],
        rho_low=[correlation.low for correlation in rho],
        rho_high=[correlation.high for correlation in rho],
        n=[correlation.n for correlation in rho],
    )


def correlations(tracked: pd.DataFrame) -> pd.DataFrame:
    """One row a measure: columns measure, rho, low, high, n."""
    rows = tracked.groupby("measure", sort=False).first().reset_index()
    return rows[["measure", "rho", "rho_low", "rho_high", "n"]].rename(
        columns={"rho_low": "low", "rho_high": "high"}
    )


def better_tracked(tracked: pd.DataFrame, first: str, second: str) -> Interval:
    """Spearman's ρ of one measure minus that of another, with a bootstrap over the subsets.

    NaN where a measure or the accuracy is the same for all.
    """
    table = tracked.pivot(index="subset", columns="measure", values="value")
    accuracy = tracked.drop_duplicates("subset").set_index("subset")["accuracy"].reindex(table.index)
    columns = np.column_stack([table[first], table[second], accuracy])
    n = len(columns)
    drawn = np.random.default_rng(0).integers(n, size=(4000, n))
    ranks = rankdata(columns[drawn], axis=1)
    found = _rank_difference(ranks)
    found = found[~np.isnan(found)]  # a draw of equal values has no order
    low, high = np.quantile(found, [0.025, 0.975]) if len(found) else (np.nan, np.nan)
    return Interval(float(_rank_difference(rankdata(columns, axis=0)[None])[0]), float(low), float(high), n)


def _rank_difference(ranks: np.ndarray) -> np.ndarray:
    """ρ(first, last) − ρ(second, last) of ranks [draws, n, 3]."""
    centred = ranks - ranks.mean(axis=1, keepdims=True)
    with np.errstate(invalid="ignore"):
        unit = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    return ((unit[..., 0] - unit[..., 1]) * unit[..., 2]).sum(axis=1)


def claims(tracked: pd.DataFrame) -> list[Claim]:
    """What the sets say about the measures."""
    gvendi = correlations(tracked).set_index("measure").loc["G-Vendi"]
    return [
        Claim.of(
            Interval(gvendi["rho"], gvendi["low"], gvendi["high"], gvendi["n"]),
            name="gvendi-tracks-accuracy",
            says="Sets with a higher G-Vendi make students that solve more problems of unseen kinds.",
            paper="Spearman about 0.9 over more than 300 trainings",
            unit="Spearman's ρ",
            view="Diversity against accuracy out of distribution",
        ),
        Claim.of(
            better_tracked(tracked, "G-Vendi", "embedding Vendi"),
            name="gvendi-beats-embeddings",
            says="G-Vendi ranks the sets better than the Vendi score of their texts' embeddings does.",
            paper="G-Vendi tracks accuracy better than embedding Vendi",
            unit="difference of Spearman's ρ",
            view="How well each measure ranks the subsets",
        ),
    ]
