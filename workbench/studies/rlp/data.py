"""What 11_rlp reads, the embedded language or the texts of a file with any model, and where it thinks.

In a text that is at one random token, as RLP does, or where the next token is uncertain.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, TypeVar

import numpy as np
import torch

from workbench.corpora import thoughts
from workbench.corpora.thoughts import Chain, Count, Who
from workbench.engine.models import context_length
from workbench.engine.sampling.scoring import prompt_tokens
from workbench.engine.tokens import begin, encode
from workbench.errors import UserError
from workbench.studies.rlp.language import as_found, question_first
from workbench.studies.rlp.method import Position, Thinking
from workbench.studies.rlp.problems import Problem

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

HELD_OUT = 1_000_000  # the seed of what is only asked
CHAIN, COUNT, WHO, PROBLEM, TEXT = "chain", "count", "who", "problem", "text"  # kinds of what is asked
T = TypeVar("T")
Criterion = Literal["random", "entropy", "surprise"]
FEWEST_TEXTS = 20  # some are for the test (see `check`)


Item = Chain | Count | Who | Problem


def kind_of(item: Item) -> str:
    """What an item is called in tables: chain, count, who or problem."""
    return type(item).__name__.lower()


@dataclass(frozen=True)
class Embedded:
    """Chains and counts, one after the other: what every arm thinks about, reads, or answers."""

    slots: int
    stop: ClassVar[tuple[str, ...]] = (thoughts.END,)  # before which a reply ends
    asks: ClassVar[bool] = True  # questions whose answers can be checked

    @property
    def thinking(self) -> Thinking:
        """Thoughts that may be a little longer than they need to be."""
        return Thinking(thoughts.OPENING, thoughts.CLOSING, max_tokens=self.slots + 3, horizon=1)

    @property
    def longest_reply(self) -> int:
        """Tokens of a reply that thinks twice as long as it need."""
        return 2 * self.slots + 4

    def chains(self, n: int, seed: int) -> list[Chain]:
        """`n` chains of all lengths; those of the seed `HELD_OUT` are never learnt from."""
        lengths, rng = range(1, self.slots + 1), np.random.default_rng([seed, 1])
        return thoughts.draw(n, lengths, self.slots, rng, held_out=seed == HELD_OUT)

    def counts(self, n: int, seed: int) -> list[Count]:
        """`n` counts in random order, each once before any comes again."""
        return _in_passes(thoughts.all_counts(), n, np.random.default_rng([seed, 4]))

    def items(self, n: int, seed: int) -> list[Chain | Count]:
        """A chain, a count, a chain …"""
        pairs = zip(self.chains(-(-n // 2), seed), self.counts(-(-n // 2), seed), strict=True)
        return [item for pair in pairs for item in pair][:n]

    def documents(self, n: int, seed: int) -> list[Position]:
        """What `items` say, with the base's share of thoughts: so that text does not unlearn thinking.

        Questions are only read, as in imitation; what follows them is learnt.
        """
        rng = np.random.default_rng([seed, 5])
        return [question_first(as_found(item, rng)) for item in self.items(n, seed)]

    def positions(self, n: int, seed: int, *_: object, at_random: bool = False) -> list[Position]:
        """Before the answers of `items`, or before a random word of each but the first."""
        items = self.items(n, seed)
        if not at_random:
            return [(item.question, item.answer) for item in items]
        rng, cut_texts = np.random.default_rng([seed, 2]), []
        for item in items:
            words = (item.question + item.answer).split()
            cut = int(rng.integers(1, len(words)))
            cut_texts.append((" ".join(words[:cut]), "".join(f" {word}" for word in words[cut:])))
        return cut_texts

    def examples(self) -> list[Position]:
        """A few documents as the base reads them."""
        return [*self.documents(6, 0), question_first(thoughts.who_document(np.random.default_rng(3)))]

    def kinds(self, n: int) -> list[str]:
        """Which of `n` `positions` stand before a chain's answer, and which before a count's."""
        return [kind_of(item) for item in self.items(n, HELD_OUT)]

    def training_items(self, n: int, seed: int) -> list[Item]:
        """`n` questions to be rewarded for: of four, two chains, a count and a name."""
        quarter = -(-n // 4)
        names = _in_passes(thoughts.all_who()[1::2], quarter, np.random.default_rng([seed, 3]))
        return [*self.chains(2 * quarter, seed), *self.counts(quarter, seed), *names]

    def test_items(self, n: int) -> list[Item]:
        """`n` chains that nothing was learnt from, as many counts, and the names that bring no reward."""
        return [*self.chains(n, HELD_OUT), *self.counts(n, HELD_OUT), *thoughts.all_who()[::2]]


def _in_passes(things: Sequence[T], n: int, rng: np.random.Generator) -> list[T]:
    """`n` of them in random order, each once before any comes again."""
    orders = [rng.permutation(len(things)) for _ in range(-(-n // len(things)))]
    return [things[index] for index in np.concatenate([[], *orders]).astype(int)[:n]]


@dataclass(frozen=True)
class FileTexts:
    """Texts of a file, nine tenths to learn from and the rest to be asked about."""

    train: Sequence[str]
    held_out: Sequence[str]
    thinking: Thinking
    rewarded: Sequence[Problem] = ()  #: problems that a reply is rewarded for
    asked: Sequence[Problem] = ()  #: and others, before and after
    stop: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def of(
        cls,
        texts: Sequence[str],
        thinking: Thinking,
        seed: int,
        problems: tuple[Sequence[Problem], Sequence[Problem]] = ((), ()),
    ) -> FileTexts:
        """The texts in random order, cut into the two parts; problems to learn from, and others to ask.

        Raises:
            UserError: there are fewer than twenty texts.
        """
        if len(texts) < FEWEST_TEXTS:
            raise UserError(
                f"The text has {len(texts)} documents: give {FEWEST_TEXTS} or more, some are for the test."
            )
        order: list[int] = np.random.default_rng([seed, 0]).permutation(len(texts)).tolist()
        shuffled = [texts[index] for index in order]
        cut = max(len(texts) // 10, 2)
        return cls(shuffled[cut:], shuffled[:cut], thinking, *problems)

    @property
    def asks(self) -> bool:
        """Whether there are questions whose answers can be checked."""
        return len(self.rewarded) > 0

    @property
    def longest_reply(self) -> int:
        """Tokens of a reply: a worked solution is longer than a thought about one token."""
        return 4 * self.thinking.max_tokens

    def documents(self, n: int, seed: int) -> list[str]:
        """`n` texts in random order, again from the start where there are fewer."""
        texts = self.held_out if seed == HELD_OUT else self.train
        return _in_passes(texts, n, np.random.default_rng([seed, 1]))

    def kinds(self, n: int) -> list[str]:
        """Of what `n` `positions` are part: texts."""
        return [TEXT] * n

    def training_items(self, n: int, seed: int) -> list[Problem]:
        """`n` problems in random order, again from the start where there are fewer."""
        return _in_passes(self.rewarded, n, np.random.default_rng([seed, 3]))

    def test_items(self, n: int) -> list[Problem]:
        """The first `n` that are only asked."""
        return list(self.asked[:n])

    def examples(self) -> list[Position]:
        """How a few of the texts begin."""
        return [(text[:60], text[60:120]) for text in self.train[:3]]

    def positions(
        self,
        n: int,
        seed: int,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerFast,
        at_random: bool = False,
    ) -> list[Position]:
        """One position in each of `documents`: where the next token is uncertain, or a random one."""
        thinking, context = self.thinking, context_length(model)
        marks = len(encode(tokenizer, [thinking.opening + thinking.closing])[0]) + 2  # may be cut otherwise
        room = context - thinking.max_tokens - thinking.horizon - marks
        if room < 1:
            raise UserError(f"Thoughts of {thinking.max_tokens} tokens fill the context of {context}.")
        criterion = "random" if at_random else "entropy"
        return positions(self.documents(n, seed), tokenizer, horizon=thinking.horizon, criterion=criterion,
                         model=model, longest=room, seed=seed)  # fmt: skip


def positions(
    texts: Sequence[str],
    tokenizer: PreTrainedTokenizerFast,
    *,
    horizon: int = 1,
    criterion: Criterion = "random",
    model: PreTrainedModel | None = None,
    band: tuple[float, float] = (1.0, 4.5),
    longest: int | None = None,
    seed: int = 0,
) -> list[Position]:
    """One position of each text, at least one token in and `horizon` tokens before its end.

    Args:
        horizon: tokens that have to follow.
        criterion: `random` (RLP, arXiv 2510.01265, section 3), `entropy` of the next token under the model
            (RPT, arXiv 2506.08007, section 3) or `surprise`, the nats of the real next token.
        model: measures either; texts are cut at its context.
        band: nats (low, high) that entropy or surprise has to lie in.
        longest: tokens that may stand before a position; None for any number.

    Returns:
        Documents up to a token and from it on; texts that have no such token are left out.

    Raises:
        UserError: no text has one, or a model is missing.
    """
    if criterion != "random" and model is None:
        raise UserError(f"Positions by {criterion} need a model that measures it.")
    rng, cut_texts = np.random.default_rng(seed), []
    for text in texts:
        read = tokenizer(
            text, add_special_tokens=False, split_special_tokens=True, return_offsets_mapping=True
        )
        ends = [end for _, end in read["offset_mapping"]]
        last = min(len(ends) - horizon, longest or len(ends))
        n_before = np.arange(1, last + 1)  # tokens before a position
        if criterion != "random" and model is not None and len(n_before):
            nats = _nats(model, tokenizer, text, criterion)
            n_before = n_before[n_before < len(nats)]
            n_before = n_before[(nats[n_before] >= band[0]) & (nats[n_before] <= band[1])]
        if len(n_before):
            cut = ends[int(rng.choice(n_before)) - 1]
            cut_texts.append((text[:cut], text[cut:]))
    if not cut_texts:
        in_band = f" with an {criterion} of {band[0]} to {band[1]} nats."
        raise UserError(
            f"None of the {len(texts)} texts has a position {horizon} tokens before its end"
            + (": give longer ones." if criterion == "random" else in_band)
        )
    return cut_texts


@torch.inference_mode()
def _nats(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, text: str, criterion: Criterion
) -> np.ndarray:
    """Entropy or surprise at each token of the text itself, the first one's among them."""
    ids = torch.tensor(prompt_tokens(tokenizer, [text])[0][: context_length(model)], device=model.device)
    logps = model(ids[None], use_cache=False).logits[0].float().log_softmax(-1)[:-1]
    entropy, surprise = -(logps.exp() * logps).sum(-1), -logps.gather(1, ids[1:, None])[:, 0]
    # Without a token that begins a text nothing is known of the first.
    values = (entropy if criterion == "entropy" else surprise).cpu().numpy()
    n_first = len(begin(tokenizer))
    return values[n_first - 1 :] if n_first else np.concatenate(([np.nan], values))
