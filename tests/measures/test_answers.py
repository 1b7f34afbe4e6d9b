"""Final answers: numbers read exactly, extraction by strategy, verdicts, lm-eval's rules."""

import json
import re
from collections import Counter
from decimal import Decimal
from fractions import Fraction

import pytest
from repository import DATA

from workbench.corpora import problems
from workbench.measures.answers import grading, lm_eval, numerals
from workbench.measures.answers.extraction import extract
from workbench.measures.answers.grading import grade

REAL = DATA / "math"
real = pytest.mark.skipif(not REAL.is_dir(), reason="no real problems here (WORKBENCH_DATA)")


def value(text):
    """The value of a text that is one number; None where it is none."""
    number = numerals.whole_number(text)
    return number and number.value


def said(text, strategy="cot"):
    number = extract(text, strategy).number
    return number and number.value


# ---------------------------------------------------------------------------------- numbers
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0), ("007", 7), ("1,234.56", "1234.56"), ("2,880,000", 2880000), ("1,00,000", 100000),
        ("-$5", -5), ("$-5", -5), ("−7", -7), ("-US$1,000", -1000), ("minus 5", -5), ("+3", 3),
        ("-0.5", "-0.5"),
        ("1/2", "1/2"), ("3 1/2", "7/2"), ("3½", "7/2"), ("-7/2 cups", "-7/2"), ("2:3", "2/3"), (".5", "1/2"),
        ("1.5e3", 1500), ("1.5E-3", "0.0015"), ("1.5 × 10^3", 1500), (r"1.5 \times 10^{-3}", "0.0015"),
        ("66 dollars", 66), ("$29.00", 29), ("5 cm²", 5), ("5m", 5), ("72 (inches)", 72), ("60 km/h", 60),
        ("8.", 8), ("**8**", 8), ("$8$", 8), ("x = 5", 5), ("5 dollars per hour.", 5), (r"90^\circ", 90),
        (r"\frac{1}{2}", "1/2"), (r"-\dfrac{3}{4}", "-3/4"), (r"3\frac12", "7/2"), (r"\$1{,}000", 1000),
        (r"5\text{ cm}", 5), ("1.234,56", "1234.56"), ("1.234.567", 1234567), ("12\u202f345,5", "12345.5"),
    ],
)  # fmt: skip
def test_numbers_have_their_exact_value(text, expected):
    assert value(text) == Fraction(expected)


@pytest.mark.parametrize(
    "text",
    [
        "", "yes", "Tom", "3 and 5", "3, 5", "(3,5)", "3,5", "12,34", "1.2.3", "12/25/2021", "2021-05-01",
        "1/0", "3:0", "1:2:3", "x2", "5x", "5 y", "2x + 1", r"2\sqrt{3}", "1e999999999", "9" * 500,
        "5 a" + "-a" * 180 + "!", "at 5 pm on 3 May", "10^", "∞", "nan",
    ],
)  # fmt: skip
def test_what_is_no_single_number_is_none(text):
    assert value(text) is None


def test_a_sign_of_percent_or_a_word_of_magnitude_may_be_a_unit_but_not_both_at_once():
    percent, million = numerals.whole_number("25%"), numerals.whole_number("5 million")
    for text in ("25", "0.25", "1/4", "25 percent", "25.0 %"):
        assert percent.equals(numerals.whole_number(text)), text
    for text in ("2500%", "0.25%", "26", "5 million"):
        assert not percent.equals(numerals.whole_number(text)), text
    assert million.equals(numerals.whole_number("5,000,000"))
    assert million.equals(numerals.whole_number("5"))
    assert not million.equals(numerals.whole_number("5 thousand"))


