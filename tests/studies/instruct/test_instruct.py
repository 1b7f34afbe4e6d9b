"""13_instruct: summaries and their events, requests and their grades, what is held out, and claims."""

import json
import re
from dataclasses import replace
from random import Random
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from workbench.claims import NO_EFFECT, REPRODUCED, UNTESTABLE
from workbench.corpora.stories import PLOTS, grade, story_at, write_story
from workbench.engine import loading, models
from workbench.errors import UserError
from workbench.studies.instruct import data, experiment, results, views
from workbench.studies.instruct.brief_stories import PLOTS as BRIEF_PLOTS
from workbench.studies.instruct.brief_stories import write_brief
from workbench.studies.instruct.requests import (
    ANY_TEXT,
    KINDS,
    Request,
    Written,
    for_test,
    for_training,
    forms,
)
from workbench.studies.instruct.summaries import PATTERNS, Told, key_events, share_told, told

torch.set_num_threads(1)
PARAMS = SimpleNamespace(
    profile="quick", seed=0, seeds=None, placebo=False, data="embedded", model="train", n_tokens=None,
    device="cpu",
)  # fmt: skip
SMALL = replace(
    data.settings(PARAMS),
    shapes=((1, 32), (2, 24)),
    n_tokens=4_000,
    n_stories=80,
    n_test=6,
    vocab_size=400,
    max_tokens=12,
)


@pytest.fixture(scope="module")
def shelf():
    return data.shelf(replace(SMALL, n_stories=400))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder, small = tmp_path_factory.mktemp("models"), data.shelf(SMALL)
    return folder, experiment.train_all(folder, small, SMALL, lambda **row: None)


# Summaries


def test_every_story_follows_its_own_summary_and_no_other_plots():
    stories = [
        write_story(Random(number), plot=plot, features=features)
        for plot in PLOTS
        for number in range(3)
        for features in ((), ("bad ending",), ("plot twist",))
    ]
    events = [told(story.text) for story in stories]
    own = [share_told(story.summary, read) for story, read in zip(stories, events, strict=True)]
    assert own == [1.0] * len(stories)
    others = [
        share_told(story.summary, read)
        for story, read in zip(stories, events[20:] + events[:20], strict=True)
    ]
    assert np.mean(others) < 0.05
    assert len(
        {pattern for pattern in PATTERNS for story in stories if _is_of(pattern, story.summary)}
    ) == len(PATTERNS)


def _is_of(pattern, summary):
    events = key_events(summary)
    return [event.event for event in events] == [text.split(" ")[0] for text in PATTERNS[pattern]]


STORY = (
    "Once there was a shy girl named Lily. Lily had a good friend named Tom. Lily had a ball.\n\n"
    "One day, Lily went to the park. She took the ball to the park. "
    "Then Lily looked around, and the ball was gone."
)


def test_pronouns_are_whom_they_mean_and_things_their_nouns():
    assert Told("takes", {"a": "Lily", "x": "ball", "p": "park"}) in told(STORY)
    summary = "Lily loses a ball at the park, and Tom finds it."
    assert share_told(summary, told(STORY)) == pytest.approx(2 / 3)
    assert share_told(summary.replace("Lily", "Anna"), told(STORY)) == 0
    assert np.isnan(share_told("A dragon sleeps.", told(STORY)))


def test_brief_stories_are_right_and_have_what_is_asked_of_them():
    stories = [write_brief(Random(number)) for number in range(150)]
    grades = [grade(story.text) for story in stories]
    assert {graded.grammar for graded in grades} == {graded.consistency for graded in grades} == {1.0}
    assert all(set(story.features) <= graded.features for story, graded in zip(stories, grades, strict=True))
    assert all(share_told(story.summary, told(story.text)) == 1 for story in stories)
    assert max(len(story.sentences) for story in stories) <= 16
    assert {story.plot for story in stories} == set(BRIEF_PLOTS)


# Requests and grades


@pytest.mark.parametrize(
    ("word", "said", "is_there"),
    [
        ("dance", "They danced.", True), ("nap", "She was napping.", True), ("fox", "Two foxes ran.", True),
        ("swim", "He swam.", True), ("happy", "A happier day.", True), ("pony", "The ponies ate.", True),
        ("car", "A carrot fell.", False), ("hat", "What a day!", False), ("egg", "", False),
    ],
)  # fmt: skip
def test_a_word_counts_in_any_of_its_forms_and_in_no_other_word(word, said, is_there):
    assert Written(said).meets(Request(words=word), "words") == is_there


