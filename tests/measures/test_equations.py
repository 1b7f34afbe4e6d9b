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
        ("20 / 3 = 6.666...", [("20 / 3", "6.666", True)]),
        ("3 x 4 = 12 and 3 × 4 = $12", [("3 * 4", "12", True), ("3 * 4", "12", True)]),
        ("1,000 * 2 = 2,000", [("1,000 * 2", "2,000", True)]),
        ("05 + 1 = 6", [("05 + 1", "6", True)]),
        ("-3 + 5 = 2", [("-3 + 5", "2", True)]),
        ("2 + 3 * 4 = 20", [("2 + 3 * 4", "20", False)]),
        ("5 / 0 = 0", [("5 / 0", "0", False)]),
        ("1 + 1 = 0 / 0", [("1 + 1", "0 / 0", False)]),
        ("27(1/3) = 9, 2**3 = 8", [("27(1/3)", "9", True), ("2**3", "8", True)]),
        ("no sum, x = 3, 7 = 7, 3 - = 4", []),
        ("(" * 190 + "1 + 1" + " = 2", []),
        ("1 + " * 100 + "1 = 101", []),
        ("", []),
    ],
)
def test_equations_are_found_and_checked_exactly(text, found):
    assert [(each.left, each.right, each.true) for each in equations(text)] == found


@pytest.mark.parametrize(
    "text",
    [
        "2^3 + 1 = 9", "2³ + 1 = 9", "(2 + 3)^2 + 1 = 26", "3^2 + 4^2 = 5^2", "2^{3} = 8", "2^-1 + 1 = 1.5",
        "2 · 3 + 1 = 7", "8 ÷ 2 = 4", "3 – 4 = –1", "−3 − 4 = −7", "१ + २ = ३", "３＋４＝７",
        "5 x 3 x 2 = 30", r"3 \times 4 = 12", r"3 \cdot 4 + 1 = 13",
        r"$\frac{1}{2} + \frac{1}{3} = \frac{5}{6}$", "$2 + 3 = 5$", r"$x = \frac{-3 + 5}{2} = 1$",
        r"3 + 4 = \boxed{7}", r"\$5 + \$3 = \$8", "[3 + 4] * 2 = 14", "5 apples + 3 apples = 8 apples",
        "5 dollars * 3 = 15 dollars", "2 + 8 = 10 ounces", "5kg + 3kg = 8kg", "1.5 * 2 = 3 times a day",
        "5 million + 3 million = 8 million", "20% of 50 = 10", "50 * 20% = 10", "100% - 20% = 80%",
        "45/60 = 75%", "45/60 * 100 = 75%", "1/2 of 10 = 5", "2(3 + 4) = 14", "(2)(3) = 6",
        "12,50 + 1,50 = 14", "1.234,50 + 1,50 = 1.236,00", "10 000 + 5 = 10 005", "10'000 + 1 = 10'001",
        "1 1/2 + 1/2 = 2", "1½ + ½ = 2", "7/2 = 3 1/2", "**3 + 4 = 7**", "- 3 + 4 = 7", "1. 3 + 4 = 7",
        "1) 3 + 4 = 7", "(3 + 4 = 7)", "She has 15 (10 + 5 = 15) apples", "3 + 4 = 7 (3 dozen)",
        "3 + 4 = 7!", "3 + 4 == 7", "x = 3 + 4\n  = 7", "3 times 4 = 12", "So -3 + 5 = 2",
        "a total of 12 + 24 = 36 pages", "Step 1: 3 + 4 = 7",
        "99999999999999999999.5 + 1 = 100000000000000000000.5", "so that's 5*12 = 60",
        "\\begin{align} x &= 3 + 4 \\\\\n &= 7 \\end{align}",
    ],
)  # fmt: skip
def test_right_equations_are_right_in_every_spelling(text):
    assert [each.true for each in equations(text)] == [True]


@pytest.mark.parametrize(
    "text",
    [
        "10:30 + 2 = 12:30", "√16 + 1 = 5", r"\sqrt{16} + 1 = 5", "|-3| + 1 = 4", "5! + 1 = 121",
        "3 * 2 = 3!", "log 8 + 1 = 4", "f(2) + 3 = 7", "y - 3 + 4 = 9", "x + 3 + 4 = 9", "2x + 3 = 7",
        "x2 + 3 = 5", "3 + 5 = 8x", "3 + 4 = 7k", "3 + 4 = 7^2 - y", "3 + 4 = 7 mod 5",
        "3 + 4 = 7 and 1/2", "3 + 4 = 7:30", "2 hours + 30 minutes = 150 minutes",
        "3 feet * 2 = 72 inches", "5 ft 3 in + 2 = 7", "4 thousand + 4 = 8", "5000 + 3000 = 8 thousand",
        "100 - 20% = 80", "1.2 * 100% = 120", "6/2(1+2) = 9", "6 / 3/2 = 4", "0.333... * 3 + 1 = 2",
        "100%^3000 = 2", "17 / 5 = 3 R2", "17 / 5 = 3 remainder 2", "17 / 5 = 3, with a remainder of 2",
        "17 / 5 = 3 (remainder 2)", "17 / 5 = 3 with 2 left over", "2 pi * 3 = 18.8",
        "1.2.3 + 1 = 2", "12/25/2021 + 1 = 3", "2 * (3 + 4 = 7)", "3 + 4 != 8", "3 + 4 <= 7",
        "9^9^9 + 1 = 5", "2^0.5 + 1 = 2", "16,0000/10 = 16000", "1,234.5 + 1,5 = 3", "1e3 + 1 = 4",
    ],
)  # fmt: skip
def test_what_belongs_to_a_larger_equation_or_reads_in_two_ways_does_not_count(text):
    assert equations(text) == []


def test_hostile_texts_are_read_without_harm():
    texts = [
        "1" * 4400 + " + 1 = 2", "(" * 10_000 + "= 1", "1 + 1 = " * 5_000, "2" + "^9" * 90 + " + 1 = 3",
        "= " * 20_000, "1 " * 20_000 + "= 1", "\\frac{1" * 3_000 + " = 1", "\ud800 + 1 = 2",
    ]  # fmt: skip
    for text in texts:
        assert all(each.true is False or each.left for each in equations(text))
