"""Things lost, broken, stuck, forbidden and fallen down, and how it is mended.

More events, in the way of `events`.
"""

from workbench.corpora.stories import words
from workbench.corpora.stories.events import event, gives, good, not_alone
from workbench.corpora.stories.world import Somebody, Thing, World


# ------------------------------------------------------------------------------------- lost and found
@event("There was a small hole in {a:name}'s [bag|pocket].", feature="foreshadowing")
def hole_in_bag(w: World, a: Somebody) -> None:
    w.done.add("hint")


@event(
    "But then {a} could not find the {x}.",
    "Then {a} looked around, and the {x} was gone.",
    "But on the way home, {a} lost the {x}.",
)
def loses(w: World, a: Somebody, x: Thing) -> None:
    w.check(x.holder == a.name, "holder", f"{a.name} does not have the {x.noun}")
    w.check("lost" not in x.state, "state", f"the {x.noun} is lost already")
    x.holder, a.mood = "", -1
    x.state.add("lost")
    w.done.add("care")


@event(
    '"I lost my {x}. Can you help me?" asked {a:name}.',
    '"I cannot find my {x}," said {a:name}.',
    '{a} said, "My {x} is gone. Please help me find it."',
    "{a} told everybody that the {x} was gone.",
)
def tells_loss(w: World, a: Somebody, x: Thing) -> None:
    w.check("lost" in x.state and x.owner == a.name, "loss", f"{a.name} did not lose the {x.noun}")


@event(
    '"[Do not worry|Do not be sad], {a:name}. [I will help you|I have an idea]," said {b:name}.',
    "{b} wanted to help {a:obj}.",
)
def offers_help(w: World, a: Somebody, b: Somebody) -> None:
    not_alone(w, a, b)
    w.check(a.mood < 0, "mood", f"{a.name} needs no help")
    good(w, b, "help")


@event("{a} looked {s}, but the {x} was not there.", "They looked {s}, but [found nothing|it was not there].")
def searches(w: World, s: str, a: Somebody | None = None, x: Thing | None = None) -> None:
    w.check(any("lost" in thing.state for thing in w.things.values()), "loss", "nothing is lost")
    w.check(s not in w.searched, "search", f"they looked {s} before")
    w.searched.add(s)


@event(
    "Then {b} looked {s} and found the {x}!",
    "[At last|Finally], {b} found the {x} {s}.",
    "Then {b} saw the {x} {s}.",
)
def finds(w: World, b: Somebody, x: Thing, s: str) -> None:
    w.check("lost" in x.state, "loss", f"the {x.noun} is not lost")
    w.check(s not in w.searched, "search", f"it was not {s} when they looked")
    x.state.discard("lost")
    x.holder, x.spot = b.name, ""
    w.people.get(x.owner, b).mood = 1


@event("The {x} had been in {a:name}'s [bag|pocket] all the time!", feature="plot twist")
def had_it_all_along(w: World, a: Somebody, x: Thing) -> None:
    w.check("lost" in x.state, "loss", f"the {x.noun} is not lost")
    x.state.discard("lost")
    x.holder, a.mood = a.name, 1


@event("They looked [everywhere|for hours], but they never found the {x}.", feature="bad ending")
def never_found(w: World, x: Thing) -> None:
    w.check("lost" in x.state, "loss", f"the {x.noun} is not lost")


# ------------------------------------------------------------------------------------- giving
@event("{a} gave the {x} [back |]to {b:obj}.", "{a} gave {b:obj} the {x}.", "{a} handed the {x} to {b:obj}.")
def gives_to(w: World, a: Somebody, b: Somebody, x: Thing) -> None:
    gives(w, a, b, x)
    good(w, a, "kind", b)


@event("{a} wanted to make {b:obj} happy.", '"I will make something for {b:name}," said {a:name}.')
def plans_gift(w: World, a: Somebody, b: Somebody) -> None:
    not_alone(w, a, b)


@event("{a} [sat down and |]made {x:a}[.| with care.]")
def makes(w: World, a: Somebody, x: Thing) -> None:
    w.check(x.noun in words.MAKEABLE, "sense", f"nobody makes a {x.noun}")
    x.owner = x.holder = a.name


@event("{a} hid the {x} {s}.")
def hides(w: World, a: Somebody, x: Thing, s: str) -> None:
    w.check(x.holder == a.name, "holder", f"{a.name} does not have the {x.noun}")
    x.holder, x.spot = "", s
    a.knows[x.noun] = s


@event("{a} looked {s} and saw the {x}.", "{a} found the {x} {s}.")
def discovers(w: World, a: Somebody, x: Thing, s: str) -> None:
    w.check(x.spot == s, "spot", f"the {x.noun} is not {s}")
    x.holder, x.spot = a.name, ""
    good(w, w.people.get(x.owner, a), "kind", a)


@event(
    '"Surprise! It is for you, {b:name}," said {a:name}.',
    "It was a surprise from {a:name} for {b:name}!",
    feature="plot twist",
)
def surprises(w: World, a: Somebody, b: Somebody) -> None:
    not_alone(w, a, b)
    good(w, a, "kind", b)


# ------------------------------------------------------------------------------------- broken and mended
@event("The {x} had a small crack.", feature="foreshadowing")
def has_crack(w: World, x: Thing) -> None:
    w.done.add("hint")


@event(
    "But {a} dropped the {x}, and it broke.",
    "But {a} was not careful, and the {x} broke.",
    "Then {a} fell and broke the {x}.",
)
def breaks(w: World, a: Somebody, x: Thing) -> None:
    w.check("broken" not in x.state, "state", f"the {x.noun} is broken already")
    x.state.add("broken")
    w.done |= {"care", f"{a.name} broke {x.noun}"}
    a.mood = -1
    w.people.get(x.owner, a).mood = -1


