"""How problems are worded: the scenarios of scenarios.txt, and which structures each of them can tell."""

from dataclasses import dataclass, field
from importlib.resources import files

from workbench.corpora.problems.structures import HELD_OUT, STRUCTURES, relations
from workbench.corpora.stories.words import BOYS, GIRLS

PEOPLE = {
    name: pronouns
    for pair in zip(GIRLS, BOYS, strict=True)
    for name, pronouns in zip(pair, (("she", "her"), ("he", "his")), strict=True)
}
HELD_OUT_SCENARIO = "library"


@dataclass
class Scenario:
    """One wording domain.

    Attributes:
        owners: who can own something, with the pronouns (she, her).
        things: what is counted, singular to plural.
        holders: at least three containers, singular to plural.
        unit: what the amounts count, if not the things.
        unlike: structures that would read oddly here.
        says: relation to its sentences.
        asks: relation to its questions.
    """

    owners: dict[str, tuple[str, str]] = field(default_factory=lambda: PEOPLE)
    things: dict[str, str] = field(default_factory=dict)
    holders: dict[str, str] = field(default_factory=lambda: {"bag": "bags", "box": "boxes", "jar": "jars"})
    unit: str = ""
    unlike: set[str] = field(default_factory=set)
    says: dict[str, list[str]] = field(default_factory=dict)
    asks: dict[str, list[str]] = field(default_factory=dict)

    def tells(self, structure: str) -> bool:
        """Whether every relation has its wording here, and the whole makes sense."""
        known = all(relation in self.says or relation in self.asks for relation in relations(structure))
        return known and structure not in self.unlike


def _read() -> dict[str, Scenario]:
    scenarios: dict[str, Scenario] = {}
    for line in files(__package__).joinpath("scenarios.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            scenario = scenarios[line.strip("[]")] = Scenario()
        elif line and not line.startswith("#"):
            _add(scenario, line)
    return scenarios


def _add(scenario: Scenario, line: str) -> None:
    head, text = line.split(" ", 1)
    name = head[:-1]
    if head.endswith("?"):
        scenario.asks.setdefault(name, []).append(text)
    elif name in ("things", "holders"):
        setattr(scenario, name, dict(_pair(word) for word in text.split(", ")))
    elif name == "unit":
        scenario.unit = text
    elif name == "unlike":
        scenario.unlike = set(text.split())
    elif name == "owners":
        scenario.owners = dict.fromkeys(text.split(", "), ("it", "its"))
    else:
        scenario.says.setdefault(name, []).append(text)


def _pair(word: str) -> tuple[str, str]:
    """(singular, plural); irregular words are written "child/children"."""
    singular, _, plural = word.partition("/")
    return singular, plural or _plural(singular)


def _plural(word: str) -> str:
    if word.endswith("y") and word[-2] not in "aeiou":
        return word[:-1] + "ies"
    return word + ("es" if word.endswith(("s", "x", "ch", "sh")) else "s")


SCENARIOS = _read()


def _split() -> tuple[list[str], list[str]]:
    """(training, held-out) templates: of the compositions that a scenario can tell, one in four is held out.

    Single relations stay in training, so that a held-out template is made of parts that were seen.
    """
    training, held_out = [], []
    for i, (name, scenario) in enumerate(SCENARIOS.items()):
        for j, structure in enumerate(filter(scenario.tells, STRUCTURES)):
            composed = len(relations(structure)) > 2
            kept = name == HELD_OUT_SCENARIO or structure == HELD_OUT or (composed and (i + j) % 4 == 0)
            (held_out if kept else training).append(f"{name}/{structure}")
    return training, held_out


TRAINING, OUTSIDE = _split()
