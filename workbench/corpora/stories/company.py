"""What children do with one another: share, trade, choose, hide, make friends, and be brave.

More events, in the way of `events`.
"""

from workbench.corpora.stories import words
from workbench.corpora.stories.events import event, gives, good, not_alone
from workbench.corpora.stories.world import Somebody, Thing, World


# ------------------------------------------------------------------------------------- wanting and sharing
@event('"Can I play with the {x}?" asked {b:name}.', "{b} wanted to play with the {x} too.")
def wants_turn(w: World, b: Somebody, x: Thing) -> None:
    w.check(x.holder != b.name, "holder", f"{b.name} has the {x.noun} already")
    b.wants = x.noun


@event(
    '"No, the {x} is mine!" said {a:name}.',
    '"No! You cannot have my {x}," said {a:name}.',
    "{a} did not want to share the {x}.",
    feature="conflict",
)
def refuses(w: World, a: Somebody, x: Thing) -> None:
    w.check(x.holder == a.name, "holder", f"{a.name} does not have the {x.noun}")
    w.done.add("share")
    wanted = [somebody for somebody in w.people.values() if somebody.wants == x.noun]
    w.check(wanted, "want", f"nobody asked for the {x.noun}")
    for somebody in wanted:
        somebody.mood = -1


@event("{a:name} and {b:name} [shouted at each other|pulled and pulled|began to argue].", feature="conflict")
def quarrel(w: World, a: Somebody, b: Somebody) -> None:
    not_alone(w, a, b)
    w.done.add("quarrel")
    a.mood = b.mood = -1


@event(
    '"You can take turns," said {c:name}.',
    '{c} said, "Please be nice. You can share."',
    "{c} told them to take turns.",
)
def suggests_turns(w: World, c: Somebody) -> None:
    w.check(any(somebody.wants for somebody in w.people.values()), "want", "nobody wants a turn")
    good(w, c, "share")


@event("So {a:name} and {b:name} took turns with the {x}.", "Then {a:name} shared the {x} with {b:name}.")
def share(w: World, a: Somebody, b: Somebody, x: Thing) -> None:
    not_alone(w, a, b)
    w.check(x.holder == a.name, "holder", f"{a.name} does not have the {x.noun}")
    w.check(b.wants == x.noun, "want", f"{b.name} did not ask for the {x.noun}")
    good(w, a, "share", a, b)


@event("{a} took the {x} and ran away.", feature="bad ending")
def runs_away(w: World, a: Somebody, x: Thing) -> None:
    w.done.add("share")
    x.holder = a.name
    for somebody in w.people.values():
        somebody.mood = -1


# ------------------------------------------------------------------------------------- trading and choosing
@event("{a} had {x:a}, but {a:she} wanted {y:a}.")
def wants_other(w: World, a: Somebody, x: Thing, y: Thing) -> None:
    x.owner = x.holder = a.name
    a.wants = y.noun


@event('"Do you want to trade?" asked {a:name}.', "{a} wanted to trade.")
def asks_trade(w: World, a: Somebody) -> None:
    w.check(a.wants, "want", f"{a.name} wants nothing")


@event("So {a:name} gave {b:name} the {x}, and {b:name} gave {a:name} the {y}.")
def trade(w: World, a: Somebody, b: Somebody, x: Thing, y: Thing) -> None:
    gives(w, a, b, x)
    gives(w, b, a, y)
    w.check(a.wants == y.noun, "want", f"{a.name} did not want the {y.noun}")
    good(w, b, "share", a, b)


@event("Now {a:name} had the {x} and {b:name} had the {y}.")
def now_have(w: World, a: Somebody, b: Somebody, x: Thing, y: Thing) -> None:
    w.check(x.holder == a.name, "holder", f"{a.name} does not have the {x.noun}")
    w.check(y.holder == b.name, "holder", f"{b.name} does not have the {y.noun}")


