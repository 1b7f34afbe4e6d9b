"""Pictures of 09_prismatic: what scores, what sketching costs, and how the pool grows and teaches."""

import re
from difflib import SequenceMatcher
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
from scipy import stats

from workbench.charts.intervals import intervals
from workbench.charts.parts import axis_order, panels, tips
from workbench.charts.theme import CONTROL, PAPER, TREATED, series
from workbench.charts.view import Chart, Explorer, Table, Texts, with_rows

ROLES = {"prismatic": TREATED, "paper": PAPER, "random": CONTROL}
ACCEPTED = "accepted"
_WIDTH = 460  # pixels of all panels of a row
_ROWS = 40  # of a heat map; more clusters are averaged in neighbouring ranks


def card(frame: pd.DataFrame) -> Table:
    """The score and what stands around it. Columns: measure, value, low, high, note."""
    bounds = zip(frame["low"], frame["high"], strict=True)
    written = ["" if np.isnan(low) else f"{low:.4g} to {high:.4g}" for low, high in bounds]
    shown = frame.assign(value=frame["value"].map("{:.4g}".format), interval=written)
    return Table(
        shown[["measure", "value", "interval", "note"]],
        "How diverse the examples are",
        "The first line is the score with its 95 % interval (split halves); the next two are what it could "
        "be at most, the others are measures of the same texts for comparison.",
    )


@with_rows
def by_source(frame: pd.DataFrame) -> Chart:
    """Which file's problems differ most. Columns: source, measure, value, low, high, n."""
    style = {"form": ".1f", "labels": ".1f", "tooltip": ["source", "measure", "n"], "step": 34}
    chart = intervals(frame, "source", "effective number of problems", **style).properties(width=250)
    return Chart(
        panels(chart, "measure", columns=2, independent=["x"]),
        "Which file is more diverse",
        f"How many different ones {frame['n'].iloc[0]} problems of each file amount to, by what they teach "
        "and by what they say; drawn over and over, the lines hold 95 % of the draws. Together means drawn "
        "from all files.",
    )


def dimensions(frame: pd.DataFrame) -> Chart:
    """G-Vendi against the dimension of the sketch. Columns: dimension, score, expected, cap, method."""
    columns = ["dimension", "value", "line"]
    bounds = frame.rename(columns={"method": "line", "score": "value"})[columns]
    for name, column in (("expected after projection", "expected"), ("cap, min(n, d)", "cap")):
        bound = frame.dropna(subset=[column]).drop_duplicates("dimension")
        bounds = pd.concat([bounds, bound.assign(line=name, value=bound[column])[columns]])
    limits = [0.8 * bounds["value"].min(), 1.2 * bounds["value"].max()]
    x = alt.X("dimension:Q", title="dimension of the sketch").scale(type="log", base=2, nice=False)
    x = x.axis(values=sorted(frame["dimension"].unique()), format="d")
    scale, look = {"type": "log", "domain": limits, "nice": False}, series("line", "score")
    style = {"names": ["value"], "form": ".4g", "look": look, "scale": scale, "mark": "line"}
    return Chart(
        intervals(bounds, x, "effective number of gradients", **style),
        "What the dimension of the sketch does to the score",
        "The same examples, sketched to more and more numbers. Few numbers lower G-Vendi; “expected” is what "
        "they would leave of unrelated gradients. The order-2 score of two independent sketches is free of "
        "that bias and should lie flat.",
    )


@with_rows
def growth(frame: pd.DataFrame) -> Chart:
    """G-Vendi over rounds, over that of the first pool. Columns: arm, round, n, g_vendi, low, high."""
    arms = list(dict.fromkeys(frame["arm"]))
    # Arms stand a little beside each other, or their intervals would hide each other.
    beside = 0.06 * (frame["arm"].map(arms.index) - (len(arms) - 1) / 2)
    x = alt.X("x:Q", title="round").scale(nice=False, padding=14)
    x = x.axis(tickMinStep=1, format="d", grid=False)
    names, look = ("g_vendi", "low", "high"), series("arm", "grown by", axis_order(arms), ROLES)
    style = {"form": ".2f", "tooltip": ["arm", "round"], "scale": {"zero": False}, "mark": "line"}
    shown = frame.assign(x=frame["round"] + beside)
    return Chart(
        intervals(shown, x, "G-Vendi, first pool = 1", names=names, look=look, **style),
        "G-Vendi over rounds",
        "Each line is a way to take new examples into pools that start alike; all are scored by another "
        "proxy than the one that selects, at the size of the first pool and relative to it."
        + " Bars are 95 % intervals over repetitions, moved aside a little."
        * bool(frame["low"].notna().any()),
    )


