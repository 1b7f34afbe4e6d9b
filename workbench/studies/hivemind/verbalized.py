"""Verbalized Sampling (Zhang et al. 2025, arXiv 2510.01171): ask for several answers with their shares.

As published (section 4): one call asks a model for k = 5 answers, each with a probability, and answers are
then drawn from such lists by the probabilities written there. Tuning that prefers one answer narrows what a
model says when it is asked for *an* answer; whether the *list* keeps the distribution that was read before is
the question. One answer is drawn from each list here, so that n answers cost n calls, as n direct answers do.

The published measure of diversity is a mean distance of vectors. Where the distribution that was read is
known we ask for more, nearness to it, by a distance that does not depend on the number of answers.
"""

import math
import re
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from workbench.measures.equivalence import collision

LISTED = 5  # answers that a given model is asked for, as published
SUFFIX = ", verbalized"  # behind the name of a given model that was asked for lists
PLAIN = ", listed"  # behind that of one that was asked for lists without probabilities
_VARIANT = re.compile(rf"({SUFFIX}|{PLAIN}|, at \d+(\.\d+)?)$")
_TAGGED = re.compile(r"<text>(.*?)</text>\s*<probability>\s*(\d*\.?\d+)", re.S | re.I)
_JSON = re.compile(r'"text"\s*:\s*"((?:[^"\\]|\\.)*)"\s*,\s*"probability"\s*:\s*"?(\d*\.?\d+)')
_ITEM = re.compile(r"^\s*(?:\d+[.)]|[-*•])\s*(.*\S)\s*$", re.M)
_LINE = re.compile(r"^\s*(?:\d+[.)]|[-*])\s*(.+?)\s*[(\[:–-]+\s*(\d*\.?\d+)\s*%?\s*[)\]]?\s*$", re.M)
Entry = tuple[float, str]
"""The share of an answer, on whatever scale, and the answer."""


def chat_prompt(prompt: str) -> str:
    """What asks a given model for a list: the published instruction, and tags that can be read back."""
    return (
        f"Give {LISTED} different answers to the request below, and with each the probability that it would "
        "be given. Write each as <response><text>the answer</text><probability>a number from 0 to 1"
        f"</probability></response>, and nothing else.\n\n{prompt}"
    )


def short_prompt(prompt: str) -> str:
    """What asks a given model for one answer as short as those of `plain_prompt`, which it stands beside."""
    return f"Give one short answer to the request below, in one line.\n\n{prompt}"


def plain_prompt(prompt: str) -> str:
    """What asks a given model for a list without probabilities, which small ones write sooner."""
    return (
        f"Give {LISTED} different answers to the request below, as a numbered list with one short answer a "
        f"line.\n\n{prompt}"
    )


def read_plain(text: str) -> list[Entry]:
    """The items of a numbered or dotted list, all with one share; empty if there are fewer than two."""
    items = _ITEM.findall(text)[:LISTED]
    return [(1.0, item) for item in items] if len(items) > 1 else []


def at(temperature: float) -> str:
    """What stands behind the name of a given model that was asked at another temperature."""
    return f", at {temperature:g}"


def own_name(name: str) -> str:
    """The name of a model without what says how it was asked."""
    return _VARIANT.sub("", name)


def read_list(text: str) -> list[Entry]:
    """The entries of a list in tags, in JSON, or in lines that end with a number; empty if it is none.

    Entries whose number is too long for a float are left out.
    """
    for pattern in (_TAGGED, _JSON, _LINE):
        if read := [(float(share), answer.strip()) for answer, share in pattern.findall(text)]:
            return [(share, answer) for share, answer in read if answer and math.isfinite(share)]
    return []


def draw(entries: Sequence[Entry], rng: np.random.Generator) -> str:
    """One answer by the shares; "" where there is none, or where their sum is 0 or beyond any float."""
    if not 0 < sum(share for share, _ in entries) < math.inf:
        return ""
    shares = np.array([share for share, _ in entries])
    return entries[rng.choice(len(entries), p=shares / shares.sum())][1]


def distance(counts: pd.Series, shares: Mapping[str, float]) -> float:
    """Squared distance Σ(p − q)² of the distribution that answers come from to a known one.

    Σp² is the chance that two *different* answers agree, so that few answers do not look farther away; for
    the same reason a distance near 0 may come out below it.

    Args:
        counts: answers by meaning, all of them meanings of `shares`.
        shares: q.

    Returns:
        NaN of fewer than two answers.
    """
    own, q = collision(counts), np.array(list(shares.values()))
    met = sum(count * shares[meaning] for meaning, count in counts.items()) / max(1, counts.sum())
    return float(own - 2 * met + (q**2).sum())
