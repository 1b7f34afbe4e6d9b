"""What can happen in a story: how it is said, what it needs, and what it changes.

Each function is one event. Its patterns (see `grammar`) say it; its body checks that it can happen in the
world and changes the world. Writer and grader share it, so a sentence is understood exactly when it could
have been written, and consistent exactly when it could have happened.
"""

from collections.abc import Callable
from dataclasses import dataclass

from workbench.corpora.stories import words
from workbench.corpora.stories.grammar import Pattern
from workbench.corpora.stories.world import Somebody, Thing, World

MORALS = {
    "share": "it is good to share",
    "truth": "it is best to tell the truth",
    "help": "it is good to help a friend",
    "listen": "it is wise to listen",
    "brave": "being brave is not so hard",
    "kind": "a kind word can make a friend",
    "care": "it is good to take care of things",
    "again": "you can always try again",
}
NEEDS = {  # what one does about it: facts that a story must not get wrong
    "tired": "went to bed",
    "sleepy": "took a nap",
    "hungry": "ate some soup",
    "thirsty": "drank some water",
    "cold": "put on a coat",
    "dirty": "took a bath",
    "sick": "went to the doctor",
    "wet": "got a towel",
    "hot": "sat in the shade",
}
ERRANDS = {  # where one goes for it
    "read a book": "library",
    "buy some bread": "bakery",
    "see the lions": "zoo",
    "learn to count": "school",
    "swim in the waves": "beach",
    "play on the swings": "playground",
    "see the cows": "farm",
    "visit the doctor": "hospital",
}


@dataclass(frozen=True)
class Event:
    """A kind of event: its name, how it is said, what it does, and the story feature it gives."""

    name: str
    patterns: tuple[Pattern, ...]
    apply: Callable[..., None]
    feature: str
    introduces: str


EVENTS: dict[str, Event] = {}


def event(*texts: str, feature: str = "", introduces: str = "", **phrases: object) -> Callable:
    """Registers the decorated function as an event said by `texts`; `phrases`: what `o` and `r` hold."""

    def register(apply: Callable[..., None]) -> Callable[..., None]:
        name = apply.__name__
        patterns = tuple(Pattern(name, text, phrases) for text in texts)
        EVENTS[name] = Event(name, patterns, apply, feature, introduces)
        return apply

    return register


def gives(w: World, giver: Somebody, taker: Somebody, thing: Thing) -> None:
    """A thing changes hands, if it can."""
    w.check(giver is not taker, "self", f"{giver.name} gives something to {giver.name}")
    w.check(thing.holder == giver.name, "holder", f"{giver.name} does not have the {thing.noun}")
    thing.holder, thing.spot = taker.name, ""


def good(w: World, who: Somebody, theme: str, *cheered: Somebody) -> None:
    """Somebody did something good: it can be thanked for, it shows a moral, and it cheers."""
    w.done |= {f"{who.name} was good", theme}
    for somebody in cheered:
        somebody.mood = 1


def not_alone(w: World, a: Somebody, b: Somebody) -> None:
    """It takes two."""
    w.check(a is not b, "self", f"{a.name} does it with {a.name}")


# ------------------------------------------------------------------------------------- beginnings
@event(
    "[Once upon a time, there was|There once was|Once there was] {t:a} {k} [named|called] {a:name}.",
    introduces="a",
)
def introduce(w: World, a: Somebody, t: str, k: str) -> None:
    a.kind = k
    w.check(words.KINDS.get(k, a.gender) == a.gender, "gender", f"{a.name} is not a {k}")


@event("{a} had a [good|best|dear] friend named {b:name}.", introduces="b")
def befriended(w: World, a: Somebody, b: Somebody) -> None:
    w.check(a is not b, "self", f"{a.name} is a friend of {a.name}")


@event("{a} had a [little|big|baby] brother named {b:name}.", introduces="b")
def brother(w: World, a: Somebody, b: Somebody) -> None:
    w.check(b.gender == "m", "gender", f"{b.name} is not a boy")


