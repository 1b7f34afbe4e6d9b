"""What can happen in a story: how it is said, what it needs, and what it changes.

Each function is one event. Its patterns in events.txt say it; its body checks that it can happen in the
world and changes the world. Writer and grader share it, so a sentence is understood exactly when it could
have been written, and consistent exactly when it could have happened.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from workbench.corpora.sections import read_sections
from workbench.corpora.stories import words
from workbench.corpora.stories.grammar import Pattern
from workbench.corpora.stories.world import Somebody, Thing, World

_SECTIONS = read_sections(__file__, "events.txt")
MORALS, NEEDS, ERRANDS = (dict(_SECTIONS.pop(name)) for name in ("morals", "needs", "errands"))
_ENTRIES = [entry for entries in _SECTIONS.values() for entry in entries]


@dataclass(frozen=True)
class Event:
    """A kind of event: its name, how it is said, what it does, and the story feature it gives."""

    name: str
    patterns: tuple[Pattern, ...]
    apply: Callable[..., None]
    feature: str = ""
    introduces: str = ""
    two: str = ""


EVENTS: dict[str, Event] = {}


def _patterns(name: str, phrases: Mapping[str, Collection[str]]) -> tuple[Pattern, ...]:
    return tuple(Pattern(name, text, phrases) for event, text in _ENTRIES if event == name)


def event(*, feature: str = "", introduces: str = "", two: str = "", **phrases: Collection[str]) -> Callable:
    """Registers the decorated function as an event.

    Args:
        feature: the story feature that it gives.
        introduces: the slot of somebody who is new to the story.
        two: the slots of two who must not be the same.
        phrases: what the slots `o` and `r` can hold.
    """

    def register(apply: Callable[..., None]) -> Callable[..., None]:
        name = apply.__name__
        EVENTS[name] = Event(name, _patterns(name, phrases), apply, feature, introduces, two)
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


def everybody(w: World, *, mood: int) -> None:
    """All who are there feel the same."""
    for somebody in w.people.values():
        somebody.mood = mood


# ------------------------------------------------------------------- what can always be, and changes nothing
for _name in ("loves", "speaks", "rains"):
    EVENTS[_name] = Event(_name, _patterns(_name, {}), lambda w, **slots: None)
for _name in ("hole_in_bag", "has_crack", "wind", "clouds"):
    EVENTS[_name] = Event(_name, _patterns(_name, {}), lambda w, **slots: None, feature="foreshadowing")


# ------------------------------------------------------------------------------------- beginnings
@event(introduces="a")
def introduce(w: World, a: Somebody, t: str, k: str) -> None:
    a.kind = k
    w.check(words.KINDS.get(k, a.gender) == a.gender, "gender", f"{a.name} is not a {k}")


@event(introduces="b")
def befriended(w: World, a: Somebody, b: Somebody) -> None:
    w.check(a is not b, "self", f"{a.name} is a friend of {a.name}")


@event(introduces="b")
def brother(w: World, a: Somebody, b: Somebody) -> None:
    w.check(b.gender == "m", "gender", f"{b.name} is not a boy")


@event(introduces="b")
def sister(w: World, a: Somebody, b: Somebody) -> None:
    w.check(b.gender == "f", "gender", f"{b.name} is not a girl")


@event()
def has(w: World, a: Somebody, x: Thing) -> None:
    x.owner = x.holder = a.name


@event()
def goes(w: World, a: Somebody, p: str) -> None:
    a.place = p


@event()
def goes_on_day(w: World, a: Somebody, p: str, d: str) -> None:
    a.place = p


@event()
def go_together(w: World, a: Somebody, b: Somebody, p: str, d: str) -> None:
    w.check(a is not b, "self", f"{a.name} goes with {a.name}")
    a.place = b.place = p


@event()
def takes(w: World, a: Somebody, x: Thing, p: str) -> None:
    w.check(x.holder == a.name, "holder", f"{a.name} does not have the {x.noun}")
    w.check(a.place in ("", p), "place", f"{a.name} is at the {a.place}, not the {p}")
    a.place = p


@event()
def sees(w: World, a: Somebody, x: Thing) -> None:
    a.knows[x.noun] = "outside"


@event()
def handles(w: World, a: Somebody, x: Thing, h: str) -> None:
    w.check(x.holder == a.name, "holder", f"{a.name} does not have the {x.noun}")
    w.check(not x.state & {"lost", "stuck"}, "state", f"the {x.noun} is {' '.join(x.state)}")


@event()
def plays_with(w: World, a: Somebody, x: Thing) -> None:
    w.check(x.holder == a.name, "holder", f"{a.name} does not have the {x.noun}")
    w.check(not x.state & {"lost", "stuck", "broken"}, "state", f"the {x.noun} is {' '.join(x.state)}")


@event()
def together(w: World, v: str) -> None:
    w.check(len(w.people) > 1, "alone", "nobody else is there to do it together")


# ------------------------------------------------------------------------------------- facts
@event(r=NEEDS, o=NEEDS.values())
def needs(w: World, a: Somebody, r: str, o: str) -> None:
    w.check(NEEDS[r] == o, "fact", f"one who is {r} {NEEDS[r]}")


@event(r=ERRANDS, o=ERRANDS.values())
def errand(w: World, a: Somebody, r: str, o: str) -> None:
    w.check(ERRANDS[r] == o, "fact", f"to {r} one goes to the {ERRANDS[r]}")
    a.place = o


@event(o=words.ANIMAL_SOUND.values())
def animal_says(w: World, k: str, o: str) -> None:
    w.check(words.ANIMAL_SOUND.get(k) == o, "fact", f"a {k} does not say {o}")


# ------------------------------------------------------------------------------------- feelings
@event()
def feels(w: World, a: Somebody, f: str) -> None:
    good = f in words.GOOD_FEELINGS
    w.check(a.mood == 0 or (a.mood > 0) == good, "mood", f"{a.name} has no reason to be {f}")


@event()
def cries(w: World, a: Somebody) -> None:
    w.check(a.mood < 0, "mood", f"{a.name} has no reason to cry")


@event()
def smiles(w: World, a: Somebody) -> None:
    w.check(a.mood >= 0, "mood", f"{a.name} has no reason to smile")


@event()
def asks_why(w: World, a: Somebody, b: Somebody, f: str) -> None:
    w.check(a is not b, "self", f"{a.name} talks to {a.name}")
    w.check(a.mood < 0 and f in words.BAD_FEELINGS, "mood", f"{a.name} is not {f}")


@event()
def thanks(w: World, a: Somebody, b: Somebody) -> None:
    w.check(a is not b, "self", f"{a.name} thanks {a.name}")
    w.check(f"{b.name} was good" in w.done, "thanks", f"{b.name} did nothing to be thanked for")


@event()
def hugs(w: World, a: Somebody, b: Somebody) -> None:
    w.check(a is not b, "self", f"{a.name} hugs {a.name}")


# ------------------------------------------------------------------------------------- endings
@event(feature="moral value", o=MORALS.values())
def learns(w: World, a: Somebody, o: str) -> None:
    theme = next(theme for theme, moral in MORALS.items() if moral == o)
    w.check(theme in w.done, "moral", f"nothing in the story shows that {o}")


@event()
def happy_end(w: World, a: Somebody, b: Somebody) -> None:
    w.check(a is not b, "self", f"{a.name} is a friend of {a.name}")
    w.check(a.mood >= 0 and b.mood >= 0, "mood", "somebody is still sad")


@event()
def goes_home(w: World, a: Somebody) -> None:
    w.check(a.mood >= 0, "mood", f"{a.name} is still sad")


@event(feature="bad ending")
def sad_end(w: World, a: Somebody) -> None:
    w.check(a.mood < 0, "mood", f"{a.name} has no reason to be sad")
