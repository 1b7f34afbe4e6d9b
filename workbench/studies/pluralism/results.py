"""What came of 12_pluralism: before and after tuning, and the claims."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.stats import chisquare

from workbench.claims import Claim
from workbench.corpora.loaders.opinions import Question
from workbench.measures import distributions as measures
from workbench.measures.statistics import Interval, bootstrap_mean
from workbench.studies.pluralism import overton
from workbench.studies.pluralism.elicitation import option_counts
from workbench.studies.pluralism.experiment import BEFORE, DPO, DRAWN, SFT, Plan
from workbench.studies.pluralism.method import NOBODY, Task, baselines, distances, steered, steering, summary

TUNED, OTHER, CHANCES = "tuned questions", "other questions", "chances"


def table(answers: pd.DataFrame, plan: Plan) -> pd.DataFrame:
    """Distances of every model from everybody when nobody is named: `distances` of it, and column set."""
    asked = answers[answers["prompted"] == NOBODY]
    measured = distances(asked, [*plan.task.questions, *plan.chances.questions])
    return measured.assign(set=_sets(measured["id"], plan.task.questions, plan.tuned))


def _sets(ids: pd.Series, questions: Sequence[Question], tuned: set[str]) -> list[str]:
    known = {question.id: TUNED if question.id in tuned else OTHER for question in questions}
    return [known.get(name, CHANCES) for name in ids]


def by_readout(asked: pd.DataFrame, plan: Plan) -> pd.DataFrame:
    """Each read-out of one model, and the baselines, by every measure.

    Returns:
        Columns readout, kind (model or baseline), measure, value, low, high, n (questions), and unread
        (questions without an answer that could be read). simbench_score has no interval: it is a ratio.
    """
    questions = plan.task.questions
    measured, guesses = distances(asked, questions), baselines(questions, plan.sizes.samples)
    compared = pd.concat([measured.assign(kind="model").drop(columns=["valid", "order"]),
                       guesses.assign(kind="baseline")])  # fmt: skip
    by = ["readout", "kind"]
    table = pd.concat([summary(compared, by), summary(asked.assign(kind="model"), by)], ignore_index=True)
    guessing = guesses[guesses["readout"] == "equal shares"].set_index("id")["total_variation"]
    for (readout, kind), part in compared.groupby(by, sort=False):
        score = measures.rescaled(part["total_variation"], guessing[part["id"]])  # on the questions it read
        table.loc[len(table)] = [readout, kind, "simbench_score", score, np.nan, np.nan, len(part)]
    unread = asked["shares"].isna().groupby(asked["readout"]).sum()
    return table.assign(unread=table["readout"].map(unread).fillna(0).astype(int))


def by_topic(measured: pd.DataFrame, plan: Plan) -> pd.DataFrame:
    """Mean JSD (nats) of every model and of equal shares: columns topic, questions, and one for each."""
    equal = baselines(plan.task.questions, 1)
    equal = equal[equal["readout"] == "equal shares"].assign(arm="equal shares")
    both = pd.concat([measured[measured["set"] != CHANCES], equal])
    wide = both.pivot_table(index="topic", columns="arm", values="jsd_nats", sort=False)
    n = both.groupby("topic", sort=False)["id"].nunique().rename("questions")
    return pd.concat([n, wide], axis=1).reset_index()


def before_and_after(measured: pd.DataFrame) -> pd.DataFrame:
    """Means by arm and set of questions, over all seeds: `summary` of it."""
    return summary(measured, ["arm", "set"])


def steered_by_arm(answers: pd.DataFrame, task: Task) -> pd.DataFrame:
    """What naming the group changes, for every model: `steered` of it by arm and seed."""
    asked = answers[answers["id"].isin({question.id for question in task.questions})]
    return steered(steering(asked, task), ["arm", "seed"])


def shares(answers: pd.DataFrame, questions: Sequence[Question]) -> pd.DataFrame:
    """Every option's share: columns arm, id, prompt, option, people, model (mean over seeds)."""
    known = {question.id: question for question in questions}
    asked = answers[(answers["prompted"] == NOBODY) & answers["id"].isin(known) & answers["shares"].notna()]
    rows = [
        (row.arm, row.id, known[row.id].prompt, option, known[row.id].people.dist[index], row.shares[index])
        for row in asked.itertuples()
        for index, option in enumerate(known[row.id].options)
    ]
    frame = pd.DataFrame(rows, columns=["arm", "id", "prompt", "option", "people", "model"])
    return (
        frame.groupby(["arm", "id", "prompt", "option", "people"], sort=False)["model"].mean().reset_index()
    )


def matrix(answers: pd.DataFrame, task: Task) -> pd.DataFrame:
    """Mean distance of every model asked as one group from the answers of another: columns arm, prompted,
    target, jsd_nats, n (questions).
    """
    steered_rows = steering(answers[answers["id"].isin({question.id for question in task.questions})], task)
    by = steered_rows.groupby(["arm", "prompted", "target"], sort=False)
    return by.agg(jsd_nats=("jsd_nats", "mean"), n=("id", "nunique")).reset_index()


