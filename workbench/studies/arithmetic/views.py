"""Pictures of 07_arithmetic: exercises, learning, what is right by route, what became of it, and replies."""

from typing import Any

import altair as alt
import pandas as pd

from workbench.charts.intervals import intervals
from workbench.charts.parts import numbered_cells, panels, tips
from workbench.charts.theme import ON_BRIGHT, PALETTE, QUIET, RIGHT, WRONG, series
from workbench.charts.view import Chart, Explorer, Table, Texts, menu, with_rows
from workbench.measures.answers.equations import equations
from workbench.studies.arithmetic.experiment import ROUTES
from workbench.studies.arithmetic.results import KNOWN, OUTCOMES, PLANS

_COLORS = [RIGHT, PALETTE[5], PALETTE[4], WRONG, QUIET]  # of the outcomes
SIGNS = {"+": "+", "-": "−", "*": "×", "/": "÷"}


def exercises(frame: pd.DataFrame) -> Table:
    """What the first stages hold. Columns: stage, kind, n, different."""
    sums = frame["stage"] == "arithmetic"
    signs = frame["kind"].str[:1].map(SIGNS) + " of " + frame["kind"].str[2:] + " digits"
    shown = frame.assign(kind=signs.where(sums, frame["kind"]))
    return Table(
        shown.rename(columns={"n": "exercises", "different": "different questions"}),
        "Exercises of the first stages",
        "So many exercises were drawn to learn from, and so many different questions are among them: all "
        "stages are read for as many tokens.",
    )


def learnt(frame: pd.DataFrame) -> Chart:
    """How much of each stage was learnt, and kept. Columns: stage, when, value, low, high, n."""
    order = list(dict.fromkeys(frame["when"]))
    chart = intervals(
        frame, "stage", "right answers", form=".1%", labels=".0%", step=34, axis={"tickCount": 5},
        scale={"domain": [0, 1]}, tooltip=["stage", "when"], references=[KNOWN],
    )  # fmt: skip
    return Chart(
        panels(chart.properties(width=240), "when", order, columns=2),
        "Stages, learnt and kept",
        "Exercises, asked of the models that read the stage: before they read word problems, and after. "
        f"Left of the dashed line, at {KNOWN:.0%}, a stage has not been learnt well "
        "enough to ask what it is good for.",
    )


