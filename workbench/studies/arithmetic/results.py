"""What 07 finds in the answers: accuracies, equations inside rationales, kinds of errors, and claims."""

import pandas as pd

from workbench.claims import Claim
from workbench.measures.answers.equations import equations
from workbench.measures.answers.grading import grade_many
from workbench.measures.statistics import bootstrap_mean
from workbench.measures.summaries import summarise
from workbench.studies.arithmetic.experiment import ROUTES

OUTCOMES = ("right", "arithmetic error", "other error", "no answer")
"""A wrong answer is an arithmetic error where an equation above it is false, else an other error."""

KIND = "word problems: "  # in front of a kind, as a measure


def graded(replies: pd.DataFrame) -> pd.DataFrame:
    """Replies with columns right, outcome (see `OUTCOMES`), equations and true (how many of them)."""
    rows = []
    grades = grade_many(replies["reply"].tolist(), replies["gold"].tolist())
    for reply, grade in zip(replies["reply"], grades, strict=True):
        verdict, written = grade.verdict, equations(reply)
        true = sum(equation.true for equation in written)
        outcome = "arithmetic error" if true < len(written) else "other error"
        outcome = {"correct": "right", "wrong": outcome}.get(verdict, "no answer")
        rows.append((outcome == "right", outcome, len(written), true))
    columns = ["right", "outcome", "equations", "true"]
    return replies.join(pd.DataFrame(rows, columns=columns, index=replies.index))


def by_cell(answers: pd.DataFrame) -> pd.DataFrame:
    """Arithmetic by cell: columns route, operation, digits, accuracy, low, high, n (exercises)."""
    exercises = answers[answers["test"] == "arithmetic"]
    parts = exercises["kind"].str.partition(" ")
    cells = exercises.assign(operation=parts[0], digits=parts[2])
    table = summarise(cells, ["route", "operation", "digits"], "right", "item", n_resamples=500)
    return table.rename(columns={"value": "accuracy"})


def by_repetition(answers: pd.DataFrame) -> pd.DataFrame:
    """Every measure in every repetition: columns route, seed, measure, value, n (questions or equations)."""
    rows = []
    for (route, seed), part in answers.groupby(["route", "seed"], sort=False):
        words = part[part["test"] == "words"]
        measures = {
            "word problems": words["right"],
            "arithmetic": part.loc[part["test"] == "arithmetic", "right"],
        }
        measures |= {KIND + kind: problems["right"] for kind, problems in words.groupby("kind", sort=False)}
        measures |= {f"{error}s": words["outcome"] == error for error in OUTCOMES[1:3]}
        twins = part[part["test"] == "twins"].merge(words, on=["kind", "item"])
        if len(twins):
            measures["right on both twins"] = twins["right_x"] & twins["right_y"]
        rows += [(route, seed, name, values.mean(), len(values)) for name, values in measures.items()]
        n = words["equations"].sum()
        share = words["true"].sum() / n if n else float("nan")
        rows.append((route, seed, "equations in rationales", share, n))
    return pd.DataFrame(rows, columns=["route", "seed", "measure", "value", "n"])


def summary(repeated: pd.DataFrame) -> pd.DataFrame:
    """Means over repetitions: columns route, measure, value, low, high, n (repetitions)."""
    table = summarise(repeated.dropna(), ["route", "measure"], "value")
    table[["low", "high"]] = table[["low", "high"]].clip(0, 1)  # they are shares
    return table


def outcomes(answers: pd.DataFrame) -> pd.DataFrame:
    """Shares of what became of word problems: columns route, kind, outcome, share, n (answers)."""
    words = answers[answers["test"] == "words"]
    counts = words.groupby(["route", "kind", "outcome"], sort=False).size().rename("count").reset_index()
    n = counts.groupby(["route", "kind"])["count"].transform("sum")
    return counts.assign(share=counts["count"] / n, n=n)


# ------------------------------------------------------------------------------- claims
_COSTS = {"none": "as many tokens of word problems", "none, longer": "as many in all"}  # by control


def claims(repeated: pd.DataFrame) -> list[Claim]:
    """Both routes against word problems alone; paired by repetition."""
    raises = "intermediate fine-tuning and mixture both raise reasoning scores"
    robust = "intermediate fine-tuning makes robust to changed numbers"
    by_route, by_operation = "Word problems by route", "Arithmetic by operation and digits"
    compared = []
    for route in ROUTES[2:]:
        compared += [("word problems", route, control, raises, by_route) for control in _COSTS]
        compared.append(("arithmetic", route, "none", "both raise arithmetic scores", by_operation))
    if (repeated["measure"] == "right on both twins").any():
        compared += [("right on both twins", "intermediate", control, robust, by_route) for control in _COSTS]
    table = repeated.pivot(index="seed", columns=["measure", "route"], values="value")
    made = [_over_control(table, *comparison) for comparison in compared]
    return made + [_fewer_errors(table, route) for route in ROUTES[2:]]


def _over_control(
    table: pd.DataFrame, measure: str, route: str, control: str, paper: str, view: str
) -> Claim:
    says = f"{measure.capitalize()}: {route} does better than word problems alone, for {_COSTS[control]}."
    return Claim.of(
        bootstrap_mean(table[measure, route] - table[measure, control]),
        name=f"{route}-{measure}-over-{control}".replace(",", "").replace(" ", "-"),
        says=says,
        paper=paper if control == "none" else f"{paper} (here also at equal cost)",
        unit="share right",
        view=view,
    )


def _fewer_errors(table: pd.DataFrame, route: str) -> Claim:
    falls = [table[name, "none"] - table[name, route] for name in ("arithmetic errors", "other errors")]
    return Claim.of(
        bootstrap_mean(falls[0] - falls[1]),
        name=f"{route}-shrinks-arithmetic-errors",
        says=f"With {route}, errors of arithmetic fall by more than other errors do.",
        paper="better arithmetic is why reasoning improves",
        unit="share of problems",
        view="What goes wrong",
    )
