"""What the models of 06_curriculum read: pages of facts and pages of walks, in a share and an order.

A page is one row of training. All orders read the very same pages, so that nothing but the order differs;
all shares read equally many pages, so that more of the one is less of the other.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from workbench.corpora import facts, walks
from workbench.corpora.facts import Fact
from workbench.engine.tokens import word_tokenizer
from workbench.engine.training.packing import IGNORED, Blocks, pack
from workbench.errors import UserError

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Of pages with facts in all pages."""
ORDERS = ("shuffled", "interleaved", "easy to hard", "facts first", "walks first")
_BLOCKS = 8  # of each kind, where they are interleaved


@dataclass(frozen=True)
class Sizes:
    """How much is read and asked.

    Attributes:
        facts: to know by heart.
        places: of the town.
        ways: out of each place.
        steps: of the longest walk.
        updates: of the weights; each reads `batch` pages.
        batch: pages.
        context: tokens of a page.
        seeds: repetitions, each with its own facts, town, questions and first weights.
        asked: facts, and walks, in a test.
        learning_rate: of new models; the same throughout, so that what comes last is not learnt more slowly.
        shapes: (layers, width) with about equally many parameters outside the embedding; the first is that of
            all models but those that compare shapes.
    """

    facts: int
    places: int
    ways: int
    steps: int
    updates: int
    batch: int
    context: int
    seeds: int
    asked: int
    learning_rate: float
    shapes: tuple[tuple[int, int], ...]

    @property
    def pages(self) -> int:
        """That each model reads."""
        return self.updates * self.batch


SIZES = {
    "tiny": Sizes(400, 5, 3, 4, 96, 32, 32, 3, 200, 6e-3, ((4, 32), (2, 48), (1, 64))),
    "small": Sizes(4_000, 8, 4, 6, 2_000, 64, 64, 5, 500, 2e-3, ((8, 64), (2, 128), (1, 192))),
    "paper": Sizes(11_000, 12, 6, 8, 20_000, 128, 128, 5, 1_000, 6e-4, ((12, 256), (6, 384), (2, 640))),
}


def sizes(params: Any) -> Sizes:
    """The profile's sizes; `n_facts` and `n_updates` replace what they name."""
    named = {"facts": params.n_facts, "updates": params.n_updates}
    chosen = replace(SIZES[params.profile], **{name: value for name, value in named.items() if value})
    if chosen.updates < 2 * _BLOCKS:
        raise UserError(f"n_updates={chosen.updates} is too few: take {2 * _BLOCKS} or more.")
    return chosen


def known(params: Any, sizes: Sizes, seed: int) -> list[Fact]:
    """The facts of a repetition: drawn, or as many as there are in a file."""
    rng = np.random.default_rng([params.seed, seed, 0])
    if params.facts == "embedded":
        return facts.draw(sizes.facts, rng)
    found = facts.load(params.facts)
    return [found[place] for place in rng.permutation(len(found))[: sizes.facts]]


@dataclass(frozen=True)
class Task:
    """One repetition's facts and town, as tokens.

    Attributes:
        seed: of the repetition.
        facts: to know.
        town: to walk in.
        words: tokens of the walks.
        tokenizer: of all models.
        sizes: how much is read.
    """

    seed: int
    facts: list[Fact]
    town: walks.Town
    words: walks.Words
    tokenizer: Any
    sizes: Sizes

    def asked_walks(self) -> walks.Walks:
        """Walks of full length that begin as none that is learnt."""
        rng = np.random.default_rng([self.seed, 1])
        return walks.draw(self.town, self.sizes.asked, self.sizes.steps, rng, held_out=True)

    def pages(self, share: float, order: str) -> Blocks:
        """All pages, in their order, with a share of them facts."""
        rng = np.random.default_rng([self.seed, 2])
        n_facts = round(share * self.sizes.pages)
        steps = np.arange(self.sizes.pages - n_facts) % self.sizes.steps + 1
        parts = [self._of_facts(n_facts, rng)] if n_facts else []
        parts += [self._of_walks(int((steps == n).sum()), n, rng) for n in np.unique(steps)]
        kinds = np.concatenate([np.zeros(n_facts, int), np.sort(steps)])
        places = arrange(kinds, order, rng)
        arrays = zip(*((part.ids, part.targets, part.positions) for part in parts), strict=True)
        return Blocks(*(np.concatenate(each)[places] for each in arrays))

    def _of_facts(self, n: int, rng: np.random.Generator) -> Blocks:
        """Pages full of facts, again and again, each time in a new order."""
        packed = pack(self.tokenizer, [fact.pair() for fact in self.facts], self.sizes.context)
        passes = [rng.permutation(len(packed.ids)) for _ in range(-(-n // len(packed.ids)))]
        chosen = np.concatenate(passes)[:n]
        return Blocks(packed.ids[chosen], packed.targets[chosen], packed.positions[chosen])

    def _of_walks(self, n: int, steps: int, rng: np.random.Generator) -> Blocks:
        """Pages full of walks of this length; what is learnt is the place after each way."""
        context = self.sizes.context
        per_page = context // (steps + 2)
        drawn = walks.draw(self.town, n * per_page, steps, rng)
        ids = walks.tokens(drawn, self.words)
        targets = np.full_like(ids, IGNORED)
        targets[:, 2:] = self.words.places[drawn.ends]
        positions = np.tile(np.arange(steps + 2), (len(ids), 1))
        rest = context - per_page * (steps + 2)

        def paged(values: np.ndarray, filler: np.ndarray) -> np.ndarray:
            return np.concatenate([values.reshape(n, -1), np.tile(filler, (n, 1))], 1).astype(np.int32)

        fillers = np.zeros(rest, int), np.full(rest, IGNORED), np.arange(rest)
        return Blocks(*map(paged, (ids, targets, positions), fillers))


def arrange(kinds: np.ndarray, order: str, rng: np.random.Generator) -> np.ndarray:
    """The order in which pages are read, as places in `kinds`.

    Args:
        kinds: of each page: 0 for facts, else the steps of its walks.
        order: one of `ORDERS`. Interleaved: blocks of the two kinds take turns; easy to hard: shuffled, but
            that walks come by their length.
        rng: of what is shuffled.
    """
    shuffled = rng.permutation(len(kinds))
    is_walk = kinds[shuffled] > 0
    told, walked = shuffled[~is_walk], shuffled[is_walk]
    if order == "shuffled":
        return shuffled
    if order == "facts first":
        return np.concatenate([told, walked])
    if order == "walks first":
        return np.concatenate([walked, told])
    if order == "interleaved":
        blocks = zip(np.array_split(told, _BLOCKS), np.array_split(walked, _BLOCKS), strict=True)
        return np.concatenate([part for pair in blocks for part in pair])
    if order == "easy to hard":
        shuffled[is_walk] = walked[np.argsort(kinds[walked], kind="stable")]
        return shuffled
    raise ValueError(f"there is no order {order!r}")


def tokenizer_of(known: Sequence[Fact], sizes: Sizes) -> Any:
    """A token for each word of facts and walks."""
    texts = ["".join(fact.pair()) for fact in known]
    told = {word: None for text in texts for word in text.split()}
    return word_tokenizer(
        list(told | dict.fromkeys([*walks.PLACES[: sizes.places], *walks.WAYS[: sizes.ways]]))
    )
