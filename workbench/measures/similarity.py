"""How alike answers to one prompt are, within and across models (Jiang et al. 2025, arXiv 2510.22954).

Answers come as vectors, one row each, with the model and the prompt of each row. Rows are scaled to unit
length here. A row of zeros has no direction (an empty answer, with some encoders): it is left out, and counts
`n` say what remains. Rows that are not finite are refused.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import sparse

from workbench.measures.equivalence import rarefaction

_TIE = 1e-5  # cosines that differ by less are equal


def repetition(vectors: ArrayLike, models: Sequence, prompts: Sequence) -> pd.DataFrame:
    """Intra-model repetition: mean cosine over unordered pairs of one model's answers to one prompt.

    Args:
        vectors: shape (n, d).
        models: shape (n,), labels.
        prompts: shape (n,), labels.

    Returns:
        Columns model, prompt, value (NaN below two answers), n (answers).

    Raises:
        ValueError: the shapes do not fit, or a value is not finite.
    """
    cells = _cells(vectors, models, prompts)
    prompt, model = np.nonzero(cells.asked)
    return pd.DataFrame(
        {
            "model": cells.models[model],
            "prompt": cells.prompts[prompt],
            "value": cells.within()[prompt, model],
            "n": cells.counts[prompt, model],
        }
    )


def homogeneity(vectors: ArrayLike, models: Sequence, prompts: Sequence) -> pd.DataFrame:
    """Inter-model homogeneity: mean of all cross cosines of two models' answers to one prompt.

    A model with itself has its `repetition`; the paper's diagonal counts self-pairs, (1 + (n − 1) value) / n.

    Returns:
        Columns first, second, prompt, value; one row a prompt and unordered pair of models that answered it.

    Raises:
        ValueError: as `repetition`.
    """
    cells = _cells(vectors, models, prompts)
    first, second = np.triu_indices(len(cells.models))
    with np.errstate(invalid="ignore", divide="ignore"):
        means = cells.sums / cells.counts[:, :, None]
    values = (means @ means.transpose(0, 2, 1))[:, first, second]
    values[:, first == second] = cells.within()
    prompt, pair = np.nonzero(cells.asked[:, first] & cells.asked[:, second])
    return pd.DataFrame(
        {
            "first": cells.models[first[pair]],
            "second": cells.models[second[pair]],
            "prompt": cells.prompts[prompt],
            "value": values[prompt, pair],
        }
    )


def mixing(
    vectors: ArrayLike,
    models: Sequence,
    prompts: Sequence,
    nearest: Sequence[int] = (5, 10, 25, 50),
    seed: int = 0,
) -> pd.DataFrame:
    """Top-N source mixing: how many models the N answers nearest to an answer come from, mean over answers.

    Args:
        prompts: shape (n,), labels; neighbours are sought among the answers to the same prompt.
        seed: equally near answers (copies) are taken in random order.

    Returns:
        Columns prompt, nearest, value (NaN where the prompt has fewer than N other answers).

    Raises:
        ValueError: as `repetition`, or an N below 1.
    """
    wanted = np.asarray(nearest)
    if (wanted < 1).any():
        raise ValueError("the number of nearest answers must be 1 or more")
    rows, kept = _directions(vectors, models, prompts)
    sources = pd.factorize(_labels(models)[kept])[0]
    prompt, names = pd.factorize(_labels(prompts))
    members = np.split(np.argsort(prompt[kept], kind="stable"), np.cumsum(np.bincount(prompt[kept]))[:-1])
    rng, values = np.random.default_rng(seed), np.full((len(names), len(wanted)), np.nan)
    for number, rows_of_prompt in zip(np.unique(prompt[kept]), members[: len(names)], strict=False):
        values[number] = _distinct_sources(rows[rows_of_prompt], sources[rows_of_prompt], wanted, rng)
    return pd.DataFrame(
        {
            "prompt": np.repeat(names, len(wanted)),
            "nearest": np.tile(wanted, len(names)),
            "value": values.ravel(),
        }
    )


def mixing_baselines(counts: Sequence[int], nearest: Sequence[int]) -> pd.DataFrame:
    """The two ends of `mixing`: models that cannot be told apart, and models that share nothing.

    Args:
        counts: answers of each model to one prompt.

    Returns:
        Columns nearest, exchangeable (exact, hypergeometric), separated (the fewest models that can supply N
        answers when each model's own come first); NaN where there are fewer than N other answers.
    """
    pools, wanted = np.asarray(counts, dtype=int), np.asarray(nearest, dtype=int)
    total, others = pools.sum(), pools - np.eye(len(pools), dtype=int)
    asked = np.flatnonzero(pools).tolist()  # a model without answers asks for no neighbours
    exchangeable = sum(pools[model] * rarefaction(others[model], wanted) for model in asked) / total
    separated = sum(pools[model] * _fewest(pools, model, wanted) for model in asked) / total
    separated = np.where(wanted < total, separated, np.nan)
    return pd.DataFrame({"nearest": wanted, "exchangeable": exchangeable, "separated": separated})


def floor(vectors: ArrayLike, prompts: Sequence) -> float:
    """Mean cosine of two answers to different prompts, over all such pairs; NaN when there is one prompt.

    Raises:
        ValueError: as `repetition`.
    """
    cells = _cells(vectors, [0] * len(prompts), prompts)
    sums, counts = cells.sums[:, 0], cells.counts[:, 0].astype(float)
    pairs = counts.sum() ** 2 - (counts**2).sum()
    return float((sums.sum(axis=0) ** 2).sum() - (sums**2).sum()) / pairs if pairs else float("nan")


def ceiling(first: ArrayLike, second: ArrayLike) -> float:
    """Mean cosine of texts that say the same in other words, given as pairs of rows.

    Args:
        first: shape (n, d); row i says what row i of `second` says.
        second: shape (n, d).

    Returns:
        NaN where no pair has two directions.

    Raises:
        ValueError: the shapes differ, or a value is not finite.
    """
    a, kept_a = _directions(first)
    b, kept_b = _directions(second)
    if np.shape(first) != np.shape(second):
        raise ValueError(f"pairs need rows of one shape, not {np.shape(first)} and {np.shape(second)}")
    both = np.intersect1d(kept_a, kept_b)
    cosines = (a[np.searchsorted(kept_a, both)] * b[np.searchsorted(kept_b, both)]).sum(axis=1)
    return float(cosines.mean()) if len(both) else float("nan")


def ceiling_of_classes(vectors: ArrayLike, classes: Sequence) -> float:
    """Mean cosine of answers of one class, copies left out: a copy is no other wording.

    Args:
        classes: shape (n,), labels that are the same for answers to one prompt that say the same, such as
            tuples of the prompt and the number of the class.

    Returns:
        Mean over pairs; NaN where no class holds two wordings.

    Raises:
        ValueError: as `repetition`.
    """
    rows, kept = _directions(vectors, classes)
    number = pd.factorize(_labels(classes))[0][kept]
    total, pairs = 0.0, 0
    for members in np.split(np.argsort(number, kind="stable"), np.cumsum(np.bincount(number))[:-1]):
        members_rows = rows[members]
        cosines = (members_rows @ members_rows.T)[np.triu_indices(len(members_rows), 1)]
        other = cosines < 1 - _TIE
        total, pairs = total + cosines[other].sum(), pairs + int(other.sum())
    return float(total / pairs) if pairs else float("nan")


def rescaled(value: ArrayLike, floor: float, ceiling: float) -> np.ndarray:
    """A similarity on the scale on which unrelated answers are 0 and paraphrases 1.

    NaN where the ceiling does not lie above the floor: then the encoder cannot tell them apart.
    """
    span = ceiling - floor if ceiling > floor else float("nan")
    return (np.asarray(value, dtype=float) - floor) / span


@dataclass(frozen=True)
class _Cells:
    """Sums of unit rows [prompts, models, d] and their counts [prompts, models]."""

    models: np.ndarray
    prompts: np.ndarray
    sums: np.ndarray
    counts: np.ndarray
    asked: np.ndarray

    def within(self) -> np.ndarray:
        """Mean cosine over pairs of different answers: |Σx|² counts every pair twice and n self-pairs."""
        pairs = self.counts * (self.counts - 1.0)
        total = (self.sums**2).sum(axis=2) - self.counts
        return np.divide(total, pairs, out=np.full(pairs.shape, np.nan), where=pairs > 0)


def _cells(vectors: ArrayLike, models: Sequence, prompts: Sequence) -> _Cells:
    rows, kept = _directions(vectors, models, prompts)
    model, model_names = pd.factorize(_labels(models))
    prompt, prompt_names = pd.factorize(_labels(prompts))
    shape = (len(prompt_names), len(model_names))
    cell = prompt * shape[1] + model
    size = shape[0] * shape[1]
    kept_cell = cell[kept]
    table = sparse.csr_array(
        (np.ones(len(kept_cell), rows.dtype), (kept_cell, np.arange(len(kept_cell)))), (size, len(kept_cell))
    )
    return _Cells(
        model_names,
        prompt_names,
        (table @ rows).astype(float).reshape(*shape, -1),
        np.bincount(kept_cell, minlength=size).reshape(shape),
        np.bincount(cell, minlength=size).reshape(shape) > 0,
    )


def _labels(labels: Sequence) -> pd.Index:
    return pd.Index(labels, tupleize_cols=False)


def _directions(vectors: ArrayLike, *labels: Sequence) -> tuple[np.ndarray, np.ndarray]:
    """Unit rows, and which rows they are: those that are not zero."""
    table = np.asarray(vectors)
    if table.ndim != 2 or any(len(names) != len(table) for names in labels):
        raise ValueError(f"vectors of shape {table.shape} do not fit {list(map(len, labels))} labels")
    lengths = np.linalg.norm(table, axis=1)
    if not np.isfinite(lengths).all():
        raise ValueError(f"row {int(np.argmin(np.isfinite(lengths)))} of the vectors is not finite")
    kept = lengths > 0
    return table[kept] / lengths[kept, None], np.flatnonzero(kept)


def _distinct_sources(
    rows: np.ndarray, sources: np.ndarray, nearest: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Mean number of different sources among the N nearest rows, for each N at once."""
    n, most = len(rows), min(int(nearest.max()), len(rows) - 1)
    if most < 1:
        return np.full(len(nearest), np.nan)
    narrow = rows.astype(np.float32)
    cosines = narrow @ narrow.T
    cosines -= 1  # copies lie at 0, where single precision resolves the noise that breaks ties
    cosines += rng.random(cosines.shape, dtype=np.float32) * _TIE
    np.fill_diagonal(cosines, -np.inf)
    top = np.argpartition(cosines, n - most, axis=1)[:, n - most :]
    descending = np.argsort(-np.take_along_axis(cosines, top, axis=1), axis=1)
    neighbours = sources[np.take_along_axis(top, descending, axis=1)]
    order = np.argsort(neighbours, axis=1, kind="stable")
    grouped = np.take_along_axis(neighbours, order, axis=1)
    new = np.ones(neighbours.shape, dtype=bool)
    np.put_along_axis(new, order[:, 1:], grouped[:, 1:] != grouped[:, :-1], axis=1)
    distinct = np.append(np.cumsum(new.mean(axis=0)), np.nan)
    return distinct[np.where(nearest <= most, nearest - 1, -1)]


def _fewest(pools: np.ndarray, model: int, nearest: np.ndarray) -> np.ndarray:
    """Fewest models that supply N answers: first the own remaining ones, then the largest other pools."""
    others = np.sort(np.delete(pools, model))[::-1]
    remaining = pools[model] - 1
    reach = np.cumsum(np.append(remaining, others)[0 if remaining > 0 else 1 :])
    return np.searchsorted(reach, nearest) + 1.0
