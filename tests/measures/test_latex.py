"""Answers in LaTeX: math-verify in worker processes, which may hang or die."""

import threading
from pathlib import Path

import pytest
from formula_facts import COMMAS, DIFFERENT, FORMULAS, NUMBERS

from workbench.errors import UserError
from workbench.measures.answers import latex
from workbench.measures.answers.grading import grade_many


def test_formulas_are_compared_by_math_verify_off_the_main_thread():
    cases = [
        (r"so \boxed{\frac{1}{\sqrt 2}}.", r"\frac{\sqrt{2}}{2}", "correct"),
        (r"\boxed{2\sqrt{5}}", r"2\sqrt{3}", "wrong"), (r"\boxed{2^{10}}", "1024", "correct"),
        (r"\boxed{(1, 2)}", r"thus \boxed{(1,2)}", "correct"), (r"\boxed{2}", r"\sqrt{4}", "correct"),
        (r"\boxed{\frac{1}{2}}", "0.5", "correct"), ("12", r"\sqrt{3}", "unparsed"),
        (r"\boxed{__import__('os').abort()}", "5", "unparsed"), (r"\boxed{5}", r"\frac{", "unscorable"),
    ]  # fmt: skip
    grades = []
    given, golds, verdicts = map(list, zip(*cases, strict=True))
    thread = threading.Thread(target=lambda: grades.extend(grade_many(given, golds, "boxed")))
    thread.start()
    thread.join()
    assert [grade.verdict for grade in grades] == verdicts


def test_words_and_dates_are_not_computed():
    texts = ["The answer is likely five.", "The answer is 2021-05-01.", "The answer is 5 or 6."]
    grades = grade_many(texts, ["5", "2015", "5"], "cot")
    assert [grade.verdict for grade in grades] == ["unparsed"] * 3


def test_a_comparison_that_does_not_end_costs_itself_only():
    pairs = [("3", "9^{9^{9^{9}}}!"), ("5", "5"), ("1", "x" * 5000), (r"\sqrt{4}", "2")]
    assert latex.compare(pairs, seconds=2, processes=1) == ["time", "same", "given", "same"]


def test_a_worker_that_dies_costs_one_answer(monkeypatch, tmp_path):
    source = Path(latex._WORKER).read_text(encoding="utf-8")
    mortal = tmp_path / "mortal.py"
    mortal.write_text(source.replace("    right, said", "    assert given != 'die'\n    right, said", 1))
    monkeypatch.setattr(latex, "_WORKER", mortal)
    assert latex.compare([("1", "die"), ("5", "5")], processes=1) == ["crash", "same"]


def test_without_math_verify_the_user_is_told_what_to_install(monkeypatch, tmp_path):
    broken = tmp_path / "broken.py"
    broken.write_text("import no_such_module")
    monkeypatch.setattr(latex, "_WORKER", broken)
    with pytest.raises(UserError, match="does not start"):
        latex.compare([("1", "1")])
    monkeypatch.setattr(latex.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="pip install math-verify"):
        latex.compare([("1", "1")])
    assert grade_many([r"\boxed{5}"], ["5"], "boxed")[0].verdict == "correct"  # plain numbers need none


def test_math_verifys_own_cases_come_out_as_it_says_but_for_six():
    facts = [*NUMBERS, *COMMAS, *FORMULAS]
    boxes = [f"\\boxed{{{answer}}}" for _, answer, _ in facts]
    grades = grade_many(boxes, [gold for gold, _, _ in facts], "boxed")
    found = {
        (gold, answer): grade.verdict
        for (gold, answer, same), grade in zip(facts, grades, strict=True)
        if (grade.verdict == "correct") != same
    }
    assert len(facts) > 160
    assert found.keys() == DIFFERENT.keys()
    assert grade_many([r"\boxed{1}, \boxed{2}"], ["1,2"], "boxed")[0].verdict == "correct"


def test_workers_wait_for_the_next_formula_and_start_for_none():
    for worker in latex._workers(len(latex._idle)):
        worker.end()
    grade_many(["The answer is 5.", "The answer is 12 + 15", "no answer"], ["5", "27", "B"])
    assert not latex._idle
    assert latex.compare([("2", r"\sqrt{4}")] * 50, processes=2) == ["same"] * 50
    first = latex._idle[0].process.pid
    latex.compare([("3", r"\sqrt{9}")])
    assert latex._idle[0].process.pid == first