@event("{a} had a [little|big|baby] sister named {b:name}.", introduces="b")
def sister(w: World, a: Somebody, b: Somebody) -> None:
    w.check(b.gender == "f", "gender", f"{b.name} is not a girl")


@event(
    "{a} [loved|liked] to {v} [every day|all day long|in the morning|with friends|after lunch|in the sun]."
)
def loves(w: World, a: Somebody, v: str) -> None:
    """Anybody may love anything."""


@event(
    "{a} had {x:a}[.| at home.]",
    "{a} had {x:a} that {a:she} loved very much.",
    "{a} [took|carried] {x:a} everywhere {a:she} went.",
)
def has(w: World, a: Somebody, x: Thing) -> None:
    x.owner = x.holder = a.name


@event(
    "One day, {a} [went|walked] to the {p}[.| to play.| for a walk.]",
    "One [morning|afternoon], {a} [went|walked] to the {p}.",
)
def goes(w: World, a: Somebody, p: str) -> None:
    a.place = p


@event("One {d} [day|morning|afternoon], {a} [went|walked] to the {p}[.| to play.]")
def goes_on_day(w: World, a: Somebody, p: str, d: str) -> None:
    a.place = p


@event(
    "One {d} [day|morning|afternoon], {a:name} and {b:name} [went|walked|ran] to the {p}[.| together.]",
    "It was {d:a} day, and {a:name} and {b:name} were at the {p}.",
)
def go_together(w: World, a: Somebody, b: Somebody, p: str, d: str) -> None:
    w.check(a is not b, "self", f"{a.name} goes with {a.name}")
    a.place = b.place = p


@event("{a} [took|brought] the {x} to the {p}[.| too.]")
def takes(w: World, a: Somebody, x: Thing, p: str) -> None:
    w.check(x.holder == a.name, "holder", f"{a.name} does not have the {x.noun}")
    w.check(a.place in ("", p), "place", f"{a.name} is at the {a.place}, not the {p}")
    a.place = p


@event(
    "[On the way|Near the path|By the road], {a} saw {x:a}.",
    "{a} saw {x:a} [on the way|near the path|by the road].",
)
def sees(w: World, a: Somebody, x: Thing) -> None:
    a.knows[x.noun] = "outside"


@event("{a} {h:past} the {x}[.| with care.| for a while.| again and again.]")
def handles(w: World, a: Somebody, x: Thing, h: str) -> None:
    w.check(x.holder == a.name, "holder", f"{a.name} does not have the {x.noun}")
    w.check(not x.state & {"lost", "stuck"}, "state", f"the {x.noun} is {' '.join(x.state)}")


@event("{a} played with the {x} [all day|all morning|for a long time|in the grass].")
def plays_with(w: World, a: Somebody, x: Thing) -> None:
    w.check(x.holder == a.name, "holder", f"{a.name} does not have the {x.noun}")
    w.check(not x.state & {"lost", "stuck", "broken"}, "state", f"the {x.noun} is {' '.join(x.state)}")


@event("They {v:past} together [all day|for a while|in the sun|and laughed a lot].")
def together(w: World, v: str) -> None:
    w.check(len(w.people) > 1, "alone", "nobody else is there to do it together")


# ------------------------------------------------------------------------------------- facts
@event(
    "[In the evening|After that|Later], {a} was {r}, so {a:she} {o}.",
    "Because {a} was {r}, {a:she} {o}.",
    r=frozenset(NEEDS),
    o=frozenset(NEEDS.values()),
)
def needs(w: World, a: Somebody, r: str, o: str) -> None:
    w.check(NEEDS[r] == o, "fact", f"one who is {r} {NEEDS[r]}")


@event(
    "The next day, {a} wanted to {r}, so {a:she} went to the {o}.",
    "[The next day|The day after], {a} went to the {o} to {r}.",
    r=frozenset(ERRANDS),
    o=frozenset(ERRANDS.values()),
)
def errand(w: World, a: Somebody, r: str, o: str) -> None:
    w.check(ERRANDS[r] == o, "fact", f"to {r} one goes to the {ERRANDS[r]}")
    a.place = o


