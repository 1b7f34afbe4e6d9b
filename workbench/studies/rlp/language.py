"""The language of 11_rlp: what the embedded model reads before reinforcement, and what it is asked after."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from workbench.corpora import thoughts
from workbench.corpora.thoughts import Aim, Chain
from workbench.engine import models
from workbench.engine.sampling.sampler import SamplingParams
from workbench.engine.sampling.transformers_sampler import TransformersSampler
from workbench.engine.tokens import word_tokenizer
from workbench.engine.training.common import TrainConfig
from workbench.engine.training.train import train

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

STAGES = {"worked": 0.3, "base": 0.6}  # share of the second kind among the documents of each stage
USEFUL, NOISE = 0.3, 0.1  # of the second stage's thoughts, and of the values in the useful ones


@dataclass(frozen=True)
class Language:
    """Sizes of the embedded model and of what it reads by imitation.

    Attributes:
        shape: layers and width.
        slots: operations of the longest chain.
        worked: steps on chains with every step written down.
        found: steps on chains as one finds them, after that.
        rows: documents a step.
        learning_rate: the highest.
    """

    shape: tuple[int, int]
    slots: int
    worked: int
    found: int
    rows: int = 128
    learning_rate: float = 3e-3

    @property
    def context(self) -> int:
        """Tokens of the longest document: the beginning, start, slots, "=", a thought, an answer, an end."""
        return 2 * self.slots + 7


def imitate(folder: Path, language: Language, seed: int) -> None:
    """The model that reinforcement begins with, in `folder / "base"`.

    First it reads chains with every step written down, then such whose thoughts are mostly idle: it has seen
    how to think, and rarely does. Imitation first, reinforcement after, is what all published recipes for
    small models share.
    """
    rng = np.random.default_rng([seed, 0])
    tokenizer = word_tokenizer(thoughts.VOCABULARY)
    layers, width = language.shape
    shape = models.config(
        vocab_size=len(tokenizer), n_layers=layers, hidden_size=width, context=4 * language.context
    )
    model = models.build(shape, seed)
    for (name, share_made), steps in zip(STAGES.items(), (language.worked, language.found), strict=True):
        write = thoughts.worked_document if name == "worked" else _as_found(rng)
        train(
            model,
            tokenizer,
            _documents(language, steps * language.rows, write, share_made, rng),
            TrainConfig(
                steps=steps,
                batch_size=language.rows,
                context=language.context,
                learning_rate=language.learning_rate,
                seed=seed,
            ),
            folder=folder / name,
        )


def _as_found(rng: np.random.Generator) -> Callable[[Chain], str]:
    return lambda chain: thoughts.raw_document(chain, USEFUL, NOISE, rng)


def _documents(
    language: Language, n: int, write: Callable[[Chain], str], share_made: float, rng: np.random.Generator
) -> list[str]:
    chains = iter(thoughts.draw(n, range(1, language.slots + 1), language.slots, rng))
    return [
        thoughts.aim_document(rng) if rng.random() < share_made else write(next(chains)) for _ in range(n)
    ]


def longest(slots: int) -> int:
    """Tokens of a reply that thinks twice as long as it need."""
    return 2 * slots + 4


def ask(
    model: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerFast",
    items: Sequence[Chain | Aim],
    draws: int,
    seed: int,
    thinking: bool = False,
) -> pd.DataFrame:
    """Replies to questions.

    Args:
        model: any model of the language.
        tokenizer: its tokenizer.
        items: the questions.
        draws: replies to each, at temperature 1.
        seed: of the draws.
        thinking: whether every reply has to begin with a thought.

    Returns:
        A row a reply: item (place in `items`), kind (chain or aim), length (operations), thinks, useful
        (share of the values that stand in the thought, in their places; NaN without one), question, reply
        (the text from "=" on), right, answer (what counts as the same: a chain's last word, the whole reply
        to an aim).
    """
    opening = thoughts.OPENING if thinking else ""
    slots = max((item.slots for item in items if isinstance(item, Chain)), default=2)
    found = TransformersSampler(model, tokenizer, 256).sample(
        [item.question + opening for item in items],
        SamplingParams(n=draws, max_tokens=longest(slots), stop=(thoughts.END,), seed=seed),
    )
    rows = [
        (place, item, opening + each.text, each.finish_reason == "stop")
        for place, (item, replies) in enumerate(zip(items, found, strict=True))
        for each in replies
    ]
    return pd.DataFrame([_judged(*row) for row in rows])


def _judged(place: int, item: Chain | Aim, reply: str, ended: bool) -> dict[str, object]:
    row = {"item": place, "kind": "aim", "length": 2, "thinks": False, "useful": np.nan}
    answer = reply.strip()
    if isinstance(item, Chain):
        thought, _, _ = reply.partition(thoughts.CLOSING)
        thinks = thought.startswith(thoughts.OPENING)
        words = thought.removeprefix(thoughts.OPENING).split() if thinks else []
        right = [word == str(value) for word, value in zip(words, item.values, strict=False)]
        useful = sum(right) / len(item.values) if thinks else np.nan
        row |= {"kind": "chain", "length": len(item.values), "thinks": thinks, "useful": useful}
        answer = (reply.split() or [""])[-1]
    return row | {
        "question": item.question,
        "reply": reply,
        "right": ended and item.right(reply),
        "answer": answer,
    }
