"""Tables of means with their intervals, over items or over whole groups, such as a prompt's answers."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from workbench.errors import UserError
from workbench.measures.statistics import Interval, bootstrap_mean, wilson


def summarise(
    frame: pd.DataFrame, by: Sequence[str], column: str, groups: str | None = None, n_resamples: int = 2000
) -> pd.DataFrame:
    """Mean of a column with a 95 % bootstrap interval, for each value of `by`.

    Args:
        frame: one row an item; NaN are left out.
        by: columns that tell apart what is averaged.
        column: numbers or booleans.
        groups: column of labels; items of one group (a prompt's answers) are drawn together.

    Returns:
        One row each in the order of the frame: the columns of `by`, then value, low, high, n (items or
        groups). NaN and 0 where there is no value.
    """
    rows = []
    for key, part in frame.groupby(list(by), sort=False):
        labels = None if groups is None else part[groups]
        rows.append(dict(zip(by, key, strict=True)) | _mean(part[column], labels, n_resamples).row())
    return pd.DataFrame(rows, columns=[*by, "value", "low", "high", "n"])


def summarise_shares(frame: pd.DataFrame, by: Sequence[str], column: str) -> pd.DataFrame:
    """Share of items for which a column is true, with Wilson's interval: `by`, value, low, high, n."""
    rows = [
        dict(zip(by, key, strict=True)) | wilson(int(part.sum()), len(part)).row()
        for key, part in frame.groupby(list(by), sort=False)[column]
    ]
    return pd.DataFrame(rows, columns=[*by, "value", "low", "high", "n"])


def summarise_measures(
    frame: pd.DataFrame, by: Sequence[str], titles: Mapping[str, str], groups: str | None = None
) -> pd.DataFrame:
    """`summarise` of several columns, titled: `by`, measure, value, low, high, n; none without a value."""
    parts = [
        summarise(frame.assign(measure=title), [*by, "measure"], column, groups)
        for column, title in titles.items()
    ]
    table = pd.concat(parts).sort_index(kind="stable")  # all measures of one key, then those of the next
    return table[table["n"] > 0].reset_index(drop=True)


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
    frame: pd.DataFrame, measure: Callable[[list[str]], float], size: int
) -> pd.DataFrame:
    """A measure of a set, on answers to one prompt and on answers to different ones (Kirk et al. 2024).

    arXiv 2310.06452 compares k answers to one input with the first answers to all inputs, sets of different
    size. Here prompts are drawn into squares of `size` prompts by `size` answers: the rows of a square are
    its sets of one input and its columns the sets across inputs, so that both hold the same texts.

    Args:
        frame: columns model, prompt_id, sample, text.
        measure: of a list of texts; NaN are left out.
        size: texts of a set. Prompts with fewer answers, and those that fill no square, are left out.

    Returns:
        Columns model, sets ("per input", "across", "across − per input"), value, low, high (95 %, bootstrap
        over squares), n (squares); NaN and 0 where no square has a value.
    """
    rows = []
    for model, part in frame.groupby("model", sort=False):
        squares = _squares(part, size, np.random.default_rng(0))
        inputs = [_mean_of(measure, square) for square in squares]
        across = [_mean_of(measure, square.T) for square in squares]
        difference = np.subtract(across, inputs)
        for name, values in (("per input", inputs), ("across", across), ("across − per input", difference)):
            rows.append({"model": model, "sets": name, **_mean(values, None).row()})
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


def _mean(values: ArrayLike, groups: Sequence | None, n_resamples: int = 2000) -> Interval:
    """`bootstrap_mean`, or NaN and 0 where there is nothing to average."""
    if np.isnan(np.asarray(values, dtype=float)).all():
        return Interval(np.nan, np.nan, np.nan, 0)
    return bootstrap_mean(values, groups=groups, n_resamples=n_resamples)