@event('"I did not do it," said {a:name}.', "{a} did not tell the truth at first.", feature="conflict")
def denies(w: World, a: Somebody) -> None:
    w.check(any(d.startswith(f"{a.name} broke") for d in w.done), "blame", f"{a.name} did nothing")
    w.done.add("lied")


@event(
    '"I broke your {x}, {b:name}. I am sorry," said {a:name}.',
    '{a} said, "I am sorry, {b:name}. I broke your {x}."',
    "{a} told {b:name} about the broken {x} and said sorry.",
)
def confesses(w: World, a: Somebody, b: Somebody, x: Thing) -> None:
    not_alone(w, a, b)
    w.check(f"{a.name} broke {x.noun}" in w.done, "blame", f"{a.name} did not break the {x.noun}")
    w.check(x.owner == b.name, "owner", f"the {x.noun} is not {b.name}'s")
    w.done |= {"truth", f"{a.name} is sorry"}


@event(
    '"It is okay, {a:name}," said {b:name}.',
    '"I am not angry, {a:name}. Thank you for telling me," said {b:name}.',
    "{b} forgave {a:obj}[.| at once.]",
)
def forgives(w: World, a: Somebody, b: Somebody) -> None:
    not_alone(w, a, b)
    w.check(f"{a.name} is sorry" in w.done, "sorry", f"{a.name} never said sorry")
    a.mood = 0
    good(w, b, "kind")


@event("{a} used {y:a} to fix the {x}.", "They fixed the {x} with {y:a}.")
def fixes(w: World, x: Thing, y: Thing, a: Somebody | None = None) -> None:
    w.check("broken" in x.state, "state", f"the {x.noun} is not broken")
    w.check(y.noun in words.MENDING, "sense", f"nobody fixes a thing with {y.noun}")
    x.state.discard("broken")
    w.done |= {"again", "care"}
    if a:
        good(w, a, "help")
    for somebody in w.people.values():
        somebody.mood = 1


@event("They tried to fix the {x}, but it was too late.", feature="bad ending")
def cannot_fix(w: World, x: Thing) -> None:
    w.check("broken" in x.state, "state", f"the {x.noun} is not broken")
    for somebody in w.people.values():
        somebody.mood = -1


@event("Now the {x} [was as good as new|looked like new].")
def like_new(w: World, x: Thing) -> None:
    w.check("broken" not in x.state, "state", f"the {x.noun} is still broken")


# ------------------------------------------------------------------------------------- stuck and freed
@event("The wind [was strong|began to blow] [that day|in the trees].", feature="foreshadowing")
def wind(w: World) -> None:
    w.done.add("hint")


@event("But the {x} got stuck {s}.", "Then the wind took the {x}, and it got stuck {s}.")
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


@event("{a} [tried and tried|jumped up and down], but {a:she} could not reach it.")
def cannot_reach(w: World, a: Somebody) -> None:
    w.check(any("stuck" in thing.state for thing in w.things.values()), "stuck", "nothing is stuck")


@event("{b} came with {y:a}.", "Then {b} brought {y:a}.")
def brings_tool(w: World, b: Somebody, y: Thing) -> None:
    y.owner = y.holder = b.name
    good(w, b, "help")


@event("{b} used the {y} to get the {x} down.", "With the {y}, {b} got the {x} back.")
def frees(w: World, b: Somebody, x: Thing, y: Thing) -> None:
    w.check("stuck" in x.state, "stuck", f"the {x.noun} is not stuck")
    w.check(y.noun in words.REACHING and y.holder == b.name, "tool", f"{b.name} has no {y.noun} to reach it")
    x.state.discard("stuck")
    x.holder, x.spot = b.name, ""
    good(w, b, "help")
    w.people.get(x.owner, b).mood = 1


@event("Nobody could get the {x} down.", feature="bad ending")
def stays_stuck(w: World, x: Thing) -> None:
    w.check("stuck" in x.state, "stuck", f"the {x.noun} is not stuck")


# ------------------------------------------------------------------------------------- forbidden
@event(
    '"Do not touch the {x}, {a:name}," said {c:name}.',
    '{c} said, "Please do not touch the {x}, {a:name}."',
    "{c} told {a:name} not to touch the {x}.",
)
def forbids(w: World, a: Somebody, c: Somebody, x: Thing) -> None:
    not_alone(w, a, c)
    x.state.add("forbidden")


@event("But {a} did not listen and touched the {x}.", "But {a} touched the {x} when nobody was looking.")
def disobeys(w: World, a: Somebody, x: Thing) -> None:
    w.check("forbidden" in x.state, "forbidden", f"nobody forbade the {x.noun}")
    w.done.add("listen")
    a.mood = -1


@event('"Ouch, my [hand|finger] hurts!" cried {a:name}.', "{a} hurt {a:her} [hand|finger].")
def hurts(w: World, a: Somebody) -> None:
    w.check("listen" in w.done, "sense", f"nothing could hurt {a.name}")
    a.mood = -1


@event(
    '"I am sorry, {c:name}. I will listen next time," said {a:name}.',
    "{a} told {c:name} that {a:she} was sorry.",
)
def will_listen(w: World, a: Somebody, c: Somebody) -> None:
    not_alone(w, a, c)
    w.check("listen" in w.done, "sorry", f"{a.name} did nothing wrong")
    w.done.add(f"{a.name} is sorry")


@event("{c} [washed|kissed] {a:name}'s hand[.| and smiled.]")
def comforts(w: World, a: Somebody, c: Somebody) -> None:
    not_alone(w, a, c)
    good(w, c, "help", a)
