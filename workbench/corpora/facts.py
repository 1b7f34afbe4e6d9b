"""Facts to know by heart: who has which pet, colour, toy; drawn at random, or read from a file."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb
from typing import Any

import numpy as np

from workbench.corpora.loaders.rows import TABLES, Malformed, checked, of_source
from workbench.corpora.sections import read_sections
from workbench.corpora.stories.words import BOYS, GIRLS
from workbench.errors import UserError

FEWEST = 20  # facts of a file
_FIELDS = ("entity", "attribute", "value")
VALUES = {name: values.split() for name, values in read_sections(__file__, "facts.txt")["values"]}
"""What each attribute of a drawn fact can be, all equally often."""

MOST = comb(len(GIRLS) + len(BOYS), 2) * len(VALUES)
"""Facts that can be drawn."""


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
    questions = [(entity, attribute) for entity in entities for attribute in VALUES]
    if n > len(questions):
        raise ValueError(f"there are {len(questions)} facts, not {n}")
    chosen = [questions[index] for index in rng.permutation(len(questions))[:n]]
    return [Fact(entity, attribute, str(rng.choice(VALUES[attribute]))) for entity, attribute in chosen]


def load(source: str) -> list[Fact]:
    """Facts of a file with the columns entity, attribute and value (see `rows.of_source`).

    Raises:
        UserError: nothing there, a row without one of the three, two values for one question, too few facts,
            or one value for all.
    """
    known: dict[tuple[str, str], Fact] = {}
    for where, row in of_source(source, formats=TABLES):
        with checked(where, row):
            fact = _fact(row)
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


def majority_accuracy(facts: Sequence[Fact]) -> float:
    """Share of facts that are right when every question of an attribute gets its most frequent value."""
    most_frequent: dict[str, int] = {}
    for (attribute, _), count in Counter((fact.attribute, fact.value) for fact in facts).items():
        most_frequent[attribute] = max(count, most_frequent.get(attribute, 0))
    return sum(most_frequent.values()) / len(facts)


def _fact(row: dict[str, Any]) -> Fact:
    texts = [" ".join(str(row[name]).split()) for name in _FIELDS if row.get(name) is not None]
    if len(texts) < len(_FIELDS) or not all(texts):
        raise Malformed(f"needs a text in each of {', '.join(_FIELDS)}")
    return Fact(*texts)
