"""Questions with people's answers: files and their faults, and the embedded population with its shares."""

import json
from collections import Counter

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from repository import DATA

from workbench.corpora import populations
from workbench.corpora.loaders import opinions
from workbench.errors import UserError
from workbench.measures import distributions

REAL = DATA / "hivemind"
with_data = pytest.mark.skipif(not REAL.is_dir(), reason="no real opinions here (WORKBENCH_DATA)")
ROW = {"id": "a", "prompt": "Soup or bread?", "options": ["soup", "bread"], "dist": [0.25, 0.75]}


def write(tmp_path, *rows):
    path = tmp_path / "questions.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    return str(path)


def test_reads_shares_counts_scales_and_groups(tmp_path):
    counted = {**ROW, "id": "b", "options": ["never", "often", "always"], "counts": [1, 2, 5],
               "ordinal": [0, 1, 3], "groups": {"old": {"n": 4, "dist": [0, 0.5, 0.5]}}}  # fmt: skip
    first, second = opinions.load_opinions(write(tmp_path, ROW, counted)).questions
    assert (first.people, first.ordinal, first.groups) == (
        opinions.AnswerDistribution((0.25, 0.75)),
        None,
        {},
    )
    assert second.people == opinions.AnswerDistribution((0.125, 0.25, 0.625), 8)
    assert second.ordinal == (0, 1, 3)
    assert second.groups == {"old": opinions.AnswerDistribution((0, 0.5, 0.5), 4)}


def test_rows_of_groups_make_one_question_with_everybody_weighted_by_their_number(tmp_path):
    rows = [{**ROW, "group": name, "dist": [share, 1 - share], "n": n} for name, share, n in
            (("young", 1, 30), ("old", 0.2, 10))]  # fmt: skip
    (question,) = opinions.load_opinions(write(tmp_path, *rows)).questions
    assert question.people.dist == pytest.approx((0.8, 0.2))
    assert question.people.n == 40
    assert list(question.groups) == ["young", "old"]
    (alike,) = opinions.load_opinions(write(tmp_path, *({**row, "n": None} for row in rows))).questions
    assert alike.people == opinions.AnswerDistribution(pytest.approx((0.6, 0.4)), None)


def test_a_table_with_lists_is_read_like_rows(tmp_path):
    path = tmp_path / "questions.csv"
    path.write_text('id,prompt,options,counts,ordinal\n7,"Soup, or bread?",soup|bread,30|10,\n')
    (question,) = opinions.load_opinions(str(path)).questions
    assert question == opinions.Question(
        "7", "Soup, or bread?", ("soup", "bread"), opinions.AnswerDistribution((0.75, 0.25), 40)
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"dist": [0.5, 0.6]}, "sums to 1.1, not to 1"),
        ({"dist": [25, 75]}, "numbers of people go into counts"),
        ({"dist": [1.5, -0.5]}, "negative"),
        ({"dist": [float("nan"), 1]}, "not finite"),
        ({"dist": ["many", "few"]}, "no list of numbers"),
        ({"dist": [0.2, 0.3, 0.5]}, "3 dist for 2 options"),
        ({"dist": None}, "has no list of dist"),
        ({"counts": [0, 0]}, "all 0"),
        ({"options": None}, "has no list of options"),
        ({"options": []}, "has no list of options"),
        ({"options": ["soup"], "dist": [1]}, "2 to 26 different options"),
        ({"options": ["soup", "soup"]}, "2 to 26 different options"),
        ({"options": ["soup", None]}, "lacks an option"),
        ({"prompt": " "}, "lacks a prompt"),
        ({"id": None}, "lacks an id"),
        ({"n": "few"}, "no number of people"),
        ({"ordinal": [1]}, "1 ordinal for 2 options"),
        ({"groups": {"old": {"dist": [1, 1]}}}, "group old: has a dist that sums to 2"),
        ({"groups": {"old": {"n": 3}}}, "group old: has neither dist nor counts"),
        ({"id": "z"}, "repeats the id z"),
    ],
)
def test_a_fault_names_its_row(tmp_path, change, said):
    with pytest.raises(UserError, match=rf"line 2 .*{said}"):
        opinions.load_opinions(write(tmp_path, {**ROW, "id": "z"}, {**ROW, **change}))


def test_a_scale_with_equal_codes_is_left_out_and_told(tmp_path):
    found = opinions.load_opinions(
        write(tmp_path, {**ROW, "ordinal": [2, 2]}, {**ROW, "id": "b", "ordinal": [1, 2]})
    )
    assert [each.ordinal for each in found.questions] == [None, (1, 2)]
    assert "1 ordinal scales whose codes are equal left out" in str(found)
    assert "line 1" in str(found)


