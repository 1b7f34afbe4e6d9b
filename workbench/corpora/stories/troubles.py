"""More events: things lost, broken, stuck, forbidden or fallen down; how it is mended; and the weather."""

from workbench.corpora.stories import words
from workbench.corpora.stories.events import event, everybody, gives, good
from workbench.corpora.stories.world import Somebody, Thing, World


# ------------------------------------------------------------------------------------- lost and found
@event()
def loses(w: World, a: Somebody, x: Thing) -> None:
    w.check(x.holder == a.name, "holder", f"{a.name} does not have the {x.noun}")
    w.check("lost" not in x.state, "state", f"the {x.noun} is lost already")
    x.holder, a.mood = "", -1
    x.state.add("lost")
    w.done.add("care")


@event()
def tells_loss(w: World, a: Somebody, x: Thing) -> None:
    w.check("lost" in x.state and x.owner == a.name, "loss", f"{a.name} did not lose the {x.noun}")


@event(two="ab")
def offers_help(w: World, a: Somebody, b: Somebody) -> None:
    w.check(a.mood < 0, "mood", f"{a.name} needs no help")
    good(w, b, "help")


@event()
def searches(w: World, s: str, a: Somebody | None = None, x: Thing | None = None) -> None:
    w.check(any("lost" in thing.state for thing in w.things.values()), "loss", "nothing is lost")
    w.check(s not in w.searched, "search", f"they looked {s} before")
    w.searched.add(s)


@event()
def finds(w: World, b: Somebody, x: Thing, s: str) -> None:
    w.check("lost" in x.state, "loss", f"the {x.noun} is not lost")
    w.check(s not in w.searched, "search", f"it was not {s} when they looked")
    x.state.discard("lost")
    x.holder, x.spot = b.name, ""
    w.people.get(x.owner, b).mood = 1


@event(feature="plot twist")
def had_it_all_along(w: World, a: Somebody, x: Thing) -> None:
    w.check("lost" in x.state, "loss", f"the {x.noun} is not lost")
    x.state.discard("lost")
    x.holder, a.mood = a.name, 1


@event(feature="bad ending")
def never_found(w: World, x: Thing) -> None:
    w.check("lost" in x.state, "loss", f"the {x.noun} is not lost")


# ------------------------------------------------------------------------------------- giving
@event()
def gives_to(w: World, a: Somebody, b: Somebody, x: Thing) -> None:
    gives(w, a, b, x)
    good(w, a, "kind", b)


@event(two="ab")
def plans_gift(w: World, a: Somebody, b: Somebody) -> None:
    """Anybody may want to."""


@event()
def makes(w: World, a: Somebody, x: Thing) -> None:
    w.check(x.noun in words.MAKEABLE, "sense", f"nobody makes a {x.noun}")
    x.owner = x.holder = a.name


@event()
def hides(w: World, a: Somebody, x: Thing, s: str) -> None:
    w.check(x.holder == a.name, "holder", f"{a.name} does not have the {x.noun}")
    x.holder, x.spot = "", s
    a.knows[x.noun] = s


@event()
def discovers(w: World, a: Somebody, x: Thing, s: str) -> None:
    w.check(x.spot == s, "spot", f"the {x.noun} is not {s}")
    x.holder, x.spot = a.name, ""
    good(w, w.people.get(x.owner, a), "kind", a)


@event(two="ab", feature="plot twist")
def surprises(w: World, a: Somebody, b: Somebody) -> None:
    good(w, a, "kind", b)


# ------------------------------------------------------------------------------------- broken and mended
@event()
def breaks(w: World, a: Somebody, x: Thing) -> None:
    w.check("broken" not in x.state, "state", f"the {x.noun} is broken already")
    x.state.add("broken")
    w.done |= {"care", f"{a.name} broke {x.noun}"}
    a.mood = -1
    w.people.get(x.owner, a).mood = -1


@event(feature="conflict")
def denies(w: World, a: Somebody) -> None:
    w.check(any(d.startswith(f"{a.name} broke") for d in w.done), "blame", f"{a.name} did nothing")


@event(two="ab")
def confesses(w: World, a: Somebody, b: Somebody, x: Thing) -> None:
    w.check(f"{a.name} broke {x.noun}" in w.done, "blame", f"{a.name} did not break the {x.noun}")
    w.check(x.owner == b.name, "owner", f"the {x.noun} is not {b.name}'s")
    w.done |= {"truth", f"{a.name} is sorry"}


