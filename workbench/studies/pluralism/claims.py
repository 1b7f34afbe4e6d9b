"""What 12_pluralism claims: of questions that nothing was tuned on, over populations.

What tuning does to the questions that are tuned on is true by construction (who prefers the majority's answer
gives it more often) and stands in the figures alone.
"""

from dataclasses import dataclass

import pandas as pd

from workbench.claims import FEWEST_TRAININGS, Claim, Gate
from workbench.measures.statistics import bootstrap_mean
from workbench.studies.common.evidence import Evidence, over_seeds
from workbench.studies.pluralism import paths
from workbench.studies.pluralism.experiment import ARMS, BEFORE, DPO, SFT, SPECTRUM, Plan
from workbench.studies.pluralism.results import LEARNT, OTHER, distances_of_base

ANSWERING = 0.5  # least probability of all options together: below, a model was not answering
NEARLY = 0.9  # least share of the budget that an arm must have used
MOVED = 0.01  # least KL, in nats, at which two arms are worth comparing
STEERED = (
    0.05  # least that naming a group must bring, in nats, to be lost: ten times the smallest of interest
)
DELTA = {"JSD, nats": 0.005, "entropy, model over people": 0.05}
REASON = {
    "JSD, nats": "about what it takes that seven people in a hundred change their answer",
    "entropy, model over people": "a twentieth of the people's entropy",
}
ALIGNED = "Aligned models are further (JS) from people's answers than their base models"
SHARPER = "Preference tuning sharpens a model's distribution"
STEERS = "Instruction tuning lowers steerability"
COVERS = "Spectrum tuning often improves distributional alignment on held-out data"
NARROWS = "Preference learning costs more diversity than supervised fine-tuning"
TUNING, PATH, STEER = "Before and after tuning", "On the way to the budget", "Steering matrix"


@dataclass(frozen=True)
class Comparison:
    """Two arms: the effect by seed and question, positive as the paper says."""

    name: str
    effect: pd.Series
    unit: str
    paper: str
    view: str
    says: str
    gates: tuple[Gate, ...] = ()


def claims(
    answers: pd.DataFrame, measured: pd.DataFrame, gains: pd.DataFrame, ways: pd.DataFrame, plan: Plan
) -> list[Claim]:
    """What tuning does to other questions, and what naming a group does; paired by training and question.

    In a placebo run only what compares two arms.

    Args:
        answers: of every model, as `train_all` returns them.
        measured: `results.distances`.
        gains: `method.steered`; empty where the questions have no groups.
        ways: `paths.measured`.
        plan: that was followed.
    """
    common = _gates(answers, measured, plan)
    made = [
        over_populations(_by_question(one.effect), plan).claim(
            name=one.name,
            says=one.says,
            paper=one.paper,
            unit=one.unit,
            view=one.view,
            gates=(*common, *one.gates),
            delta=DELTA[one.unit],
            delta_reason=REASON[one.unit],
            headline=one.name == "it-spreads",
        )
        for one in [*_after(measured, ways, plan), *_matched(ways, plan), *_steering(gains)]
        if one.effect.notna().any()
    ]
    named = _by_question(_by_arm(gains, "other_nats")[BEFORE])
    if not plan.placebo and named["effect"].notna().any():
        made.append(_naming(named, common, plan))
    return made


def over_populations(effects: pd.DataFrame, plan: Plan) -> Evidence:
    """The mean effect: over populations where there are `FEWEST_TRAININGS` of them, else `over_seeds`.

    Two trainings on one population's texts share its shares and which questions are tuned on, so they are
    drawn together, whether or not they turn out alike.

    Args:
        effects: columns seed, id and effect.
        plan: says which training is of which population.
    """
    by_seed = effects.dropna(subset=["effect"]).groupby("seed")["effect"].mean()
    populations = by_seed.index.map(plan.population)
    if populations.nunique() < FEWEST_TRAININGS:
        return over_seeds(effects)
    estimate = bootstrap_mean(by_seed.to_numpy(), groups=list(populations))
    return Evidence(estimate, "populations", len(by_seed))


def _gates(answers: pd.DataFrame, measured: pd.DataFrame, plan: Plan) -> tuple[Gate, ...]:
    valid = measured.loc[measured["arm"] == BEFORE, "valid"].mean()
    gates = [Gate("probability of all options together, before tuning", float(valid), low=ANSWERING)]
    if plan.embedded:
        share = float(distances_of_base(answers, plan).mean())
        gates.append(Gate("distance before tuning, over that of equal shares", share, high=LEARNT))
    return tuple(gates)


