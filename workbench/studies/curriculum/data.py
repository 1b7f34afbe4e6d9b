"""What the models of 06_curriculum read: pages of facts and pages of walks, in a share and an order.

A page is one row of training. All orders read the very same pages, so that nothing but the order differs;
all shares read equally many pages, so that more of the one is less of the other.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.corpora import facts, walks
from workbench.corpora.facts import VALUES, Fact
from workbench.corpora.stories.words import BOYS, GIRLS
from workbench.engine import loading
from workbench.engine.models import context_length
from workbench.engine.tokens import encode_pairs, word_tokenizer
from workbench.engine.training.packing import IGNORED, Blocks, pack
from workbench.errors import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Of pages with facts in all pages."""
ORDERS = ("shuffled", "interleaved", "easy to hard", "facts first", "walks first")
_BLOCKS = 8  # of each kind, where they are interleaved


@dataclass(frozen=True)
class Settings:
    """What is read and asked, and by which models."""

    n_facts: int  #: to know by heart
    n_places: int  #: of the town
    n_ways: int  #: out of each place
    n_steps: int  #: of the longest walk
    updates: int  #: of the weights; each reads `batch_size` pages
    batch_size: int  #: pages
    context: int  #: tokens of a page
    seeds: int  #: trainings of each arm, each with its own facts, town, questions and first weights
    n_test: int  #: facts, and walks, in a test
    #: of new models; the same throughout, so that what comes last is not learnt more slowly.
    learning_rate: float
    #: (layers, width) with about equally many parameters outside the embedding; the first is that of all
    #: models but those that compare shapes.
    shapes: tuple[tuple[int, int], ...]
    #: trainings at a time; None for one a thread. Starting a process takes as long as some quick trainings.
    processes: int | None = None
    model: str = "embedded"  #: as the notebook's parameter; likewise facts, seed and device
    facts: str = "embedded"
    seed: int = 0
    device: str = "cpu"
    placebo: bool = False  #: train every arm as a second control

    @property
    def n_pages(self) -> int:
        """Pages that each model reads."""
        return self.updates * self.batch_size

    @property
    def all_seeds(self) -> range:
        """The seeds, one for each repetition of all arms."""
        return range(self.seed, self.seed + self.seeds)


SIZES = {
    "quick": Settings(200, 5, 3, 4, 64, 32, 32, 1, 200, 6e-3, ((4, 32), (1, 64)), 1),
    "laptop": Settings(400, 5, 3, 4, 96, 32, 32, 12, 200, 6e-3, ((4, 32), (2, 48), (1, 64))),
    "paper": Settings(11_000, 12, 6, 8, 20_000, 128, 128, 5, 1_000, 6e-4, ((12, 256), (6, 384), (2, 640))),
}


def settings(params: Any) -> Settings:
    """The profile's sizes with what the notebook's parameters say.

    Raises:
        UserError: there are too few updates, or no such device.
    """
    sizes = {"n_facts": params.n_facts, "updates": params.n_updates, "seeds": params.seeds}
    chosen = replace(
        SIZES[params.profile],
        **{name: value for name, value in sizes.items() if value},
        model=params.model,
        facts=params.facts,
        seed=params.seed,
        device=loading.pick_device(params.device),
        placebo=params.placebo,
    )
    if chosen.updates < 2 * _BLOCKS:
        raise UserError(f"n_updates={chosen.updates} is too few: take {2 * _BLOCKS} or more.")
    return chosen


def draw_facts(settings: Settings, seed: int) -> list[Fact]:
    """The facts of a seed: drawn, or as many as there are in a file."""
    rng = np.random.default_rng([seed, 0])
    if settings.facts == "embedded":
        return facts.draw(settings.n_facts, rng)
    in_file = facts.load(settings.facts)
    return [in_file[index] for index in rng.permutation(len(in_file))[: settings.n_facts]]


def every_word(settings: Settings) -> list[Fact]:
    """Facts that hold all the words which the facts of any seed can have."""
    if settings.facts != "embedded":
        return facts.load(settings.facts)
    names = [f"{name} and {name}" for name in (*GIRLS, *BOYS)]
    return [Fact(name, kind, value) for name in names for kind in VALUES for value in VALUES[kind]]


def word_level_tokenizer(facts: Iterable[Fact], settings: Settings) -> "PreTrainedTokenizerFast":
    """A token for each word of facts and walks."""
    in_facts = [word for fact in facts for word in "".join(fact.pair()).split()]
    in_walks = [*walks.PLACES[: settings.n_places], *walks.WAYS[: settings.n_ways]]
    return word_tokenizer(list(dict.fromkeys([*in_facts, *in_walks])))