@with_rows
def heat_map(frame: pd.DataFrame) -> Chart:
    """Arithmetic in the end. Columns: route, operation, digits, accuracy, low, high, n."""
    rows, columns = frame.assign(sign=frame["operation"].map(SIGNS)), frame["digits"].nunique()
    base = alt.Chart(
        rows, width=alt.Step(max(14, 260 // columns)), height=alt.Step(max(30, 120 // len(SIGNS)))
    ).encode(
        x=alt.X("digits:N", title="digits of the two operands"),
        y=alt.Y("sign:N", title=None, sort=list(SIGNS.values())),
    )
    color = alt.Color("accuracy:Q", title="right answers").scale(domain=[0, 1]).legend(format="%")
    tooltip = ["route", "sign", "digits", *tips(".1%", "accuracy", "low", "high"), "n"]
    blocks = numbered_cells(
        base,
        color,
        tooltip,
        bright="datum.accuracy > 0.55",
        text=None if columns > 9 else alt.Text("accuracy:Q", format=".0%"),
        size=11,
    )
    return Chart(
        panels(blocks, "route", _present(frame), columns=2),
        "Arithmetic by operation and digits",
        "A panel a route; each cell is the share of right answers in the end, when all has been read. "
        "Cells of small numbers hold few exercises, empty ones none.",
    )


def learning(curves: pd.DataFrame) -> Chart:
    """Loss on test word problems while training. Columns: route, seed, tokens, held_out."""
    rows = curves.dropna(subset=["held_out"]).groupby(["route", "tokens"], sort=False)["held_out"]
    rows = rows.agg(["mean", "min", "max"]).reset_index()
    x, look = alt.X("tokens:Q", title="tokens read").axis(format="~s"), series("route", "route")
    title, scale = "held-out loss (nats per token, log scale)", {"type": "log", "nice": False}
    style = {"tooltip": ["route", "tokens"], "look": look, "drawn": "band", "mark": "line"}
    return Chart(
        intervals(rows, x, title, names=("mean", "min", "max"), scale=scale, **style),
        "Learning word problems",
        "Loss on word problems that are never learnt, lower is better; of several trainings the mean, and "
        "a band from the lowest to the highest. While a first stage is read, it stays high.",
    )


def by_route(frame: pd.DataFrame) -> Chart:
    """What is right of word problems. Columns: route, kind, measure, value, low, high, n."""
    rows = frame.assign(panel=frame["measure"] + ": " + frame["kind"])
    order = list(dict.fromkeys(rows["panel"]))
    style = {
        "form": ".1%",
        "tooltip": ["route", "kind", "measure"],
        "axis": {"tickCount": 5},
        "labels": ".0%",
    }
    chart = intervals(rows, "route", "share right", order=_present(frame), step=34, **style)
    chart += alt.Chart(rows).mark_point(opacity=0).encode(x=alt.datum(0.05))  # zeros alone have an axis too
    known = "Plan: the operations and operands of the solution; then the equations of right plans, the " if (
        PLANS in set(frame["measure"])
    ) else "Of given problems no plan and no twin is known, only the "  # fmt: skip
    return Chart(
        panels(chart.properties(width=240), "panel", order, columns=2, independent=["x"]),
        "Word problems by route",
        f"{known}answers, and where problems have twins those right on both. Lines are 95 % intervals over "
        "trainings, or over questions where there are fewer than five trainings.",
    )


def _present(frame: pd.DataFrame) -> list[str]:
    """The routes of a table, in their order."""
    return [route for route in ROUTES if (frame["route"] == route).any()]


def outcomes(frame: pd.DataFrame) -> Chart:
    """What became of the word problems. Columns: route, kind, outcome, share, n."""
    rows = frame.assign(
        order=frame["outcome"].map(OUTCOMES.index),
        shown=frame["share"].map("{:.0%}".format).where(frame["share"] > 0.06, ""),
    )
    y = alt.Y("route:N", title=None, sort=_present(frame))
    base = alt.Chart(rows, width=250, height=alt.Step(34)).encode(y=y, order="order:Q")
    x = alt.X("share:Q", title="share of problems").stack("zero").axis(format="%", tickCount=5)
    bars = base.mark_bar().encode(
        x=x.scale(domain=[0, 1]),
        color=alt.Color("outcome:N", title=None)
        .scale(domain=list(OUTCOMES), range=_COLORS)
        .legend(orient="bottom"),
        tooltip=["route", "kind", "outcome", *tips(".1%", "share"), "n"],
    )
    numbers = base.mark_text(fontSize=11, color=ON_BRIGHT).encode(
        x=alt.X("share:Q").stack("zero").bandPosition(0.5), text="shown:N"
    )
    return Chart(
        panels(bars + numbers, "kind", frame["kind"], columns=2, independent=["x"]),
        "What became of word problems",
        "From the left: right by the right plan; right answers of a wrong plan, which is luck; right plans "
        "with a wrong answer; wrong plans; and replies without an answer.",
    )


@with_rows
def replies(answers: pd.DataFrame) -> Explorer:
    """Replies to word problems to read, by route and by what became of them; false equations are marked."""
    words = answers[answers["test"] == "words"]

    def draw(route: str, outcome: str) -> Texts:
        chosen = words[(words["route"] == route) & (words["outcome"] == outcome)]
        return Texts(
            [_card(row) for row in chosen.head(6).itertuples()],
            "Replies to read",
            f"Route {route}, {outcome}: {min(6, len(chosen))} of {len(chosen):,} replies. Marked are false "
            "equations; above each text the right answer.",
        )

    asked = _present(words)
    known = set(words.loc[words["route"] == asked[0], "outcome"])
    first = next(outcome for outcome in (*OUTCOMES[1:], OUTCOMES[0]) if outcome in known)
    return Explorer(draw, route=asked, outcome=menu(OUTCOMES, first))


def _card(row: Any) -> dict[str, object]:
    text = f"{row.question}\n\n{row.reply.strip() or '(no reply)'}"
    marks, at = [], len(row.question)
    for equation in equations(row.reply):
        written = f"{equation.left} = {equation.right}"
        start = text.find(written, at)
        if start >= 0:
            at = start + len(equation.left)
            marks += [] if equation.true else [(start, start + len(written), "false")]
    return {"label": f"{row.kind}, gold {row.gold}", "text": text, "marks": marks}
