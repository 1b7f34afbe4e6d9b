"""The table of plots, and scenes that every plot uses: who plays, how it begins, what is owed at its end."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from workbench.corpora.stories import words
from workbench.corpora.stories.events import ERRANDS, MORALS, NEEDS
from workbench.corpora.stories.writer import Writer


@dataclass(frozen=True)
class Cast:
    """Who plays: hero, friend, grown-up; and where."""

    hero: str
    friend: str
    grown_up: str
    place: str


PLOTS: dict[str, Callable[[Writer, Cast], str]] = {}
# features a plot brings by itself when asked; any other is added before or after it
OWN_FEATURES: dict[str, frozenset[str]] = {}
# what everybody's story can have: it is not for the plot to bring
COMMON_FEATURES = frozenset({"dialogue", "moral value"})


def plot(*features: str) -> Callable:
    """Registers a plot and the features it can bring by itself."""

    def register(function: Callable[[Writer, Cast], str]) -> Callable[[Writer, Cast], str]:
        name = function.__name__.replace("_", " ")
        PLOTS[name], OWN_FEATURES[name] = function, frozenset(features)
        return function

    return register


def outside(plot: str, features: frozenset[str]) -> frozenset[str]:
    """The features asked for that this plot does not bring; a plot with a bad ending brings no twist."""
    brought = OWN_FEATURES[plot] - ({"plot twist"} if "bad ending" in features else set())
    return features - brought - COMMON_FEATURES


def cast(random: Random, narrow: float = 1.0) -> Cast:
    """Draws who plays and where; `narrow` is the power of the weights."""
    girls, boys = _common(random, words.GIRLS, 2, narrow), _common(random, words.BOYS, 2, narrow)
    hero, friend = random.choice(
        [(girls[0], boys[0]), (boys[0], girls[0]), (girls[0], girls[1]), (boys[0], boys[1])]
    )
    grown_up = random.choice(["Mom", "Mom", "Dad", "Grandma", "Grandpa"])
    return Cast(hero, friend, grown_up, _common(random, words.PLACES[:16], 1, narrow)[0])


def _common(random: Random, options: list[str], n: int, narrow: float) -> list[str]:
    weights = [(1 / (rank + 3)) ** narrow for rank in range(len(options))]
    chosen: list[str] = []
    while len(chosen) < n:
        name = random.choices(options, weights)[0]
        if name not in chosen:
            chosen.append(name)
    return chosen


# ------------------------------------------------------------------------------------- beginnings
def begin(t: Writer, c: Cast) -> None:
    """Introduces the hero, how the hero is and what the hero loves to do."""
    kind = "girl" if words.GENDER[c.hero] == "f" else "boy"
    t.say("introduce", a=c.hero, t=t.choose(words.TRAITS, kind="adjective"), k=kind)
    if t.misses("adjective", words.FEELINGS):
        t.say("feels", a=c.hero, f=t.choose(words.FEELINGS, kind="adjective"))
    if t.misses("verb", words.HANDLING):
        possess(t, c.hero, words.TREASURES)
    elif t.misses("verb", words.ACTIVITIES) or t.random.random() < 0.6:
        t.say("loves", a=c.hero, v=t.choose(words.ACTIVITIES, kind="verb"))


def meet_friend(t: Writer, c: Cast) -> None:
    """Introduces the friend, if not there yet: a friend, a brother or a sister."""
    if c.friend not in t.world.people:
        sibling = "sister" if words.GENDER[c.friend] == "f" else "brother"
        t.say(t.random.choice(["befriended", "befriended", sibling]), a=c.hero, b=c.friend)


def set_out(t: Writer, c: Cast, *, both: bool = False) -> None:
    """Goes to the place of the story, and sees what the wanted words ask for on the way."""
    if both:
        meet_friend(t, c)
    t.paragraph()
    day = t.misses("adjective", words.DAYS) or t.random.random() < 0.4
    if both:
        t.say("go_together", a=c.hero, b=c.friend, p=c.place, d=t.choose(words.DAYS, kind="adjective"))
    elif day:
        t.say("goes_on_day", a=c.hero, p=c.place, d=t.choose(words.DAYS, kind="adjective"))
    else:
        t.say("goes", a=c.hero, p=c.place)
    if "foreshadowing" in t.outside:
        t.say("clouds")
    see_wanted(t, c)


def see_wanted(t: Writer, c: Cast) -> None:
    """The hero sees a wanted thing that has no other part in the story."""
    if t.misses("noun", words.NOUNS) or t.misses("adjective", words.LOOKS):
        t.say("sees", a=c.hero, x=t.thing(words.OUTSIDE + words.NOUNS))


def possess(t: Writer, who: str, options: list[str]) -> str:
    """Somebody has a thing, and handles it if a verb asks for that."""
    thing = t.thing(options)
    t.say("has", a=who, x=thing)
    if t.misses("verb", words.HANDLING):
        t.say("handles", a=who, x=thing, h=t.choose(words.HANDLING, kind="verb"))
    return thing


def is_sad(t: Writer, who: str) -> None:
    """Somebody is sad, which shows."""
    if t.random.random() < 0.4:
        t.say("cries", a=who)
    else:
        t.say("feels", a=who, f=t.feeling(good=False))


# ------------------------------------------------------------------- what a plot does not bring
def before(t: Writer, c: Cast) -> None:
    """A quarrel at the start, when one is asked for and the plot has none; a surprise, before a sad end."""
    if "conflict" in t.outside:
        meet_friend(t, c)
        t.say("quarrel", a=c.hero, b=c.friend)
        t.say("make_up", a=c.hero, b=c.friend)
    if {"plot twist", "bad ending"} <= t.features and "plot twist" in t.outside:
        mistaken_noise(t, c)


def mistaken_noise(t: Writer, c: Cast) -> None:
    """A noise that is not what it seems: a twist for any plot."""
    t.say("hears", a=c.hero, s=t.spot())
    t.say("only_an_animal", k=t.choose(words.ANIMALS, kind="noun"))


def after(t: Writer, c: Cast) -> None:
    """The wanted words and features that have not come yet."""
    t.paragraph()
    see_wanted(t, c)
    if t.misses("adjective", words.DAYS):
        t.say("goes_on_day", a=c.hero, p=c.place, d=t.choose(words.DAYS, kind="adjective"))
    if "foreshadowing" in t.outside:
        if not any(sentence.event == "clouds" for sentence in t.sentences):
            t.say("clouds")
        t.say("rains")
    if "plot twist" in t.outside and "bad ending" not in t.features:
        mistaken_noise(t, c)
    if "bad ending" in t.outside:
        thing = t.thing(words.TREASURES)
        t.say("has", a=c.hero, x=thing)
        t.say("loses", a=c.hero, x=thing)


def end(t: Writer, c: Cast) -> None:
    """A fact that everybody knows, the moral, and how it ends."""
    bad = "bad ending" in t.features
    if not bad and t.random.random() < 0.6:
        event, facts = t.random.choice([("needs", NEEDS), ("errand", ERRANDS)])
        reason = t.random.choice(list(facts))
        t.say(event, a=c.hero, r=reason, o=facts[reason])
    themes = [theme for theme in MORALS if theme in t.world.done]
    if "moral value" in t.features and themes:
        t.say("learns", a=c.hero, o=MORALS[t.random.choice(themes)])
    if "dialogue" in t.features and not any('"' in sentence.text for sentence in t.sentences):
        t.say("speaks", a=c.hero)
    hero, friend = t.world.people[c.hero], t.world.people.get(c.friend)
    if bad:
        t.say("sad_end", a=c.hero)
    elif friend and friend.mood >= 0 and t.random.random() < 0.6:
        t.say("happy_end", a=c.hero, b=c.friend)
    else:
        t.say("goes_home", a=hero.name)
