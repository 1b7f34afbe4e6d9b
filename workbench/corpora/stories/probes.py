"""Forced-choice questions about stories: facts, reasoning by exclusion and negation, and keeping track.

Each is a story in the simulator's language, broken off, and two ways to go on, one of them right; the kinds
follow the prompt tables of TinyStories (Figures 9-11). The right answer is no commoner than the wrong one,
and neither its position nor the sentence before gives it away (`previous_only` cuts the rest off), except
where that is the point: facts need no story, a giver is named last, a lure is the commonest word.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from random import Random

from workbench.corpora.stories import words
from workbench.corpora.stories.events import ERRANDS, NEEDS
from workbench.corpora.stories.grammar import sentences
from workbench.corpora.stories.scenes import Cast, begin, cast, is_sad, meet_friend, set_out
from workbench.corpora.stories.writer import Writer

_TOYS, _FOODS = words.TOYS[:20], words.FOODS[:20]
COMMONEST = words.TOYS[0]  # a ball: of what gets lost or broken, the thing that stories draw most often
_Asked = tuple[str, str, str]  # the unfinished sentence, the right and the wrong way to go on


@dataclass(frozen=True)
class Probe:
    """A question: which of `right` and `wrong` should follow `beginning`?"""

    kind: str  # fact, reasoning or consistency
    name: str
    beginning: str
    right: str
    wrong: str


_Makers = dict[str, Callable[[Writer, Cast], _Asked]]
_PROBES: dict[str, _Makers] = {}


def _probe(kind: str) -> Callable:
    def register(function: Callable[[Writer, Cast], _Asked]) -> Callable[[Writer, Cast], _Asked]:
        _PROBES.setdefault(kind, {})[function.__name__.replace("_", " ")] = function
        return function

    return register


def make_probes(n: int, *, seed: int) -> list[Probe]:
    """n probes of each name, drawn with `seed`; fewer are the first of more."""
    kinds = ("fact", "reasoning", "consistency")
    return [probe for kind in kinds for probe in _made(kind, _PROBES[kind], n, seed)]


def make_lures(n: int, *, seed: int) -> list[Probe]:
    """n questions of each name whose wrong answer is `COMMONEST`, while the story is about another thing."""
    return _made("lure", _PROBES["lure"], n, seed)


def previous_only(probe: Probe) -> Probe:
    """The same question with all sentences cut away but the one before the answer's and that itself."""
    spans = sentences(probe.beginning + probe.right)
    return replace(probe, beginning=probe.beginning[spans[-2][0] :]) if len(spans) > 1 else probe


def _made(kind: str, makers: Mapping[str, Callable], n: int, seed: int) -> list[Probe]:
    probes = []
    for name, make in makers.items():
        for index in range(n):
            random = Random(f"{seed}/{name}/{index}")
            writer, players = Writer(random), cast(random)
            begin(writer, players)
            stub, right, wrong = make(writer, players)
            between = " " if writer.paragraphs[-1] else "\n\n"
            beginning = f"{writer.text()}{between}{stub}".rstrip()
            probes.append(Probe(kind, name, beginning, f" {right}", f" {wrong}"))
    return probes


def _two(t: Writer, options: list[str]) -> tuple[str, str]:
    """Two words at random, in random order."""
    first, second = t.random.sample([t.choose(options), t.choose(options)], 2)
    return first, second


def _she(name: str) -> str:
    return "she" if words.GENDER[name] == "f" else "he"


# ------------------------------------------------------------------------------- facts
@_probe("fact")
def what_one_does(t: Writer, c: Cast) -> _Asked:
    reason, other = t.random.sample(list(NEEDS), 2)
    set_out(t, c)
    t.paragraph()
    return f"Later, {c.hero} was {reason}, so {_she(c.hero)}", NEEDS[reason], NEEDS[other]


