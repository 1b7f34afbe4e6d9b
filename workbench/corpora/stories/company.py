"""More events: what children do with one another. They share, trade, choose, hide and make friends."""

from workbench.corpora.stories import words
from workbench.corpora.stories.events import event, everybody, gives, good
from workbench.corpora.stories.world import Somebody, Thing, World


# ------------------------------------------------------------------------------------- wanting and sharing
@event()
def wants_turn(w: World, b: Somebody, x: Thing) -> None:
    w.check(x.holder != b.name, "holder", f"{b.name} has the {x.noun} already")
    b.wants = x.noun


@event(feature="conflict")
def refuses(w: World, a: Somebody, x: Thing) -> None:
    w.check(x.holder == a.name, "holder", f"{a.name} does not have the {x.noun}")
    w.done.add("share")
    wanted = [somebody for somebody in w.people.values() if somebody.wants == x.noun]
    w.check(wanted, "want", f"nobody asked for the {x.noun}")
    for somebody in wanted:
        somebody.mood = -1


@event(two="ab", feature="conflict")
def quarrel(w: World, a: Somebody, b: Somebody) -> None:
    w.done.add("quarrel")
    a.mood = b.mood = -1


@event()
def suggests_turns(w: World, c: Somebody) -> None:
    w.check(any(somebody.wants for somebody in w.people.values()), "want", "nobody wants a turn")
    good(w, c, "share")


@event(two="ab")
def share(w: World, a: Somebody, b: Somebody, x: Thing) -> None:
    w.check(x.holder == a.name, "holder", f"{a.name} does not have the {x.noun}")
    w.check(b.wants == x.noun, "want", f"{b.name} did not ask for the {x.noun}")
    good(w, a, "share", a, b)


@event(feature="bad ending")
def runs_away(w: World, a: Somebody, x: Thing) -> None:
    w.done.add("share")
    x.holder = a.name
    everybody(w, mood=-1)


# ------------------------------------------------------------------------------------- trading and choosing
@event()
def wants_other(w: World, a: Somebody, x: Thing, y: Thing) -> None:
    x.owner = x.holder = a.name
    a.wants = y.noun


@event()
def asks_trade(w: World, a: Somebody) -> None:
    w.check(a.wants, "want", f"{a.name} wants nothing")


@event()
def trade(w: World, a: Somebody, b: Somebody, x: Thing, y: Thing) -> None:
    gives(w, a, b, x)
    gives(w, b, a, y)
    w.check(a.wants == y.noun, "want", f"{a.name} did not want the {y.noun}")
    good(w, b, "share", a, b)


@event()
def now_have(w: World, a: Somebody, b: Somebody, x: Thing, y: Thing) -> None:
    w.check(x.holder == a.name, "holder", f"{a.name} does not have the {x.noun}")
    w.check(y.holder == b.name, "holder", f"{b.name} does not have the {y.noun}")


@event()
def offers(w: World, c: Somebody, x: Thing, y: Thing, a: Somebody | None = None) -> None:
    x.holder = y.holder = x.owner = y.owner = c.name


@event(two="ac")
def asks_which(w: World, a: Somebody, c: Somebody) -> None:
    """Anybody may be asked."""


@event()
def does_not_want(w: World, a: Somebody, x: Thing) -> None:
    w.done.add(f"{a.name} not {x.noun}")


@event()
def wants_it(w: World, a: Somebody, x: Thing) -> None:
    a.wants = x.noun


@event()
def gives_chosen(w: World, c: Somebody, a: Somebody, x: Thing) -> None:
    gives(w, c, a, x)
    w.check(a.wants in ("", x.noun), "want", f"{a.name} wanted the {a.wants}")
    w.check(f"{a.name} not {x.noun}" not in w.done, "want", f"{a.name} did not want the {x.noun}")
    good(w, c, "kind", a)


# ------------------------------------------------------------------------------------- putting away
@event()
def puts_in(w: World, a: Somebody, x: Thing, y: Thing) -> None:
    w.check(x.holder == a.name, "holder", f"{a.name} does not have the {x.noun}")
    w.check(y.noun in words.CONTAINERS, "sense", f"nothing fits in a {y.noun}")
    x.holder, x.spot = "", f"in the {y.noun}"
    a.knows[x.noun] = x.spot


