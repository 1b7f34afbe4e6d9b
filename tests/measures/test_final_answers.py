"""One kind of final answer a test, each in many spellings; most would be read wrongly one sign at a time."""

import json
import time
from pathlib import Path

import numpy as np
import pytest
from repository import ROOT

from workbench.measures.answers.grading import grade, grade_many, scorable

CASES = ROOT.parent / "shared" / "cases" / "answers.jsonl"


def verdicts(answers, gold, answer_format="cot"):
    """Answer → verdict, each said in a sentence, or in a box."""
    frame = {"cot": "The answer is {}.", "boxed": "So \\boxed{{{}}}.", "gsm8k": "#### {}"}[answer_format]
    grades = grade_many([frame.format(answer) for answer in answers], [gold] * len(answers), answer_format)
    return {answer: item.verdict for answer, item in zip(answers, grades, strict=True)}


def check(verdict, answers, gold, formats=("cot",)):
    for answer_format in formats:
        found = verdicts(answers, gold, answer_format)
        assert found == dict.fromkeys(answers, verdict), answer_format


def test_minus_has_many_signs():
    signs = "-−–‐‑‒﹣－➖"
    check("correct", [f"{sign}5" for sign in signs], "-5", ["cot", "boxed", "gsm8k"])
    check("wrong", [f"{sign}5" for sign in signs], "5")
    check("correct", ["− 5", "$- 5$", "-$5", "$-5$", "minus 5", "negative five", "-5.0"], "-5")
    check("unparsed", ["—5", "- 5"], "5")  # a dash of the sentence, or of the number


def test_ranges_lists_dates_and_compounds_are_no_single_number():
    ranges = [
        "5–12",
        "5 – 12",
        "5—12",
        "5 to 12",
        "5 through 12",
        "5~12",
        "between 5 and 12",
        "5...12",
        "5-12 kg",
    ]
    lists = [
        "5, 12",
        "5 and 12",
        "5 or 12",
        "5; 12",
        "5 & 12",
        "5,12",
        "$5$ or $12$",
        "5 12",
    ]
    dates = ["May 5", "5 May 2021", "5th of May", "2021-05-05", "05/06/2021", "5.12.2021"]
    compounds = ["5 feet 3 inches", "5'3\"", "5 hours 30 minutes", "5 dollars and 50 cents", "5h 30min"]
    compared = [
        "at least 5",
        "more than 5",
        "up to 5",
        "5 out of 10",
        "half of 5",
        "the square root of 5",
        "5 squared",
    ]
    check("unparsed", [*ranges, *lists, *dates, *compounds, *compared], "5")
    check("unparsed", ["5–12", r"5\text{ and }12", "5,12"], "5", ["boxed"])


def test_digits_of_every_script():
    for eighteen in ["１８", "१८", "١٨", "۱۸", "১৮", "๑๘", "𝟏𝟖", "௧௮", "꘡꘨"]:
        check("correct", [eighteen], "18", ["cot", "boxed", "gsm8k"])
        check("correct", ["18"], eighteen)
    for text, gold in [
        ("١٠٬٠٠٠", "10000"),
        ("٣٫٥", "3.5"),
        ("٥٠٪", "0.5"),
        ("−١٨", "-18"),
        ("१/२", "0.5"),
        ("१,००,०००", "100000"),
        ("１０，０００", "10000"),
    ]:
        check("correct", [text], gold)


@pytest.mark.parametrize(
    "sign",
    [
        " ",
        "\u00a0",
        "\u2009",
        "\u202f",
        "\u2007",
        "\u200a",
        "\u3000",
        "'",
        "’",
        "\\,",
        "\\;",
        "\\ ",
        "~",
        "{,}",
        "{ , }",
        ",\\!",
        ",",
    ],
)
def test_thousands_stand_apart_in_many_ways(sign):
    check("correct", [f"10{sign}000"], "10000", ["cot", "boxed"])
    check("correct", [f"1{sign}234{sign}567"], "1234567", ["cot", "boxed"])
    check("wrong", [f"10{sign}000"], "10", ["cot", "boxed"])


def test_points_and_commas_where_they_are_clear():
    for text, gold in [
        ("1,00,000", "100000"),
        ("12,34,567", "1234567"),
        ("1.234,50 €", "1234.50"),
        ("10_000", "10000"),
        ("1 234,5", "1234.5"),
        ("1'234'567.89", "1234567.89"),
        (".5", "0.5"),
        ("18.00", "18"),
    ]:
        check("correct", [text], gold)
    check("unparsed", ["12,50 €", "12,50", "1.2.3", "10, 000"], "12.50")