@pytest.mark.parametrize("content", ["", "[]", '{"id": 1}', "soup"])
def test_what_is_no_list_of_questions_is_refused(tmp_path, content):
    path = tmp_path / "questions.json"
    path.write_text(content)
    with pytest.raises(UserError):
        opinions.load_opinions(str(path))


@pytest.mark.parametrize(
    ("dist", "kept"),
    [
        ([0.33, 0.33, 0.33], True),
        ([0.3, 0.3, 0.3], True),
        ([0.17, 0.17, 0.17, 0.17, 0.17, 0.17], True),
        ([0.333, 0.333, 0.333], True),
        ([0.5, 0.3], False),
        ([0.5, 0.6], False),
        ([0.4, 0.4], False),
        ([0.34, 0.34, 0.34, 0.1], False),
        ([1, 1, 0], False),
        ([0.33333, 0.33333, 0.3], False),
    ],
)
@pytest.mark.parametrize("bits", [16, 32, 64])
def test_shares_may_be_rounded_by_half_a_unit_each_and_are_scaled(tmp_path, dist, kept, bits):
    options = [f"option {number}" for number in range(len(dist))]
    table = pyarrow.table(
        {
            "id": ["a"],
            "prompt": ["Soup?"],
            "options": [options],
            "dist": pyarrow.array([np.array(dist, dtype=f"float{bits}")]),
        }
    )
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
    if not kept:
        with pytest.raises(UserError, match="not to 1"):
            opinions.load_opinions(str(tmp_path / "a.parquet"))
        return
    (question,) = opinions.load_opinions(str(tmp_path / "a.parquet")).questions
    assert sum(question.people.dist) == pytest.approx(1)
    assert question.people.dist == pytest.approx([share / sum(dist) for share in dist], abs=1e-3)


def test_global_opinions_are_read_as_python_wrote_them(tmp_path):
    row = {"question": "Soup?", "options": "['Yes', \"Don't know\"]", "source": "X",
           "selections": "defaultdict(<class 'list'>, {'A': [0.5, 0.5], 'B': [0.2, 0.8]})"}  # fmt: skip
    (question,) = opinions.load_opinions(write(tmp_path, row)).questions
    assert question.options == ("Yes", "Don't know")
    assert question.groups["B"].dist == (0.2, 0.8)
    assert question.people.dist == pytest.approx((0.35, 0.65))
    for change in ({"options": "__import__('os').getcwd()"}, {"selections": "defaultdict(list, {"},
                   {"selections": "[1]"}, {"options": ["Yes"]}, {"selections": "{}"}):  # fmt: skip
        with pytest.raises(UserError, match="line 1 "):
            opinions.load_opinions(write(tmp_path, {**row, **change}))


def test_statements_that_nobody_voted_on_are_left_out_and_counted(tmp_path):
    row = {"id": 1, "conversation": "c", "statement": "S.", "options": ["agree", "pass"], "counts": [3, 1]}
    silent = {**row, "id": 2, "counts": [0, 0]}
    partly = {**row, "id": 3, "groups": {"0": {"counts": [0, 0]}, "1": {"counts": [3, 1]}}}
    found = opinions.load_opinions(write(tmp_path, row, silent, partly))
    assert [question.id for question in found.questions] == ["1", "3"]
    assert list(found.questions[1].groups) == ["1"]
    assert "1 statements that nobody voted on left out" in str(found)


def test_a_question_with_its_context_and_one_under_two_ids_are_noticed(tmp_path):
    found = opinions.load_opinions(
        write(tmp_path, {**ROW, "context": "It is noon."}, {**ROW, "id": 2**63 + 1})
    )
    assert found.questions[0].prompt == "It is noon. Soup or bread?"
    again = opinions.load_opinions(write(tmp_path, ROW, {**ROW, "id": 2**63 + 1}))
    assert again.questions[1].id == str(2**63 + 1)
    assert "1 questions stand there under a second id" in str(again)


def test_a_limit_spreads_over_the_file(tmp_path):
    path = write(tmp_path, *({**ROW, "id": number} for number in range(10)))
    assert [each.id for each in opinions.load_opinions(path, limit=3).questions] == ["0", "3", "6"]
    with pytest.raises(UserError, match="1 or more"):
        opinions.load_opinions(path, limit=0)


