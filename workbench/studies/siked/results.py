"""What comes of the students of 08_siked: who solves what, in which strategy, and what the rounds bring."""

import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from workbench.claims import Claim
from workbench.corpora.loaders.solutions import STRATEGIES
from workbench.measures.statistics import bootstrap_mean
from workbench.measures.summaries import summarise

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


def solved(folder: Path) -> pd.DataFrame:
    """Training questions by the strategies that solved them after learning from the teacher alone.

    Columns solved_by, questions.
    """
    wrote = pd.read_parquet(folder / "seed-0" / "self-only" / "round-1" / "wrote")  # SIKeD's own, if any
    right = wrote.assign(right=wrote["verdict"] == "correct").pivot_table(
        index="id", columns="strategy", values="right", aggfunc="max"
    )
    by = right.astype(bool).apply(lambda row: ", ".join(row.index[row]) or "none", axis=1)
    return by.value_counts().rename_axis("solved_by").rename("questions").reset_index()


def same_steps(folder: Path, rounds: pd.DataFrame, teacher: pd.DataFrame) -> pd.DataFrame:
    """SIKeD's own right solutions that calculate what the teacher's does, in order.

    Others may be other ways, or right by luck: the check of answers, all that the method has, passes both.
    Columns round, strategy, share, n (solutions of all repetitions). The folder is that of
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
        silent = [f"{name} ({n} of {len(part)} repetitions)" for name, n in times.items() if n]
        if arm != "combined" and silent:
            sentences.append(f"{arm}, round {number}: learnt no solution of its own in {', '.join(silent)}")
    for arm, part in several[several["chosen"]].groupby("arm", sort=False):
        if never := [name for name in STRATEGIES if (part[f"chose_{name}"] == 0).all()]:
            sentences.append(f"{arm}: never chose {', '.join(never)} by itself in the end")
    return sentences


# ------------------------------------------------------------------------------- claims
_MORE = "SIKeD solves more than single strategies and their combination (up to +5 points)"


def claims(answers: pd.DataFrame, held_out: pd.DataFrame) -> list[Claim]:
    """The paper's claims, from the tables of `experiment.train_all` and `experiment.held_out`.

    Intervals are over questions with all repetitions.
    """
    right = _by_arm(answers.assign(right=answers["verdict"] == "correct"), "right")
    best = max(right.columns.intersection(STRATEGIES), key=lambda name: right[name].mean())
    compared = [
        ("siked-beats-combined", right["SIKeD"] - right["combined"], _MORE,
         "SIKeD solves more than a student of all three strategies that is trained for as long."),
        ("combined-beats-single", right["combined"] - right[best], _MORE,
         f"A student of three strategies solves more than the best student of one ({best})."),
        ("teacher-still-helps", right["SIKeD"] - right["self only"], "Mixing the teacher's data in matters",
         "Learning from itself with the teacher's solutions is better than from itself alone."),
    ]  # fmt: skip
    view = "Right answers by student"
    made = [_claim(name, says, paper, gain, ["kind", "item"], view) for name, gain, paper, says in compared]
    return [*made, strategy_collapse_claim(answers), *_of_rounds(held_out)]


def strategy_collapse_claim(answers: pd.DataFrame) -> Claim:
    """Whether SIKeD's student keeps less to its commonest strategy than the student of the teacher alone."""
    compared = answers[answers["arm"].isin(["SIKeD", "combined"])]
    common = compared.groupby(["arm", "seed"])["strategy"].agg(lambda names: names.mode().iloc[0])
    commonest = common.loc[pd.MultiIndex.from_frame(compared[["arm", "seed"]])].to_numpy()
    kept = _by_arm(compared.assign(kept=compared["strategy"].to_numpy() == commonest), "kept")
    says = "After SIKeD the strategy that a student likes best has a smaller share of its answers."
    paper = "The student moves away from one favourite strategy"
    gain = kept["combined"] - kept["SIKeD"]
    view = "Which strategy a student chooses"
    return _claim("leaves-one-strategy", says, paper, gain, ["kind", "item"], view)


def _by_arm(answers: pd.DataFrame, column: str) -> pd.DataFrame:
    """A row for each question and seed, a column for each arm."""
    return answers.pivot_table(column, ["kind", "item", "seed"], "arm")


def _of_rounds(held_out: pd.DataFrame) -> list[Claim]:
    """The newest solutions against the first ones, and whether gains wane; on held-out training questions."""
    right = held_out.pivot_table("right", ["id", "seed"], ["arm", "round"])
    siked = right["SIKeD"].ffill(axis=1)  # a student that has stopped stays what it is
    newest = siked.iloc[:, -1] - right["off-policy"].ffill(axis=1).iloc[:, -1]
    says = (
        "After the last round, learning from its newest solutions has been better than from its first ones."
    )
    view = "What each round brings"
    made = [_claim("on-policy-beats-off-policy", says, "On-policy data matter", newest, ["id"], view)]
    if len(siked.columns) > 2:
        waning = (siked.iloc[:, 1] - siked.iloc[:, 0]) - (siked.iloc[:, -1] - siked.iloc[:, -2])
        says = "The last round brings less than the first one with its own solutions."
        made.append(_claim("gains-wane", says, "About three rounds suffice", waning, ["id"], view))
    return made


def _claim(name: str, says: str, paper: str, gain: pd.Series, items: Sequence[str], view: str) -> Claim:
    """A difference of shares, positive as the paper has it; `items` are the index levels of a question."""
    groups = gain.index.droplevel([level for level in gain.index.names if level not in items])
    estimate = bootstrap_mean(gain.astype(float), groups=[str(item) for item in groups])
    return Claim.of(estimate, name=name, says=says, paper=paper, unit="share of questions", view=view)
