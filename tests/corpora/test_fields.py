"""All of a row that belongs to its question is read, whatever its fields are called, or it is refused."""

import json

import pytest

from workbench.corpora.loaders.generations import load_generations
from workbench.corpora.loaders.problems import FileProblem, last_boxed, load_problems
from workbench.corpora.loaders.solutions import load_rationales
from workbench.errors import UserError


def one(tmp_path, row, name="a.jsonl"):
    path = tmp_path / name
    path.write_text(json.dumps(row))
    (problem,) = load_problems(str(path))
    return problem


@pytest.mark.parametrize(
    ("row", "question"),
    [
        ({"instruction": "Add.", "input": "3 and 4", "output": "7"}, "Add.\n3 and 4"),
        ({"instruction": "Say 7.", "input": "", "output": "7"}, "Say 7."),
        ({"input": "3 + 4?", "output": "7"}, "3 + 4?"),
        ({"body": "Ben has 3", "question": "How many?", "answer": "3"}, "Ben has 3. How many?"),
        ({"Body": "Ben has 3.", "Question": "How many?", "Answer": 3.0}, "Ben has 3. How many?"),
        ({"context": "Ben has 3.", "question": "How many?", "answer": "#### 3"}, "Ben has 3. How many?"),
        (
            {"passage": "Ben.", "story": "He has 3.", "prompt": "How many?", "gold": 3},
            "Ben. He has 3. How many?",
        ),
        ({"question": "How many?", "text": "Q: How many? A: 3", "answer": "3"}, "How many?"),
        ({"question": "How many?", "messages": [{"content": "How many?"}], "answer": "3"}, "How many?"),
        ({"question": "How many?", "prompt": "Solve. How many?", "answer": "3"}, "How many?"),
    ],
)
def test_what_belongs_to_a_question_is_joined(tmp_path, row, question):
    assert one(tmp_path, row).question == question


@pytest.mark.parametrize(
    ("row", "named"),
    [
        ({"question": "How many?", "text": "Ben has 3.", "answer": "3"}, "has also text"),
        ({"question": "How many?", "prompt": "Ben has 3.", "answer": "3"}, "has also prompt"),
        ({"question": "How many?", "options": ["3", "4"], "answer": "3"}, "has also options"),
        ({"question": "How many?", "choices": {"text": ["3"]}, "answer": "#### 3"}, "has also choices"),
        ({"question": "How many?", "A": "3", "B": "4", "answer": "B"}, "has also a and b"),
        ({"question": "Who?", "option_a": "x", "option_b": "y", "answer": "B"}, "has also option_a"),
        ({"question": "How many?", "system": "Be terse.", "answer": "3"}, "has also system"),
        ({"question": "How many?", "output": "x" * 300, "response": "y" * 300}, "has output and response"),
        ({"question": "How many?", "Question": "Who?", "answer": "3"}, "has two different fields question"),
    ],
)
def test_what_cannot_be_joined_is_refused_by_name(tmp_path, row, named):
    with pytest.raises(UserError, match=f"line 1 {named}"):
        one(tmp_path, row)


def test_working_and_answer_may_stand_in_two_fields(tmp_path):
    problem = one(tmp_path, {"question": "Halve 9.", "reasoning": "9 / 2 = 4.5", "answer": "4.5"})
    assert (problem.rationale, problem.gold) == ("9 / 2 = 4.5", "4.5")
    problem = one(tmp_path, {"question": "Halve 9.", "answer": None, "answer_number": 4.5})
    assert (problem.rationale, problem.gold) == ("", "4.5")
    problem = one(tmp_path, {"question": "Halve 9.", "solution": "9 / 2 = 4.5", "answer": "4.5"})
    assert (problem.rationale, problem.gold) == ("9 / 2 = 4.5", "4.5")


@pytest.mark.parametrize(
    ("row", "gold"),
    [
        ({"solution": "So $\\boxed{\\frac{5}{2}}$."}, "\\frac{5}{2}"),
        (
            {"solution": "First $\\boxed{1}$, then $\\boxed{\\{x : x \\in \\{1, 2\\}\\}}$"},
            "\\{x : x \\in \\{1, 2\\}\\}",
        ),
        ({"solution": "It is $\\boxed 7$."}, "7"),
        ({"solution": "It is $\\fbox{7}$."}, "7"),
        ({"solution": "It is $\\boxed{7", "level": "Level 2"}, ""),
        ({"solution": "It is half.", "answer": "\\frac{5}{2}", "subject": "Algebra"}, "\\frac{5}{2}"),
    ],
)
def test_math_names_its_answer_in_a_box(tmp_path, row, gold):
    problem = one(tmp_path, {"problem": "Halve 5.", **row})
    assert (problem.kind, problem.gold, problem.rationale) == ("math", gold, row["solution"])


