"""What the words of a story are: exact labels from the simulator's truth, and guesses for any other text.

A label is a set of character spans. For stories of the simulator they follow from the event behind each
sentence, from the slot that a word fills, and from the state of the world; the few hundred fixed words of the
patterns are sorted by hand in labels.txt. For other text (`guess`) they come from spelling and word lists.
"""

import re
from collections import Counter
from collections.abc import Iterator

from workbench.corpora.sections import read_sections
from workbench.corpora.stories import words
from workbench.corpora.stories.events import EVENTS
from workbench.corpora.stories.story import Story
from workbench.corpora.stories.writer import Sentence

Spans = dict[str, list[tuple[int, int]]]

_SECTIONS = read_sections(__file__, "labels.txt")
_FIXED = {kind: frozenset(listed.split()) for kind, listed in _SECTIONS.pop("fixed words")}
LABELS = dict(entry for entries in _SECTIONS.values() for entry in entries)
UNGUESSED = ("main character unhappy",)
"""Labels that only the simulator knows: `guess` leaves them empty."""
GROUPS = {group: tuple(dict(entries)) for group, entries in _SECTIONS.items()}
_SUBJECTS = frozenset(("she", "he", "they", "i", "we"))

_WORD = re.compile(r"[A-Za-z]+")
_SPEECH = re.compile(r'["“]([^"“”]*)["”]')
_END = re.compile(r"[.!?]+")
_FIRST = re.compile(r'(?:^|\n|[.!?]\s+|[.!?]["”]\s+(?=["“A-Z]))["“]?([A-Za-z]+)')
_ROLES = {
    "p": ("noun", "place"),
    **dict.fromkeys("ks", ("noun",)),
    **dict.fromkeys("vh", ("verb",)),
    **dict.fromkeys("tfd", ("adjective",)),
}


# ------------------------------------------------------------------------------- the simulator's truth
def label(story: Story) -> Spans:
    """Exact labels of a story of the simulator.

    Returns:
        For every name in `LABELS` the (start, end) of its characters in `story.text`, in order.
    """
    spans = {**{name: [] for name in LABELS}, **_by_spelling(story.text)}
    hero = story.sentences[0].slots["a"]
    seen: set[str] = set()
    end = 0
    for number, sentence in enumerate(story.sentences):
        start = story.text.index(sentence.text, end)
        end = start + len(sentence.text)
        for match, slot, last in _words(sentence):
            for role in _roles(sentence, match, slot, last, hero, seen):
                spans[role].append((start + match.start(), start + match.end()))
        people = story.sentences[number - 1].state["people"] if number else []
        if any(somebody["name"] == hero and somebody["mood"] < 0 for somebody in people):
            spans["main character unhappy"].append((start, end))
    return spans


def _words(sentence: Sentence) -> Iterator[tuple[re.Match[str], str, bool]]:
    """Every word of a sentence, the slot that it fills ("": a fixed word), and whether it ends the slot."""
    pattern = next(p for p in EVENTS[sentence.event].patterns if p.read(sentence.text))
    reading = pattern.expression.fullmatch(sentence.text)
    assert reading is not None  # it has just been read
    filled = [(*reading.span(group), group[0]) for group in reading.groupdict()]
    for match in _WORD.finditer(sentence.text):
        slot, end = next(
            (s, end) for start, end, s in [*filled, (0, 1 << 30, "")] if start <= match.start() < end
        )
        yield match, slot, match.end() == end


def _roles(
    sentence: Sentence, match: re.Match[str], slot: str, last: bool, hero: str, seen: set[str]
) -> list[str]:
    """What one word is; `seen` gathers the names and things that came up."""
    word = match.group()
    if word in words.GENDER:
        return [_mention(word, hero, seen)]
    if slot in ("x", "y", "z"):
        if not last:
            return ["adjective"] if word in words.LOOKS else []
        new = word not in seen
        seen.add(word)
        return ["noun", "new thing"] if new else ["noun"]
    if slot in _ROLES:
        return list(_ROLES[slot]) if last else []
    return [*_fixed(sentence.text, match), *(["place"] if sentence.event == "errand" and slot == "o" else [])]


def _mention(name: str, main: str, seen: set[str]) -> str:
    whose = "main character" if name == main else "other character"
    role = f"{whose}, {'again' if name in seen else 'introduced'}"
    seen.add(name)
    return role


def _fixed(sentence: str, match: re.Match[str]) -> list[str]:
    """What a fixed word of a pattern is."""
    word, before = match.group().lower(), sentence[: match.start()].lower()
    if word == "rain" and before.endswith("the "):
        return ["noun"]
    if word == "long" and before.endswith("day "):
        return []
    return [kind for kind, members in _FIXED.items() if word in members]


def _by_spelling(text: str) -> Spans:
    """The labels that need no simulator: speech, sentences, pronouns, and words for feelings."""
    tokens = list(_WORD.finditer(text))
    spoken = [match.span(1) for match in _SPEECH.finditer(text)]
    speech_first = [first for span in spoken if (first := _WORD.search(text, *span))]
    capital = {first.span() for first in speech_first if first.group()[0].isupper()}
    return {
        "speech": spoken,
        "first word of speech": [first.span() for first in speech_first],
        "first word of a sentence": sorted({first.span(1) for first in _FIRST.finditer(text)} | capital),
        "end of a sentence": [match.span() for match in _END.finditer(text)],
        "subject pronoun": [match.span() for match in tokens if match.group().lower() in _SUBJECTS],
        "feeling": [match.span() for match in tokens if match.group().lower() in words.FEELINGS],
    }


# ------------------------------------------------------------------------------- any other text
def guess(text: str) -> Spans:
    """Labels of a text that no simulator wrote.

    A name is a word that has a capital somewhere where no sentence begins, and never stands in small letters;
    the name that comes most often is the main character's. Nouns, verbs and adjectives are those words that
    `words` lists as that alone. "main character unhappy" cannot be guessed and stays empty.
    """
    spans = {**{name: [] for name in LABELS}, **_by_spelling(text)}
    first = {start for start, _ in spans["first word of a sentence"]}
    names = _names(text, first)
    main = Counter(match.group() for match in _WORD.finditer(text) if match.group() in names).most_common(1)
    seen: set[str] = set()
    for match in _WORD.finditer(text):
        word = match.group()
        if word in names:
            spans[_mention(word, main[0][0], seen)].append(match.span())
        for role in _LISTED.get(word.lower(), ()) if word not in names else ():
            spans[role].append(match.span())
            if role == "noun" and word.lower() not in seen:
                seen.add(word.lower())
                spans["new thing"].append(match.span())
    return spans


def _names(text: str, first: set[int]) -> set[str]:
    small = {match.group() for match in _WORD.finditer(text) if match.group()[0].islower()}
    inside = {match.group() for match in _WORD.finditer(text) if match.start() not in first}
    return {w for w in inside if w[0].isupper() and len(w) > 1 and w.lower() not in small}


def _listed() -> dict[str, list[str]]:
    """Word → what it is, for words that the lists know as one kind only."""
    kinds = {
        "verb": {*words.VERBS, *map(words.past, words.VERBS), *_FIXED["verb"]} - {"be"},
        "adjective": {*words.ADJECTIVES},
        "noun": {*words.NOUNS, *(f"{noun}s" for noun in words.NOUNS), *_FIXED["noun"]},
    }
    counts = Counter(word for members in kinds.values() for word in members)
    roles = {word: [kind] for kind, members in kinds.items() for word in members if counts[word] == 1}
    return {**roles, **{place: ["noun", "place"] for place in words.PLACES}}


_LISTED = _listed()
