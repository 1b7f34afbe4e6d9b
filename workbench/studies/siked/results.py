"""What comes of the students of 08_siked: who solves what, in which strategy, and what the rounds bring."""

import math
import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from workbench.claims import Claim, Gate
from workbench.corpora.loaders.solutions import STRATEGIES
from workbench.measures.summaries import summarise
from workbench.studies.common.arms import arm_folder
from workbench.studies.common.evidence import compare, over_seeds

_STEP = re.compile(r"(?:(\w+)\s*=\s*)?\b([\w.]+)\s*(\+|-|\*|//?)\s*([\w.]*\w)")


def accuracies(answers: pd.DataFrame) -> pd.DataFrame:
    """Share of right answers, over questions with all seeds: columns arm, kind, value, low, high, n."""
    right = answers.assign(right=answers["verdict"] == "correct")
    return summarise(right, ["arm", "kind"], "right", "item")


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


def solved(folder: Path, seed: int) -> pd.DataFrame:
    """Training questions by the strategies that solved them after learning from the teacher alone.

    Columns solved_by, questions.
    """
    right = _solved_by(pd.read_parquet(_first_written(folder, seed)))
    by = right.apply(lambda row: ", ".join(row.index[row]) or "none", axis=1)
    return by.value_counts().rename_axis("solved_by").rename("questions").reset_index()


def _first_written(folder: Path, seed: int) -> Path:
    return arm_folder(folder, "self only", seed) / "round-1" / "wrote"  # SIKeD's own, if any


def _solved_by(wrote: pd.DataFrame) -> pd.DataFrame:
    """Whether a question has a right solution: a row a question, a column a strategy."""
    right = wrote.assign(right=wrote["verdict"] == "correct")
    return right.pivot_table(index="id", columns="strategy", values="right", aggfunc="max").astype(bool)


def same_steps(folder: Path, rounds: pd.DataFrame, teacher: pd.DataFrame) -> pd.DataFrame:
    """SIKeD's own right solutions that calculate what the teacher's does, in order.

    Others may be other ways, or right by luck: the check of answers, all that the method has, passes both.
    Columns round, strategy, share, n (solutions of all seeds). The folder is that of
    `experiment.train_all`, the rounds are those of `experiment.rounds`, the teacher's solutions the task's.
    """
    known = {(row.id, row.strategy): _steps(row.text) for row in teacher.itertuples()}
    frames = []
    for row in rounds[rounds["arm"] == "SIKeD"].itertuples():
        path = folder / f"seed-{row.seed}" / "SIKeD" / f"round-{row.round}" / "wrote"
        if path.exists():
            frames.append(pd.read_parquet(path).assign(round=row.round, seed=row.seed))
    if not frames:
        return pd.DataFrame(columns=["round", "strategy", "share", "n"])
    wrote = pd.concat(frames, ignore_index=True)
    right = wrote[wrote["verdict"] == "correct"].drop_duplicates(["seed", "round", "id", "strategy"])
    right = right[[key in known for key in zip(right["id"], right["strategy"], strict=True)]]
    same = [_steps(row.text) == known[row.id, row.strategy] for row in right.itertuples()]
    shares = right.assign(same=same).groupby(["round", "strategy"])["same"].agg(["mean", "size"])
    return shares.rename(columns={"mean": "share", "size": "n"}).reset_index()


def _steps(text: str) -> list[tuple[str, ...]]:
    """The calculations of a solution, `7 - 2` or `left = 7 - a`, with earlier results by their place."""
    earlier: dict[str, str] = {}
    steps = []
    for name, left, sign, right in _STEP.findall(text):
        operands = [earlier.get(operand, operand) for operand in (left, right)]
        steps.append((sign[0], *(sorted(operands) if sign[0] in "+*" else operands)))
        if name:
            earlier[name] = f"step {len(steps)}"
    return steps


def progress(frame: pd.DataFrame) -> pd.DataFrame:
    """What each round brings to the students of several strategies: columns arm, round, measure, value."""
    names = {
        "alpha_all": "alpha, all strategies",
        "held_out": "right answers, held out",
        "divergence": "KL, mixture from student",
        **{f"alpha_{name}": f"alpha, {name}" for name in STRATEGIES},
    }
    several = frame[~frame["arm"].isin(STRATEGIES)].rename(columns=names)
    long = several.melt(["arm", "round"], list(names.values()), "measure", "value")
    return long.groupby(["arm", "round", "measure"], sort=False)["value"].mean().reset_index()


def remarks(frame: pd.DataFrame) -> list[str]:
    """Strategies in which a student learnt no solution of its own, by round, or that it never chose."""
    several = frame[~frame["arm"].isin(STRATEGIES)]
    sentences = []
    for (arm, number), part in several[several["round"] > 0].groupby(["arm", "round"], sort=False):
        learnt = {name: part[f"n_{name}"] * (1 - part[f"alpha_{name}"].fillna(1)) for name in STRATEGIES}
        times = {name: (learnt[name] < 0.5).sum() for name in STRATEGIES}
        silent = [f"{name} ({n} of {len(part)} seeds)" for name, n in times.items() if n]
        if arm != "combined" and silent:
            sentences.append(f"{arm}, round {number}: learnt no solution of its own in {', '.join(silent)}")
    for arm, part in several[several["chosen"]].groupby("arm", sort=False):
        if never := [name for name in STRATEGIES if (part[f"chose_{name}"] == 0).all()]:
            sentences.append(f"{arm}: never chose {', '.join(never)} by itself in the end")
    return sentences