@_probe("fact")
def where_one_goes(t: Writer, c: Cast) -> _Asked:
    reason, other = t.random.sample(list(ERRANDS), 2)
    set_out(t, c)
    t.paragraph()
    stub = f"The next day, {c.hero} wanted to {reason}, so {_she(c.hero)} went to the"
    return stub, ERRANDS[reason], ERRANDS[other]


@_probe("fact")
def what_animals_eat(t: Writer, c: Cast) -> _Asked:
    kind, other = t.random.sample(list(words.ANIMAL_FOOD), 2)
    animal = t.random.choice(list(words.ANIMAL_NAMES))
    set_out(t, c)
    t.say("meets", a=c.hero, b=animal, k=kind)
    t.say("asks_friend", a=c.hero)
    t.paragraph()
    foods = words.article(words.ANIMAL_FOOD[kind]), words.article(words.ANIMAL_FOOD[other])
    return f"{animal} was hungry, and {c.hero} had", *foods


# ------------------------------------------------------------------------------- reasoning
@_probe("reasoning")
def who_gets_it(t: Writer, c: Cast) -> _Asked:
    """Exclusion: of two, whoever is not the giver."""
    if t.random.random() < 0.5:
        thing = _loses(t, c, t.choose(_TOYS))
        t.say("tells_loss", a=c.hero, x=thing)
        t.say("offers_help", a=c.hero, b=c.friend)
        t.say("finds", b=c.friend, x=thing, s=t.spot())
        return f"{c.friend} gave the {thing} to", c.hero, c.friend
    thing, _ = _chooses(t, c)
    t.say("gives_chosen", c=c.grown_up, a=c.hero, x=thing)
    meet_friend(t, c)
    t.say("thanks", a=c.hero, b=c.grown_up)
    t.paragraph()
    return f"{c.hero} gave the {thing} to", c.friend, c.hero


@_probe("reasoning")
def who_is_sad(t: Writer, c: Cast) -> _Asked:
    """Cause: who has lost a thing, or whose thing somebody else has broken."""
    meet_friend(t, c)
    if t.random.random() < 0.5:
        _loses(t, c, t.choose(_TOYS), sad=False)
        return "", c.hero, c.friend
    _breaks(t, c, t.choose(_TOYS), sad=False)
    return "", c.friend, c.hero


@_probe("reasoning")
def what_one_chose(t: Writer, c: Cast) -> _Asked:
    """Negation: who does not want the one gets the other; as often it is said which one is wanted."""
    taken, refused = _chooses(t, c)
    return f"So {c.grown_up} gave {c.hero} the", taken, refused


@_probe("reasoning")
def what_one_has_after_a_trade(t: Writer, c: Cast) -> _Asked:
    mine, yours = _two(t, _FOODS)
    set_out(t, c, both=True)
    t.say("wants_other", a=c.hero, x=mine, y=yours)
    t.say("has", a=c.friend, x=yours)
    t.paragraph()
    t.say("asks_trade", a=c.hero)
    t.say("trade", a=c.hero, b=c.friend, x=mine, y=yours)
    if t.random.random() < 0.5:
        return f"Now {c.hero} had the", yours, mine
    return f"Now {c.friend} had the", mine, yours


def _chooses(t: Writer, c: Cast) -> tuple[str, str]:
    """The hero is offered two things; which one is taken, and which refused."""
    left, right = _two(t, _FOODS)
    t.paragraph()
    t.say("offers", c=c.grown_up, x=left, y=right)
    refused, taken = t.random.sample([left, right], 2)
    t.say("asks_which", a=c.hero, c=c.grown_up)
    if t.random.random() < 0.5:
        t.say("does_not_want", a=c.hero, x=refused)
    else:
        t.say("wants_it", a=c.hero, x=taken)
    return taken, refused


