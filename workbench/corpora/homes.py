"""People with homes in a town, and where one is after going one way from somebody's home.

The answer needs a fact (where they live) and a step (where the way leads from there), and the question names
neither: two hops, as in Balesni et al. (2024, arXiv 2411.16353) and Wang et al. (2024, arXiv 2405.15071).
"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from workbench.corpora.facts import Fact
from workbench.corpora.stories.words import BOYS, GIRLS
from workbench.corpora.walks import PLACES, WAYS, Town

READ, NEW_STEP, NEW_PERSON = "read", "new step", "new person"
KINDS = (READ, NEW_STEP, NEW_PERSON)
"""Of combined questions, where some are read: this one; others about the same people; none about them."""


@dataclass(frozen=True)
class Home:
    """Where somebody lives."""

    person: str
    place: int  #: its number

    def fact(self) -> Fact:
        """It as a fact to know by heart."""
        return Fact(self.person, "home", PLACES[self.place])


@dataclass(frozen=True)
class Question:
    """Where one is after going one way from a home."""

    home: Home
    way: int  #: its number
    end: int  #: number of the place that it leads to
    kind: str  #: one of `KINDS`

    def pair(self) -> tuple[str, str]:
        """The question, which ends with the way as a walk does, and the place."""
        return f"{self.home.person}'s home {WAYS[self.way]}", f" {PLACES[self.end]}"


def draw(n: int, n_places: int, rng: np.random.Generator) -> list[Home]:
    """Homes of different people, about equally many at each place.

    Raises:
        ValueError: more people than there are names.
    """
    names = [f"{first} and {second}" for first, second in combinations([*GIRLS, *BOYS], 2)]
    if n > len(names):
        raise ValueError(f"there are {len(names)} people, not {n}")
    places = rng.permutation(np.arange(n) % n_places)
    chosen = rng.permutation(len(names))[:n]
    return [Home(names[index], int(place)) for index, place in zip(chosen, places, strict=True)]


def questions(homes: list[Home], town: Town, rng: np.random.Generator) -> list[Question]:
    """Every way from every home; of the first half of the people all but one way are for reading."""
    n_ways, asked = len(town.leads), []
    for number, home in enumerate(homes):
        withheld = rng.integers(n_ways)
        for way in range(n_ways):
            read = NEW_STEP if way == withheld else READ
            kind = read if number < len(homes) // 2 else NEW_PERSON
            asked.append(Question(home, way, int(town.leads[way, home.place]), kind))
    return asked
