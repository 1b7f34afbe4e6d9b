"""Summaries over prompts: the prompt is the unit that is drawn, since answers to one prompt hang together."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

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
        kept = part.dropna(subset="value")
        nothing = Interval(np.nan, np.nan, np.nan, 0)
        found = bootstrap_mean(kept["value"], groups=kept["prompt"], seed=seed) if len(kept) else nothing
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
