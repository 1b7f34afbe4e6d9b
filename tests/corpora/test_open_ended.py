"""Open-ended requests: answers read back to their meaning, and everything else told apart."""

from collections import Counter

import pytest

from workbench.corpora import open_ended
from workbench.corpora.open_ended import grade, make_request

REQUESTS = open_ended.requests(0)
GIFT = make_request("gift", "the garden", "Mia")


@pytest.mark.parametrize("asked", REQUESTS, ids=lambda asked: asked.id)
def test_every_answer_is_valid_and_read_back_to_what_was_meant(asked):
    for answer in open_ended.answers(asked, 40, seed=3):
        found = grade(asked, answer.text)
        assert (found.valid, found.meaning) == (True, answer.meaning), answer.text
        assert found.meaning in open_ended.meanings(asked)
        assert 7 <= len(answer.text.split()) <= 25


def test_paraphrases_mean_the_same_and_mostly_differ_in_words():
    pairs = open_ended.paraphrases(GIFT, 50, seed=0)
    for first, second in pairs:
        assert grade(GIFT, first).meaning == grade(GIFT, second).meaning != ""
    assert sum(first == second for first, second in pairs) < 5


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("Give her a little watering can, tied with a red ribbon.", ""),
        ("  Give her a little watering can, tied with a red ribbon.\n", ""),
        ("Give her an old rake, tied with a red ribbon.", ""),
        ("How about a shiny spade in a green box?", ""),
        ("I would choose a red basket with a blue bow for Mia.", ""),
        ("Give him a little watering can, tied with a red ribbon.", "does not fit the request"),
        ("I would choose a red basket with a blue bow for Tom.", "does not fit the request"),
        ("Give her a old rake, tied with a red ribbon.", "does not fit the request"),
        ("Give her a little drum, tied with a red ribbon.", "does not fit the request"),
        ("give her a little watering can, tied with a red ribbon.", "does not fit the request"),
        ("Give her a little watering machine, tied with a red ribbon.", "not in the world"),
        ("How about a square spade in a green box?", "not in the world"),
        ("Give her a little watering can, tied with a red", "not well formed"),
        ("A watering can.", "not well formed"),
        ("", "not well formed"),
    ],
)
def test_the_oracle_says_what_is_wrong(text, why):
    found = grade(GIFT, text)
    assert (found.valid, found.reason) == (not why, why)


def test_an_answer_to_one_request_does_not_fit_another_topic():
    moon, wind = make_request("likeness", "the moon", ""), make_request("likeness", "the wind", "")
    text = "The moon is a shiny coin that looks cold and shy."
    assert grade(moon, text).meaning == "coin"
    assert grade(wind, text).reason == "does not fit the request"


def test_a_story_means_its_place_and_what_happens():
    asked = make_request("story", "a lost kite", "")
    found = grade(asked, "Long ago, Lily came upon a lost kite on the hill. It could talk.")
    assert found.meaning == "on the hill / could talk"
    assert len(open_ended.meanings(asked)) == 100


def test_shares_are_what_people_answer():
    exact = open_ended.shares(GIFT)
    assert sum(exact.values()) == pytest.approx(1)
    n = 4000
    counts = Counter(each.meaning for each in open_ended.answers(GIFT, n, seed=5))
    for meaning, share in exact.items():
        assert abs(counts[meaning] / n - share) < 5 * (share * (1 - share) / n) ** 0.5


def test_people_have_tastes_of_their_own_and_libraries_share_people():
    first, second = (open_ended.shares(GIFT, [person]) for person in (0, 1))
    assert max(abs(first[name] - second[name]) for name in first) > 0.1
    people = [set(own) for own in open_ended.LIBRARIES.values()]
    assert all(len(a & b) == 2 for a, b in zip(people, [*people[1:], people[0]], strict=True))
    assert set.union(*people) == set(range(open_ended.PEOPLE))


def test_a_library_can_be_drawn_again_and_holds_valid_answers():
    found = open_ended.library("north", 50, seed=1)
    assert found == open_ended.library("north", 50, seed=1)
    assert found != open_ended.library("south", 50, seed=1)
    topics = [(name, topic) for name, kind in open_ended.KINDS.items() for topic in kind.topics]
    asked = [make_request(kind, topic, name) for kind, topic in topics for name in open_ended.NAMES]
    known = {request.prompt: request for request in asked}
    assert all(answer.startswith(" ") and grade(known[prompt], answer).valid for prompt, answer in found)