def covered(replies: pd.DataFrame, task: Task, holds: overton.Holds) -> pd.DataFrame:
    """Which views every model's sampled replies hold: `overton.coverage`, with columns arm and seed.

    Args:
        replies: of `experiment.train_all`.
        task: its questions.
        holds: `overton.by_entailment` or `overton.by_embedding`.
    """
    known = {question.id: question for question in task.questions}
    asked = replies[replies["id"].isin(known)]
    coverage = overton.coverage([known[name] for name in asked["id"]], asked["replies"].tolist(), holds)
    return coverage.assign(arm=asked["arm"].tolist(), seed=asked["seed"].tolist())


def drawn_chances(replies: pd.DataFrame, plan: Plan) -> pd.DataFrame:
    """Sampled replies to the chances, all seeds together, against the exact ones.

    Returns:
        Columns arm, chance, replies, valid (share), yielded (different valid ones), options, chi_square and p
        (of so large a value if the replies followed the chances; NaN without a valid reply).
    """
    rows = []
    for question in plan.chances.questions:
        for arm, part in replies[replies["id"] == question.id].groupby("arm", sort=False):
            texts = [text for sampled in part["replies"] for text in sampled]
            counts = option_counts(texts, question.options)
            total = counts.sum()
            expected = np.array(question.people.dist) * total
            chi_square, p = chisquare(counts, expected) if total else (np.nan, np.nan)
            rows.append((arm, question.id, len(texts), total / len(texts), int((counts > 0).sum()),
                         len(counts), float(chi_square), float(p)))  # fmt: skip
    names = ["arm", "chance", "replies", "valid", "yielded", "options", "chi_square", "p"]
    return pd.DataFrame(rows, columns=names)


def claims(measured: pd.DataFrame, gains: pd.DataFrame) -> list[Claim]:
    """What tuning does; intervals are over questions, with all seeds of each.

    Args:
        measured: `table`.
        gains: `steered_by_arm`; empty where the questions have no groups.
    """
    aligned = "Aligned models are further (JS) from people's answers than their base models"
    steers = "Instruction tuning lowers steerability"
    sharper = "Preference tuning sharpens a model's distribution"
    distance, entropy = ("jsd_nats", "JSD, nats"), ("entropy_ratio", "entropy, model over people")
    tuning, steer = "Before and after tuning", "Steering matrix"
    tuned, other = (measured[measured["set"] == name] for name in (TUNED, OTHER))
    compared = [
        ("majority-tuning-moves-away", tuned, distance, DPO, BEFORE, aligned, tuning,
         "Tuning to the majority's answer moves the model away from the people."),
        ("more-than-training-on", tuned, distance, DPO, DRAWN, aligned, tuning,
         "Preferences move it further than equally long training on answers as people give them."),
        ("it-spreads", other, distance, DPO, BEFORE, aligned, tuning,
         "The model also moves away on questions that it was not tuned on."),
        ("entropy-collapses", tuned, entropy, BEFORE, DPO, sharper, tuning,
         "Tuning to the majority's answer lowers the entropy of the model's answers."),
        ("imitation-moves-away-too", tuned, distance, SFT, BEFORE, aligned, tuning,
         "Imitating the majority's answers moves the model away as well."),
        ("tuning-hurts-steering", gains, ("own_nats", "JSD, nats"), DPO, BEFORE, steers, steer,
         "Asked as a member of a group, the tuned model is further from that group than before."),
        ("tuning-lowers-steering", gains, ("other_nats", "JSD, nats"), BEFORE, DPO, steers, steer,
         "Naming a group instead of another brings the tuned model less far towards it than before."),
    ]  # fmt: skip
    made = [
        Claim.of(_paired(rows, measure, more, less), name=name, says=says, paper=paper, unit=unit, view=view)
        for name, rows, (measure, unit), more, less, paper, view, says in compared
        if {more, less} <= set(rows.dropna(subset=measure)["arm"])
    ]
    before = gains[gains["arm"] == BEFORE].dropna(subset="other_nats")
    if len(before):
        made.append(
            Claim.of(
                bootstrap_mean(before["other_nats"].astype(float), groups=before["id"]),
                name="naming-the-group-helps",
                says="Asked as a member of a group, the model is nearer to it than as one of another group.",
                paper="Prompting as a group brings models nearer to it",
                unit="JSD, nats",
                view=steer,
            )
        )
    return made


def _paired(rows: pd.DataFrame, measure: str, more: str, less: str) -> Interval:
    """More minus less on the same questions (as the same group) and seeds."""
    keys = [name for name in ("id", "target", "seed") if name in rows]
    wide = rows.pivot_table(index=keys, columns="arm", values=measure)
    return bootstrap_mean(wide[more] - wide[less], groups=list(wide.index.get_level_values("id")))