def test_levels_and_subjects_of_math_are_kept_in_both_of_its_forms(tmp_path):
    old = {"problem": "Halve 5.", "solution": "$\\boxed{2.5}$", "level": "Level 3", "type": "Algebra"}
    new = {**old, "level": 3, "subject": old.pop("type"), "answer": "2.5", "unique_id": "test/algebra/1.json"}
    new.pop("type")
    old["type"] = "Algebra"
    first, second = one(tmp_path, old), one(tmp_path, new)
    assert (first.level, first.subject) == (second.level, second.subject) == ("3", "Algebra")
    assert second.id == "test/algebra/1.json"
    folder = tmp_path / "MATH"
    for number, subject in enumerate(("algebra", "geometry")):
        for split in ("train", "test"):
            path = folder / split / subject / f"{number}.json"
            path.parent.mkdir(parents=True)
            path.write_text(json.dumps({**old, "problem": f"{split} {subject}"}))
    assert [problem.question for problem in load_problems(f"math:{folder}")] == [
        "train algebra",
        "train geometry",
    ]
    assert len(load_problems(f"{folder}:test")) == 2
    assert last_boxed("\\boxed{a}" * 5_000) == "a"
    assert last_boxed("So $\\boxed\\frac12$.") == "\\frac12"
    assert last_boxed("\\boxed{\\left\\{1\\right.}") == "\\left\\{1\\right."
    assert last_boxed("\\boxed{1") == ""


def test_ids_of_many_digits_are_kept(tmp_path):
    row = {"question": "1+1?", "answer": "2"}
    assert one(tmp_path, {**row, "id": 2**63 + 1}).id == str(2**63 + 1)
    assert one(tmp_path, {**row, "id": 7.0}).id == "7"
    with pytest.raises(UserError, match="kept exactly"):
        one(tmp_path, {**row, "id": 2.0**63})


def test_a_teachers_solution_belongs_to_the_question_with_its_numbers_and_signs(tmp_path):
    problems = [
        FileProblem(sign, f"What is 5 {sign} 3?", "", gold) for sign, gold in (("+", "8"), ("-", "2"))
    ]
    rows = [{"instruction": "Calculate.", "input": "What is 5 + 3?", "output": "The answer is 8"},
            {"instruction": "what is 5-3", "output": "The answer is 2"}]  # fmt: skip
    path = tmp_path / "a,b.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    loaded = load_rationales([f"rationales:{path}"], problems)
    assert [(one.id, one.verdict) for one in loaded.rationales] == [("-", "correct")]
    assert loaded.n_unmatched == 1


ANSWER = {"prompt": "Name a fruit.", "model": "a", "text": "Apple"}


def answers(tmp_path, *rows):
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    return load_generations(str(path))


@pytest.mark.parametrize("sample", [0, 0.0, "0", "0.0", " 0 "])
def test_a_sample_is_a_whole_number_however_it_is_written(tmp_path, sample):
    assert answers(tmp_path, {**ANSWER, "sample": sample})["sample"].tolist() == [0]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{**ANSWER, "sample": 0.5}], "which is no whole number"),
        ([{**ANSWER, "model": None}], "has no model"),
        ([{**ANSWER, "model": ""}], "lacks a model"),
        ([{**ANSWER, "model": " "}], "which is no text"),
        ([{**ANSWER, "model": ["a"]}], "which is no text"),
        ([{**ANSWER, "prompt": " "}], "empty prompt"),
        ([{**ANSWER, "prompt_id": 1}, {**ANSWER, "prompt_id": 2}], "another id for the prompt"),
        (
            [{**ANSWER, "prompt_id": 1}, {**ANSWER, "prompt_id": 1, "prompt": "x"}],
            "another prompt under the id",
        ),
        ([{**ANSWER, "options": ["a", "b"]}], "has also options"),
    ],
)
def test_an_answer_that_would_be_counted_wrongly_is_refused(tmp_path, rows, said):
    with pytest.raises(UserError, match=f"line {len(rows)} .*({said})"):
        answers(tmp_path, *rows)


def test_half_a_surrogate_pair_is_no_text(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"prompt": "\\ud800?", "model": "\\udfffm", "text": "\\ud83d"}')
    frame = load_generations(str(tmp_path / "a.jsonl"))
    assert frame[["prompt", "model", "text"]].to_numpy().tolist() == [["\ufffd?", "\ufffdm", "\ufffd"]]
