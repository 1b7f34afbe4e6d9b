"""Word problems: solutions that hold, texts that read, compositions held out, draws that repeat."""

import re
from collections import Counter
from fractions import Fraction

import pytest

from workbench.corpora import problems
from workbench.errors import UserError

EVERY = problems.templates() + problems.templates(held_out=True)
# What the numbers of a text, in the order they are told, come to: written down apart from the grammar.
SOLUTIONS = {
    **{"gain": "a+b", "lose": "a-b", "groups": "a*b", "rate": "a*b", "share": "a/b", "fill": "a/b"},
    **{"times": "a*b", "more": "a+b", "fewer": "a-b", "earn": "a*b", "goal": "b-a", "packs": "a+b*c"},
    **{"other-total": "a+b", "other-gap": "a-b", "gain-lose": "a+b-c", "lose-gain": "a-b+c"},
    **{"gain-goal": "c-(a+b)", "gain-earn": "(a+b)*c", "gain-share": "(a+b)/c", "lose-share": "(a-b)/c"},
    **{"lose-fill": "(a-b)/c", "lose-earn": "(a-b)*c", "groups-gain": "a*b+c", "groups-lose": "a*b-c"},
    **{"groups-share": "a*b/c", "groups-goal": "c-a*b", "groups-other-gap": "a*b-c", "rate-gain": "a*b+c"},
    **{"rate-lose": "a*b-c", "rate-goal": "c-a*b", "more-total": "a+a+b", "fewer-total": "a+a-b"},
    **{
        "times-total": "a+a*b",
        "more-times": "(a+b)*c",
        "times-fewer": "a*b-c",
        "gain-lose-goal": "d-(a+b-c)",
    },
    **{"gain-lose-share": "(a+b-c)/d", "groups-lose-share": "(a*b-c)/d", "groups-lose-fill": "(a*b-c)/d"},
    **{"groups-gain-goal": "d-(a*b+c)", "groups-more-total": "2*a*b+c", "rate-lose-goal": "d-(a*b-c)"},
    **{"packs-lose": "a+b*c-d", "packs-share": "(a+b*c)/d", "packs-goal": "d-(a+b*c)"},
    **{"more-total-share": "(a+a+b)/c", "groups-packs": "a*b+c*d", "rate-packs": "a*b+c*d"},
    **{
        "packs-lose-share": "(a+b*c-d)/e",
        "groups-packs-lose": "a*b+c*d-e",
        "groups-packs-goal": "e-(a*b+c*d)",
    },
    **{"rate-packs-goal": "e-(a*b+c*d)", "more-times-total": "a+(a+b)+(a+b)*c"},
}
OPERATIONS = {
    "+": lambda left, right: left + right,
    "-": lambda left, right: left - right,
    "*": lambda left, right: left * right,
    "/": lambda left, right: left / right,
}


def numbers(text):
    return [int(number) for number in re.findall(r"\d+", text)]


@pytest.fixture(scope="module")
def drawn():
    return problems.draw(4000, 0, templates=EVERY)


def test_the_answer_is_what_the_numbers_of_the_text_come_to(drawn):
    for problem in drawn:
        told = dict(zip("abcde", map(Fraction, numbers(problem.question)), strict=False))
        formula = SOLUTIONS[problem.template.split("/")[1]]
        assert problem.answer == eval(formula, {}, told), problem.question


def test_every_step_holds_and_the_equations_say_so(drawn):
    for problem in drawn:
        for step in problem.steps:
            assert step.result == OPERATIONS[step.operation](step.left, step.right)
        equations = re.findall(r"(\d+) (.) (\d+) = (\d+)\.", problem.rationale())
        assert len(equations) == len(problem.steps)
        for left, operation, right, result in equations:
            assert OPERATIONS[operation](Fraction(left), Fraction(right)) == int(result)
        assert problem.rationale().endswith(f" The answer is {problem.answer}.")
        assert isinstance(problem.answer, Fraction)


def test_programs_compute_the_answer_from_the_numbers_of_the_text(drawn):
    for problem in drawn:
        program = problem.rationale("pot")
        values = {}
        exec(program, {"__builtins__": {}}, values)
        assert values["ans"] == problem.answer
        assert len(program.splitlines()) == len(problem.steps)
        # A comparison followed by a total uses the first amount twice.
        assert set(map(str, numbers(problem.question))) == set(re.findall(r"\b\d+\b", program))


