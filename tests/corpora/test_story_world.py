"""The world simulator and its grader agree with each other, and the grader sees what is wrong."""

import re
from collections import Counter
from random import Random

import pytest

from workbench.corpora.stories import (
    FEATURES,
    PLOTS,
    WORDS,
    draw_condition,
    events,
    grade,
    make_lures,
    make_probes,
    previous_only,
    words,
    write_stories,
    write_story,
)
from workbench.corpora.stories.grammar import sentences
from workbench.errors import UserError

STORIES = list(write_stories(1500, seed=0))


def test_every_sentence_of_the_text_file_belongs_to_an_event_and_every_event_has_one():
    assert {name for name, _ in events._ENTRIES} == set(events.EVENTS)


def test_every_story_is_perfect_for_the_grader():
    for story in STORIES:
        graded = grade(story.text)
        assert graded.grammar == graded.consistency == 1, story.text
        assert len(graded.sentences) == len(story.sentences)
        assert not set("{}[]|") & set(story.text)  # a slot or variation that was not filled


def test_words_and_features_asked_for_are_there():
    for story in STORIES:
        text = story.text
        assert all(word in text or words.past(word) in text for word in story.words.values()), (
            story.words,
            text,
        )
        assert set(story.features) <= grade(text).features, (story.features, text)


def test_every_plot_takes_every_feature_alone_and_together():
    for plot in PLOTS:
        for features in [*((feature,) for feature in FEATURES), FEATURES]:
            story = write_story(Random(plot), features=features, plot=plot)
            assert set(features) <= grade(story.text).features


def test_no_two_stories_are_equal_and_plots_are_many():
    texts = {story.text for story in write_stories(4000, seed=3, condition="none")}
    assert len(texts) == 4000
    # who does what to what, without names and without ways of saying it
    plots = [_skeleton(story) for story in STORIES]
    pairs_alike = sum(n * (n - 1) // 2 for n in {p: plots.count(p) for p in set(plots)}.values())
    # birthday estimate of the number of distinct plots: n(n-1)/2 pairs, of which 1 in N is alike
    assert len(plots) * (len(plots) - 1) / 2 / max(pairs_alike, 1) > 300_000


def _skeleton(story):
    return tuple(
        (sentence.event, *(word for slot, word in sorted(sentence.slots.items()) if slot not in "abct"))
        for sentence in story.sentences
    )


def test_same_seed_same_stories_and_index_does_not_matter():
    again = [story.text for story in write_stories(20, seed=0)]
    assert again == [story.text for story in STORIES[:20]]
    assert again != [story.text for story in write_stories(20, seed=1)]


GOOD = """\
Once upon a time, there was a kind girl named Lily. Lily had a red ball. She had a best friend named Tom.

One day, Lily went to the park. Lily took the ball to the park. But then she could not find the ball. \
She was very sad.

"I lost my ball. Can you help me?" asked Lily. Tom wanted to help her. \
They looked behind the tree, but found nothing. Then Tom looked under the bench and found the ball! \
He gave Lily the ball. Lily thanked him and smiled.

Lily learned that it is good to help a friend."""


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [
        ("Tom wanted to help", "Max wanted to help", "stranger"),
        (
            "Then Tom looked under",
            "Then Tom looked behind the tree and found the ball! Then Tom looked under",
            "search",
        ),
        ("Lily took the ball", "Lily took the blue ball", "looks"),
        ("Lily took the ball", "Lily took the doll", "thing"),
        ("He gave Lily the ball", "Lily gave Lily the ball", "self"),
        ("She was very sad.", "She was very happy.", "mood"),
        ("Lily took the ball to", "Tom took the ball to", "holder"),
        ("is good to help a friend", "is wise to listen", "moral"),
        ("there was a kind girl", "there was a kind boy", "gender"),
        ("He gave Lily", "It gave Lily", "pronoun"),
        (
            "Lily thanked him and smiled.",
            "Lily thanked him and smiled. Lily thanked him and smiled.",
            "repeat",
        ),
    ],
)
def test_the_grader_sees_what_cannot_be(old, new, kind):
    assert grade(GOOD).consistency == 1
    kinds = {v.kind for sentence in grade(GOOD.replace(old, new, 1)).sentences for v in sentence.violations}
    assert kind in kinds


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("a red ball", "an red ball"),
        ("Lily had a red ball", "Lily have a red ball"),
        ("was very sad", "very was sad"),
        ("to the park.", "to the the park."),
        ('Can you help me?"', "Can you help me?"),
        ("She was very", "she was very"),
    ],
)
def test_the_grader_sees_bad_grammar(old, new):
    assert grade(GOOD).grammar == 1
    assert grade(GOOD.replace(old, new, 1)).grammar < 1


def test_facts_are_checked():
    text = "Once there was a kind girl named Lily. Later, Lily was tired, so she {}."
    assert grade(text.format("went to bed")).consistency == 1
    assert grade(text.format("drank some water")).consistency < 1


def test_shuffled_sentences_are_grammatical_but_not_consistent():
    random = Random(0)
    consistency = []
    for story in STORIES[:100]:
        sentences = [sentence.text for sentence in story.sentences]
        random.shuffle(sentences)
        graded = grade(" ".join(sentences))
        assert graded.grammar == 1
        consistency.append(graded.consistency)
    assert sum(consistency) / len(consistency) < 0.7


@pytest.mark.parametrize("end", ['"', '""', '\n\n"', ' "', "\n"])
def test_a_story_cut_right_after_a_quotation_mark_is_graded_as_far_as_it_goes(end):
    assert grade(end).sentences == ()
    assert grade(GOOD + "\n\n" + end).sentences == grade(GOOD).sentences


