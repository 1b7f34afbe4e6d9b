"""Words of a problem: its text with holes for the numbers, and what each step of the solution answers."""

import random
from dataclasses import dataclass

from workbench.corpora.problems.scenarios import Scenario
from workbench.corpora.problems.structures import COMPARISONS, NEW_OWNER, Move, count_numbers, relations


@dataclass(frozen=True)
class Words:
    """Who and what a text speaks of: three owners, a (singular, plural) thing, three such holders."""

    owners: list[str]
    pronouns: tuple[str, str]
    thing: tuple[str, str]
    holders: list[tuple[str, str]]

    def slots(self, relation: str, owner: int, told: int) -> dict[str, str]:
        """What the slots of the relation's sentences stand for, `told` numbers into the text."""
        compared = relation in COMPARISONS
        first = self.owners[owner - 1] if compared else self.owners[owner]
        she, her = self.pronouns if owner == 0 else (first, f"{first}'s")
        (bag, bags), (pack, packs), (box, boxes) = self.holders
        return {
            **{
                "P": first,
                "Q": self.owners[owner],
                "she": she,
                "her": her,
                "everyone": self.everyone(owner + 1),
            },
            **{"thing": self.thing[0], "things": self.thing[1], "bag": bag, "bags": bags, "pack": pack},
            **{"packs": packs, "box": box, "boxes": boxes, "n": f"{{{told}}}", "m": f"{{{told + 1}}}"},
        }

    def everyone(self, n: int) -> str:
        """ "Lily, Tom and Anna"."""
        *others, last = self.owners[:n]
        return f"{', '.join(others)} and {last}" if others else last

    def variable(self, move: Move) -> str:
        """A readable name for the result of a move."""
        if move.named != "own":
            return move.named
        name = self.thing[1] if move.owner == 0 else self.owners[move.owner].removeprefix("the ")
        return name.lower().replace(" ", "_")


def choose_words(scenario: Scenario, rng: random.Random, n_words: int | None) -> Words:
    """Draws owners and a thing from the first n_words of each list, and the holders."""
    owners = rng.sample(list(scenario.owners)[:n_words], 3)
    thing = rng.choice(list(scenario.things.items())[:n_words])
    return Words(owners, scenario.owners[owners[0]], thing, rng.sample(list(scenario.holders.items()), 3))


def write(
    scenario: Scenario, structure: str, moves: list[Move], words: Words, rng: random.Random, aside: bool
) -> tuple[str, list[str]]:
    """(the text with holes `{0}`, `{1}` for its numbers, the question of each move).

    With `aside`, a sentence that is not needed holds the last hole.
    """
    sentences: list[str] = []
    questions: dict[str, str] = {}
    owner, told = -1, 0
    for relation in relations(structure):
        owner += relation in NEW_OWNER
        slots = words.slots(relation, owner, told)
        if relation in scenario.says:
            sentences.append(_sentence(rng.choice(scenario.says[relation]), slots))
        if relation in scenario.asks:
            questions[relation] = rng.choice(scenario.asks[relation])
        told += count_numbers(relation)
    if aside:
        sentence = _sentence(rng.choice(scenario.says["aside"]), words.slots("aside", 0, told))
        sentences.insert(rng.randint(1, len(sentences)), sentence)
    asked = _asked(scenario, moves, words, questions)
    return " ".join([*sentences, asked[-1]]), asked


def _asked(scenario: Scenario, moves: list[Move], words: Words, questions: dict[str, str]) -> list[str]:
    asked, summed = [], 1
    for move in moves:
        owner = move.owner
        if move.relation == "total":
            owner, summed = summed, summed + 1
        question = scenario.asks["part"][0] if move.named == "added" else questions[move.relation]
        asked.append(_sentence(question, words.slots(move.relation, owner, 0)))
    return asked


def _sentence(wording: str, slots: dict[str, str]) -> str:
    text = wording.format_map(slots)
    return text[0].upper() + text[1:]
