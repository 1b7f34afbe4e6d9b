"""What comes of the students of 08_siked: who solves what, in which strategy, and what the rounds bring."""

from collections.abc import Sequence

import pandas as pd

from workbench.corpora.loaders.solutions import STRATEGIES
from workbench.measures.summaries import summarise

FEWEST_RIGHT = 0.05  # of held-out questions, in the best strategy: below it a seed has learnt nothing
_NOTHING = 0.02  # of questions: less headroom is none


def accuracies(answers: pd.DataFrame) -> pd.DataFrame:
    """Shares of right answers and of right plans: columns arm, kind, measure, value, low, high, n.

    Intervals are over questions with all seeds; plans only where they are known.
    """
    right = answers.assign(right=(answers["verdict"] == "correct").astype(float))
    parts = [summarise(right, ["arm", "kind"], "right", "item").assign(measure="answers")]
    if (known := right.dropna(subset=["plan"])).size:
        parts.append(summarise(known, ["arm", "kind"], "plan", "item").assign(measure="plans"))
    return pd.concat(parts, ignore_index=True)


def verdicts(answers: pd.DataFrame) -> pd.DataFrame:
    """Shares of correct, wrong and unparsed answers by arm and strategy: arm, strategy, verdict, share, n."""
    counts = answers.groupby(["arm", "strategy", "verdict"], sort=False).size().rename("n").reset_index()
    return counts.assign(share=counts["n"] / counts["arm"].map(answers["arm"].value_counts()))


def shares(frame: pd.DataFrame) -> pd.DataFrame:
    """What students choose by themselves, "none" where they write no tag: columns arm, round, strategy, share
    (mean over seeds).
    """
    rows, names = [], [*STRATEGIES, "none"]
    for name in names:
        chosen = frame[[f"chose_{strategy}" for strategy in names]].sum(axis=1)
        rows.append(frame[["arm", "round"]].assign(strategy=name, share=frame[f"chose_{name}"] / chosen))
    return pd.concat(rows).groupby(["arm", "round", "strategy"], sort=False)["share"].mean().reset_index()


def solved(forced: pd.DataFrame) -> pd.DataFrame:
    """Held-out questions of all seeds by the strategies that solve them: columns solved_by, questions.

    Args:
        forced: see `experiment.forced`.
    """
    by = _solved_by(forced).apply(lambda row: ", ".join(row.index[row]) or "none", axis=1)
    return by.value_counts().rename_axis("solved_by").rename("questions").reset_index()


def _solved_by(forced: pd.DataFrame) -> pd.DataFrame:
    """Whether a question is solved: a row a seed and question, a column a strategy."""
    return forced.pivot_table(index=["seed", "id"], columns="strategy", values="right", aggfunc="max").astype(
        bool
    )


def headroom(forced: pd.DataFrame) -> float:
    """Share of held-out questions that some strategy solves, less the best one's; NaN if none was asked.

    The best one is chosen by seed, on the same questions.
    """
    if forced.empty:
        return float("nan")
    right = _solved_by(forced)
    by_seed = right.groupby("seed").mean().max(axis=1)
    return float((right.any(axis=1).groupby("seed").mean() - by_seed).mean())


def unlearnt(forced: pd.DataFrame) -> list[int]:
    """Seeds whose student of the teacher alone solves fewer than `FEWEST_RIGHT` in its best strategy."""
    if forced.empty:
        return []
    best = forced.groupby(["seed", "strategy"])["right"].mean().groupby("seed").max()
    return [int(seed) for seed in best.index[best < FEWEST_RIGHT]]


def without(frame: pd.DataFrame, seeds: Sequence[int]) -> pd.DataFrame:
    """The rows of other seeds; all where there are none, which `remarks` says."""
    left = frame[~frame["seed"].isin(seeds)] if len(seeds) and len(frame) else frame
    return left if len(left) else frame


def progress(frame: pd.DataFrame) -> pd.DataFrame:
    """What each round brings to the students of several strategies: columns arm, round, measure, value."""
    names = {
        "held_out": "right answers, held out",
        "plan": "right plans, held out",
        "entropy": "strategies chosen, bits",
        "alpha_all": "alpha, all strategies",
        "divergence": "KL, mixture from student",
        "lucky_own": "wrong plans in own solutions",
    }
    several = frame[~frame["arm"].isin(STRATEGIES)].rename(columns=names)
    long = several.melt(["arm", "round"], list(names.values()), "measure", "value").dropna(subset=["value"])
    return long.groupby(["arm", "round", "measure"], sort=False)["value"].mean().reset_index()


def remarks(frame: pd.DataFrame, forced: pd.DataFrame) -> list[str]:
    """What a reader should know of the rounds.

    Seeds left out, whether there is anything to mix, and strategies in which a student learnt no solution of
    its own, by round, or that it never chose.
    """
    sentences = []
    if nothing := unlearnt(forced):
        why = f"the student of the teacher alone solves less than {FEWEST_RIGHT:.0%} in its best strategy"
        if len(nothing) == forced["seed"].nunique():
            sentences.append(f"in every seed {why}: all are kept, and nothing here is about what has learnt")
        else:
            sentences.append(
                f"seeds left out, because {why}: {len(nothing)} ({', '.join(map(str, nothing))})"
            )
    if headroom(forced) < _NOTHING:
        sentences.append("every strategy solves the same questions: there is nothing to mix")
    several = frame[~frame["arm"].isin(STRATEGIES)]
    for (arm, number), part in several[several["round"] > 0].groupby(["arm", "round"], sort=False):
        if silent := _silent(part):
            sentences.append(f"{arm}, round {number}: learnt no solution of its own in {', '.join(silent)}")
    last = several.sort_values("round").groupby(["arm", "seed"], sort=False).tail(1)
    for arm, part in last.groupby("arm", sort=False):
        if never := [name for name in STRATEGIES if (part[f"chose_{name}"] == 0).all()]:
            sentences.append(f"{arm}: never chose {', '.join(never)} by itself in the end")
    return sentences


def _silent(part: pd.DataFrame) -> list[str]:
    """Strategies without an own solution in a round of an arm that learns from its own."""
    if part["lucky_own"].isna().all() and (part["alpha_all"].fillna(1) == 1).all():
        return []
    learnt = {name: part[f"n_{name}"] * (1 - part[f"alpha_{name}"].fillna(1)) for name in STRATEGIES}
    times = {name: int((learnt[name] < 0.5).sum()) for name in STRATEGIES}
    return [f"{name} ({n} of {len(part)} seeds)" for name, n in times.items() if n]
