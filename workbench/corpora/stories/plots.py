"""Plots: what a story is about. Each tells its middle; `story` gives it a beginning and an end.

A plot is a function of a writer and a cast; it returns a one-sentence summary.
"""

from workbench.corpora.stories import words
from workbench.corpora.stories.scenes import Cast, is_sad, meet_friend, plot, possess, set_out
from workbench.corpora.stories.writer import Writer


@plot("plot twist", "bad ending", "foreshadowing")
def lost(t: Writer, c: Cast) -> str:
    thing = possess(t, c.hero, words.TOYS + words.TREASURES)
    meet_friend(t, c)
    set_out(t, c)
    if "foreshadowing" in t.features:
        t.say("hole_in_bag", a=c.hero)
    t.say("takes", a=c.hero, x=thing, p=c.place)
    t.say("loses", a=c.hero, x=thing)
    is_sad(t, c.hero)
    t.paragraph()
    t.say("tells_loss", a=c.hero, x=thing)
    t.say("offers_help", a=c.hero, b=c.friend)
    for _ in range(t.random.choice([1, 1, 2])):
        slots = {"a": c.hero, "x": thing} if t.random.random() < 0.6 else {}
        t.say("searches", s=t.spot(), **slots)
    if "bad ending" in t.features:
        t.say("never_found", x=thing)
        return f"{c.hero} loses a {thing} at the {c.place}, and it is never found."
    if "plot twist" in t.features:
        t.say("had_it_all_along", a=c.hero, x=thing)
        return f"{c.hero} looks for a {thing} that was in the bag all the time."
    t.say("finds", b=c.friend, x=thing, s=t.spot())
    t.say("gives_to", a=c.friend, b=c.hero, x=thing)
    t.say("thanks", a=c.hero, b=c.friend)
    return f"{c.hero} loses a {thing} at the {c.place}, and {c.friend} finds it."


@plot("bad ending", "foreshadowing", "conflict")
def broken(t: Writer, c: Cast) -> str:
    meet_friend(t, c)
    thing = possess(t, c.friend, words.TOYS + words.TREASURES)
    if "foreshadowing" in t.features:
        t.say("has_crack", x=thing)
    set_out(t, c, both=True)
    t.say("gives_to", a=c.friend, b=c.hero, x=thing)
    t.say("breaks", a=c.hero, x=thing)
    is_sad(t, c.friend)
    t.paragraph()
    if "conflict" in t.features:
        t.say("denies", a=c.hero)
        t.say("quarrel", a=c.hero, b=c.friend)
    t.say("confesses", a=c.hero, b=c.friend, x=thing)
    t.say("forgives", a=c.hero, b=c.friend)
    if "bad ending" in t.features:
        t.say("cannot_fix", x=thing)
        return f"{c.hero} breaks {c.friend}'s {thing}, and it cannot be fixed."
    t.say("fixes", x=thing, y=t.choose(words.MENDING))
    t.say("like_new", x=thing)
    return f"{c.hero} breaks {c.friend}'s {thing}, tells the truth, and they fix it."


@plot("bad ending", "conflict")
def sharing(t: Writer, c: Cast) -> str:
    thing = possess(t, c.hero, words.TOYS)
    set_out(t, c, both=True)
    t.say("plays_with", a=c.hero, x=thing)
    t.say("wants_turn", b=c.friend, x=thing)
    if "conflict" in t.features or t.random.random() < 0.5:
        t.say("refuses", a=c.hero, x=thing)
        if "conflict" in t.features:
            t.say("quarrel", a=c.hero, b=c.friend)
        is_sad(t, c.friend)
    t.paragraph()
    if "bad ending" in t.features:
        t.say("runs_away", a=c.friend, x=thing)
        return f"{c.friend} wants {c.hero}'s {thing} and runs away with it."
    t.say("suggests_turns", c=c.grown_up)
    t.say("share", a=c.hero, b=c.friend, x=thing)
    t.say("together", v=t.choose(words.ACTIVITIES[:16]))
    return f"{c.hero} learns to share a {thing} with {c.friend}."


