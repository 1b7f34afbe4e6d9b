"""Sentence patterns that write a sentence from an event and read the event back from a sentence.

A pattern is text with slots and free variations: `[Then |After that, ]{a} gave the {x} to {b:obj}.`
The first letter of a slot says what stands in it: a b c somebody, x y z a thing, p a place, s a spot
("under the bed"), v an activity, h a way of handling a thing, t a trait, f a feeling, d a kind of day,
k a kind of character, o and r one of a few fixed phrases. The part after the colon is the form: `{x:a}`
"a red ball", `{a:her}` "her/his/its", `{a:name}` never a pronoun, `{v:past}` "danced".
"""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from random import Random

from workbench.corpora.stories import words

PRONOUNS = {
    "f": {"she": "she", "obj": "her", "her": "her"},
    "m": {"she": "he", "obj": "him", "her": "his"},
    "n": {"she": "it", "obj": "it", "her": "its"},
}
GENDER_OF_PRONOUN = {"she": "f", "her": "f", "he": "m", "him": "m", "his": "m", "it": "n", "its": "n"}

_PART = re.compile(r"\{(?P<slot>[a-z])(?::(?P<form>[a-z]+))?\}|\[(?P<choice>[^\]]*)\]")
_NAME = r"[A-Z][a-z]+"
_THING = r"(?:[a-z]+ ){0,2}?[a-z]+"  # lazy: what follows may be words too
_EXPRESSIONS = {
    ("a", ""): rf"(?:{_NAME}|[Ss]he|[Hh]e|[Ii]t)",
    ("a", "name"): _NAME,
    ("a", "obj"): rf"(?:{_NAME}|her|him|it)",
    ("a", "she"): r"(?:[Ss]he|[Hh]e|[Ii]t)",
    ("a", "her"): r"(?:[Hh]er|[Hh]is|[Ii]ts)",
    ("x", ""): _THING,
    ("x", "a"): rf"(?:[Aa]n?|[Ss]ome) {_THING}",
    ("s", ""): r"(?:under|behind|in|on|near) the [a-z]+",
}
_KIND_OF_SLOT = dict(zip("abcxyzpqsvhtfdkor", "aaaxxxppsvhtfdkoo", strict=True))
_CLASSES = {
    "p": frozenset(words.PLACES),
    "s": frozenset(words.SPOTS),
    "v": frozenset(words.ACTIVITIES),
    "h": frozenset(words.HANDLING),
    "t": frozenset(words.TRAITS),
    "f": frozenset(words.FEELINGS),
    "d": frozenset(words.DAYS),
    "k": frozenset([*words.KINDS, *words.ANIMALS]),
}
_NOUNS = frozenset(words.NOUNS)
_LOOKS = frozenset(words.LOOKS)


@dataclass(frozen=True)
class Mention:
    """How a sentence speaks of somebody: the word used, and whether that word must refer to slot `slot`."""

    slot: str
    form: str
    word: str


@dataclass(frozen=True)
class Reading:
    """What a sentence says: the event, what fills its slots, and the pronouns to be checked."""

    event: str
    slots: Mapping[str, str]
    mentions: tuple[Mention, ...]
    new: frozenset[str]  # slots of things that come with an indefinite article