def test_moral_scenarios_know_the_answer_or_that_people_are_split(tmp_path):
    path = tmp_path / "scenarios.csv"
    path.write_text(
        "scenario_id,ambiguity,context,action1,action2\n"
        "C_1,low,You find a purse.,I return it.,I keep it.\n"
        "H_1,high,Two friends fight.,I help one.,I help the other.\n"
        "H_2,high,A bird sings.,I listen.,I listen.\n"
    )
    found = opinions.load_opinions(f"moralchoice:{path}")
    assert [each.people.dist for each in found.questions] == [(1, 0), (0.5, 0.5)]
    assert found.questions[0].prompt == "You find a purse. What do you do?"
    assert "1 rows with equal actions left out" in str(found)


def test_groups_of_polis_are_said_to_be_numbered_anew(tmp_path):
    row = {"id": "a", "conversation": "soup", "statement": "Soup is good.\n", "options": ["agree", "pass"],
           "counts": [3, 1], "groups": {"0": {"n": 2, "counts": [2, 0]}}}  # fmt: skip
    found = opinions.load_opinions(f"polis:{write(tmp_path, row)}")
    assert found.questions[0].prompt.endswith("“Soup is good.”")
    assert "numbered anew in each conversation" in str(found)


@with_data
def test_the_baselines_of_polis_come_out():
    found = opinions.load_opinions(f"polis:{REAL / 'polis' / 'polis_distributions.jsonl'}").questions
    people = distributions.stack([each.people.dist for each in found])
    assert len(people) == 1293
    guess = distributions.uniform(people)
    assert distributions.jsd_nats(guess, people).mean() == pytest.approx(0.0619, abs=5e-5)
    assert distributions.root_jsd_nats(guess, people).mean() == pytest.approx(0.2230, abs=5e-5)
    pairs = [list(each.groups.values())[:2] for each in found if len(each.groups) > 1]
    first, second = (distributions.stack([pair[side].dist for pair in pairs]) for side in (0, 1))
    assert len(pairs) == 1022
    assert distributions.jsd_nats(first, second).mean() == pytest.approx(0.0642, abs=5e-5)


@with_data
def test_moralchoice_is_read_whole():
    found = opinions.load_opinions(f"moralchoice:{REAL / 'moralchoice'}").questions
    assert Counter(each.topic for each in found) == {"high ambiguity": 679, "low ambiguity": 687}


def test_the_population_has_one_law_for_all_wordings_and_everybody_is_the_villages_together():
    asked, again = populations.population(3, 0), populations.population(3)
    shares = np.array(list(populations.VILLAGES.values()))
    for first, second in zip(asked, again, strict=True):
        assert first.prompt != second.prompt
        assert (first.people, first.groups) == (second.people, second.groups)
        villages = np.array([each.dist for each in first.groups.values()])
        assert shares @ villages == pytest.approx(np.array(first.people.dist))
    assert asked[0].people != populations.population(4, 0)[0].people
    assert sum(each.ordinal is not None for each in asked) == 6


def test_every_topic_has_options_and_prompts_of_its_own():
    asked = populations.all_wordings(0)
    prompts = {each.prompt for each in asked}
    assert len(prompts) == len(asked) == (populations.HELD_OUT + 1) * len(populations.population(0))
    options = [option for each in populations.population(0) for option in each.options]
    assert len(set(options)) == len(options)


def test_answers_are_drawn_from_the_village_that_is_named():
    (question,) = populations.population(0, 0)[:1]
    told = populations.draw([question], 4000, 1)
    hill = Counter(answer.strip() for prompt, answer in told if "hill" in prompt)
    nobody = Counter(answer.strip() for prompt, answer in told if "village" not in prompt)
    for counts, answers in ((hill, question.groups["hill"]), (nobody, question.people)):
        seen = np.array([counts[option] for option in question.options]) / counts.total()
        assert seen == pytest.approx(np.array(answers.dist), abs=0.06)
        assert counts.total() > 400


def test_a_question_is_put_with_its_options_one_a_line():
    assert opinions.format_question("Which?", ["soup", "pie"], letters=True) == "Which?\nA. soup\nB. pie"
    assert opinions.format_question("Which?", ["soup", "pie"], letters=False) == "Which?\n- soup\n- pie"


def test_chances_are_exact():
    found = {each.id: each.people.dist for each in populations.truths()}
    assert found["coin"] == (0.5, 0.5)
    assert found["die"] == (1 / 6,) * 6
    assert found["urn 3-2-1"] == pytest.approx((1 / 2, 1 / 3, 1 / 6))
    assert len(found["weekday"]) == 7
