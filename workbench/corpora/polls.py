"""Polls on open-ended requests: texts in which a distribution of answers is written out.

A poll puts a request to twenty people of a library and lists the five commonest meanings, each with the
number of people who gave it and in the words of the first of them ("6: It is like a red coin, soft and kind.
4: …"). Whoever has read polls can be asked for one, as Verbalized Sampling does (Zhang et al. 2025, arXiv
2510.01171).
"""

import re
from collections import Counter
from collections.abc import Collection, Sequence
from random import Random

from workbench.corpora import open_ended
from workbench.corpora.open_ended import KINDS, LIBRARIES, Request

ASKED, LISTED = 20, 5  # people whom a poll asks, and answers that it lists
_PROMPT = "Ask twenty people: {}"
_ENTRY = re.compile(r"(\d+): (.+?)(?= \d+: |$)")  # how many people, and what they say


def can_be_polled(kind: str) -> bool:
    """Whether a poll says something in few words.

    Where the meaning has two parts there are too many for the five commonest to say much, and answers about
    somebody are long.
    """
    return not KINDS[kind].also and "{name}" not in KINDS[kind].asks


def poll_prompt(request: Request) -> str:
    """What asks for a poll."""
    return _PROMPT.format(request.prompt)


def poll(request: Request, seed: int, people: Sequence[int] = range(open_ended.PEOPLE)) -> str:
    """One poll among some of the people."""
    said = open_ended.answers(request, ASKED, seed, people)
    counts = Counter(answer.meaning for answer in said).most_common(LISTED)
    texts = {answer.meaning: answer.text for answer in reversed(said)}
    return " ".join(f"{count}: {texts[meaning]}" for meaning, count in counts)


def entries(text: str) -> list[tuple[float, str]]:
    """A poll read back: how many people, and what they say. Empty where the text is no poll."""
    return [(float(count), answer.strip()) for count, answer in _ENTRY.findall(text)]


def library(name: str, n: int, seed: int, kinds: Collection[str]) -> list[tuple[str, str]]:
    """`n` polls of a library's people, on requests of those kinds that can be polled.

    Returns:
        Pairs of a prompt and " " + a poll.
    """
    rng, pairs = Random(f"polls/{name}/{seed}"), []
    polled = [kind for kind in kinds if can_be_polled(kind)]
    for _ in range(n):
        kind = rng.choice(polled)
        request = open_ended.make_request(kind, rng.choice(list(KINDS[kind].topics)), "")
        pairs.append((poll_prompt(request), " " + poll(request, rng.randrange(2**31), LIBRARIES[name])))
    return pairs