def test_mixed_numbers():
    spellings = [
        "3 1/2",
        "3½",
        "3 ½",
        "3 and 1/2",
        "3 & 1/2",
        "3-1/2",
        "3–1/2",
        "3-½",
        "3 and ½",
        "3 and a half",
        "3 1⁄2",
        "3 and one-half",
        "three and a half",
        "three and one half",
        r"3\frac{1}{2}",
        r"3\,\tfrac{1}{2}",
        "7/2",
        "7 / 2",
        r"$3\frac{1}{2}$",
        r"\frac72",
        "3 hours and a half",
        "3 ½ hours",
        r"3 \dfrac{1}{2}\text{ hours}",
        "+3.5",
    ]
    check("correct", spellings, "3.5")
    check("wrong", spellings, "3")
    check("correct", ["half an hour", "one half", "½", "a half", "1/2"], "0.5")
    check("correct", ["two and two thirds", "2⅔", "8/3"], "8/3")
    check("correct", ["twenty-five", "25", "twenty-five (25)"], "25")
    check("unparsed", ["one of them", "two or three", "five (6)", "5 eighths"], "5")


def test_words_and_letters_of_magnitude():
    thousands = ["$10k", "10k", "10K", "$10K", "10 thousand", "10k dollars", "10 k"]
    check("correct", thousands, "10000")
    check("wrong", ["$10k", "10k", "$10K", "10 k"], "10", ["cot", "boxed"])
    check(
        "correct",
        ["$1.5 million", "$1.5M", "1.5 millions", "15 lakh", "1500k", r"1.5\text{ million}"],
        "1500000",
    )
    check("correct", ["2 hundred thousand", "200k", "2 lakhs"], "200000")
    check("correct", ["2.5 crore", "25 million", "$25M"], "25000000")
    check("correct", ["10 kg", "10km", "10 K"], "10")


def test_only_part_of_a_formula_is_no_answer():
    formulas = [
        r"$5\sqrt{2}$",
        "5√2",
        r"$5\pi$",
        "5π",
        r"$\sqrt{5}$",
        "√5",
        "±5",
        r"$\pm 5$",
        "$x > 5$",
        "x ≥ 5",
        "5 < x",
        "5²",
        "5^2",
        "$5^{2}$",
        r"\log 5",
        "5x",
        "x^5",
        "$2x + 5$",
        r"\frac{5}{x}",
        "$5!$",
        "5i",
        r"\sin 5",
        "x_5",
        "e^5",
        r"\sqrt[5]{2}",
        r"\binom{5}{2}",
        r"\frac{5\pi}{4}",
        "5 ± 1",
        "5 < x < 7",
    ]
    assert set(verdicts(formulas, "5").values()) == {"wrong"}
    for text, gold in [
        (r"$\sqrt{16}$", "4"),
        ("√16", "4"),
        ("10²", "100"),
        ("$2^{10}$", "1024"),
        ("10⁻²", "0.01"),
        (r"$\frac{1,000}{2}$", "500"),
        ("$5!$", "120"),
        (r"\sqrt[3]{8}", "2"),
        (r"\binom{5}{2}", "10"),
        (r"$\frac{10}{4} = 2.5$", "2.5"),
        (r"$\sqrt{30} \approx 5.48$", "5.48"),
        ("$f(2) = 5$", "5"),
        ("5 dollars * 3 = 15 dollars", "15"),
        ("5 + 3 = 8 apples", "8"),
    ]:
        check("correct", [text], gold)


def test_powers_of_ten():
    check(
        "correct",
        [
            "1.2e5",
            "1.2E+05",
            "1.2 × 10^5",
            "1.2×10⁵",
            "1.2 x 10^5",
            "1.2*10**5",
            "1.2 · 10^5",
            r"1.2 \times 10^{5}",
            r"$1.2 \cdot 10^5$",
            "120 000",
        ],
        "120000",
        ["cot", "boxed"],
    )
    check("correct", ["6.02 × 10²³", "6.02e23"], "6.02e23")
    check("unparsed", ["1e99999"], "5")


