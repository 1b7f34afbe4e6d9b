"""From grades and losses by size to claims."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from workbench.claims import FEWEST_TRAININGS, Claim, Gate
from workbench.measures.statistics import Interval
from workbench.measures.summaries import summarise_measures, summarise_shares
from workbench.studies.common.evidence import Evidence, compare, over_seeds
from workbench.studies.tiny_models.ladder import PAIR


def by_unit(frame: pd.DataFrame, by: Sequence[str], columns: Sequence[str]) -> pd.DataFrame:
    """What an interval is over: a row a training (its mean) where there are enough, else a row an item.

    Items of fewer trainings are averaged over these. Columns `by`, `columns`, and seed or item.
    """
    unit = "seed" if frame["seed"].nunique() >= FEWEST_TRAININGS else "item"
    numbers = frame[[*by, unit, *columns]].astype(dict.fromkeys(columns, float))
    return numbers.groupby([*by, unit], sort=False, as_index=False).mean()


def summary(frame: pd.DataFrame, columns: Sequence[str], by: Sequence[str] = ("model",)) -> pd.DataFrame:
    """Mean of each column with its interval over what `by_unit` says: `by`, measure, value, low, high, n."""
    titles = dict(zip(columns, columns, strict=True))
    return summarise_measures(by_unit(frame, by, columns), list(by), titles)


def grades(measured: pd.DataFrame, answers: pd.DataFrame) -> list[dict[str, Any]]:
    """For tables over runs, a row a model: its mean grades, and its accuracy on each kind of question."""
    rows = []
    for name, part in measured.groupby("model", sort=False):
        means = part[["grammar", "consistency"]].mean().dropna()
        right = answers[answers["model"] == name].groupby("kind", sort=False)["right"].mean()
        rows.append({"model": name, **means, **right.add_suffix(" questions")})
    return rows


def accuracies(answers: pd.DataFrame) -> pd.DataFrame:
    """Accuracy by model and kind of question: model, kind, value, low, high, n; of one training, Wilson's."""
    if answers["seed"].nunique() == 1:
        return summarise_shares(answers, ["model", "kind"], "right")
    return summary(answers, ["right"], ["model", "kind"]).drop(columns="measure")


# ------------------------------------------------------------------------------- claims
_GRADES, _QUESTIONS = "Grades by size", "Facts, reasoning, consistency"  # views
_FLOOR = 0.7  # right answers of the largest model, without which questions measure guessing


def claims(
    measured: pd.DataFrame,
    answers: pd.DataFrame,
    losses: pd.DataFrame,
    *,
    trained: bool = True,
    placebo: bool = False,
) -> list[Claim]:
    """The claims that the models at hand can test; of a placebo run, those that compare models.

    Args:
        measured: columns seed, model, item and grades, see `grading.measure`.
        answers: columns seed, model, item, kind, right.
        losses: columns seed, model, item, nats_per_token.
        trained: whether the models were trained here; a claim about a given one counts no trainings.
        placebo: whether all models were trained as the smallest.
    """
    names = list(dict.fromkeys(measured["model"]))
    ladder = [name for name in names if name not in PAIR]
    small, large = ladder[0], ladder[-1]
    found = [] if placebo else [_not_copies(measured, large, trained)]
    if len(ladder) > 1:
        found.append(
            compare(losses, small, large, value="nats_per_token", items="stories", arm="model").claim(
                name="size-lowers-loss",
                says=f"The {large} model has a lower loss on held-out stories than the {small} model.",
                paper="Loss falls with size",
                unit="nats per token",
                view="Loss on held-out stories",
            )
        )
    if len(ladder) > 1 and measured["consistency"].notna().any():
        found += _grade_claims(measured, ladder)
    if len(ladder) > 1 and len(answers):
        found += _question_claims(answers, names, small, large)
    return found


def _not_copies(measured: pd.DataFrame, model: str, trained: bool) -> Claim:
    stories = measured[measured["model"] == model]
    effects = stories[["seed", "item"]].assign(effect=stories["copied_ending"] + 0.05 - stories["copied"])
    found = over_seeds(effects, items="stories")
    return Claim.of(
        found.estimate,
        over=found.over,
        trainings=found.trainings if trained else None,
        name="not-copies",
        says=f"Stories of the {model} model come at most 5 points closer to a training story than the true "
        "endings do.",
        paper="Generated stories share few word pairs with their closest training story",
        unit="share of word pairs, to the margin",
        view="Are the stories copies?",
    )


