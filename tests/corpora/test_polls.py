"""Polls: what twenty people said, written out and read back."""

from collections import Counter

import pytest

from workbench.corpora import open_ended, polls

REQUEST = open_ended.make_request("dweller", "the pond", "")


def test_a_poll_counts_what_its_people_said():
    text = polls.poll(REQUEST, 3, open_ended.LIBRARIES["west"])
    said = open_ended.answers(REQUEST, polls.ASKED, 3, open_ended.LIBRARIES["west"])
    counts = Counter(answer.meaning for answer in said)
    read = polls.entries(text)
    assert [count for count, _ in read] == [count for _, count in counts.most_common(polls.LISTED)]
    for count, answer in read:
        assert counts[open_ended.grade(REQUEST, answer).meaning] == count
        assert answer in {each.text for each in said}


@pytest.mark.parametrize("text", ["", "A kind frog who sings at night.", "6:", "six: A frog."])
def test_what_is_no_poll_has_no_entries(text):
    assert polls.entries(text) == []


def test_a_library_polls_kinds_that_say_something_in_few_words():
    pairs = polls.library("north", 40, 1, tuple(open_ended.KINDS))
    assert pairs == polls.library("north", 40, 1, tuple(open_ended.KINDS))
    assert pairs != polls.library("south", 40, 1, tuple(open_ended.KINDS))
    asked = {
        polls.poll_prompt(each): each for each in open_ended.requests(0) if polls.can_be_polled(each.kind)
    }
    assert {each.kind for each in asked.values()} == {"likeness", "dweller"}
    for prompt, text in pairs:
        read = polls.entries(text)
        assert text.startswith(" ")
        assert 1 <= len(read) <= polls.LISTED
        assert sum(count for count, _ in read) <= polls.ASKED
        assert all(open_ended.grade(asked[prompt], answer).valid for _, answer in read)