@pytest.mark.parametrize(
    ("computed", "gold", "verdict"),
    [
        (5.000000000000002, "5", "correct"), ("5.000000000000002", "5", "correct"),
        (0.1 + 0.2, "0.3", "correct"),
        (1e-17, "0", "correct"), (0, "0", "correct"), (0.0, "0", "correct"), (-0.0, "0", "correct"),
        (1 / 3, "1/3", "correct"), (100 * 1.1, "110", "correct"), (Fraction(1, 3), "1/3", "correct"),
        (Decimal("1.10"), "1.1", "correct"), ([7], "7", "correct"), ((7,), "7", "correct"),
        (3 + 0j, "3", "correct"), ("$1,234.56", "1234.56", "correct"), (10**30, str(10**30), "correct"),
        (8.5, "9", "wrong"), (8.5, "8", "wrong"), (5.00001, "5", "wrong"), ("5.00000001", "5", "wrong"),
        (10**30 + 1, str(10**30), "wrong"), (Fraction(333333333333, 10**12), "1/3", "wrong"),
        (None, "0", "unparsed"), (True, "1", "unparsed"), (False, "0", "unparsed"), ([], "0", "unparsed"),
        ([1, 2], "1", "unparsed"), (float("nan"), "0", "unparsed"), (float("inf"), "0", "unparsed"),
        ({"a": 1}, "1", "unparsed"), ("five", "5", "unparsed"), (3 + 1j, "3", "unparsed"),
        ("", "0", "unparsed"), (Decimal("1e999999"), "1", "unparsed"),
    ],
)  # fmt: skip
def test_a_programs_value_counts_exactly_but_for_float_noise(computed, gold, verdict):
    assert grade(computed, gold, "pot").verdict == verdict


# ------------------------------------------------------------------------------- extraction
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("3 + 4 = 7. The answer is 7.", 7), ("The answer is: 7", 7), ("the answer is 7\n", 7),
        ("Answer: 7", 7), ("answer = 7", 7), ("Final Answer: 66 dollars", 66),
        ("Final answer:\n\n$1,234.56.", "1234.56"), ("**Final Answer:** -$5", -5),
        ("The answer is **1/2**.", "1/2"), ("The answer is 1.5e3.", 1500), ("The answer is $5$.", 5),
        ("The answer is 0.", 0), ("The answer is -3.", -3), ("The answer is 2:3.", "2/3"),
        ("The answer is 7 (5 in 2021).", 7), ("The answer is 10, not 13.", 10), ("The answer is x = 7", 7),
        ("The answer is 35 - 14 = 21", 21), ("The answer is $730 + $800 = $1,530.", 1530),
        ("The answer is 80 * (24/24) = 120", 120), ("The answer is 1/2 = 0.5", "1/2"),
        ("The answer is 115 (so 130 - 15 = 115)", 115), ("The answer is 4. Since 4 x 60 = 220, fine", 4),
        ("The answer is 252. However, the correct answer is 7, but", 7),
        ("The answer is 5.\n\nQuestion: How many? The answer is 9.", 5),
        ("The answer is 5.</s>The answer is 9.", 5),
        ("9 * 2 = $<<9*2=18>>18 every day.\n#### 18", 18), (r"Thus \boxed{\frac{3}{4}}.", "3/4"),
        (r"The answer is $\boxed{1{,}000\text{ m}}$.", 1000), (r"\boxed{5} and then \boxed{x = 6}", 6),
        ("There are 3 boxes, 4 in each, so 12 in all.", 12), ("so she has <<1+1=2>>", None),
    ],
)  # fmt: skip
def test_chain_of_thought_gives_the_answer_after_its_last_marker(text, expected):
    assert said(text) == (None if expected is None else Fraction(expected))


@pytest.mark.parametrize(
    "text",
    [
        "", "I do not know.", "The answer is likely incorrect.", "The answer is not 11.",
        "The answer is 12 + 15",
        "The answer is 5 or 6.", "The answer is 3 and 5.", "The answer is May 5, 2021.",
        "The answer is 2021-05-01.",
        "The answer is 12/25/2021.", "The answer is 5 dollars and 50 cents.", "The answer is 10-12.",
        "The answer is 3,5.", "The answer is 11. No: the answer is unknown.",
        r"\boxed{}", r"\boxed", "The answer is", "####",
    ],
)  # fmt: skip
def test_what_is_not_one_clear_number_is_unparsed(text):
    assert grade(text, "5").verdict == "unparsed"


