"""Claims about what the models know: by size, by loss, by shape, and after reading noise.

Eldan & Li 2023 (arXiv 2305.07759), Figures 9 to 11 and the section on depth and width. As published: larger
models know more, and depth tracks the context while width knows facts. Otherwise: shapes are compared after
equally many tokens and at equal loss, since the one that has learnt more would win either way.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from workbench.claims import Claim, Gate
from workbench.studies.common.evidence import Evidence, compare, over_seeds
from workbench.studies.tiny_models import change_point
from workbench.studies.tiny_models.grading import CUT, STARTER, WHOLE
from workbench.studies.tiny_models.ladder import pair
from workbench.studies.tiny_models.results import FLOOR, Tables, writing_claims

_QUESTIONS, _LOSSES = "Facts, reasoning, consistency", "Loss on held-out stories"
_THRESHOLD = "Answers against loss"
_FEW = {"unit": "share of questions", "delta": 0.05, "delta_reason": "one question in twenty"}


def claims(
    tables: Tables, *, twin: str | None = None, trained: bool = True, placebo: bool = False
) -> list[Claim]:
    """Every claim that the models at hand can test; of a placebo run, those that compare models.

    Args:
        tables: what was measured.
        twin: the model that is like the one called noise, but reads stories alone.
        trained: whether the models were trained here.
        placebo: whether all models were trained as the smallest.
    """
    made = writing_claims(tables, trained=trained, placebo=placebo)
    names = list(dict.fromkeys(tables.losses["model"]))
    if len(tables.answers) and trained:
        if len(tables.ladder) > 1:
            made += _size_claims(tables)
        if shapes := pair(names):
            made += _shape_claims(tables, *shapes)
        if not placebo:
            made += [_reads_the_story(tables), *_threshold_claims(tables)]
    if not trained and STARTER in set(tables.answers["model"]):
        made += _given_claims(tables)
    if twin is not None and {twin, "noise"} <= set(names):
        made += _noise_claims(tables, twin)
    return made


def _given_claims(tables: Tables) -> list[Claim]:
    """Whether a given model reads the story, and whether it answers more than the starter; over questions."""
    (name,) = tables.ladder
    both = pd.concat([_asked(tables, "reasoning"), _asked(tables, "reasoning", CUT)])
    return [
        _of_given(
            compare(both[both["model"] == name], WHOLE, CUT, arm="read"),
            name="answers-need-the-story",
            says=f"With all but one sentence of the story cut away, {name} answers fewer reasoning "
            "questions.",
            paper="What follows depends on more than the previous sentence",
            gates=(gate(tables, "reasoning"),),
            headline=True,
        ),
        _of_given(
            compare(_asked(tables, "fact"), name, STARTER, arm="model"),
            name="breadth-brings-facts",
            says=f"{name}, which has read widely, answers more fact questions than the starter, which has "
            "read simulated stories alone.",
            paper="Large models know facts that small ones do not (Figure 9)",
        ),
        _of_given(
            compare(_asked(tables, "reasoning"), name, STARTER, arm="model"),
            name="size-brings-reasoning",
            says=f"{name} answers more reasoning questions than the starter, a far smaller model that has "
            "read nothing but such stories.",
            paper="Reasoning appears in larger models only (Figures 9-11)",
            gates=(gate(tables, "reasoning"),),
        ),
    ]


def _of_given(evidence: Evidence, **about: Any) -> Claim:
    """A claim about models that were not trained here: it counts no trainings."""
    return Claim.of(evidence.estimate, over=evidence.over, view=_QUESTIONS, **_FEW, **about)


def gate(tables: Tables, kind: str) -> Gate:
    """That the largest model answers enough questions of a kind."""
    answers, large = tables.answers, tables.ladder[-1]
    chosen = (answers["model"] == large) & (answers["kind"] == kind) & (answers["read"] == WHOLE)
    right = float(answers.loc[chosen, "right"].mean())
    return Gate(f"right answers of the {large} model to {kind} questions", right, low=FLOOR)


def _asked(tables: Tables, kind: str, read: str = WHOLE) -> pd.DataFrame:
    return tables.answers[(tables.answers["kind"] == kind) & (tables.answers["read"] == read)]


# ------------------------------------------------------------------------------- size and context
def _size_claims(tables: Tables) -> list[Claim]:
    small, large = tables.ladder[0], tables.ladder[-1]
    said = {
        "reasoning": ("size-brings-reasoning", "answers more reasoning questions than"),
        "lure": ("size-resists-the-lure", "less often takes the commonest word for the story's own than"),
    }
    paper = {
        "reasoning": "Reasoning appears in larger models only (Figures 9-11)",
        "lure": "Small models fall for the word that is commonest (Figure 11)",
    }
    return [
        compare(_asked(tables, kind), large, small, arm="model").claim(
            name=name,
            says=f"The {large} model {more} the {small} model.",
            paper=paper[kind],
            view=_QUESTIONS,
            gates=(gate(tables, kind),),
            **_FEW,
        )
        for kind, (name, more) in said.items()
    ]


def _reads_the_story(tables: Tables) -> Claim:
    large, both = tables.ladder[-1], tables.answers[tables.answers["kind"].isin(["reasoning", "consistency"])]
    return compare(both[both["model"] == large], WHOLE, CUT, arm="read").claim(
        name="answers-need-the-story",
        says=f"With all but one sentence of the story cut away, the {large} model answers fewer questions.",
        paper="What follows depends on more than the previous sentence",
        view=_QUESTIONS,
        gates=(gate(tables, "reasoning"), gate(tables, "consistency")),
        **_FEW,
    )


# ------------------------------------------------------------------------------- the change-point
def _threshold_claims(tables: Tables) -> list[Claim]:
    points = {kind: change_point.by_snapshot(tables.course, kind) for kind in ("fact", "reasoning")}
    reasoning = points["reasoning"]
    if reasoning["seed"].nunique() < 2 and reasoning["model"].nunique() < 2:
        return []
    point = change_point.change_point(reasoning)
    about = {"paper": "Reasoning appears only in models of low loss (Figures 9-11)", "view": _THRESHOLD}
    above = Gate("share of snapshots above the change-point", change_point.share_above(reasoning), low=0.1)
    gates = (gate(tables, "reasoning"), above)
    earlier = change_point.change_points(points["fact"]) - change_point.change_points(reasoning)
    return [
        change_point.gain(reasoning).claim(
            name="reasoning-has-a-threshold",
            says="Accuracy on reasoning questions stays at chance above a loss and rises below it "
            f"({point.value:.2f} nats): this hinge predicts models that it has not seen better than a line.",
            unit="share of questions, error",
            delta=0.005,
            delta_reason="half a point of error cannot be seen in the figure",
            gates=gates,
            **about,
        ),
        over_seeds(earlier.rename("effect").reset_index(), items="trainings").claim(
            name="reasoning-needs-low-loss",
            says="Reasoning begins at a lower loss than facts do.",
            unit="nats per token between the two change-points",
            delta=0.05,
            delta_reason="a snapshot is about so far from the next",
            gates=(*gates, gate(tables, "fact")),
            **about,
        ),
    ]


# ------------------------------------------------------------------------------- depth and width
def _shape_claims(tables: Tables, deep: str, wide: str) -> list[Claim]:
    nats = tables.losses.groupby("model")["nats_per_token"].mean()
    apart = f"their losses differ by {abs(nats[deep] - nats[wide]):.3f} nats"
    said = {
        "depth-tracks-context": ("consistency", deep, wide, "answers more consistency questions than"),
        "width-knows-facts": ("fact", wide, deep, "knows more facts than"),
    }
    paper = {"consistency": "Depth matters more for context tracking", "fact": "Width matters more for facts"}
    made = []
    for name, (kind, treated, control, more) in said.items():
        about = {"paper": paper[kind], "view": _QUESTIONS, "gates": (gate(tables, kind),), **_FEW}
        says = f"Of two models with equally many parameters, the {treated} one {more} the {control} one"
        equal = compare(_asked(tables, kind), treated, control, arm="model")
        made.append(equal.claim(name=name, says=f"{says} after equally many tokens ({apart}).", **about))
        matched = at_equal_loss(tables.course, treated, control, kind)
        made.append(matched.claim(name=f"{name}-at-equal-loss", says=f"{says} at equal loss.", **about))
    return made


def at_equal_loss(course: pd.DataFrame, treated: str, control: str, kind: str) -> Evidence:
    """Accuracy of one model minus the other's where both have the loss at which the worse one ended.

    Of each seed and name of question, the better one's accuracy is interpolated between its snapshots.
    """
    asked = course[(course["kind"] == kind) & course["model"].isin([treated, control])]
    effects = []
    for (seed, name), part in asked.groupby(["seed", "name"], sort=False):
        curves = {model: rows.sort_values("tokens") for model, rows in part.groupby("model")}
        if len(curves) == 2:
            loss = max(rows["nats"].iloc[-1] for rows in curves.values())
            right = {model: _right_at(rows, loss) for model, rows in curves.items()}
            effects.append({"seed": seed, "name": name, "effect": right[treated] - right[control]})
    return over_seeds(pd.DataFrame(effects), items="kinds of question")


def _right_at(rows: pd.DataFrame, loss: float) -> float:
    ordered = rows.sort_values("nats")
    return float(np.interp(loss, ordered["nats"], ordered["right"]))


# ------------------------------------------------------------------------------- noise
def _noise_claims(tables: Tables, twin: str) -> list[Claim]:
    paper = "Breadth of web text hinders small models: simple stories let them speak (section 1)"
    lower: Mapping[str, object] = {
        "unit": "nats per token",
        "view": _LOSSES,
        "delta": 0.01,
        "delta_reason": "1 % of a token's surprise is what another seed changes",
    }
    compared = compare(tables.losses, "noise", twin, value="nats_per_token", items="stories", arm="model")
    made = [
        compared.claim(
            name="noise-raises-loss",
            says="A model that reads facts of the web for half of its tokens loses more on held-out stories "
            f"than its twin ({twin}), which read stories alone.",
            paper=paper,
            **lower,
        )
    ]
    if tables.measured["coherent"].notna().any():
        made.append(
            compare(tables.measured, twin, "noise", value="coherent", items="stories", arm="model").claim(
                name="noise-costs-coherence",
                says=f"Fewer of its sentences can be true in their story than of its twin's ({twin}).",
                paper=paper,
                unit="share of sentences",
                view="Grades by size",
                delta=0.02,
                delta_reason="one sentence in fifty is one in three or four stories",
            )
        )
    if len(tables.course):
        made.append(
            beyond_room(tables.course, twin).claim(
                name="noise-costs-more-than-room",
                says=f"It loses more than its twin ({twin}) even after equally many tokens of stories.",
                paper=paper,
                **lower,
            )
        )
    return made


def beyond_room(course: pd.DataFrame, twin: str) -> Evidence:
    """Loss of the noisy model at its end minus its twin's at half of the tokens: as many of stories.

    The twin's learning rate has fallen by half there, the noisy one's to zero, which favours the noisy one.
    """
    effects = []
    for seed, part in course.drop_duplicates(["seed", "model", "tokens"]).groupby("seed", sort=False):
        curves = {model: rows.sort_values("tokens") for model, rows in part.groupby("model")}
        if {"noise", twin} <= curves.keys():
            noise, clean = curves["noise"], curves[twin]
            there = np.interp(noise["tokens"].iloc[-1] / 2, clean["tokens"], clean["nats"])
            effects.append({"seed": seed, "effect": noise["nats"].iloc[-1] - there})
    return over_seeds(pd.DataFrame(effects, columns=["seed", "effect"]), items="trainings")
