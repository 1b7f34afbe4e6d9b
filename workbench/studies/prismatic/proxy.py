"""G-Vendi: Jung et al. 2025, arXiv 2505.20161, section 2.1.

It is the effective number of directions in which examples (x, y) would move a small frozen proxy θ:

1. g = ∇θ[−log Pθ(y | x)] over all weights; a random matrix R takes it to d dimensions, the same for all
   examples, and R g is scaled to unit length (`Proxy`, `gradients`);
2. K_ij = ⟨R g_i, R g_j⟩ for n examples, and λ the spectrum of K / n, which is not centred;
3. the score is exp(−Σ λ log λ) (`g_vendi`).

As published, but for R: it adds coordinates up with random signs, which is as exact as a dense ±1 matrix and
far cheaper. The length is taken behind R, as in the released code; the text takes it before.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from workbench.engine.cost import measure
from workbench.engine.gradients.per_example import sketch
from workbench.engine.gradients.sketch_files import read_sketches, sketch_file
from workbench.engine.gradients.sketches import Method
from workbench.engine.tokens import encode_pairs
from workbench.measures.vendi import vendi_from_features
from workbench.studies.prismatic.items import Item, Pair

_READS = 4  # tokens that are read in the time in which one's gradient is sketched, about


@dataclass(frozen=True)
class Proxy:
    """The small frozen model θ, and R, which sketches its gradients; see `gradients.sketch`."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerFast
    dimension: int = 1024
    seed: int = 0
    method: Method = "exact"
    truncate: bool = False
    chat: bool = False

    @property
    def settings(self) -> dict[str, Any]:
        """Of R and of what is read."""
        return {name: getattr(self, name) for name in ("dimension", "seed", "method", "truncate", "chat")}

    def sketch(self, pairs: Sequence[Pair], ids: Sequence[str] | None = None) -> np.ndarray:
        """R g of (prompt, completion) pairs, scaled to unit length, shape (n, d)."""
        return sketch(self.model, self.tokenizer, pairs, ids=ids, **self.settings).vectors

    def read_items(self, items: Sequence[Item]) -> tuple[np.ndarray, np.ndarray]:
        """R g and losses of a pool's items, cut where a generator wrote more than θ can read."""
        pairs, ids = [item.pair for item in items], [item.id for item in items]
        sketches = sketch(self.model, self.tokenizer, pairs, ids=ids, **{**self.settings, "truncate": True})
        return sketches.vectors, sketches.losses


def gradients(folder: Path, proxy: Proxy, examples: pd.DataFrame) -> tuple[np.ndarray, pd.DataFrame]:
    """R g of examples, scaled to unit length, and the columns id, loss (nats per token), norm, n_tokens.

    Kept in `folder`, where a call that was cut off goes on.
    """
    rows = examples[["id", "prompt", "completion"]].itertuples(index=False, name=None)
    sketch_file(proxy.model, proxy.tokenizer, rows, folder, **proxy.settings)
    ids, sketches = read_sketches(folder)
    columns = {"id": ids, "loss": sketches.losses, "norm": sketches.norms, "n_tokens": sketches.n_tokens}
    return sketches.vectors, pd.DataFrame(columns)


def expected(proxy: Proxy, examples: pd.DataFrame, again: int) -> str:
    """How long the gradients of examples take, and twice those of the first, for several dimensions.

    Args:
        again: how many these are.
    """
    pairs = examples[["prompt", "completion"]].itertuples(index=False, name=None)
    n_tokens = np.array(
        [len(prompt) + len(rest) for prompt, rest in encode_pairs(proxy.tokenizer, list(pairs))]
    )
    cost, read = measure(proxy.model, proxy.tokenizer), n_tokens.sum() + 2 * n_tokens[:again].sum()
    return cost.sentence(cost.minutes(read=_READS * read))


def g_vendi(gradients: np.ndarray) -> float:
    """exp(−Σ λ log λ) with λ the spectrum of K / n, K_ij = ⟨R g_i, R g_j⟩; rows have unit length."""
    return vendi_from_features(gradients)