def test_strict_strategies_take_their_own_marker_only():
    text = "#### 3\nThe answer is 4, or \\boxed{5}. 6"
    assert [said(text, strategy) for strategy in ("gsm8k", "boxed")] == [3, 5]
    assert extract("The answer is 4.", "gsm8k").source == extract("#### 4", "boxed").source == "nothing"
    assert extract("7 apples").source == "last number"
    with pytest.raises(ValueError, match="format"):
        extract("1", "tot")


def test_least_to_most_keeps_its_sub_questions_and_takes_the_final_answer():
    text = "Sub-question 1: How many? \nAnswer to Sub-question 1: 5\nQuestion: And then?\nFinal Answer: 6"
    assert said(text, "l2m") == 6


def test_every_worked_solution_of_the_grammar_is_correct():
    for problem in problems.draw(200, seed=3):
        for strategy in ("cot", "l2m"):
            graded = grade(problem.rationale(strategy), problem.answer, strategy)
            assert graded.verdict == "correct", problem.rationale(strategy)
            assert graded.answer.source == "marker"
        scope = {}
        exec(problem.rationale("pot"), scope)  # our own program, no model's
        assert grade(scope["ans"], problem.answer, "pot").verdict == "correct"
        assert grade(problem.rationale(), problem.answer + 1).verdict == "wrong"


def test_hostile_givens_are_read_without_harm():
    texts = [
        "1 " * 60_000, "9" * 200_000, "1," * 60_000, "1/" * 60_000, "\n " * 60_000, "answer" + " " * 200_000,
        "The answer is " * 10_000, "\\boxed{" * 20_000, "-" * 200_000, "<<1" * 60_000, "\\frac{1" * 20_000,
        "5 " + "a" * 200_000, "\ud800 5", "\x00",
    ]  # fmt: skip
    for text in texts:
        for strategy in ("cot", "l2m", "gsm8k", "boxed", "pot"):
            assert grade(text, "4", strategy).verdict in ("wrong", "unparsed"), (text[:20], strategy)
    assert grade(10**100_000, "1", "pot").verdict == "unparsed"


# --------------------------------------------------------------------------------- verdicts
def test_golds_that_are_no_number_are_counted_apart():
    cases = [("The answer is 2.", gold) for gold in ("2", "3", "Tom", "yes", "2 and 3", "2 #### 2")]
    verdicts = Counter(grade(*case).verdict for case in [*cases, ("nothing", "2")])
    assert verdicts == {"correct": 2, "wrong": 1, "unparsed": 1, "unscorable": 3}


def test_a_letter_is_compared_with_the_letter_given():
    for text in ("The answer is B", "The answer is (B) 21.", "Answer: **B**", r"\boxed{\text{B}}"):
        assert [grade(text, gold).verdict for gold in "BC"] == ["correct", "wrong"]
    for text in ("The answer is 5.", "The answer is Bob", "B it is"):
        assert grade(text, "B").verdict == "unparsed"


# ---------------------------------------------------------------------------------- lm-eval
@pytest.mark.parametrize(
    ("text", "gold", "strict", "cot", "flexible", "ours"),
    [
        ("6 * 3 = 18\n#### 18", "x\n#### 18", "correct", "unparsed", "correct", "correct"),
        ("The answer is 1,800.", "1800", "unparsed", "correct", "correct", "correct"),
        ("The answer is $29.00.", "29", "unparsed", "unparsed", "wrong", "correct"),
        ("The answer is 2/3", "3", "unparsed", "wrong", "correct", "wrong"),
        ("The answer is 5%.", "5", "unparsed", "correct", "correct", "correct"),
        ("#### 4\nQuestion: next?\n#### 7", "7", "wrong", "unparsed", "correct", "wrong"),
        ("The answer is 66 dollars in 2021.", "66", "unparsed", "correct", "wrong", "correct"),
        ("nothing", "0", "unparsed", "unparsed", "unparsed", "unparsed"),
    ],
)
def test_lm_evals_rules_stand_beside_ours_with_their_known_differences(
    text, gold, strict, cot, flexible, ours
):
    rules = [lm_eval.grade(text, gold, rule) for rule in ("strict", "strict-cot", "flexible")]
    assert [*rules, grade(text, gold).verdict] == [strict, cot, flexible, ours]


