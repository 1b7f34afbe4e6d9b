"""Teacher's files and mixtures: rows tied to their problems, one row a strategy, alpha and KL as defined."""

import json
from dataclasses import replace

import numpy as np
import pytest
from repository import DATA

from workbench.corpora.loaders.problems import FileProblem, load_problems
from workbench.corpora.loaders.solutions import Rationale, load_rationales
from workbench.errors import UserError
from workbench.measures.answers import lm_eval
from workbench.studies.siked.mixing import biased, divergence, first_correct, mix, teacher_share

PROBLEMS = [FileProblem("a", "Tom has 2 balls, and gets 3. How many?", "", "5"),
            FileProblem("b", "Ann has 9. She loses 4. How many?", "", "5")]  # fmt: skip


def one(identity, strategy, verdict="correct", text="x?"):
    return Rationale(identity, f"question {identity}", strategy, text, "5", "someone", verdict)


def rows(*pairs, origin="teacher"):
    return first_correct([one(*pair) for pair in pairs], origin)


# ------------------------------------------------------------------------------- files
def test_three_kinds_of_rows_are_read_judged_and_tied_to_their_problems(tmp_path):
    chains = [
        {"instruction": "Tom has 2 balls and gets 3.  How many?", "output": "2 + 3 = 5. The answer is 5"},
        {"instruction": "Another problem?", "output": "The answer is 1"},
    ]
    (tmp_path / "chains.json").write_text(json.dumps(chains))
    (tmp_path / "x_BSM.json").write_text(
        json.dumps([{"instruction": PROBLEMS[1].question, "output": "How many? 9 - 4 = 6. The answer is 6"}])
    )
    program = {"passage": "Ann has 9. She loses 4", "question": "How many?", "generated": ["ans = 9 - 4"]}
    (tmp_path / "programs.jsonl").write_text(
        json.dumps({"demonstration": "…"}) + "\n" + json.dumps({**program, "executed": 5.0}) + "\n"
    )
    teacher = load_rationales([tmp_path], PROBLEMS)
    found = {(each.id, each.strategy): each.verdict for each in teacher.rationales}
    assert found == {("a", "cot"): "correct", ("b", "l2m"): "wrong", ("b", "pot"): "correct"}
    assert teacher.n_unmatched == 1


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"question": "x"}, "line 1 is no solution"),
        ({"instruction": "x", "output": " "}, "line 1 has an empty solution"),
        ({"question": "x", "strategy": "guess", "rationale": "y"}, "line 1 is no solution"),
        ({"instruction": "nothing we know", "output": "The answer is 1"}, "belongs to one of the problems"),
        (["x"], "line 1 is no object"),
    ],
)
def test_a_row_that_is_no_solution_is_named(tmp_path, row, said):
    (tmp_path / "t.jsonl").write_text(json.dumps(row))
    with pytest.raises(UserError, match=said):
        load_rationales([tmp_path / "t.jsonl"], PROBLEMS)
    with pytest.raises(UserError, match="no file or folder"):
        load_rationales([tmp_path / "none.jsonl"], PROBLEMS)


# ------------------------------------------------------------------------------- mixtures
def test_the_first_correct_solution_of_each_question_and_strategy_counts():
    found = [one("a", "cot", "wrong"), one("a", "cot", text="1"), one("a", "cot", text="2"), one("b", "pot")]
    assert first_correct(found, "student")["text"].tolist() == ["1", "x?"]
    plain = [one("a", "l2m", text="no question")]
    assert len(first_correct(plain, "teacher")) == 1
    assert len(first_correct(plain, "student")) == 0
    proof = [one("a", "l2m", text="Goal: above from Ann. Above Ann is Bob. The answer is Bob.")]
    assert len(first_correct(proof, "student")) == 1


def test_mixtures():
    teacher = rows(("a", "cot"), ("a", "pot"), ("b", "cot"))
    student = rows(("a", "cot"), ("b", "pot"), origin="student")
    count = {how: mix(teacher, student, how)["origin"].value_counts().to_dict()
             for how in ("all", "adaptive", "self-only", "teacher-only")}  # fmt: skip
    assert count == {
        "all": {"teacher": 3, "student": 2},
        "adaptive": {"teacher": 2, "student": 2},
        "self-only": {"student": 2},
        "teacher-only": {"teacher": 3},
    }
    left = mix(teacher, student, "adaptive")
    assert set(zip(left["id"], left["strategy"], strict=True)) == {
        ("a", "cot"), ("a", "pot"), ("b", "cot"), ("b", "pot")}  # fmt: skip
    shares = teacher_share(left).set_index("strategy")["alpha"]
    assert shares["all"] == 0.5
    assert shares["cot"] == 0.5
    assert np.isnan(shares["l2m"])