@with_rows
def cluster_growth(frame: pd.DataFrame) -> Chart:
    """Sizes of clusters over rounds, sparsest on top. Columns: round, cluster, size, arm."""
    first = frame[frame["round"] == frame["round"].min()].groupby("cluster")["size"].mean()
    rank = first.reindex(frame["cluster"].unique(), fill_value=0).fillna(0).rank(method="first").astype(int)
    rows = min(len(rank), _ROWS)
    shown = frame.assign(place=(frame["cluster"].map(rank) - 1) * rows // len(rank) + 1)
    shown = shown.groupby(["arm", "round", "place"], as_index=False)["size"].mean()
    title = "cluster" if rows == len(rank) else f"{len(rank)} clusters in {rows} groups"
    chart = alt.Chart(shown, height=alt.Step(max(8, 240 // rows))).encode(
        x=alt.X("round:O", title="round"),
        y=alt.Y("place:O", title=f"{title}, sparsest first"),
        color=alt.Color("size:Q", title="examples").scale(type="sqrt"),
        tooltip=["arm", "round", alt.Tooltip("place", title="rank"), *tips(".1f", "size")],
    )
    return Chart(
        _across(chart.mark_rect(), frame),
        "Which clusters grow",
        "A row is a cluster, sorted by its size in the first round; bright cells hold many examples. "
        "Where sparse clusters are sought, the top rows brighten.",
    )


@with_rows
def decisions(frame: pd.DataFrame) -> Chart:
    """What became of the candidates, by round and arm. Columns: arm, round, reason, count."""
    totals = frame.groupby("reason")["count"].sum().sort_values(ascending=False)
    order = sorted(totals.index, key=lambda reason: reason != ACCEPTED)
    candidates = frame.groupby(["arm", "round"])["count"].transform("sum")
    rows = frame.assign(share=frame["count"] / candidates)
    cells = alt.Chart(rows, height=alt.Step(24)).mark_rect()
    cells = cells.encode(
        x=alt.X("round:O", title="round"),
        y=alt.Y("reason:N", title=None, sort=axis_order(order)).axis(labelLimit=180),
        color=alt.Color("share:Q", title="share of the round's candidates").legend(
            format="%", titleLimit=300
        ),
        tooltip=["arm", "round", "reason", "count", *tips(".0%", "share")],
    )
    return Chart(
        _across(cells, frame),
        "What became of the candidates",
        "A column is a round of a pool, and a row what became of its candidates: the top row was accepted, "
        "the others were turned down for the reason that is named. Bright cells hold a large share.",
    )


def examples(frame: pd.DataFrame) -> Explorer:
    """Candidates to read, by arm and by verdict.

    Columns: arm, round, id, problem, source, decision, reason, cluster, similarity.
    """
    # One reason, such as a lot, may let one candidate in and turn another down.
    alike = frame["decision"] == frame["reason"]
    frame = frame.assign(verdict=frame["decision"].where(alike, frame["decision"] + ": " + frame["reason"]))

    def draw(arm: str, reason: str) -> Texts:
        of_arm = frame[frame["arm"] == arm]
        if reason == "all":
            shown = of_arm.groupby("verdict", sort=False).head(1)
        else:
            shown = of_arm[of_arm["verdict"] == reason].head(6)
        count = "no candidate" if shown.empty else f"{len(shown)} of {len(of_arm):,} candidates"
        return Texts(
            [{"label": _decided(row), "text": row.problem} for row in shown.itertuples()],
            "Candidates and what was decided",
            f"Arm {arm}, reason {reason}: {count}. Above each text the decision, its reason, the nearest "
            "cluster and the cosine to it.",
        )

    return Explorer(draw, arm=frame["arm"], reason=["all", *sorted(set(frame["verdict"]))])


def _decided(row: Any) -> str:
    # Turned down before any gradient was taken: no cluster.
    nearest = f", cluster {int(row.cluster)}, cosine {row.similarity:.2f}" if row.cluster >= 0 else ""
    return f"{row.verdict} (round {row.round}, {row.source}{nearest})"


def pairs(frame: pd.DataFrame) -> Texts:
    """Pairs of examples that teach nearly the same, a card a pair. Columns: text_a, text_b, cosine."""
    return Texts(
        [_pair(number, row) for number, row in enumerate(frame.itertuples(), 1)],
        "The most redundant pairs",
        "Each card holds two examples, one above the other, whose gradients point almost the same way; "
        "marked are the runs of words that both share. The cosine of equal directions is 1.",
    )


def _pair(number: int, row: Any) -> dict[str, object]:
    texts = (row.text_a, row.text_b)
    upper, lower = (list(re.finditer(r"\S+", text)) for text in texts)
    spelled = [[word[0].strip(".,;:?!").lower() for word in words] for words in (upper, lower)]
    marks = []
    for run in SequenceMatcher(None, *spelled, autojunk=False).get_matching_blocks()[:-1]:
        for words, start, shift in ((upper, run.a, 0), (lower, run.b, len(row.text_a) + 2)):
            end = words[start + run.size - 1].end()
            marks.append((shift + words[start].start(), shift + end, "in both"))
    return {"label": f"pair {number}, cosine {row.cosine:.3f}", "text": "\n\n".join(texts), "marks": marks}


def outcome(frame: pd.DataFrame) -> Chart:
    """Accuracy out of distribution by arm, a dot a seed. Columns: arm, seed, accuracy, n."""
    accuracy = frame.groupby("arm", sort=False)["accuracy"]
    n, means = accuracy.size(), accuracy.mean()
    half = stats.t.ppf(0.975, n - 1) * accuracy.std() / np.sqrt(n)
    means = pd.DataFrame({"accuracy": means, "low": means - half, "high": means + half}).reset_index()
    best_first = means.sort_values("accuracy", ascending=False)["arm"]
    y = alt.Y("arm:N", title=None, sort=axis_order(best_first))
    dots = alt.Chart(frame).mark_point(filled=True, size=80, opacity=0.7)
    dots = dots.encode(x="accuracy:Q", y=y, tooltip=["arm", "seed", *tips(".1%", "accuracy"), "n"])
    names = ("accuracy", "low", "high")
    style: dict[str, Any] = {"form": ".1%", "labels": ".1%", "mark": "tick", "step": 46}
    chart = intervals(means, y, "OOD accuracy", names=names, scale={"zero": False}, **style)
    return Chart(
        chart + dots,
        "Accuracy out of distribution by arm",
        "A dot is a student of one seed"
        + (
            ", the tick their mean, the line its 95 % interval over seeds (Student's t)."
            if n.max() > 1
            else "."
        ),
    )


def contributions(frame: pd.DataFrame) -> Table:
    """The examples that add most and least to the score. Columns: text, template, contribution (nats)."""
    ordered = frame.sort_values("contribution", ascending=False, kind="stable").reset_index(drop=True)
    shown = ordered if len(ordered) <= 10 else pd.concat([ordered.head(5), ordered.tail(5)])
    nats = {"contribution (nats)": shown["contribution"].round(3)}
    return Table(
        shown.assign(rank=shown.index + 1, **nats)[["rank", *nats, "template", "text"]],
        "What adds most and least",
        f"What each example adds, −uᵀ log(S) u (u is its unit gradient, S the mean of uuᵀ over all), for the "
        f"five highest and the five lowest of {len(frame):,} examples; the mean of all is the logarithm of "
        "G-Vendi.",
    )


def _across(chart: alt.Chart | alt.LayerChart, frame: pd.DataFrame) -> alt.FacetChart:
    """A panel an arm, all in one row as wide as a page."""
    step = max(6, _WIDTH // (frame["arm"].nunique() * frame["round"].nunique()))
    return panels(chart.properties(width=alt.Step(step)), "arm").properties(spacing=10)
