"""Facts to know by heart: who has which pet, colour, toy; drawn at random, or read from a file."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from workbench.corpora.loaders.rows import TABLES, of_source
from workbench.corpora.stories.words import BOYS, GIRLS
from workbench.errors import UserError

FEWEST = 20  # facts of a file
_FIELDS = ("entity", "attribute", "value")
VALUES = {
    "pet": ("cat", "dog", "rabbit", "mouse", "duck", "pony", "frog", "hen"),
    "colour": ("red", "blue", "green", "yellow", "pink", "white", "black", "brown"),
    "soup": ("tomato", "pea", "leek", "carrot", "onion", "bean", "noodle", "potato"),
    "toy": ("kite", "doll", "train", "puzzle", "robot", "boat", "ball", "teddy"),
    "drink": ("milk", "water", "tea", "cocoa", "juice", "cider", "lemonade", "soda"),
    "sport": ("tennis", "chess", "golf", "judo", "rugby", "hockey", "running", "skating"),
    "fruit": ("apple", "pear", "plum", "cherry", "grape", "lemon", "melon", "fig"),
    "instrument": ("piano", "violin", "flute", "drum", "harp", "guitar", "horn", "cello"),
}
"""What each attribute of a drawn fact can be, all equally often."""


@dataclass(frozen=True)
class Fact:
    """That an entity's attribute has a value."""

    entity: str
    attribute: str
    value: str

    def pair(self) -> tuple[str, str]:
        """The beginning of a sentence that says it, and the rest."""
        return f"{self.entity}'s {self.attribute} is", f" {self.value}"


def draw(n: int, rng: np.random.Generator) -> list[Fact]:
    """Different questions with answers drawn at random, so that nothing but memory can answer them.

    Raises:
        ValueError: more facts than there are names and attributes.
    """
    entities = [f"{first} and {second}" for first, second in combinations([*GIRLS, *BOYS], 2)]
    asked = [(entity, attribute) for entity in entities for attribute in VALUES]
    if n > len(asked):
        raise ValueError(f"there are {len(asked)} facts, not {n}")
    chosen = [asked[place] for place in rng.permutation(len(asked))[:n]]
    return [Fact(entity, about, str(rng.choice(VALUES[about]))) for entity, about in chosen]


def load(source: str) -> list[Fact]:
    """Facts of a file with the columns entity, attribute and value (see `rows.of_source`).

    Raises:
        UserError: nothing there, a row without one of the three, two values for one question, too few facts,
            or one value for all.
    """
    known: dict[tuple[str, str], Fact] = {}
    for where, row in of_source(source, formats=TABLES):
        fact = _fact(where, row)
        other = known.setdefault((fact.entity, fact.attribute), fact)
        if other.value != fact.value:
            raise UserError(
                f"{where}: {fact.entity}'s {fact.attribute} is {fact.value}, and {other.value} in a row "
                "before: keep one of them."
            )
    if len(known) < FEWEST:
        raise UserError(f"{source} holds {len(known)} facts: give {FEWEST} or more.")
    if len({fact.value for fact in known.values()}) == 1:
        raise UserError(f"All facts of {source} have one value, so that there is nothing to know.")
    return list(known.values())


def guessing(facts: Sequence[Fact]) -> float:
    """Share of facts that are right when every question of an attribute gets its most frequent value."""
    counts: dict[str, dict[str, int]] = {}
    for fact in facts:
        own = counts.setdefault(fact.attribute, {})
        own[fact.value] = own.get(fact.value, 0) + 1
    return sum(max(own.values()) for own in counts.values()) / len(facts)


def _fact(where: str, row: object) -> Fact:
    entries = [row.get(name) for name in _FIELDS] if isinstance(row, dict) else []
    texts = [" ".join(str(entry).split()) for entry in entries if entry is not None]
    if len(texts) < len(_FIELDS) or not all(texts):
        raise UserError(f"{where} needs a text in each of {', '.join(_FIELDS)}.")
    return Fact(*texts)