def test_only_what_follows_the_beginning_is_graded_and_a_cut_sentence_is_left_out():
    beginning = GOOD[: GOOD.index("She was very sad")] + "She was"
    graded = grade(GOOD, beginning)
    assert len(graded.sentences) == len(grade(GOOD).sentences) - 6
    assert len(grade(GOOD + " Then Lily went").sentences) == len(grade(GOOD).sentences)
    with pytest.raises(ValueError, match="does not start"):
        grade(GOOD, "Another beginning")


def test_hostile_and_empty_texts_get_a_grade_too():
    assert grade("").grammar != grade("").grammar  # NaN: nothing to grade
    assert grade('</script><script>alert("x")</script>. \x00 \u202e.').grammar == 0
    assert grade("a" * 100_000 + ".").grammar == 0


ENDS = {
    "who is sad": " was sad.",
    "what was lost": " was gone.",
    "what was lost not the commonest": " was gone.",
    "what broke not the commonest": " and said sorry.",
    "what one was afraid of": " anymore.",
}


def finished(probe, answer, other):
    """The probe with an answer, up to the end of the sentence."""
    end = ENDS.get(probe.name, ".")
    if probe.name == "what one has after a trade":
        one, two = re.search(r"So (\w+) gave (\w+) the", probe.beginning).groups()
        end = f" and {two if f'Now {one}' in probe.beginning else one} had the{other}."
    if probe.name == "where somebody hides":
        end = f" {re.search('([A-Z][a-z]+) hid ', probe.beginning)[1]}!"
    return f"{probe.beginning}{answer}{end}"


def asked(name, n=200):
    return [probe for probe in make_probes(n, seed=2) + make_lures(n, seed=2) if probe.name == name]


def test_a_right_answer_can_be_and_a_wrong_one_cannot():
    for probe in make_probes(30, seed=1) + make_lures(30, seed=1):
        if probe.name in ("who is there", "what animals eat", "who is sad"):
            continue  # a wrong answer there is unlikely rather than impossible, or needs more of a sentence
        right = grade(finished(probe, probe.right, probe.wrong))
        wrong = grade(finished(probe, probe.wrong, probe.right))
        assert right.grammar == wrong.grammar == 1, probe
        assert right.consistency == 1, probe
        assert wrong.consistency < 1, probe


def test_few_probes_are_the_first_of_many_and_no_beginning_ends_in_a_space():
    many = make_probes(3, seed=5)
    assert make_probes(1, seed=5) == many[::3]
    assert all(probe.beginning == probe.beginning.rstrip() for probe in many)
    assert make_probes(0, seed=5) == []


@pytest.mark.parametrize("name", ["what one chose", "what one has after a trade", "what is in the box"])
def test_position_does_not_answer_a_probe(name):
    last = sum(p.beginning.rfind(p.right) > p.beginning.rfind(p.wrong) for p in asked(name))
    assert 70 < last < 130


@pytest.mark.parametrize("name", ["who gets it", "who is sad"])
def test_the_hero_is_as_often_right_as_the_friend(name):
    hero = sum(p.beginning.find(p.right) < p.beginning.find(p.wrong) for p in asked(name))
    assert 70 < hero < 130


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("what was lost", words.TOYS),
        ("what is in the box", words.TOYS),
        ("what one chose", words.FOODS),
        ("what one was afraid of", words.FEARS),
        ("who is there", words.GIRLS + words.BOYS),
    ],
)
def test_frequency_does_not_answer_a_probe(name, options):
    rank = {word: place for place, word in enumerate(options)}
    commoner = sum(rank[p.right.strip()] < rank[p.wrong.strip()] for p in asked(name))
    assert 70 < commoner < 130


def test_a_lure_is_much_commoner_than_the_right_answers():
    said = Counter(word for story in STORIES for word in re.findall(r"\b[a-z]+\b", story.text))
    lures = make_lures(100, seed=0)
    ((lure, n),) = Counter(probe.wrong.strip() for probe in lures).items()
    right = [said[probe.right.strip()] for probe in lures]
    assert n == 200
    assert said[lure] >= max(right)
    assert said[lure] > 1.5 * sum(right) / len(right)


@pytest.mark.parametrize(
    "name",
    [
        "what is in the box", "where somebody hides", "who is there", "what was lost",
        "what one was afraid of", "what animals eat",
        "what was lost not the commonest", "what broke not the commonest",
    ],
)  # fmt: skip
def test_the_sentence_before_does_not_answer_a_probe(name):
    for probe in asked(name, 40):
        cut = previous_only(probe)
        assert probe.beginning.endswith(cut.beginning)
        assert len(sentences(cut.beginning)) == 2
        assert probe.right not in cut.beginning
        assert (cut.right, cut.wrong) == (probe.right, probe.wrong)


def test_unknown_words_features_and_plots_are_the_users_mistake():
    with pytest.raises(UserError, match="no noun"):
        write_story(Random(0), wanted={"noun": "democracy"})
    with pytest.raises(UserError, match="choose among dialogue"):
        write_story(Random(0), features=["dialog"])
    with pytest.raises(UserError, match="choose among lost"):
        write_story(Random(0), plot="heist")


def test_drawn_conditions_are_random_words_and_feature_subsets():
    drawn = [draw_condition(Random(i), "words+features") for i in range(200)]
    assert len({tuple(wanted.values()) for wanted, _ in drawn}) > 190
    assert {len(features) for _, features in drawn} == {0, 1, 2, 3}
    assert all(wanted[kind] in WORDS[kind] for wanted, _ in drawn for kind in wanted)
