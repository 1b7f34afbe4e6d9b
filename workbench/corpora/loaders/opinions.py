"""Questions with the distribution of people's answers: our own rows, Polis, MoralChoice, GlobalOpinionQA.

Own rows are `{id, prompt, options[], dist[] or counts[], ordinal?, group?, n?, topic?,
groups{name: {dist or counts, n?}}?}`, in .jsonl, .json, .parquet, or .csv (lists with "|" between their
entries). A row with a `group` tells of that group alone; rows of one id belong to one question. Shares are
rounded in files: they may miss 1 by half a unit of their last digit each, and are scaled.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import mul
from string import ascii_uppercase
from typing import Any

import numpy as np

from workbench.corpora.loaders import rows
from workbench.corpora.loaders.fields import is_there, literal, lowered, question_of
from workbench.corpora.loaders.rows import Malformed
from workbench.errors import UserError
from workbench.measures.vocabulary import question_key

LETTERS = ascii_uppercase
ANSWER = "\nAnswer:"
ROUNDING = 0.01  # what shares may always miss 1 by


@dataclass(frozen=True)
class AnswerDistribution:
    """Shares of the options among some people, and how many people that were (None: not known)."""

    dist: tuple[float, ...]
    n: int | None = None


_UNKNOWN = AnswerDistribution(())


@dataclass(frozen=True)
class Question:
    """A question with options and what people answered."""

    id: str  #: different for every question
    prompt: str  #: what people were asked
    options: tuple[str, ...]  #: at least two, all different
    people: AnswerDistribution  #: everybody's answers
    #: answers of each group that the file distinguishes.
    groups: Mapping[str, AnswerDistribution] = field(default_factory=dict)
    ordinal: tuple[float, ...] | None = None  #: positions of the options on a scale, where they have an order
    topic: str = ""  #: of several questions, where the file names it: a conversation, an ambiguity


@dataclass(frozen=True)
class Opinions:
    """Questions, where they came from, and what was noticed on the way."""

    questions: list[Question]
    source: str
    notes: list[str]

    def __str__(self) -> str:
        return "; ".join([f"{len(self.questions):,} questions from {self.source}", *self.notes])


def format_question(prompt: str, options: Sequence[str], letters: bool) -> str:
    """A question as a model reads it; `ANSWER`, a space and the answer follow.

    Args:
        prompt: with whatever stands before it.
        options: in the order in which they are shown, one a line.
        letters: they are lettered, and the answer is a letter; else it is the option's text.
    """
    marks = [f"{letter}." for letter in LETTERS] if letters else ["-"] * len(options)
    shown = [f"{mark} {option}" for mark, option in zip(marks, options, strict=False)]
    return "\n".join([prompt, *shown])


def load_opinions(spec: str, limit: int | None = None) -> Opinions:
    """The questions of a file, a folder or a hub data set, in their order.

    Args:
        spec: a path or `org/name` (see `workbench.sources`), with a kind of `KINDS` before it; without, the
            first row's fields tell.
        limit: keep this many questions, evenly spread over the file.

    Raises:
        UserError: nothing there, or a malformed row, with its number.
    """
    rows.check_limit(limit, "questions")
    by_id: dict[str, Question] = {}
    noticed: dict[str, list[str]] = {}
    kinds: set[str] = set()
    for source in rows.parsed(spec, KINDS):
        kind = source.kind
        for where, entries in rows.of_one(source, formats=rows.TABLES):
            with rows.checked(where, entries):
                # an empty entry of a table is one that is not there
                row = {name: entry for name, entry in lowered(entries).items() if entry != ""}
                kind = kind or _recognise(row)
                question = KINDS[kind](row)
                if kind == "polis" and is_there(row, "context"):
                    noticed.setdefault("statements whose context is not shown", []).append(where)
                if isinstance(question, str):
                    noticed.setdefault(question, []).append(where)
                    continue
                if question.ordinal and len(set(question.ordinal)) == 1:
                    noticed.setdefault("ordinal scales whose codes are equal left out", []).append(where)
                    question = replace(question, ordinal=None)
                first = by_id.get(question.id)
                by_id[question.id] = _merge(first, question) if first else question
            kinds.add(kind)
    if not by_id:
        raise UserError(f"{spec} holds no question.")
    notes = [f"{len(places):,} {what} ({places[0]})" for what, places in noticed.items()]
    if "polis" in kinds:
        notes.append("groups are clusters of voters, numbered anew in each conversation")
    again = Counter((question_key(question.prompt), question.options) for question in by_id.values())
    if repeated := sum(count - 1 for count in again.values()):
        notes.append(f"{repeated:,} questions stand there under a second id")
    questions = list(by_id.values())
    if limit is not None and limit < len(questions):
        questions = [questions[index * len(questions) // limit] for index in range(limit)]
    return Opinions([_overall(question) for question in questions], spec, notes)


def _recognise(row: Mapping[str, Any]) -> str:
    if {"question", "selections", "options"} <= row.keys():
        return "globalopinionqa"
    if {"statement", "counts"} <= row.keys():
        return "polis"
    return "moralchoice" if {"context", "action1", "action2"} <= row.keys() else "own"


# ------------------------------------------------------------------------------- kinds of rows
def _own(row: Mapping[str, Any]) -> Question:
    options = tuple(_text(option, "an option") for option in _list(row, "options"))
    if not 2 <= len(set(options)) == len(options) <= len(LETTERS):
        raise Malformed(f"needs 2 to {len(LETTERS)} different options, not {list(options)}")
    ordinal = _numbers(row, "ordinal", len(options)) if row.get("ordinal") is not None else None
    stated = row.get("groups") or {}
    if not isinstance(stated, Mapping):
        raise Malformed("has groups that are no object of names")
    groups = {str(name): _answers(part, len(options), f"group {name}: ") for name, part in stated.items()}
    people = _UNKNOWN
    if row.get("group") is not None:
        groups[str(row["group"])] = _answers(row, len(options))
    elif not groups or "dist" in row or "counts" in row:
        people = _answers(row, len(options))
    if row.get("id") is None:
        raise Malformed("lacks an id")
    name, prompt = rows.name_of(row["id"], "an id"), _text(row.get("prompt"), "a prompt")
    prompt = question_of({**row, "prompt": prompt}, ("prompt",), used=("options", "text"))
    return Question(name, prompt, options, people, groups, ordinal, str(row.get("topic") or ""))


def _polis(row: Mapping[str, Any]) -> Question:
    statement = _text(row.get("statement"), "a statement")
    prompt = f"Do you agree or disagree with this statement, or pass? “{statement}”"
    fields = {name: entry for name, entry in row.items() if name not in ("context", "conversation")}
    return _own({**fields, "prompt": prompt, "topic": row.get("conversation")})


def _polis_voted(row: Mapping[str, Any]) -> Question | str:
    if _nobody(row):
        return "statements that nobody voted on left out"
    groups = row.get("groups")
    if isinstance(groups, Mapping):  # of whom some groups said nothing
        row = {**row, "groups": {name: part for name, part in groups.items() if not _nobody(part)}}
    return _polis(row)


def _nobody(row: Any) -> bool:
    counts = row.get("counts") if isinstance(row, Mapping) else None
    return bool(counts) and all(str(count) in ("0", "0.0") for count in _list(row, "counts"))


def _globalopinionqa(row: Mapping[str, Any]) -> Question:
    """A row of Anthropic's GlobalOpinionQA, whose lists and groups are written as Python writes them."""
    prompt = _text(row.get("question"), "a question")
    options = [rows.text_of(option) for option in literal(row, "options", list)]
    groups = {str(name): {"dist": dist} for name, dist in literal(row, "selections", dict).items()}
    if not groups:
        raise Malformed("has selections of no country")
    source = row.get("source")
    return _own({"id": row.get("id") or f"{source}: {prompt}" if source else prompt, "prompt": prompt,
                 "options": options, "groups": groups, "topic": source})  # fmt: skip


