"""The world of a story: who is there, who holds what, what is where, and who knows it.

Events change the world and check that they can happen in it. The story writer refuses an event that
cannot happen; the grader lets it happen and keeps the violation.
"""

from dataclasses import asdict, dataclass, field

from workbench.corpora.stories import words
from workbench.corpora.stories.grammar import GENDER_OF_PRONOUN, Mention


@dataclass
class Somebody:
    """A character: `mood` is +1 after something good, -1 after something bad, 0 otherwise."""

    name: str
    gender: str
    kind: str = ""
    place: str = ""
    spot: str = ""
    mood: int = 0
    wants: str = ""
    fears: str = ""
    knows: dict[str, str] = field(default_factory=dict)


@dataclass
class Thing:
    """A thing: held by somebody or at a spot; `state` is any of lost, broken, stuck, forbidden, hidden."""

    noun: str
    looks: frozenset[str] = frozenset()
    owner: str = ""
    holder: str = ""
    spot: str = ""
    state: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Violation:
    """Something a story says that cannot be so; `kind` is one word, `what` one sentence."""

    kind: str
    what: str


class World:
    """Everything true in a story up to its last sentence."""

    def __init__(self) -> None:
        self.people: dict[str, Somebody] = {}
        self.things: dict[str, Thing] = {}
        self.salient: dict[str, str] = {}  # gender → whom she/he/it means now
        self.done: set[str] = set()  # what has happened, as words events agree on ("quarrel", "told truth")
        self.searched: set[str] = set()
        self.violations: list[Violation] = []

    def check(self, condition: object, kind: str, what: str) -> None:
        """Keeps a violation unless the condition holds."""
        if not condition:
            self.violations.append(Violation(kind, what))

    def somebody(self, word: str) -> Somebody:
        """Whom a name or pronoun means; an unknown one is noted and from then on exists."""
        if word in GENDER_OF_PRONOUN:
            name = self.salient.get(GENDER_OF_PRONOUN[word])
            self.check(name, "pronoun", f"'{word}' means nobody yet")
            word = name or word
        if word not in self.people:
            known = word in words.GROWN_UPS or word in GENDER_OF_PRONOUN
            self.check(known, "stranger", f"{word} was never introduced")
            self.introduce(word)
        return self.people[word]

    def introduce(self, name: str) -> Somebody:
        """Brings somebody into the story."""
        gender = words.GENDER.get(name) or GENDER_OF_PRONOUN.get(name, "n")
        self.people[name] = Somebody(name, gender)
        return self.people[name]

    def thing(self, phrase: str, *, new: bool) -> Thing:
        """The thing a phrase means; `the ball` needs a ball, and `the red ball` no ball known to be blue."""
        *looks, noun = phrase.split()
        if noun not in self.things:
            self.check(new, "thing", f"there is no {noun} yet")
            self.things[noun] = Thing(noun, frozenset(looks))
        thing = self.things[noun]
        if looks and thing.looks:
            self.check(
                set(looks) <= thing.looks,
                "looks",
                f"the {noun} is {' '.join(sorted(thing.looks))}, not {' '.join(looks)}",
            )
        thing.looks = thing.looks or frozenset(looks)
        return thing

    def mention(self, mentions: tuple[Mention, ...], people: dict[str, Somebody]) -> None:
        """Checks each pronoun against whom it must mean, then remembers whom the next one will mean."""
        for mention in mentions:
            if mention.form in ("her", "she"):
                gender = GENDER_OF_PRONOUN[mention.word]
                person = people[mention.slot]
                self.check(gender == person.gender, "gender", f"'{mention.word}' does not fit {person.name}")
        for person in reversed(people.values()):
            self.salient[person.gender] = person.name

    def state(self) -> dict:
        """What is true now, as plain values: people and things with all they hold and know."""
        things = [
            {**asdict(t), "looks": sorted(t.looks), "state": sorted(t.state)} for t in self.things.values()
        ]
        return {"people": [asdict(p) for p in self.people.values()], "things": things}