def test_least_to_most_answers_one_question_a_step_and_the_last_is_the_problems(drawn):
    for problem in drawn:
        text = problem.rationale("l2m")
        assert len({step.question for step in problem.steps}) == text.count("?") == len(problem.steps)
        assert problem.question.endswith(problem.steps[-1].question)
        last = problem.steps[-1]
        assert text.endswith(f"{last.question} {last.equation}. The answer is {problem.answer}.")


def test_a_one_step_solution_is_as_short_as_can_be():
    (problem,) = problems.draw(1, 0, templates=["marbles/gain"])
    first, second = numbers(problem.question)
    total = first + second
    assert problem.rationale() == f"{first} + {second} = {total}. The answer is {total}."
    assert problem.rationale("pot") == f"ans = {first} + {second}"
    with pytest.raises(ValueError, match="cot, l2m or pot, not 'tree'"):
        problem.rationale("tree")


@pytest.mark.parametrize("largest", [20, 100, 10**6])
def test_no_number_is_larger_than_asked_and_results_are_whole(largest):
    told = Counter()
    for problem in problems.draw(1500, 1, templates=EVERY, largest=largest, distractors=0.3):
        results = [step.result for step in problem.steps]
        assert all(result.denominator == 1 and 1 <= result <= largest for result in results)
        assert min(results[:-1], default=2) >= 2
        assert all(2 <= number <= largest for number in numbers(problem.question))
        told.update(numbers(problem.question))
    assert max(told) > 0.8 * largest


def test_answers_spread_over_the_range():
    for largest, most in ((20, 0.2), (100, 0.06)):
        answers = Counter(problem.answer for problem in problems.draw(3000, 2, largest=largest))
        assert answers.most_common(1)[0][1] / 3000 < most
        assert len(answers) > 0.95 * largest


def test_every_template_can_be_told_up_to_twenty_by_three_names():
    for template in EVERY:
        (problem,) = problems.draw(1, 2, templates=[template], n_words=3, distractors=1)
        assert problem.template == template
        assert 1 <= len(problem.steps) <= 4


def test_texts_are_whole_sentences_of_plain_words(drawn):
    lengths = Counter(len(problem.question.split()) for problem in drawn)
    assert min(lengths) >= 9
    assert max(lengths) <= 60
    for problem in drawn:
        assert re.fullmatch(r"([A-Z][\w', ]*\. )+[A-Z][\w', ]*\?", problem.question), problem.question
        assert not re.search(r"[{}]|  |\b1 |\b(\w+) \1\b", problem.question), problem.question
        sentences = re.findall(r"[^.?]+[.?]", problem.question)
        assert len(set(sentences)) == len(sentences)


def test_plurals_and_what_is_left_after_a_loss_are_worded_right(drawn):
    words = set(re.findall(r"\w+", " ".join(problem.question for problem in drawn)))
    assert {"daisies", "geese", "sheep", "children", "peaches", "radishes", "boxes", "flags"} <= words
    assert not {"daisys", "gooses", "sheeps", "childs", "peachs", "boxs"} & words
    for problem in drawn:
        scenario, structure = problem.template.split("/")
        if structure in ("lose-share", "share") and scenario in ("marbles", "farm", "orchard"):
            assert ("that are left" in problem.question) == (structure == "lose-share")


def test_there_are_scenarios_and_structures_of_one_to_four_steps_enough():
    scenarios, structures = zip(*(template.split("/") for template in problems.templates()), strict=True)
    assert len(set(scenarios)) >= 8
    assert len(set(structures)) >= 10
    assert {len(problem.steps) for problem in problems.draw(400, 0)} == {1, 2, 3, 4}


def test_held_out_compositions_are_made_of_parts_seen_in_training():
    training, held_out = problems.templates(), problems.templates(held_out=True)
    assert not set(training) & set(held_out)
    assert len(set(training)) == len(training)
    seen_scenarios = {template.split("/")[0] for template in training}
    seen_structures = {template.split("/")[1] for template in training}
    parts = {(s, part) for s, structure in (t.split("/") for t in training) for part in structure.split("-")}
    assert {template.split("/")[0] for template in held_out} == seen_scenarios | {"library"}
    assert {template.split("/")[1] for template in held_out} - seen_structures == {"fewer-total"}
    for scenario, structure in (template.split("/") for template in held_out):
        if scenario != "library":
            assert {(scenario, part) for part in structure.split("-")} <= parts, (scenario, structure)


