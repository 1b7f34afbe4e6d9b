"""What a writer of stories is inclined to: how far it keeps to its favourites, and whether words lead it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from workbench.corpora.stories import words
from workbench.corpora.stories.scenes import OWN_FEATURES

# the nouns that lead to a plot. Most then have a part of their own in it; buildings, animals and the tools of
# "stuck" are seen on the way before their part comes, like a noun that leads to no plot
PARTS: dict[str, frozenset[str]] = {
    name: frozenset(nouns)
    for name, nouns in {
        "lost": words.TOYS + words.TREASURES,
        "broken": words.TOYS + words.TREASURES,
        "sharing": words.TOYS,
        "stuck": words.STUCK_THINGS + words.REACHING,
        "gift": words.MAKEABLE,
        "trading": words.FOODS,
        "forbidden": words.SHARP_OR_HOT,
        "new friend": words.ANIMAL_FOOD,
        "building": words.BUILDABLE,
        "noise": words.ANIMALS[:16],
        "choosing": words.FOODS,
        "tidying": words.TOYS + words.TREASURES,
    }.items()
}


@dataclass(frozen=True)
class Habits:
    """How one writer differs from another; the plain one chooses a plot whatever it is asked for."""

    narrow: float = 1.0  #: power of the weights of plots, names and words: the higher, the fewer favourites
    led: float = 1.0  #: how many times likelier a plot is for each thing asked for that leads to it


PLAIN = Habits()
BROAD = Habits(led=10)
NARROW = Habits(narrow=5, led=10)


def plot_weights(
    plots: Sequence[str], wanted: Mapping[str, str], features: Collection[str], habits: Habits
) -> list[float]:
    """How likely each plot is, up to a factor: the first ones are favourites."""
    weights = [(1 / (rank + 10)) ** habits.narrow for rank in range(len(plots))]
    if habits.led == 1:
        return weights
    noun, asked = wanted.get("noun"), set(features)
    parts = [(noun in PARTS.get(plot, ())) + len(OWN_FEATURES[plot] & asked) for plot in plots]
    return [weight * habits.led**n for weight, n in zip(weights, parts, strict=True)]
