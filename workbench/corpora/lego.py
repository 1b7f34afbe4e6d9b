"""Reasoning chains (LEGO, Zhang et al. 2022, arXiv 2206.04301, section 2): who is happy, and who is sad.

The first clause gives one name a value; every other clause says that a name feels *as*, or *not* as, the name
before it in the chain. The clauses come shuffled, so that position k takes k steps of looking up.

A clause is three words: the operation, whom it refers to, whom it is about ("not Tom Lily": Lily is what Tom
is not). A causal model reads all clauses twice, in two orders, and its answer for a clause is read off at the
second copy's last word: by then it has seen every clause, as the paper's two-way encoder has.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from workbench.corpora.stories.words import BOYS, GIRLS
from workbench.engine.tokens import continued, first_token
from workbench.errors import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

VALUES = ("sad", "happy")
OPERATIONS = ("as", "not")


@dataclass(frozen=True)
class Words:
    """Tokens of one word each: names, the two operations, the two values; and the first token."""

    names: np.ndarray
    operations: np.ndarray
    values: np.ndarray
    begin: int


@dataclass(frozen=True)
class Chains:
    """Strings of clauses and their truth."""

    ids: np.ndarray  #: tokens `[rows, tokens]`: the beginning, then all clauses twice
    answer_positions: np.ndarray  #: where the answer for each clause of the second copy is read, `[clauses]`
    positions: np.ndarray  #: the chain position of each of those clauses, from 0, `[rows, clauses]`
    values: np.ndarray  #: what is true of it, an index into `VALUES`, `[rows, clauses]`


def words(tokenizer: "PreTrainedTokenizerFast", n: int) -> Words:
    """The words that chains of n need, as tokens.

    Raises:
        UserError: the tokenizer has not enough names, or not the operations and values, as single tokens.
    """

    def token(word: str) -> int | None:
        ids = continued(tokenizer, f" {word}")
        return ids[0] if len(ids) == 1 else None

    names = [single for name in BOYS + GIRLS if (single := token(name)) is not None][:26]
    fixed = [token(word) for word in OPERATIONS + VALUES]
    if n < 2 or n + 1 > len(names) or None in fixed:
        raise UserError(
            f"Chains of {n} need {n + 1} names and the words {', '.join(OPERATIONS + VALUES)} as single "
            f"tokens, and this tokenizer has {len(names)} names: take 2 to {len(names) - 1}, or another one."
        )
    return Words(np.array(names), np.array(fixed[:2]), np.array(fixed[2:]), first_token(tokenizer))


def draw(words: Words, rows: int, n: int, rng: np.random.Generator, broken: int | None = None) -> Chains:
    """Random strings of n clauses.

    Args:
        broken: the clause at this position refers to a name of which nothing is said: what follows it in the
            chain cannot be known, and `values` is what counting the nots would still give.
    """
    names = words.names[np.argsort(rng.random((rows, len(words.names))), 1)]
    flips, first = rng.integers(0, 2, (rows, n)), rng.integers(0, 2, rows)
    flips[:, 0] = 0
    value = (first[:, None] + np.cumsum(flips, 1)) % 2
    refers = np.concatenate([words.values[first][:, None], names[:, : n - 1]], 1)
    if broken is not None:
        refers[:, broken] = names[:, n]
    clauses = np.stack([words.operations[flips], refers, names[:, :n]], 2)
    orders = [np.argsort(rng.random((rows, n)), 1) for _ in range(2)]
    copies = [np.take_along_axis(clauses, order[:, :, None], 1).reshape(rows, -1) for order in orders]
    ids = np.concatenate([np.full((rows, 1), words.begin), *copies], 1)
    answer_positions = 1 + 3 * n + 3 * np.arange(n) + 2
    return Chains(ids, answer_positions, orders[1], np.take_along_axis(value, orders[1], 1))