def test_an_unknown_lm_eval_rule_is_refused():
    with pytest.raises(ValueError, match="strict-cot"):
        lm_eval.extracted("1", "loose")


# -------------------------------------------------------------------------------- real data
def rows(path):
    text = (REAL / path).read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()] if path.endswith("l") else json.loads(text)


def words(text):
    return re.sub(r"\W+", "", text).lower()


@real
def test_every_gold_of_the_real_sets_is_a_number():
    sets = {
        "train": [row["answer"] for row in rows("gsm8k/train.jsonl")],
        "test": [row["answer"] for row in rows("gsm8k/test.jsonl")],
        "svamp": [row["Answer"] for row in rows("svamp/SVAMP.json")],
        "multiarith": [row["lSolutions"][0] for row in rows("multiarith/MultiArith.json")],
    }
    golds = {name: [grading.read_gold(gold).value for gold in found] for name, found in sets.items()}
    assert {name: len(found) for name, found in golds.items()} == {
        "train": 7473, "test": 1319, "svamp": 1000, "multiarith": 600,
    }  # fmt: skip
    assert all(gold.denominator == 1 for found in golds.values() for gold in found)
    assert max(golds["train"]) == 192_000_000
    assert [sum(gold < 0 for gold in golds[name]) for name in ("train", "test")] == [3, 2]
    assert [sum(gold == 0 for gold in golds[name]) for name in golds] == [1, 0, 0, 0]
    for gold in sets["test"]:
        assert grade(gold, gold).verdict == grade(gold, gold, "gsm8k").verdict == "correct"
        assert lm_eval.grade(gold, gold, "strict") == lm_eval.grade(gold, gold, "flexible") == "correct"


@pytest.fixture(scope="module")
def svamp():
    """Question → (gold, {strategy: rationale or value}) of the 700 questions that have a rationale."""
    golds = {words(row["Body"] + row["Question"]): row["Answer"] for row in rows("svamp/SVAMP.json")}
    files = {"cot": "SVAMP_llama_level3_ranked.json", "l2m": "0_SVAMP_chatgpt_level3BSM.json"}
    given = {
        s: {words(row["instruction"]): row["output"] for row in rows(f"rationales/{files[s]}")} for s in files
    }
    programs = [row for row in rows("rationales/svamp_pot_codex.jsonl") if "executed" in row]
    given["pot"] = {words(row["passage"] + row["question"]): row["executed"] for row in programs}
    return {key: (golds[key], {s: given[s][key] for s in given if key in given[s]}) for key in given["cot"]}


@real
def test_real_rationales_have_the_known_counts_by_the_rule_of_the_last_number(svamp):
    right = Counter()
    for gold, given in svamp.values():
        solved = {s for s in ("cot", "l2m") if lm_eval.grade(given.get(s, ""), str(int(gold))) == "correct"}
        solved |= {"pot"} & {"pot" for s in given if grade(given["pot"], gold, "pot").verdict == "correct"}
        right.update([*solved, "all"] if len(solved) == 3 else solved)
        right["any"] += bool(solved)
    assert len(svamp) == 700
    assert [right[name] for name in ("cot", "l2m", "pot", "any", "all")] == [699, 684, 601, 700, 591]


@real
def test_ours_refuses_the_three_real_rationales_that_the_last_number_gets_right_by_luck(svamp):
    lucky = []
    for gold, given in svamp.values():
        for strategy in ("cot", "l2m"):
            text = given.get(strategy, "")
            last, ours = lm_eval.grade(text, str(int(gold))), grade(text, gold, strategy).verdict
            if (last == "correct") != (ours == "correct"):
                lucky.append((strategy, last, ours, extract(text, strategy).number.value))
    assert sorted(lucky) == [
        ("cot", "correct", "wrong", 4), ("cot", "correct", "wrong", 10),
        ("l2m", "correct", "wrong", Fraction(1, 16)),
    ]  # fmt: skip
