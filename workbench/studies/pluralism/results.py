"""What came of 12_pluralism: distances of every model from the people, by population, set and topic."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from scipy.stats import chisquare

from workbench.claims import FEWEST_TRAININGS
from workbench.corpora.loaders.opinions import Question
from workbench.measures.distributions import rescaled
from workbench.measures.summaries import summarise, summarise_measures
from workbench.studies.pluralism import method, overton
from workbench.studies.pluralism.elicitation import option_counts
from workbench.studies.pluralism.experiment import BEFORE, Plan
from workbench.studies.pluralism.method import DISTANCES, NOBODY, Task

LEARNT = 0.5  # most of the distance of equal shares that a model may have which has learnt what people answer
TUNED, OTHER, CHANCES = "tuned questions", "other questions", "chances"


def trained(answers: pd.DataFrame, plan: Plan) -> tuple[list[int], list[int]]:
    """The seeds of the trainings that are looked at, and of those that are left out, of all arms.

    Left out is a training whose model before tuning has not learnt what people answer: it is further from
    them than `LEARNT` of what equal shares are. A model that is not trained here is looked at as it is, and
    where none has learnt, all are (the claims' gates then fail).
    """
    seeds = list(plan.all_seeds)
    shares = distances_of_base(answers, plan)
    left_out = [seed for seed in seeds if plan.embedded and not shares.get(seed, np.nan) <= LEARNT]
    return (seeds, []) if len(left_out) == len(seeds) else ([s for s in seeds if s not in left_out], left_out)


def distances_of_base(answers: pd.DataFrame, plan: Plan) -> pd.Series:
    """By seed, the mean distance from the people before tuning as a share of that of equal shares."""
    measured = distances(answers[answers["arm"] == BEFORE], plan)
    before = measured[measured["set"] != CHANCES].groupby("seed")["jsd_nats"].mean()
    guessing = [method.guesses(task.questions) for task in plan.tasks]
    equal = [table.loc[table["readout"] == "equal shares", "jsd_nats"].mean() for table in guessing]
    return before / before.index.map(lambda seed: equal[plan.population(seed)])


def distances(answers: pd.DataFrame, plan: Plan) -> pd.DataFrame:
    """Distances of every model from everybody when nobody is named: `method.distances`, and columns set and
    population.
    """
    asked = answers[answers["prompted"] == NOBODY]
    frames = []
    for number, task, rows in _by_population(asked, plan):
        measured = method.distances(rows, [*task.questions, *plan.chances.questions])
        tuned, ids = plan.tuned(number), {question.id for question in task.questions}
        sets = {name: TUNED if name in tuned else OTHER for name in ids}
        frames.append(measured.assign(set=measured["id"].map(sets).fillna(CHANCES), population=number))
    return pd.concat(frames, ignore_index=True)


def steering(answers: pd.DataFrame, plan: Plan) -> pd.DataFrame:
    """Distances from each group, whoever is asked: `method.steering`, and columns set and population."""
    frames = []
    for number, task, rows in _by_population(answers, plan):
        measured, tuned = method.steering(rows, task), plan.tuned(number)
        sets = [TUNED if name in tuned else OTHER for name in measured["id"]]
        frames.append(measured.assign(set=sets, population=number))
    return pd.concat(frames, ignore_index=True)


def gains(steering: pd.DataFrame) -> pd.DataFrame:
    """What naming a group changes: `method.steered` of `steering`, and column set."""
    table = method.steered(steering)
    if table.empty:
        return table.assign(set="")
    sets = steering.drop_duplicates(["seed", "id"]).set_index(["seed", "id"])["set"]
    return table.join(sets, on=["seed", "id"])


def coverage(replies: pd.DataFrame, plan: Plan, holds: overton.Holds) -> pd.DataFrame:
    """`overton.coverage` of every population's replies."""
    frames = [
        overton.coverage(rows, task.questions, holds) for _, task, rows in _by_population(replies, plan)
    ]
    return pd.concat(frames, ignore_index=True)


def _by_population(frame: pd.DataFrame, plan: Plan) -> Iterator[tuple[int, Task, pd.DataFrame]]:
    numbers = frame["seed"].map(plan.population)
    for number, task in enumerate(plan.tasks):
        yield number, task, frame[numbers == number]


def of_first(frame: pd.DataFrame, plan: Plan) -> pd.DataFrame:
    """The rows of the first population's trainings."""
    return frame[frame["seed"].map(plan.population) == 0]


def summary(frame: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Means with intervals: `by`, and columns measure, value, low, high, n.

    Over populations where there are enough of them to count, else over questions.
    """
    names = [name for name in (*DISTANCES, "valid", "order") if name in frame]
    many = "population" in frame and frame["population"].nunique() >= FEWEST_TRAININGS
    return summarise_measures(frame, by, dict(zip(names, names, strict=True)), "population" if many else "id")


def by_readout(answers: pd.DataFrame, questions: Sequence[Question], k: int) -> pd.DataFrame:
    """Each read-out of one model, and the baselines, by every measure.

    Args:
        answers: of `method.ask`.
        questions: that were asked.
        k: answers drawn for each.

    Returns:
        Columns readout, kind (model or baseline), measure, value, low, high, n (questions), and unread
        (questions without an answer that could be read). simbench_score has no interval: it is a ratio.
    """
    baselines = method.baselines(questions, k).assign(kind="baseline")
    model = method.distances(answers, questions).drop(columns=["valid", "order"]).assign(kind="model")
    compared, by = pd.concat([model, baselines]), ["readout", "kind"]
    parts = [summary(compared, by), summary(answers.assign(kind="model"), by)]
    guessing = baselines[baselines["readout"] == "equal shares"].set_index("id")["total_variation"]
    for key, part in compared.groupby(by, sort=False):
        score = rescaled(part["total_variation"], guessing[part["id"]])  # on the questions it read
        row = dict(zip(by, key, strict=True)) | {"measure": "simbench_score", "value": score, "n": len(part)}
        parts.append(pd.DataFrame([row]))
    table = pd.concat(parts, ignore_index=True)
    unread = answers["shares"].isna().groupby(answers["readout"]).sum()
    return table.assign(unread=table["readout"].map(unread).fillna(0).astype(int))


def by_place(answers: pd.DataFrame) -> pd.DataFrame:
    """How much each place of the list gets, whatever stands there: means over the questions of one length.

    Args:
        answers: of `method.ask`, by likelihoods; other read-outs are left out.

    Returns:
        Columns readout, place (from 1), value, low, high, n (questions with as many options as most have).
    """
    rows = answers[answers["places"].notna()]
    sizes = rows["places"].map(len)
    rows = rows[sizes == sizes.mode()[0]]
    rows = rows.assign(place=[list(range(1, len(places) + 1)) for places in rows["places"]])
    long = rows[["readout", "id", "place", "places"]].explode(["place", "places"])
    long = long.assign(share=long["places"].astype(float), place=long["place"].astype(int))
    return summarise(long, ["readout", "place"], "share")


def by_topic(measured: pd.DataFrame, plan: Plan) -> pd.DataFrame:
    """Mean JSD (nats) of every model and of equal shares: columns topic, questions, and one for each."""
    tables = [method.guesses(task.questions) for task in plan.tasks]
    guesses = pd.concat(tables).rename(columns={"readout": "arm"})
    rows = pd.concat([measured[measured["set"] != CHANCES], guesses[guesses["arm"] == "equal shares"]])
    wide = rows.pivot_table(index="topic", columns="arm", values="jsd_nats", sort=False)
    n = rows.groupby("topic", sort=False)["id"].nunique().rename("questions")
    return pd.concat([n, wide], axis=1).reset_index()


def shares(answers: pd.DataFrame, questions: Sequence[Question]) -> pd.DataFrame:
    """Every option's share: columns arm, id, prompt, option, people, model (mean over seeds)."""
    by_id = {question.id: question for question in questions}
    rows = answers[(answers["prompted"] == NOBODY) & answers["id"].isin(by_id) & answers["shares"].notna()]
    asked = [by_id[name] for name in rows["id"]]
    options = {"option": [question.options for question in asked],
               "people": [question.people.dist for question in asked], "model": rows["shares"]}  # fmt: skip
    frame = rows[["arm", "id"]].assign(prompt=[question.prompt for question in asked], **options)
    frame = frame.explode(list(options)).astype({"people": float, "model": float})
    by = ["arm", "id", "prompt", "option", "people"]
    return frame.groupby(by, sort=False)["model"].mean().reset_index()


def matrix(steering: pd.DataFrame) -> pd.DataFrame:
    """Mean distance of every model asked as one group from the answers of another: columns arm, prompted,
    target, jsd_nats, n (questions).
    """
    by = steering.groupby(["arm", "prompted", "target"], sort=False)
    return by.agg(jsd_nats=("jsd_nats", "mean"), n=("id", "nunique")).reset_index()


def drawn_chances(replies: pd.DataFrame, chances: Sequence[Question]) -> pd.DataFrame:
    """Sampled replies to the chances, all seeds together, against the exact ones.

    Returns:
        Columns arm, chance, replies, valid (share), yielded (different valid ones), options, chi_square and p
        (of so large a value if the replies followed the chances; NaN without a valid reply).
    """
    rows = []
    for question in chances:
        for arm, sampled in replies[replies["id"] == question.id].groupby("arm", sort=False)["replies"]:
            texts = [text for of_seed in sampled for text in of_seed]
            counts = option_counts(texts, question.options)
            total, exact = counts.sum(), np.array(question.people.dist)
            chi_square, p = chisquare(counts, exact * total) if total else (np.nan, np.nan)
            rows.append((arm, question.id, len(texts), total / len(texts), int((counts > 0).sum()),
                         len(counts), float(chi_square), float(p)))  # fmt: skip
    names = ["arm", "chance", "replies", "valid", "yielded", "options", "chi_square", "p"]
    return pd.DataFrame(rows, columns=names)