@plot("bad ending", "foreshadowing")
def stuck(t: Writer, c: Cast) -> str:
    thing = possess(t, c.hero, words.STUCK_THINGS)
    meet_friend(t, c)
    set_out(t, c)
    if "foreshadowing" in t.features:
        t.say("wind")
    t.say("takes", a=c.hero, x=thing, p=c.place)
    t.say("gets_stuck", x=thing, s=t.spot(["on the roof", "in the nest", "behind the fence", "on the swing"]))
    t.say("cannot_reach", a=c.hero)
    is_sad(t, c.hero)
    t.paragraph()
    t.say("asks_why", a=c.hero, b=c.friend, f=t.feeling(good=False))
    if "bad ending" in t.features:
        t.say("stays_stuck", x=thing)
        return f"{c.hero}'s {thing} gets stuck, and nobody can get it down."
    t.say("offers_help", a=c.hero, b=c.friend)
    tool = t.thing(words.REACHING)
    t.say("brings_tool", b=c.friend, y=tool)
    t.say("frees", b=c.friend, x=thing, y=tool)
    t.say("gives_to", a=c.friend, b=c.hero, x=thing)
    t.say("thanks", a=c.hero, b=c.friend)
    return f"{c.hero}'s {thing} gets stuck, and {c.friend} gets it down with a {tool}."


@plot("plot twist")
def gift(t: Writer, c: Cast) -> str:
    meet_friend(t, c)
    t.paragraph()
    t.say("plans_gift", a=c.hero, b=c.friend)
    thing, spot = t.thing(words.MAKEABLE), t.spot()
    t.say("makes", a=c.hero, x=thing)
    t.say("hides", a=c.hero, x=thing, s=spot)
    set_out(t, c, both=True)
    t.say("together", v=t.choose(words.ACTIVITIES[:16]))
    t.paragraph()
    t.say("discovers", a=c.friend, x=thing, s=spot)
    if "plot twist" in t.features:
        t.say("surprises", a=c.hero, b=c.friend)
    t.say("thanks", a=c.friend, b=c.hero)
    return f"{c.hero} makes a {thing} for {c.friend} and hides it."


@plot()
def trading(t: Writer, c: Cast) -> str:
    mine, yours = t.thing(words.FOODS), t.thing(words.FOODS)
    set_out(t, c, both=True)
    t.say("wants_other", a=c.hero, x=mine, y=yours)
    t.say("has", a=c.friend, x=yours)
    t.paragraph()
    t.say("asks_trade", a=c.hero)
    t.say("trade", a=c.hero, b=c.friend, x=mine, y=yours)
    if t.random.random() < 0.5:
        t.say("now_have", a=c.hero, b=c.friend, x=yours, y=mine)
    else:
        t.say("now_have", a=c.friend, b=c.hero, x=mine, y=yours)
    t.say("smiles", a=t.random.choice([c.hero, c.friend]))
    return f"{c.hero} trades a {mine} for {c.friend}'s {yours}."


@plot("bad ending")
def afraid(t: Writer, c: Cast) -> str:
    set_out(t, c, both=True)
    fear = t.choose(words.FEARS)
    t.say("fears", a=c.hero, x=fear)
    t.say("feels", a=c.hero, f=t.feeling(good=False))
    t.paragraph()
    t.say("encourages", a=c.hero, b=c.friend)
    if "bad ending" in t.features:
        t.say("gives_up", a=c.hero)
        return f"{c.hero} is afraid of the {fear} and runs home."
    t.say("tries", a=c.hero)
    t.say("is_brave", a=c.hero, x=fear)
    t.say("thanks", a=c.hero, b=c.friend)
    return f"{c.hero} is afraid of the {fear}, and {c.friend} helps."


@plot("bad ending")
def forbidden(t: Writer, c: Cast) -> str:
    thing = t.thing(words.SHARP_OR_HOT)
    t.paragraph()
    t.say("forbids", a=c.hero, c=c.grown_up, x=thing)
    t.say("disobeys", a=c.hero, x=thing)
    t.say("hurts", a=c.hero)
    is_sad(t, c.hero)
    t.paragraph()
    t.say("will_listen", a=c.hero, c=c.grown_up)
    if "bad ending" in t.features:
        return f"{c.hero} touches the {thing} and is hurt."
    t.say("comforts", a=c.hero, c=c.grown_up)
    t.say("hugs", a=c.grown_up, b=c.hero)
    return f"{c.hero} touches the {thing}, is hurt, and is comforted."


@plot("conflict", "bad ending")
def new_friend(t: Writer, c: Cast) -> str:
    set_out(t, c)
    kind = t.choose(list(words.ANIMAL_FOOD), kind="noun")
    animal = t.random.choice(list(words.ANIMAL_NAMES))
    t.say("meets", a=c.hero, b=animal, k=kind)
    if "dialogue" in t.features and kind in words.ANIMAL_SOUND:
        t.say("animal_says", k=kind, o=words.ANIMAL_SOUND[kind])
    t.say("asks_friend", a=c.hero)
    if {"conflict", "bad ending"} & t.features:
        t.say("sends_away", b=animal)
        is_sad(t, c.hero)
    if "bad ending" in t.features:
        return f"{c.hero} wants to be friends with a {kind}, but {animal} does not."
    t.paragraph()
    food = words.ANIMAL_FOOD[kind]
    t.used.add(food)
    t.say("hungry", a=c.hero, b=animal, x=food)
    t.say("feeds", a=c.hero, b=animal, x=food)
    t.say("agrees", a=c.hero, b=animal, v=t.choose(words.ACTIVITIES[:16]))
    return f"{c.hero} feeds a {kind} named {animal} and makes a friend."


