"""The language of 11_rlp: what the embedded model reads before any arm begins."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from workbench.corpora import thoughts
from workbench.corpora.thoughts import Chain, Count, raw_document, worked_document
from workbench.engine import loading, models
from workbench.engine.tokens import word_tokenizer
from workbench.engine.training.common import TrainConfig
from workbench.engine.training.train import train

# Shares of chains, counts and names among the documents of each stage.
SHARES = {"worked": (0.6, 0.15, 0.25), "base": (0.5, 0.2, 0.3)}
USEFUL, NOISE = 0.5, 0.05  # of the second stage's thoughts, and of the values in the useful ones


@dataclass(frozen=True)
class Language:
    """Sizes of the embedded model and of what it reads by imitation."""

    shape: tuple[int, int]  #: layers and width
    slots: int  #: operations of the longest chain
    worked_steps: int  #: on chains with every step written down
    raw_steps: int  #: on chains as one finds them, after that
    rows: int = 128  #: documents a step
    learning_rate: float = 3e-3  #: the highest, on worked documents
    raw_rate: float = 7e-4  #: and after that, so that what was worked out is not unlearnt
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
    model = models.build(config, seed, loading.pick_device(device))
    stages = {
        "worked": (language.worked_steps, language.learning_rate),
        "base": (language.raw_steps, language.raw_rate),
    }
    for stage, (steps, learning_rate) in stages.items():
        learning = TrainConfig(
            steps=steps,
            batch_size=language.rows,
            context=language.context,
            learning_rate=learning_rate,
            seed=seed,
        )
        n = steps * language.rows
        texts = documents(language, stage, min(n, language.most or n), rng)
        train(model, tokenizer, list(map(question_first, texts)), learning, folder=folder / stage)


def question_first(document: str) -> tuple[str, str]:
    """A document as question and completion, of which only the latter is learnt.

    The words of a question are drawn at random: learning to predict them would teach nothing.
    """
    question, sign, completion = document.partition(" =")
    return question + sign, completion


def documents(language: Language, stage: str, n: int, rng: np.random.Generator) -> list[str]:
    """What is read in a stage: chains, counts and names, worked out or as they come."""

    def write(item: Chain | Count) -> str:
        return worked_document(item) if stage == "worked" else as_found(item, rng)

    lengths, counts = range(1, language.slots + 1), thoughts.all_counts()
    kinds = rng.choice(3, n, p=SHARES[stage])
    chains = iter(thoughts.draw(int((kinds == 0).sum()), lengths, language.slots, rng))
    return [
        thoughts.who_document(rng) if kind == 2
        else write(counts[rng.integers(len(counts))] if kind else next(chains))
        for kind in kinds
    ]  # fmt: skip


def as_found(item: Chain | Count, rng: np.random.Generator) -> str:
    """A document as the base reads it, with its share of thoughts."""
    return raw_document(item, USEFUL, NOISE, rng)
