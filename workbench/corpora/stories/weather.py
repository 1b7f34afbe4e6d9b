"""Things built, blown down and rained on, and making up: the last events, in the way of `events`."""

from workbench.corpora.stories import words
from workbench.corpora.stories.events import event, good, not_alone
from workbench.corpora.stories.world import Somebody, Thing, World


# ------------------------------------------------------------------------------------- building
@event("{a:name} and {b:name} built {x:a}[.| together.]")
def build(w: World, a: Somebody, b: Somebody, x: Thing) -> None:
    not_alone(w, a, b)
    w.check(x.noun in words.BUILDABLE, "sense", f"nobody builds a {x.noun}")
    x.owner = a.name


@event("Then {c} ran into the {x}, and it fell down.", "But the wind blew, and the {x} fell down.")
def falls_down(w: World, x: Thing, c: Somebody | None = None) -> None:
    w.check("broken" not in x.state, "state", f"the {x.noun} fell down already")
    w.done.add("care")
    x.state.add("broken")
    for somebody in w.people.values():
        somebody.mood = -1


@event(
    '"We can build it again," said {b:name}.', '"Let us try again," said {b:name}.', "{b} did not give up."
)
def tries_again(w: World, b: Somebody) -> None:
    w.check(any("broken" in thing.state for thing in w.things.values()), "state", "nothing fell down")
    good(w, b, "again")


@event("They built the {x} again, and it was [even better|bigger than before].")
def rebuild(w: World, x: Thing) -> None:
    w.check("broken" in x.state, "state", f"the {x.noun} did not fall down")
    x.state.discard("broken")
    w.done.add("again")
    for somebody in w.people.values():
        somebody.mood = 1


# ------------------------------------------------------------------------------------- rain, and making up
@event("[Dark|Gray] clouds were in the sky.", "The sky was [dark|gray] that day.", feature="foreshadowing")
def clouds(w: World) -> None:
    w.done.add("clouds")


@event(
    "Then it began to rain, and they [ran under a tree|got wet|ran to a barn].", "Then the rain came down."
)
def rains(w: World) -> None:
    w.done.add("rain")


@event("But soon {a:name} and {b:name} were friends again.", "Then {a:name} and {b:name} said sorry.")
def make_up(w: World, a: Somebody, b: Somebody) -> None:
    not_alone(w, a, b)
    w.check("quarrel" in w.done, "quarrel", f"{a.name} and {b.name} did not quarrel")
    a.mood = b.mood = 0
