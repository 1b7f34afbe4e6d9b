"""What 07 finds in the answers: plans, equations and answers, what became of each problem, and claims."""

import numpy as np
import pandas as pd

from workbench.claims import FEWEST_TRAININGS
from workbench.measures.answers.equations import equations
from workbench.measures.answers.grading import grade_many
from workbench.measures.summaries import summarise
from workbench.studies.arithmetic.experiment import before, first
from workbench.studies.arithmetic.plans import same_plan

OUTCOMES = ("right", "right by luck", "miscalculated", "wrong plan", "no answer")
"""A right answer of another plan is luck; a wrong one of the right plan is miscalculated. Where plans cannot
be told, a right answer is right, and a wrong one is miscalculated where an equation above it is false."""

PLANS, ANSWERS, EQUATIONS, BOTH = "plan", "answer", "equations", "both twins"
KNOWN = 0.95  # of a stage's exercises right: below that it has not been learnt, and cannot help
_TESTS = ("words", "twins")


def unlearnt(curves: pd.DataFrame) -> tuple[list[int], str]:
    """Seeds with a route whose loss on word problems is never lower than at first, and what to say of them.

    They are left out; where that leaves none, all are kept, which is said. A loss that falls and rises again
    has learnt something, and then too much by heart.
    """
    losses = curves.dropna(subset=["held_out"]).groupby(["seed", "route"])["held_out"].agg(["first", "min"])
    seeds = sorted(losses.index[losses["min"] >= losses["first"]].get_level_values("seed").unique())
    if len(seeds) == curves["seed"].nunique():
        return [], (
            "In every seed some route learnt nothing of word problems: all are kept, and nothing below is "
            "about models that have learnt."
        )
    said = ", ".join(map(str, seeds)) or "none"
    return seeds, f"Seeds left out, as a route of theirs learnt nothing of word problems: {said}."


def graded(replies: pd.DataFrame) -> pd.DataFrame:
    """Replies with columns right, plan, equations_true, outcome (see `OUTCOMES`).

    plan is whether operations and operands are those of the solution, 0 or 1, NaN where solutions are not
    known step by step; equations_true whether all equations of a right plan are true, NaN of another.
    """
    grades = grade_many(replies["reply"].tolist(), replies["gold"].tolist())
    verdicts = [grade.verdict for grade in grades]
    columns = ["test", "steps", "question", "solution", "reply"]
    told = zip(*(replies[column] for column in columns), verdicts, strict=True)
    names = ["right", "plan", "equations_true", "outcome"]
    return replies.join(pd.DataFrame([_parts(*row) for row in told], columns=names, index=replies.index))


def _parts(
    test: str, steps: int, question: str, solution: str, reply: str, verdict: str
) -> tuple[bool, float, float, str]:
    right = verdict == "correct"
    if test not in _TESTS:
        return right, np.nan, np.nan, "right" if right else "wrong"
    known = same_plan(question, solution, reply) if steps else None
    plan = np.nan if known is None else float(known)
    true = all(equation.true for equation in equations(reply))
    if verdict not in ("correct", "wrong"):
        outcome = "no answer"
    elif right:
        outcome = "right by luck" if plan == 0 else "right"
    else:
        outcome = "miscalculated" if (plan == 1 or (known is None and not true)) else "wrong plan"
    return right, plan, float(true) if plan == 1 else np.nan, outcome


def knows_plans(answers: pd.DataFrame) -> bool:
    """Whether plans of word problems can be told."""
    return bool(answers.loc[answers["test"] == "words", "plan"].notna().any())


# ------------------------------------------------------------------------------- tables
def by_cell(answers: pd.DataFrame) -> pd.DataFrame:
    """Arithmetic by cell: columns route, operation, digits, accuracy, low, high, n (exercises)."""
    exercises = answers[answers["test"] == "arithmetic"]
    parts = exercises["kind"].str.partition(" ")
    cells = exercises.assign(operation=parts[0], digits=parts[2])
    table = summarise(cells, ["route", "operation", "digits"], "right", "item", n_resamples=500)
    return table.rename(columns={"value": "accuracy"})


def learnt(answers: pd.DataFrame) -> pd.DataFrame:
    """How much of a first stage was learnt, and kept: columns stage, when, value, low, high, n."""
    asked = dict.fromkeys(answers["test"])
    stages = [test for test in asked if test not in _TESTS and before(test) in asked]
    parts = [
        answers[(answers["test"] == test) & (answers["route"] == first(stage))].assign(stage=stage, when=when)
        for stage in stages
        for test, when in ((before(stage), "before word problems"), (stage, "after them"))
    ]
    rows = pd.concat(parts).assign(measure="right")
    return _over(rows.rename(columns={"right": "value"}), ["stage", "when"])


def measured(answers: pd.DataFrame) -> pd.DataFrame:
    """Every measure of every word problem: columns route, seed, kind, measure, item, value (0 or 1)."""
    words = answers[answers["test"] == "words"]
    parts = {
        PLANS: (words, "plan"),
        ANSWERS: (words, "right"),
        EQUATIONS: (words, "equations_true"),
        BOTH: (both(answers), "right"),
    }
    columns = ["route", "seed", "kind", "item"]
    frames = [
        rows[columns].assign(measure=name, value=rows[value].astype(float))
        for name, (rows, value) in parts.items()
    ]
    return pd.concat(frames, ignore_index=True).dropna(subset=["value"])


def both(answers: pd.DataFrame) -> pd.DataFrame:
    """Problems that have a twin, right where both are."""
    names = ["route", "seed", "kind", "item"]
    words, twins = (answers.loc[answers["test"] == test, [*names, "right"]] for test in _TESTS)
    pairs = words.merge(twins, on=names)
    return pairs.assign(right=pairs["right_x"] & pairs["right_y"])


def summary(measures: pd.DataFrame) -> pd.DataFrame:
    """Means of `measured`: columns route, kind, measure, value, low, high, n."""
    return _over(measures, ["route", "kind", "measure"])


def _over(rows: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Means with intervals over trainings, or over items where there are fewer than `FEWEST_TRAININGS`."""
    few = rows["seed"].nunique() < FEWEST_TRAININGS
    if few:
        table = summarise(rows.assign(of=rows["kind"] + " " + rows["item"].astype(str)), by, "value", "of")
    else:
        means = rows.astype({"value": float}).groupby([*by, "seed"], sort=False)["value"].mean()
        table = summarise(means.reset_index(), by, "value")
    table[["low", "high"]] = table[["low", "high"]].clip(0, 1)  # they are shares
    return table


def outcomes(answers: pd.DataFrame) -> pd.DataFrame:
    """Shares of what became of word problems: columns route, kind, outcome, share, n (answers)."""
    words = answers[answers["test"] == "words"]
    counts = words.groupby(["route", "kind", "outcome"], sort=False).size().rename("count").reset_index()
    n = counts.groupby(["route", "kind"])["count"].transform("sum")
    return counts.assign(share=counts["count"] / n, n=n)