@event("{c} had {x:a} and {y:a}[.| for lunch.| in a bag.]", "{c} brought {x:a} and {y:a} for {a:name}.")
def offers(w: World, c: Somebody, x: Thing, y: Thing, a: Somebody | None = None) -> None:
    x.holder = y.holder = x.owner = y.owner = c.name


@event('"Which one do you want, {a:name}?" asked {c:name}.', "{c} asked {a:name} to choose one.")
def asks_which(w: World, a: Somebody, c: Somebody) -> None:
    not_alone(w, a, c)


@event("{a} did not want the {x}.", '"I do not want the {x}," said {a:name}.')
def does_not_want(w: World, a: Somebody, x: Thing) -> None:
    w.done.add(f"{a.name} not {x.noun}")


@event("{a} wanted the {x}.", '"I want the {x}, please," said {a:name}.')
def wants_it(w: World, a: Somebody, x: Thing) -> None:
    a.wants = x.noun


@event("So {c:name} gave {a:name} the {x}.")
def gives_chosen(w: World, c: Somebody, a: Somebody, x: Thing) -> None:
    gives(w, c, a, x)
    w.check(a.wants in ("", x.noun), "want", f"{a.name} wanted the {a.wants}")
    w.check(f"{a.name} not {x.noun}" not in w.done, "want", f"{a.name} did not want the {x.noun}")
    good(w, c, "kind", a)


# ------------------------------------------------------------------------------------- putting away
@event("{a} put the {x} in the {y}.")
def puts_in(w: World, a: Somebody, x: Thing, y: Thing) -> None:
    w.check(x.holder == a.name, "holder", f"{a.name} does not have the {x.noun}")
    w.check(y.noun in words.CONTAINERS, "sense", f"nothing fits in a {y.noun}")
    x.holder, x.spot = "", f"in the {y.noun}"
    a.knows[x.noun] = x.spot


@event("In the {p}, there was {x:a} and {y:a}.")
def two_there(w: World, p: str, x: Thing, y: Thing) -> None:
    x.spot = y.spot = ""


@event("{a} opened the {y} and saw the {x}.", "{a} looked in the {y} and found the {x}.")
def opens(w: World, a: Somebody, x: Thing, y: Thing) -> None:
    w.check(x.spot == f"in the {y.noun}", "spot", f"the {x.noun} is not in the {y.noun}")
    x.holder, x.spot = a.name, ""
    w.done.add("care")


# ------------------------------------------------------------------------------------- afraid and brave
@event("But {a} was [very |]afraid of the {x}.", "{a} was [very |]afraid of the {x}.")
def fears(w: World, a: Somebody, x: Thing) -> None:
    a.fears, a.mood = x.noun, -1


@event(
    '"You can do it, {a:name}. [Hold|Take] my hand," said {b:name}.',
    '"Be brave, {a:name}," said {b:name}.',
    "{b} took {a:name} by the hand.",
)
def encourages(w: World, a: Somebody, b: Somebody) -> None:
    not_alone(w, a, b)
    w.check(a.fears, "fear", f"{a.name} is not afraid")
    good(w, b, "help")


@event("{a} took a deep breath and [tried|walked on|went on].")
def tries(w: World, a: Somebody) -> None:
    w.check(a.fears, "fear", f"{a.name} is not afraid")
    w.done.add("brave")


@event("Now {a} was not afraid of the {x} anymore.")
def is_brave(w: World, a: Somebody, x: Thing) -> None:
    w.check(a.fears == x.noun and "brave" in w.done, "fear", f"{a.name} was not afraid of the {x.noun}")
    a.fears, a.mood = "", 1


@event("{a} turned around and ran home.", feature="bad ending")
def gives_up(w: World, a: Somebody) -> None:
    w.check(a.fears, "fear", f"{a.name} is not afraid")


