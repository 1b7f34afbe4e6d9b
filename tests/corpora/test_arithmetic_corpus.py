"""Arithmetic exercises: exact answers, stated cells, true steps, and splits that share no operands."""

import re
from fractions import Fraction

import pytest

from workbench.corpora.arithmetic import OPERATIONS, Cell, draw, format_number, grid
from workbench.corpora.long_arithmetic import steps
from workbench.errors import UserError

CELLS = [*grid("+-*/", 3), Cell("mixed", (1, 2, 1)), Cell("mixed", (1, 1, 1, 1))]


def exact(expression: str) -> Fraction:
    """The value of an expression that the grammar wrote, by Python itself."""
    return eval(re.sub(r"[\d.]+", r"F('\g<0>')", expression), {"F": Fraction})


@pytest.mark.parametrize(
    ("kind", "in_steps"), [("whole", False), ("whole", True), ("decimal", False), ("fraction", False)]
)
def test_every_equation_is_true_and_the_last_sentence_says_its_result(kind, in_steps):
    for each in draw(CELLS, 4, 1, kind=kind, steps=in_steps):
        *equations, final = each.solution.split(". ")
        for equation in equations:
            left, right = equation.split(" = ")
            assert exact(left) == exact(right), each
        assert final == f"The answer is {format_number(each.answer, kind)}."
        assert exact(equations[-1].split(" = ")[1]) == each.answer


def test_operands_have_the_digits_of_their_cell_and_the_answer_is_that_of_the_operation():
    for each in draw(grid("+-*/", 4), 5, 0):
        low = [10 ** (digits - 1) if digits > 1 else 0 for digits in each.cell.digits]
        assert all(
            a <= b < 10**digits for a, b, digits in zip(low, each.operands, each.cell.digits, strict=True)
        )
        assert each.answer == OPERATIONS[each.cell.operation][0](*each.operands)
        assert each.answer >= 0
        assert each.answer.denominator == 1


def test_a_bare_expression_asks_for_the_answer_with_its_brackets():
    for each in draw([Cell("mixed", (1, 1, 1, 1))], 60, 3, worded=0):
        assert exact(each.question.removesuffix(" = ?")) == each.answer, each


def test_the_splits_share_no_operands_in_any_order():
    def keys(split):
        drawn = draw(grid("+-*/", 2), 150, 0, split=split)
        return {(e.cell.operation, ordered(e)) for e in drawn}

    def ordered(exercise):
        return tuple(sorted(exercise.operands)) if exercise.cell.operation in "+*" else exercise.operands

    train, test = keys("train"), keys("test")
    assert len(test) > 300
    assert not train & test


def test_exercises_come_twice_only_where_their_cell_is_used_up():
    drawn = draw(grid("-", 2), 60, 0)
    operands = {digits: [one.operands for one in drawn if one.cell == Cell("-", digits)]
                for digits in ((2, 1), (1, 1))}  # fmt: skip
    assert [len(rows) for rows in operands.values()] == [60, 60]
    assert len(set(operands[2, 1])) == 60
    assert len(set(operands[1, 1])) < 55  # 55 differences of one digit are not negative


def test_a_draw_is_its_seed_alone_and_other_seeds_differ():
    assert draw(CELLS, 3, 5) == draw(CELLS, 3, 5)
    assert draw(CELLS, 3, 5) != draw(CELLS, 3, 6)


def test_negative_results_come_when_they_are_let():
    cell = [Cell("-", (1, 2))]
    assert all(each.answer < 0 for each in draw(cell, 20, 0, negative=True, steps=True))
    with pytest.raises(UserError, match="leave this cell out"):
        draw(cell, 1, 0)


def test_no_number_is_larger_than_the_bound():
    for each in draw(grid("+-*/", 2)[:3], 40, 0, largest=20):
        assert max(*each.operands, each.answer) <= 20
    with pytest.raises(UserError, match="widen its bounds"):
        draw([Cell("*", (2, 2))], 1, 0, largest=20)


def test_percentages_are_exact():
    for each in draw([Cell("*", (2, 3))], 20, 0, kind="percent"):
        share, whole = each.operands
        assert each.question == f"What is {format_number(share * 100)}% of {whole}?"
        assert each.answer == share * whole
        assert Fraction(format_number(each.answer)) == each.answer


@pytest.mark.parametrize(
    ("operation", "left", "right", "lines"),
    [
        ("+", 58, 67, "8 + 7 = 15. 5 + 6 + 1 = 12."),
        ("-", 100, 1, "10 - 1 = 9. 9 - 0 = 9. 1 - 1 = 0. 0 - 0 = 0."),
        ("*", 23, 45, "45 * 20 = 900. 45 * 3 = 135. 900 + 135 = 1035."),
        ("*", 20, 34, ""),
        ("/", 612, 6, "6 * 100 = 600. 612 - 600 = 12. 6 * 2 = 12. 12 - 12 = 0."),
        ("+", 8, 7, ""),
    ],
)
def test_long_arithmetic_goes_as_at_school(operation, left, right, lines):
    assert " ".join(steps(operation, left, right)) == lines


@pytest.mark.parametrize(
    ("number", "kind", "text"),
    [
        ("7", "whole", "7"),
        ("5/2", "decimal", "2.5"),
        ("1/80", "decimal", "0.0125"),
        ("-21/20", "decimal", "-1.05"),
        ("7/3", "decimal", "7/3"),
        ("5/2", "fraction", "5/2"),
    ],
)
def test_numbers_are_written_exactly(number, kind, text):
    assert format_number(Fraction(number), kind) == text


@pytest.mark.parametrize(
    ("cells", "settings", "message"),
    [
        ([Cell("^", (1, 1))], {}, "no operation"),
        ([Cell("+", (0, 1))], {}, "1 digit or more"),
        ([Cell("+", (1, 1, 1))], {}, "two operands"),
        ([Cell("+", (1, 1))], {"kind": "percent"}, "multiplication"),
        ([Cell("+", (1, 1))], {"kind": "decimal", "steps": True}, "whole numbers"),
    ],
)
def test_cells_that_cannot_be_are_refused(cells, settings, message):
    with pytest.raises(UserError, match=message):
        draw(cells, 1, 0, **settings)
