"""Pictures of 07_arithmetic: exercises by cell, learning, accuracies by route, errors, and replies."""

import altair as alt
import pandas as pd

from workbench.charts.intervals import intervals
from workbench.charts.parts import numbered_cells, panels, tips
from workbench.charts.theme import ON_BRIGHT, series
from workbench.charts.view import Chart, Explorer, Table, Texts, menu, with_rows
from workbench.measures.answers.equations import equations
from workbench.studies.arithmetic.experiment import ROUTES
from workbench.studies.arithmetic.results import KIND, OUTCOMES

SIGNS = {"+": "+", "-": "−", "*": "×", "/": "÷"}


def cells(frame: pd.DataFrame) -> Table:
    """What the exercises hold. Columns: operation, digits, n, different."""
    shown = frame.assign(operation=frame["operation"].map(SIGNS))
    return Table(
        shown.rename(columns={"digits": "digits of the operands", "n": "exercises"}),
        "Exercises by cell",
        "So many exercises were drawn to learn from in each cell, and so many of them have operands of their "
        "own; small cells are soon used up. A fifth of all operands is kept apart for the test.",
    )


@with_rows
def heat_map(frame: pd.DataFrame) -> Chart:
    """Arithmetic on unseen operands. Columns: route, operation, digits, accuracy, low, high, n."""
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
        panels(blocks, "route", ROUTES, columns=2),
        "Arithmetic by operation and digits",
        "A panel a route; each cell is the share of right answers to exercises whose operands were never "
        "learnt. Cells of small numbers hold few exercises, empty ones none.",
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
        "a band from the lowest to the highest. Where “intermediate” reads arithmetic alone, it stays high.",
    )


def by_route(frame: pd.DataFrame) -> Chart:
    """Accuracies by route. Columns: route, measure, value, low, high, n."""
    meanings = {
        "right on both twins": "; a problem and its twin with other numbers both right",
        "equations in rationales": "; share of true equations in all that was written",
    }
    measures = list(dict.fromkeys(frame["measure"]))
    order = [measure for measure in measures if measure.startswith(KIND)]
    order += [measure for measure in meanings if measure in measures]
    rows = frame[frame["measure"].isin(order)]
    style = {"form": ".1%", "tooltip": ["route", "measure"], "axis": {"tickCount": 5}, "labels": ".0%"}
    chart = intervals(rows, "route", "share", order=ROUTES, step=34, **style)
    chart += alt.Chart(rows).mark_point(opacity=0).encode(x=alt.datum(0.05))  # zeros alone have an axis too
    what = "".join(text for measure, text in meanings.items() if measure in order)
    twins = "right on both twins" in order
    last = "" if twins else " Given problems have no twins with other numbers: robustness is not measured."
    return Chart(
        panels(chart.properties(width=240), "measure", order, columns=2, independent=["x"]),
        "Word problems by route",
        f"Right answers to each kind of word problem{what}. Lines are 95 % intervals over "
        f"trainings, or over questions where there are fewer than five trainings.{last}",
    )


def errors(frame: pd.DataFrame) -> Chart:
    """What became of the word problems. Columns: route, kind, outcome, share, n."""
    rows = frame.assign(
        order=frame["outcome"].map(OUTCOMES.index),
        shown=frame["share"].map("{:.0%}".format).where(frame["share"] > 0.06, ""),
    )
    y = alt.Y("route:N", title=None, sort=list(ROUTES))
    base = alt.Chart(rows, width=250, height=alt.Step(34)).encode(y=y, order="order:Q")
    x = alt.X("share:Q", title="share of problems").stack("zero").axis(format="%", tickCount=5)
    bars = base.mark_bar().encode(
        x=x.scale(domain=[0, 1]),
        color=alt.Color("outcome:N", title=None).scale(domain=list(OUTCOMES)).legend(orient="bottom"),
        tooltip=["route", "kind", "outcome", *tips(".1%", "share"), "n"],
    )
    numbers = base.mark_text(fontSize=11, color=ON_BRIGHT).encode(
        x=alt.X("share:Q").stack("zero").bandPosition(0.5), text="shown:N"
    )
    return Chart(
        panels(bars + numbers, "kind", frame["kind"], columns=2, independent=["x"]),
        "What goes wrong",
        "From the left: right answers; wrong ones with a false equation; wrong ones in which every equation "
        "is true, so that the plan was wrong; and replies without an answer.",
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

    asked = [route for route in ROUTES if (words["route"] == route).any()]
    known = set(words.loc[words["route"] == asked[0], "outcome"])
    first = next(outcome for outcome in (*OUTCOMES[1:], OUTCOMES[0]) if outcome in known)
    return Explorer(draw, route=asked, outcome=menu(OUTCOMES, first))


def _card(row: tuple) -> dict[str, object]:
    text = f"{row.question}\n\n{row.reply.strip() or '(no reply)'}"
    marks, at = [], len(row.question)
    for equation in equations(row.reply):
        written = f"{equation.left} = {equation.right}"
        start = text.find(written, at)
        if start >= 0:
            at = start + len(equation.left)
            marks += [] if equation.true else [(start, start + len(written), "false")]
    return {"label": f"{row.kind}, gold {row.gold}", "text": text, "marks": marks}
