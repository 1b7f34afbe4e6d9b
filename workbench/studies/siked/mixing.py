"""What a student of SIKeD learns from in a round: its own correct solutions mixed with its teacher's.

Adarsh et al. 2024, arXiv 2410.18574. A solution counts once for each question and strategy, the first that is
correct. `alpha` is the teacher's share of the mixture, KL(train ‖ student) how far the mixture's strategies
are from those that the student chooses by itself.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, get_args

import numpy as np
import pandas as pd

from workbench.corpora.loaders.solutions import STRATEGIES, Rationale
from workbench.errors import UserError

Mixture = Literal["all", "adaptive", "self-only", "teacher-only", "fixed-alpha"]
COLUMNS = ["id", "strategy", "text", "question", "gold", "source", "origin"]


def first_correct(solutions: Iterable[Rationale], origin: Literal["teacher", "student"]) -> pd.DataFrame:
    """The first correct solution of each question and strategy: columns `COLUMNS`.

    A student's "l2m" solution without a sub-question or goal is off its strategy and left out (paper's code).
    """
    rows = [
        (one.id, one.strategy, one.text, one.question, one.gold, one.source, origin)
        for one in solutions
        if one.verdict == "correct" and (origin == "teacher" or one.strategy != "l2m" or _divides(one.text))
    ]
    frame = pd.DataFrame(rows, columns=COLUMNS)
    return frame.drop_duplicates(["id", "strategy"]).reset_index(drop=True)


def _divides(solution: str) -> bool:
    return "?" in solution or "Goal:" in solution


def mix(
    teacher: pd.DataFrame,
    student: pd.DataFrame,
    mixture: Mixture,
    *,
    alpha: float | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """A round's training rows, teacher's and student's.

    Args:
        teacher, student: from `first_correct`.
        mixture: `all` keeps every row of both; `adaptive` a teacher's row only where the student solved the
            question by no means of that strategy; `fixed-alpha` as many of both, drawn, as give that share.
        alpha: the teacher's share, for `fixed-alpha`.

    Returns:
        No row where neither has one that the mixture wants.

    Raises:
        UserError: as `check`.
    """
    check(mixture, alpha)
    if mixture == "self-only":
        teacher = teacher.iloc[:0]
    elif mixture == "teacher-only":
        student = student.iloc[:0]
    elif mixture == "adaptive":
        solved = pd.MultiIndex.from_frame(student[["id", "strategy"]])
        teacher = teacher[~pd.MultiIndex.from_frame(teacher[["id", "strategy"]]).isin(solved)]
    elif mixture == "fixed-alpha":
        assert alpha is not None  # `check` has seen to it
        teacher, student = _drawn(teacher, student, alpha, np.random.default_rng(seed))
    return pd.concat([teacher, student], ignore_index=True)


def check(mixture: Mixture, alpha: float | None) -> None:
    """Whether a mixture and a teacher's share go together.

    Raises:
        UserError: there is no such mixture; alpha is missing, out of [0, 1], or given in vain.
    """
    if mixture not in get_args(Mixture):
        raise UserError(f"There is no mixture {mixture!r}: choose {', '.join(get_args(Mixture))}.")
    if mixture != "fixed-alpha" and alpha is not None:
        raise UserError(
            f"alpha={alpha:g} is the teacher's share in mixture=fixed-alpha: leave it out with "
            f"mixture={mixture}."
        )
    if mixture == "fixed-alpha" and (alpha is None or not 0 <= alpha <= 1):
        raise UserError(
            f"mixture=fixed-alpha needs alpha, a share of the teacher between 0 and 1, not {alpha}."
        )


def _drawn(
    teacher: pd.DataFrame, student: pd.DataFrame, alpha: float, rng: np.random.Generator
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The largest draw of both in which the teacher's share is alpha."""
    parts = ((teacher, alpha), (student, 1 - alpha))
    total = min(len(part) / share for part, share in parts if share)
    return tuple(
        part.iloc[np.sort(rng.choice(len(part), round(share * total), replace=False))]
        for part, share in parts
    )


def biased(rows: pd.DataFrame, priority: Sequence[str]) -> pd.DataFrame:
    """One row for each question: of the first strategy in `priority` that it has.

    Raises:
        UserError: an unknown strategy tag.
    """
    unknown = set(rows["strategy"]) | set(priority)
    if unknown - set(STRATEGIES):
        raise UserError(f"There is no strategy {min(unknown - set(STRATEGIES))!r}: choose cot, l2m or pot.")
    ranked = rows.sort_values("strategy", kind="stable", key=lambda tags: tags.map(list(priority).index))
    return ranked.drop_duplicates("id")


def teacher_share(mixed: pd.DataFrame) -> pd.DataFrame:
    """The teacher's share by strategy and over all: columns strategy, alpha, n; NaN where there is no row."""
    parts = {name: mixed[mixed["strategy"] == name] for name in STRATEGIES} | {"all": mixed}
    rows = [(name, (part["origin"] == "teacher").mean(), len(part)) for name, part in parts.items()]
    return pd.DataFrame(rows, columns=["strategy", "alpha", "n"])


def divergence(mixed: pd.DataFrame, chosen: Mapping[str, int]) -> float:
    """KL(train ‖ student) of the strategies, nats: the mixture's shares against the student's own choices.

    A strategy that the student never chose counts as half a choice, so that the value stays finite.
    """
    train = mixed["strategy"].value_counts(normalize=True).reindex(STRATEGIES, fill_value=0).to_numpy()
    student = np.array([chosen.get(name, 0) or 0.5 for name in STRATEGIES], dtype=float)
    student /= student.sum()
    seen = train > 0
    return float(np.sum(train[seen] * np.log(train[seen] / student[seen])))


def entropy(chosen: Mapping[str, int]) -> float:
    """Of the strategies that were chosen, in bits: 0 of one, 1.58 of three alike; NaN of none.

    An answer without a tag is of no strategy and does not count.
    """
    counts = np.array([chosen[name] for name in STRATEGIES if chosen.get(name)], dtype=float)
    shares = counts / counts.sum() if len(counts) else np.array([np.nan])
    return float(-(shares * np.log2(shares)).sum()) + 0.0
