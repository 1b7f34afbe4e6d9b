"""10_hivemind, asked for polls and lists: what is read back, drawn, and measured against what was read."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from test_hivemind import EVERY_KIND, SIZES, plan

from workbench.corpora import open_ended
from workbench.engine import loading, models
from workbench.engine.sampling.sampler import Completion, SamplingParams
from workbench.errors import UserError
from workbench.studies.hivemind import (
    agreement_views,
    asking,
    data,
    decoding_results,
    polled,
    results,
    verbalized,
    views,
)
from workbench.studies.hivemind import models as hivemind_models

PROMPTS = pd.DataFrame([("p", "Name a fruit.", "")], columns=["prompt_id", "prompt", "category"])


# ------------------------------------------------------------------------------- lists
@pytest.mark.parametrize(
    "text",
    [
        "<response><text>An apple</text><probability>0.75</probability></response>\n"
        "<response>\n<text>A pear</text>\n<probability>.25</probability>\n</response>",
        'Sure! [{"text": "An apple", "probability": 0.75}, {"text": "A pear", "probability": "0.25"}]',
        "1. An apple (0.75)\n2. A pear (0.25)",
        "- An apple: 75%\n- A pear: 25 %",
    ],
)
def test_lists_are_read_in_the_ways_that_models_write_them(text):
    shares, answers = zip(*verbalized.read_list(text), strict=True)
    assert answers == ("An apple", "A pear")
    assert np.array(shares) / sum(shares) == pytest.approx([0.75, 0.25])


def test_what_is_no_list_gives_no_answer():
    rng = np.random.default_rng(0)
    for text in ("", "I would say an apple.", "<text></text><probability>1</probability>"):
        assert verbalized.draw(verbalized.read_list(text), rng) == ""
    assert verbalized.draw([(0.0, "never")], rng) == ""


def test_a_probability_too_long_for_a_number_is_left_out():
    rng = np.random.default_rng(0)
    endless = f"1. An apple ({'9' * 400})\n2. A pear (0.5)"
    assert verbalized.read_list(endless) == [(0.5, "A pear")]
    assert verbalized.draw(verbalized.read_list(endless), rng) == "A pear"
    assert verbalized.draw([(1e308, "a"), (1e308, "b")], rng) == ""  # each is a number, their sum is none


def test_answers_are_drawn_by_the_shares():
    rng = np.random.default_rng(0)
    drawn = [verbalized.draw([(6, "a"), (3, "b"), (0, "c")], rng) for _ in range(3_000)]
    assert pd.Series(drawn).value_counts(normalize=True).to_dict() == pytest.approx(
        {"a": 2 / 3, "b": 1 / 3}, abs=0.03
    )


def test_the_distance_does_not_depend_on_the_number_of_answers():
    rng, q = np.random.default_rng(0), {"a": 0.6, "b": 0.3, "c": 0.1}
    for n in (3, 40):
        drawn = rng.choice(list("abc"), (3_000, n), p=[0.2, 0.3, 0.5])
        found = [verbalized.distance(pd.Series(row).value_counts(), q) for row in drawn]
        assert np.mean(found) == pytest.approx(0.4**2 + 0.4**2, abs=0.03)
    assert verbalized.distance(pd.Series({"a": 5}), q) == pytest.approx(1 - 1.2 + 0.46)
    assert np.isnan(verbalized.distance(pd.Series({"a": 1}), q))
    assert np.isnan(verbalized.distance(pd.Series(dtype=int), q))


# ------------------------------------------------------------------------------- given models
class Writes:
    """A sampler that writes the same whatever it is asked for, and remembers what it was asked."""

    tokenizer, context, chat, logprobs = None, None, True, False

    def __init__(self, text):
        self.text, self.asked = text, []

    def sample(self, prompts, params):
        self.asked.append((list(prompts), params))
        return [[Completion(self.text, [], [], "stop")] * params.n for _ in prompts]


def test_a_given_model_is_asked_for_a_list_and_one_answer_is_drawn():
    sampler = Writes("<text>A fig</text><probability>1</probability>")
    found = asking.ask_lists(sampler, "m", PROMPTS, SamplingParams(n=3, max_tokens=20), 0)
    assert found["text"].tolist() == ["A fig"] * 3
    assert found["prompt"].unique().tolist() == ["Name a fruit."]
    assert found["model"].unique().tolist() == ["m, verbalized"]
    ((prompt,), params) = sampler.asked[0]
    assert "5 different answers" in prompt
    assert prompt.endswith("Name a fruit.")
    assert params.max_tokens == 100


def test_a_model_that_writes_no_list_is_refused():
    sampling = SamplingParams(n=2, max_tokens=20)
    with pytest.raises(UserError, match="m wrote no list of answers"):
        asking.every_way(Writes("A fig."), "m", PROMPTS, sampling, 0, verbalized=True)


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("1. A fig\n2) A pear \n", ["A fig", "A pear"]),
        ("Here you are:\n- A fig\n• A pear\n\nEnjoy!", ["A fig", "A pear"]),
        ("1. A fig", []),  # one is no list
        ("A fig, a pear, 3 plums", []),
        ("\n".join(f"{i}. {i}" for i in range(1, 9)), list("12345")),
    ],
)
def test_a_plain_list_is_read_line_by_line(text, items):
    assert [answer for _, answer in verbalized.read_plain(text)] == items


def test_a_given_model_is_asked_in_every_way_and_lists_that_cannot_be_read_are_not_compared():
    two = pd.concat([PROMPTS, PROMPTS.assign(prompt_id="q", prompt="Name a toy.")], ignore_index=True)
    sampling, ways = SamplingParams(n=3, max_tokens=20, temperature=0.7), {"lists": True, "verbalized": True}
    sampler = Writes("1. A fig\n2. A pear")
    written = asking.every_way(sampler, "m", two, sampling, 0, heats=(0.3, 0.7), **ways)
    names = ["m", "m, at 0.3", "m, listed", "m, verbalized"]
    assert written["model"].unique().tolist() == names
    assert {verbalized.own_name(name) for name in names} == {"m"}
    assert verbalized.own_name("org/m-1.5, at home") == "org/m-1.5, at home"
    assert [params.temperature for _, params in sampler.asked] == [0.7, 0.3, 0.7, 0.7]
    assert all("one short answer" in asked[0] for asked, _ in sampler.asked[:3])
    assert set(written["prompt"]) == {"Name a fruit.", "Name a toy."}
    table = asking.came_back(written).set_index("model")
    assert table["read"].tolist() == [1, 1, 1, 0]
    assert table["compared"].tolist() == [True, True, True, False]
    assert asking.comparable(written)["model"].unique().tolist() == names[:3]
    assert "no: too few" in str(views.came_back(table.reset_index()).record)


def test_claims_of_one_given_model_compare_how_it_was_asked():
    names = ["m", "m, at 0.3", "m, listed"]
    rows = [(f"{prompt}", name, value) for prompt in range(12)
            for name, value in zip(names, (0.5, 0.9 + prompt / 100, 0.1), strict=True)]  # fmt: skip
    cells = pd.DataFrame(rows, columns=["prompt_id", "model", "rescaled"])
    pairs = cells.assign(first="m", second=cells["model"])
    made = {claim.name: claim for claim in results.claims(cells, pairs)}
    assert set(made) == {"lists-repeat-less", "cold-repeats-more"}  # one model agrees with no other
    assert all(claim.verdict == "reproduced" for claim in made.values())
    assert made["lists-repeat-less"].headline


def test_given_models_have_sizes_of_their_own():
    given = plan(profile="real-laptop", models="transformers:some/folder")
    assert len(data.asked(given)) == 3 * len(open_ended.KINDS)
    assert given.sampling.max_tokens == 48
    assert len(data.asked(plan(models="transformers:some/folder"))) == 6  # of the kinds of quick, all


# ------------------------------------------------------------------------------- the embedded models
@pytest.fixture(scope="module")
def untrained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("polled") / "model"
    few = replace(SIZES, pairs=100, polls=20)
    texts = [prompt + answer for prompt, answer in hivemind_models.library("north", few, 0)]
    tokenizer = models.train_tokenizer(texts, 512)
    config = models.config("tiny:0.1M", vocab_size=len(tokenizer), context=hivemind_models.CONTEXT)
    loading.save(models.build(config, 0), tokenizer, folder)
    return folder


def test_a_library_holds_polls_that_a_row_can_hold():
    written = [hivemind_models.library(name, replace(EVERY_KIND, pairs=600, polls=200), 0)
               for name in open_ended.LIBRARIES]  # fmt: skip
    texts = [prompt + answer for pairs in written for prompt, answer in pairs]
    tokenizer = models.train_tokenizer(texts, hivemind_models.VOCABULARY)
    lists = [text for text in texts if text.startswith("Ask twenty people")]
    assert len(lists) == 600
    assert max(len(tokenizer(text).input_ids) for text in lists) <= hivemind_models.CONTEXT


def test_people_who_answer_by_poll_are_near_their_library(monkeypatch, untrained):
    small = replace(plan(samples=40), sizes=SIZES)
    asked = polled.requests(small)
    assert {request.kind for request in asked} == {"dweller"}
    known = {request.prompt: request for request in asked}
    people = open_ended.LIBRARIES["north"]

    def written(sampler, name, prompts, sampling, seed):
        texts = [
            polled.polls.poll(known[prompt.removeprefix("Ask twenty people: ")], number, people)
            for prompt in prompts["prompt"]
            for number in range(sampling.n)
        ]
        repeated = prompts.loc[prompts.index.repeat(sampling.n)].reset_index(drop=True)
        return repeated.assign(model=name, text=texts)

    monkeypatch.setattr(polled, "ask", written)
    drawn = polled.ask_polls(None, "north-a", asked, small.sampling, 0)
    found = polled.distances(drawn, small, ["model"])
    assert found["valid"].eq(1).all()
    assert abs(found["distance"].mean()) < 0.03
    favourite = drawn.assign(text=drawn.groupby("prompt_id")["text"].transform("first"))
    assert polled.distances(favourite, small, ["model"])["distance"].mean() > 0.5


def test_models_that_know_nothing_are_asked_both_ways_and_in_every_setting(untrained, tmp_path):
    small = replace(plan(samples=2), sizes=replace(SIZES, temperatures=(1.0, 2.0)))
    folders = {0: {"north-a": untrained, polled.TUNED: untrained}}
    both = polled.both_ways(tmp_path, folders, small)
    assert both.groupby(["model", "arm"]).size().eq(6).all()
    swept = polled.swept(tmp_path, folders, small)
    assert swept.groupby(["temperature", "cut"]).size().eq(6).all()
    assert both["valid"].max() < 0.5


# ------------------------------------------------------------------------------- claims
def made(polled_distance, same=0.7, seeds=5):
    """Tables of a tuned model 0.4 from its library, 0.3 by the best valid setting; polls are 0.8 valid."""
    arms = {polled.DIRECT: (1.0, 0.4), polled.POLLED: (0.8, polled_distance)}
    settings = {
        (1.0, "top-p 0.9"): (1.0, 0.4),
        (1.5, "min-p 0.1"): (0.9, 0.3),
        (2.0, "top-p 0.9"): (0.1, 0.0),
    }
    items = [(seed, f"p{number}") for seed in range(seeds) for number in range(6)]
    both = [(*item, polled.TUNED, arm, *values) for item in items for arm, values in arms.items()]
    swept = [(*item, *setting, *values) for item in items for setting, values in settings.items()]
    cells = pd.DataFrame({"model": [polled.TUNED], "same": [same]})
    return (
        pd.DataFrame(both, columns=["seed", "prompt_id", "model", "arm", "valid", "distance"]),
        pd.DataFrame(swept, columns=["seed", "prompt_id", "temperature", "cut", "valid", "distance"]),
        cells,
    )


def test_polls_are_compared_with_answers_and_with_decoding_that_is_as_often_valid():
    nearer, beats = decoding_results.polled_claims(*made(0.35))
    assert (nearer.effect, beats.effect) == (pytest.approx(0.05), pytest.approx(-0.05))
    assert (nearer.n, nearer.over, nearer.trainings) == (5, "trainings", 5)
    (few, _) = decoding_results.polled_claims(*made(0.35, seeds=1))
    assert (few.n, few.over, few.trainings) == (6, "prompts", 1)


@pytest.mark.parametrize("same", [0.1, 0.99])
def test_a_model_that_was_not_narrowed_or_has_nothing_left_tests_no_poll(same):
    assert {claim.verdict for claim in decoding_results.polled_claims(*made(0.1, same))} == {
        "not testable here"
    }


def test_nearness_is_drawn():
    both, _, _ = made(0.2)
    table = decoding_results.nearness(both)
    assert table.set_index("arm")["value"].to_dict() == pytest.approx(
        {polled.DIRECT: 0.4, polled.POLLED: 0.2}
    )
    agreement_views.nearness(table).bundle()
