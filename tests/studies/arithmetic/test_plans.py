"""When a written solution plans as the right one does."""

import pytest

from workbench.studies.arithmetic.plans import same_plan, steps

QUESTION = "Anna has 3 bags of 4 pears. She eats 4 of them."
SOLUTION = "3 * 4 = 12. 12 - 4 = 8. The answer is 8."


@pytest.mark.parametrize(
    ("reply", "right"),
    [
        (SOLUTION, True),
        ("4 * 3 = 12. 12 - 4 = 8.", True),  # factors change places
        ("3 * 4 = 13. 13 - 4 = 9.", True),  # what was written is gone on with
        ("3 * 4 = 13. 12 - 4 = 8.", False),  # not gone on with, nor told
        ("3 * 4 = 12. 4 - 12 = 8.", False),
        ("3 + 4 = 7. 7 - 4 = 3.", False),
        ("3 * 4 = 12. 12 - 3 = 9.", False),
        ("3 * 4 = 12.", False),
        ("3 * 4 = 12. 12 - 4 = 8. 8 + 1 = 9.", False),
        ("3 * 4 - 4 = 8.", False),  # no single operation on two numbers
        ("", False),
    ],
)
def test_a_plan_is_operations_on_numbers_told_or_written(reply, right):
    assert same_plan(QUESTION, SOLUTION, reply) is right


def test_a_number_that_is_told_and_worked_out_counts_either_way():
    question, solution = "He has 2 and 3, and 5 more.", "2 + 3 = 5. 5 + 5 = 10."
    assert same_plan(question, solution, "2 + 3 = 6. 6 + 5 = 11.")
    assert same_plan(question, solution, "2 + 3 = 6. 5 + 6 = 11.")


def test_without_steps_no_plan_is_known():
    assert same_plan("How many?", "The answer is 8.", "3 * 4 = 12.") is None


def test_steps_say_what_is_true():
    assert [(one.operation, one.true) for one in steps("3 * 4 = 12. 12 - 4 = 9.")] == [
        ("*", True),
        ("-", False),
    ]
