"""Word problems from files: published formats, plain rows, malformed rows, the real files where they are."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest
from repository import DATA

from workbench.corpora.loaders.problems import FileProblem, load_problems
from workbench.errors import UserError

REAL = DATA / "math"
real = pytest.mark.skipif(not REAL.is_dir(), reason="no real problems here (WORKBENCH_DATA)")

GSM8K = [
    {
        "question": "Ada has 3 pens and buys twice as many. How many now?",
        "answer": "She buys 3*2=<<3*2=6>>6.\nNow 3+6=<<3+6=9>>9.\n#### 9",
    },
    {"question": "A house costs $1,000. How much are two?", "answer": "2*1,000 = 2,000\n#### 2,000"},
]
SVAMP = {
    "ID": "chal-7",
    "Body": "Ben had 8 figs. He ate 3",
    "Question": "How many are left?",
    "Equation": "( 8.0 - 3.0 )",
    "Answer": 5.0,
    "Type": "Subtraction",
}
MULTIARITH = {
    "iIndex": 0,
    "lAlignments": [1, 2],
    "lEquations": ["X=((32.0+42.0)-3.5)"],
    "lSolutions": [70.5],
    "sQuestion": " Eve had 32 and 42. She lost 3.5. How many are left? ",
}
AQUA = {
    "question": "What is 2 + 3?",
    "options": ["A)4", "B)5", "C)6"],
    "rationale": "2 + 3 = 5, so B",
    "correct": "B",
}
ASDIV = """<?xml version="1.0"?>
<Machine-Reading-Corpus-File><ProblemSet>
<Problem ID="nluds-0001" Grade="1" Source="x"><Body>Seven red apples &amp; two green ones are there.</Body>
<Question>How many apples?</Question><Solution-Type>Addition</Solution-Type>
<Answer>9 (apples)</Answer><Formula>7+2=9</Formula></Problem>
</ProblemSet></Machine-Reading-Corpus-File>"""


def lines(path, rows):
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return str(path)


def refusal(spec, **more):
    with pytest.raises(UserError) as error:
        load_problems(spec, **more)
    assert len(str(error.value).splitlines()) == 1
    return str(error.value)


def test_gsm8k_without_its_calculator_marks(tmp_path):
    first, second = load_problems(lines(tmp_path / "train.jsonl", GSM8K))
    question = GSM8K[0]["question"]
    assert first == FileProblem("train:1", question, "She buys 3*2=6.\nNow 3+6=9.", "9")
    assert first.completion == "She buys 3*2=6.\nNow 3+6=9. The answer is 9."
    assert second.gold == "2,000"


def test_svamp_joins_body_and_question_and_works_its_equation(tmp_path):
    (tmp_path / "SVAMP.json").write_text(json.dumps([SVAMP]))
    assert load_problems(str(tmp_path / "SVAMP.json")) == [
        FileProblem("chal-7", "Ben had 8 figs. He ate 3. How many are left?", "8 - 3 = 5.", "5")
    ]


def test_multiarith(tmp_path):
    (tmp_path / "m.json").write_text(json.dumps([MULTIARITH]))
    (problem,) = load_problems(str(tmp_path / "m.json"))
    assert problem == FileProblem(
        "0", "Eve had 32 and 42. She lost 3.5. How many are left?", "(32 + 42) - 3.5 = 70.5.", "70.5"
    )


@pytest.mark.parametrize(
    ("equation", "plain"),
    [
        ("X=(5.0+6.0)", "5 + 6 = 1."),
        ("X=((5.0+6.0)*(2.0-1.0))", "(5 + 6) * (2 - 1) = 1."),
        ("X=(5.0+6.0)*(2.0-1.0)", "(5 + 6) * (2 - 1) = 1."),
        ("X=(10.0-(2.0*4.5))", "10 - (2 * 4.5) = 1."),
    ],
)
def test_equations_lose_the_brackets_around_them_all_and_no_others(tmp_path, equation, plain):
    rows = [MULTIARITH | {"lEquations": [equation], "lSolutions": [1.0]}]
    assert load_problems(lines(tmp_path / "m.jsonl", rows))[0].rationale == plain


def test_asdiv_from_xml(tmp_path):
    (tmp_path / "ASDiv.xml").write_text(ASDIV)
    question = "Seven red apples & two green ones are there. How many apples?"
    for spec in ("", "asdiv:"):
        assert load_problems(f"{spec}{tmp_path / 'ASDiv.xml'}") == [
            FileProblem("nluds-0001", question, "7+2=9", "9")
        ]
    (tmp_path / "bad.xml").write_text(ASDIV[:200])
    assert "is not XML" in refusal(str(tmp_path / "bad.xml"))


def test_aqua_shows_the_options(tmp_path):
    (problem,) = load_problems(lines(tmp_path / "dev.jsonl", [AQUA]))
    assert problem.question == "What is 2 + 3? Options: A)4, B)5, C)6"
    assert (problem.rationale, problem.gold) == ("2 + 3 = 5, so B", "B")
    assert "which it does not have" in refusal(lines(tmp_path / "dev.jsonl", [AQUA | {"correct": "F"}]))


@pytest.mark.parametrize(
    ("row", "rationale", "gold"),
    [
        ({"prompt": "2+2?", "completion": "2 + 2 = 4. The answer is 4."}, "2 + 2 = 4.", "4"),
        ({"prompt": "2+2?", "completion": "That is 2 + 2.The answer is: 4"}, "That is 2 + 2.", "4"),
        ({"instruction": "2+2?", "output": "The answer is unclear. No: the answer is 4"}, None, "4"),
        ({"question": "2+2?", "answer": 4}, "", "4"),
        ({"question": "2+2?", "answer": "4.0"}, "", "4.0"),
        ({"problem": "2+2?", "solution": "Count on your fingers."}, "Count on your fingers.", ""),
        ({"question": "2+2?", "final_ans": "4"}, "", "4"),
        ({"question": "2+2?", "answer": "2 and 2 more", "gold": 4.0, "id": 17}, "2 and 2 more", "4"),
    ],
)
def test_plain_rows(tmp_path, row, rationale, gold):
    (problem,) = load_problems(lines(tmp_path / "a.jsonl", [row]))
    assert (problem.question, problem.gold) == ("2+2?", gold)
    assert problem.id == str(row.get("id", "a:1"))
    if rationale is not None:
        assert problem.rationale == rationale


def test_parquet_and_json_hold_the_same_problems(tmp_path):
    rows = [{"prompt": f"{i} + 1?", "completion": f"{i + 1}"} for i in range(1500)]
    pd.DataFrame(rows).to_parquet(tmp_path / "a.parquet")
    (tmp_path / "a.json").write_text(json.dumps(rows))
    found = load_problems(str(tmp_path / "a.parquet"))
    assert found == load_problems(str(tmp_path / "a.json"))
    assert (found[-1].id, found[-1].gold) == ("a:1500", "1500")


def test_a_folder_and_its_split(tmp_path):
    lines(tmp_path / "test.jsonl", GSM8K[:1])
    lines(tmp_path / "train.jsonl", GSM8K)
    assert [problem.id for problem in load_problems(str(tmp_path))] == ["train:1", "train:2"]
    assert [problem.id for problem in load_problems(f"gsm8k:{tmp_path}:train")] == ["train:1", "train:2"]
    assert [problem.id for problem in load_problems(str(tmp_path), default="test")] == ["test:1"]


def test_a_limit_reads_no_further(tmp_path):
    source = lines(tmp_path / "a.jsonl", GSM8K)
    Path(source).write_text(Path(source).read_text() + "\nbroken")
    assert len(load_problems(source, limit=2)) == 2
    assert "line 3 is not JSON" in refusal(source)
    assert "1 or more, not 0" in refusal(source, limit=0)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"question": "Why?", "answer": "Because"}, "line 3 has an answer without '####'"),
        ({"question": "Why?"}, "line 3 has no answer, as gsm8k has"),
        ({"question": "  ", "answer": "#### 3"}, "line 3 has an empty question"),
        ({"question": None, "answer": "#### 3"}, "line 3 has no text or number 'question' but None"),
        ({"question": ["Why?"], "answer": "#### 3"}, "line 3 has no text or number 'question' but ['Why?']"),
        ({"question": "Why?", "answer": float("nan")}, "line 3 has no text or number 'answer' but nan"),
        (["Why?", "#### 3"], "line 3 is no object"),
        (17, "line 3 is no object"),
    ],
)
def test_malformed_rows_are_refused_with_their_number(tmp_path, row, reason):
    assert reason in refusal(lines(tmp_path / "a.jsonl", [*GSM8K, row]))


def test_rows_of_no_known_kind_say_what_is_wanted(tmp_path):
    message = refusal(lines(tmp_path / "a.jsonl", [{"text": "Once upon a time", "n": 3}]))
    assert "line 1 has no question (question, prompt" in message
    assert message.endswith("its fields are: text, n.")
    assert "has no Body and no Equation" in refusal(f"svamp:{lines(tmp_path / 'a.jsonl', GSM8K)}")


def test_what_is_not_there_is_named(tmp_path):
    lines(tmp_path / "train.jsonl", GSM8K)
    assert f"Did you mean {tmp_path / 'train.jsonl'}?" in refusal(str(tmp_path / "trian.jsonl"))
    (tmp_path / "empty.jsonl").write_text("\n\n")
    assert "holds no problem" in refusal(str(tmp_path / "empty.jsonl"))
    (tmp_path / "a.txt").write_text("2+2?")
    assert "a format that is not read here" in refusal(str(tmp_path / "a.txt"))


def test_the_hub_out_of_reach_is_one_sentence(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    assert "could not be fetched from the hub" in refusal("gsm8k:some-organisation/some-problems", limit=3)


@real
def test_the_published_files_are_read_whole():
    train, test = (load_problems(str(REAL / "gsm8k" / f"{name}.jsonl")) for name in ("train", "test"))
    assert (len(train), len(test)) == (7473, 1319)
    for problem in train + test:
        assert re.fullmatch(r"-?[\d,]+", problem.gold)
        assert "<<" not in problem.completion
        assert problem.completion.endswith(f"The answer is {problem.gold}.")
    assert max(int(problem.gold.replace(",", "")) for problem in train) == 192_000_000
    assert sum("," in problem.gold for problem in train) == 79


@real
@pytest.mark.parametrize(
    ("name", "n", "distinct", "wrong"),
    [("svamp/SVAMP.json", 1000, 1000, ["(4 - 2) + 3"]), ("multiarith/MultiArith.json", 600, 580, [])],
)
def test_equations_of_the_published_files_come_to_their_answers(name, n, distinct, wrong):
    found = load_problems(str(REAL / name))
    assert len(found) == n
    worked = [problem.rationale.removesuffix(".").split(" = ") for problem in found]
    assert [gold for _, gold in worked] == [problem.gold for problem in found]
    # SVAMP itself has one answer that is not what its equation says.
    assert [left for left, gold in worked if eval(left) != pytest.approx(float(gold))] == wrong
    assert len({problem.question for problem in found}) == distinct
