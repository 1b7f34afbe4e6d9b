"""Excess agreement: how much more often two models' answers coincide than what they have read predicts.

Two models that have learnt their libraries and nothing else draw their answers from the libraries' laws p_a
and p_b, and mean the same with probability Σ p_a p_b over meanings: the libraries' *overlap*. Libraries are
written by known people with known tastes (`corpora.open_ended`), so that it is known exactly. What two models
agree beyond it they have not read: learning, or the way that answers are drawn from them, has brought it in.
(A library of n answers to a request overlaps with itself by (1 − Σp²) / n more than its law, in an evening's
run by less than .004.)
"""

from collections.abc import Sequence
from itertools import combinations

import pandas as pd

from workbench.corpora import open_ended
from workbench.corpora.open_ended import Request
from workbench.studies.hivemind.decoding import SWEPT
from workbench.studies.hivemind.models import Member

ITSELF, APART, STUDENTS = "a model and itself", "models trained apart", "students of one teacher"


def overlap(request: Request, first: str, second: str) -> float:
    """Exact chance that an answer from each of two libraries means the same."""
    p, q = (open_ended.shares(request, open_ended.LIBRARIES[name]) for name in (first, second))
    return sum(share * q[meaning] for meaning, share in p.items())


def agreements(pairs: pd.DataFrame, members: Sequence[Member], requests: Sequence[Request]) -> pd.DataFrame:
    """Agreement of pairs of models beside the overlap of the libraries that both began with.

    Args:
        pairs: of `method.inter_model_homogeneity`, with a column seed.
        members: who the models are; pairs of which one was tuned are left out, but for two students.
        requests: what was asked.

    Returns:
        Columns seed, first, second, prompt_id, kind (ITSELF, APART or STUDENTS), same, overlap, excess.
    """
    asked, known = {request.id: request for request in requests}, {member.name: member for member in members}
    rows = []
    for pair in pairs.itertuples():
        kind = _kind(known[pair.first], known[pair.second])
        if kind:
            libraries = known[pair.first].library, known[pair.second].library
            predicted = overlap(asked[pair.prompt_id], *libraries)
            about = (pair.seed, pair.first, pair.second, pair.prompt_id)
            rows.append((*about, kind, pair.same, predicted, pair.same - predicted))
    columns = ["seed", "first", "second", "prompt_id", "kind", "same", "overlap", "excess"]
    return pd.DataFrame(rows, columns=columns)


def _kind(first: Member, second: Member) -> str:
    if first == second:
        return "" if first.parent else ITSELF
    if first.reads == second.reads == "teacher":
        return STUDENTS
    return "" if first.parent or second.parent else APART


def of_the_swept(members: Sequence[Member], requests: Sequence[Request]) -> pd.Series:
    """Mean overlap of the libraries of the models of the decoding sweep, by prompt_id."""
    libraries = [member.library for member in members if member.name in SWEPT]
    pairs = list(combinations(libraries, 2))
    return pd.Series(
        {request.id: sum(overlap(request, *pair) for pair in pairs) / len(pairs) for request in requests}
    )