def test_each_kind_is_graded_by_itself():
    story = Written(STORY + ' "What a day," said Lily.')
    request = Request("ball, kite", "dialogue, plot twist", "", "Lily had a ball.")
    assert request.kinds == ("words", "features", "sentence")
    assert [story.meets(request, kind) for kind in request.kinds] == [0.5, 0.5, 1.0]
    assert story.meets(Request(sentence="Lily had the ball."), "sentence") == 0
    assert request.prompt().splitlines()[-2:] == ["Random sentence: Lily had a ball.", "Story:"]


@pytest.mark.parametrize("word", ["", "y", "é", "a b"])
def test_odd_words_have_forms(word):
    assert word in forms(word)


def test_true_stories_meet_all_that_is_asked_of_them(shelf):
    for row in shelf.head(60).to_dict("records"):
        request, story = for_test(row, Random(row["item"])), Written(row["story"])
        assert {"words"} <= set(request.kinds)
        assert [story.meets(request, kind) for kind in request.kinds] == [1.0] * len(request.kinds)


def test_training_asks_for_every_subset(shelf):
    row = shelf[shelf["features"] != ""].iloc[0].to_dict()
    random = Random(0)
    assert len({for_training(row, random).kinds for _ in range(300)}) == 2 ** len(KINDS) - 1


def test_chance_is_what_stories_for_other_requests_do():
    asked = [Request(words="ball"), Request(words="kite"), Request(sentence="A ball.")]
    frame = experiment.graded(asked, [Written("A ball."), Written("A ball."), Written("A kite.")])
    words = frame[frame["kind"] == "words"].set_index("item")
    assert words["met"].tolist() == [1, 0]
    assert words["chance"].tolist() == [0.5, 0.5]
    assert frame[frame["kind"] == "sentence"]["chance"].tolist() == [1]


# What is held out


def test_no_story_and_no_unseen_pair_of_the_test_is_learnt_from(shelf):
    training, test = data.split(shelf, 3, 20)
    assert not set(training["story"]) & set(test["story"])
    assert test["combination"].value_counts().to_dict() == {"seen": 20, "unseen": 20}

    def pairs(rows):
        return [
            {(row.words.split(", ")[0], feature) for feature in row.features.split(", ")}
            for row in rows.itertuples()
        ]

    read = set().union(*pairs(training))
    halves = [pairs(test[test["combination"] == name]) for name in data.COMBINATIONS]
    assert all(not asked <= read for asked in halves[1])
    assert {word for asked in halves[1] for word, _ in asked} <= {word for word, _ in read}
    assert set(data.split(shelf, 3, 20)[1]["item"]) == set(test["item"])
    assert set(data.split(shelf, 4, 20)[1]["item"]) != set(test["item"])


def test_the_control_reads_the_same_stories_behind_others_instructions(shelf):
    own = experiment.pairs(shelf, 500, 1, is_shuffled=False)
    control = experiment.pairs(shelf, 500, 1, is_shuffled=True)
    assert [story for _, story in own] == [story for _, story in control]
    assert sorted(prompt for prompt, _ in own) == sorted(prompt for prompt, _ in control)
    assert np.mean([one == other for (one, _), (other, _) in zip(own, control, strict=True)]) < 0.05
    assert own[0][1] == own[len(shelf)][1]
    assert own[:20] != own[len(shelf) : len(shelf) + 20], "a second pass asks something else"


@pytest.mark.parametrize("profile", ["quick", "laptop", "paper"])
def test_all_depths_are_equally_large(profile):
    counts = experiment.parameter_counts(550, data.SIZES[profile])["total"]
    assert counts.max() / counts.min() < 1.1 / 0.9


def test_every_word_is_one_token_and_texts_come_back_as_they_were(shelf):
    tokenizer = experiment.fit_tokenizer(shelf, SMALL)
    for row in shelf.head(50).itertuples():
        text = f"Words: {row.words}\nStory:\n{row.story}"
        ids = tokenizer(text, add_special_tokens=False).input_ids
        assert tokenizer.decode(ids) == text
        assert len(ids) == len(re.findall(r"\w+|[^\w ]", text))
        assert tokenizer.eos_token_id not in ids


# Trainings


def test_every_arm_is_trained_and_asked(trained):
    folder, answers = trained
    assert set(answers["arm"]) == {"1 layer", "2 layers", "1 layer, shuffled"}
    assert answers.groupby("arm")["item"].nunique().tolist() == [12] * 3
    assert set(answers["kind"]) == set(KINDS)
    assert answers["loss"].between(1, 8).all()
    assert list(experiment.load(folder, SMALL)) == ["1 layer", "2 layers", "1 layer, shuffled"]
    again = experiment.train_all(folder, data.shelf(SMALL), SMALL, lambda **row: None)
    pd.testing.assert_frame_equal(again, answers)


