"""Exercises that may be read first: every solution is true, and no question is both read and asked."""

import re

import pytest

from workbench.corpora.drills import STAGES, draw, facts, rule_book
from workbench.errors import UserError
from workbench.measures.answers.equations import equations
from workbench.measures.answers.grading import grade


@pytest.mark.parametrize("stage", STAGES)
def test_solutions_are_right_and_within_bounds(stage):
    for one in draw(stage, 300, 0, largest=12):
        assert grade(one.solution, one.answer).verdict == "correct", one
        assert all(equation.true for equation in equations(one.solution)), one
        assert all(int(number) <= 12 for number in re.findall(r"\d+", one.question + one.solution)), one


@pytest.mark.parametrize("stage", STAGES[1:])
def test_no_question_is_both_read_and_asked_and_the_same_seed_draws_the_same(stage):
    read, asked = ({one.question for one in draw(stage, 500, 1, split=split)} for split in ("train", "test"))
    assert asked
    assert not read & asked
    assert draw(stage, 20, 1) == draw(stage, 20, 1) != draw(stage, 20, 2)


def test_every_fact_is_read_as_often_as_any_other():
    known = facts(12)
    assert len(set(known)) == len(known)
    assert {(2, "+", 2, 4), (12, "-", 11, 1), (3, "*", 4, 12), (12, "/", 12, 1)} <= set(known)
    read = [one.answer for one in draw("arithmetic", 2 * len(known), 0)]
    assert sorted(read) == sorted(str(result) for *_, result in known * 2)
    asked = draw("arithmetic", len(known), 0, split="test")
    assert len({one.question for one in asked}) == len(known)
    again = draw("arithmetic", len(known), 1, split="test")
    assert {one.question for one in asked} == {one.question for one in again}


def test_programs_print_what_they_say():
    for one in draw("programs", 200, 0):
        *lines, last = one.question.split("; ")
        values = {}
        exec("\n".join(lines), {}, values)
        assert str(values[last[6:-1]]) == one.answer


def test_rules_follow_from_the_book():
    book = rule_book()
    for one in draw("rules", 200, 0):
        at, *rules = re.findall(r"\b(?:[a-t]|red|blue|green|white)\b", one.question)
        for rule in rules:
            at = book[rule, at]
        assert one.answer == rf"\text{{{at}}}"
        assert len(re.findall(r"\.", one.solution)) == len(rules) + 1


def test_every_rule_can_be_known_from_what_is_read():
    read = {
        step for one in draw("rules", 2_000, 0) for step in re.findall(r"(\w) (\w{3,}) (\w)\.", one.solution)
    }
    assert {(letter, rule, other) for (rule, letter), other in rule_book().items()} <= read


def test_algebra_is_solved_by_the_number_that_fits():
    for one in draw("algebra", 100, 0):
        name, left, right = re.fullmatch(r"(\w) (.+) = (\d+), so .*", one.question).groups()
        assert eval(f"{one.answer} {left}") == int(right)
        assert name in one.question


@pytest.mark.parametrize(
    ("stage", "largest", "message"),
    [("logic", 12, "No one knows .* 'logic'"), ("rules", 5, "up to 9 or more")],
)
def test_what_there_is_not_is_refused(stage, largest, message):
    with pytest.raises(UserError, match=message):
        draw(stage, 1, 0, largest=largest)