@plot("bad ending", "foreshadowing")
def building(t: Writer, c: Cast) -> str:
    set_out(t, c, both=True)
    if "foreshadowing" in t.features:
        t.say("wind")
    thing = t.thing(words.BUILDABLE)
    t.say("build", a=c.hero, b=c.friend, x=thing)
    t.say("falls_down", x=thing, **({} if "foreshadowing" in t.features else {"c": c.grown_up}))
    is_sad(t, t.random.choice([c.hero, c.friend]))
    t.paragraph()
    if "bad ending" in t.features:
        return f"{c.hero} and {c.friend} build a {thing}, and it falls down."
    t.say("tries_again", b=c.friend)
    t.say("rebuild", x=thing)
    return f"{c.hero} and {c.friend} build a {thing} again after it falls down."


@plot()
def hide_and_seek(t: Writer, c: Cast) -> str:
    set_out(t, c, both=True)
    t.say("hide_and_seek", **({"a": c.hero} if "dialogue" in t.features else {}))
    spot = t.spot()
    t.say("hides_self", b=c.friend, s=spot)
    t.paragraph()
    for _ in range(t.random.choice([1, 2])):
        t.say("misses", a=c.hero, b=c.friend, s=t.spot())
    t.say("finds_person", a=c.hero, b=c.friend, s=spot)
    t.say("smiles", a=t.random.choice([c.hero, c.friend]))
    return f"{c.hero} looks for {c.friend}, who hides {spot}."


@plot("plot twist")
def noise(t: Writer, c: Cast) -> str:
    set_out(t, c, both=True)
    t.say("hears", a=c.hero, s=t.spot())
    t.say("feels", a=c.hero, f="scared")
    t.say("suspects", a=c.hero)
    t.paragraph()
    kind = t.choose(words.ANIMALS[:16], kind="noun")
    t.say("only_an_animal", k=kind, **({"a": c.friend} if t.random.random() < 0.5 else {}))
    if "dialogue" in t.features and kind in words.ANIMAL_SOUND:
        t.say("animal_says", k=kind, o=words.ANIMAL_SOUND[kind])
    t.say("smiles", a=c.hero)
    return f"{c.hero} hears a noise, but it is only a {kind}."


@plot()
def choosing(t: Writer, c: Cast) -> str:
    t.paragraph()
    left, right = t.thing(words.FOODS), t.thing(words.FOODS)
    t.say("offers", c=c.grown_up, x=left, y=right)
    refused, taken = t.random.sample([left, right], 2)
    t.say("asks_which", a=c.hero, c=c.grown_up)
    if t.random.random() < 0.5:
        t.say("does_not_want", a=c.hero, x=refused)
    else:
        t.say("wants_it", a=c.hero, x=taken)
    t.say("gives_chosen", c=c.grown_up, a=c.hero, x=taken)
    t.say("thanks", a=c.hero, b=c.grown_up)
    meet_friend(t, c)
    t.paragraph()
    t.say("gives_to", a=c.hero, b=c.friend, x=taken)
    t.say("hugs", a=c.friend, b=c.hero)
    return f"{c.hero} chooses a {taken}, not a {refused}, and gives it to {c.friend}."


@plot()
def tidying(t: Writer, c: Cast) -> str:
    meet_friend(t, c)
    first, second = t.thing(words.TOYS), t.thing(words.TOYS + words.TREASURES)
    here, there = t.choose(words.CONTAINERS), t.choose(words.CONTAINERS)
    t.say("has", a=c.hero, x=first)
    t.say("has", a=c.friend, x=second)
    t.paragraph()
    t.say("puts_in", a=c.hero, x=first, y=here)
    t.say("puts_in", a=c.friend, x=second, y=there)
    set_out(t, c, both=True)
    t.say("together", v=t.choose(words.ACTIVITIES[:16]))
    t.paragraph()
    t.say("opens", a=c.friend, x=second, y=there)
    t.say("opens", a=c.hero, x=first, y=here)
    t.say("feels", a=c.hero, f=t.feeling(good=True))
    return f"{c.hero} puts a {first} in the {here} and finds it there again."
