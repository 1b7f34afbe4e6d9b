"""Strings of two chains: their truth, their order, and that nothing short of looking up answers them."""

from itertools import pairwise

import numpy as np
import pytest

from workbench.corpora import lego as corpus
from workbench.engine.tokens import word_tokenizer
from workbench.errors import UserError

NAMES = [*corpus.BOYS, *corpus.GIRLS][:30]
TOKENIZER = word_tokenizer([*corpus.OPERATIONS, *corpus.VALUES, *NAMES])
N = 4


@pytest.fixture(scope="module")
def vocabulary():
    return corpus.words(TOKENIZER, N)


def clauses(drawn, row, copy):
    """The clauses of one copy in words."""
    size = drawn.values.shape[1]
    ids = drawn.ids[row, 1 + 3 * size * copy : 1 + 3 * size * (copy + 1)].reshape(size, 3)
    return [tuple(TOKENIZER.decode(clause).split()) for clause in ids]


def solve(said):
    """The values that follow from clauses in words, by looking up until nothing new follows."""
    known = {}
    for _ in said:
        for step, refers, name in said:
            value = refers if refers in corpus.VALUES else known.get(refers)
            if value:
                further = corpus.VALUES.index(value) + corpus.OPERATIONS.index(step)
                known[name] = corpus.VALUES[further % 5]
    return known


@pytest.mark.parametrize("both_ways", [False, True])
def test_the_truth_is_what_looking_up_gives_whatever_the_order(vocabulary, both_ways):
    drawn = corpus.draw(vocabulary, 40, N, np.random.default_rng(0), both_ways=both_ways)
    assert drawn.ids.shape == (40, corpus.n_tokens(N, both_ways))
    for row in range(40):
        first, last = clauses(drawn, row, 0), clauses(drawn, row, 0 if both_ways else 1)
        assert sorted(first) == sorted(last)
        known = solve(first)
        assert len(known) == 2 * N
        assert [corpus.VALUES[value] for value in drawn.values[row]] == [known[name] for *_, name in last]
        referred = [known.get(refers, refers) for _, refers, _ in last]
        assert [corpus.VALUES[value] for value in drawn.referred[row]] == referred


def test_both_ways_of_reading_ask_the_same_clauses_in_the_same_order(vocabulary):
    twice = corpus.draw(vocabulary, 6, N, np.random.default_rng(1))
    once = corpus.draw(vocabulary, 6, N, np.random.default_rng(1), both_ways=True)
    for row in range(6):
        assert clauses(once, row, 0) == clauses(twice, row, 1)
    assert np.array_equal(once.values, twice.values)
    assert np.array_equal(once.positions, twice.positions)


def test_answers_are_read_at_the_last_word_of_each_clause_and_positions_follow_the_chain(vocabulary):
    drawn = corpus.draw(vocabulary, 5, N, np.random.default_rng(1))
    for row in range(5):
        said = clauses(drawn, row, 1)
        read_at = drawn.ids[row, drawn.answer_positions]
        assert TOKENIZER.decode(read_at).split() == [clause[2] for clause in said]
        for chain in range(corpus.CHAINS):
            of_chain = [
                clause for clause in np.argsort(drawn.positions[row]) if drawn.chains[row, clause] == chain
            ]
            by_position = [said[clause] for clause in of_chain]
            assert len(by_position) == N
            assert by_position[0][1] in corpus.VALUES
            assert all(later[1] == earlier[2] for earlier, later in pairwise(by_position))


def test_behind_a_broken_link_nothing_follows_in_its_chain_alone(vocabulary):
    drawn = corpus.draw(vocabulary, 10, N, np.random.default_rng(2), broken=2)
    for row in range(10):
        assert len(solve(clauses(drawn, row, 1))) == 2 + N


def features(drawn):
    """What a model without look-ups could use for each clause: counts, its own words, its place, roots."""
    rows, size = drawn.values.shape
    read = drawn.ids[:, -3 * size :].reshape(rows, size, 3)
    counts = np.stack([(drawn.ids == word).sum(1) for word in np.unique(read[..., 0])], 1)
    is_root = drawn.positions == 0
    place = np.arange(size)
    nearest = np.where(is_root[:, None], abs(place[:, None] - place), size).argmin(-1)
    columns = [np.repeat(counts[:, None], size, 1)]
    root_words = np.take_along_axis(read[..., 1], nearest, 1)
    for words in (read[..., 0], root_words, place + 0 * nearest, nearest - place):
        columns.append((words[..., None] == np.unique(words)).astype(float))
    return np.concatenate(columns, -1)


def test_counts_places_and_the_nearest_root_answer_no_better_than_guessing(vocabulary):
    """A least-squares fit to the five answers, on one half of the strings and asked of the other."""
    drawn = corpus.draw(vocabulary, 6_000, N, np.random.default_rng(3), both_ways=True)
    inputs, later = features(drawn), drawn.positions > 0
    half = np.arange(len(inputs)) < 3_000
    fit = later & half[:, None]
    weights = np.linalg.lstsq(inputs[fit], np.eye(5)[drawn.values[fit]], rcond=None)[0]
    asked = later & ~half[:, None]
    right = (inputs[asked] @ weights).argmax(-1) == drawn.values[asked]
    for position in range(1, N):
        assert right[drawn.positions[asked] == position].mean() == pytest.approx(0.2, abs=0.03)


def test_the_best_guess_that_is_left_is_one_of_two_roots(vocabulary):
    drawn = corpus.draw(vocabulary, 6_000, N, np.random.default_rng(4), both_ways=True)
    step = (drawn.ids[:, 1::3, None] == vocabulary.operations).argmax(-1)
    root = drawn.values[drawn.positions == 0].reshape(-1, 2)[:, :1]
    right = (root + step) % 5 == drawn.values
    assert right[drawn.positions == 1].mean() == pytest.approx(0.6, abs=0.02)
    assert right[drawn.positions == 2].mean() == pytest.approx(0.2, abs=0.02)


def test_values_are_even_and_positions_cannot_be_told_by_place(vocabulary):
    drawn = corpus.draw(vocabulary, 4000, N, np.random.default_rng(3))
    assert np.bincount(drawn.values.ravel()) / drawn.values.size == pytest.approx(0.2, abs=0.01)
    assert np.corrcoef(drawn.positions[:, 0], drawn.positions[:, 1])[0, 1] == pytest.approx(-1 / 7, abs=0.05)


def test_words_that_a_tokenizer_lacks_are_one_sentence():
    with pytest.raises(
        UserError, match=r"Two chains of 15 need 31 names .* has 30 names: take chains of 2 to 14"
    ):
        corpus.words(TOKENIZER, 15)
    with pytest.raises(UserError, match="the words as, by, near, behind, under, happy"):
        corpus.words(word_tokenizer([*corpus.OPERATIONS, *NAMES]), 3)
