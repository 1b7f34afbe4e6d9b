"""TinyStories-Instruct: what is asked of a story, and how much of it a story does.

Eldan & Li 2023 (TinyStories, arXiv 2305.07759), the section on TinyStories-Instruct. As published: an
instruction is a random subset of words, features, a summary, and a sentence that must occur; the story comes
after it in the same text. Different: the parts always come in one order, the loss is on the story alone, and
no language model grades. Each part is graded exactly and by itself, as a share of what it asks for:

- *words*: of the words, those that occur, in any form that `forms` lists;
- *features*: of the features, those that the simulator's grader finds (dialogue, plot twist, …);
- *sentence*: whether it occurs verbatim;
- *summary*: of the events that make the summary's story, those that are told with the same people, things and
  places (`summaries.PATTERNS`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from random import Random

from workbench.corpora.stories import grade, words
from workbench.corpora.stories.grammar import sentences
from workbench.corpora.stories.oracle import Grade
from workbench.studies.instruct import summaries
from workbench.words import words as split_words

HEADINGS = {"words": "Words", "features": "Features", "summary": "Summary", "sentence": "Random sentence"}
"""What begins the line of each kind of instruction, in the order of the lines."""
KINDS = tuple(HEADINGS)
ANY_TEXT = ("words", "sentence")  # what can be graded in stories that the simulator did not write


@dataclass(frozen=True)
class Request:
    """What a story has to have; empty where nothing is asked."""

    words: str = ""  #: with ", " between them; so are features
    features: str = ""
    summary: str = ""
    sentence: str = ""

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of instruction that it gives."""
        return tuple(kind for kind in KINDS if getattr(self, kind))

    def only(self, kinds: Sequence[str]) -> "Request":
        """The request without all other kinds."""
        return replace(self, **{kind: "" for kind in KINDS if kind not in kinds})

    def question(self) -> str:
        """The instruction in plain English, for a model that was not trained on `prompt`."""
        lines = ["Write a short story for a three-year-old, in simple words."]
        if self.words:
            *others, last = (f"“{word}”" for word in self.words.split(", "))
            lines.append(
                f"Use the word{'s' * bool(others)} {', '.join(others)}{' and ' * bool(others)}{last}."
            )
        if self.features:
            lines.append(f"The story must have: {self.features}.")
        if self.summary:
            lines.append(f"This is what happens in it: {self.summary}")
        if self.sentence:
            lines.append(f"This sentence must occur in it, word for word: {self.sentence}")
        return "\n".join(lines)

    def prompt(self) -> str:
        """The instruction as a model reads it; the story follows."""
        lines = [f"{HEADINGS[kind]}: {getattr(self, kind)}" for kind in self.kinds]
        return "\n".join([*lines, "Story:\n"])


def full(row: Mapping[str, str], random: Random) -> Request:
    """All that can be asked of a story: its fields, and any of its sentences but the first."""
    sentence = row["sentence"]
    if not sentence:
        spans = sentences(row["story"])[1:]
        start, end = random.choice(spans) if spans else (0, 0)
        sentence = row["story"][start:end]
    return Request(row["words"], row["features"], row["summary"], sentence)


def for_training(row: Mapping[str, str], random: Random) -> Request:
    """A random subset of what can be asked of a story, never an empty one."""
    request = full(row, random)
    subset: list[str] = []
    while not subset:
        subset = [kind for kind in request.kinds if random.random() < 0.5]
    return request.only(subset)


def for_test(row: Mapping[str, str], random: Random) -> Request:
    """Words and features, whose combination is tested, and each of the others half of the time."""
    request = full(row, random)
    asked = [kind for kind in request.kinds if kind in ("words", "features") or random.random() < 0.5]
    return request.only(asked or request.kinds)


# ------------------------------------------------------------------------------- grading
@dataclass(frozen=True)
class Written:
    """A story, and what the graders read in it, once."""

    text: str

    @cached_property
    def words(self) -> frozenset[str]:
        """Its words in small letters."""
        return frozenset(split_words(self.text))

    @cached_property
    def grade(self) -> Grade:
        """The exact grade of its sentences."""
        return grade(self.text)

    @cached_property
    def events(self) -> list[summaries.Told]:
        """The events that it tells."""
        return summaries.told(self.text)

    def meets(self, request: Request, kind: str) -> float:
        """The share that the story does of one kind of instruction; see the module. NaN: nobody can tell."""
        asked = getattr(request, kind)
        if kind == "sentence":
            return float(asked in self.text)
        if kind == "summary":
            return summaries.share_told(asked, self.events)
        parts = asked.split(", ")
        if kind == "features":
            return sum(part.lower() in self.grade.features for part in parts) / len(parts)
        return sum(not self.words.isdisjoint(forms(part)) for part in parts) / len(parts)


def forms(word: str) -> frozenset[str]:
    """The forms of a word that count as the word: plural or third person, past, -ing, comparison."""
    word = word.lower()
    stem = word[:-1] if word.endswith("e") else word
    doubled = word + word[-1:]
    endings = {word, f"{word}s", f"{word}es", f"{stem}ed", f"{stem}ing", f"{stem}er", f"{stem}est"}
    endings |= {f"{doubled}ed", f"{doubled}ing", f"{doubled}er", f"{doubled}est"}
    if word.endswith("y"):
        endings |= {f"{word[:-1]}{ending}" for ending in ("ies", "ied", "ier", "iest", "ily")}
    return frozenset(endings | ({words.past(word)} if len(word) > 1 else {word}))
