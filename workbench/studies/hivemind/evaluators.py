"""Do scores follow people where people disagree, or where answers are alike in quality? (10_hivemind)

Jiang et al. 2025 (arXiv 2510.22954, section 5) find that scores of language models, reward models and judges
follow mean ratings less there. The controls that tell such a finding from arithmetic are in
`measures.calibration`. Without a file of annotations two scorers are simulated whose truth is known: one errs
everywhere alike, the other errs where people disagree.
"""

from typing import Any

import numpy as np
import pandas as pd

from workbench.corpora.loaders import rows
from workbench.errors import UserError

_RATING = ["item", "prompt", "annotator", "rating"]
_ITEMS, _ANNOTATORS = 750, 25  # as in the paper
EVEN, UNEVEN = "errs everywhere alike", "errs where people disagree"


def annotations(source: str, seed: int, items: int | None = None) -> pd.DataFrame:
    """Ratings with scores, one row an item and annotator.

    Args:
        source: a file, or "embedded" for simulated ones, from the seed.
        items: how many are simulated; None for as many as in the paper.

    Returns:
        Columns item, annotator, rating, prompt where the file has it, and one for each scorer: a column of
        numbers that says one thing of each item.

    Raises:
        UserError: the file cannot be read, a column is missing, or there is no score.
    """
    if source == "embedded":
        return simulated(seed, items or _ITEMS)
    read = [_annotation(where, row) for where, row in rows.of_source(source, formats=rows.TABLES)]
    frame = pd.DataFrame(read)
    for name in ("item", "annotator", "rating"):
        if name not in frame:
            raise UserError(f"{source} has no column {name}: give item, annotator, rating and scores.")
    numbers = frame.drop(columns=_RATING, errors="ignore").apply(pd.to_numeric, errors="coerce")
    # what differs within an item is of its annotators
    scores = numbers.loc[:, numbers.groupby(frame["item"]).nunique().max() == 1]
    if scores.empty:
        raise UserError(
            f"{source} has no column of scores: add one for each scorer, with one number for each item."
        )
    return pd.concat([frame[[name for name in _RATING if name in frame]], scores], axis=1)


def _annotation(where: str, entries: Any) -> dict[str, Any]:
    """One person's rating of one item, None if missing; other columns with numbers may be scores."""
    with rows.checked(where, entries) as row:
        names = {name: rows.name_of(row[name], name) for name in _RATING[:3] if name in row}
        others = {name: _number(value) for name, value in row.items() if name not in _RATING}
        rating = row.get("rating")
        if rating not in (None, "") and _number(rating) is None:
            raise rows.Malformed(f"has a rating {rating!r:.40}, which is no finite number")
        return others | names | ({"rating": _number(rating)} if "rating" in row else {})


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if np.isfinite(number) else None


def simulated(seed: int, items: int) -> pd.DataFrame:
    """Answers of known quality, rated by 25 people who disagree more about some, and two scorers."""
    rng = np.random.default_rng(seed)
    quality, dispute = rng.normal(size=items), rng.uniform(0.2, 1.8, items)
    felt = quality[:, None] + dispute[:, None] * rng.normal(size=(items, _ANNOTATORS))
    ratings = np.clip(np.rint(3 + felt), 1, 5)
    noise = rng.normal(size=(2, items))
    item, annotator = np.indices(ratings.shape)
    return pd.DataFrame(
        {
            "item": item.ravel(),
            "annotator": annotator.ravel(),
            "rating": ratings.ravel(),
            EVEN: (quality + noise[0])[item.ravel()],
            UNEVEN: (quality + np.where(dispute > 1.3, 2.5, 0.6) * noise[1])[item.ravel()],
        }
    )


def calibrations(frame: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The columns of `calibration` for every scorer of `annotations`, with a column scorer."""
    from workbench.measures.calibration import calibration

    ratings = frame[[name for name in _RATING if name in frame]]
    scores = frame.drop(columns=ratings.columns).groupby(frame["item"], sort=False).first()
    tables = [calibration(ratings, scores[name], seed=seed).assign(scorer=name) for name in scores]
    return pd.concat(tables, ignore_index=True)
