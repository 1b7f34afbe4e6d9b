"""Classes of answers and their numbers: analytic values and the rules by hand."""

import itertools
import json

import numpy as np
import pytest
from repository import DATA

from workbench.measures.equivalence import (
    collision,
    distinct_k,
    effective_number,
    embedding_same,
    equivalence_classes,
    rarefaction,
    rouge_same,
    same_words,
    semantic_entropy,
    utility_k,
)
from workbench.measures.statistics import spearman


def near(first, second):
    return abs(float(first) - float(second)) <= 1


def test_classes_by_first_member_depend_on_the_order_and_chains_do_not():
    assert equivalence_classes(["1", "2", "3"], near).tolist() == [0, 0, 1]
    assert equivalence_classes(["2", "1", "3"], near).tolist() == [0, 0, 0]
    for order in itertools.permutations(["1", "2", "3", "7"]):
        labels = equivalence_classes(order, near, "any")
        assert len(set(labels)) == 2
        assert labels[order.index("7")] not in {labels[order.index(text)] for text in "123"}


def test_classes_are_numbered_as_they_appear_and_copies_are_not_asked_about():
    def never(first, second):
        assert first != second
        return False

    assert equivalence_classes(["b", "a", "b", "c", "a"], never).tolist() == [0, 1, 0, 2, 1]
    assert equivalence_classes(["b", "a", "b", "c", "a"], never, "any").tolist() == [0, 1, 0, 2, 1]
    assert equivalence_classes([""] * 3, never).tolist() == [0, 0, 0]
    assert equivalence_classes([], never).tolist() == []
    with pytest.raises(ValueError, match="first or any"):
        equivalence_classes(["a"], never, "last")


def test_chains_join_late_links():
    # 1 and 3 are apart until 2 comes.
    assert equivalence_classes(["1", "3", "9", "2"], near, "any").tolist() == [0, 0, 1, 0]


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("Jon Jones", "jon jones!", True),
        ("Jon Jones", "Jones", True),  # one shared of two
        ("Jon Jones", "Conor McGregor", False),
        ("a b c d e", "a b", False),  # 2 · 2 < 5
        ("a b c d e", "a b c", True),
        ("a a a a", "a", False),  # one type, four words
        ("one two three four five six", "One two three four five six.", True),
        ("one two three four five six", "one two three four five", False),
        ("", "", True),
        ("", "yes", False),
        ("☀", "☂", False),  # no word, yet not the same
    ],
)
def test_short_answers_are_compared_by_their_words(first, second, same):
    assert same_words(first, second) == same_words(second, first) == same


def test_rouge_rule():
    same = rouge_same()
    assert same("Jon Jones", "Jones")
    long = "time is a river that flows through all"
    assert same(long, "time is a river that carries us away")  # 5 of 8
    assert not same(long, "time is the weaver of old tales we tell")
    scorer = pytest.importorskip("rouge_score.rouge_scorer").RougeScorer(["rouge1"])
    rng = np.random.default_rng(0)
    for _ in range(50):
        a, b = (" ".join(f"w{i}" for i in rng.integers(9, size=rng.integers(6, 12))) for _ in range(2))
        f = scorer.score(a, b)["rouge1"].fmeasure
        assert rouge_same(f - 1e-9)(a, b)
        assert not rouge_same(f + 1e-9)(a, b)


def test_embedding_rule():
    texts = [
        "a river of many long years",
        "the stream of long old years",
        "a weaver at her loom at night",
        "ok",
    ]
    rows = [[1, 0], [0.8, 0.6], [0, 1], [0, 1]]
    same = embedding_same(texts, rows, 0.7)
    assert same(texts[0], texts[1])
    assert not same(texts[0], texts[2])
    assert equivalence_classes(texts, same).tolist() == [0, 0, 1, 1]


def test_distinct_k():
    assert distinct_k([0, 1, 0, 2], 3) == 2
    assert distinct_k([4, 4], 2) == 1  # classes are counted, not their largest number
    with pytest.raises(ValueError, match="2 answers"):
        distinct_k([0, 0], 3)


def test_utility_k():
    assert utility_k([0] * 10, [10] + [3] * 9) == pytest.approx(2.240580, abs=5e-7)
    assert utility_k(range(10), [10] * 10) == pytest.approx(10)
    assert utility_k([0, 1] + [0] * 8, [5, 5] + [9] * 8) == pytest.approx(2.016522, abs=5e-7)
    with pytest.raises(ValueError, match="scores"):
        utility_k([0], [1, 2])
    with pytest.raises(ValueError, match="between 0 and 1"):
        utility_k([0], [1], p=1)


def test_semantic_entropy():
    assert semantic_entropy([0, 0, 1, 1]) == pytest.approx(np.log(2))
    assert semantic_entropy([3, 3, 3]) == pytest.approx(0)
    weights = np.array([0.1, 0.3, 0.4])
    p = np.array([0.4, 0.4]) / 0.8
    assert semantic_entropy([0, 0, 1], np.log(weights) - 700) == pytest.approx(-(p * np.log(p)).sum())
    with pytest.raises(ValueError, match="log-prob"):
        semantic_entropy([0, 1], [0.0])
    with pytest.raises(ValueError, match="log-prob"):
        semantic_entropy([])


@pytest.mark.parametrize(
    ("counts", "shannon", "simpson", "chance"),
    [
        ([5, 5], 2, 2, 0.444444),
        ([9, 1], 1.384145, 1.219512, 0.8),
        ([4, 3, 2, 1], 3.596115, 3.333333, 0.222222),
    ],
)
def test_effective_numbers(counts, shannon, simpson, chance):
    assert effective_number(counts) == pytest.approx(shannon, abs=5e-7)
    assert effective_number(counts, 2) == pytest.approx(simpson, abs=5e-7)
    assert effective_number([*counts, 0], 0) == pytest.approx(len(counts))
    assert collision(counts) == pytest.approx(chance, abs=5e-7)


def test_numbers_of_too_few_answers():
    assert np.isnan(collision([1]))
    with pytest.raises(ValueError, match="at least one"):
        effective_number([0, 0])


def test_rarefaction_is_the_mean_over_all_draws():
    counts = [4, 2, 1]
    answers = np.repeat(range(3), counts)
    for k in range(1, 8):
        drawn = [len(set(chosen)) for chosen in itertools.combinations(answers, k)]
        assert rarefaction(counts, k) == pytest.approx(np.mean(drawn))
    curve = rarefaction(counts, [1, 7, 8])
    assert curve.tolist() == pytest.approx([1, 3, np.nan], nan_ok=True)


@pytest.fixture(scope="module")
def published():
    """100 prompts, ten answers of one model each, with NoveltyBench's classes and scores."""
    data = DATA
    path = data / "hivemind" / "noveltybench" / "gemini-1.5-pro.nb-curated.scores.jsonl"
    if not path.is_file():
        pytest.skip("no NoveltyBench scores here (WORKBENCH_DATA)")
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_published_classes_are_counted_and_not_numbered(published):
    counts = [distinct_k(row["partition"]) for row in published]
    assert np.mean(counts) == pytest.approx(1.83)
    assert np.mean([row["distinct"] for row in published]) == pytest.approx(0.83)  # the largest number from 0


def test_published_utility(published):
    for row in published:
        assert utility_k(row["partition"], row["generation_scores"]) == pytest.approx(row["utility"])


def test_classes_by_words_follow_the_published_ones(published):
    ours = [distinct_k(equivalence_classes(row["generations"], rouge_same())) for row in published]
    theirs = [distinct_k(row["partition"]) for row in published]
    assert spearman(ours, theirs).low > 0.5
