"""The judge: what its replies are read as, how it is asked, and how it is checked against rules."""

import json

import numpy as np
import pytest
from test_openai_sampler import needs_openai, serving

from workbench.corpora.stories import write_stories
from workbench.engine.sampling.sampler import Completion, Sampler
from workbench.studies.tiny_models.judge import agreement, judge, rules
from workbench.studies.tiny_models.judge_replies import read_verdict

SCORES = ("grammar", "creativity", "consistency")
GOOD = "Grammar: 8/10\nCreativity: 6.5/10\nConsistency: 9/10\nPlot makes sense: yes\nAge group: C (6-7)"
LUCY = "Lucy was so weak she could"


@pytest.mark.parametrize(
    "reply",
    [
        GOOD,
        "Grammar: 8 out of 10, creativity: 6.5 out of 10, consistency: 9 out of 10. Plot? Yes. Age: C.",
        "**Grammar**: 8\n**Creativity:** 6,5\n**Consistency (it fits):** 9\n*Plot:* yes\nAge group: **C**",
        "| Grammar | 8 |\n| Creativity | 6.5 |\n| Consistency | 9/10 |\nPlot: Yes\nAge group: 6-7",
        '{"grammar": 8, "creativity": 6.5, "consistency": 9, "plot": "yes", "age": "C"}',
        "## Grammar\nScore: 8/10\n## Creativity\n6.5/10\n## Consistency\n**9**/10\nPlot: yes\nAge group:\nC",
        "I give 8/10 for grammar, 6.5/10 for creativity and 9/10 for consistency.\nPlot: yes\nage group C",
        "<think>Grammar: 2/10, age group A</think>" + GOOD,
        "The grammar is 3/10 at first sight, with 2 slips. No, better:\n" + GOOD,
        "I'd rate the grammar of this text a solid 8 out of 10.\nCreativity score - 6.5\nConsistency with "
        "the beginning = 9/10\nThe plot makes sense: yes.\nAge group: C: A young child",
    ],
)
def test_the_same_verdict_is_read_from_many_forms(reply):
    found, problems = read_verdict(reply, SCORES, plot_makes_sense=True)
    assert problems == []
    expected = {"grammar": 8.0, "creativity": 6.5, "consistency": 9.0, "plot_makes_sense": 1.0, "age": "C"}
    assert found == expected


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("Grammar: good", "no grammar score was found"),
        ("Grammar: 7-8/10", "grammar is a range, not a number"),
        ("Grammar: 4/5", "grammar is out of 5, not out of 10"),
        ("Grammar: 75/100", "grammar is out of 100, not out of 10"),
        ("Grammar: 11/10", "grammar is 11, above 10"),
        ("Grammar: -1/10", "grammar is below 0"),
        ("Grammar and creativity are both fine", "no grammar score was found"),
    ],
)
def test_a_score_that_cannot_be_read_has_a_reason_and_spares_the_others(line, reason):
    found, problems = read_verdict(GOOD.replace("Grammar: 8/10", line), SCORES, plot_makes_sense=True)
    assert problems == [reason]
    assert np.isnan(found["grammar"])
    assert found["creativity"] == 6.5


def test_numbers_of_one_criterion_are_not_given_to_another():
    found, problems = read_verdict("Grammar and creativity: 8/10. Consistency: 3/10", SCORES, False)
    assert np.isnan(found["grammar"])
    assert (found["creativity"], found["consistency"]) == (8, 3)
    assert problems == ["no grammar score was found", "no age group from A to F was found"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("Age group: B or C", "the age group is not one: B, C"),
        ("Age group: A young child", "no age group from A to F was found"),
        ("Age group: 30-40", "no age group from A to F was found"),
    ],
)
def test_an_age_that_is_not_one_group_has_a_reason(line, reason):
    found, problems = read_verdict(GOOD.replace("Age group: C (6-7)", line), SCORES, plot_makes_sense=True)
    assert found["age"] is None
    assert problems == [reason]


class Judge:
    """Canned replies for the chat endpoint: an assessment at the first turn, then what the story asks for."""

    def __init__(self, gradings):
        self.gradings, self.requests = gradings, []

    def __call__(self, path, body):
        self.requests.append(body)
        first = body["messages"][0]["content"]
        if len(body["messages"]) == 1:
            text = f"I read {len(first)} letters."
        else:
            text = next(reply for mark, reply in self.gradings.items() if mark in first)
        finish = "length" if text.endswith("…") else "stop"
        return 200, {
            "choices": [
                {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}
            ]
        }


@needs_openai
def test_two_turns_and_a_reason_for_every_missing_score():
    replies = Judge({"ran.": GOOD, "hid.": "Lovely!", "sat.": "Grammar: 7/10\nCreat…", "ate.": ""})
    stories = [("The cat", " ran."), ("The cat", " hid."), ("The cat", " sat."), ("The cat", " ate.")]
    with serving(replies) as url:
        from workbench.engine.sampling.load import sampler

        frame = judge(stories, sampler(f"openai-chat:{url}#wise"), seed=1)
    assert list(frame.completion) == [story for _, story in stories]
    assert list(frame.grammar.fillna(-1)) == [8, -1, 7, -1]
    assert list(frame.grading) == [GOOD, "Lovely!", "Grammar: 7/10\nCreat…", ""]
    assert frame.failure[0] == ""
    assert frame.failure[1].startswith("no grammar score was found; no creativity score")
    assert frame.failure[2].endswith("the reply was cut at 600 tokens")
    assert frame.failure[3] == "the reply is empty"
    missing = frame[["grammar", "creativity", "consistency", "plot_makes_sense", "age"]].isna().any(axis=1)
    assert list(missing) == list(frame.failure != "")
    second = [body["messages"] for body in replies.requests if len(body["messages"]) == 3]
    assert [message["role"] for message in second[0]] == ["user", "assistant", "user"]
    assert all("The cat***" in messages[0]["content"] for messages in second)
    assert all(messages[1]["content"].startswith("I read") for messages in second)


