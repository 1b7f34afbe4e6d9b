"""Questions with the distribution of people's answers: files of our own, Polis votes, MoralChoice scenarios.

Own rows are `{id, prompt, options[], dist[] or counts[], ordinal?, group?, n?, topic?,
groups{name: {dist or counts, n?}}?}`, in .jsonl, .json, .parquet, or .csv (lists with "|" between their
entries). A row with a `group` tells of that group alone; rows of one id belong to one question.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from string import ascii_uppercase
from typing import Any

from workbench.corpora.loaders import rows
from workbench.errors import UserError

LETTERS = ascii_uppercase
ANSWER = "\nAnswer:"
ROUNDING = 0.01  # shares in files are rounded: they may sum to one but for this


@dataclass(frozen=True)
class AnswerDistribution:
    """Shares of the options among some people, and how many people that were (None: not known)."""

    dist: tuple[float, ...]
    n: int | None = None


@dataclass(frozen=True)
class Question:
    """A question with options and what people answered.

    Attributes:
        id: of its own.
        prompt: what people were asked.
        options: at least two, all different.
        people: everybody's answers.
        groups: answers of each group that is told apart.
        ordinal: places of the options on a scale, where they have an order.
        topic: of several questions, where they are told apart: a conversation, an ambiguity.
    """

    id: str
    prompt: str
    options: tuple[str, ...]
    people: AnswerDistribution
    groups: Mapping[str, AnswerDistribution] = field(default_factory=dict)
    ordinal: tuple[float, ...] | None = None
    topic: str = ""


@dataclass(frozen=True)
class Opinions:
    """Questions, where they came from, and what was noticed on the way."""

    questions: list[Question]
    source: str
    notes: list[str]

    def __str__(self) -> str:
        return "; ".join([f"{len(self.questions):,} questions from {self.source}", *self.notes])


def put(prompt: str, options: Sequence[str], letters: bool) -> str:
    """A question as it is put to a model; `ANSWER`, a space and the answer follow.

    Args:
        prompt: with whatever stands before it.
        options: in the order in which they are shown, one a line.
        letters: they are lettered, and the answer is a letter; else it is the option's text.
    """
    marks = [f"{letter}." for letter in LETTERS] if letters else ["-"] * len(options)
    shown = [f"{mark} {option}" for mark, option in zip(marks, options, strict=False)]
    return "\n".join([prompt, *shown])


class _Malformed(Exception):
    """What is wrong with a row."""


class _NoChoice(Exception):
    """A published row whose two options are one."""


def load(spec: str, limit: int | None = None) -> Opinions:
    """The questions of a file, a folder or a hub data set, in their order.

    Args:
        spec: a path or `org/name` (see `rows.of_source`), with "polis:", "moralchoice:" or "own:"
            before it to name the kind; without, the first row's fields tell.
        limit: keep this many questions, evenly spread over the file.

    Raises:
        UserError: nothing there, or a malformed row, with its number.
    """
    if limit is not None and limit < 1:
        raise UserError(f"The number of questions to load must be 1 or more, not {limit}.")
    named, colon, rest = spec.partition(":")
    kind, source = (named.lower(), rest) if colon and named.lower() in KINDS else (None, spec)
    found: dict[str, Question] = {}
    flat: list[str] = []
    no_choice: list[str] = []
    for where, row in _rows(source):
        try:
            if not isinstance(row, dict):
                raise _Malformed("is no object with fields")
            kind = kind or _recognised(row)
            question = KINDS[kind](row)
            if question.ordinal and len(set(question.ordinal)) == 1:
                flat.append(where)
                question = replace(question, ordinal=None)
            found[question.id] = _joined(found[question.id], question) if question.id in found else question
        except _NoChoice:
            no_choice.append(where)
        except _Malformed as error:
            raise UserError(f"{where} {error}.") from error
    if not found:
        raise UserError(f"{source} holds no question.")
    noticed = {
        "ordinal scales whose codes are equal left out": flat,
        "rows with equal actions left out": no_choice,
    }
    notes = [f"{len(places):,} {what} ({places[0]})" for what, places in noticed.items() if places]
    if kind == "polis":
        notes.append("groups are clusters of voters, numbered anew in each conversation")
    kept = list(found.values())
    if limit is not None and limit < len(kept):
        kept = [kept[place * len(kept) // limit] for place in range(limit)]
    return Opinions([_overall(each) for each in kept], spec, notes)


def _rows(source: str) -> Iterator[tuple[str, Any]]:
    for where, row in rows.of_source(source, formats=rows.TABLES):
        # an empty entry of a table is one that is not there
        yield where, {k: v for k, v in row.items() if v != ""} if isinstance(row, dict) else row


def _recognised(row: Mapping[str, Any]) -> str:
    if {"statement", "counts"} <= row.keys():
        return "polis"
    return "moralchoice" if {"context", "action1", "action2"} <= row.keys() else "own"


# ------------------------------------------------------------------------------- kinds of rows
def _own(row: Mapping[str, Any]) -> Question:
    options = tuple(_text(each, "an option") for each in _list(row, "options"))
    if not 2 <= len(set(options)) == len(options) <= len(LETTERS):
        raise _Malformed(f"needs 2 to {len(LETTERS)} different options, not {list(options)}")
    ordinal = _numbers(row, "ordinal", len(options)) if row.get("ordinal") is not None else None
    stated = row.get("groups") or {}
    if not isinstance(stated, Mapping):
        raise _Malformed("has groups that are no object of names")
    groups = {str(name): _answers(each, len(options), f"group {name}: ") for name, each in stated.items()}
    group = row.get("group")
    if group is None and groups and "dist" not in row and "counts" not in row:
        people = AnswerDistribution(())
    else:
        people = _answers(row, len(options))
    if group is not None:
        people, groups = AnswerDistribution(()), {**groups, str(group): people}
    return Question(
        _text(row.get("id"), "an id"),
        _text(row.get("prompt"), "a prompt"),
        options,
        people,
        groups,
        ordinal,
        str(row.get("topic") or ""),
    )


def _polis(row: Mapping[str, Any]) -> Question:
    statement = _text(row.get("statement"), "a statement")
    asked = f"Do you agree or disagree with this statement, or pass? “{statement}”"
    return _own({**row, "prompt": asked, "topic": row.get("conversation")})


def _moralchoice(row: Mapping[str, Any]) -> Question:
    clear = {"low": (1.0, 0.0), "high": (0.5, 0.5)}.get(str(row.get("ambiguity")))
    if clear is None:
        raise _Malformed(f"has an ambiguity of {row.get('ambiguity')!r}: it must be low or high")
    if row.get("action1") == row.get("action2"):
        raise _NoChoice
    return _own(
        {
            "id": row.get("scenario_id"),
            "prompt": f"{_text(row.get('context'), 'a context')} What do you do?",
            "options": [row.get("action1"), row.get("action2")],
            "dist": clear,
            "topic": str(row["ambiguity"]) + " ambiguity",
        }
    )


KINDS: dict[str, Callable[[Mapping[str, Any]], Question]] = {
    "own": _own,
    "polis": _polis,
    "moralchoice": _moralchoice,
}


# ------------------------------------------------------------------------------- fields
def _answers(row: Any, options: int, whose: str = "") -> AnswerDistribution:
    if not isinstance(row, Mapping) or ("counts" not in row and "dist" not in row):
        raise _Malformed(f"{whose}has neither dist nor counts")
    name = "counts" if row.get("counts") is not None else "dist"
    values = _numbers(row, name, options, whose)
    total = math.fsum(values)
    if min(values) < 0 or total <= 0:
        raise _Malformed(f"{whose}has {name} that are negative or all 0")
    if name == "dist" and abs(total - 1) > ROUNDING:
        raise _Malformed(
            f"{whose}has a dist that sums to {total:.4g}, not to 1 (numbers of people go into counts)"
        )
    n = math.floor(total) if name == "counts" else row.get("n")
    if n is not None and (not re.fullmatch(r"\d+(\.0)?", str(n)) or float(n) < 1):
        raise _Malformed(f"{whose}has n = {n!r}, which is no number of people")
    return AnswerDistribution(tuple(value / total for value in values), None if n is None else int(float(n)))


def _numbers(row: Mapping[str, Any], name: str, options: int, whose: str = "") -> tuple[float, ...]:
    try:
        values = tuple(float(each) for each in _list(row, name))
    except (TypeError, ValueError) as error:
        raise _Malformed(f"{whose}has {name} that are no list of numbers") from error
    if not all(map(math.isfinite, values)):
        raise _Malformed(f"{whose}has {name} that are not finite")
    if len(values) != options:
        raise _Malformed(f"{whose}has {len(values)} {name} for {options} options")
    return values


def _list(row: Mapping[str, Any], name: str) -> Sequence[Any]:
    value = row.get(name)
    if isinstance(value, str):
        value = [each.strip() for each in value.split("|")]
    if not isinstance(value, Sequence) or not value:
        raise _Malformed(f"has no list of {name}")
    return value


def _text(value: Any, what: str) -> str:
    if not isinstance(value, (str, int)) or isinstance(value, bool) or not str(value).strip():
        raise _Malformed(f"lacks {what}")
    return str(value).encode("utf-8", "replace").decode().strip()


# ------------------------------------------------------------------------------- rows of one question
def _joined(first: Question, second: Question) -> Question:
    """One question of two rows that tell of different people."""
    if first.options != second.options:
        raise _Malformed(f"has the id {first.id} of a row with other options")
    again = first.groups.keys() & second.groups.keys()
    if again or (first.people.dist and second.people.dist):
        raise _Malformed(f"repeats the id {first.id}" + (f" and the group {min(again)}" if again else ""))
    people = first.people if first.people.dist else second.people
    return replace(first, people=people, groups={**first.groups, **second.groups})


def _overall(question: Question) -> Question:
    """With everybody's answers: where no row tells them, the groups' by their size (or alike, if unknown)."""
    if question.people.dist:
        return question
    groups = question.groups.values()
    known = all(each.n for each in groups)
    total = sum(each.n for each in groups) if known else len(groups)
    weights = [(each.n if known else 1) / total for each in groups]
    dist = (
        math.fsum(weight * each.dist[place] for weight, each in zip(weights, groups, strict=True))
        for place in range(len(question.options))
    )
    return replace(question, people=AnswerDistribution(tuple(dist), total if known else None))