@event()
def two_there(w: World, p: str, x: Thing, y: Thing) -> None:
    x.spot = y.spot = ""


@event()
def opens(w: World, a: Somebody, x: Thing, y: Thing) -> None:
    w.check(x.spot == f"in the {y.noun}", "spot", f"the {x.noun} is not in the {y.noun}")
    x.holder, x.spot = a.name, ""
    w.done.add("care")


# ------------------------------------------------------------------------------------- afraid and brave
@event()
def fears(w: World, a: Somebody, x: Thing) -> None:
    a.fears, a.mood = x.noun, -1


@event(two="ab")
def encourages(w: World, a: Somebody, b: Somebody) -> None:
    w.check(a.fears, "fear", f"{a.name} is not afraid")
    good(w, b, "help")


@event()
def tries(w: World, a: Somebody) -> None:
    w.check(a.fears, "fear", f"{a.name} is not afraid")
    w.done.add("brave")


@event()
def is_brave(w: World, a: Somebody, x: Thing) -> None:
    w.check(a.fears == x.noun and "brave" in w.done, "fear", f"{a.name} was not afraid of the {x.noun}")
    a.fears, a.mood = "", 1


@event(feature="bad ending")
def gives_up(w: World, a: Somebody) -> None:
    w.check(a.fears, "fear", f"{a.name} is not afraid")


# ------------------------------------------------------------------------------------- new friends
@event(introduces="b")
def meets(w: World, a: Somebody, b: Somebody, k: str) -> None:
    b.kind = k
    w.check(words.KINDS.get(k, b.gender) == b.gender, "gender", f"{b.name} is not a {k}")


@event()
def asks_friend(w: World, a: Somebody) -> None:
    w.check(len(w.people) > 1, "alone", "nobody else is there")


@event()
def agrees(w: World, b: Somebody, v: str, a: Somebody | None = None) -> None:
    w.check(a is not b, "self", f"{b.name} talks to {b.name}")
    good(w, b, "kind", *w.people.values())


@event(feature="conflict")
def sends_away(w: World, b: Somebody) -> None:
    w.done.add("kind")
    for somebody in w.people.values():
        if somebody is not b:
            somebody.mood = -1


@event(two="ab")
def hungry(w: World, a: Somebody, b: Somebody, x: Thing) -> None:
    x.owner = x.holder = a.name


@event()
def feeds(w: World, a: Somebody, b: Somebody, x: Thing) -> None:
    gives(w, a, b, x)
    eats = words.ANIMAL_FOOD.get(b.kind, x.noun)
    w.check(eats == x.noun, "fact", f"a {b.kind} eats {eats}, not {x.noun}")
    good(w, a, "kind", b)


# ------------------------------------------------------------------- hiding, and strange noises
@event()
def hide_and_seek(w: World, a: Somebody | None = None) -> None:
    w.check(len(w.people) > 1, "alone", "nobody else is there")


@event()
def hides_self(w: World, b: Somebody, s: str) -> None:
    b.spot = s
    b.knows[b.name] = s


@event(two="ab")
def misses(w: World, a: Somebody, b: Somebody, s: str) -> None:
    w.check(b.spot and b.spot != s, "spot", f"{b.name} is not hiding elsewhere")
    w.check(s not in w.searched, "search", f"{a.name} looked {s} before")
    w.searched.add(s)
    w.done.add("again")


@event(two="ab")
def finds_person(w: World, a: Somebody, b: Somebody, s: str) -> None:
    w.check(b.spot == s, "spot", f"{b.name} is not {s}")
    b.spot = ""
    a.mood = b.mood = 1


@event()
def hears(w: World, a: Somebody, s: str) -> None:
    w.done.add(f"noise {s}")
    a.mood = -1


@event()
def suspects(w: World, a: Somebody) -> None:
    w.check(any(d.startswith("noise") for d in w.done), "noise", "there was no noise")


@event(feature="plot twist")
def only_an_animal(w: World, k: str, a: Somebody | None = None) -> None:
    w.check(any(d.startswith("noise") for d in w.done), "noise", "there was no noise")
    w.done.add("brave")
    everybody(w, mood=1)
