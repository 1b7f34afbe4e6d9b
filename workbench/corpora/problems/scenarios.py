"""How problems are worded: the scenarios of scenarios.txt, and which structures each of them can tell."""

from dataclasses import dataclass, field

from workbench.corpora.problems.structures import relations
from workbench.corpora.sections import Entries, read_sections
from workbench.corpora.stories.words import BOYS, GIRLS

PEOPLE = {
    name: ("she", "her") if name in GIRLS else ("he", "his")
    for pair in zip(GIRLS, BOYS, strict=True)
    for name in pair
}
HELD_OUT = {"library", "fewer-total"}  # a scenario, and a structure: told in no training problem


@dataclass
class Scenario:
    """One wording domain."""

    #: who can own something, with the pronouns (she, her).
    owners: dict[str, tuple[str, str]] = field(default_factory=lambda: PEOPLE)
    things: dict[str, str] = field(default_factory=dict)  #: what is counted, singular to plural
    #: at least three containers, singular to plural.
    holders: dict[str, str] = field(default_factory=lambda: {"bag": "bags", "box": "boxes", "jar": "jars"})
    unit: str = ""  #: what the amounts count, if not the things
    unlike: set[str] = field(default_factory=set)  #: structures that would read oddly here
    says: dict[str, list[str]] = field(default_factory=dict)  #: relation to its sentences
    asks: dict[str, list[str]] = field(default_factory=dict)  #: relation to its questions

    def tells(self, structure: str) -> bool:
        """Whether every relation has its wording here, and the whole makes sense."""
        known = all(relation in self.says or relation in self.asks for relation in relations(structure))
        return known and structure not in self.unlike


def _scenario(entries: Entries) -> Scenario:
    scenario = Scenario()
    for name, text in entries:
        if name in ("things", "holders"):
            setattr(scenario, name, dict(_pair(word) for word in text.split(", ")))
        elif name == "unit":
            scenario.unit = text
        elif name == "unlike":
            scenario.unlike = set(text.split())
        elif name == "owners":
            scenario.owners = dict.fromkeys(text.split(", "), ("it", "its"))
        else:
            wordings = scenario.asks if text.endswith("?") else scenario.says
            wordings.setdefault(name, []).append(text)
    return scenario


def _pair(word: str) -> tuple[str, str]:
    """(singular, plural)."""
    singular, _, plural = word.partition("/")
    if singular.endswith("y") and singular[-2] not in "aeiou":
        return singular, plural or singular[:-1] + "ies"
    return singular, plural or singular + ("es" if singular.endswith(("s", "x", "ch", "sh")) else "s")


_SECTIONS = read_sections(__file__, "scenarios.txt")
_STRUCTURES = dict(_SECTIONS.pop("structures"))["names"].split()
SCENARIOS = {name: _scenario(entries) for name, entries in _SECTIONS.items()}


def _split() -> tuple[list[str], list[str]]:
    """(training, held-out) templates: of the compositions that a scenario can tell, one in four is held out.

    Single relations stay in training, so that a held-out template is made of parts that were seen.
    """
    training, held_out = [], []
    for i, (name, scenario) in enumerate(SCENARIOS.items()):
        for j, structure in enumerate(filter(scenario.tells, _STRUCTURES)):
            composed = len(relations(structure)) > 2
            kept = {name, structure} & HELD_OUT or (composed and (i + j) % 4 == 0)
            (held_out if kept else training).append(f"{name}/{structure}")
    return training, held_out


TRAINING, OUTSIDE = _split()
