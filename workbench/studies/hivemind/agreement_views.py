"""Pictures of 10_hivemind: agreement beside what was read, polls, and the paper's threshold of 0.8."""

import altair as alt
import numpy as np
import pandas as pd

from workbench.charts.intervals import intervals
from workbench.charts.parts import looks, tips
from workbench.charts.theme import MUTED
from workbench.charts.view import Chart
from workbench.studies.hivemind.thresholds import ALIKE


def beyond(agreed: pd.DataFrame) -> Chart:
    """Agreement against overlap. Columns of `excess.agreements`; a point a pair of models and prompt."""
    keys = ["kind", "first", "second", "prompt_id"]
    means = agreed.groupby(keys, as_index=False, sort=False)[["same", "overlap", "excess"]].mean()
    most = float(np.nan_to_num(means["overlap"].max(), nan=1.0))
    ends = pd.DataFrame({"overlap": [0, most], "same": [0, most]})
    x = alt.X("overlap:Q", title="overlap of their libraries")
    y = alt.Y("same:Q", title="agreement of two models")
    points = alt.Chart(means, width=430, height=360).mark_point(size=40, opacity=0.75)
    tooltip = ["first", "second", "prompt_id", *tips(".3f", "overlap", "same", "excess")]
    points = points.encode(x=x, y=y, tooltip=tooltip, **looks("kind", orient="bottom", columns=1))
    line = alt.Chart(ends).mark_line(strokeDash=[4, 4], color=MUTED).encode(x=x, y=y)
    n = agreed["seed"].nunique()
    return Chart(
        line + points,
        "Agreement beyond the libraries",
        "Chances that two answers mean the same. Each point is a pair of models and a prompt"
        + f", mean of {n} trainings" * (n > 1)
        + ". On the dashed line two models agree as often as the texts that they have read; above it they "
        "share something that they have not read.",
    )


def nearness(frame: pd.DataFrame) -> Chart:
    """Distance to the library, asked both ways. Columns model, arm, value, low, high, n, valid."""
    look = {**looks("arm", orient="bottom"), "yOffset": alt.YOffset("arm:N")}
    tooltip = ["model", "arm", *tips(".0%", "valid")]
    style = {"form": ".3f", "tooltip": tooltip, "look": look, "step": 30, "references": [0]}
    return Chart(
        intervals(frame, "model", "squared distance to the library", **style),
        "Asked for a poll instead of an answer",
        "0 is the distribution that a model has read. Asked for one answer, a tuned model gives its "
        "favourite; asked for a poll, it lists answers with shares, by which one is drawn. Lines are 95 % "
        "intervals over prompts; tooltips say how many answers are valid.",
    )


def above(frame: pd.DataFrame, encoder: str, floor: float, ceiling: float) -> Chart:
    """The paper's own figures. Columns who, measure, value, low, high, n.

    `floor` and `ceiling` are mean cosines of answers to other prompts and of paraphrases.
    """
    look = {**looks("measure", "share of", orient="bottom"), "yOffset": alt.YOffset("measure:N")}
    style = {
        "form": ".0%",
        "tooltip": ["who", "measure"],
        "look": look,
        "step": 30,
        "scale": {"domain": [0, 1]},
    }
    return Chart(
        intervals(frame, "who", f"more alike than {ALIKE:g}", **style),
        f"How much is more alike than {ALIKE:g}",
        "Pairs of answers of one model, of two models of one provider (by their names) or of two, and "
        f"prompts to which their mean is above {ALIKE:g}; lines are 95 % intervals over prompts. The paper "
        "finds 79 % of prompts, with OpenAI's text-embedding-3-small. The encoder here is "
        f"{encoder.rpartition('/')[2]}: answers to other prompts are {floor:.2f} alike, paraphrases "
        f"{ceiling:.2f}.",
    )
