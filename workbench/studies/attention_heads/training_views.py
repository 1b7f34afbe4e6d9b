"""Pictures of 03_attention_heads that set several trained models side by side."""

import altair as alt
import pandas as pd

from workbench.charts.intervals import intervals
from workbench.charts.parts import dashed, looks, panels, tips
from workbench.charts.view import Chart, with_rows
from workbench.studies.attention_heads.method import CLASSES, LIFT, POSITIONAL, classify, wide
from workbench.studies.attention_heads.results import BY_TRAINING, DISTANCE, SEMANTIC
from workbench.studies.attention_heads.trainings import CONFIRMED_ON
from workbench.studies.attention_heads.views import CLASS_ROLES

_TITLES = {
    SEMANTIC: "semantic: times chance − control",
    DISTANCE: f"positional: share − {POSITIONAL}",
}


@with_rows
def kinds_by_model(measured: pd.DataFrame) -> Chart:
    """Every head of every training by both measures, a panel a model.

    Args:
        measured: of `Trainings.measure`, and of the model looked into (`trainings.with_model`).
    """
    frames = []
    confirmed = measured[measured["half"] == CONFIRMED_ON]
    for (model, seed), part in confirmed.groupby(["model", "seed"], sort=False):
        heads = wide(part).assign(model=model, seed=seed)
        frames.append(heads.assign(kind=classify(heads), lift=heads[["name_lift", "noun_lift"]].max(axis=1)))
    heads = pd.concat(frames, ignore_index=True)
    heads = heads[["model", "seed", "layer", "head", "kind", "positional", "lift"]]
    base = alt.Chart(heads, width=210, height=160)
    points = base.mark_point(filled=True, size=50, opacity=0.75).encode(
        alt.X("positional:Q", title="explained by offset").axis(format="%", tickCount=4),
        alt.Y("lift:Q", title="to names or nouns").scale(zero=False),
        tooltip=["model", "seed", "layer", "head", "kind", *tips(".2f", "positional", "lift")],
        **looks("kind", "class", CLASSES, CLASS_ROLES, orient="bottom"),
    )
    chart = alt.layer(dashed(heads, y=1), points)
    return Chart(
        panels(chart, "model", measured["model"], columns=2),
        "The two kinds in models of other sorts",
        "A point is a head of one training: how much of it offset explains, and what it gives to names or "
        "nouns more than eight tokens back, in times chance (the dashed line). Positional heads would stand "
        f"far right (from {POSITIONAL:.0%} on), semantic ones high on the left (from {LIFT:g}). Counted: "
        + "; ".join(_count(name, part) for name, part in heads.groupby("model", sort=False))
        + ".",
    )


def _count(name: str, heads: pd.DataFrame) -> str:
    """How many heads of a model are of either kind, in words."""
    counts, trainings = heads["kind"].value_counts(), heads["seed"].nunique()
    kinds = [f"{counts[kind]} {kind}" if kind in counts else f"no {kind} one" for kind in CLASSES[:2]]
    models = "one training" if trainings == 1 else f"{trainings} trainings"
    return f"{name}, of {len(heads)} heads in {models}, {kinds[0]} and {kinds[1]}"


@with_rows
def by_training(effects: pd.DataFrame) -> Chart:
    """The effects behind the claims about heads, of each training by itself.

    Args:
        effects: of `results.head_effects`.
    """
    short = effects["model"].str.removeprefix("one layer, ")  # so that narrow pages show the seed too
    names = short + ", " + effects["seed"].astype(str)
    frame = effects.assign(training=names)
    # A model's trainings stand together, and the models as they come.
    frame = frame.sort_values("model", key=lambda models: pd.factorize(models)[0], kind="stable")
    order, sides = list(dict.fromkeys(frame["training"])), []
    rows = alt.Y("training:N", sort=order, title=None)
    for name, title in _TITLES.items():
        part = frame[frame["name"] == name]
        y = rows.axis(None) if sides else rows
        look = {"color": alt.Color("model:N", legend=None), "shape": alt.Shape("model:N", legend=None)}
        style = {"tooltip": ["training", "head"], "references": [0], "axis": {"tickCount": 4}}
        chart = intervals(part, y, title, look=look, **style)
        sides.append(chart.properties(width=210, height=max(60, 18 * len(order))))
    return Chart(
        alt.hconcat(*sides, spacing=20),
        BY_TRAINING,
        "A row is a model and its seed: the attention of its best semantic head to far names or nouns, "
        "beyond the shuffled control, and what offset explains of its most positional head; right of the "
        "dashed line is as published. Heads are chosen on one half of the texts and measured on the other; "
        "lines are 95 % intervals over texts. Of a model that was trained more than once the claims take the "
        "mean, with an interval over trainings.",
    )