def test_a_placebo_trains_all_as_the_shallowest(tmp_path):
    settings = replace(SMALL, n_tokens=1_600, placebo=True)
    answers = experiment.train_all(tmp_path, data.shelf(settings), settings, lambda **row: None)
    shapes = {
        arm: pair[0].config.num_hidden_layers for arm, pair in experiment.load(tmp_path, settings).items()
    }
    assert set(shapes.values()) == {1}
    made = results.claims(answers, placebo=True)
    assert {claim.name for claim in made} == {"2-layers-follow-more", "instructions-are-read"}


def test_a_given_model_is_asked_and_not_trained(tmp_path, trained):
    path = tmp_path / "model"
    loading.save(*experiment.load(trained[0], SMALL)["1 layer"], path)
    settings = replace(data.settings(SimpleNamespace(**{**vars(PARAMS), "model": str(path)})), n_stories=80)
    settings = replace(settings, n_test=6, max_tokens=12)
    answers = experiment.train_all(tmp_path / "runs", data.shelf(settings), settings, lambda **row: None)
    assert set(answers["arm"]) == {experiment.GIVEN}
    assert views.left_out(*results.trained(answers)).startswith("Nothing was trained here")
    (claim,) = results.claims(answers)
    assert claim.headline
    assert claim.over == "stories"
    assert list(experiment.load(tmp_path / "runs", settings)) == [experiment.GIVEN]


# Claims


def made_up(effects, seeds=6, grammar=0.95, loss=1.0, kinds=KINDS):
    """Answers in which each arm meets chance and its effect."""
    rng = np.random.default_rng(0)
    rows = [
        (seed, arm, layers, shuffled, item, combination, kind, 0.2 + effect + rng.normal(0, 0.01), 0.2)
        for seed in range(seeds)
        for arm, layers, shuffled, effect in effects
        for item in range(12)
        for combination in [data.COMBINATIONS[item % 2]]
        for kind in kinds
    ]
    names = ["seed", "arm", "layers", "is_shuffled", "item", "combination", "kind", "met", "chance"]
    return pd.DataFrame(rows, columns=names).assign(
        grammar=grammar, loss=loss, prompt="Words: a\n", story="A."
    )


ARMS = [("1 layer", 1, False, 0.1), ("4 layers", 4, False, 0.4), ("1 layer, shuffled", 1, True, 0.0)]


def by_name(answers, **options):
    return {claim.name: claim for claim in results.claims(answers, **options)}


def test_claims_from_known_numbers():
    claims = by_name(made_up(ARMS))
    assert [claim.name for claim in claims.values() if claim.headline] == ["4-layers-follow-more"]
    assert claims["4-layers-follow-more"].effect == pytest.approx(0.3, abs=0.01)
    assert (claims["4-layers-follow-more"].over, claims["4-layers-follow-more"].n) == ("trainings", 6)
    assert claims["instructions-are-read"].effect == pytest.approx(0.1, abs=0.01)
    assert claims["unseen-combinations-are-followed"].effect == pytest.approx(0.25 * 0.2, abs=0.01)
    assert claims["words-before-sentence"].verdict == NO_EFFECT
    few = by_name(made_up(ARMS, seeds=1))
    assert few["4-layers-follow-more"].verdict_text == "seen in one training"
    assert few["4-layers-follow-more"].over == "instructions"
    assert few["unseen-combinations-are-followed"].effect == pytest.approx(0.05, abs=0.01)


def test_claims_need_stories_and_something_that_arrives():
    assert by_name(made_up(ARMS, grammar=0.5))["4-layers-follow-more"].verdict == UNTESTABLE
    nothing = [(arm, layers, shuffled, 0.0) for arm, layers, shuffled, _ in ARMS]
    failed = by_name(made_up(nothing))["4-layers-follow-more"].failed_gates
    assert [gate.name for gate in failed] == ["met beyond chance by the best"]
    elsewhere = by_name(made_up(ARMS, grammar=0.0, kinds=("words", "sentence")))
    assert elsewhere["4-layers-follow-more"].verdict == REPRODUCED, (
        "no grammar of another language is asked for"
    )


def test_seeds_that_did_not_learn_are_left_out_and_counted():
    answers = made_up(ARMS)
    answers.loc[(answers["seed"] == 2) & (answers["arm"] == "1 layer"), "loss"] = 6.0
    answers.loc[(answers["seed"] == 4) & (answers["arm"] == "1 layer"), "loss"] = np.nan
    kept, left_out = results.trained(answers)
    assert left_out == [2, 4]
    assert sorted(set(kept["seed"])) == [0, 1, 3, 5]
    assert "2 of 6 seeds left out" in views.left_out(kept, left_out)
    with pytest.raises(UserError, match="raise n_tokens"):
        results.trained(answers.assign(loss=6.0))


