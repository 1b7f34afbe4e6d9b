"""Overton coverage: which of the views on a question do a model's answers to it hold, all taken together?

Feng et al. 2024, arXiv 2406.15951 (Modular Pluralism), ask an inference model whether each view entails a
sentence of the response; here the sentence is the premise and the view the hypothesis, since a response holds
a view that it says. Without such a model cosines of embeddings stand in: *embedding coverage*, another thing.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from itertools import chain, islice, permutations, product

import numpy as np
import pandas as pd

from workbench.corpora.loaders.opinions import Question
from workbench.engine.encoders import encode
from workbench.engine.entailment import Entailment
from workbench.measures.summaries import summarise_measures

Holds = Callable[[Sequence[str], Sequence[str]], np.ndarray]
"""Whether each sentence says the view at its side, bool `[pairs]`."""
CUTOFF = 0.5  # probability of entailment
NEGATIVES = 0.95  # share of pairs of different views that must stay below the threshold of cosines


def by_entailment(source: str, device: str) -> Holds:
    """By an inference model's folder or id: entailment more likely than not."""
    model = Entailment(source, device)
    return lambda sentences, views: model.scores(sentences, views) > CUTOFF


def by_embedding(questions: Sequence[Question]) -> Holds:
    """By cosines above a threshold that 95 % of the pairs of a question's different options do not reach."""
    options = [in_context(question, question.options) for question in questions]
    different = [pair for views in options for pair in permutations(views, 2)]

    def holds(sentences: Sequence[str], views: Sequence[str]) -> np.ndarray:
        pairs = [*zip(sentences, views, strict=True), *different]
        texts = list(dict.fromkeys(text for pair in pairs for text in pair))
        vectors = encode(texts, "embedded")  # one call: its axes come from the texts
        index = {text: number for number, text in enumerate(texts)}
        first, second = (vectors[[index[pair[side]] for pair in pairs]] for side in (0, 1))
        cosines = (first * second).sum(1)
        return cosines[: len(views)] > np.quantile(cosines[len(views) :], NEGATIVES)

    return holds


def in_context(question: Question, answers: Iterable[str]) -> list[str]:
    """Options or answers as texts that stand for themselves: behind their question."""
    return [f"{question.prompt} {answer}" for answer in answers]


def coverage(replies: pd.DataFrame, questions: Sequence[Question], holds: Holds) -> pd.DataFrame:
    """Which views the replies to each question hold between them.

    Args:
        replies: columns id, replies (list), arm, seed; those to other questions are left out.
        questions: whose options are the views.
        holds: `by_entailment` or `by_embedding`.

    Returns:
        Columns id, k (replies), covered (share of the options), covered_weighted (by the share of the people
        who hold them), expected and expected_weighted (the same for as many people drawn at random), arm and
        seed.
    """
    by_id = {question.id: question for question in questions}
    asked = replies[replies["id"].isin(by_id)]
    pairs = []
    for row in asked.itertuples():
        question = by_id[row.id]
        parts = [
            part for reply in row.replies for part in re.split(r"(?<=[.!?])\s+|\n+", reply.strip()) if part
        ]
        sentences, views = in_context(question, dict.fromkeys(parts)), in_context(question, question.options)
        pairs.append(list(product(sentences, views)))
    every_pair = list(chain.from_iterable(pairs))
    held = iter(holds(*zip(*every_pair, strict=True)) if every_pair else ())
    rows = []
    for row, of_row in zip(asked.itertuples(), pairs, strict=True):
        people, k = np.array(by_id[row.id].people.dist), len(row.replies)
        by_sentence = np.array(list(islice(held, len(of_row))), dtype=bool).reshape(-1, len(people))
        covered, expected = by_sentence.any(axis=0), 1 - (1 - people) ** k
        shares = (covered.mean(), people @ covered, expected.mean(), people @ expected)
        rows.append((row.id, k, *shares, row.arm, row.seed))
    names = ["id", "k", "covered", "covered_weighted", "expected", "expected_weighted", "arm", "seed"]
    return pd.DataFrame(rows, columns=names)


def summary(covered: pd.DataFrame) -> pd.DataFrame:
    """Means of `coverage` by arm, intervals over questions: arm, views, value, low, high, n, expected, k."""
    titles = {"covered": "views alike", "covered_weighted": "views by those who hold them"}
    table = summarise_measures(covered, ["arm"], titles, "id").rename(columns={"measure": "views"})
    means = covered.groupby("arm")[["expected", "expected_weighted", "k"]].mean()
    means.columns = [*titles.values(), "k"]
    expected = [means.loc[row.arm, row.views] for row in table.itertuples()]
    return table.assign(expected=expected, k=table["arm"].map(means["k"]))