# ------------------------------------------------------------------------------- claims
_MORE = "SIKeD solves more than single strategies and their combination (up to +5 points)"
_ACCURACY, _ROUNDS = "Right answers by student", "What each round brings"
_BOUNDS = {"low": 0.2, "high": 0.8}  # of a control's accuracy: there is something to gain, and to lose
_HEADROOM = 0.15  # of questions, that some strategy solves and the best one does not
_DELTA = {"delta": 0.03, "delta_reason": "less than three points would not pay for the rounds of sampling"}


def headroom(folder: Path, seeds: Sequence[int]) -> float:
    """Share of training questions that some strategy solves, less the best one's; NaN if none was asked.

    From what students wrote after learning from the teacher alone.
    """
    gains = []
    for place in (path for seed in seeds if (path := _first_written(folder, seed)).exists()):
        right = _solved_by(pd.read_parquet(place))
        gains.append(right.any(axis=1).mean() - right.mean().max())
    return sum(gains) / len(gains) if gains else float("nan")


def best_single(held_out: pd.DataFrame) -> str | None:
    """The strategy whose student solves most held-out questions in its best round; None without any."""
    singles = held_out[held_out["arm"].isin(STRATEGIES)]
    by_round = singles.groupby(["arm", "seed", "round"])["right"].mean()
    by_arm = by_round.groupby(["arm", "seed"]).max().groupby("arm").mean()
    return by_arm.idxmax() if len(by_arm) else None


def claims(answers: pd.DataFrame, held_out: pd.DataFrame, headroom: float) -> list[Claim]:
    """The paper's claims, of the students that there are.

    Args:
        answers: see `experiment.train_all`.
        held_out: see `experiment.held_out`; they choose the best single strategy.
        headroom: what a mixture of strategies can gain (NaN: not known, as in a placebo run).
    """
    answers = answers.assign(right=answers["verdict"] == "correct")
    best = best_single(held_out)
    compared = [
        ("siked-beats-combined", "SIKeD", "combined", _MORE,
         "SIKeD solves more than a student of all three strategies that is trained for as long."),
        ("combined-beats-single", "combined", best, _MORE,
         f"A student of three strategies solves more than the best student of one ({best})."),
        ("teacher-still-helps", "SIKeD", "self only", "Mixing the teacher's data in matters",
         "Learning from itself with the teacher's solutions is better than from itself alone."),
    ]  # fmt: skip
    room = Gate("solved by some strategy, less the best one's", headroom, low=_HEADROOM)
    made = []
    for name, treated, control, paper, says in compared:
        if control in set(answers["arm"]):
            base = float(answers.loc[answers["arm"] == control, "right"].mean())
            gates = [Gate(f"right answers, {control}", base, **_BOUNDS)]
            gates += [room] if paper == _MORE and not math.isnan(headroom) else []
            evidence = compare(answers, treated, control, item=["kind", "item"])
            made.append(evidence.claim(
                name=name, says=says, paper=paper, unit="share of questions", view=_ACCURACY,
                gates=tuple(gates), headline=name == "siked-beats-combined", **_DELTA
            ))  # fmt: skip
    return [*made, strategy_collapse_claim(answers), *_of_rounds(held_out)]


def strategy_collapse_claim(answers: pd.DataFrame) -> Claim:
    """Whether SIKeD's student keeps less to its commonest strategy than the student of the teacher alone."""
    compared = answers[answers["arm"].isin(["SIKeD", "combined"])]
    common = compared.groupby(["arm", "seed"])["strategy"].agg(lambda names: names.mode().iloc[0])
    commonest = common.loc[pd.MultiIndex.from_frame(compared[["arm", "seed"]])].to_numpy()
    kept = compared.assign(kept=compared["strategy"].to_numpy() == commonest)
    return compare(kept, "combined", "SIKeD", value="kept", item=["kind", "item"]).claim(
        name="leaves-one-strategy",
        says="After SIKeD the strategy that a student likes best has a smaller share of its answers.",
        paper="The student moves away from one favourite strategy",
        unit="share of questions",
        view="Which strategy a student chooses",
    )


def _of_rounds(held_out: pd.DataFrame) -> list[Claim]:
    """The newest solutions against the first ones, and whether gains wane; on held-out training questions."""
    right = held_out.astype({"right": float}).pivot_table("right", ["id", "seed"], ["arm", "round"])
    siked, made = right["SIKeD"].ffill(axis=1), []  # a student that has stopped stays what it is
    if "off-policy" in right.columns.get_level_values(0):
        newest = siked.iloc[:, -1] - right["off-policy"].ffill(axis=1).iloc[:, -1]
        says = "After the last round, learning from its newest solutions has been better than from its first."
        made.append(_of_round("on-policy-beats-off-policy", says, "On-policy data matter", newest))
    if len(siked.columns) > 2:
        waning = (siked.iloc[:, 1] - siked.iloc[:, 0]) - (siked.iloc[:, -1] - siked.iloc[:, -2])
        says = "The last round brings less than the first one with its own solutions."
        made.append(_of_round("gains-wane", says, "About three rounds suffice", waning))
    return made


def _of_round(name: str, says: str, paper: str, gain: pd.Series) -> Claim:
    """A difference of shares of the held-out questions, positive as the paper has it."""
    evidence = over_seeds(gain.rename("effect").reset_index(), items="held-out questions")
    return evidence.claim(name=name, says=says, paper=paper, unit="share of questions", view=_ROUNDS)
