"""What the models of 06_curriculum read: pages of facts and pages of walks, in a share and an order.

Among the facts are homes of people, and one arm reads pages of combined questions beside: where is one after
going one way from somebody's home?

A page is one row of training. All orders read the very same pages, so that nothing but the order differs;
all shares read equally many pages, so that more of the one is less of the other.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.corpora import facts, homes, walks
from workbench.corpora.facts import VALUES, Fact
from workbench.corpora.homes import Home, Question
from workbench.corpora.stories.words import BOYS, GIRLS
from workbench.engine import loading
from workbench.engine.models import context_length
from workbench.engine.tokens import encode_pairs, word_tokenizer
from workbench.engine.training.packing import IGNORED, Blocks, pack
from workbench.errors import UserError
from workbench.studies.common.profiles import REAL

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Of pages with facts in all pages."""
COMBINED = 0.125
"""Of all pages, those with combined questions, in the arm that reads some."""
ORDERS = ("shuffled", "interleaved", "easy to hard", "facts first", "walks first")
BLOCKS = 8  # of each kind, where they are interleaved


@dataclass(frozen=True)
class Settings:
    """What is read and asked, and by which models."""

    n_facts: int  #: to know by heart, beside the homes
    n_people: int  #: whose homes are to be known, too
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
    given_rate: float = 1e-4  #: learning rate of a model that has learnt before
    shares: tuple[float, ...] = SHARES  #: that are trained
    orders: tuple[str, ...] = ORDERS  #: that are trained, the first shuffled
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
    "quick": Settings(40, 40, 5, 3, 4, 64, 32, 32, 1, 200, 6e-3, ((4, 32), (1, 64)), 1),
    "laptop": Settings(80, 160, 5, 3, 4, 144, 32, 32, 12, 200, 6e-3, ((4, 32), (1, 64))),
    REAL: Settings(
        n_facts=12,
        n_people=12,
        n_places=4,
        n_ways=2,
        n_steps=4,
        updates=48,
        batch_size=4,
        context=64,
        seeds=1,
        n_test=40,
        learning_rate=0.0,
        shapes=((4, 32),),
        processes=1,
        given_rate=3e-4,
        shares=(0.5,),
        orders=("shuffled", "facts first", "walks first"),
    ),
    "paper": Settings(
        10_000, 160, 12, 6, 8, 20_000, 128, 128, 5, 1_000, 6e-4, ((12, 256), (6, 384), (2, 640))
    ),
}


def settings(params: Any) -> Settings:
    """The profile's sizes with what the notebook's parameters say.

    Raises:
        UserError: there is no such device.
    """
    sizes = {"n_facts": params.n_facts, "updates": params.n_updates, "seeds": params.seeds}
    return replace(
        SIZES[params.profile],
        **{name: value for name, value in sizes.items() if value is not None},
        model=params.model,
        facts=params.facts,
        seed=params.seed,
        device=loading.pick_device(params.device),
        placebo=params.placebo,
    )


def draw_facts(settings: Settings, seed: int) -> list[Fact]:
    """The facts of a seed: drawn, or as many as there are in a file."""
    rng = np.random.default_rng([seed, 0])
    if settings.facts == "embedded":
        return facts.draw(settings.n_facts, rng)
    in_file = facts.load(settings.facts)
    return [in_file[index] for index in rng.permutation(len(in_file))[: settings.n_facts]]


def every_word(settings: Settings) -> list[Fact]:
    """Facts that hold all the words which the facts of any seed can have."""
    names = [f"{name} and {name}" for name in (*GIRLS, *BOYS)]
    lived = [Home(name, place).fact() for name in names for place in range(settings.n_places)]
    if settings.facts != "embedded":
        return [*facts.load(settings.facts), *lived]
    return [*lived, *(Fact(name, kind, value) for name in names for kind in VALUES for value in VALUES[kind])]


def word_level_tokenizer(facts: Iterable[Fact], settings: Settings) -> "PreTrainedTokenizerFast":
    """A token for each word of facts and walks."""
    in_facts = [word for fact in facts for word in "".join(fact.pair()).split()]
    in_walks = [*walks.PLACES[: settings.n_places], *walks.WAYS[: settings.n_ways]]
    return word_tokenizer(list(dict.fromkeys([*in_facts, *in_walks])))


