"""What 07 finds in the answers: accuracies, equations inside rationales, kinds of errors, and claims."""

from typing import Any

import numpy as np
import pandas as pd

from workbench.measures.answers.equations import equations
from workbench.measures.answers.grading import grade
from workbench.measures.statistics import bootstrap_mean
from workbench.studies.arithmetic.experiment import ROUTES

OUTCOMES = ("right", "arithmetic error", "other error", "no answer")
"""A wrong answer is an arithmetic error where an equation above it is false, else an other error."""

KIND = "word problems: "  # in front of a kind, as a measure


def judged(replies: pd.DataFrame) -> pd.DataFrame:
    """Replies with columns right, outcome (see `OUTCOMES`), equations and true (how many of them)."""
    rows = []
    for reply, gold in zip(replies["reply"], replies["gold"], strict=True):
        verdict, found = grade(reply, gold).verdict, equations(reply)
        true = sum(each.true for each in found)
        outcome = "arithmetic error" if true < len(found) else "other error"
        outcome = {"correct": "right", "wrong": outcome}.get(verdict, "no answer")
        rows.append((outcome == "right", outcome, len(found), true))
    columns = ["right", "outcome", "equations", "true"]
    return replies.join(pd.DataFrame(rows, columns=columns, index=replies.index))


def by_cell(answers: pd.DataFrame) -> pd.DataFrame:
    """Arithmetic by cell: columns route, operation, digits, accuracy, low, high, n (exercises)."""
    own = answers[answers["test"] == "arithmetic"]
    rows = []
    for (route, kind), part in own.groupby(["route", "kind"], sort=False):
        found = bootstrap_mean(part["right"], groups=part["item"].tolist(), n_resamples=500)
        rows.append((route, *kind.split(" ", 1), found.value, found.low, found.high, found.n))
    return pd.DataFrame(rows, columns=["route", "operation", "digits", "accuracy", "low", "high", "n"])


def by_repetition(answers: pd.DataFrame) -> pd.DataFrame:
    """Every measure in every repetition: columns route, seed, measure, value, n (questions or equations)."""
    rows = []
    for (route, seed), own in answers.groupby(["route", "seed"], sort=False):
        words = own[own["test"] == "words"]
        found = {"word problems": words["right"], "arithmetic": own.loc[own["test"] == "arithmetic", "right"]}
        found |= {KIND + kind: part["right"] for kind, part in words.groupby("kind", sort=False)}
        found |= {f"{what}s": words["outcome"] == what for what in OUTCOMES[1:3]}
        twins = own[own["test"] == "twins"].merge(words, on=["kind", "item"])
        if len(twins):
            found["right on both twins"] = twins["right_x"] & twins["right_y"]
        rows += [(route, seed, name, values.mean(), len(values)) for name, values in found.items()]
        n = words["equations"].sum()
        rows.append(
            (route, seed, "equations in rationales", words["true"].sum() / n if n else float("nan"), n)
        )
    return pd.DataFrame(rows, columns=["route", "seed", "measure", "value", "n"])


def summary(repeated: pd.DataFrame) -> pd.DataFrame:
    """Means over repetitions: columns route, measure, value, low, high, n (repetitions)."""
    rows = []
    for (route, measure), part in repeated.dropna().groupby(["route", "measure"], sort=False):
        found = bootstrap_mean(part["value"])
        low, high = np.clip([found.low, found.high], 0, 1)  # they are shares
        rows.append((route, measure, found.value, low, high, found.n))
    return pd.DataFrame(rows, columns=["route", "measure", "value", "low", "high", "n"])


def outcomes(answers: pd.DataFrame) -> pd.DataFrame:
    """Shares of what became of word problems: columns route, kind, outcome, share, n (answers)."""
    words = answers[answers["test"] == "words"]
    counts = words.groupby(["route", "kind", "outcome"], sort=False).size().rename("count").reset_index()
    n = counts.groupby(["route", "kind"])["count"].transform("sum")
    return counts.assign(share=counts["count"] / n, n=n)


# ------------------------------------------------------------------------------- claims
def claims(repeated: pd.DataFrame) -> list[dict[str, Any]]:
    """Both routes against word problems alone, as `run.claim` takes it; paired by repetition."""
    raises = "intermediate fine-tuning and mixture both raise reasoning scores"
    found = []
    for route in ROUTES[2:]:
        for other, tokens in (
            ("none", "as many tokens of word problems"),
            ("none, longer", "as many in all"),
        ):
            found.append(
                _claim(repeated, "word problems", route, other, tokens, raises, "Word problems by route")
            )
        found.append(
            _claim(repeated, "arithmetic", route, "none", "as many tokens of word problems",
                   "both raise arithmetic scores", "Arithmetic by operation and digits")
        )  # fmt: skip
    if (repeated["measure"] == "right on both twins").any():
        for other, tokens in (
            ("none", "as many tokens of word problems"),
            ("none, longer", "as many in all"),
        ):
            found.append(
                _claim(repeated, "right on both twins", "intermediate", other, tokens,
                       "intermediate fine-tuning makes robust to changed numbers", "Word problems by route")
            )  # fmt: skip
    table = repeated.pivot(index="seed", columns=["measure", "route"], values="value")
    for route in ROUTES[2:]:
        falls = [table[name, "none"] - table[name, route] for name in ("arithmetic errors", "other errors")]
        found.append(
            {
                "name": f"{route}-shrinks-arithmetic-errors",
                "says": f"With {route}, errors of arithmetic fall by more than other errors do.",
                "paper": "better arithmetic is why reasoning improves",
                "unit": "share of problems",
                "view": "What goes wrong",
                **bootstrap_mean(falls[0] - falls[1]).effect(),
            }
        )
    return found


def _claim(
    repeated: pd.DataFrame, measure: str, route: str, other: str, tokens: str, paper: str, view: str
) -> dict[str, Any]:
    table = repeated[repeated["measure"] == measure].pivot(index="seed", columns="route", values="value")
    return {
        "name": f"{route}-{measure}-over-{other}".replace(",", "").replace(" ", "-"),
        "says": f"{measure.capitalize()}: {route} does better than word problems alone, for {tokens}.",
        "paper": paper if other == "none" else f"{paper} (here also at equal cost)",
        "unit": "share right",
        "view": view,
        **bootstrap_mean(table[route] - table[other]).effect(),
    }
