"""From grades and losses by size to claims."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from workbench.claims import Claim
from workbench.measures.statistics import Interval, paired_difference
from workbench.measures.summaries import summarise_measures, summarise_shares
from workbench.studies.tiny_models.ladder import PAIR


def summary(frame: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Mean of each column by model with its interval: columns model, measure, value, low, high, n."""
    return summarise_measures(frame, ["model"], dict(zip(columns, columns, strict=True)))


def grades(measured: pd.DataFrame, answers: pd.DataFrame) -> list[dict[str, Any]]:
    """For tables over runs, a row a model: its mean grades, and its accuracy on each kind of question."""
    rows = []
    for name, part in measured.groupby("model", sort=False):
        means = part[["grammar", "consistency"]].mean().dropna()
        right = answers[answers["model"] == name].groupby("kind", sort=False)["right"].mean()
        rows.append({"model": name, **means, **right.add_suffix(" questions")})
    return rows


def accuracies(answers: pd.DataFrame) -> pd.DataFrame:
    """Accuracy by model and kind of question, with Wilson's interval: model, kind, value, low, high, n."""
    return summarise_shares(answers, ["model", "kind"], "right")


# ------------------------------------------------------------------------------- claims
_GRADES, _QUESTIONS = "Grades by size", "Facts, reasoning, consistency"  # views


def claims(measured: pd.DataFrame, answers: pd.DataFrame, losses: pd.DataFrame) -> list[Claim]:
    """The claims that the models at hand can test.

    Intervals are over stories or questions: one model of each kind was trained, so the chance of another
    seed is not in them.
    """
    names = list(dict.fromkeys(measured["model"]))
    ladder = [name for name in names if name not in PAIR]
    small, large = ladder[0], ladder[-1]
    claims = [_not_copies(measured, large)]
    if len(ladder) > 1:
        claims.append(
            Claim.of(
                difference(losses, "nats_per_token", small=large, large=small),
                name="size-lowers-loss",
                says=f"The {large} model has a lower loss on held-out stories than the {small} model.",
                paper="Loss falls with size",
                unit="nats per token",
                view="Loss on held-out stories",
            )
        )
    if len(ladder) > 1 and measured["consistency"].notna().any():
        claims += _size_claims(measured, answers, ladder)
    if set(PAIR) <= set(names) and len(answers):
        claims += _shape_claims(answers)
    return claims


def _not_copies(measured: pd.DataFrame, model: str) -> Claim:
    stories = measured[measured["model"] == model]
    return Claim.of(
        paired_difference(stories["copied_ending"] + 0.05, stories["copied"]),
        name="not-copies",
        says=f"Stories of the {model} model come at most 5 points closer to a training story than the true "
        "endings do.",
        paper="Generated stories share few word pairs with their closest training story",
        unit="share of word pairs, to the margin",
        view="Are the stories copies?",
    )


def _size_claims(measured: pd.DataFrame, answers: pd.DataFrame, ladder: Sequence[str]) -> list[Claim]:
    small, middle, large = ladder[0], ladder[-2], ladder[-1]
    return [
        Claim.of(
            difference(measured, "consistency", small=small, large=large),
            name="size-brings-consistency",
            says=f"Stories of the {large} model are more consistent than those of the {small} model.",
            paper="Consistency rises with size (Figure 4)",
            unit="share of sentences",
            view=_GRADES,
        ),
        Claim.of(
            later_gain(measured, small, middle, large),
            name="grammar-comes-first",
            says=f"From {middle} to {large}, consistency still makes more of its rise than grammar does.",
            paper="Grammar levels off at a smaller size than consistency (Figure 4)",
            unit="share of the rise",
            view=_GRADES,
        ),
        Claim.of(
            difference(answers[answers["kind"] == "reasoning"], "right", small=small, large=large),
            name="reasoning-needs-low-loss",
            says=f"The {large} model answers more reasoning questions than the {small} model.",
            paper="Reasoning appears in larger models only (Figures 9-11)",
            unit="share of questions",
            view=_QUESTIONS,
        ),
    ]


def _shape_claims(answers: pd.DataFrame) -> list[Claim]:
    return [
        Claim.of(
            difference(answers[answers["kind"] == "consistency"], "right", small="wide", large="deep"),
            name="depth-tracks-context",
            says="At one size, the deep model answers more consistency questions than the wide one.",
            paper="Depth matters more for context tracking",
            unit="share of questions",
            view=_QUESTIONS,
        ),
        Claim.of(
            difference(answers[answers["kind"] == "fact"], "right", small="deep", large="wide"),
            name="width-knows-facts",
            says="At one size, the wide model knows more facts than the deep one.",
            paper="Width matters more for facts",
            unit="share of questions",
            view=_QUESTIONS,
        ),
    ]


def difference(frame: pd.DataFrame, column: str, small: str, large: str) -> Interval:
    """Mean of large − small over the same items."""
    values = frame.pivot(index="item", columns="model", values=column).astype(float)
    return paired_difference(values[large], values[small])


def later_gain(measured: pd.DataFrame, small: str, middle: str, large: str) -> Interval:
    """How much more of its rise from the smallest size consistency makes after the middle size than grammar.

    (large − middle) / (large − small) of consistency minus that of grammar, with a bootstrap over stories
    that draws all three models' grades together. Positive: grammar is nearer its end at the middle size.
    """
    columns, models = ["consistency", "grammar"], [small, middle, large]
    table = measured.pivot(index="item", columns="model", values=columns)
    table = table[[(column, model) for column in columns for model in models]].dropna()
    grades = table.to_numpy().reshape(-1, 2, 3)  # [items, columns, models]
    drawn = np.random.default_rng(0).integers(len(grades), size=(2000, len(grades)))

    def lead(means: np.ndarray) -> np.ndarray:
        late = (means[..., 2] - means[..., 1]) / (means[..., 2] - means[..., 0])
        return late[..., 0] - late[..., 1]

    low, high = np.quantile(lead(grades[drawn].mean(axis=1)), [0.025, 0.975])
    return Interval(float(lead(grades.mean(axis=0))), float(low), float(high), len(grades))