@dataclass(frozen=True)
class Task:
    """One seed's facts, homes and town, as tokens."""

    seed: int  #: whose they are
    facts: list[Fact]  #: to know
    homes: list[Home]  #: to know as well
    questions: list[Question]  #: that need a home and a step
    town: walks.Town  #: to walk in
    words: walks.Words  #: tokens of the walks
    tokenizer: "PreTrainedTokenizerFast"  #: of all models
    start: str  #: folder or hub id of the tokenizer, and of the model where it is a given one
    settings: Settings  #: how much is read

    def test_walks(self) -> walks.Walks:
        """Walks of full length that begin as none that is learnt."""
        rng = np.random.default_rng([self.seed, 1])
        return walks.draw(self.town, self.settings.n_test, self.settings.n_steps, rng, held_out=True)

    def pages(self, share: float, order: str, combined: float = 0.0) -> Blocks:
        """All pages, in their order.

        Args:
            share: of all pages, those with facts.
            order: one of `ORDERS`.
            combined: of all pages, those with combined questions; they stand in place of walks.
        """
        rng = np.random.default_rng([self.seed, 2])
        n_facts, n_combined = (round(part * self.settings.n_pages) for part in (share, combined))
        n_walks = self.settings.n_pages - n_facts - n_combined
        lengths = np.sort(np.arange(n_walks) % self.settings.n_steps + 1)
        known = [*(home.fact() for home in self.homes), *self.facts]
        asked = [question.pair() for question in self.questions if question.kind == homes.READ]
        parts = [self._packed_pages([fact.pair() for fact in known], n_facts, rng)]
        for n_steps, n_pages in zip(*np.unique(lengths, return_counts=True), strict=True):
            parts.append(self._walk_pages(n_pages, n_steps, rng))
        parts.append(self._packed_pages(asked, n_combined, rng))
        kinds = np.concatenate([np.zeros(n_facts, int), lengths, np.ones(n_combined, int)])
        return _rows(parts, arrange(kinds, order, rng))

    def _packed_pages(self, pairs: list[tuple[str, str]], n: int, rng: np.random.Generator) -> Blocks:
        """Pages full of sentences, again and again, each time in a new order."""
        packed = pack(self.tokenizer, pairs, self.settings.context)
        passes = [np.zeros(0, int), *(rng.permutation(len(packed.ids)) for _ in range(0, n, len(packed.ids)))]
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


def last_blocks(updates: int) -> tuple[int, int]:
    """Updates after which interleaved pages have had their last block of facts, and their last of walks."""
    return updates - round(updates / (2 * BLOCKS)), updates


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
        blocks = zip(np.array_split(of_facts, BLOCKS), np.array_split(of_walks, BLOCKS), strict=True)
        return np.concatenate([part for pair in blocks for part in pair])
    if order == "easy to hard":
        shuffled[is_walk] = of_walks[np.argsort(kinds[of_walks], kind="stable")]
        return shuffled
    raise ValueError(f"there is no order {order!r}")


def tasks(start: str, settings: Settings, seeds: Iterable[int]) -> list[Task]:
    """Facts, homes, town and questions of each seed.

    Args:
        start: folder or hub id of the tokenizer; see `experiment.start`.
        settings: of the study.
        seeds: whose.

    Raises:
        UserError: a fact, a walk or a question is longer than a page, or the words of walks are no single
            tokens.
    """
    model, tokenizer = loading.load(start, "cpu")
    settings = replace(settings, context=min(settings.context, context_length(model)))
    if settings.context < settings.n_steps + 2:
        raise UserError(
            f"Walks of {settings.n_steps} steps take {settings.n_steps + 2} tokens, and this model reads "
            f"{settings.context} at once: take another model."
        )
    words = walks.words(tokenizer, settings.n_places, settings.n_ways)
    tasks = [_task(start, settings, seed, words, tokenizer) for seed in seeds]
    for task in tasks:
        pairs = [fact.pair() for fact in task.facts] + [question.pair() for question in task.questions]
        _check_lengths(pairs, tokenizer, settings.context)
    return tasks


def _task(
    start: str, settings: Settings, seed: int, words: walks.Words, tokenizer: "PreTrainedTokenizerFast"
) -> Task:
    town = walks.town(settings.n_places, settings.n_ways, np.random.default_rng([seed, 3]))
    rng = np.random.default_rng([seed, 4])
    people = homes.draw(settings.n_people, settings.n_places, rng)
    questions, known = homes.questions(people, town, rng), draw_facts(settings, seed)
    return Task(seed, known, people, questions, town, words, tokenizer, start, settings)


def _check_lengths(pairs: list[tuple[str, str]], tokenizer: "PreTrainedTokenizerFast", context: int) -> None:
    for pair, (prompt, rest) in zip(pairs, encode_pairs(tokenizer, pairs), strict=True):
        if len(prompt) + len(rest) > context:
            raise UserError(
                f"The sentence {''.join(pair)[:60]!r} takes {len(prompt) + len(rest)} tokens, and a page "
                f"holds {context}: leave it out, or take a larger profile or another model."
            )