def test_times_and_ratios():
    check("correct", ["6:15 pm", "6:15 p.m.", "18:15"], "6:15 PM")
    check("wrong", ["6:15 am", "6:30 pm"], "6:15 PM")
    check("wrong", ["6:15"], "12:30")
    check("wrong", ["6:15 pm"], "0.4")
    check("correct", [r"4:30\text{ p.m.}"], r"4:30 \text{ p.m.}", ["boxed"])
    check("correct", ["3:2", "6:4", "3 : 2", "3 to 2", "1.5"], "3:2")
    check("wrong", ["2:3", "2"], "3:2")
    check("correct", ["2:4:6", "1:2:3"], "1:2:3")
    check("wrong", ["1:2:4"], "1:2:3")


UNITS = [
    "18 cm^2",
    "18 cm²",
    r"18\text{ cm}^2",
    r"18 \mathrm{cm}^{2}",
    "18 m/s^2",
    r"18\frac{\text{m}}{\text{s}}",
    "18 km/h",
    "18 square meters",
    "18 kg·m²/s²",
    "18 °C",
    "18°",
    r"18^\circ",
    r"18\degree",
    "$18",
    r"\$18",
    "18 USD",
    "USD 18",
    r"\text{USD } 18",
    "€18",
    "18€",
    "£18",
    "₹18",
    "Rs. 18",
    "18 apples",
    "(18)",
    "$18$",
    r"\textbf{18}",
    r"18\%",
    "18 percent",
    r"\text{Total: } 18",
    "18 percentage points",
]


def test_units_and_currencies_do_not_count():
    check("correct", UNITS, "18", ["cot", "boxed"])
    for gold in UNITS:
        check("correct", ["18"], gold)
    check(
        "correct",
        ["**18**", "__18__", "`18`", '"18"', "“18”", "$$18$$", r"\[18\]", "<b>18</b>", "18 (eighteen)"],
        "18",
    )


def test_percents():
    check("correct", ["150%", "150 percent", "1.5", r"150\%", "150 per cent", "150 pct", "%150"], "1.5")
    check("correct", ["50%", "0.5", "1/2", "50"], "50%")
    check("correct", ["0.5%"], "0.5")
    assert grade(r"\boxed{25}\%", "0.25", "boxed").verdict == "correct"


@pytest.mark.parametrize(
    "text",
    [
        "The answer is 18. Let me check: 9*2=18, so the answer is consistent.",
        "Answer: 18\n\nNote: the answer is rounded.",
        "Final Answer: \\boxed{18}\n\nI hope this answer is helpful!",
        "\\boxed{18}. Put your answer in \\boxed{}.",
        "Answer: 12. Wait, the answer is 18.",
        "The answer is:\n\n18",
        "Final answer:\n- 18",
        "The answer is:\n\\[\n18\n\\]",
        "The answer is\n$$\n\\frac{36}{2}\n$$",
        "So answer is fine.\n---\n✅ Final Answer: **18**",
        "<answer>18</answer>",
        "The answer is $\\boxed{18}$. The answer is correct.",
        "\\boxed{18} \\boxed{18}",
    ],
)
def test_a_remark_about_the_answer_is_none(text):
    assert grade(text, "18").verdict == "correct"


@pytest.mark.parametrize(
    "text",
    [
        "The answer is 18. But that answer is wrong.",
        "The answer is 18. No: the answer is unknown.",
        "The answer is 18. So the answer is not 18.",
        "The answer is 18. Or the answer is 18 or 19.",
        "\\boxed{18}, \\boxed{19}",
    ],
)
def test_an_answer_that_is_taken_back_is_none(text):
    assert grade(text, "18").verdict == "unparsed"


STOPS = [
    "<|im_end|>",
    "<|im_start|>user\n",
    "<|eot_id|>",
    "<|eot|>",
    "<|endoftext|>",
    "</s>",
    "<s>",
    "<eos>",
    "<|end|>",
    "<end_of_turn>\n<start_of_turn>user\n",
    "[INST]",
    "[/INST]",
    "<|user|>\n",
    "<｜User｜>",
    "<｜end▁of▁sentence｜>",
    "<|START_OF_TURN_TOKEN|><|USER_TOKEN|>",
    "[|endofturn|]\n[|user|]",
    "<extra_id_1>User\n",
    "<SPECIAL_12>",
    "<<SYS>>",
    "<|no_model_has_this|>",
    "<|turn>user\n",
    "<end_of_utterance>",
    "[EOS]",
    "\nUser:",
    "\n\nHuman:",
    "\nQ:",
    "\nQ2.",
    "\n\nQuestion:",
    "\n\n### Instruction:\n",
    "\n### Question\n",
    "\n\n**Question:**",
    "\nQuestion 2:",
    "\n\nProblem 2:",
    "\n## Problem 2\n",
    "\nExample 2:",
    "\nUSER:",
    "\n<human>:",
    "\n>>> User:",
    "\n\n用户：",
    "\n问题：",
    "\nPregunta:",
    "\nNew problem:",
    " Question:",
    " User:",
    "\n[User]:",
    "\n[Question]",
    "\nUser >",
    "\nuser\n",
    "\n(User):",
]