# ------------------------------------------------------------------------------- keeping track
@_probe("consistency")
def what_is_in_the_box(t: Writer, c: Cast) -> _Asked:
    first, second = _two(t, _TOYS)
    here, there = _two(t, words.CONTAINERS)
    meet_friend(t, c)
    t.say("has", a=c.hero, x=first)
    t.say("has", a=c.friend, x=second)
    t.paragraph()
    t.say("puts_in", a=c.hero, x=first, y=here)
    t.say("puts_in", a=c.friend, x=second, y=there)
    set_out(t, c, both=True)
    t.say("together", v=t.choose(words.ACTIVITIES[:16]))
    t.paragraph()
    if t.random.random() < 0.5:
        return f"{c.hero} opened the {here} and saw the", first, second
    return f"{c.friend} opened the {there} and saw the", second, first


@_probe("consistency")
def where_somebody_hides(t: Writer, c: Cast) -> _Asked:
    spot, other = _two(t, words.SPOTS)  # the other one is never named
    set_out(t, c, both=True)
    t.say("hide_and_seek")
    t.say("hides_self", b=c.friend, s=spot)
    t.paragraph()
    t.say("misses", a=c.hero, b=c.friend, s=t.spot())
    return f"Then {c.hero} looked", f"{spot} and found", f"{other} and found"


@_probe("consistency")
def who_is_there(t: Writer, c: Cast) -> _Asked:
    set_out(t, c, both=True)
    t.paragraph()
    reason = t.random.choice(list(NEEDS))
    t.say("needs", a=c.hero, r=reason, o=NEEDS[reason])
    return f"{c.hero} and", c.friend, _somebody_else(t, c)


def _somebody_else(t: Writer, c: Cast) -> str:
    """A name that is not in the story, drawn as the friend's was."""
    while True:
        other = cast(t.random).friend
        if other not in (c.hero, c.friend) and words.GENDER[other] == words.GENDER[c.friend]:
            return other


@_probe("consistency")
def what_was_lost(t: Writer, c: Cast) -> _Asked:
    thing, other = _two(t, _TOYS)
    _loses(t, c, thing)
    return f"{c.hero} told everybody that the", thing, other


@_probe("consistency")
def what_one_was_afraid_of(t: Writer, c: Cast) -> _Asked:
    fear, other = _two(t, words.FEARS)
    set_out(t, c, both=True)
    t.say("fears", a=c.hero, x=fear)
    t.say("feels", a=c.hero, f=t.feeling(good=False))
    t.paragraph()
    t.say("encourages", a=c.hero, b=c.friend)
    t.say("tries", a=c.hero)
    return f"Now {c.hero} was not afraid of the", fear, other


# ------------------------------------------------------------------------------- the lure of the commonest
@_probe("lure")
def what_was_lost_not_the_commonest(t: Writer, c: Cast) -> _Asked:
    thing = _loses(t, c, t.choose(_TOYS[3:]))
    return f"{c.hero} told everybody that the", thing, COMMONEST


@_probe("lure")
def what_broke_not_the_commonest(t: Writer, c: Cast) -> _Asked:
    thing = _breaks(t, c, t.choose(_TOYS[3:]))
    return f"{c.hero} told {c.friend} about the broken", thing, COMMONEST


def _loses(t: Writer, c: Cast, thing: str, *, sad: bool = True) -> str:
    """The hero has a thing and loses it."""
    t.say("has", a=c.hero, x=thing)
    meet_friend(t, c)
    set_out(t, c)
    t.say("takes", a=c.hero, x=thing, p=c.place)
    t.say("loses", a=c.hero, x=thing)
    if sad:
        is_sad(t, c.hero)
        t.paragraph()
    return thing


def _breaks(t: Writer, c: Cast, thing: str, *, sad: bool = True) -> str:
    """The friend has a thing, and the hero breaks it."""
    meet_friend(t, c)
    t.say("has", a=c.friend, x=thing)
    set_out(t, c, both=True)
    t.say("gives_to", a=c.friend, b=c.hero, x=thing)
    t.say("breaks", a=c.hero, x=thing)
    if sad:
        is_sad(t, c.friend)
        t.paragraph()
    return thing
