"""Pictures of the models while they learn: their grades, and their answers against their loss."""

import altair as alt
import numpy as np
import pandas as pd

from workbench.charts.intervals import intervals
from workbench.charts.parts import looks, panels
from workbench.charts.theme import INK, series
from workbench.charts.view import Chart, with_rows
from workbench.studies.tiny_models import change_point
from workbench.studies.tiny_models.results import summary

WRITING = {"grammar": "grammar", "consistency": "consistency", "new": "new 4-grams"}


@with_rows
def grades_chart(along: pd.DataFrame) -> Chart:
    """Grammar, consistency and creativity by tokens read: `results.along`."""
    frame = summary(along, list(WRITING), ["model", "tokens"])
    frame = frame.assign(measure=frame["measure"].map(WRITING))
    x = alt.X("tokens:Q", title="tokens read").axis(format="~s", tickCount=4)
    style = {"form": ".1%", "tooltip": ["model", "measure"], "look": series("model", "model")}
    chart = intervals(frame, x, "share", **style, scale={"zero": False}, mark="line", drawn="nothing")
    return Chart(
        panels(chart.properties(width=150, height=150), "measure", list(WRITING.values()), independent=["y"]),
        "Grades while they learn",
        "The same beginnings, continued by unfinished models: the share of sentences that are grammatical, "
        "of these the share that can be true, and the share of four-word sequences that no training story "
        "has (much of it is error early on, and invention where grammar is good).",
    )


@with_rows
def threshold_chart(course: pd.DataFrame) -> Chart:
    """Accuracy by held-out loss of every snapshot, with the line and the hinge: `checkpoints.course`."""
    kinds = list(dict.fromkeys(course["kind"]))
    parts = [change_point.by_snapshot(course, kind).assign(kind=kind, fit="") for kind in kinds]
    frame = pd.concat([*parts, *map(_fits, parts)], ignore_index=True)  # panels need one table
    look = looks("model", "model")
    x = alt.X("nats:Q", title="held-out loss, nats").scale(zero=False, reverse=True)
    y = alt.Y("right:Q", title="right answers").axis(format="%").scale(zero=False)
    base = alt.Chart(frame).encode(x, y)
    dots = base.transform_filter("datum.fit == ''").mark_point(size=22, opacity=0.7, filled=True)
    dots = dots.encode(**look, tooltip=["model", "seed", "tokens", "nats", "right"])
    dash = alt.StrokeDash("fit:N", title="fit").scale(domain=["hinge", "line"], range=[[1, 0], [4, 4]])
    lines = base.transform_filter("datum.fit != ''").mark_line(color=INK, strokeWidth=1.5).encode(dash)
    return Chart(
        panels((dots + lines).properties(width=200, height=180), "kind", kinds, columns=2),
        "Answers against loss",
        "A point is a model at one moment of its training. Loss falls to the right; the full line is the "
        "hinge (chance above a loss, a rise below it), the dashed one a straight line, both through all.",
    )


def _fits(points: pd.DataFrame) -> pd.DataFrame:
    """The line and the hinge of one kind at some losses: columns kind, nats, right, fit; empty if too few."""
    known = points[np.isfinite(points[["nats", "right"]].astype(float)).all(axis=1)]
    if known["nats"].nunique() < 3:
        return pd.DataFrame(columns=["kind", "nats", "right", "fit"])
    nats, right = (known[name].to_numpy(dtype=float) for name in ("nats", "right"))
    at = np.linspace(nats.min(), nats.max(), 60)
    values = {
        "hinge": change_point.hinge(at, *change_point.fit_hinge(nats, right)),
        "line": change_point.fit_line(nats, right)(at),
    }
    frames = [pd.DataFrame({"nats": at, "right": value, "fit": fit}) for fit, value in values.items()]
    return pd.concat(frames, ignore_index=True).assign(kind=known["kind"].iloc[0])