@event('"{o}!" said the {k}.', o=frozenset(words.ANIMAL_SOUND.values()))
def animal_says(w: World, k: str, o: str) -> None:
    w.check(words.ANIMAL_SOUND.get(k) == o, "fact", f"a {k} does not say {o}")


# ------------------------------------------------------------------------------------- feelings
@event("{a} [was|felt] [very |so |]{f}.")
def feels(w: World, a: Somebody, f: str) -> None:
    good = f in words.GOOD_FEELINGS
    w.check(a.mood == 0 or (a.mood > 0) == good, "mood", f"{a.name} has no reason to be {f}")


@event("{a} [began to cry|started to cry|cried and cried].")
def cries(w: World, a: Somebody) -> None:
    w.check(a.mood < 0, "mood", f"{a.name} has no reason to cry")


@event("{a} [smiled|laughed|jumped for joy].", "{a} clapped {a:her} hands.")
def smiles(w: World, a: Somebody) -> None:
    w.check(a.mood >= 0, "mood", f"{a.name} has no reason to smile")


@event(
    '"Why are you [so |]{f}, {a:name}?" asked {b:name}.',
    '{b} asked, "What is wrong, {a:name}? You look {f}."',
    "{b} saw that {a:name} was {f}.",
)
def asks_why(w: World, a: Somebody, b: Somebody, f: str) -> None:
    w.check(a is not b, "self", f"{a.name} talks to {a.name}")
    w.check(a.mood < 0 and f in words.BAD_FEELINGS, "mood", f"{a.name} is not {f}")


@event('"Thank you[| so much], {b:name}!" said {a:name}.', "{a} thanked {b:obj} [and smiled|with a big hug].")
def thanks(w: World, a: Somebody, b: Somebody) -> None:
    w.check(a is not b, "self", f"{a.name} thanks {a.name}")
    w.check(f"{b.name} was good" in w.done, "thanks", f"{b.name} did nothing to be thanked for")


@event("{a} hugged {b:obj}[.| and smiled.]", "{a} gave {b:obj} a big hug.")
def hugs(w: World, a: Somebody, b: Somebody) -> None:
    w.check(a is not b, "self", f"{a.name} hugs {a.name}")


@event('"[What a day|Let us go home now]," said {a:name}.')
def speaks(w: World, a: Somebody) -> None:
    """Words that are always true."""


# ------------------------------------------------------------------------------------- endings
@event(
    "{a} learned that {o}.",
    "That day, {a} learned that {o}.",
    feature="moral value",
    o=frozenset(MORALS.values()),
)
def learns(w: World, a: Somebody, o: str) -> None:
    theme = next(theme for theme, moral in MORALS.items() if moral == o)
    w.check(theme in w.done, "moral", f"nothing in the story shows that {o}")


@event(
    "From that day on, {a:name} and {b:name} were [best|good] friends.",
    "{a:name} and {b:name} went home [together|hand in hand] and were happy.",
    "{a:name} and {b:name} had a [wonderful|great|lovely] day.",
)
def happy_end(w: World, a: Somebody, b: Somebody) -> None:
    w.check(a is not b, "self", f"{a.name} is a friend of {a.name}")
    w.check(a.mood >= 0 and b.mood >= 0, "mood", "somebody is still sad")


@event("{a} went home [with a big smile|with a happy heart|and told Mom about the day].")
def goes_home(w: World, a: Somebody) -> None:
    w.check(a.mood >= 0, "mood", f"{a.name} is still sad")


@event(
    "{a} went home and was sad[.| all evening.| for a long time.]",
    "It was a sad day for {a:name}.",
    feature="bad ending",
)
def sad_end(w: World, a: Somebody) -> None:
    w.check(a.mood < 0, "mood", f"{a.name} has no reason to be sad")
