"""Forced-choice questions about stories: facts, reasoning by exclusion, and keeping track.

Each is a beginning in the stories' own language and two ways to go on, one of them right; the kinds follow
the prompt tables of TinyStories (Figures 9-11). In the questions about things, the right one is named last as
often as the wrong one, so that position does not answer them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from workbench.corpora.stories import words
from workbench.corpora.stories.events import ERRANDS, NEEDS
from workbench.corpora.stories.scenes import Cast, cast, meet_friend
from workbench.corpora.stories.writer import Writer


@dataclass(frozen=True)
class Probe:
    """A question: which of `right` and `wrong` should follow `beginning`?"""

    kind: str  # fact, reasoning or consistency
    name: str
    beginning: str
    right: str
    wrong: str


_PROBES: list[tuple[str, Callable[[Writer, Cast], tuple[str, str, str]]]] = []


def _probe(kind: str) -> Callable:
    def register(function: Callable) -> Callable:
        _PROBES.append((kind, function))
        return function

    return register


def make_probes(n: int, *, seed: int) -> list[Probe]:
    """n probes of each name, drawn with `seed`; see `Probe`."""
    probes = []
    for kind, function in _PROBES:
        for index in range(n):
            random = Random(f"{seed}/{function.__name__}/{index}")
            writer, players = Writer(random, features=frozenset({"dialogue"})), cast(random)
            girl = words.GENDER[players.hero] == "f"
            writer.say(
                "introduce", a=players.hero, t=writer.choose(words.TRAITS), k="girl" if girl else "boy"
            )
            stub, right, wrong = function(writer, players)
            name = function.__name__.replace("_", " ")
            probes.append(Probe(kind, name, f"{writer.text()} {stub}", f" {right}", f" {wrong}"))
    return probes


def _two(t: Writer, options: list[str]) -> tuple[str, str]:
    """Two words at random, in random order."""
    return tuple(t.random.sample([t.choose(options), t.choose(options)], 2))


@_probe("fact")
def what_one_does(t: Writer, c: Cast) -> tuple[str, str, str]:
    reason, other = t.random.sample(list(NEEDS), 2)
    she = "she" if words.GENDER[c.hero] == "f" else "he"
    return f"Later, {c.hero} was {reason}, so {she}", NEEDS[reason], NEEDS[other]


@_probe("fact")
def where_one_goes(t: Writer, c: Cast) -> tuple[str, str, str]:
    reason, other = t.random.sample(list(ERRANDS), 2)
    she = "she" if words.GENDER[c.hero] == "f" else "he"
    return f"The next day, {c.hero} wanted to {reason}, so {she} went to the", ERRANDS[reason], ERRANDS[other]


@_probe("fact")
def what_animals_eat(t: Writer, c: Cast) -> tuple[str, str, str]:
    kind, other = t.random.sample(list(words.ANIMAL_FOOD), 2)
    animal = t.random.choice(list(words.ANIMAL_NAMES))
    t.say("goes", a=c.hero, p=c.place)
    t.say("meets", a=c.hero, b=animal, k=kind)
    foods = words.article(words.ANIMAL_FOOD[kind]), words.article(words.ANIMAL_FOOD[other])
    return f"{animal} was hungry, and {c.hero} had", *foods


@_probe("reasoning")
def what_one_chose(t: Writer, c: Cast) -> tuple[str, str, str]:
    left, right = _two(t, words.FOODS[:20])
    t.say("offers", c=c.grown_up, x=left, y=right)
    refused, taken = t.random.sample([left, right], 2)
    t.say("asks_which", a=c.hero, c=c.grown_up)
    if t.random.random() < 0.5:
        t.say("does_not_want", a=c.hero, x=refused)
    else:
        t.say("wants_it", a=c.hero, x=taken)
    return f"So {c.grown_up} gave {c.hero} the", taken, refused


@_probe("reasoning")
def what_one_has_after_a_trade(t: Writer, c: Cast) -> tuple[str, str, str]:
    mine, yours = _two(t, words.FOODS[:20])
    meet_friend(t, c)
    t.say("wants_other", a=c.hero, x=mine, y=yours)
    t.say("has", a=c.friend, x=yours)
    t.say("asks_trade", a=c.hero)
    t.say("trade", a=c.hero, b=c.friend, x=mine, y=yours)
    if t.random.random() < 0.5:
        return f"Now {c.hero} had the", yours, mine
    return f"Now {c.friend} had the", mine, yours


@_probe("consistency")
def what_is_in_the_box(t: Writer, c: Cast) -> tuple[str, str, str]:
    first, second = _two(t, words.TOYS[:20])
    here, there = _two(t, words.CONTAINERS)
    meet_friend(t, c)
    t.say("has", a=c.hero, x=first)
    t.say("has", a=c.friend, x=second)
    t.say("puts_in", a=c.hero, x=first, y=here)
    t.say("puts_in", a=c.friend, x=second, y=there)
    if t.random.random() < 0.5:
        return f"{c.hero} opened the {here} and saw the", first, second
    return f"{c.friend} opened the {there} and saw the", second, first


@_probe("consistency")
def where_somebody_hides(t: Writer, c: Cast) -> tuple[str, str, str]:
    spot, other = _two(t, words.SPOTS)
    meet_friend(t, c)
    t.say("hide_and_seek")
    t.say("hides_self", b=c.friend, s=spot)
    t.say("misses", a=c.hero, b=c.friend, s=other)
    return f"Then {c.hero} looked", f"{spot} and found", f"{other} and found"


@_probe("consistency")
def who_is_there(t: Writer, c: Cast) -> tuple[str, str, str]:
    meet_friend(t, c)
    t.say("go_together", a=c.hero, b=c.friend, p=c.place, d=t.choose(words.DAYS))
    names = words.GIRLS if words.GENDER[c.friend] == "f" else words.BOYS
    other = t.choose([name for name in names if name not in (c.hero, c.friend)])
    return f"{c.hero} and", c.friend, other
