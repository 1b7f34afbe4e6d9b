"""Summaries over prompts: the prompt is the unit that is drawn, since answers to one prompt hang together."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from workbench.errors import UserError
from workbench.measures.statistics import Interval, bootstrap_mean, wilson


def averages(frame: pd.DataFrame, by: str | Sequence[str] = "model", seed: int = 0) -> pd.DataFrame:
    """Mean over prompts with a 95 % bootstrap interval over prompts.

    Args:
        frame: columns prompt and value and those of `by`; as `similarity` returns them. NaN are left out.
        by: what to average apart: `model`, or `["first", "second"]`, or `nearest`.
        seed: of the resampling.

    Returns:
        One row each in the order of the frame: the columns of `by`, then value, low, high, n (prompts). NaN
        and 0 where no prompt has a value.
    """
    names = [by] if isinstance(by, str) else list(by)
    rows = []
    for key, part in frame.groupby(names, sort=False):
        found = _mean(part["value"], part["prompt"], seed)
        rows.append((*key, found.value, found.low, found.high, found.n))
    return pd.DataFrame(rows, columns=[*names, "value", "low", "high", "n"])


def shares_above(frame: pd.DataFrame, thresholds: Sequence[float] = (0.7, 0.8, 0.9)) -> pd.DataFrame:
    """Share of a model's prompts whose value lies above each threshold, with Wilson's interval.

    Thresholds belong to an encoder: 0.8 of one is not 0.8 of another (see `similarity.rescaled`).

    Args:
        frame: columns model, prompt, value; prompts without a value do not count.
        thresholds: of the value.

    Returns:
        Columns model, above, share, low, high, n (prompts).
    """
    rows = []
    for model, values in frame.dropna(subset="value").groupby("model", sort=False)["value"]:
        for threshold in thresholds:
            found = wilson(int((values > threshold).sum()), len(values))
            rows.append((model, threshold, found.value, found.low, found.high, found.n))
    return pd.DataFrame(rows, columns=["model", "above", "share", "low", "high", "n"])


def histogram(frame: pd.DataFrame, bins: int = 10) -> pd.DataFrame:
    """Shares of a model's prompts in equal bins of [0, 1], the last one closed; below 0 counts in the first.

    Args:
        frame: columns model, prompt, value; prompts without a value do not count.
        bins: how many.

    Returns:
        Columns model, low, high, share.
    """
    rows, edges = [], np.linspace(0, 1, bins + 1)
    for model, values in frame.dropna(subset="value").groupby("model", sort=False)["value"]:
        counts, _ = np.histogram(np.clip(values, 0, 1), edges)
        rows += [(model, edges[i], edges[i + 1], counts[i] / len(values)) for i in range(bins)]
    return pd.DataFrame(rows, columns=["model", "low", "high", "share"])


def common_prompts(models: Sequence, prompts: Sequence) -> tuple[list, pd.Series]:
    """The prompts that all models answered, in their order, and how many of each model's are left out.

    Raises:
        UserError: there is none.
    """
    asked = pd.DataFrame({"model": list(models), "prompt": list(prompts)}).drop_duplicates()
    n_models = asked["model"].nunique()
    answered = asked.groupby("prompt", sort=False)["model"].nunique()
    common = answered.index[answered == n_models].tolist()
    if not common:
        raise UserError(
            f"No prompt was answered by all {n_models} models: leave out those that share none with others."
        )
    return common, (asked.groupby("model", sort=False)["prompt"].nunique() - len(common)).rename("left_out")


def per_input_and_across(
    frame: pd.DataFrame, measure: Callable[[list[str]], float], size: int = 10, seed: int = 0
) -> pd.DataFrame:
    """A measure of a set, on answers to one prompt and on answers to different ones (Kirk et al. 2024).

    arXiv 2310.06452 compares k answers to one input with the first answers to all inputs, sets of different
    size. Here prompts are drawn into squares of `size` prompts by `size` answers: the rows of a square are
    its sets of one input and its columns the sets across inputs, so that both hold the same texts.

    Args:
        frame: columns model, prompt_id, sample, text.
        measure: of a list of texts; NaN are left out.
        size: texts of a set. Prompts with fewer answers, and those that fill no square, are left out.
        seed: of the squares and of the resampling.

    Returns:
        Columns model, sets ("per input", "across", "across − per input"), value, low, high (95 %, bootstrap
        over squares), n (squares); NaN and 0 where no square has a value.
    """
    rows = []
    for model, part in frame.groupby("model", sort=False):
        squares = _squares(part, size, np.random.default_rng(seed))
        inputs = [_mean_of(measure, square) for square in squares]
        across = [_mean_of(measure, square.T) for square in squares]
        difference = np.subtract(across, inputs)
        for name, values in (("per input", inputs), ("across", across), ("across − per input", difference)):
            found = _mean(values, None, seed)
            rows.append((model, name, found.value, found.low, found.high, found.n))
    return pd.DataFrame(rows, columns=["model", "sets", "value", "low", "high", "n"])


def _squares(part: pd.DataFrame, size: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Tables of texts, prompts × answers."""
    answers = [group["text"].tolist()[:size] for _, group in part.sort_values("sample").groupby("prompt_id")]
    whole = [row for row in answers if len(row) == size]
    drawn = rng.permutation(len(whole))[: len(whole) // size * size].reshape(-1, size)
    return [np.array([whole[i] for i in square], dtype=object) for square in drawn]


def _mean_of(measure: Callable[[list[str]], float], sets: np.ndarray) -> float:
    values = np.array([measure(list(texts)) for texts in sets], dtype=float)
    return float(values[~np.isnan(values)].mean()) if not np.isnan(values).all() else float("nan")


def _mean(values: ArrayLike, groups: Sequence | None, seed: int) -> Interval:
    """`bootstrap_mean`, or NaN and 0 where there is nothing to average."""
    if np.isnan(np.asarray(values, dtype=float)).all():
        return Interval(np.nan, np.nan, np.nan, 0)
    return bootstrap_mean(values, groups=groups, seed=seed)
