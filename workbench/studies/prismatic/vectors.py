"""What stands for an item when pools are clustered: gradients, each taken once, or vectors of its text."""

from collections.abc import Callable, Sequence

import numpy as np

from workbench.engine.encoders import embed
from workbench.studies.prismatic.items import Item, Pair
from workbench.words import words

Vectors = Callable[[Sequence[Item]], np.ndarray]
"""Items to unit rows [n, d]; a row depends on its item alone."""


Read = Callable[[Sequence[Item]], tuple[np.ndarray, np.ndarray]]
"""Items to unit rows [n, d] and to losses [n], nats per token."""


class Readings:
    """A proxy's gradients of items, as `Vectors`, and its losses, each read once."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._known: dict[Pair, tuple[np.ndarray, float]] = {}

    def __call__(self, items: Sequence[Item]) -> np.ndarray:
        """Unit rows, shape (n, d)."""
        return np.stack([row for row, _ in self._recall(items)])

    def losses(self, items: Sequence[Item]) -> np.ndarray:
        """Nats per token of each completion, shape (n,)."""
        return np.array([loss for _, loss in self._recall(items)])

    def _recall(self, items: Sequence[Item]) -> list[tuple[np.ndarray, float]]:
        new = {item.pair: item for item in items if item.pair not in self._known}
        if new:
            rows, losses = self._read(list(new.values()))
            self._known.update(zip(new, zip(rows, losses.tolist(), strict=True), strict=True))
        return [self._known[item.pair] for item in items]


def remembered(vectors: Vectors) -> Vectors:
    """Calls `vectors` for items alone whose problem and solution are new.

    Raises:
        ValueError: (when called) rows that are not of unit length, or not one for each item.
    """
    known: dict[Pair, np.ndarray] = {}

    def recall(items: Sequence[Item]) -> np.ndarray:
        new = {item.pair: item for item in items if item.pair not in known}
        if new:
            rows = np.asarray(vectors(list(new.values())))
            if not np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-3):
                raise ValueError("vectors must have rows of unit length, without NaN")
            known.update(zip(new, rows, strict=True))
        return np.stack([known[item.pair] for item in items])

    return recall


def by_embedding(items: Sequence[Item]) -> np.ndarray:
    """Embeddings of problem and solution; all items that are to be compared go through one call."""
    return embed([item.text for item in items])


def by_ngrams(items: Sequence[Item]) -> np.ndarray:
    """Unit counts of one to three words in a row of problem and solution, hashed, shape (n, 2048)."""
    from sklearn.feature_extraction.text import HashingVectorizer

    hashing = HashingVectorizer(
        tokenizer=words, token_pattern=None, ngram_range=(1, 3), n_features=2048, alternate_sign=False
    )
    return hashing.transform([item.text for item in items]).toarray()
