"""Pictures of 07_arithmetic: exercises by cell, learning, accuracies by route, errors, and replies."""

import altair as alt
import ipywidgets
import pandas as pd

from workbench.charts.theme import INK, ON_BRIGHT, ON_DIM, series
from workbench.charts.view import Chart, Explorer, Table, Texts
from workbench.measures.answers.equations import equations
from workbench.studies.arithmetic.experiment import ROUTES
from workbench.studies.arithmetic.results import KIND, OUTCOMES

SIGNS = {"+": "+", "-": "−", "*": "×", "/": "÷"}
_SHARE = [alt.Tooltip(name, format=".1%") for name in ("low", "high")]


def cells(frame: pd.DataFrame) -> Table:
    """What the exercises hold. Columns: operation, digits, n, different."""
    shown = frame.assign(operation=frame["operation"].map(SIGNS))
    return Table(
        shown.rename(columns={"digits": "digits of the operands", "n": "exercises"}),
        "Exercises by cell",
        "So many exercises were drawn to learn from in each cell, and so many of them have operands of their "
        "own; small cells are soon used up. A fifth of all operands is kept apart for the test.",
    )


def heat_map(frame: pd.DataFrame) -> Chart:
    """Arithmetic on unseen operands. Columns: route, operation, digits, accuracy, low, high, n."""
    rows = frame.assign(sign=frame["operation"].map(SIGNS), shown=frame["accuracy"].map("{:.0%}".format))
    columns = rows["digits"].nunique()
    base = alt.Chart(
        rows, width=alt.Step(max(14, 260 // columns)), height=alt.Step(max(30, 120 // len(SIGNS)))
    ).encode(
        x=alt.X("digits:N", title="digits of the two operands"),
        y=alt.Y("sign:N", title=None, sort=list(SIGNS.values())),
    )
    tooltip = ["route", "sign", "digits", alt.Tooltip("accuracy", format=".1%"), *_SHARE, "n"]
    blocks = base.mark_rect().encode(
        color=alt.Color("accuracy:Q", title="right answers").scale(domain=[0, 1]).legend(format="%"),
        tooltip=tooltip,
    )
    numbers = base.mark_text(fontSize=11).encode(
        text="shown:N",
        color=alt.condition("datum.accuracy > 0.55", alt.value(ON_BRIGHT), alt.value(ON_DIM)),
    )
    layers = blocks + numbers if columns <= 9 else blocks
    chart = layers.facet(alt.Facet("route:N", title=None, sort=list(ROUTES)), columns=2)
    return Chart(
        chart,
        "Arithmetic by operation and digits",
        "A panel a route; each cell is the share of right answers to exercises whose operands were never "
        "learnt. Cells of small numbers hold few exercises, empty ones none.",
    )


def learning(curves: pd.DataFrame) -> Chart:
    """Loss on test word problems while training. Columns: route, seed, tokens, held_out."""
    rows = curves.dropna(subset=["held_out"]).groupby(["route", "tokens"], sort=False)["held_out"]
    rows = rows.agg(["mean", "min", "max"]).reset_index()
    base = alt.Chart(rows).encode(x=alt.X("tokens:Q", title="tokens read").axis(format="~s"))
    band = base.mark_errorband().encode(
        y=alt.Y("min:Q", title="held-out loss (nats per token, log scale)").scale(type="log", nice=False),
        y2="max:Q",
        fill=alt.Fill("route:N", legend=None),  # a colour without a legend would take the lines' legend too
    )
    lines = base.mark_line(point=True).encode(
        y="mean:Q",
        tooltip=["route", "tokens", *(alt.Tooltip(name, format=".3f") for name in ("mean", "min", "max"))],
        **series("route", "route"),
    )
    return Chart(
        band + lines,
        "Learning word problems",
        "Loss on word problems that are never learnt, lower is better; bands reach from the lowest to the "
        "highest repetition. Where “intermediate” still reads arithmetic alone, it stays high.",
    )


def by_route(frame: pd.DataFrame) -> Chart:
    """Accuracies by route. Columns: route, measure, value, low, high, n (repetitions)."""
    named = frame["measure"].drop_duplicates()
    order = [each for each in named if each.startswith(KIND)]
    order += [each for each in ("right on both twins", "equations in rationales") if each in set(named)]
    rows = frame[frame["measure"].isin(order)].assign(shown=lambda own: own["value"].map("{:.0%}".format))
    base = alt.Chart(rows, width=240, height=alt.Step(34)).encode(
        y=alt.Y("route:N", title=None, sort=list(ROUTES))
    )
    x = alt.X("value:Q", title="share").axis(format="%", tickCount=5)
    rules = base.mark_rule(strokeWidth=2.2).encode(x=alt.X("low:Q", title="share"), x2="high:Q")
    points = base.mark_point(filled=True, size=90).encode(
        x=x, tooltip=["route", "measure", alt.Tooltip("value", format=".1%"), *_SHARE, "n"]
    )
    numbers = base.mark_text(dy=-11, fontSize=11, color=INK).encode(x=x, text="shown:N")
    reach = base.mark_point(opacity=0).encode(x=alt.datum(0.05))  # a panel of zeros has an axis too
    chart = (
        (rules + points + numbers + reach)
        .facet(alt.Facet("measure:N", title=None, sort=order), columns=2)
        .resolve_scale(x="independent")
    )
    meanings = {
        "right on both twins": "; a problem and its twin with other numbers both right",
        "equations in rationales": "; share of true equations in all that was written",
    }
    told = "".join(text for measure, text in meanings.items() if measure in order)
    twins = "right on both twins" in order
    last = "" if twins else " Given problems have no twins with other numbers: robustness is not measured."
    return Chart(
        chart,
        "Word problems by route",
        f"Right answers to each kind of word problem{told}. Dots are means over repetitions, lines their "
        f"95 % intervals.{last}",
    )


def errors(frame: pd.DataFrame) -> Chart:
    """What became of the word problems. Columns: route, kind, outcome, share, n."""
    rows = frame.assign(
        order=frame["outcome"].map(OUTCOMES.index),
        shown=frame["share"].map("{:.0%}".format).where(frame["share"] > 0.06, ""),
    )
    base = alt.Chart(rows, width=250, height=alt.Step(34)).encode(
        y=alt.Y("route:N", title=None, sort=list(ROUTES)), order="order:Q"
    )
    x = alt.X("share:Q", title="share of problems").stack("zero").axis(format="%", tickCount=5)
    x = x.scale(domain=[0, 1])
    bars = base.mark_bar().encode(
        x=x,
        color=alt.Color("outcome:N", title=None).scale(domain=list(OUTCOMES)).legend(orient="bottom"),
        tooltip=["route", "kind", "outcome", alt.Tooltip("share", format=".1%"), "n"],
    )
    numbers = base.mark_text(fontSize=11, color=ON_BRIGHT).encode(
        x=alt.X("share:Q").stack("zero").bandPosition(0.5), text="shown:N"
    )
    kinds = alt.Facet("kind:N", title=None, sort=frame["kind"].drop_duplicates().tolist())
    chart = (bars + numbers).facet(kinds, columns=2).resolve_scale(x="independent")
    return Chart(
        chart,
        "What goes wrong",
        "From the left: right answers; wrong ones with a false equation; wrong ones in which every equation "
        "is true, so that the plan was wrong; and replies without an answer.",
    )


def replies(answers: pd.DataFrame) -> Explorer:
    """Replies to word problems to read, by route and by what became of them; false equations are marked."""
    words = answers[answers["test"] == "words"]

    def draw(route: str, outcome: str) -> Texts:
        own = words[(words["route"] == route) & (words["outcome"] == outcome)]
        return Texts(
            [_card(row) for row in own.head(6).itertuples()],
            "Replies to read",
            f"Route {route}, {outcome}: {min(6, len(own))} of {len(own):,} replies. Marked are false "
            "equations; above each text the right answer.",
        )

    asked = [route for route in ROUTES if (words["route"] == route).any()]
    found = set(words.loc[words["route"] == asked[0], "outcome"])
    first = next(each for each in (*OUTCOMES[1:], OUTCOMES[0]) if each in found)
    return Explorer(
        draw,
        route=ipywidgets.Dropdown(options=asked),
        outcome=ipywidgets.Dropdown(options=list(OUTCOMES), value=first),
    )


def _card(row: tuple) -> dict[str, object]:
    text = f"{row.question}\n\n{row.reply.strip() or '(no reply)'}"
    marks, at = [], len(row.question)
    for each in equations(row.reply):
        written = f"{each.left} = {each.right}"
        place = text.find(written, at)
        if place >= 0:
            at = place + len(each.left)
            marks += [] if each.true else [(place, place + len(written), "false")]
    return {"label": f"{row.kind}, gold {row.gold}", "text": text, "marks": marks}