# ------------------------------------------------------------------------------------- new friends
@event("There, {a} met {k:a} named {b:name}.", "Near a tree, {a} met {k:a} named {b:name}.", introduces="b")
def meets(w: World, a: Somebody, b: Somebody, k: str) -> None:
    b.kind = k
    w.check(words.KINDS.get(k, b.gender) == b.gender, "gender", f"{b.name} is not a {k}")


@event('"[Will you be|Do you want to be] my friend?" asked {a:name}.', "{a} wanted to make a friend.")
def asks_friend(w: World, a: Somebody) -> None:
    w.check(len(w.people) > 1, "alone", "nobody else is there")


@event(
    '"Yes, {a:name}! Let us {v}," said {b:name}.',
    '"Yes, let us {v} together," said {b:name}.',
    "{b} smiled, and they began to {v}.",
    "{b} smiled at {a:name}, and they began to {v}.",
)
def agrees(w: World, b: Somebody, v: str, a: Somebody | None = None) -> None:
    w.check(a is not b, "self", f"{b.name} talks to {b.name}")
    good(w, b, "kind", *w.people.values())


@event('"Go away!" said {b:name}.', "{b} did not want to play[.| with anybody.]", feature="conflict")
def sends_away(w: World, b: Somebody) -> None:
    w.done.add("kind")
    for somebody in w.people.values():
        if somebody is not b:
            somebody.mood = -1


@event("{b} was hungry, and {a:name} had {x:a}.")
def hungry(w: World, a: Somebody, b: Somebody, x: Thing) -> None:
    not_alone(w, a, b)
    x.owner = x.holder = a.name


@event("{a} gave {b:name} the {x} to eat.")
def feeds(w: World, a: Somebody, b: Somebody, x: Thing) -> None:
    gives(w, a, b, x)
    eats = words.ANIMAL_FOOD.get(b.kind, x.noun)
    w.check(eats == x.noun, "fact", f"a {b.kind} eats {eats}, not {x.noun}")
    good(w, a, "kind", b)


# ------------------------------------------------------------------- hiding, and strange noises
@event("They played hide and seek.", '"Let us play hide and seek!" said {a:name}.')
def hide_and_seek(w: World, a: Somebody | None = None) -> None:
    w.check(len(w.people) > 1, "alone", "nobody else is there")


@event("{b} hid {s}.")
def hides_self(w: World, b: Somebody, s: str) -> None:
    b.spot = s
    b.knows[b.name] = s


@event("{a} looked {s}, but {b:name} was not there.")
def misses(w: World, a: Somebody, b: Somebody, s: str) -> None:
    not_alone(w, a, b)
    w.check(b.spot and b.spot != s, "spot", f"{b.name} is not hiding elsewhere")
    w.check(s not in w.searched, "search", f"{a.name} looked {s} before")
    w.searched.add(s)
    w.done.add("again")


@event("Then {a} looked {s} and found {b:name}!")
def finds_person(w: World, a: Somebody, b: Somebody, s: str) -> None:
    not_alone(w, a, b)
    w.check(b.spot == s, "spot", f"{b.name} is not {s}")
    b.spot = ""
    a.mood = b.mood = 1


@event("{a} heard a [strange|scary|funny] noise {s}.")
def hears(w: World, a: Somebody, s: str) -> None:
    w.done.add(f"noise {s}")
    a.mood = -1


@event('"Is it a monster?" asked {a:name}.', "{a} thought it was a monster.")
def suspects(w: World, a: Somebody) -> None:
    w.check(any(d.startswith("noise") for d in w.done), "noise", "there was no noise")


@event("But it was only {k:a}!", "{a} looked and saw that it was only {k:a}!", feature="plot twist")
def only_an_animal(w: World, k: str, a: Somebody | None = None) -> None:
    w.check(any(d.startswith("noise") for d in w.done), "noise", "there was no noise")
    w.done.add("brave")
    for somebody in w.people.values():
        somebody.mood = 1