def _grade_claims(measured: pd.DataFrame, ladder: Sequence[str]) -> list[Claim]:
    small, middle, large = ladder[0], ladder[-2], ladder[-1]
    found = [
        compare(measured, large, small, value="consistency", items="stories", arm="model").claim(
            name="size-brings-consistency",
            says=f"Stories of the {large} model are more consistent than those of the {small} model.",
            paper="Consistency rises with size (Figure 4)",
            unit="share of sentences",
            view=_GRADES,
            headline=True,
        )
    ]
    if middle != small:
        found.append(
            later_gain(measured, small, middle, large).claim(
                name="grammar-comes-first",
                says=f"From {middle} to {large}, consistency still makes more of its rise than grammar does.",
                paper="Grammar levels off at a smaller size than consistency (Figure 4)",
                unit="share of the rise",
                view=_GRADES,
            )
        )
    return found


def _question_claims(answers: pd.DataFrame, names: Sequence[str], small: str, large: str) -> list[Claim]:
    right = answers.loc[answers["model"] == large, "right"].mean()
    gate = Gate(f"right answers of the {large} model", float(right), low=_FLOOR)
    about = {"unit": "share of questions", "view": _QUESTIONS, "gates": (gate,)}

    def more(kind: str, treated: str, control: str) -> Evidence:
        return compare(answers[answers["kind"] == kind], treated, control, arm="model")

    found = [
        more("reasoning", large, small).claim(
            name="reasoning-needs-low-loss",
            says=f"The {large} model answers more reasoning questions than the {small} model.",
            paper="Reasoning appears in larger models only (Figures 9-11)",
            **about,
        )
    ]
    if set(PAIR) <= set(names):
        found += [
            more("consistency", "deep", "wide").claim(
                name="depth-tracks-context",
                says="At one size, the deep model answers more consistency questions than the wide one.",
                paper="Depth matters more for context tracking",
                **about,
            ),
            more("fact", "wide", "deep").claim(
                name="width-knows-facts",
                says="At one size, the wide model knows more facts than the deep one.",
                paper="Width matters more for facts",
                **about,
            ),
        ]
    return found


def later_gain(measured: pd.DataFrame, small: str, middle: str, large: str) -> Evidence:
    """How much more of its rise from the smallest size consistency makes after the middle size than grammar.

    (large − middle) / (large − small) of consistency minus that of grammar. Positive: grammar is nearer its
    end at the middle size. Of enough trainings the interval is over these, else a bootstrap over stories that
    draws all three models' grades together.
    """
    columns, models, seeds = ["consistency", "grammar"], [small, middle, large], measured["seed"].unique()
    if len(seeds) >= FEWEST_TRAININGS:
        means = measured.groupby(["seed", "model"])[columns].mean().unstack("model")
        by_seed = [_lead(means.loc[seed].unstack("model")[models].loc[columns].to_numpy()) for seed in seeds]
        return over_seeds(pd.DataFrame({"seed": seeds, "effect": by_seed}))
    table = measured.pivot_table(index="item", columns="model", values=columns, aggfunc="mean")
    table = table[[(column, model) for column in columns for model in models]].dropna()
    grades = table.to_numpy().reshape(-1, 2, 3)  # [items, columns, models]
    drawn = np.random.default_rng(0).integers(len(grades), size=(2000, len(grades)))
    low, high = np.quantile(_lead(grades[drawn].mean(axis=1)), [0.025, 0.975])
    estimate = Interval(float(_lead(grades.mean(axis=0))), float(low), float(high), len(grades))
    return Evidence(estimate, "stories", len(seeds))


def _lead(means: np.ndarray) -> np.ndarray:
    """See `later_gain`; means are `[..., columns, models]`."""
    with np.errstate(divide="ignore", invalid="ignore"):
        late = (means[..., 2] - means[..., 1]) / (means[..., 2] - means[..., 0])
    return late[..., 0] - late[..., 1]
