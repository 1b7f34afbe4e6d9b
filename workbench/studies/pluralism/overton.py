"""Overton coverage: which of the views on a question do a model's answers to it hold, all taken together?

Feng et al. 2024, arXiv 2406.15951 (Modular Pluralism), ask an inference model whether each view entails a
sentence of the response; here the sentence is the premise and the view the hypothesis, since a response holds
a view that it says. Without such a model cosines of embeddings stand in: *embedding coverage*, another thing.
"""

import re
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from workbench.corpora.loaders.opinions import Question
from workbench.engine.encoders import encode
from workbench.engine.entailment import Entailment
from workbench.measures.statistics import bootstrap_mean

Holds = Callable[[Sequence[str], Sequence[str]], np.ndarray]
"""Whether each sentence says the view at its side, bool `[pairs]`."""
CUTOFF = 0.5  # probability of entailment
NEGATIVES = 0.95  # share of pairs of different views that must stay below the threshold of cosines


def by_entailment(source: str, device: str = "auto") -> Holds:
    """By an inference model's folder or id: entailment more likely than not."""
    model = Entailment(source, device)
    return lambda sentences, views: model.scores(sentences, views) > CUTOFF


def by_embedding(questions: Sequence[Question], encoder: str = "embedded") -> Holds:
    """By cosines above the threshold that 95 % of the pairs of different options of a question do not reach.

    Args:
        questions: whose options are the pairs.
        encoder: see `encoders.encode`.
    """
    known = [views(each) for each in questions]
    differing = [(a, b) for own in known for a in own for b in own if a != b]

    def holds(sentences: Sequence[str], asked: Sequence[str]) -> np.ndarray:
        pairs = [*zip(sentences, asked, strict=True), *differing]
        texts = list(dict.fromkeys(text for pair in pairs for text in pair))
        vectors = encode(texts, encoder)  # one call: the embedded one's axes come from the texts
        place = {text: number for number, text in enumerate(texts)}
        first, second = (vectors[[place[pair[side]] for pair in pairs]] for side in (0, 1))
        cosines = (first * second).sum(1)
        return cosines[: len(asked)] > np.quantile(cosines[len(asked) :], NEGATIVES)

    return holds


def views(question: Question, answers: Sequence[str] | None = None) -> list[str]:
    """Options (or answers) as texts that stand for themselves: behind their question."""
    return [f"{question.prompt} {answer}" for answer in (question.options if answers is None else answers)]


def coverage(questions: Sequence[Question], replies: Sequence[Sequence[str]], holds: Holds) -> pd.DataFrame:
    """Which views the replies to each question hold between them.

    Returns:
        Columns id, k (replies), covered (share of the options), covered_weighted (by the share of the people
        who hold them), and expected and expected_weighted: the same for as many people drawn at random.
    """
    pairs, places = [], []
    for number, (question, own) in enumerate(zip(questions, replies, strict=True)):
        sentences = [part for reply in own for part in re.split(r"(?<=[.!?])\s+|\n+", reply.strip()) if part]
        for sentence in views(question, list(dict.fromkeys(sentences))):
            pairs += [(sentence, view) for view in views(question)]
            places += [(number, option) for option in range(len(question.options))]
    held = [np.zeros(len(each.options), dtype=bool) for each in questions]
    for (number, option), said in zip(places, holds(*zip(*pairs, strict=True)) if pairs else (), strict=True):
        held[number][option] |= said
    rows = []
    for question, own, found in zip(questions, replies, held, strict=True):
        people = np.array(question.people.dist)
        seen = 1 - (1 - people) ** len(own)
        rows.append((question.id, len(own), found.mean(), people @ found, seen.mean(), people @ seen))
    names = ["id", "k", "covered", "covered_weighted", "expected", "expected_weighted"]
    return pd.DataFrame(rows, columns=names)


def summary(found: pd.DataFrame) -> pd.DataFrame:
    """Means by arm with intervals over questions: columns arm, views, value, low, high, expected, n, k.

    Args:
        found: `coverage` with a column arm.
    """
    counted = {"views alike": "", "views by those who hold them": "_weighted"}
    rows = []
    for arm, part in found.groupby("arm", sort=False):
        for name, suffix in counted.items():
            mean = bootstrap_mean(part[f"covered{suffix}"], groups=part["id"])
            expected, k = part[f"expected{suffix}"].mean(), part["k"].mean()
            rows.append({"arm": arm, "views": name, **mean.row(), "expected": expected, "k": k})
    return pd.DataFrame(rows, columns=["arm", "views", "value", "low", "high", "expected", "n", "k"])
