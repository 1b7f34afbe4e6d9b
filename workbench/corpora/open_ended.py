"""Short open-ended requests with many right answers, the people who answer them, and an exact oracle.

A request has one of six kinds and a topic ("Name a gift for Mia, who likes the garden."). What an answer
*means* is the option it takes (what is given, who lives there, what happened); style, looks and company are
wording. So equivalence classes are known, not measured: answers of one meaning are paraphrases, and `grade`
reads the meaning back from any text, or says why it is no answer.

Twelve people answer. All find the options that stand first more fitting (weights 1/rank, as words are in
speech), each bends that by an own taste (log-normal) and has a favourite style. A library is what some of
them wrote; libraries share people, and so overlap.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from math import prod
from random import Random
from typing import Literal

from workbench.corpora.sections import Entries, read_sections
from workbench.corpora.stories.grammar import PRONOUNS
from workbench.corpora.stories.words import BOYS, GENDER, GIRLS, article

PEOPLE = 12
LIBRARIES = {"north": range(6), "south": range(4, 10), "west": (8, 9, 10, 11, 0, 1)}
"""Who wrote in each library: neighbours share two people of six."""
NAMES = GIRLS[:4] + BOYS[:4]
TASTE = 1.0  # standard deviation of a person's taste, in logarithms of weight

Reason = Literal["", "not well formed", "not in the world", "does not fit the request"]
_SLOT = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, eq=False)
class Kind:
    """A kind of request."""

    asks: str  #: the prompt
    says: list[str]  #: styles of answering
    topics: dict[str, tuple[str, ...]]  #: options of each topic, the fitting first
    also: list[tuple[str, ...]]  #: options of a second part of the meaning, the same for all topics


def _kind(entries: Entries) -> Kind:
    (asks,), says, also = (
        [text for name, text in entries if name == part] for part in ("asks", "says", "also")
    )
    topics = {}
    for names, options in entries:
        if names not in ("asks", "says", "also"):
            topics |= dict.fromkeys(names.split(" / "), tuple(options.split(", ")))
    return Kind(asks, says, topics, [tuple(options.split(", ")) for options in also])


_SECTIONS = read_sections(__file__, "open_ended.txt")
FILLERS = {name: tuple(options.split(", ")) for name, options in _SECTIONS.pop("wording")}
KINDS = {name: _kind(entries) for name, entries in _SECTIONS.items()}


@dataclass(frozen=True)
class Request:
    """What is asked: `prompt` is the text; name is "" where nobody is spoken of."""

    id: str
    prompt: str
    kind: str
    topic: str
    name: str


@dataclass(frozen=True)
class Answer:
    """What somebody wrote, and what it means."""

    text: str
    meaning: str
    person: int


@dataclass(frozen=True)
class Grade:
    """Whether an answer is valid; `reason` why not, or else its `meaning` (one of `meanings`)."""

    valid: bool
    reason: Reason
    meaning: str


# ------------------------------------------------------------------------------- asking
def make_request(kind: str, topic: str, name: str) -> Request:
    """One request; the name counts only where the kind speaks of somebody."""
    asks = KINDS[kind].asks
    name = name if "{name}" in asks else ""
    prompt = asks.format(name=name, topic=topic)
    return Request(f"{kind}/{topic}/{name}".rstrip("/"), prompt, kind, topic, name)


def requests(seed: int = 0) -> list[Request]:
    """A request for each topic of each kind, 36 in all; names are drawn."""
    rng = Random(f"requests/{seed}")
    return [make_request(kind, topic, rng.choice(NAMES)) for kind in KINDS for topic in KINDS[kind].topics]


def meanings(request: Request) -> list[str]:
    """All that a valid answer can mean: one option, or one of each part."""
    return [" / ".join(parts) for parts in product(*_options(request))]


def _options(request: Request) -> list[tuple[str, ...]]:
    kind = KINDS[request.kind]
    return [kind.topics[request.topic], *kind.also]


# ------------------------------------------------------------------------------- answering
def answers(request: Request, n: int, seed: int, people: Sequence[int] = range(PEOPLE)) -> list[Answer]:
    """`n` answers, each by one of the people, drawn evenly."""
    drawn = []
    for number in range(n):
        rng = Random(f"{seed}/{request.id}/{number}")
        person = rng.choice(people)
        parts = [
            rng.choices(options, _taste(person, f"{request.kind}/{request.topic}/{part}", len(options)))[0]
            for part, options in enumerate(_options(request))
        ]
        drawn.append(Answer(_worded(request, parts, person, rng), " / ".join(parts), person))
    return drawn


def shares(request: Request, people: Sequence[int] = range(PEOPLE)) -> dict[str, float]:
    """Exact probability of each meaning in `answers`."""
    parts = _options(request)
    total = dict.fromkeys(meanings(request), 0.0)
    for person in people:
        tastes = [_taste(person, f"{request.kind}/{request.topic}/{part}", len(options))
                  for part, options in enumerate(parts)]  # fmt: skip
        for meaning, weights in zip(total, product(*tastes), strict=True):
            total[meaning] += prod(weights) / prod(map(sum, tastes)) / len(people)
    return total


def library(name: str, n: int, seed: int) -> list[tuple[str, str]]:
    """`n` requests with an answer each, as people of a library wrote them: (prompt, " " + answer)."""
    rng = Random(f"library/{name}/{seed}")
    pairs = []
    for number in range(n):
        kind = rng.choice(list(KINDS))
        request = make_request(kind, rng.choice(list(KINDS[kind].topics)), rng.choice(NAMES))
        (answer,) = answers(request, 1, rng.randrange(2**31) + number, LIBRARIES[name])
        pairs.append((request.prompt, " " + answer.text))
    return pairs


def paraphrases(request: Request, n: int, seed: int) -> list[tuple[str, str]]:
    """`n` pairs of answers by two people that mean the same: the ceiling of every similarity."""
    pairs = []
    for number, answer in enumerate(answers(request, n, seed)):
        rng = Random(f"{seed}/{request.id}/{number}/again")
        other = (answer.person + 1 + rng.randrange(PEOPLE - 1)) % PEOPLE
        pairs.append((answer.text, _worded(request, answer.meaning.split(" / "), other, rng)))
    return pairs


@cache
def _taste(person: int, what: str, count: int) -> tuple[float, ...]:
    """A person's weights of `count` options: 1/rank, bent by what only this person likes."""
    rng = Random(f"taste/{person}/{what}")
    return tuple(rng.lognormvariate(0, TASTE) / rank for rank in range(1, count + 1))