@dataclass(frozen=True)
class Pattern:
    """One way of saying an event."""

    event: str
    text: str
    phrases: Mapping[str, Collection[str]] = field(default_factory=dict)  # what an `o` slot may hold

    @cached_property
    def slots(self) -> frozenset[str]:
        return frozenset(match["slot"] for match in _PART.finditer(self.text) if match["slot"])

    @cached_property
    def anchor(self) -> str:
        """The longest fixed piece: a quick test before the regular expression is tried."""
        return max(_PART.sub("\0", self.text).split("\0"), key=len)

    @cached_property
    def expression(self) -> re.Pattern[str]:
        pieces, seen, end = [], {}, 0
        for match in _PART.finditer(self.text):
            pieces.append(re.escape(self.text[end : match.start()]))
            end = match.end()
            if match["choice"] is not None:
                pieces.append("(?:" + "|".join(map(re.escape, match["choice"].split("|"))) + ")")
                continue
            slot, form = match["slot"], match["form"] or ""
            seen[slot] = seen.get(slot, 0) + 1
            kind = _KIND_OF_SLOT[slot]
            body = _EXPRESSIONS.get((kind, form)) or (r"an? [a-z]+" if form == "a" else r"[a-z]+")
            if kind == "o":
                body = "|".join(map(re.escape, sorted(self.phrases[slot], key=len, reverse=True)))
            pieces.append(f"(?P<{slot}{seen[slot]}_{form}>{body})")
        return re.compile("".join(pieces) + re.escape(self.text[end:]))

    def read(self, sentence: str) -> Reading | None:
        """The event this sentence tells by this pattern, or None when it is not such a sentence."""
        if self.anchor not in sentence or not (match := self.expression.fullmatch(sentence)):
            return None
        slots: dict[str, str] = {}
        mentions, new = [], set()
        for group, word in match.groupdict().items():
            slot, form = group[0], group.split("_")[1]
            if not _well_capitalised(sentence, match.start(group), word):
                return None
            value = _value(_KIND_OF_SLOT[slot], form, word)
            if value is None:
                return None
            if _KIND_OF_SLOT[slot] == "a":
                mentions.append(Mention(slot, form, value))
                if form in ("her", "she"):
                    continue
            if form == "a" and _KIND_OF_SLOT[slot] == "x":
                new.add(slot)
            if slots.setdefault(slot, value) != value:
                return None
        return Reading(self.event, slots, tuple(mentions), frozenset(new))

    def write(self, fill: Callable[[str, str], str], random: Random) -> str:
        """The sentence; `fill(slot, form)` gives the words of a slot."""

        def part(match: re.Match[str]) -> str:
            if match["choice"] is not None:
                return random.choice(match["choice"].split("|"))
            return fill(match["slot"], match["form"] or "")

        sentence = _PART.sub(part, self.text)
        first = 1 if sentence.startswith('"') else 0
        return sentence[:first] + sentence[first].upper() + sentence[first + 1 :]


def _well_capitalised(sentence: str, start: int, word: str) -> bool:
    starts = start == 0 or sentence[start - 1] == '"'
    return word[0].isupper() == (starts or word in words.GENDER)


def _value(kind: str, form: str, word: str) -> str | None:
    """The dictionary form of what stands in a slot; None when that word cannot stand there."""
    if kind == "a":
        if word.lower() in GENDER_OF_PRONOUN:
            return word.lower()
        return word if word in words.GENDER else None
    if kind == "o":
        return word
    if form == "a":
        determiner, word = word.split(" ", 1)
        if words.article(word).split()[0] != determiner.lower():
            return None
    if kind == "x":
        return word if is_thing(word) else None
    if form == "past":
        word = words.PAST.get(word, "")
    return word if word in _CLASSES[kind] else None


def is_thing(phrase: str) -> bool:
    """Whether a phrase is up to two adjectives of looks and a noun: `big red ball`."""
    *looks, noun = phrase.split()
    return noun in _NOUNS and len(looks) <= 2 and all(look in _LOOKS for look in looks)


def sentences(text: str) -> list[tuple[int, int]]:
    """Spans of the sentences of a text; a full stop inside quotation marks does not end one.

    A paragraph's end always ends a sentence, so one lost quotation mark spoils one paragraph at most.
    """
    spans = []
    for paragraph in re.finditer(r"[^\n]+", text):
        start, quoted = paragraph.start(), False
        for match in re.finditer(r'"|[.!?]+(?=("?)(\s+["A-Z]|\s*$))', paragraph.group()):
            end = paragraph.start() + match.end()
            if match.group() == '"':
                quoted = not quoted
                before = paragraph.group()[: match.start()].rstrip()
                ends = not quoted and before[-1:] in {".", "!", "?"}
                follows = paragraph.group()[match.end() :]
                if not (ends and (not follows.strip() or re.match(r'\s+["A-Z]', follows))):
                    continue
                # `"Go!" Tom said.` goes on: only a new quotation or a full new sentence ends it here
                if re.match(r"\s+[A-Z][a-z]* (?:said|asked|cried|called)\b", follows):
                    continue
            elif quoted:
                continue
            if text[start:end].strip():
                spans.append((start, end))
            start = end
        if text[start : paragraph.end()].strip():
            spans.append((start, paragraph.end()))
    return [_stripped(text, *span) for span in spans]


def _stripped(text: str, start: int, end: int) -> tuple[int, int]:
    piece = text[start:end]
    return start + len(piece) - len(piece.lstrip()), end - len(piece) + len(piece.rstrip())
