"""From a selection in the map to a training set: a file of worked problems that 08 and 09 take as data.

A row is {"id", "question", "strategy", "rationale", "answer"}: `load_problems` reads the question and its
answer, `load_rationales` the worked solution.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from workbench.corpora import logic
from workbench.errors import UserError
from workbench.files import atomic_write, encoded

NAME = "selection.jsonl"
SPARSE = "sparse"  # in place of numbers: the smaller half of the clusters

_HOUSE = (
    " To either add -p model=RUN/artifacts/base, the folder of this run's base: it has read the facts of the "
    "house, and one that is trained for files has not."
)


def parse(clusters: str) -> list[int] | str:
    """ "3,7" as numbers; `SPARSE` as it is; an empty text as no cluster.

    Raises:
        UserError: it is neither.
    """
    if clusters.strip() == SPARSE:
        return SPARSE
    parts = [part.strip() for part in clusters.split(",") if part.strip()]
    if not all(part.isdecimal() for part in parts):
        raise UserError(
            f"save_clusters={clusters!r} names no clusters: write numbers, such as 3,7, or {SPARSE}."
        )
    return [int(part) for part in parts]


def in_clusters(points: pd.DataFrame, clusters: str) -> np.ndarray:
    """Rows of the points that lie in the clusters that `parse` reads.

    Raises:
        UserError: a number that no cluster has.
    """
    sizes, wanted = points["cluster"].value_counts().sort_index(), parse(clusters)
    if wanted == SPARSE:
        wanted = sizes.index[sizes <= sizes.median()].tolist()
    if unknown := sorted(set(wanted) - set(sizes.index)):
        raise UserError(f"The map has no cluster {unknown[0]}: its clusters are 0 to {sizes.index.max()}.")
    return np.flatnonzero(points["cluster"].isin(wanted))


def save(folder: Path, examples: pd.DataFrame, chosen: Sequence[int] | np.ndarray) -> str:
    """Writes the chosen examples to `NAME` in a folder, and says how they are read, in a sentence.

    Args:
        folder: made if it is not there.
        examples: columns id, prompt, completion, answer.
        chosen: numbers of rows.

    Raises:
        UserError: none is chosen, or none of them has a worked solution.
    """
    rows = examples.iloc[np.asarray(chosen, dtype=int)]
    rows = rows[rows["completion"].str.strip() != ""]
    if rows.empty:
        raise UserError("Nothing is chosen that has a worked solution: choose examples or clusters first.")
    lines = [
        {
            "id": row.id,
            "question": row.prompt,
            "strategy": "cot",
            "rationale": row.completion.strip(),
            "answer": row.answer,
        }
        for row in rows.itertuples()
    ]
    folder.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    atomic_write(folder / NAME, encoded(text))
    said = (
        f"{len(lines):,} problems are in {folder.name}/{NAME} of this run: "
        f"workbench run 08 -p data=FILE -p teacher=rationales:FILE, or workbench run 09 -p data=FILE."
    )
    return said + _HOUSE * _of_the_house(rows["answer"])


def _of_the_house(answers: pd.Series) -> bool:
    """Whether all answers are people of `corpora.logic`, of whom no base for files has read."""
    return bool(answers.isin([rf"\text{{{name}}}" for name in logic.PEOPLE]).all())