@pytest.mark.parametrize("alpha", [0.0, 0.25, 0.5, 1.0])
def test_a_fixed_alpha_is_met_with_as_many_rows_as_there_are(alpha):
    teacher = rows(*((str(number), "cot") for number in range(40)))
    student = rows(*((str(number), "pot") for number in range(60)), origin="student")
    mixed = mix(teacher, student, "fixed-alpha", alpha=alpha)
    assert teacher_share(mixed).set_index("strategy")["alpha"]["all"] == pytest.approx(alpha)
    assert len(mixed) == {0.0: 60, 0.25: 80, 0.5: 80, 1.0: 40}[alpha]
    assert mixed.equals(mix(teacher, student, "fixed-alpha", alpha=alpha))


@pytest.mark.parametrize(
    ("mixture", "alpha", "said"),
    [("fixed-alpha", None, "needs alpha"), ("fixed-alpha", 1.5, "not 1.5"), ("some", None, "choose all"),
     ("all", 0.5, "leave it out")],
)  # fmt: skip
def test_a_mixture_that_cannot_be_is_said(mixture, alpha, said):
    with pytest.raises(UserError, match=said):
        mix(rows(("a", "cot")), rows(("a", "pot")), mixture, alpha=alpha)


def test_a_mixture_of_nothing_is_empty_and_keeps_its_columns():
    teacher, nothing = rows(("a", "cot")), rows(("a", "cot", "wrong"), origin="student")
    empty = mix(teacher, nothing, "self-only")
    assert empty.empty
    assert list(empty) == list(teacher)
    assert mix(teacher, nothing, "fixed-alpha", alpha=0.5).empty
    assert len(mix(teacher, nothing, "fixed-alpha", alpha=1.0)) == 1
    assert divergence(empty, {"cot": 3}) == 0


def test_biased_rows_follow_the_priority_and_unknown_tags_are_refused():
    found = rows(("a", "cot"), ("a", "pot"), ("b", "cot"), ("b", "l2m"), ("c", "l2m"))
    chosen = biased(found, ("pot", "cot", "l2m")).set_index("id")["strategy"].to_dict()
    assert chosen == {"a": "pot", "b": "cot", "c": "l2m"}
    with pytest.raises(UserError, match="no strategy 'tot'"):
        biased(found.assign(strategy="tot"), ("pot", "cot", "l2m"))


def test_divergence_is_that_of_the_shares():
    mixed = rows(("a", "cot"), ("b", "cot"), ("a", "pot"), ("b", "pot"))
    assert divergence(mixed, {"cot": 3, "pot": 3}) == pytest.approx(np.log(13 / 12))  # half for l2m
    assert divergence(mixed, {"cot": 50, "pot": 50}) == pytest.approx(0, abs=0.01)
    assert divergence(mixed, {"cot": 100}) > divergence(mixed, {"cot": 60, "pot": 40})
    assert divergence(rows(("a", "cot")), {"cot": 10}) == pytest.approx(np.log(11 / 10))


# ------------------------------------------------------------------------------- the real files
REAL = DATA / "math"


@pytest.mark.skipif(not (REAL / "rationales").is_dir(), reason="no real rationales here (WORKBENCH_DATA)")
def test_the_real_teachers_solutions_come_to_the_published_counts():
    everything = load_problems(str(REAL / "svamp" / "SVAMP.json"))
    names = ("SVAMP_llama_level3_ranked.json", "0_SVAMP_chatgpt_level3BSM.json", "svamp_pot_codex.jsonl")
    chains = load_rationales([REAL / "rationales" / names[0]], everything)
    trained = {each.id for each in chains.rationales}
    problems = [problem for problem in everything if problem.id in trained]
    paths = [REAL / "rationales" / name for name in names]
    teacher = load_rationales(paths, problems)
    assert (len(problems), teacher.n_unmatched) == (700, 299)
    by_last_number = [  # the published counts' rule: "The answer is 10, not 13" is right for 13
        row if row.strategy == "pot" else replace(row, verdict=lm_eval.grade(row.text, row.gold))
        for row in teacher.rationales
    ]
    found = first_correct(by_last_number, "teacher")
    assert found["strategy"].value_counts().to_dict() == {"cot": 699, "l2m": 684, "pot": 601}
    assert len(found) == 1984
    assert found["id"].nunique() == 700
    assert (found.groupby("id").size() == 3).sum() == 591
    shares = {
        priority[0]: biased(found, priority)["strategy"].value_counts().to_dict()
        for priority in (("pot", "cot", "l2m"), ("cot", "pot", "l2m"), ("l2m", "pot", "cot"))
    }
    assert shares == {
        "pot": {"pot": 601, "cot": 98, "l2m": 1},
        "cot": {"cot": 699, "l2m": 1},
        "l2m": {"l2m": 684, "pot": 10, "cot": 6},
    }
    # By final answers two chains and a "1/16" fall: the rule of the counts finds them right by accident.
    strict = first_correct(teacher.rationales, "teacher")
    assert strict["strategy"].value_counts().to_dict() == {"cot": 697, "l2m": 683, "pot": 601}