# ------------------------------------------------------------------------------- comparisons
def _after(measured: pd.DataFrame, ways: pd.DataFrame, plan: Plan) -> list[Comparison]:
    """Each tuned arm at its budget against the model before."""
    other = measured[measured["set"] == OTHER]
    nats, entropy = _by_arm(other, "jsd_nats"), _by_arm(other, "entropy_ratio")
    unit, ratio = DELTA
    preferred, imitated = (_used(ways, arm, plan) for arm in (DPO, SFT))
    return [
        Comparison("it-spreads", nats[DPO] - nats[BEFORE], unit, ALIGNED, TUNING,
                   "Tuned to prefer the majority's answer to some questions, the model moves away from the "
                   "people on others, too.", preferred),
        *_unbounded(ways, nats[BEFORE]),
        Comparison("imitation-spreads", nats[SFT] - nats[BEFORE], unit, ALIGNED, TUNING,
                   "Imitating the majority's answers to some questions moves it away on others as well.",
                   imitated),
        Comparison("spectrum-improves-elsewhere", nats[BEFORE] - nats[SPECTRUM], unit, COVERS, TUNING,
                   "Fitted to the people's answers to some questions, the model comes nearer to them on "
                   "others."),
        Comparison("entropy-falls-elsewhere", entropy[BEFORE] - entropy[DPO], ratio, SHARPER, TUNING,
                   "Tuned to prefer the majority's answer to some questions, the model answers others with "
                   "less entropy.", preferred),
    ]  # fmt: skip


def _unbounded(ways: pd.DataFrame, before: pd.Series) -> list[Comparison]:
    """The headline without a budget."""
    if ways.empty:
        return []
    effect = paths.unbounded(ways, DPO) - before
    return [
        Comparison("it-spreads-unbounded", effect, next(iter(DELTA)), ALIGNED, PATH,
                   "Where preference tuning ends without a budget, the model has moved away from the people "
                   "on other questions.")
    ]  # fmt: skip


def _used(ways: pd.DataFrame, arm: str, plan: Plan) -> tuple[Gate, ...]:
    """Whether an arm has used its budget; nothing in a placebo run, which tunes nothing."""
    if ways.empty or plan.placebo or arm not in plan.arms:
        return ()
    share = paths.ends(ways, "kl")[arm].mean() / plan.sizes.kl
    return (Gate(f"KL of {arm}, share of the budget", float(share), low=NEARLY),)


def _matched(ways: pd.DataFrame, plan: Plan) -> list[Comparison]:
    """Two tuned arms where both have gone as far, or earn as much."""
    if ways.empty:
        return []
    unit = next(iter(DELTA))
    spectrum, reached = paths.matched(ways, DPO, SPECTRUM, "kl")
    nothing = pd.Series(dtype=float)
    imitation = paths.matched(ways, DPO, SFT, "reward")[0] if SFT in plan.arms else nothing
    moved = () if plan.placebo else (Gate("KL that both reach, nats", float(reached.mean()), low=MOVED),)
    return [
        Comparison("spectrum-keeps-more", spectrum, unit, COVERS, PATH,
                   "At equal KL preferences take the model further from the people on other questions than "
                   "spectrum-style tuning does.", moved),
        Comparison("preferences-spread-more", imitation, unit, NARROWS, PATH,
                   "At equal reward preferences take the model further from the people on other questions "
                   "than imitation does."),
    ]  # fmt: skip


def _steering(gains: pd.DataFrame) -> list[Comparison]:
    """Whether a group can still be named, on other questions."""
    other = gains[gains["set"] == OTHER] if "set" in gains else gains
    named, against_others = _by_arm(other, "own_nats"), _by_arm(other, "other_nats")
    unit = next(iter(DELTA))
    brings = float(against_others[BEFORE].mean())
    steered = (Gate("nearer to a group when it is named than when another is, nats", brings, low=STEERED),)
    return [
        Comparison("tuning-hurts-steering", named[DPO] - named[BEFORE], unit, STEERS, STEER,
                   "Asked as a member of a group, the tuned model is further from that group than before on "
                   "other questions.", steered),
        Comparison("tuning-lowers-steering", against_others[BEFORE] - against_others[DPO], unit, STEERS,
                   STEER, "Naming a group instead of another brings the tuned model less far towards it than "
                   "before on other questions.", steered),
    ]  # fmt: skip


def _naming(effects: pd.DataFrame, gates: tuple[Gate, ...], plan: Plan) -> Claim:
    """About the model before tuning, which is a training only where it is trained here."""
    about = {
        "name": "naming-the-group-helps",
        "says": "Asked as a member of a group, the model is nearer to it than as one of another group.",
        "paper": "Prompting as a group brings models nearer to it",
        "unit": "JSD, nats",
        "view": STEER,
        "gates": gates,
    }
    if plan.embedded:
        return over_populations(effects, plan).claim(**about)
    return Claim.of(bootstrap_mean(effects.groupby("id")["effect"].mean()), over="questions", **about)


def _by_arm(rows: pd.DataFrame, measure: str) -> pd.DataFrame:
    """A column for every arm, NaN where it has nothing, and a row for each seed, question and group."""
    keys = [name for name in ("id", "target", "seed") if name in rows]
    wide = rows.pivot_table(index=keys, columns="arm", values=measure)
    return wide.reindex(columns=list(ARMS))


def _by_question(effect: pd.Series) -> pd.DataFrame:
    """Columns seed, id and effect, mean over the groups of a question."""
    return effect.rename("effect").groupby(["seed", "id"]).mean().reset_index()
