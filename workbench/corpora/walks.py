"""Walks through a small town: a place, ways to go, and where one is after each of them.

Every way is a random permutation of the places that leaves none where it is, so that a step is a look-up, and
the place after k steps needs k of them, in their order. A walk is its words ("park north east"); the answers
are read at each way, as LEGO reads them at each clause (Zhang et al. 2022, arXiv 2206.04301, section 2).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from workbench.engine.tokens import continued, first_token
from workbench.errors import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

PLACES = (
    "park", "school", "shop", "lake", "farm", "bridge",
    "tower", "market", "garden", "museum", "harbour", "forest",
)  # fmt: skip
WAYS = ("north", "east", "south", "west", "up", "down")
HELD_OUT = 0.25  # of all beginnings
BEGINNING = 3  # steps of a beginning


@dataclass(frozen=True)
class Town:
    """Where each way leads, and which beginnings are kept for the test."""

    leads: np.ndarray  #: `[ways, places]`, the place that a way leads to
    held_out: np.ndarray  #: bool `[places, ways, ways, ways]`: no walk that is learnt begins with these steps


@dataclass(frozen=True)
class Walks:
    """Walks of one length: `starts [n]`, `ways [n, steps]`, the place after each step `ends [n, steps]`."""

    starts: np.ndarray
    ways: np.ndarray
    ends: np.ndarray


@dataclass(frozen=True)
class Words:
    """Tokens of one word each: the places, the ways; and the first token of a walk."""

    places: np.ndarray
    ways: np.ndarray
    begin: int


def town(n_places: int, n_ways: int, rng: np.random.Generator) -> Town:
    """A town drawn at random; a quarter of all beginnings is kept for the test."""
    leads = np.array([_way(n_places, rng) for _ in range(n_ways)])
    shape = (n_places, *[n_ways] * BEGINNING)
    held_out = rng.permutation(np.prod(shape)) < round(HELD_OUT * np.prod(shape))
    return Town(leads, held_out.reshape(shape))


def _way(n_places: int, rng: np.random.Generator) -> np.ndarray:
    """Where a way leads: from every place to another, so that who stays has gone nowhere."""
    leads = rng.permutation(n_places)
    while (leads == np.arange(n_places)).any():
        leads = rng.permutation(n_places)
    return leads


def draw(town: Town, n: int, steps: int, rng: np.random.Generator, *, held_out: bool = False) -> Walks:
    """Random walks, all of them to learn from or all held out; shorter ones than a beginning never are."""
    n_ways, n_places = town.leads.shape
    if steps < BEGINNING:
        starts, ways = rng.integers(n_places, size=n), rng.integers(n_ways, size=(n, steps))
    else:
        beginnings = np.argwhere(town.held_out == held_out)
        chosen = beginnings[rng.integers(len(beginnings), size=n)]
        starts = chosen[:, 0]
        ways = np.concatenate([chosen[:, 1:], rng.integers(n_ways, size=(n, steps - BEGINNING))], 1)
    ends, at = [], starts
    for step in range(steps):
        at = town.leads[ways[:, step], at]
        ends.append(at)
    return Walks(starts, ways, np.stack(ends, 1))


def tokens(walks: Walks, words: Words) -> np.ndarray:
    """Token ids `[n, steps + 2]`: the beginning, the start, the ways."""
    begin = np.full((len(walks.starts), 1), words.begin)
    return np.concatenate([begin, words.places[walks.starts][:, None], words.ways[walks.ways]], 1)


def words(tokenizer: "PreTrainedTokenizerFast", n_places: int, n_ways: int) -> Words:
    """The words that a town needs, as tokens.

    Raises:
        UserError: one of them is not a single token of this tokenizer.
    """
    needed = [*PLACES[:n_places], *WAYS[:n_ways]]
    tokens_of = {word: continued(tokenizer, f" {word}") for word in needed}
    broken = [word for word, ids in tokens_of.items() if len(ids) != 1]
    if broken:
        raise UserError(
            f"This tokenizer breaks {', '.join(broken)} into pieces, and walks need whole words: "
            "take another model."
        )
    ids = np.array(list(tokens_of.values()))[:, 0]
    return Words(ids[:n_places], ids[n_places:], first_token(tokenizer))
