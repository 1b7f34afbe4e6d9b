"""Which solutions of one problem give the same answer."""

from workbench.measures.answers.agreement import final_answer, final_answers


def test_equal_answers_are_written_alike():
    numbers = ["The answer is 1/2.", "so it is 0.5", "The answer is 50 cents", ""]
    formulas = [
        r"\boxed{\frac{\sqrt{2}}{2}}",
        r"The answer is $\frac{1}{\sqrt2}$.",
        r"\boxed{\sqrt{2}}",
        "no idea",
    ]
    found = final_answers([numbers, formulas, []])
    assert found[0] == ["1/2", "1/2", "50", None]
    assert found[1] == [r"\frac{\sqrt{2}}{2}", r"\frac{\sqrt{2}}{2}", r"\sqrt{2}", None]
    assert found[2] == []


def test_what_is_only_part_of_something_is_no_answer():
    for text in ("10-2", "The answer is 5 or 6.", "The answer is consistent.", ""):
        assert final_answer(text) is None
