"""From grades, answers and losses by size to tables, and to the claims about what the models write."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from workbench.claims import FEWEST_TRAININGS, Claim, Gate
from workbench.measures.statistics import Interval
from workbench.measures.summaries import summarise_measures, summarise_shares
from workbench.studies.common.evidence import Evidence, compare, over_seeds
from workbench.studies.tiny_models.grading import CUT, WHOLE
from workbench.studies.tiny_models.ladder import ASIDE


@dataclass(frozen=True)
class Tables:
    """What was measured, on which all claims rest."""

    measured: pd.DataFrame  #: completions with their grades: seed, model, item, …, see `grading.measure`
    answers: pd.DataFrame  #: seed, model, read, item, kind, name, right, see `grading.ask_probes`
    losses: pd.DataFrame  #: seed, model, item, nats_per_token
    course: pd.DataFrame  #: accuracy and loss of snapshots, see `checkpoints.course`
    drafts: pd.DataFrame  #: completions of snapshots with their grades: seed, model, tokens, item, …
    heedless: float  #: consistency of other stories' endings, see `grading.without_reading`

    @property
    def ladder(self) -> list[str]:
        """The models that differ in size, the smallest first."""
        return [name for name in dict.fromkeys(self.losses["model"]) if name not in ASIDE]


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
    rows, whole = [], answers[answers["read"] == WHOLE]
    for name, part in measured.groupby("model", sort=False):
        means = part[["grammar", "consistency"]].mean().dropna()
        right = whole[whole["model"] == name].groupby("kind", sort=False)["right"].mean()
        rows.append({"model": name, **means, **right.add_suffix(" questions")})
    return rows


def accuracies(answers: pd.DataFrame, by: Sequence[str] = ("model", "kind")) -> pd.DataFrame:
    """Accuracy by model and kind of question: `by`, value, low, high, n; of one training, Wilson's."""
    if answers["seed"].nunique() == 1:
        return summarise_shares(answers, by, "right")
    return summary(answers, ["right"], by).drop(columns="measure")


FLOOR = 0.7  # right answers of the largest model, without which questions measure guessing


def questions(answers: pd.DataFrame, ladder: Sequence[str]) -> pd.DataFrame:
    """A row a name: kind, question, accuracy of the smallest and the largest model, one sentence, testable.

    Column "one sentence" is the largest model's accuracy when it reads a single sentence of the story.
    """
    means = answers.groupby(["kind", "name", "read", "model"])["right"].mean()
    small, large = ladder[0], ladder[-1]
    rows = []
    for kind, name in dict.fromkeys(zip(answers["kind"], answers["name"], strict=True)):
        right = means[kind, name]
        row = {"kind": kind, "question": name, **{model: right[WHOLE, model] for model in (small, large)}}
        testable = "yes" if right[WHOLE, large] >= FLOOR else "no: the largest guesses"
        rows.append(row | {"one sentence": right[CUT, large], "testable": testable})
    return pd.DataFrame(rows)


def along(measured: pd.DataFrame, drafts: pd.DataFrame, end: int) -> pd.DataFrame:
    """Grades of the same stories at some moments of training: of drafts, and of the end, at `end` tokens."""
    same = measured[measured["item"].isin(drafts["item"].unique())]
    columns = ["seed", "model", "tokens", "item", "grammar", "consistency", "coherent", "new"]
    return pd.concat([drafts, same.assign(tokens=end)], ignore_index=True)[columns]


# ------------------------------------------------------------------------------- claims
_GRADES = "Grades by size"
_COURSE = "Grades while they learn"
_SENTENCES = {"delta": 0.02, "delta_reason": "one sentence in fifty is one in three or four stories"}


