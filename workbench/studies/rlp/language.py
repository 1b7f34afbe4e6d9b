"""The language of 11_rlp: what the embedded model reads before reinforcement, and what it is asked after."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from workbench.corpora import thoughts
from workbench.corpora.thoughts import Aim, Chain
from workbench.engine import loading, models
from workbench.engine.sampling.sampler import SamplingParams
from workbench.engine.sampling.transformers_sampler import TransformersSampler
from workbench.engine.tokens import word_tokenizer
from workbench.engine.training.common import TrainConfig
from workbench.engine.training.train import train

AIMS = {"worked": 0.3, "base": 0.6}  # share of the second kind among the documents of each stage
USEFUL, NOISE = 0.3, 0.1  # of the second stage's thoughts, and of the values in the useful ones


@dataclass(frozen=True)
class Language:
    """Sizes of the embedded model and of what it reads by imitation."""

    shape: tuple[int, int]  #: layers and width
    slots: int  #: operations of the longest chain
    worked_steps: int  #: on chains with every step written down
    raw_steps: int  #: on chains as one finds them, after that
    rows: int = 128  #: documents a step
    learning_rate: float = 3e-3  #: the highest
    most: int | None = None  #: documents of a stage, read again when they run out (None: never run out)

    @property
    def context(self) -> int:
        """Tokens of the longest document: the beginning, start, slots, "=", a thought, an answer, an end."""
        return 2 * self.slots + 7


def imitate(folder: Path, language: Language, seed: int, device: str = "auto") -> None:
    """The model that reinforcement begins with, in `folder / "base"`.

    First it learns the solutions of chains with every step written down, then it reads such whose thoughts
    are mostly idle: it has seen how to think, and rarely does. Imitation first, reinforcement after, is what
    all published recipes for small models share.
    """
    rng = np.random.default_rng([seed, 0])
    tokenizer = word_tokenizer(thoughts.VOCABULARY)
    layers, width = language.shape
    vocab_size, context = len(tokenizer), 4 * language.context
    config = models.config(vocab_size=vocab_size, n_layers=layers, hidden_size=width, context=context)
    model = models.build(config, seed).to(loading.pick_device(device))
    for stage, steps in (("worked", language.worked_steps), ("base", language.raw_steps)):
        learning = TrainConfig(
            steps=steps,
            batch_size=language.rows,
            context=language.context,
            learning_rate=language.learning_rate,
            seed=seed,
        )
        n = steps * language.rows
        texts = documents(language, stage, min(n, language.most or n), rng)
        examples = texts if stage == "base" else list(map(_question_first, texts))
        train(model, tokenizer, examples, learning, folder=folder / stage)


def _question_first(document: str) -> tuple[str, str]:
    """A document as question and completion, of which only the latter is learnt."""
    question, sign, completion = document.partition(" =")
    return question + sign, completion


def documents(language: Language, stage: str, n: int, rng: np.random.Generator) -> list[str]:
    """What is read in a stage: aims among chains, worked out or as they come."""

    def write(chain: Chain) -> str:
        if stage == "worked":
            return thoughts.worked_document(chain)
        return thoughts.raw_document(chain, USEFUL, NOISE, rng)

    chains = iter(thoughts.draw(n, range(1, language.slots + 1), language.slots, rng))
    return [
        thoughts.aim_document(rng) if rng.random() < AIMS[stage] else write(next(chains)) for _ in range(n)
    ]


def longest_reply(slots: int) -> int:
    """Tokens of a reply that thinks twice as long as it need."""
    return 2 * slots + 4


def ask(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    items: Sequence[Chain | Aim],
    *,
    draws: int,
    seed: int,
    opening: str = "",
) -> pd.DataFrame:
    """Replies to questions.

    Args:
        draws: replies to each, at temperature 1.
        opening: with which every reply has to begin.

    Returns:
        A row a reply: item (index into `items`), kind (chain or aim), length (operations), thinks, useful
        (share of the values that stand in the thought, in their order; NaN without one), question, reply
        (the text from "=" on), right, answer (what counts as the same: a chain's last word, the whole reply
        to an aim).
    """
    max_tokens = longest_reply(max((item.slots for item in items if isinstance(item, Chain)), default=2))
    completions = TransformersSampler(model, tokenizer, 256).sample(
        [item.question + opening for item in items],
        SamplingParams(n=draws, max_tokens=max_tokens, stop=(thoughts.END,), seed=seed),
    )
    return pd.DataFrame([
        {"item": index, **grade(item, opening + reply.text, ended=reply.finish_reason == "stop")}
        for index, (item, replies) in enumerate(zip(items, completions, strict=True))
        for reply in replies
    ])  # fmt: skip


def grade(item: Chain | Aim, reply: str, ended: bool) -> dict[str, Any]:
    """The columns of `ask` for one reply."""
    row = {"kind": "aim", "length": 2, "thinks": False, "useful": np.nan}
    answer = reply.strip()
    if isinstance(item, Chain):
        thought, _, _ = reply.partition(thoughts.CLOSING)
        thinks = thought.startswith(thoughts.OPENING)
        words = thought.removeprefix(thoughts.OPENING).split() if thinks else []
        right = [word == str(value) for word, value in zip(words, item.values, strict=False)]
        useful = sum(right) / len(item.values) if thinks else np.nan
        row = {"kind": "chain", "length": len(item.values), "thinks": thinks, "useful": useful}
        answer = (reply.split() or [""])[-1]
    right = ended and item.right(reply)
    return row | {"question": item.question, "reply": reply, "right": right, "answer": answer}
