"""Two sets of runs measured on the same items: paired differences, read off the tables that they kept.

How the columns of a table are read:

* **items**: `item`, `id` and any `…_id`, and with them what spells an item out: `question`, `prompt`,
  `beginning`. An item is what all of them say together, so that another question of the same number is
  another item.
* **design**: what every item has alike; also text that stands with the same items in every run. Text, such
  as the name of a model, splits the comparison; numbers, such as a seed or a sample's, are averaged over.
* **measured**: what remains: numbers, yes or no, and text of at most six values, each as a share.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from pandas.api import types

from workbench.errors import UserError
from workbench.measures.statistics import Interval, bootstrap_difference, paired_difference

_NUMBERS, _CONTENT = ("item", "id"), ("question", "prompt", "beginning")
_MOST_LEVELS = 60  # of a design column: samples of one prompt are numbered that far
_MOST_KINDS = 6  # of a text that is measured by the share of each of its values

Tables = Mapping[str, pd.DataFrame]


@dataclass(frozen=True)
class Difference:
    """What one measure does under one condition."""

    measure: str  #: A column, or "column = value" for the share of one value
    condition: str  #: Values of the design's text columns, joined; "" where there is none
    first: float  #: Mean over the items, averaged over the runs of the first side
    second: float  #: Likewise of the second side
    over_items: Interval  #: second − first with items resampled, paired; runs are taken as they are
    #: second − first with whole runs resampled, unpaired; None unless both sides have two.
    over_runs: Interval | None


@dataclass(frozen=True)
class Compared:
    """One table compared."""

    items: list[str]  #: The columns that name an item
    n: int  #: How many items there are
    differences: list[Difference]  #: One each measure and condition
    identical: list[str]  #: Measures that agree in every item
    left_out: list[str]  #: Conditions that not every run has
    labels: list[str]  #: Text that is one value throughout each run, as "name: value → value"
    numbered: bool  #: Whether items are known by numbers alone


def item_columns(columns: Sequence[str]) -> list[str]:
    """The columns that name an item; none where a table has no numbered or named items."""
    named = [name for name in columns if name in _NUMBERS or name.endswith("_id")]
    return [*named, *(name for name in columns if name in _CONTENT)]


def compare(first: Tables, second: Tables, items: Sequence[str] = ()) -> Compared:
    """Differences second − first over the items that every run has.

    Args:
        first: The same table of each run of one side, by the run's name.
        second: Likewise of the other side.
        items: The columns that name an item, in place of those found by their names.

    Raises:
        UserError: No column names the items, or the runs have different items.
    """
    runs = {**first, **second}
    columns = [name for name in next(iter(runs.values())) if all(name in frame for frame in runs.values())]
    items = list(items) or item_columns(columns)
    if not items or not set(items) <= set(columns):
        raise UserError("no column names its items (item, id or …_id): say which with --item COLUMN.")
    keys = _same_items(runs, items)
    columns = [name for name in columns if name not in items and _is_plain(runs, name)]
    labels = [name for name in columns if _is_label(runs, name)]
    design = [name for name in columns if _is_design(runs, items, name)]
    split = [name for name in design if not _is_number(runs, name)]
    measured = [name for name in columns if name not in (*design, *labels)]
    means = {name: _means(frame, runs, items, split, measured) for name, frame in runs.items()}
    conditions = [list(dict.fromkeys(run.index.get_level_values(0))) for run in means.values()]
    common = [name for name in conditions[0] if all(name in measures for measures in conditions)]
    differences, identical = [], []
    for measure in next(iter(means.values())).columns:
        values = {
            condition: [
                _aligned([means[name] for name in side], condition, measure, keys) for side in (first, second)
            ]
            for condition in common
        }
        if all(np.array_equal(a.mean(0), b.mean(0), equal_nan=True) for a, b in values.values()):
            identical.append(measure)
            continue
        differences += [
            _difference(measure, condition, a, b)
            for condition, (a, b) in values.items()
            if not np.isnan(a.mean(0) - b.mean(0)).all()
        ]
    left_out = dict.fromkeys(name for measures in conditions for name in measures if name not in common)
    label_texts = [f"{name}: {_values(first, name)} → {_values(second, name)}" for name in labels]
    numbered = all(_is_number(runs, name) for name in items)
    return Compared(items, len(keys), differences, identical, list(left_out), label_texts, numbered)


def _same_items(runs: Tables, items: list[str]) -> pd.Index:
    """The items, which all runs have.

    Raises:
        UserError: Two runs differ; it says in how many items, and names some.
    """
    (one, frame), *others = runs.items()
    ours = _keys(frame, items)
    for other, its in others:
        theirs = _keys(its, items)
        only_ours, only_theirs = ours.difference(theirs, sort=False), theirs.difference(ours, sort=False)
        if len(only_ours) or len(only_theirs):
            raise UserError(
                f"the items ({' + '.join(items)}) differ: {len(ours) - len(only_ours):,} are common,"
                f" {_some(only_ours)} only in {one}, {_some(only_theirs)} only in {other}."
            )
    return ours


def _keys(frame: pd.DataFrame, items: list[str]) -> pd.Index:
    index = pd.Index(frame[items[0]]) if len(items) == 1 else pd.MultiIndex.from_frame(frame[items])
    return index.unique()


def _some(items: pd.Index) -> str:
    shown = [" · ".join(map(str, item)) if isinstance(item, tuple) else str(item) for item in items[:3]]
    shown = [text if len(text) <= 40 else f"{text[:39]}…" for text in shown]
    return f"{len(items):,} ({', '.join(shown)}{', …' * (len(items) > 3)})" if shown else "none"


def _is_number(runs: Tables, name: str) -> bool:
    return all(types.is_numeric_dtype(frame[name]) for frame in runs.values())


def _is_plain(runs: Tables, name: str) -> bool:
    """Whether a column holds numbers in every run, or text in every run."""
    texts = (frame[name].map(lambda value: isinstance(value, str)).all() for frame in runs.values())
    return _is_number(runs, name) or all(texts)


def _is_label(runs: Tables, name: str) -> bool:
    """Whether a text is one value throughout each run, another one in another: it names the run."""
    values = {value for frame in runs.values() for value in frame[name].unique()[:2]}
    alone = all(frame[name].nunique() == 1 for frame in runs.values())
    return not _is_number(runs, name) and alone and len(values) > 1


def _is_design(runs: Tables, items: list[str], name: str) -> bool:
    """Whether a column says under which condition a row stands, and not what came of it.

    It does if every item of a run has the same values equally often. Text does too if it varies within items
    and stands with the same ones in every run, as in a table of several parts that number their items anew.
    Numbers must also be the same in all runs: a score that is 1 throughout one run and 0 throughout another
    is no condition.
    """
    levels = [set(frame[name].dropna().unique()) for frame in runs.values()]
    boolean = any(types.is_bool_dtype(frame[name]) for frame in runs.values())
    if boolean or max(map(len, levels)) > _MOST_LEVELS or _is_label(runs, name):
        return False
    if _is_number(runs, name) and any(table != levels[0] for table in levels):
        return False
    counts = [
        frame.groupby([*items, name], dropna=False).size().unstack(name, fill_value=0).sort_index()
        for frame in runs.values()
    ]
    if all((table == table.iloc[0]).all(axis=None) for table in counts):
        return True
    within = ((counts[0] > 0).sum(axis=1) > 1).any()
    return bool(not _is_number(runs, name) and within and all(table.equals(counts[0]) for table in counts))


def _means(
    frame: pd.DataFrame, runs: Tables, items: list[str], split: list[str], measured: list[str]
) -> pd.DataFrame:
    """Means of a run's measures, one row each condition and item."""
    measures = {}
    for name in measured:
        if _is_number(runs, name):
            measures[name] = frame[name].astype(float)
            continue
        kinds = sorted({kind for run in runs.values() for kind in run[name].unique()})
        if len(kinds) <= _MOST_KINDS:
            measures |= {f"{name} = {kind}": (frame[name] == kind).astype(float) for kind in kinds}
    condition = pd.Series("", index=frame.index)
    for number, name in enumerate(split):
        condition = condition + " · " * (number > 0) + frame[name]
    by = [condition, *(frame[name] for name in items)]
    return pd.DataFrame(measures, index=frame.index).groupby(by, sort=False).mean()


def _aligned(runs: Sequence[pd.DataFrame], condition: str, measure: str, keys: pd.Index) -> np.ndarray:
    """A measure under a condition, shape (runs, items); NaN where a run has none."""
    return np.stack([run[measure].loc[condition].reindex(keys).to_numpy() for run in runs])


def _difference(measure: str, condition: str, first: np.ndarray, second: np.ndarray) -> Difference:
    a, b = first.mean(0), second.mean(0)  # of items over runs: NaN unless every run has it
    both = ~np.isnan(a + b)
    runs = None
    if len(first) > 1 and len(second) > 1:
        runs = bootstrap_difference(second[:, both].mean(axis=1), first[:, both].mean(axis=1))
    over_items = paired_difference(b, a)
    return Difference(measure, condition, float(a[both].mean()), float(b[both].mean()), over_items, runs)


def _values(side: Tables, name: str) -> str:
    return ", ".join(dict.fromkeys(str(frame[name].iloc[0]) for frame in side.values()))