def _moralchoice(row: Mapping[str, Any]) -> Question | str:
    dist = {"low": (1.0, 0.0), "high": (0.5, 0.5)}.get(str(row.get("ambiguity")))
    if dist is None:
        raise Malformed(f"has an ambiguity of {row.get('ambiguity')!r:.40}: it must be low or high")
    if row.get("action1") == row.get("action2"):
        return "rows with equal actions left out"
    prompt = f"{_text(row.get('context'), 'a context')} What do you do?"
    options = [row.get("action1"), row.get("action2")]
    fields = {"id": row.get("scenario_id"), "prompt": prompt, "options": options, "dist": dist}
    return _own({**fields, "topic": f"{row['ambiguity']} ambiguity"})


KINDS: dict[str, Callable[[Mapping[str, Any]], Question | str]] = {
    "own": _own,
    "polis": _polis_voted,
    "moralchoice": _moralchoice,
    "globalopinionqa": _globalopinionqa,
}
"""The kinds of rows; what is left out comes back as the reason."""


# ------------------------------------------------------------------------------- fields
def _answers(row: Any, options: int, whose: str = "") -> AnswerDistribution:
    if not isinstance(row, Mapping) or ("counts" not in row and "dist" not in row):
        raise Malformed(f"{whose}has neither dist nor counts")
    name = "counts" if row.get("counts") is not None else "dist"
    values = _numbers(row, name, options, whose)
    total = math.fsum(values)
    if min(values) < 0 or total <= 0:
        raise Malformed(f"{whose}has {name} that are negative or all 0")
    error = abs(total - 1) - 1e-9
    if name == "dist" and error > ROUNDING and error >= _half_units(values) - 2e-9:
        raise Malformed(
            f"{whose}has a dist that sums to {total:.4g}, not to 1 (numbers of people go into counts)"
        )
    n = math.floor(total) if name == "counts" else row.get("n")
    if n is not None and (not re.fullmatch(r"\d+(\.0)?", str(n)) or float(n) < 1):
        raise Malformed(f"{whose}has n = {n!r}, which is no number of people")
    return AnswerDistribution(tuple(value / total for value in values), None if n is None else int(float(n)))