def writing_claims(tables: Tables, *, trained: bool = True, placebo: bool = False) -> list[Claim]:
    """The claims about losses and stories that the models at hand can test.

    Args:
        tables: what was measured.
        trained: whether the models were trained here; a claim about a given one counts no trainings.
        placebo: whether all models were trained as the smallest: only claims that compare models are made.
    """
    ladder, made = tables.ladder, []
    if not placebo:
        made.append(_not_copies(tables.measured, ladder[-1], trained))
    if trained and len(ladder) > 1:
        made.append(_lower_loss(tables.losses, ladder[0], ladder[-1]))
    graded = tables.measured["consistency"].notna().any()
    if trained and len(ladder) > 1 and graded:
        made += _grade_claims(tables, ladder)
    if not placebo and graded and len(tables.drafts):
        made.append(_grammar_first(tables, ladder[-1]))
    return made


def _not_copies(measured: pd.DataFrame, model: str, trained: bool) -> Claim:
    stories = measured[measured["model"] == model]
    effects = stories[["seed", "item"]].assign(effect=stories["copied_ending"] + 0.05 - stories["copied"])
    evidence, kind = over_seeds(effects, items="stories"), "a training" if trained else "another"
    return Claim.of(
        evidence.estimate,
        over=evidence.over,
        trainings=evidence.trainings if trained else None,
        name="not-copies",
        says=f"Stories of the {model} model come at most 5 points closer to {kind} story than the true "
        "endings do.",
        paper="Generated stories share few word pairs with their closest training story",
        unit="share of word pairs, to the margin",
        view="Are the stories copies?",
    )


def _lower_loss(losses: pd.DataFrame, small: str, large: str) -> Claim:
    return compare(losses, small, large, value="nats_per_token", items="stories", arm="model").claim(
        name="size-lowers-loss",
        says=f"The {large} model has a lower loss on held-out stories than the {small} model.",
        paper="Loss falls with size",
        unit="nats per token",
        view="Loss on held-out stories",
        delta=0.01,
        delta_reason="1 % of a token's surprise is what another seed changes",
    )


def _grade_claims(tables: Tables, ladder: Sequence[str]) -> list[Claim]:
    measured, small, middle, large = tables.measured, ladder[0], ladder[-2], ladder[-1]
    means = measured.groupby("model")[["grammar", "coherent"]].mean()
    made = [
        compare(measured, large, small, value="coherent", items="stories", arm="model").claim(
            name="size-brings-coherence",
            says=f"More of what the {large} model tells is a sentence that can be true in its story than of "
            f"what the {small} model tells, after equally many tokens.",
            paper="Coherent stories come with size: consistency rises from 1M to 33M parameters (Figure 4)",
            unit="share of sentences",
            view=_GRADES,
            gates=(
                Gate(f"grammar of the {large} model", float(means.loc[large, "grammar"]), low=0.8),
                Gate(
                    f"coherent sentences of the {small} model", float(means.loc[small, "coherent"]), high=0.97
                ),
            ),
            headline=True,
            **_SENTENCES,
        )
    ]
    if middle != small:
        made.append(
            later_gain(measured, small, middle, large).claim(
                name="grammar-comes-first",
                says=f"From {middle} to {large}, consistency still makes more of its rise than grammar does.",
                paper="Grammar levels off at a smaller size than consistency (Figure 4)",
                unit="share of the rise",
                view=_GRADES,
            )
        )
    return made


def _grammar_first(tables: Tables, large: str) -> Claim:
    """Grammar stands nearer to what true endings have than consistency does, while the model learns."""
    drafts = tables.drafts[tables.drafts["model"] == large]
    heeded = ((drafts["consistency"] - tables.heedless) / (1 - tables.heedless)).clip(lower=0)
    effects = drafts[["seed", "item"]].assign(effect=drafts["grammar"] - heeded)
    return over_seeds(effects, items="stories").claim(
        name="grammar-is-learnt-first",
        says=f"While the {large} model learns, it is nearer to flawless grammar than to consistency with the "
        "beginning (0: no more consistent than the ending of another story, 1: as the true one).",
        paper="Grammar is mastered early, consistency with the beginning late",
        unit="share of the way",
        view=_COURSE,
        gates=(Gate("consistency of other stories' endings", tables.heedless, high=0.9),),
        delta=0.05,
        delta_reason="a twentieth of the way is less than one moment of training tells from the next",
    )


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