@event(two="ab")
def forgives(w: World, a: Somebody, b: Somebody) -> None:
    w.check(f"{a.name} is sorry" in w.done, "sorry", f"{a.name} never said sorry")
    a.mood = 0
    good(w, b, "kind")


@event()
def fixes(w: World, x: Thing, y: Thing, a: Somebody | None = None) -> None:
    w.check("broken" in x.state, "state", f"the {x.noun} is not broken")
    w.check(y.noun in words.MENDING, "sense", f"nobody fixes a thing with {y.noun}")
    x.state.discard("broken")
    w.done |= {"again", "care"}
    if a:
        good(w, a, "help")
    everybody(w, mood=1)


@event(feature="bad ending")
def cannot_fix(w: World, x: Thing) -> None:
    w.check("broken" in x.state, "state", f"the {x.noun} is not broken")
    everybody(w, mood=-1)


@event()
def like_new(w: World, x: Thing) -> None:
    w.check("broken" not in x.state, "state", f"the {x.noun} is still broken")


# ------------------------------------------------------------------------------------- stuck and freed
@event()
def gets_stuck(w: World, x: Thing, s: str) -> None:
    w.check(
        s in ("on the roof", "in the nest", "behind the fence", "on the swing"),
        "spot",
        f"it cannot be stuck {s}",
    )
    x.state.add("stuck")
    x.spot = s
    w.done.add("care")
    w.people.get(x.owner, Somebody("", "n")).mood = -1


@event()
def cannot_reach(w: World, a: Somebody) -> None:
    w.check(any("stuck" in thing.state for thing in w.things.values()), "stuck", "nothing is stuck")


@event()
def brings_tool(w: World, b: Somebody, y: Thing) -> None:
    y.owner = y.holder = b.name
    good(w, b, "help")


@event()
def frees(w: World, b: Somebody, x: Thing, y: Thing) -> None:
    w.check("stuck" in x.state, "stuck", f"the {x.noun} is not stuck")
    w.check(y.noun in words.REACHING and y.holder == b.name, "tool", f"{b.name} has no {y.noun} to reach it")
    x.state.discard("stuck")
    x.holder, x.spot = b.name, ""
    good(w, b, "help")
    w.people.get(x.owner, b).mood = 1


@event(feature="bad ending")
def stays_stuck(w: World, x: Thing) -> None:
    w.check("stuck" in x.state, "stuck", f"the {x.noun} is not stuck")


# ------------------------------------------------------------------------------------- forbidden
@event(two="ac")
def forbids(w: World, a: Somebody, c: Somebody, x: Thing) -> None:
    x.state.add("forbidden")


@event()
def disobeys(w: World, a: Somebody, x: Thing) -> None:
    w.check("forbidden" in x.state, "forbidden", f"nobody forbade the {x.noun}")
    w.done.add("listen")
    a.mood = -1


@event()
def hurts(w: World, a: Somebody) -> None:
    w.check("listen" in w.done, "sense", f"nothing could hurt {a.name}")
    a.mood = -1


@event(two="ac")
def will_listen(w: World, a: Somebody, c: Somebody) -> None:
    w.check("listen" in w.done, "sorry", f"{a.name} did nothing wrong")
    w.done.add(f"{a.name} is sorry")


@event(two="ac")
def comforts(w: World, a: Somebody, c: Somebody) -> None:
    good(w, c, "help", a)


# ------------------------------------------------------------------------------------- building
@event(two="ab")
def build(w: World, a: Somebody, b: Somebody, x: Thing) -> None:
    w.check(x.noun in words.BUILDABLE, "sense", f"nobody builds a {x.noun}")
    x.owner = a.name


@event()
def falls_down(w: World, x: Thing, c: Somebody | None = None) -> None:
    w.check("broken" not in x.state, "state", f"the {x.noun} fell down already")
    w.done.add("care")
    x.state.add("broken")
    everybody(w, mood=-1)


@event()
def tries_again(w: World, b: Somebody) -> None:
    w.check(any("broken" in thing.state for thing in w.things.values()), "state", "nothing fell down")
    good(w, b, "again")


@event()
def rebuild(w: World, x: Thing) -> None:
    w.check("broken" in x.state, "state", f"the {x.noun} did not fall down")
    x.state.discard("broken")
    w.done.add("again")
    everybody(w, mood=1)


# ------------------------------------------------------------------------------------- making up
@event(two="ab")
def make_up(w: World, a: Somebody, b: Somebody) -> None:
    w.check("quarrel" in w.done, "quarrel", f"{a.name} and {b.name} did not quarrel")
    a.mood = b.mood = 0
