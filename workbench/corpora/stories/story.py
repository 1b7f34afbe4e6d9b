"""Stories with everything known about them: words, features, plot, and the world after every sentence."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from random import Random
from typing import Literal

from workbench.corpora.stories import plots, scenes, words  # noqa: F401  plots register themselves
from workbench.corpora.stories.habits import PLAIN, Habits, plot_weights
from workbench.corpora.stories.writer import FEATURES, Sentence, Writer
from workbench.errors import UserError

Condition = Literal["none", "words", "words+features"]
WORDS = {
    kind: list(dict.fromkeys(options))
    for kind, options in {
        "noun": words.THINGS,
        "verb": words.ACTIVITIES + words.HANDLING,
        "adjective": words.LOOKS + words.TRAITS + words.DAYS + words.FEELINGS,
    }.items()
}


@dataclass(frozen=True)
class Story:
    """A story and its truth."""

    text: str  #: paragraphs separated by blank lines
    plot: str  #: one of `scenes.PLOTS`
    words: Mapping[str, str]  #: the noun, verb and adjective asked for (empty: none were)
    features: tuple[str, ...]  #: the story features asked for; all are there
    summary: str  #: one sentence
    #: in order, with its event, who and what takes part, and the world after it.
    sentences: tuple[Sentence, ...]


def write_story(
    random: Random,
    *,
    wanted: Mapping[str, str] | None = None,
    features: Collection[str] = (),
    plot: str | None = None,
    habits: Habits = PLAIN,
) -> Story:
    """Writes one story.

    Args:
        random: source of everything left open.
        wanted: any of `noun`, `verb`, `adjective` that must occur (lists in `WORDS`).
        features: any of `FEATURES`.
        plot: one of `scenes.PLOTS`; drawn when None, favouring the first ones.
        habits: of the writer.

    Raises:
        UserError: a word, feature or plot that stories cannot have.
    """
    wanted = dict(wanted or {})
    _check(wanted, features, plot)
    weights = plot_weights(list(scenes.PLOTS), wanted, features, habits)
    plot = plot or random.choices(list(scenes.PLOTS), weights)[0]
    chosen = frozenset(features)
    writer = Writer(random, wanted, chosen, scenes.outside(plot, chosen), habits.narrow)
    cast = scenes.cast(random, habits.narrow)
    scenes.begin(writer, cast)
    scenes.before(writer, cast)
    summary = scenes.PLOTS[plot](writer, cast)
    scenes.after(writer, cast)
    scenes.end(writer, cast)
    return Story(writer.text(), plot, wanted, _in_order(features), summary, tuple(writer.sentences))


def draw_condition(random: Random, condition: Condition) -> tuple[dict[str, str], tuple[str, ...]]:
    """Three random words and a random subset of features, as the TinyStories recipe has it."""
    wanted, features = {}, []
    if condition != "none":
        wanted = {kind: random.choice(options) for kind, options in WORDS.items()}
    if condition == "words+features":
        features = random.sample(FEATURES, random.choice([0, 1, 1, 2, 3]))
    return wanted, _in_order(features)


def _in_order(features: Collection[str]) -> tuple[str, ...]:
    return tuple(feature for feature in FEATURES if feature in features)


def story_at(
    index: int, *, seed: int, condition: Condition = "words+features", habits: Habits = PLAIN
) -> Story:
    """Story number `index` of the endless series that `seed` and `condition` give."""
    random = Random(f"{seed}/{condition}/{index}")
    wanted, features = draw_condition(random, condition)
    return write_story(random, wanted=wanted, features=features, habits=habits)


def write_stories(n: int, *, seed: int, condition: Condition = "words+features") -> Iterator[Story]:
    """The first n different stories of the series that `seed` and `condition` give."""
    seen: set[str] = set()
    for index in count():
        if len(seen) == n:
            return
        story = story_at(index, seed=seed, condition=condition)
        if story.text not in seen:
            seen.add(story.text)
            yield story


def _check(wanted: Mapping[str, str], features: Collection[str], plot: str | None) -> None:
    for kind, word in wanted.items():
        if word not in WORDS.get(kind, ()):
            raise UserError(
                f"'{word}' is no {kind} that stories know: choose one of corpora.stories.WORDS['{kind}']."
            )
    for feature in features:
        if feature not in FEATURES:
            raise UserError(f"'{feature}' is no story feature: choose among {', '.join(FEATURES)}.")
    if plot is not None and plot not in scenes.PLOTS:
        raise UserError(f"'{plot}' is no plot: choose among {', '.join(scenes.PLOTS)}.")
