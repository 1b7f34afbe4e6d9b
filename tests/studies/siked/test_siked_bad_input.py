"""What a reader may give 08 by mistake, and what students may write: one sentence, or a verdict."""

import json
from types import SimpleNamespace

import pandas as pd
import pytest

from workbench.corpora import logic
from workbench.errors import UserError
from workbench.studies.siked import data, embedded
from workbench.studies.siked.check import check
from workbench.studies.siked.data import task
from workbench.studies.siked.solving import Question, verify

GIVEN = {"profile": "quick", "seed": 0, "model": "embedded", "data": "embedded", "teacher": "embedded",
         "mixture": "adaptive", "alpha": None, "bias": "none", "iterations": None, "samples": None,
         "tuning": "full", "restart": "merged", "device": "cpu", "seeds": None, "placebo": False,
         "test": None}  # fmt: skip
ROWS = [{"question": f"Tom number {n} has {n} balls. How many?", "answer": str(n)} for n in range(1, 21)]
TAUGHT = [{"instruction": row["question"], "output": f"The answer is {row['answer']}"} for row in ROWS[:12]]


@pytest.fixture
def files(tmp_path):
    """Writes rows into files by name, and puts the folder for {} in a parameter."""

    def write(**named):
        for name, rows in named.items():
            lines = (row if isinstance(row, str) else json.dumps(row) for row in rows)
            (tmp_path / f"{name}.jsonl").write_text("\n".join(lines))
        (tmp_path / "no-model").mkdir()
        (tmp_path / "many").mkdir()
        (tmp_path / "many" / "a.jsonl").write_text(json.dumps(TAUGHT[0]))
        (tmp_path / "many" / "b.jsonl").write_bytes(b"\xff\xfe\x81" * 9)
        return tmp_path

    return write


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"data": "{}/row.jsonl", "teacher": "rationales:{}/taught.jsonl"}, "line 21 has no answer"),
        ({"data": "{}/torn.jsonl", "teacher": "rationales:{}/taught.jsonl"}, "line 21 is not JSON"),
        ({"data": "{}/data.jsonl", "teacher": "rationales:{}/empty.jsonl"}, "line 13 has an empty solution"),
        ({"data": "{}/data.jsonl", "teacher": "rationales:{}/tag.jsonl"}, "line 1 is no solution"),
        ({"data": "{}/data.jsonl", "teacher": "rationales:{}/wrong.jsonl"}, r"\(cot 0 of [0-9]+, l2m 0 of 0"),
        ({"data": "{}/data.jsonl", "teacher": "rationales:{}/many"}, "b.jsonl is not UTF-8"),
        ({"data": "{}/data.jsonl", "teacher": "rationales:{}/none"}, "no file or folder"),
        ({"data": "{}/data.jsonl", "teacher": "rationales:"}, "names an empty path"),
        ({"data": "{}/data.jsonl", "teacher": "{}/taught.jsonl"}, "named rationales:PATH"),
        ({"data": "{}/data.jsonl", "teacher": "rationale:{}/taught.jsonl"}, "named rationales:PATH"),
        ({"data": "{}/ids.jsonl", "teacher": "rationales:{}/taught.jsonl"}, "2 questions .* id '7'"),
        ({"data": "{}/data.jsonl"}, "data and teacher go together"),
        ({"teacher": "rationales:{}/taught.jsonl"}, "data and teacher go together"),
        ({"teacher": "transformers:{}/no-model"}, "holds no model"),
        ({"model": "{}/no-model", "teacher": "openai:http://127.0.0.1:9/v1#x"}, "holds no model"),
        (
            {"model": "notebooks/08", "teacher": "openai:http://127.0.0.1:9/v1#x"},
            "'notebooks/08' is no folder",
        ),
        ({"mixture": "fixed-alpha"}, "fixed-alpha needs alpha"),
        ({"mixture": "fixed-alpha", "alpha": 2.0}, "not 2.0"),
        ({"alpha": 0.5}, "leave it out"),
        ({"iterations": 0}, "1 or more"),
        ({"data": "logic", "teacher": "openai:http://127.0.0.1:9/v1#x"}, "does not know the house"),
        ({"test": "{}/data.jsonl"}, "go with a file to learn from"),
        (
            {"data": "{}/data.jsonl", "teacher": "rationales:{}/taught.jsonl", "test": "{}/none.jsonl"},
            "none.jsonl",
        ),
        (
            {"data": "{}/data.jsonl", "teacher": "rationales:{}/taught.jsonl", "test": "{}/data.jsonl"},
            "share 20 questions",
        ),
    ],
)
def test_a_mistake_is_one_sentence_before_anything_is_learnt(files, changed, said):
    folder = files(
        data=ROWS,
        row=[*ROWS, {"question": "How many?"}],
        torn=[*ROWS, '{"question": '],
        twice=[*ROWS, ROWS[11]],
        ids=[{**row, "id": max(7, n)} for n, row in enumerate(ROWS[6:], 6)],
        taught=TAUGHT,
        empty=[*TAUGHT, {"instruction": "x", "output": ""}],
        wrong=[{**row, "output": "I do not know"} for row in TAUGHT],
        tag=[{"question": "x", "strategy": "tot", "rationale": "The answer is 1"}],
    )
    given = {
        name: value.format(folder) if isinstance(value, str) else value for name, value in changed.items()
    }
    params = SimpleNamespace(**{**GIVEN, **given})

    def begun():
        check(params)
        task(folder / "teacher", data.plan(params), 0)  # what only whole files show

    with pytest.raises(UserError, match=said) as error:
        begun()
    assert len(str(error.value).splitlines()) == 1


def test_hostile_programs_of_students_are_unparsed_and_the_others_are_judged():
    programs = {
        "print('x' * 10**9)\nans = 2": "unparsed",
        "while True: print('x' * 1000)": "unparsed",
        "while True: pass": "unparsed",
        "import os\nos.fork()\nans = 2": "unparsed",
        "import subprocess\nans = 2": "unparsed",
        "ans = len(open('/etc/passwd').read())": "unparsed",
        "x = [0]\nwhile True: x += x": "unparsed",
        "def f(): return f()\nans = f()": "unparsed",
        "ans = 1\n" * 20_000: "unparsed",
        "": "unparsed",
        "ans = 3": "wrong",
        "ans = 2": "correct",
    }
    question = Question("a", "How many?", "2")
    found = verify([(question, "pot", text) for text in programs], "student")
    assert [each.verdict for each in found] == list(programs.values())


def test_a_teacher_that_is_right_by_luck_alone_is_refused():
    problems = logic.draw(8, 0)
    asked = [embedded.question(problem) for problem in problems]
    lucky = [
        (one.id, "cot", f"The answer is {problem.answer}.")
        for one, problem in zip(asked, problems, strict=True)
    ]
    rows = pd.DataFrame(lucky, columns=["id", "strategy", "text"])
    with pytest.raises(UserError, match="8 right answers comes of a valid path"):
        data._of_plans(rows, asked)
    rows.loc[0, "text"] = problems[0].rationale("cot", problems[0].paths()[-1])
    assert data._of_plans(rows, asked) == ["right answers of the teacher by a path that is not valid: 7"]
    unknown = [Question(one.id, one.text, one.gold) for one in asked]
    assert data._of_plans(rows, unknown) == []
