"""Pictures of 08_siked: who solves what, what rounds bring, which strategy is chosen, and solutions."""

from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from workbench.charts.intervals import intervals
from workbench.charts.parts import axis_order, looks, panels, tips
from workbench.charts.theme import CONTROL, INK, PALETTE, QUIET, TREATED, series
from workbench.charts.view import Chart, Explorer, Table, Texts, menu, with_rows

_NAMES = {
    "cot": "chain of thought",
    "l2m": "least to most",
    "pot": "program of thought",
    "none": "no tag of the three",
}
_SHORT = {"cot": "chain of thought", "l2m": "least to most", "pot": "program"}
_SOLVED = {"a single strategy": TREATED, "several strategies, or none": QUIET}
_COLORS = dict(zip(_NAMES.values(), [PALETTE[0], PALETTE[4], PALETTE[3], QUIET], strict=True))


@with_rows
def sample(rows: pd.DataFrame) -> Texts:
    """One question in as many strategies as any has. Columns: id, question, strategy, text."""
    shown = rows[rows["id"] == rows.groupby("id", sort=False).size().idxmax()]
    items = [{"label": "question", "text": shown["question"].iloc[0]}]
    for row in shown.itertuples():
        items.append({"label": _NAMES[row.strategy], "text": f"[{row.strategy}] {row.text}"})
    return Texts(
        items,
        "One question, three ways to solve it",
        "What the teacher writes; the tag in front says which way it is, and students learn to write it too.",
    )


def accuracy(frame: pd.DataFrame) -> Chart:
    """Right answers and right plans by student. Columns: arm, kind, measure, value, low, high, n."""
    shown = frame.assign(panel=frame["kind"] + " questions: " + frame["measure"])
    style = {"form": ".1%", "tooltip": ["arm", "kind", "measure"], "step": 34, "labels": ".0%"}
    return Chart(
        panels(
            intervals(shown, "arm", "share of questions", **style).properties(width=220), "panel", columns=2
        ),
        "Who solves what",
        "Dots are shares of right answers, and of solutions that take a valid path, to test questions; lines "
        "are 95 % intervals over questions with all seeds. Compare students within a panel: all began from "
        "one base and are asked the same.",
    )


def rounds(frame: pd.DataFrame) -> Chart:
    """What is measured by round, held out and of mixtures. Columns: arm, round, value, measure."""
    x, tooltip = alt.X("round:O", title="round"), ["arm", "round", "measure"]
    style = {"names": ["value"], "tooltip": tooltip, "look": _students(frame), "mark": "line"}
    lines = intervals(frame, x, None, **style).properties(width=185, height=190)
    return Chart(
        panels(lines, "measure", frame["measure"], columns=3, independent=["y"]),
        "What each round brings",
        "Means over seeds. Bits are the spread of the strategies that a student chooses, 0 where it knows "
        "one only, 1.58 where it takes all three alike. Alpha is the teacher's share of what is learnt; "
        "KL, in nats, is how far the mixture's strategies are from those that the student chooses. Wrong "
        "plans in own solutions are right answers by luck, which the check of answers lets pass.",
    )


def _students(frame: pd.DataFrame) -> dict[str, Any]:
    """Looks of the students; those that began biased are many and alike, and stay in the background."""
    order = axis_order(frame["arm"])
    roles = {arm: QUIET for arm in order if str(arm).startswith("biased")}
    return series("arm", "student", order, {**roles, "SIKeD": TREATED, "combined": CONTROL})


def strategies(frame: pd.DataFrame) -> Chart:
    """Which strategy the students choose. Columns: arm, round, strategy, share."""
    shown = frame.assign(strategy=frame["strategy"].map(_NAMES))
    bars = alt.Chart(shown, width=alt.Step(24), height=170).mark_bar()
    bars = bars.encode(
        x=alt.X("round:O", title="round"),
        y=alt.Y("share:Q", title="share chosen").axis(format="%"),
        color=alt.Color("strategy:N", title="strategy").scale(
            domain=list(_COLORS), range=list(_COLORS.values())
        ),
        tooltip=["arm", "round", "strategy", *tips(".1%", "share")],
    )
    return Chart(
        panels(bars, "arm", frame["arm"]).properties(spacing=12),
        "Which strategy a student chooses",
        "The tag that each student writes first on a held-out question when nobody forces it, by round; a "
        "single colour is a student that has given up all strategies but one. Means over seeds, each of "
        "which may settle on another.",
    )


def verdicts(frame: pd.DataFrame) -> Table:
    """Test answers by student, strategy and verdict. Columns: arm, strategy, verdict, share, n."""
    table = frame.pivot_table(index=["arm", "strategy"], columns="verdict", values="n", sort=False)
    table = table.fillna(0).astype(int).reset_index().rename(columns={"arm": "student"})
    return Table(
        table,
        "Answers by strategy and verdict",
        "How many test questions each student answered in each strategy, and what came of it. An answer that "
        "cannot be read is no wrong one; one without a tag is of no strategy.",
    )


def _spelled(solved_by: str) -> str:
    """Names of strategies as they are read: "cot, pot" is "chain of thought, program"."""
    names = [_SHORT.get(name, name) for name in solved_by.split(", ")]
    if len(names) == len(_SHORT):
        return "all three"
    return f"{names[0]} alone" if solved_by in _SHORT else ", ".join(names)


def solved(frame: pd.DataFrame) -> Chart:
    """Held-out questions by the strategies that solve them. Columns: solved_by, questions."""
    ordered = frame.sort_values("questions", ascending=False)
    alone = ordered["solved_by"].isin(list(_SHORT))
    shown = ordered.assign(by=ordered["solved_by"].map(_spelled), who=np.where(alone, *_SOLVED))
    y = alt.Y("by:N", title=None, sort=axis_order(shown["by"]))
    base = alt.Chart(shown, height=alt.Step(26)).encode(y=y)
    x = alt.X("questions:Q", title="held-out questions, all seeds").axis(tickMinStep=1, format="d")
    look = looks("who", "solved by", list(_SOLVED), _SOLVED, orient="top")
    bars = base.mark_bar().encode(x=x, tooltip=["by", "questions"], color=look["color"])
    return Chart(
        bars + base.mark_text(align="left", dx=4, color=INK).encode(x="questions:Q", text="questions:Q"),
        "Where strategies differ",
        "Held-out questions by which strategies find the right answer when the student of the teacher alone "
        "is told to use each. Blue are those that a single strategy solves: what a mixture can gain.",
    )


def browser(answers: pd.DataFrame) -> Explorer:
    """Solutions to read. Columns: arm, kind, question, strategy, text, verdict."""

    def draw(student: str, verdict: str, strategy: str) -> Texts:
        chosen = answers[answers["arm"] == student]
        for column, value in (("verdict", verdict), ("strategy", strategy)):
            chosen = chosen if value == "all" else chosen[chosen[column] == value]
        shown = chosen.drop_duplicates("question").head(6)
        count = f"{len(chosen):,} such answers, {len(shown)} of them below"
        items = [
            {"label": f"{row.verdict}, {row.strategy}, {row.kind}", "text": f"{row.question}\n\n{row.text}"}
            for row in shown.itertuples()
        ]
        return Texts(items, "Solutions to read", f"{student}: {count if items else 'no such answer'}.")

    return Explorer(
        draw,
        student=menu(answers["arm"], "SIKeD"),
        verdict=["all", *answers["verdict"]],
        strategy=["all", *answers["strategy"]],
    )