# What users give


def write(path, rows):
    path.write_text("\n".join(map(json.dumps, rows)))
    return str(path)


def as_text(stories):
    return "<|endoftext|>".join(
        f"Features: {', '.join(story.features)}\nWords: {', '.join(story.words.values())}\n"
        f"Random sentence: {story.sentences[1].text}\nSummary: {story.summary}\nStory: \n\n{story.text}\n"
        for story in stories
    )


def test_both_formats_give_the_same_stories(tmp_path):
    stories = [story_at(number, seed=1) for number in range(50)]
    (tmp_path / "instruct.txt").write_text(as_text(stories))
    rows = [
        {"Words": list(s.words.values()), "Features": ", ".join(s.features), "Summary": s.summary,
         "Random sentence": s.sentences[1].text, "Story": s.text} for s in stories
    ]  # fmt: skip
    text, table = (
        data.load(str(tmp_path / "instruct.txt"), 45),
        data.load(write(tmp_path / "a.jsonl", rows), 45),
    )
    pd.testing.assert_frame_equal(text, table)
    assert text["sentence"][3] == stories[3].sentences[1].text
    assert data.is_exact(text["story"].tolist())


def test_of_another_language_only_words_and_sentences_are_graded():
    stories = [f"Es war einmal ein Hund. Er hieß Max{number}. Er lief." for number in range(50)]
    shelf = pd.DataFrame({"story": stories})
    assert experiment.gradable(replace(SMALL, data="file.jsonl"), shelf) == ("words", "sentence")
    assert experiment.gradable(SMALL, shelf) == KINDS


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (
            [{"text": "A story."}],
            "line 1 needs a story, and at least one of words, features, summary, sentence",
        ),
        ([{"story": "A story."}], "needs a story, and at least one of"),
        ([{"words": "a"}], "needs a story"),
        ([{"story": "A dog ran.", "words": "dog"}] * 50, "holds 1 stories with an instruction: give 40"),
    ],
)
def test_files_that_ask_nothing_are_one_sentence(tmp_path, rows, says):
    with pytest.raises(UserError, match=says):
        data.load(write(tmp_path / "a.jsonl", rows), 100)


def test_plain_stories_are_no_instructions(tmp_path):
    (tmp_path / "a.txt").write_text("A story.<|endoftext|>Another one.")
    with pytest.raises(UserError, match="holds 0 stories with an instruction"):
        data.load(str(tmp_path / "a.txt"), 100)


def test_a_given_instruct_model_is_asked_in_plain_english_for_what_any_text_can_be_graded_on():
    given = {**vars(PARAMS), "profile": "real-laptop"}
    settings = data.settings(SimpleNamespace(**{**given, "model": "some/folder"}))
    shelf = data.shelf(replace(settings, n_stories=80))
    assert experiment.gradable(settings, shelf) == ANY_TEXT
    request = Request(words="dog, run, big", sentence="It rained.")
    asked = request.question()
    assert "the words “dog”, “run” and “big”." in asked
    assert asked.endswith("word for word: It rained.")
    assert "the word “dog”." in Request(words="dog").question()
    tokenizer = models.train_tokenizer(["a dog ran"] * 9, 260)
    assert experiment.as_asked(request, tokenizer, settings) == request.prompt()
    tokenizer.chat_template = "{{ messages[0]['content'] }}"
    assert experiment.as_asked(request, tokenizer, settings) == asked


# Views


def test_the_widget_ticks_what_is_met(trained):
    fitted = experiment.load(trained[0], SMALL)
    request = Request("ball", "dialogue", "", "Tom ran.")
    settings = replace(data.SIZES["quick"], max_tokens=8)
    shown = views.try_instruction(fitted, request, ("words", "sentence"), settings)
    assert "words ✗, features not graded, sentence ✗" in shown.view.record["sentence"]
    shown.controls["sentence"].value = ""
    shown.controls["words"].value = " "
    shown.controls["features"].value = ()
    assert "Nothing is asked for" in shown.view.record["sentence"]


def test_marks_stand_where_the_story_has_what_was_asked():
    view = views.instructions([Request(words="ball", sentence="Tom ran.")], ["A red ball. Tom ran. Balls!"])
    marked = [(text, kind) for text, kind in view.record["items"][0]["pieces"] if kind]
    assert marked == [("ball", "word"), ("Tom ran.", "sentence"), ("Balls", "word")]