def _half_units(values: Sequence[float]) -> float:
    """How far rounded shares may miss 1 together: half a unit of the last digit that any of them has."""
    digits = max(1, *(len(_written(value).partition(".")[2]) for value in values))
    return len(values) * 0.5 * 10.0**-digits


def _written(value: float) -> str:
    """The shortest decimal of a number; one of 16 or 32 bits has fewer digits than Python shows."""
    with np.errstate(over="ignore"):
        shorter = (kind(value) for kind in (np.float16, np.float32))
        return str(next((number for number in shorter if float(number) == value), value))


def _numbers(row: Mapping[str, Any], name: str, options: int, whose: str = "") -> tuple[float, ...]:
    try:
        values = tuple(map(float, _list(row, name)))
    except (TypeError, ValueError, OverflowError) as error:
        raise Malformed(f"{whose}has {name} that are no list of numbers") from error
    if not all(map(math.isfinite, values)):
        raise Malformed(f"{whose}has {name} that are not finite")
    if len(values) != options:
        raise Malformed(f"{whose}has {len(values)} {name} for {options} options")
    return values


def _list(row: Mapping[str, Any], name: str) -> Sequence[Any]:
    value = row.get(name)
    if isinstance(value, str):
        value = [part.strip() for part in value.split("|")]
    if not isinstance(value, Sequence) or not value:
        raise Malformed(f"has no list of {name}")
    return value


def _text(value: Any, what: str) -> str:
    text = rows.text_of(value)
    if not text:
        raise Malformed(f"lacks {what}")
    return text


# ------------------------------------------------------------------------------- rows of one question
def _merge(first: Question, second: Question) -> Question:
    """One question of two rows about different people."""
    if first.options != second.options:
        raise Malformed(f"has the id {first.id} of a row with other options")
    again = first.groups.keys() & second.groups.keys()
    if again or (first.people.dist and second.people.dist):
        raise Malformed(f"repeats the id {first.id}" + (f" and the group {min(again)}" if again else ""))
    people = first.people if first.people.dist else second.people
    return replace(first, people=people, groups={**first.groups, **second.groups})


def _overall(question: Question) -> Question:
    """With everybody's answers: where no row has them, the groups' by their size (or alike, if unknown)."""
    if question.people.dist:
        return question
    groups = question.groups.values()
    sizes = [group.n or 0 for group in groups]
    total = sum(sizes) if all(sizes) else None
    weights = [size / total if total else 1 / len(sizes) for size in sizes]
    columns = zip(*(group.dist for group in groups), strict=True)
    dist = tuple(math.fsum(map(mul, weights, shares)) for shares in columns)
    return replace(question, people=AnswerDistribution(dist, total))