@pytest.mark.parametrize("stop", STOPS)
def test_another_turn_does_not_count(stop):
    for said, answer_format in (
        ("The answer is 18.", "cot"),
        ("#### 18", "gsm8k"),
        ("\\boxed{18}.", "boxed"),
    ):
        text = f"{said}{stop} How many more? The answer is 9.\n#### 9\n\\boxed{{9}}"
        assert grade(text, "18", answer_format).verdict == "correct", answer_format


@pytest.mark.parametrize(
    ("text", "answer_format"),
    [
        ("Question: Tom has 4.\nThe answer is 18.", "cot"),
        ("\nQuestion: Tom has 4.\nThe answer is 18.", "cot"),
        ("<|im_start|>assistant\nThe answer is 18.", "cot"),
        ("Assistant: The answer is 18.", "cot"),
        ("<think>The answer is 9?</think> The answer is 18.", "cot"),
        ("Area [ABC] = 9. The answer is 18.", "cot"),
        (
            "<|begin_of_thought|>9?<|end_of_thought|> <|begin_of_solution|>The answer is 18.",
            "cot",
        ),
        (
            "<|channel|>analysis<|message|><|end|><|start|>assistant<|channel|>final<|message|>18.",
            "cot",
        ),
        ("Let me restate.\n\n### Problem 1\nTom has 4.\nThe answer is 18.", "cot"),
        ("Question: a?\nAnswer: 5\nQuestion: b?\nFinal Answer: 18\n\nQuestion: Tom?\nFinal Answer: 9", "l2m"),
    ],
)
def test_a_turn_of_its_own_is_read_to_its_end(text, answer_format):
    assert grade(text, "18", answer_format).verdict == "correct"


def test_letters_of_a_choice():
    letters = [
        "B",
        "(B)",
        "B)",
        "B.",
        "B: 21",
        "B) 21",
        "(B) 21",
        r"\text{B}",
        r"\textbf{(B)}",
        r"\mathrm{B}",
        "$B$",
        "Ｂ",
        "21 (B)",
    ]
    check("correct", letters, "B", ["cot", "boxed"])
    check("wrong", letters, "C", ["cot", "boxed"])
    check("correct", ["**B**", "option B", "`B`", "B because it fits", "B, since 21", "b", "(b)"], "B")
    check("unparsed", ["B or C", "B and C", "Bob", "A dog", "I do not know", "5"], "B")
    check("correct", ["F", "(F)"], "F")
    check("correct", ["D"], r"\text{(D)}")
    assert grade("The answer is B. So the answer is consistent.", "B").verdict == "correct"


def test_formulas_words_and_sets_are_golds_too():
    for gold, answer, verdict in [
        (r"\frac{\sqrt{2}}{2}", r"\frac{1}{\sqrt2}", "correct"),
        (r"(3, \frac{\pi}{2})", r"\left(3,\frac{\pi}{2}\right)", "correct"),
        ("[0,1)", "(0,1)", "wrong"),
        ("1,-2", "-2, 1", "correct"),
        ("x^2+2x+1", "(x+1)^2", "correct"),
        (r"2\pi", "2π", "correct"),
        (r"\text{Evelyn}", "Evelyn", "correct"),
        (r"\text{Evelyn}", r"\text{Bob}", "wrong"),
        (r"\text{June 20}", "June 20", "correct"),
        (r"3\sqrt{13}", "3√13", "correct"),
        ("2x + z = 1", "1", "wrong"),
        (r"\sqrt{3}", "12", "wrong"),
        (r"\sqrt{3}", "unknown", "unparsed"),
    ]:
        for frame in ("\\boxed{{{}}}", "The answer is {}.", "The answer is ${}$, as said."):
            if "$" not in frame or ("text" not in gold and answer != "unknown"):
                assert grade(frame.format(answer), gold).verdict == verdict, (gold, answer, frame)
    assert scorable(
        ["5", "Tom", r"\sqrt{2}", "B", "", r"\frac{", r"\text{east}", "2 and 3", None, True, "1:2:3"]
    ) == [
        True,
        False,
        True,
        True,
        False,
        False,
        True,
        False,
        False,
        False,
        True,
    ]


