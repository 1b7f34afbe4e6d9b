"""Problems of the house: questions that mean what they are answered with, paths, twins, exact checks."""

import re
from collections import Counter

import pytest

from workbench import sandbox
from workbench.corpora import logic
from workbench.corpora.logic import wordings
from workbench.errors import UserError
from workbench.measures.answers.grading import grade

PROBLEMS = logic.draw(400, 0)
STRATEGIES = ("cot", "l2m", "pot")
INVERSE = {"right": "left", "above": "below", "behind": "before"}


def house() -> dict[tuple[str, str], str]:
    """(relation, person) to person, read from the facts' own sentences."""
    read = [re.fullmatch(r"(\w+)(?: of)? (\w+) is (\w+)\.", fact) for fact in logic.facts()]
    return {(match[1].lower(), match[2]): match[3] for match in read if match}


def understood(problem: logic.LogicProblem) -> str:
    """Who is asked for, read from the question's words."""
    dialect = dict(zip(wordings._DIALECTS[problem.wording % 8], logic.RELATIONS, strict=True))
    phrases = "|".join(sorted(map(re.escape, dialect), key=len, reverse=True))
    rules = {
        name: [dialect[phrase] for phrase in re.findall(rf"the one ({phrases}) ", text + " ")][::-1]
        for name, text in re.findall(r"Your (\w+) is (.*?) ?you\.", problem.question)
    }
    question, names = problem.question.rpartition("you.")[2], "|".join(rules) or "none"
    asked = re.search(
        rf"((?:the (?:one (?:{phrases})|(?:{names}) of) )+)({'|'.join(logic.PEOPLE)})\b", question
    )
    person = asked[2]
    for phrase, name in reversed(re.findall(rf"the (?:one ({phrases})|({names}) of) ", asked[1])):
        for move in rules[name] if name else [dialect[phrase]]:
            person = house()[move, person]
    return person


def test_the_house_is_one_and_a_way_back_leads_back() -> None:
    known = house()
    assert len(known) == len(logic.facts()) == 2 * (4 * 16 + 3 * 20 + 3 * 20)
    assert len(set(logic.PEOPLE)) == 80
    for (relation, person), result in known.items():
        assert logic.follow(person, relation) == result
        if relation in INVERSE:
            assert known[INVERSE[relation], result] == person
    assert logic.follow("Nobody", "right") is None


@pytest.mark.parametrize("problem", PROBLEMS[::4], ids=lambda problem: problem.id)
def test_a_question_asks_for_its_answer(problem: logic.LogicProblem) -> None:
    assert understood(problem) == problem.answer


def test_every_path_leads_to_the_answer_and_there_are_six_or_more() -> None:
    for problem in PROBLEMS[:100]:
        assert len(set(problem.paths())) == len(problem.paths()) >= 6
        for path in problem.paths():
            for strategy in STRATEGIES:
                solution = problem.rationale(strategy, path)
                assert logic.check(problem, solution, strategy) == logic.Check(True, True, True)
            person = problem.start
            for move in path:
                person = house()[move, person]
            assert person == problem.answer


def test_answers_cannot_be_guessed() -> None:
    answers = Counter(problem.answer for problem in logic.draw(4000, 3))
    assert len(answers) >= 64
    assert max(answers.values()) / 4000 < 0.05
    assert all(problem.answer not in problem.question.split() for problem in PROBLEMS)


def test_programs_compute_the_answer_in_the_sandbox() -> None:
    programs = [logic.PRELUDE + problem.rationale("pot") for problem in PROBLEMS[:20]]
    outcomes = sandbox.run([*programs, logic.PRELUDE + 'ans = right("Nobody")'])
    if outcomes[0].status == "not run":
        pytest.skip(outcomes[0].reason)
    assert [outcome.value for outcome in outcomes[:-1]] == [problem.answer for problem in PROBLEMS[:20]]
    assert outcomes[-1].status == "runtime error"


def test_sets_held_out_share_no_moves_with_those_that_train() -> None:
    train, test = ({name.partition("/")[2] for name in logic.rule_sets(held)} for held in (False, True))
    assert train.isdisjoint(test)
    assert (len(train), len(test)) == (33, 11)
    assert {problem.template for problem in logic.draw(500, 1, logic.rule_sets(True))} == set(
        logic.rule_sets(True)
    )
    assert all(name.count("+") == 0 for name in logic.rule_sets(n_moves=(1,)))


def test_draws_repeat_begin_alike_and_are_new_each_time() -> None:
    assert logic.draw(400, 0) == PROBLEMS
    assert logic.draw(50, 0) == PROBLEMS[:50]
    assert len({problem.question for problem in PROBLEMS}) == 400
    assert len({problem.id for problem in PROBLEMS}) == 400
    assert {problem.wording for problem in logic.draw(50, 0, wordings=[3, 70])} == {3, 70}


def test_a_twin_differs_in_its_start_alone() -> None:
    for problem in PROBLEMS[:100]:
        other = logic.twin(problem, 5)
        assert (other.template, other.moves, other.wording) == (
            problem.template,
            problem.moves,
            problem.wording,
        )
        assert other.answer != problem.answer
        assert understood(other) == other.answer
        assert other.question.replace(other.start, problem.start) == problem.question


def test_plan_facts_and_answer_are_told_apart() -> None:
    (problem,) = logic.draw(1, 0, ["relational/right+above+behind"])
    right, above, behind = problem.rationale("cot").split(". ")[:3]
    whole = problem.rationale("cot")
    assert logic.check(problem, whole.replace(f"is {problem.answer}.", "is Nobody."), "cot") == logic.Check(
        True, False, False
    )
    assert logic.check(problem, f"{right}. {above}. The answer is {problem.answer}.", "cot") == logic.Check(
        False, True, True
    )
    assert not logic.check(problem, f"{above}. {right}. {behind}. The answer is Ann.", "cot").plan
    assert logic.check(problem, "The answer is Ann, no.", "cot") == logic.Check(False, False, False)
    assert logic.check(problem, "", "pot") == logic.Check(False, False, False)
    program = problem.rationale("pot")
    assert not logic.check(problem, program.replace("(p)", "(q)", 1), "pot").plan
    assert not logic.check(problem, program + "\nprint(ans)", "pot").plan
    with pytest.raises(ValueError, match="cot, l2m or pot"):
        logic.check(problem, whole, "none")


def test_names_are_graded_in_every_strategy() -> None:
    problem = PROBLEMS[0]
    assert grade(problem.rationale("l2m"), problem.gold).verdict == "correct"
    assert grade(problem.answer, problem.gold, "pot").verdict == "correct"
    assert grade("Nobody", problem.gold, "pot").verdict == "wrong"
    assert grade(None, problem.gold, "pot").verdict != "correct"


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"sets": []}, "at least one"),
        ({"sets": ["rule/right+abov"]}, "There is no rule set 'rule/right\\+abov'"),
        ({"wordings": [128]}, "there is no 128"),
        ({"wordings": []}, "at least one"),
    ],
)
def test_what_cannot_be_drawn_is_said(asked: dict, said: str) -> None:
    with pytest.raises(UserError, match=said):
        logic.draw(3, 0, **asked)


def test_a_path_or_strategy_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="is no order of"):
        PROBLEMS[0].rationale("cot", ("right",))
    with pytest.raises(ValueError, match="cot, l2m or pot"):
        PROBLEMS[0].rationale("none")