@dataclass(frozen=True)
class Task:
    """One seed's facts and town, as tokens."""

    seed: int  #: whose they are
    facts: list[Fact]  #: to know
    town: walks.Town  #: to walk in
    words: walks.Words  #: tokens of the walks
    tokenizer: "PreTrainedTokenizerFast"  #: of all models
    start: str  #: folder or hub id of the tokenizer, and of the model where it is a given one
    settings: Settings  #: how much is read

    def test_walks(self) -> walks.Walks:
        """Walks of full length that begin as none that is learnt."""
        rng = np.random.default_rng([self.seed, 1])
        return walks.draw(self.town, self.settings.n_test, self.settings.n_steps, rng, held_out=True)

    def pages(self, share: float, order: str) -> Blocks:
        """All pages, in their order, with a share of them facts."""
        rng = np.random.default_rng([self.seed, 2])
        n_facts = round(share * self.settings.n_pages)
        lengths = np.sort(np.arange(self.settings.n_pages - n_facts) % self.settings.n_steps + 1)
        parts = [self._fact_pages(n_facts, rng)] if n_facts else []
        for n_steps, n_pages in zip(*np.unique(lengths, return_counts=True), strict=True):
            parts.append(self._walk_pages(n_pages, n_steps, rng))
        kinds = np.concatenate([np.zeros(n_facts, int), lengths])
        return _rows(parts, arrange(kinds, order, rng))

    def _fact_pages(self, n: int, rng: np.random.Generator) -> Blocks:
        """Pages full of facts, again and again, each time in a new order."""
        packed = pack(self.tokenizer, [fact.pair() for fact in self.facts], self.settings.context)
        passes = [rng.permutation(len(packed.ids)) for _ in range(-(-n // len(packed.ids)))]
        return _rows([packed], np.concatenate(passes)[:n])

    def _walk_pages(self, n: int, n_steps: int, rng: np.random.Generator) -> Blocks:
        """Pages full of walks of this length; what is learnt is the place after each way."""
        context, length = self.settings.context, n_steps + 2
        drawn = walks.draw(self.town, n * (context // length), n_steps, rng)
        ids = walks.tokens(drawn, self.words)
        targets = np.full_like(ids, IGNORED)
        targets[:, 2:] = self.words.places[drawn.ends]
        rest = ((0, 0), (0, context % length))
        ids = np.pad(ids.reshape(n, -1), rest)
        targets = np.pad(targets.reshape(n, -1), rest, constant_values=IGNORED)
        positions = np.tile(np.arange(context) % length, (n, 1))
        return Blocks(*(array.astype(np.int32) for array in (ids, targets, positions)))


def _rows(parts: Sequence[Blocks], rows: np.ndarray) -> Blocks:
    """These rows of all parts, one part after the other."""
    arrays = zip(*((part.ids, part.targets, part.positions) for part in parts), strict=True)
    return Blocks(*(np.concatenate(array)[rows] for array in arrays))


def arrange(kinds: np.ndarray, order: str, rng: np.random.Generator) -> np.ndarray:
    """The order in which pages are read, as indices into `kinds`.

    Args:
        kinds: of each page: 0 for facts, else the steps of its walks.
        order: one of `ORDERS`. Interleaved: blocks of the two kinds take turns; easy to hard: shuffled, but
            that walks come by their length.
        rng: of what is shuffled.
    """
    shuffled = rng.permutation(len(kinds))
    is_walk = kinds[shuffled] > 0
    of_facts, of_walks = shuffled[~is_walk], shuffled[is_walk]
    if order == "shuffled":
        return shuffled
    if order == "facts first":
        return np.concatenate([of_facts, of_walks])
    if order == "walks first":
        return np.concatenate([of_walks, of_facts])
    if order == "interleaved":
        blocks = zip(np.array_split(of_facts, _BLOCKS), np.array_split(of_walks, _BLOCKS), strict=True)
        return np.concatenate([part for pair in blocks for part in pair])
    if order == "easy to hard":
        shuffled[is_walk] = of_walks[np.argsort(kinds[of_walks], kind="stable")]
        return shuffled
    raise ValueError(f"there is no order {order!r}")


def tasks(start: str, settings: Settings, seeds: Iterable[int]) -> list[Task]:
    """Facts, town and questions of each seed.

    Args:
        start: folder or hub id of the tokenizer; see `experiment.start`.
        settings: of the study.
        seeds: whose.

    Raises:
        UserError: a fact is longer than a page, or the words of walks are no single tokens.
    """
    model, tokenizer = loading.load(start, "cpu")
    settings = replace(settings, context=min(settings.context, context_length(model)))
    words = walks.words(tokenizer, settings.n_places, settings.n_ways)
    tasks = []
    for seed in seeds:
        facts = draw_facts(settings, seed)
        _check_lengths(facts, tokenizer, settings.context)
        town = walks.town(settings.n_places, settings.n_ways, np.random.default_rng([seed, 3]))
        tasks.append(Task(seed, facts, town, words, tokenizer, start, settings))
    return tasks


def _check_lengths(facts: list[Fact], tokenizer: "PreTrainedTokenizerFast", context: int) -> None:
    pairs = encode_pairs(tokenizer, [fact.pair() for fact in facts])
    for fact, (prompt, value) in zip(facts, pairs, strict=True):
        if len(prompt) + len(value) > context:
            raise UserError(
                f"The fact {''.join(fact.pair())[:60]!r} takes {len(prompt) + len(value)} tokens, and a page "
                f"holds {context}: leave it out, or take a larger profile."
            )