def _worded(request: Request, parts: Sequence[str], person: int, rng: Random) -> str:
    says = KINDS[request.kind].says
    style = rng.choices(says, _taste(person, f"{request.kind}/style", len(says)))[0]
    wording = {slot: rng.choice(FILLERS[slot]) for slot in _SLOT.findall(style) if slot in FILLERS}
    wording["look"] = rng.choice(FILLERS["look"])
    return _written(request, style, parts, wording)


def _written(request: Request, style: str, parts: Sequence[str], wording: dict[str, str]) -> str:
    """The answer in full; its first letter is a capital."""
    pronouns = PRONOUNS[GENDER[request.name]] if request.name else PRONOUNS["n"]
    about = {"name": request.name, "topic": request.topic, **pronouns}
    option, *also = (part.format(**about) for part in parts)
    thing = article(f"{wording['look']} {option}")
    text = style.format(option=option, thing=thing, also=also[0] if also else "", **about, **wording)
    return text[0].upper() + text[1:]


# ------------------------------------------------------------------------------- grading
def grade(request: Request, text: str) -> Grade:
    """What a text means as an answer, or why it is none.

    It is *well formed* when it has the shape of one of the kind's styles, *in the world* when each of its
    words stands where such a word can stand, and *fits* when the option is one for this topic, and name,
    pronouns and articles agree. Words beyond the grammar, however fine, count as not well formed.
    """
    kind, text = KINDS[request.kind], text.strip()
    reason: Reason = "not well formed"
    for style in kind.says:
        if match := _strict(request.kind, style).fullmatch(_lowered(text)):
            return _fitting(request, style, text, match)
        if _loose(style).fullmatch(_lowered(text)):
            reason = "not in the world"
    return Grade(False, reason, "")


def _fitting(request: Request, style: str, text: str, match: re.Match[str]) -> Grade:
    """Writes the answer again from what was read; only a fitting one comes out the same."""
    slots = match.groupdict()
    options = zip(("option", "also"), _options(request), strict=False)
    parts = [_dictionary(values).get(slots[slot], "") for slot, values in options]
    wording = {"look": "", **{slot: value for slot, value in slots.items() if slot in FILLERS}}
    if not all(parts) or _written(request, style, parts, wording) != text:
        return Grade(False, "does not fit the request", "")
    return Grade(True, "", " / ".join(parts))


def _lowered(text: str) -> str:
    """Without the capital of the first letter, unless a name begins the text."""
    first = re.split(r"\W", text, maxsplit=1)[0]
    return text if first in GENDER else text[:1].lower() + text[1:]


@cache
def _dictionary(options: tuple[str, ...]) -> dict[str, str]:
    """Option as written → option as listed: two where it holds a pronoun."""
    return {option.format(**forms): option for forms in PRONOUNS.values() for option in options}


@cache
def _strict(kind: str, style: str) -> re.Pattern[str]:
    def group(slot: str) -> str:
        longest_first = sorted(set(_world(KINDS[kind])[slot]), key=lambda value: (-len(value), value))
        return f"(?P<{slot}>{'|'.join(map(re.escape, longest_first))})"

    def part(slot: str) -> str:
        return f"(?:an?|some) {group('look')} {group('option')}" if slot == "thing" else group(slot)

    return _pattern(style, part)


@cache
def _loose(style: str) -> re.Pattern[str]:
    return _pattern(style, lambda slot: r"[\w' ]+")


def _pattern(style: str, part: Callable[[str], str]) -> re.Pattern[str]:
    pieces = _SLOT.split(_lowered(style))
    pieces[::2] = map(re.escape, pieces[::2])
    pieces[1::2] = map(part, pieces[1::2])
    return re.compile("".join(pieces))


@cache
def _world(kind: Kind) -> dict[str, Sequence[str]]:
    """Everything that can stand in a slot of a kind's styles, whatever the request."""
    forms = {slot: [forms[slot] for forms in PRONOUNS.values()] for slot in PRONOUNS["f"]}
    options = [option for listed in kind.topics.values() for option in _dictionary(listed)]
    also = [option for listed in kind.also for option in _dictionary(listed)]
    return {**FILLERS, **forms, "name": NAMES, "topic": list(kind.topics), "option": options, "also": also}