def test_a_draw_repeats_and_a_shorter_one_is_its_beginning():
    long = problems.draw(300, 5, distractors=0.2, largest=50)
    assert problems.draw(120, 5, distractors=0.2, largest=50) == long[:120]
    assert problems.draw(120, 6, distractors=0.2, largest=50) != long[:120]
    assert problems.draw(0, 5) == []


def test_no_question_comes_twice_and_ids_follow_questions(drawn):
    assert (
        len({problem.question for problem in drawn}) == len(drawn) == len({problem.id for problem in drawn})
    )
    narrow = problems.draw(2000, 0, templates=["bus/gain"], n_words=3, largest=20)
    assert len({problem.question for problem in narrow}) == 2000


def test_a_template_that_has_no_more_questions_repeats_itself():
    # 2 + 2 is all there is up to 4; three owners, three things and some wordings are left to vary
    few = problems.draw(200, 0, templates=["bus/gain"], n_words=3, largest=4)
    assert 10 < len({problem.question for problem in few}) < 200
    assert all(problem.answer == 4 for problem in few)


def test_weights_decide_how_often_a_template_comes():
    drawn = problems.draw(2000, 3, templates={"marbles/gain": 3, "bus/lose": 1, "farm/share": 0})
    share = Counter(problem.template for problem in drawn)
    assert share["marbles/gain"] / 2000 == pytest.approx(0.75, abs=0.04)
    assert share["farm/share"] == 0


def test_few_words_are_few():
    some = problems.draw(1500, 0, templates=["marbles/more", "marbles/times-total"], n_words=4)
    every = problems.draw(1500, 0, templates=["marbles/more", "marbles/times-total"])

    def used(drawn):
        texts = " ".join(problem.question for problem in drawn)
        names = set(re.findall(r"\b[A-Z][a-z]+\b", texts)) - {"There", "How"}
        return len(names), len(set(re.findall(r"more (\w+)|as many (\w+)", texts)) - {("", "")})

    assert used(some)[0] == 4
    assert used(every)[0] > 40
    assert used(some)[1] < used(every)[1]


def test_distractors_are_counted_and_change_nothing_else():
    drawn = problems.draw(400, 0, distractors=0.4)
    with_one = [problem for problem in drawn if problem.n_distractors]
    assert len(with_one) / 400 == pytest.approx(0.4, abs=0.08)
    for problem in drawn:
        needed = problem.frame.count("{") - problem.n_distractors
        assert needed == len(
            {letter for letter in SOLUTIONS[problem.template.split("/")[1]] if letter in "abcde"}
        )
    assert all(not problem.n_distractors for problem in problems.draw(50, 0))


def test_a_twin_has_the_words_and_other_numbers():
    for problem in problems.draw(600, 4, templates=EVERY, distractors=0.3):
        twin = problems.twin(problem, 1)
        assert re.sub(r"\d+", "#", twin.question) == re.sub(r"\d+", "#", problem.question)
        assert twin.rationale() != problem.rationale()
        assert re.sub(r"\d+", "#", twin.rationale("pot")) == re.sub(r"\d+", "#", problem.rationale("pot"))
        assert max(numbers(twin.question)) <= twin.largest == problem.largest
        assert problems.twin(problem, 1) == twin
        values = {}
        exec(twin.rationale("pot"), {"__builtins__": {}}, values)
        assert values["ans"] == twin.answer


def test_where_no_other_numbers_fit_there_is_no_twin():
    (problem,) = problems.draw(1, 0, templates=["marbles/groups"], largest=4)
    with pytest.raises(UserError, match="no twin with numbers up to 4"):
        problems.twin(problem, 0)


def test_mistakes_are_named():
    with pytest.raises(UserError, match="no problem template 'marble/gain': did you mean 'marbles/gain'"):
        problems.draw(3, 0, templates=["marble/gain"])
    with pytest.raises(UserError, match="marbles/groups-packs has no numbers up to 7: set largest to 20"):
        problems.draw(3, 0, templates=["marbles/groups-packs"], largest=7)
    with pytest.raises(UserError, match="n_words must be 3 or more"):
        problems.draw(3, 0, n_words=2)
    with pytest.raises(UserError, match=r"between 0 and 1, not 1\.5"):
        problems.draw(3, 0, distractors=1.5)
    for nothing in ([], {}, {"marbles/gain": 0}, {"marbles/gain": -1}, {"marbles/gain": float("nan")}):
        with pytest.raises(UserError, match="at least one template"):
            problems.draw(3, 0, templates=nothing)
    with pytest.raises(ValueError, match="0 or more, not -1"):
        problems.draw(-1, 0)
