"""The exact grader: reads a story sentence by sentence and replays it in a world of its own.

A sentence is grammatical when some event could be said that way; it is consistent when the event could
happen after all sentences before. Nothing here is learned, so a grade has no judge's opinion in it;
but it knows only the language of events.txt: a fine sentence outside it counts as unread.
"""

import re
from dataclasses import dataclass

from workbench.corpora.stories import company, troubles, words  # noqa: F401  the first two register events
from workbench.corpora.stories.events import EVENTS
from workbench.corpora.stories.grammar import GENDER_OF_PRONOUN, Reading, is_thing, sentences
from workbench.corpora.stories.world import Violation, World

PATTERNS = [pattern for event in EVENTS.values() for pattern in event.patterns]


@dataclass(frozen=True)
class GradedSentence:
    """One sentence of a graded story: its span, the event it tells (None: not read) and what is wrong."""

    start: int
    end: int
    event: str | None
    violations: tuple[Violation, ...]


@dataclass(frozen=True)
class Grade:
    """The grade of a story, or of what follows a given beginning.

    Attributes:
        sentences: those graded, in order.
        features: story features that are really there ("dialogue", "plot twist", …).
        grammar: share of sentences read, 0 to 1; NaN when there is none.
        consistency: share of the sentences read that could happen, 0 to 1; NaN when none was read.
    """

    sentences: tuple[GradedSentence, ...]
    features: frozenset[str]

    @property
    def grammar(self) -> float:
        return _share([sentence.event is not None for sentence in self.sentences])

    @property
    def consistency(self) -> float:
        return _share([not s.violations for s in self.sentences if s.event is not None])


def _share(values: list[bool]) -> float:
    return sum(values) / len(values) if values else float("nan")


def read(sentence: str) -> Reading | None:
    """The event a sentence tells, or None when no pattern reads it."""
    return next((reading for pattern in PATTERNS if (reading := pattern.read(sentence))), None)


def happen(world: World, reading: Reading) -> tuple[Violation, ...]:
    """Lets what was read happen in the world; returns what could not be."""
    before = len(world.violations)
    event = EVENTS[reading.event]
    filled, people = {}, {}
    for slot, value in reading.slots.items():
        if slot in "abc":
            if slot == event.introduces and value not in GENDER_OF_PRONOUN:
                world.check(value not in world.people, "again", f"{value} is introduced again")
                people[slot] = filled[slot] = world.introduce(value)
            else:
                people[slot] = filled[slot] = world.somebody(value)
        elif slot in "xyz":
            filled[slot] = world.thing(value, new=slot in reading.new or event.name in _NAMES_NEW_THINGS)
        else:
            filled[slot] = value
    world.mention(reading.mentions, people)
    if event.two:
        one, other = (people[slot] for slot in event.two)
        world.check(one is not other, "self", f"{one.name} does it with {one.name}")
    event.apply(world, **filled)
    return tuple(world.violations[before:])


# what one may be afraid of, or be forbidden to touch, is there without having been introduced
_NAMES_NEW_THINGS = frozenset({"fears", "forbids", "puts_in"})


def grade(text: str, beginning: str = "") -> Grade:
    """Grades a story; with `beginning`, only what comes after it (the sentence it cuts counts as after).

    Args:
        text: the whole story, with its beginning. An unfinished last sentence is left out.
        beginning: the given opening; `text` starts with it.

    Raises:
        ValueError: when `text` does not start with `beginning`.
    """
    if not text.startswith(beginning):
        raise ValueError("the story does not start with its beginning")
    world, graded, features, said = World(), [], set(), set()
    for start, end in finished_sentences(text):
        sentence = text[start:end]
        reading = read(sentence)
        if reading:
            violations = happen(world, reading)
        else:
            violations = ()
            loosely(world, sentence)
        if sentence in said:
            violations += (Violation("repeat", "it was said before"),)
        said.add(sentence)
        if end > len(beginning.rstrip()):
            graded.append(GradedSentence(start, end, reading.event if reading else None, violations))
            features |= {EVENTS[reading.event].feature} if reading else set()
            features |= {"dialogue"} if '"' in sentence else set()
    return Grade(tuple(graded), frozenset(features - {""}))


def finished_sentences(text: str) -> list[tuple[int, int]]:
    """Spans of the sentences, without a last one that is cut."""
    spans = sentences(text)
    if spans and not text[: spans[-1][1]].rstrip('"').endswith((".", "!", "?")):
        spans.pop()
    return spans


def loosely(world: World, sentence: str) -> None:
    """Takes up whom and what an unread sentence brings in, so that later sentences are not blamed for it."""
    for name in re.findall(r"[A-Z][a-z]+", sentence):
        if name in words.GENDER and name not in world.people:
            world.introduce(name)
    for phrase in re.findall(r"\b(?:an?|some) ((?:[a-z]+ ){0,2}[a-z]+)", sentence):
        tokens = phrase.split()
        for length in range(1, len(tokens) + 1):
            if is_thing(" ".join(tokens[:length])):
                world.thing(" ".join(tokens[:length]), new=True)
