"""Classes of answers and their numbers: analytic values and the rules by hand."""

import itertools
import json

import numpy as np
import pytest
from repository import DATA

from workbench.measures.equivalence import (
    collision,
    equivalence_classes,
    rarefaction,
    rouge_same,
    same_words,
)
from workbench.measures.statistics import spearman


def near(first, second):
    return abs(float(first) - float(second)) <= 1


def test_classes_depend_on_their_first_member():
    assert equivalence_classes(["1", "2", "3"], near).tolist() == [0, 0, 1]
    assert equivalence_classes(["2", "1", "3"], near).tolist() == [0, 0, 0]


def test_classes_are_numbered_as_they_appear_and_copies_are_not_asked_about():
    def never(first, second):
        assert first != second
        return False

    assert equivalence_classes(["b", "a", "b", "c", "a"], never).tolist() == [0, 1, 0, 2, 1]
    assert equivalence_classes([""] * 3, never).tolist() == [0, 0, 0]
    assert equivalence_classes([], never).tolist() == []


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


@pytest.mark.parametrize(("counts", "chance"), [([5, 5], 0.444444), ([9, 1], 0.8), ([4, 3, 2, 1], 0.222222)])
def test_chance_of_one_class(counts, chance):
    assert collision(counts) == pytest.approx(chance, abs=5e-7)
    assert np.isnan(collision([1]))


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


def test_classes_by_words_follow_the_published_ones(published):
    ours = [len(set(equivalence_classes(row["generations"], rouge_same()))) for row in published]
    theirs = [len(set(row["partition"])) for row in published]
    assert spearman(ours, theirs).low > 0.5
