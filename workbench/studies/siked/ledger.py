"""The claims of 08_siked: each with its gates, the smallest effect of interest, and what its n counts."""

import math

import pandas as pd

from workbench.claims import BEYOND, Claim, Gate
from workbench.corpora.loaders.solutions import STRATEGIES
from workbench.studies.common.evidence import compare, over_seeds
from workbench.studies.siked.data import BIASED, CONTROL, LONGER, ON_POLICY, SIKED
from workbench.studies.siked.mixing import entropy

_MORE = "SIKeD solves more than single strategies and their combination (up to +5 points)"
_TEACHER = "Mixing the teacher's data in matters"
_NARROWS = "Learning from one's own output narrows what is written (Shumailov et al. 2024)"
_ACCURACY, _ROUNDS, _CHOSEN = "Who solves what", "What each round brings", "Which strategy a student chooses"
_BOUNDS = {"low": 0.2, "high": 0.8}  # of a control's accuracy: there is something to gain, and to lose
_HEADROOM = 0.15  # of questions, that some strategy solves and the best one does not
_TAUGHT = 0.8  # of held-out questions, that the larger teacher has to solve
_MIXED = 0.05  # of what SIKeD learns in its rounds, that has to be the teacher's where its help is judged
_DELTA = {"delta": 0.03, "delta_reason": "less than three points would not pay for the rounds of sampling"}


def best_of(held_out: pd.DataFrame, arms: list[str]) -> str | None:
    """The arm that solves most held-out questions in its last round; None without any."""
    rows = held_out[held_out["arm"].isin(arms)]
    last = rows[rows["round"] == rows.groupby(["arm", "seed"])["round"].transform("max")]
    return last.groupby("arm")["right"].mean().idxmax() if len(last) else None


def claims(
    answers: pd.DataFrame,
    held_out: pd.DataFrame,
    rounds: pd.DataFrame,
    headroom: float,
    guide_right: float = math.nan,
    *,
    placebo: bool = False,
) -> list[Claim]:
    """The paper's claims, of the students that there are.

    Args:
        answers: see `experiment.train_all`.
        held_out: see `experiment.held_out`; they choose the best single strategy and the best bias.
        rounds: see `experiment.rounds`.
        headroom: what a mixture of strategies can gain (NaN: not known, as in a placebo run).
        guide_right: share of held-out questions that the larger teacher solves.
        placebo: only claims that compare students are made.
    """
    answers = answers.assign(right=answers["verdict"] == "correct")
    single, bias = best_of(held_out, list(STRATEGIES)), best_of(held_out, list(BIASED))
    compared = [
        ("siked-beats-combined", SIKED, LONGER, _MORE, {"headline": True},
         "SIKeD solves more than a student of all three strategies that is trained for as long."),
        ("siked-beats-first-distillation", SIKED, CONTROL, _MORE, {"published": 0.05},
         "SIKeD solves more than a student of all three strategies taught once, the paper's control."),
        ("combined-beats-single", CONTROL, single, _MORE, {},
         f"A student of three strategies solves more than the best student of one ({single})."),
        ("teacher-still-helps", SIKED, "self only", _TEACHER, {},
         "Learning from itself with the teacher's solutions is better than from itself alone."),
        ("on-policy-beats-off-policy", SIKED, "off-policy", "On-policy data matter", {},
         "Learning from its newest solutions is better than from its first ones."),
        ("adaptive-beats-all", SIKED, "all", "Adaptive mixing does best", {},
         "Leaving out what the student solves by itself is better than all of the teacher's solutions."),
        ("unbiased-beats-biased", SIKED, bias, "Biasing SIKeD towards one strategy costs accuracy", {},
         f"SIKeD in all strategies solves more than when it is {bias}."),
        ("imitation-beats-combined", ON_POLICY, LONGER, BEYOND, {},
         "On-policy distillation solves more than learning the teacher's texts in as many steps."),
        ("imitation-beats-siked", ON_POLICY, SIKED, BEYOND, {},
         "On-policy distillation solves more than SIKeD, in as many steps."),
    ]  # fmt: skip
    room = Gate("solved by some strategy, less the best one's", headroom, low=_HEADROOM)
    mixed, made, there = _mixed(rounds), [], set(answers["arm"])
    for name, treated, control, paper, about, says in compared:
        if {treated, control} <= there:
            gates = [room] if paper == _MORE and not math.isnan(headroom) else []
            if treated == ON_POLICY and not math.isnan(guide_right):
                gates = [Gate("held-out questions that the larger teacher solves", guide_right, low=_TAUGHT)]
            if paper == _TEACHER and not math.isnan(mixed):
                gates = [Gate("teacher's share of the mixture", mixed, low=_MIXED)]
            about |= {"name": name, "paper": paper, "says": says}
            made.append(_compared(answers, "right", treated, control, gates, **about))
    if {SIKED, LONGER} <= there and answers["plan"].notna().any():
        says = "SIKeD takes more valid paths than a student of all three strategies trained for as long."
        made.append(_compared(
            answers, "plan", SIKED, LONGER, [] if math.isnan(headroom) else [room],
            name="siked-plans-better", paper=_MORE, says=says,
        ))  # fmt: skip
    return [*made, *_of_choices(answers), *([] if placebo else _of_rounds(held_out, rounds))]


