"""What came of 12_pluralism: before and after tuning, and the claims."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.stats import chisquare

from workbench.claims import Claim, Gate
from workbench.corpora.loaders.opinions import Question
from workbench.measures.distributions import rescaled
from workbench.measures.statistics import bootstrap_mean
from workbench.measures.summaries import summarise_measures
from workbench.studies.common.evidence import over_seeds
from workbench.studies.pluralism import method
from workbench.studies.pluralism.elicitation import option_counts
from workbench.studies.pluralism.experiment import BEFORE, DPO, DRAWN, SFT, Plan
from workbench.studies.pluralism.method import DISTANCES, NOBODY

ANSWERING = 0.5  # least probability of all options together: below, a model was not answering
TUNED, OTHER, CHANCES = "tuned questions", "other questions", "chances"


def distances(answers: pd.DataFrame, plan: Plan) -> pd.DataFrame:
    """Distances of every model from everybody when nobody is named: `method.distances`, and column set."""
    questions, tuned = plan.task.questions, plan.tuned
    asked = answers[answers["prompted"] == NOBODY]
    measured = method.distances(asked, [*questions, *plan.chances.questions])
    sets = {question.id: TUNED if question.id in tuned else OTHER for question in questions}
    return measured.assign(set=measured["id"].map(sets).fillna(CHANCES))


def summary(frame: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Means with intervals over questions: `by`, and columns measure, value, low, high, n."""
    names = [name for name in (*DISTANCES, "valid", "order") if name in frame]
    return summarise_measures(frame, by, dict(zip(names, names, strict=True)), "id")


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


def by_topic(measured: pd.DataFrame, questions: Sequence[Question]) -> pd.DataFrame:
    """Mean JSD (nats) of every model and of equal shares: columns topic, questions, and one for each."""
    guesses = method.guesses(questions).rename(columns={"readout": "arm"})
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


# ------------------------------------------------------------------------------- claims
def claims(measured: pd.DataFrame, gains: pd.DataFrame, plan: Plan) -> list[Claim]:
    """What tuning does, and what naming a group does; differences are paired by seed and question.

    In a placebo run only what compares two arms.

    Args:
        measured: `distances`.
        gains: `method.steered`; empty where the questions have no groups.
        plan: that was followed.
    """
    answering = measured.loc[measured["arm"] == BEFORE, "valid"].mean()
    gates = (Gate("probability of all options together, before tuning", float(answering), low=ANSWERING),)
    made = [
        over_seeds(_by_question(effect)).claim(
            name=name,
            says=says,
            paper=paper,
            unit=unit,
            view=view,
            gates=gates,
            headline=name == "it-spreads",
        )
        for name, effect, unit, paper, view, says in _compared(measured, gains)
        if effect.notna().any()
    ]
    named = _by_question(_by_arm(gains, "other_nats")[BEFORE])
    if not plan.placebo and named["effect"].notna().any():
        made.append(_naming(named, gates, plan))
    return made


def _naming(effects: pd.DataFrame, gates: tuple[Gate, ...], plan: Plan) -> Claim:
    """About the model before tuning, which is a training only where it is trained here."""
    about = {
        "name": "naming-the-group-helps",
        "says": "Asked as a member of a group, the model is nearer to it than as one of another group.",
        "paper": "Prompting as a group brings models nearer to it",
        "unit": "JSD, nats",
        "view": "Steering matrix",
        "gates": gates,
    }
    if plan.embedded:
        return over_seeds(effects).claim(**about)
    return Claim.of(bootstrap_mean(effects.groupby("id")["effect"].mean()), over="questions", **about)


def _compared(measured: pd.DataFrame, gains: pd.DataFrame) -> list[tuple[str, pd.Series, str, str, str, str]]:
    """Name, effect, unit, what the paper says, figure and sentence of each comparison of two arms."""
    aligned = "Aligned models are further (JS) from people's answers than their base models"
    steers = "Instruction tuning lowers steerability"
    sharper = "Preference tuning sharpens a model's distribution"
    tuning, steer = "Before and after tuning", "Steering matrix"
    nats, ratio = "JSD, nats", "entropy, model over people"
    tuned, other = (_by_arm(measured[measured["set"] == name], "jsd_nats") for name in (TUNED, OTHER))
    entropy = _by_arm(measured[measured["set"] == TUNED], "entropy_ratio")
    named, against_others = _by_arm(gains, "own_nats"), _by_arm(gains, "other_nats")
    return [
        ("it-spreads", other[DPO] - other[BEFORE], nats, aligned, tuning,
         "Tuned to the majority's answer to some questions, the model moves away from the people on others, "
         "too."),
        ("majority-tuning-moves-away", tuned[DPO] - tuned[BEFORE], nats, aligned, tuning,
         "Tuning to the majority's answer moves the model away from the people."),
        ("more-than-training-on", tuned[DPO] - tuned[DRAWN], nats, aligned, tuning,
         "Preferences move it further than equally long training on answers as people give them."),
        ("entropy-collapses", entropy[BEFORE] - entropy[DPO], ratio, sharper, tuning,
         "Tuning to the majority's answer lowers the entropy of the model's answers."),
        ("imitation-moves-away-too", tuned[SFT] - tuned[BEFORE], nats, aligned, tuning,
         "Imitating the majority's answers moves the model away as well."),
        ("tuning-hurts-steering", named[DPO] - named[BEFORE], nats, steers, steer,
         "Asked as a member of a group, the tuned model is further from that group than before."),
        ("tuning-lowers-steering", against_others[BEFORE] - against_others[DPO], nats, steers, steer,
         "Naming a group instead of another brings the tuned model less far towards it than before."),
    ]  # fmt: skip


def _by_arm(rows: pd.DataFrame, measure: str) -> pd.DataFrame:
    """A column for every arm, NaN where it has nothing, and a row for each seed, question and group."""
    keys = [name for name in ("id", "target", "seed") if name in rows]
    wide = rows.pivot_table(index=keys, columns="arm", values=measure)
    return wide.reindex(columns=[BEFORE, DPO, SFT, DRAWN])


def _by_question(effect: pd.Series) -> pd.DataFrame:
    """Columns seed, id and effect, mean over the groups of a question."""
    return effect.rename("effect").groupby(["seed", "id"]).mean().reset_index()
