"""What came of 12_pluralism: before and after tuning, and the claims."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from workbench.corpora.opinions import Question
from workbench.measures import distributions as measures
from workbench.measures.statistics import bootstrap_mean
from workbench.studies import overton
from workbench.studies.pluralism import NOBODY, Task, baselines, distances, steered, steering, summary
from workbench.studies.pluralism_arms import BEFORE, DPO, DRAWN, SFT, Plan
from workbench.studies.subsets import plain

TUNED, OTHER, CHANCES = "tuned questions", "other questions", "chances"


def table(answers: pd.DataFrame, plan: Plan) -> pd.DataFrame:
    """Distances of every model from everybody when nobody is named: `distances` of it, and column set."""
    asked = answers[answers["prompted"] == NOBODY]
    found = distances(asked, [*plan.task.questions, *plan.chances.questions])
    return found.assign(set=_sets(found["id"], plan.task.questions, plan.tuned))


def _sets(ids: pd.Series, questions: Sequence[Question], tuned: set[str]) -> list[str]:
    known = {each.id: TUNED if {each.id, each.topic} & tuned else OTHER for each in questions}
    return [known.get(name, CHANCES) for name in ids]


def by_readout(asked: pd.DataFrame, task: Task) -> pd.DataFrame:
    """Each read-out of one model, and the baselines, by every measure.

    Returns:
        Columns readout, kind (model or baseline), measure, value, low, high, n (questions read), and unread.
        simbench_score has no interval: it is a ratio of two means.
    """
    people, guesses = distances(asked, task.questions), baselines(task.questions)
    found = pd.concat([people.assign(kind="model"), guesses.assign(kind="baseline")])
    table = summary(found, ["readout", "kind"])
    guessing = guesses.loc[guesses["readout"] == "equal shares", "total_variation"]
    for (readout, kind), part in found.groupby(["readout", "kind"], sort=False):
        score = measures.rescaled(part["total_variation"], guessing)
        table.loc[len(table)] = [readout, kind, "simbench_score", score, np.nan, np.nan, len(part)]
    return table.assign(unread=len(task.questions) - table["n"])


def before_and_after(found: pd.DataFrame) -> pd.DataFrame:
    """Means by arm and set of questions, over all seeds: `summary` of it."""
    return summary(found, ["arm", "set"])


def steered_by_arm(answers: pd.DataFrame, task: Task) -> pd.DataFrame:
    """What naming the group changes, for every model: `steered` of it by arm and seed."""
    asked = answers[answers["id"].isin({each.id for each in task.questions})]
    return steered(steering(asked, task), ["arm", "seed"])


def shares(answers: pd.DataFrame, questions: Sequence[Question]) -> pd.DataFrame:
    """Every option's share: columns arm, id, prompt, option, people, model (mean over seeds)."""
    known = {each.id: each for each in questions}
    asked = answers[(answers["prompted"] == NOBODY) & answers["id"].isin(known) & answers["shares"].notna()]
    rows = [
        (row.arm, row.id, known[row.id].prompt, option, known[row.id].people.dist[place], row.shares[place])
        for row in asked.itertuples()
        for place, option in enumerate(known[row.id].options)
    ]
    frame = pd.DataFrame(rows, columns=["arm", "id", "prompt", "option", "people", "model"])
    return (
        frame.groupby(["arm", "id", "prompt", "option", "people"], sort=False)["model"].mean().reset_index()
    )


def matrix(answers: pd.DataFrame, task: Task, arm: str = BEFORE) -> pd.DataFrame:
    """Mean distance of the model asked as one group from the answers of another: columns prompted, target,
    jsd_nats, n (questions).
    """
    asked = answers[(answers["arm"] == arm) & answers["id"].isin({each.id for each in task.questions})]
    found = steering(asked, task).groupby(["prompted", "target"], sort=False)
    return found.agg(jsd_nats=("jsd_nats", "mean"), n=("id", "nunique")).reset_index()


def covered(replies: pd.DataFrame, task: Task, holds: overton.Holds) -> pd.DataFrame:
    """Which views every model's sampled replies hold: `overton.coverage`, with columns arm and seed.

    Args:
        replies: of `pluralism_arms.fit_all`.
        task: its questions.
        holds: `overton.by_entailment` or `overton.by_embedding`.
    """
    known = {each.id: each for each in task.questions}
    found = overton.coverage([known[name] for name in replies["id"]], replies["replies"].tolist(), holds)
    return found.assign(arm=replies["arm"].tolist(), seed=replies["seed"].tolist())


def claims(found: pd.DataFrame, gains: pd.DataFrame) -> list[dict[str, Any]]:
    """As `run.claim` takes them; intervals are over questions, with all seeds of each.

    Args:
        found: `table`.
        gains: `steered_by_arm`; without rows where the questions have no groups.
    """
    claimed = []
    if (found["arm"] == DPO).any():
        aligned = "Aligned models are further (JS) from people's answers than their base models"
        compared = [
            ("majority-tuning-moves-away", TUNED, "jsd_nats", DPO, BEFORE, aligned,
             "Tuning to the majority's answer moves the model away from the people."),
            ("more-than-training-on", TUNED, "jsd_nats", DPO, DRAWN, aligned,
             "Preferences move it further than training on as long on answers that people give."),
            ("it-spreads", OTHER, "jsd_nats", DPO, BEFORE, aligned,
             "The model moves away on questions, too, that it was not tuned on."),
            ("entropy-collapses", TUNED, "entropy_ratio", BEFORE, DPO,
             "Preference tuning sharpens the distribution",
             "Tuning to the majority's answer lowers the entropy of the model's answers."),
            ("imitation-collapses-too", TUNED, "jsd_nats", SFT, BEFORE, aligned,
             "Imitating the majority's answers moves the model away, too."),
        ]  # fmt: skip
        for name, where, measure, more, less, paper, says in compared:
            claimed.append(
                {"name": name, "says": says, "paper": paper, "view": "Before and after tuning",
                 "unit": "JSD, nats" if measure == "jsd_nats" else "entropy, model over people",
                 **_paired(found[found["set"] == where], measure, more, less)}
            )  # fmt: skip
    before = gains[gains["arm"] == BEFORE]
    if len(before):
        steer = "Prompting as a group brings models nearer to that group"
        claimed.append(
            {"name": "naming-the-group-helps", "paper": steer, "unit": "JSD, nats", "view": "Steering matrix",
             "says": "Asked as a member of a group, the model is nearer to it than when no group is named.",
             **plain(bootstrap_mean(before["gain_nats"], groups=before["id"]))}
        )  # fmt: skip
    return claimed


def _paired(found: pd.DataFrame, measure: str, more: str, less: str) -> dict[str, Any]:
    """More minus less on the same questions and seeds."""
    wide = found.pivot_table(index=["id", "seed"], columns="arm", values=measure)
    return plain(bootstrap_mean(wide[more] - wide[less], groups=list(wide.index.get_level_values("id"))))
