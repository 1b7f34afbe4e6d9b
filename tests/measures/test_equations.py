"""Equations found in texts, and whether they are true."""

import pytest

from workbench.measures.answers.equations import equations


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("18 - 3 = 15. 15 / 3 = 5. The answer is 5.", [("18 - 3", "15", True), ("15 / 3", "5", True)]),
        ("He has 3 + 4 = 8 apples.", [("3 + 4", "8", False)]),
        ("48/2 = <<48/2=24>>24 clips", [("48/2", "24", True)]),
        ("23 * 14 = 230 + 92 = 322", [("23 * 14", "230 + 92", True), ("230 + 92", "322", True)]),
        ("(29/3) * (5/4) = 145/12.", [("(29/3) * (5/4)", "145/12", True)]),
        ("10 / 3 = 3.33", [("10 / 3", "3.33", True)]),
        ("10 / 3 = 3.34", [("10 / 3", "3.34", False)]),
        ("10 / 3 = 3", [("10 / 3", "3", False)]),
        ("3 x 4 = 12 and 3 × 4 = $12", [("3 * 4", "12", True), ("3 * 4", "12", True)]),
        ("1,000 * 2 = 2,000", [("1,000 * 2", "2,000", True)]),
        ("05 + 1 = 6", [("05 + 1", "6", True)]),
        ("-3 + 5 = 2", [("-3 + 5", "2", True)]),
        ("2 + 3 * 4 = 20", [("2 + 3 * 4", "20", False)]),
        ("5 / 0 = 0", [("5 / 0", "0", False)]),
        ("1 + 1 = 0 / 0", [("1 + 1", "0 / 0", False)]),
        ("no sum, x = 3, 7 = 7, 3 - = 4, 27(1/3) = 9, 2**3 = 8", []),
        ("(" * 190 + "1 + 1" + " = 2", []),
        ("1 + " * 100 + "1 = 101", []),
        ("", []),
    ],
)
def test_equations_are_found_and_checked_exactly(text, found):
    assert [(each.left, each.right, each.true) for each in equations(text)] == found
