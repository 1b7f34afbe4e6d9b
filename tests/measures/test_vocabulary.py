"""Words of any script, and which questions are one question."""

import unicodedata

import pytest

from workbench.corpora.loaders.problems import FileProblem
from workbench.errors import UserError
from workbench.measures.equivalence import rouge_same
from workbench.measures.overlap import self_overlap
from workbench.measures.redundancy import self_bleu
from workbench.measures.vocabulary import question_key
from workbench.studies.common.contamination import contamination_report, distinct_problems
from workbench.words import words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Don’t STOP, Anna-Lena_2!", ["don't", "stop", "anna", "lena", "2"]),
        ("Café naïve Über", ["café", "naïve", "über"]),
        ("राम घर गया।", ["राम", "घर", "गया"]),
        ("ضَرَبَ الولد", ["ضَرَبَ", "الولد"]),
        ("می\u200cخواهم بروم", ["میخواهم", "بروم"]),
        ("小猫在家30天。", ["小", "猫", "在", "家", "30", "天"]),
        ("カメラです", ["カ", "メ", "ラ", "で", "す"]),
        ("한국어 문장", ["한국어", "문장"]),
        ("สวัสดี", ["ส", "วั", "ส", "ดี"]),
        ("co\u00adoperate", ["cooperate"]),
        ("😀 !?", []),
    ],
)
def test_words_keep_their_marks_and_scripts_without_spaces_are_cut(text, expected):
    assert words(text) == words(unicodedata.normalize("NFD", text)) == expected


@pytest.mark.parametrize(
    ("first", "second"),
    [("小猫在家里睡觉。", "小猫在家里吃饭。"), ("राम घर गया और सो गया।", "राम घर गया और खो गया।"),
     ("แมวนอนอยู่ที่บ้าน", "แมวนอนอยู่ในบ้าน"), ("ម៉ាក់ទៅផ្សារ", "ប៉ាទៅផ្សារ")],
)  # fmt: skip
def test_near_copies_in_any_script_are_alike(first, second):
    assert rouge_same()(first, second)
    assert self_overlap([first, second], 1).overlap.min() > 0.6
    assert self_bleu([first, second]) > 0.3


@pytest.mark.parametrize(
    "questions",
    [
        [
            "What is 5 + 3?",
            "What is 5 - 3?",
            "What is 5 * 3?",
            "What is 5 / 3?",
            "What is 5 ^ 3?",
            "What is 5 3?",
        ],
        ["Solve -5 = x", "Solve 5 = x"],
        ["(2 + 3) * 4", "2 + (3 * 4)", "2 + 3 * 4"],
        ["5% of 20", "5 of 20"],
        ["1.5 and 2", "15 and 2", "1 5 and 2"],
        ["What is 5!", "What is 5?"],
        ["x^{2}3", "x^{23}"],
        ["10²", "102", "10 2"],
        ["\\sqrt{4}", "\\frac{4}"],
        ["5 > 3?", "5 < 3?", "5 ≤ 3?", "5 = 3?"],
        ["3:4", "3 4", "3/4"],
        ["🍎 + 🍎 = 4", "🍎 + 🍌 = 4"],
        ["Write Ⅳ in words", "Write Ⅴ in words"],
    ],
)
def test_other_numbers_or_signs_are_another_question(questions):
    assert len({question_key(question) for question in questions}) == len(questions)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("What is 5 − 3?", "what is 5-3"),
        ("What is 5 × 3?", "What is $5 \\times 3$?"),
        ("1,000 pens", "1000 pens."),
        ("2.0 pens", "2 pens"),
        ("He didn’t go – he stayed.", "He didn't go, he stayed"),
        ("A five-year-old and/or his dog (Rex)", "A five year old and or his dog Rex"),
        ("Cafe\u0301: how many?", "CAFÉ how many"),
        ("\\left(\\dfrac{1}{2}\\right)", "(\\frac{1}{2})"),
    ],
)
def test_another_spelling_is_the_same_question(first, second):
    assert question_key(first) == question_key(second)


def sums(sign, result):
    return [FileProblem(str(n), f"What is {n} {sign} 7?", "", str(result(n))) for n in range(12, 32)]


def test_training_on_sums_does_not_share_the_differences_that_are_asked():
    plus, minus = sums("+", lambda n: n + 7), sums("-", lambda n: n - 7)
    assert len(distinct_problems([*plus, *minus])[0]) == 40
    report = contamination_report([one.question for one in minus], [one.question for one in plus])
    assert report.startswith("0 of 20")
    with pytest.raises(UserError, match="share 20 questions"):
        contamination_report([one.question.upper() for one in plus], [one.question for one in plus])


def test_a_question_with_two_answers_is_left_out():
    problems = [*sums("+", lambda n: n + 7), FileProblem("x", "what is 12 + 7", "", "20")]
    assert len(distinct_problems([*problems[:20], FileProblem("y", "12 + 7: What is", "", "19.0")])[0]) == 21
    assert len(distinct_problems([*problems[:20], FileProblem("y", "What is 12 + 7", "", "19.0")])[0]) == 20
    kept, notes = distinct_problems([*problems, problems[3]])
    assert [one.id for one in kept] == [str(n) for n in range(13, 32)]
    assert notes == [
        "questions left out because they stand in the data twice: 2",
        "questions left out because they stand there with different answers: 1",
    ]
