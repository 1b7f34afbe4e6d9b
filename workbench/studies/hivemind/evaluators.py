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
from workbench.measures.calibration import calibration

_GIVEN = ("item", "prompt", "annotator", "rating")
_ITEMS, _ANNOTATORS = 750, 25  # as in the paper
EVEN, UNEVEN = "errs everywhere alike", "errs where people disagree"


def annotations(params: Any) -> pd.DataFrame:
    """Ratings with scores, one row an item and annotator: the file's, or simulated ones.

    Returns:
        Columns item, annotator, rating, prompt where the file has it, and one for each scorer: a column of
        numbers that says one thing of each item.

    Raises:
        UserError: the file cannot be read, a column is missing, or there is no score.
    """
    if params.annotations == "embedded":
        return simulated(params.seed)
    path = params.annotations
    frame = pd.DataFrame([row for _, row in rows.of_source(path, formats=rows.TABLES)]).replace("", None)
    for name in ("item", "annotator", "rating"):
        if name not in frame:
            raise UserError(f"{path} has no column {name}: give item, annotator, rating and scores.")
    others = [name for name in frame if name not in _GIVEN]
    numbers = frame[others].apply(pd.to_numeric, errors="coerce")
    values = numbers.groupby(frame["item"]).nunique().max()
    kept = [name for name in others if values[name] == 1]  # what differs within an item is of its annotators
    if not kept:
        raise UserError(
            f"{path} has no column of scores: add one for each scorer, with one number for each item."
        )
    given = [name for name in _GIVEN if name in frame]
    return pd.concat([frame[given], numbers[kept]], axis=1)


def simulated(seed: int) -> pd.DataFrame:
    """750 answers of known quality, rated by 25 people who disagree more about some, and two scorers."""
    rng = np.random.default_rng(seed)
    quality, dispute = rng.normal(size=_ITEMS), rng.uniform(0.2, 1.8, _ITEMS)
    felt = quality[:, None] + dispute[:, None] * rng.normal(size=(_ITEMS, _ANNOTATORS))
    ratings = np.clip(np.rint(3 + felt), 1, 5)
    noise = rng.normal(size=(2, _ITEMS))
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


def followed(frame: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The columns of `calibration` for every scorer, with a column scorer."""
    scorers = [name for name in frame if name not in _GIVEN]
    scores = frame.groupby("item", sort=False)[scorers].first()
    ratings = frame.drop(columns=scorers)
    found = [calibration(ratings, scores[name], seed=seed).assign(scorer=name) for name in scorers]
    return pd.concat(found, ignore_index=True)
