"""Reasoning chains (LEGO, Zhang et al. 2022, arXiv 2206.04301, section 2) in a cyclic group of five values.

A string holds two chains. The first clause of each, its root, gives a name a value; every other clause says
that a name is so many values further on the ring than the name before it in the chain. The clauses of both
chains come shuffled, so that position k takes k steps of looking up. Steps are even over the ring: whoever
misses a link of the chain, counts words or takes the other chain's root is right in one of five cases.

A clause is three words: the step, whom it refers to, whom it is about ("near Tom Lily": Lily is two values
further than Tom). A causal model reads all clauses twice, in two orders, and its answer for a clause is read
off at the second copy's last word: by then it has seen every clause. A model that reads both ways, such as
the paper's, reads the second copy alone, and its answers are read off at the same words.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from workbench.corpora.stories.words import BOYS, GIRLS
from workbench.engine.tokens import continued, first_token
from workbench.errors import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

VALUES = ("happy", "sad", "big", "small", "good")  # in the order of the ring
OPERATIONS = ("as", "by", "near", "behind", "under")  # none, one, … four values further
CHAINS = 2  # in a string
CLAUSE = 3  # words
_NAMES = 12  # to draw from, where that is enough


@dataclass(frozen=True)
class Words:
    """Tokens of one word each: names, the operations, the values; and the first token."""

    names: np.ndarray
    operations: np.ndarray
    values: np.ndarray
    begin: int


@dataclass(frozen=True)
class Chains:
    """Strings of clauses and their truth."""

    ids: np.ndarray  #: tokens `[rows, tokens]`: the beginning, then all clauses once or twice
    answer_positions: np.ndarray  #: where the answer for each clause of the last copy is read, `[clauses]`
    positions: np.ndarray  #: the chain position of each of those clauses, from 0, `[rows, clauses]`
    chains: np.ndarray  #: which chain each belongs to, `[rows, clauses]`
    values: np.ndarray  #: what is true of it, an index into `VALUES`, `[rows, clauses]`
    referred: np.ndarray  #: what is true of the name that the clause refers to, one token before its own
    both_ways: bool  #: every clause stands there once, for a model that sees what comes later


def n_tokens(n: int, both_ways: bool = False) -> int:
    """Tokens of a string of chains of n."""
    return 1 + CLAUSE * CHAINS * n * (1 if both_ways else 2)


def words(tokenizer: "PreTrainedTokenizerFast", n: int) -> Words:
    """The words that chains of n need, as tokens.

    Raises:
        UserError: the tokenizer has not enough names, or not the operations and values, as single tokens.
    """
    special = set(tokenizer.all_special_ids)  # as what some tokenizers read unknown words

    def token(word: str) -> int | None:
        ids = continued(tokenizer, f" {word}")
        return ids[0] if len(ids) == 1 and ids[0] not in special else None

    names = [single for name in BOYS + GIRLS if (single := token(name)) is not None]
    fixed = [token(word) for word in OPERATIONS + VALUES]
    most = (len(names) - 1) // CHAINS
    if not 2 <= n <= most or None in fixed:
        raise UserError(
            f"Two chains of {n} need {CHAINS * n + 1} names and the words {', '.join(OPERATIONS + VALUES)} "
            f"as single tokens, and this tokenizer has {len(names)} names: take chains of 2 to {most}, or "
            "another model."
        )
    operations, values = np.split(np.array(fixed), [len(OPERATIONS)])
    names = names[: max(_NAMES, CHAINS * n + 1)]
    return Words(np.array(names), operations, values, first_token(tokenizer))


def draw(
    words: Words,
    rows: int,
    n: int,
    rng: np.random.Generator,
    *,
    both_ways: bool = False,
    broken: int | None = None,
) -> Chains:
    """Random strings of two chains of n clauses.

    From the same state of `rng`, strings for both ways of reading ask the same clauses in the same order.

    Args:
        both_ways: every clause stands there once.
        broken: in the first chain the clause at this position refers to a name of which nothing is said: what
            follows it cannot be known, and `values` is what the steps would give if the link were whole.
    """
    names = words.names[np.argsort(rng.random((rows, len(words.names))), 1)]
    about = names[:, : CHAINS * n].reshape(rows, CHAINS, n)
    steps = rng.integers(0, len(OPERATIONS), (rows, CHAINS, n))
    root = rng.integers(0, len(VALUES), (rows, CHAINS, 1))
    steps[..., 0] = 0
    value = (root + np.cumsum(steps, 2)) % len(VALUES)
    refers = np.concatenate([words.values[root], about[..., :-1]], 2)
    if broken is not None:
        refers[:, 0, broken] = names[:, CHAINS * n]
    clauses = np.stack([words.operations[steps], refers, about], 3).reshape(rows, CHAINS * n, CLAUSE)
    orders = [np.argsort(rng.random((rows, CHAINS * n)), 1) for _ in range(2)]
    copies = [np.take_along_axis(clauses, order[:, :, None], 1).reshape(rows, -1) for order in orders]
    read = copies[1:] if both_ways else copies
    ids = np.concatenate([np.full((rows, 1), words.begin), *read], 1)
    answer_positions = ids.shape[1] - CLAUSE * CHAINS * n + CLAUSE * np.arange(CHAINS * n) + CLAUSE - 1
    before = (value - steps) % len(VALUES)
    values, referred = (np.take_along_axis(of.reshape(rows, -1), orders[1], 1) for of in (value, before))
    return Chains(ids, answer_positions, orders[1] % n, orders[1] // n, values, referred, both_ways)