def _mixed(rounds: pd.DataFrame) -> float:
    """The teacher's share of what SIKeD learns in its rounds, mean over them and seeds; NaN without any."""
    if "alpha_all" not in rounds:
        return math.nan
    return float(rounds.loc[(rounds["arm"] == SIKED) & (rounds["round"] > 0), "alpha_all"].mean())


def _compared(
    answers: pd.DataFrame, value: str, treated: str, control: str, gates: list[Gate], **about: object
) -> Claim:
    """Two arms by their answers or plans; the control must have something to gain, and to lose."""
    share = float(answers.loc[answers["arm"] == control, value].mean())
    known = {"right": "right answers", "plan": "right plans"}[value]
    gates = [Gate(f"{known}, {control}", share, **_BOUNDS), *gates]
    evidence = compare(answers, treated, control, value=value, item=["kind", "item"])
    return evidence.claim(unit="share of questions", view=_ACCURACY, gates=tuple(gates), **_DELTA, **about)


# ------------------------------------------------------------------------------- which strategy
def _of_choices(answers: pd.DataFrame) -> list[Claim]:
    """Whether SIKeD's student spreads its answers over strategies, against that of the teacher alone."""
    chosen = answers.groupby(["seed", "arm"])["strategy"]
    bits = chosen.agg(lambda names: entropy(names.value_counts().to_dict())).unstack("arm")
    if not {SIKED, CONTROL} <= set(bits):
        return []
    gain = (bits[SIKED] - bits[CONTROL]).dropna().rename("effect").reset_index()
    if gain.empty:
        return []
    return [over_seeds(gain, items="trainings").claim(
        name="leaves-one-strategy",
        says="After SIKeD a student spreads its answers over more strategies than after the teacher alone.",
        paper="The student moves away from one favourite strategy",
        unit="bits",
        view=_CHOSEN,
        delta=0.1,
        delta_reason="a tenth of a bit is a favourite with 92 % of answers that falls to 89 %",
    )]  # fmt: skip


# ------------------------------------------------------------------------------- by round
def _of_rounds(held_out: pd.DataFrame, rounds: pd.DataFrame) -> list[Claim]:
    """Whether gains wane, on held-out questions; and whether a student alone with itself narrows and errs."""
    made = []
    siked = held_out[held_out["arm"] == SIKED].astype({"right": float})
    right = siked.pivot_table("right", ["id", "seed"], "round").ffill(axis=1)
    if len(right.columns) > 2:
        waning = (right.iloc[:, 1] - right.iloc[:, 0]) - (right.iloc[:, -1] - right.iloc[:, -2])
        evidence = over_seeds(waning.rename("effect").reset_index(), items="held-out questions")
        made.append(evidence.claim(
            name="gains-wane", unit="share of questions", view=_ROUNDS, **_DELTA,
            says="The last round brings less than the first one with its own solutions.",
            paper="About three rounds suffice",
        ))  # fmt: skip
    alone = rounds[rounds["arm"] == "self only"].sort_values("round")
    for name, column, sign, unit, delta, says in (
        ("favourite-is-amplified", "entropy", -1, "bits", 0.1,
         "Learning from itself alone, a student keeps to fewer strategies from round to round."),
        ("luck-is-amplified", "lucky_own", 1, "share of own solutions", 0.02,
         "Learning from itself alone, more of what it keeps is right by a wrong plan from round to round."),
    ):  # fmt: skip
        known = alone.dropna(subset=[column]).groupby("seed")[column]
        change = (sign * (known.last() - known.first()))[known.size() > 1]
        if len(change):
            made.append(over_seeds(change.rename("effect").reset_index(), items="trainings").claim(
                name=name, says=says, paper=_NARROWS, unit=unit, view=_ROUNDS, delta=delta,
                delta_reason="less would not be seen in what a student writes",
            ))  # fmt: skip
    return made
