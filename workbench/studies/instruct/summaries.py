"""What a summary says happens, and to whom: the events that a story must tell to follow it.

The simulator's summaries come from two dozen patterns, one an ending of a plot (`corpora.stories.plots`).
Here each stands beside the events without which its story would be another one. A story is read by the exact
grader's patterns, and pronouns are resolved in its world.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from workbench.corpora.stories.grammar import GENDER_OF_PRONOUN
from workbench.corpora.stories.oracle import finished_sentences, happen, loosely, read
from workbench.corpora.stories.world import World

# An event and what fills its slots; {names} are those of the summary.
PATTERNS = {
    "{hero} loses a {thing} at the {place}, and it is never found.": (
        "takes a={hero} x={thing} p={place}", "loses a={hero} x={thing}", "never_found x={thing}"),
    "{hero} looks for a {thing} that was in the bag all the time.": (
        "loses a={hero} x={thing}", "had_it_all_along a={hero} x={thing}"),
    "{hero} loses a {thing} at the {place}, and {friend} finds it.": (
        "takes a={hero} x={thing} p={place}", "loses a={hero} x={thing}", "finds b={friend} x={thing}"),
    "{hero} breaks {friend}'s {thing}, and it cannot be fixed.": (
        "has a={friend} x={thing}", "breaks a={hero} x={thing}", "cannot_fix x={thing}"),
    "{hero} breaks {friend}'s {thing}, tells the truth, and they fix it.": (
        "has a={friend} x={thing}", "breaks a={hero} x={thing}", "confesses a={hero} b={friend}",
        "fixes x={thing}"),
    "{friend} wants {hero}'s {thing} and runs away with it.": (
        "has a={hero} x={thing}", "wants_turn b={friend} x={thing}", "runs_away a={friend} x={thing}"),
    "{hero} learns to share a {thing} with {friend}.": (
        "has a={hero} x={thing}", "share a={hero} b={friend} x={thing}"),
    "{hero}'s {thing} gets stuck, and nobody can get it down.": (
        "has a={hero} x={thing}", "gets_stuck x={thing}", "stays_stuck x={thing}"),
    "{hero}'s {thing} gets stuck, and {friend} gets it down with a {tool}.": (
        "has a={hero} x={thing}", "gets_stuck x={thing}", "frees b={friend} x={thing} y={tool}"),
    "{hero} makes a {thing} for {friend} and hides it.": (
        "plans_gift a={hero} b={friend}", "makes a={hero} x={thing}", "hides a={hero} x={thing}"),
    "{hero} trades a {thing} for {friend}'s {other}.": (
        "has a={friend} x={other}", "trade a={hero} b={friend} x={thing} y={other}"),
    "{hero} is afraid of the {thing} and runs home.": ("fears a={hero} x={thing}", "gives_up a={hero}"),
    "{hero} is afraid of the {thing}, and {friend} helps.": (
        "fears a={hero} x={thing}", "encourages a={hero} b={friend}", "is_brave a={hero} x={thing}"),
    "{hero} touches the {thing} and is hurt.": ("disobeys a={hero} x={thing}", "hurts a={hero}"),
    "{hero} touches the {thing}, is hurt, and is comforted.": (
        "disobeys a={hero} x={thing}", "hurts a={hero}", "comforts a={hero}"),
    "{hero} wants to be friends with a {kind}, but {friend} does not.": (
        "meets a={hero} b={friend} k={kind}", "asks_friend a={hero}", "sends_away b={friend}"),
    "{hero} feeds a {kind} named {friend} and makes a friend.": (
        "meets a={hero} b={friend} k={kind}", "feeds a={hero} b={friend}", "agrees b={friend}"),
    "{hero} and {friend} build a {thing}, and it falls down.": (
        "build a={hero} b={friend} x={thing}", "falls_down x={thing}"),
    "{hero} and {friend} build a {thing} again after it falls down.": (
        "build a={hero} b={friend} x={thing}", "falls_down x={thing}", "rebuild x={thing}"),
    "{hero} looks for {friend}, who hides {spot}.": (
        "hides_self b={friend} s={spot}", "finds_person a={hero} b={friend} s={spot}"),
    "{hero} hears a noise, but it is only a {kind}.": ("hears a={hero}", "only_an_animal k={kind}"),
    "{hero} chooses a {thing}, not a {other}, and gives it to {friend}.": (
        "gives_chosen a={hero} x={thing}", "gives_to a={hero} b={friend} x={thing}"),
    "{hero} puts a {thing} in the {other} and finds it there again.": (
        "puts_in a={hero} x={thing} y={other}", "opens a={hero} x={thing} y={other}"),
}  # fmt: skip
_BLANK = re.compile(r"\\\{(\w+)\\\}")
_EXPRESSIONS = {
    pattern: re.compile(_BLANK.sub(r"(?P<\1>[A-Za-z ]+?)", re.escape(pattern))) for pattern in PATTERNS
}


@dataclass(frozen=True)
class Told:
    """An event, and who and what takes part in it, by slot."""

    event: str
    slots: Mapping[str, str]

    def is_told_by(self, other: "Told") -> bool:
        """Whether another one is this event, with the same in every slot that this one fills."""
        return self.event == other.event and self.slots.items() <= other.slots.items()


def key_events(summary: str) -> list[Told]:
    """What a summary says happens; empty where it is none of the simulator's."""
    for pattern, expression in _EXPRESSIONS.items():
        if match := expression.fullmatch(summary.strip()):
            return [_event(text, match.groupdict()) for text in PATTERNS[pattern]]
    return []


def _event(text: str, names: Mapping[str, str]) -> Told:
    event, *slots = text.split(" ")
    return Told(event, {slot: value.format(**names) for slot, value in (part.split("=") for part in slots)})


def told(story: str) -> list[Told]:
    """Every event that a story tells, pronouns replaced by whom they mean, things by their nouns."""
    world, events = World(), []
    for start, end in finished_sentences(story):
        reading = read(story[start:end])
        if reading is None:
            loosely(world, story[start:end])
            continue
        slots = {slot: _plain(world, slot, value) for slot, value in reading.slots.items()}
        events.append(Told(reading.event, slots))
        happen(world, reading)
    return events


def _plain(world: World, slot: str, value: str) -> str:
    if slot in "abc":
        return world.salient.get(GENDER_OF_PRONOUN.get(value, ""), value)
    return value.split()[-1] if slot in "xyz" else value


def share_told(summary: str, events: list[Told]) -> float:
    """The share of a summary's key events that are among a story's events; NaN of an unknown summary."""
    wanted = key_events(summary)
    happened = [any(event.is_told_by(other) for other in events) for event in wanted]
    return sum(happened) / len(happened) if happened else float("nan")
