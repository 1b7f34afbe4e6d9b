"""Words of a problem: its text with holes for the numbers, and what each step of the solution answers."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from workbench.corpora.problems.scenarios import Scenario
from workbench.corpora.problems.structures import COMPARISONS, NEW_OWNER, Move, count_numbers, relations

_HOLDERS = {"bag": "bags", "pack": "packs", "box": "boxes"}
_ADVERBS = ("then", "later", "next", "afterwards")


@dataclass(frozen=True)
class Words:
    """Who and what a text speaks of: three owners, and what its slots stand for.

    `unit` is what the amounts count; `slots` are those that stay the same throughout the text.
    """

    owners: list[str]
    pronouns: tuple[str, str]
    adverbs: list[str]
    unit: str
    slots: dict[str, str]

    def at(self, relation: str, owner: int, number: int = 0, before: Sequence[str] = ()) -> dict[str, str]:
        """All slots of the relation's sentences; `number` is the index of its first number."""
        first = self.owners[owner - 1] if relation in COMPARISONS else self.owners[owner]
        she, her = self.pronouns if owner == 0 else (first, f"{first}'s")
        *others, last = self.owners[: owner + 1]
        return self.slots | {
            "P": first,
            "Q": last,
            "she": she,
            "her": her,
            "everyone": f"{', '.join(others)} and {last}",
            "then": self.adverbs[len(before) % len(_ADVERBS)],
            "left": " that are left" if "lose" in before else "",
            "n": f"{{{number}}}",
            "m": f"{{{number + 1}}}",
        }

    def variable(self, move: Move) -> str:
        """A readable name for the result of a move."""
        if move.named != "own":
            return move.named
        name = self.unit if move.owner == 0 else self.owners[move.owner].removeprefix("the ")
        return name.lower().replace(" ", "_")


def choose_words(scenario: Scenario, rng: random.Random, n_words: int | None) -> Words:
    """Draws owners and a thing from the first n_words of each list, and the containers."""
    owners = rng.sample(list(scenario.owners)[:n_words], 3)
    thing, things = rng.choice(list(scenario.things.items())[:n_words])
    slots = {"thing": thing, "things": things}
    for slot, (holder, holders) in zip(_HOLDERS, rng.sample(list(scenario.holders.items()), 3), strict=True):
        slots |= {slot: holder, _HOLDERS[slot]: holders}
    adverbs: list[str] = rng.sample(_ADVERBS, len(_ADVERBS))
    return Words(owners, scenario.owners[owners[0]], adverbs, scenario.unit or things, slots)


@dataclass(frozen=True)
class Text:
    """A problem without its numbers: holes `{0}`, `{1}` stand for them, those of distractors last.

    To each move belong the question that it answers and the name of its result.
    """

    frame: str
    questions: list[str]
    names: list[str]
    n_distractors: int


def write(
    scenario: Scenario,
    structure: str,
    moves: list[Move],
    words: Words,
    rng: random.Random,
    n_distractors: int,
) -> Text:
    """The text of a structure in these words."""
    sentences: list[str] = []
    wordings: dict[str, str] = {}
    before: list[str] = []
    owner, number = -1, 0
    for relation in relations(structure):
        owner += relation in NEW_OWNER
        if relation in scenario.says:
            slots = words.at(relation, owner, number, before)
            sentences.append(_sentence(rng.choice(scenario.says[relation]), slots))
        if relation in scenario.asks:
            wordings[relation] = rng.choice(scenario.asks[relation])
        number += count_numbers(relation)
        before.append(relation)
    for distractor in range(n_distractors):
        sentence = _sentence(rng.choice(scenario.says["aside"]), words.at("aside", 0, number + distractor))
        sentences.insert(rng.randint(1, len(sentences)), sentence)
    questions = _questions(scenario, moves, words, wordings)
    names = [*(words.variable(move) for move in moves[:-1]), "ans"]
    return Text(" ".join([*sentences, questions[-1]]), questions, names, n_distractors)


def _questions(scenario: Scenario, moves: list[Move], words: Words, wordings: dict[str, str]) -> list[str]:
    questions, summed = [], 1
    for move in moves:
        owner = move.owner
        if move.relation == "total":
            owner, summed = summed, summed + 1
        wording = scenario.asks["part"][0] if move.named == "added" else wordings[move.relation]
        questions.append(_sentence(wording, words.at(move.relation, owner)))
    return questions


def _sentence(wording: str, slots: dict[str, str]) -> str:
    text = wording.format_map(slots)
    return text[0].upper() + text[1:]