def test_golds_of_numpy_are_numbers():
    for gold in (np.int64(5), np.float64(5), np.float32(5), np.str_("5"), np.array(5), np.array([5])):
        assert grade("The answer is 5.", gold).verdict == "correct", repr(gold)
    assert grade("The answer is 1.", np.bool_(True)).verdict == "unscorable"


def test_giants_and_broken_text_are_read_without_harm():
    giants = [
        "9" * 5000,
        "#### " + "1" * 5000,
        "The answer is \ud800 5\udfff.",
        "1e999999999",
        10**5000,
        b"5",
    ]
    assert grade("\\boxed{9^{9^{9^{9}}}}", "4").verdict == "unparsed"  # by the deadline
    for given in [*giants, float("inf"), None, [], "2^" + "9" * 20]:
        for answer_format in ("cot", "gsm8k", "boxed", "pot"):
            assert grade(given, "4", answer_format).verdict in ("wrong", "unparsed")
    assert grade("5", 10**5000).verdict == "unscorable"


def test_reading_takes_no_longer_than_the_text():
    texts = [
        "#### x\n" * 5000,
        "\nUser " * 5000,
        "<|" * 20_000,
        "answer is " * 10_000,
        "[" * 50_000,
        "\\boxed{" * 9_000,
        "\\frac{1}" * 9_000,
        "1 000" * 9_000,
        "three and a " * 9_000,
        "$" * 50_000,
        "5 apples " * 9_000,
        "( " * 30_000,
        "\\text{" * 9_000,
        "−" * 50_000,
        "5:" * 20_000,
        "and " * 20_000,
    ]
    for text in texts:
        start = time.process_time()
        for answer_format in ("cot", "l2m", "gsm8k", "boxed"):
            grade(text, "4", answer_format)
            grade(text, "B", answer_format)
        assert time.process_time() - start < 4, text[:20]


@pytest.mark.skipif(not CASES.is_file(), reason="no cases from the field here")
def test_cases_from_the_field():
    rows = [json.loads(line) for line in Path(CASES).read_text(encoding="utf-8").splitlines()]
    found = [grade(row["text"], row["gold"], row["format"]).verdict for row in rows]
    assert found == [row["expected"] for row in rows]


def test_prose_around_a_number_does_not_hide_it():
    texts = [
        "18 minutes",
        "18 seconds",
        "18 a day",
        "18 in total",
        "18 for 3 kids",
        "18/hour",
        "18 - so she wins",
        "18 (= 9·2)",
        "18 = 9 + 9",
        "18, because 9 + 9 = 18",
        "18 apples and Tom is happy",
        "$2 × 3² = 18$",
        "20 - 2 = 18 apples - wow",
        "eighteen apples",
        "≈ 18",
        "approximately 18",
        "18!",
        "18, which is right",
        "(a) 18",
        "18元",
        "18 рублей",
        "18 o'clock",
        r"18\,\mu\text{m}",
        r"18\,\Omega",
        "18th",
        "that she has 18 apples",
    ]
    check("correct", texts, "18")
    check("unparsed", ["−(6)", "6 to 1", "not 6 but 7", "6 percent of 50"], "6")
    check("correct", [r"0.\overline{3}", "1/3", r"\frac{1}{3}"], "1/3", ["cot", "boxed"])
    check("correct", ["1/3"], r"0.\overline{3}")


def test_what_a_model_thinks_is_not_its_answer():
    texts = [
        "<think>The answer is 3.</think>\n\n5",
        "First 3.\nThe answer is 3.\n</think>\n\nThe answer is 5.",
        "<think>The answer is 3.</think><answer> 5 </answer> (6 is too many)",
        "The answer is 5.\nUser: And 6?\nAssistant: <think>7</think> The answer is 9.",
    ]
    assert {item.verdict for item in grade_many(texts, ["5"] * 4, "cot")} == {"correct"}
    assert grade("<think>Is it A?</think> <answer>B</answer>", "B").verdict == "correct"
    assert grade("So \\boxed{1", "1", "boxed").verdict == "unparsed"  # cut off


def test_parts_and_signs_that_stand_close_to_a_number():
    check("unparsed", ["2h30m", "2h30"], "2")
    check("correct", ["⁻2", "-2"], "-2")
    assert grade("So the answer is 5!", "5").verdict == "correct"
    check("unparsed", ["0.333...", "0.333\\ldots"], "1/3", ["cot", "boxed"])