@needs_openai
def test_an_instruct_story_is_graded_by_its_instruction_and_plot():
    replies = Judge({"Words: cat, hat": GOOD.replace("Plot makes sense: yes", "Plot: 4/10")})
    with serving(replies) as url:
        from workbench.engine.sampling.load import sampler

        chat = sampler(f"openai-chat:{url}#wise")
        frame = judge([("Words: cat, hat", "A cat {sat} on a hat.")], chat, instruct=True)
    assert frame.failure[0] == ""
    assert frame["plot"][0] == 4
    assert "plot_makes_sense" not in frame
    assert "***" not in json.dumps(replies.requests)


class Echo(Sampler):
    """A plain sampler: it is no chat, so the judge writes a dialogue for it to continue."""

    def __init__(self):
        self.prompts = []

    def sample(self, prompts, params):
        assert params.stop == ["\nQuestion:"]
        self.prompts += prompts
        return [[Completion(f" {GOOD}", [], [], "stop")] for _ in prompts]


def test_a_sampler_without_chat_continues_a_dialogue():
    echo = Echo()
    frame = judge([(LUCY, " not go.")], echo)
    assert frame.grammar[0] == 8
    assert echo.prompts[0].startswith("Question: ")
    assert echo.prompts[1].startswith(echo.prompts[0] + f" {GOOD}\n\nQuestion: Now grade")
    assert all(prompt.endswith("Answer:") for prompt in echo.prompts)


def test_no_stories_make_an_empty_table():
    frame = judge([], Echo())
    assert frame.empty
    assert "failure" in frame


@pytest.mark.parametrize(
    ("beginning", "completion", "completed"),
    [
        (LUCY, " not go. She slept.", 1),
        (LUCY, " not go and", 0),
        (LUCY, " The dog ran.", 0),
        (LUCY, "\nThe dog ran.", 0),
        (LUCY, "", 0),
        (LUCY, ". She slept.", 0),
        ("One day the bird saw", " Ben. Ben said hello.", 1),
        ('He said, "', 'Let us go home!" They went.', 1),
        ("He said, “", "Let us go home!” They went.", 1),
        ('He said, "I am sorry, but', ' I have to go." Ben left.', 1),
        ("The cat sat.", " It slept.", np.nan),
        ("", "A cat sat.", np.nan),
    ],
)
def test_the_split_sentence_is_completed_or_not(beginning, completion, completed):
    found = rules(beginning, completion)["split_sentence_completed"]
    assert found == completed or (np.isnan(found) and np.isnan(completed))


def test_names_and_repeated_words():
    found = rules("Lucy and a rabbit called Zimba ran. Once, Lucy", " saw Lily. Lily saw Zimba.")
    assert found["names_kept"] == 0.5
    assert found["no_repeated_4gram"] == 1
    assert rules("The cat", " ran to the park. She ran to the park.")["no_repeated_4gram"] == 0
    assert np.isnan(rules("The cat", " ran.")["names_kept"])
    assert np.isnan(rules("The cat", " ran.")["no_repeated_4gram"])


def test_finished_stories_keep_the_rules():
    for story in write_stories(30, seed=0):
        cut = story.text.index(" ", len(story.text) // 2)
        found = rules(story.text[:cut], story.text[cut:])
        assert found["split_sentence_completed"] != 0, (story.text[:cut], story.text[cut:])


def test_agreement_finds_a_judge_that_follows_a_rule_and_one_that_does_not():
    rng = np.random.default_rng(0)
    stories = [(LUCY, " not go. Lucy slept." if keep else " The dog") for keep in rng.random(60) < 0.5]
    frame = judge(stories, Echo())
    frame["grammar"] = [9.0 if "slept" in completion else 4.0 for completion in frame.completion]
    frame["creativity"] = rng.integers(0, 11, len(frame)).astype(float)
    frame.loc[0, "grammar"] = np.nan
    table = agreement(frame).set_index(["score", "rule"])
    best = table.loc["grammar", "split_sentence_completed"]
    assert best.value == pytest.approx(1)
    assert best.n == 59
    noise = table.loc["creativity", "split_sentence_completed"]
    assert noise.low < 0 < noise.high
    assert np.isnan(table.loc["consistency", "split_sentence_completed"].value)  # 9 for every story
    own = agreement(frame, lambda beginning, completion: {"letters": len(completion)})
    assert set(own.rule) == {"letters"}


def test_two_stories_have_no_correlation():
    frame = judge([(LUCY, " not go."), (LUCY, " sit.")], Echo())
    table = agreement(frame)
    assert table.value.isna().all()
    assert set(table.n) <= {0, 2}
