"""Tells a story: picks words for events, and writes only what can happen in its world."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from random import Random

from workbench.corpora.stories import words
from workbench.corpora.stories.events import EVENTS
from workbench.corpora.stories.grammar import PRONOUNS, Pattern
from workbench.corpora.stories.oracle import happen, read
from workbench.corpora.stories.world import World

FEATURES = ("dialogue", "plot twist", "bad ending", "moral value", "foreshadowing", "conflict")


@dataclass(frozen=True)
class Sentence:
    """A sentence of a story: its event, what fills its slots, and what is true after it."""

    text: str
    event: str
    slots: dict[str, str]
    state: dict


@dataclass
class Writer:
    """Writes one story. Plots call `say`, `paragraph` and the choosers; what cannot happen raises."""

    random: Random
    wanted: dict[str, str] = field(default_factory=dict)  # noun, verb, adjective that must occur
    features: frozenset[str] = frozenset()
    outside: frozenset[str] = frozenset()  # those that the plot does not bring by itself
    narrow: float = 1.0  # power of the weights of words
    world: World = field(default_factory=World)
    sentences: list[Sentence] = field(default_factory=list)
    paragraphs: list[list[str]] = field(default_factory=lambda: [[]])
    used: set[str] = field(default_factory=set)
    looks: dict[str, str] = field(default_factory=dict)

    # ------------------------------------------------------------- telling
    def say(self, event: str, **slots: str) -> None:
        """Tells an event. Names fill the slots of people, nouns those of things."""
        patterns = [p for p in EVENTS[event].patterns if p.slots == slots.keys()]
        spoken = [p for p in patterns if '"' in p.text]
        silent = [p for p in patterns if '"' not in p.text]
        talks = self.random.random() < (0.85 if "dialogue" in self.features else 0.3)
        patterns = (spoken if talks else silent) or patterns
        for _ in range(20):
            sentence = self._written(self.random.choice(patterns), slots)
            if all(sentence != earlier.text for earlier in self.sentences):
                break
        reading = read(sentence)
        if reading is None or reading.event != event:
            raise RuntimeError(
                f"'{sentence}' was written as {event} but reads as {reading and reading.event}"
            )
        if violations := happen(self.world, reading):
            raise RuntimeError(f"'{sentence}': {violations[0].what}")
        self.sentences.append(Sentence(sentence, event, slots, self.world.state()))
        self.paragraphs[-1].append(sentence)

    def paragraph(self) -> None:
        """Starts a new paragraph."""
        self.paragraphs.append([])

    def text(self) -> str:
        return "\n\n".join(" ".join(sentences) for sentences in self.paragraphs if sentences)

    def _written(self, pattern: Pattern, slots: dict[str, str]) -> str:
        def fill(slot: str, form: str) -> str:
            word = slots[slot]
            if slot in "abc":
                return self._person(word, form, [slots[s] for s in "abc" if s in slots])
            if slot in "xyz":
                return self._thing(word, form)
            if form == "past":
                return words.past(word)
            return words.article(word) if form == "a" else word

        return pattern.write(fill, self.random)

    def _person(self, name: str, form: str, present: list[str]) -> str:
        gender = words.GENDER[name]
        if form in ("she", "her"):
            return PRONOUNS[gender][form]
        alone = sum(words.GENDER[other] == gender for other in present) == 1
        just_named = self.paragraphs[-1] and name in self.sentences[-1].slots.values()
        clear = alone and just_named and self.world.salient.get(gender) == name
        if form != "name" and clear and self.random.random() < 0.4:
            return PRONOUNS[gender]["obj" if form == "obj" else "she"]
        return name

    def _thing(self, noun: str, form: str) -> str:
        look = self.looks.get(noun, "")
        known = noun in self.world.things
        phrase = f"{look} {noun}" if look and (not known or self.random.random() < 0.25) else noun
        return words.article(phrase) if form == "a" else phrase

    # ------------------------------------------------------------- choosing
    def misses(self, kind: str, options: Collection[str]) -> bool:
        """Whether the wanted noun, verb or adjective is one of these and has not occurred yet."""
        return self.wanted.get(kind) in options and self.wanted[kind] not in self.used

    def choose(self, options: Sequence[str], *, kind: str = "") -> str:
        """A word not used yet, first the wanted one of this kind; everyday words come more often."""
        if self.misses(kind, options):
            self.used.add(self.wanted[kind])
            return self.wanted[kind]
        left = [option for option in options if option not in self.used]
        weights = [(1 / (rank + 6)) ** self.narrow for rank in range(len(left))]
        choice = self.random.choices(left, weights)[0]
        self.used.add(choice)
        return choice

    def thing(self, options: Sequence[str]) -> str:
        """A thing of the story, often with a look of its own."""
        noun = self.choose(options, kind="noun")
        if self.misses("adjective", words.LOOKS):
            self.looks[noun] = self.choose(words.LOOKS, kind="adjective")
        elif noun not in words.MASS_NOUNS and self.random.random() < 0.6:
            self.looks[noun] = self.random.choice(words.LOOKS[:14])
        return noun

    def spot(self, options: Collection[str] = words.SPOTS) -> str:
        """A place to look, not used yet in this story."""
        return self.choose(list(options))

    def feeling(self, *, good: bool) -> str:
        options = words.GOOD_FEELINGS if good else words.BAD_FEELINGS
        return self.choose(options, kind="adjective")
