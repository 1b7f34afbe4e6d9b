"""Pictures of 14_loop: pools, the chain step by step, pass@k at its end, rewards, costs and replies."""

import altair as alt
import pandas as pd

from workbench.charts.intervals import intervals
from workbench.charts.parts import axis_order, looks, panels, tips
from workbench.charts.theme import CONTROLS, PALETTE, TREATED, series
from workbench.charts.view import Chart, Explorer, Table, Texts, menu, with_rows
from workbench.studies.loop.results import CHAIN, END, MEASURES, PASSES, SOME

_MEANS = "Points are means over trainings and lines their 95 % intervals, over problems where there is one."
ROLES = {
    "prismatic, loop": TREATED,
    "prismatic, loop, not yet rewarded": PALETTE[2],
    "prismatic, imitation alone": PALETTE[5],
    **dict(
        zip(
            ["random, loop", "random, loop, not yet rewarded", "random, imitation alone"],
            CONTROLS,
            strict=True,
        )
    ),
}
REWARDS = {
    "reward": "right replies",
    "degenerate_groups": "groups that teach nothing",
    "entropy": "entropy (nats per token)",
}


def pools(frame: pd.DataFrame) -> Table:
    """What synthesis made. Columns: pool, problems, kinds and evenness."""
    names = {"kinds": "rule sets", "evenness": "as even as so many"}
    return Table(
        frame.rename(columns=names).round(1),
        "The pools",
        "Means over seeds. The last column is exp(entropy) of the rule sets: a pool of eight sets, half of "
        "them ten times as frequent as the others, is as even as some five. No pool has one of "
        "the test's.",
    )


@with_rows
def chain(frame: pd.DataFrame) -> Chart:
    """Every measure after every step. Columns: arm, step, at, measure, value, low, high, n."""
    steps = frame.sort_values("at", kind="stable")["step"]
    x = alt.X("step:N", title=None, sort=axis_order(steps)).axis(labelAngle=-35, labelOverlap=False)
    look = looks("arm", None, axis_order(frame["arm"]), ROLES, orient="bottom", columns=2)
    look["xOffset"] = alt.XOffset("arm:N", sort=axis_order(frame["arm"]))
    points = intervals(frame, x, None, look=look, tooltip=["arm", "step"], scale={"zero": False})
    return Chart(
        panels(
            points.properties(width=260, height=190),
            "measure",
            MEASURES.values(),
            columns=2,
            independent=["y"],
        ),
        CHAIN,
        "After each step every model is asked the same problems of rule sets that no pool has. Different "
        f"answers are counted among all replies to a problem, right or wrong; paths among {SOME} right ones. "
        f"{_MEANS}",
    )


@with_rows
def passes(frame: pd.DataFrame) -> Chart:
    """pass@k of each arm. Columns: arm, k, value, low, high, n."""
    x = alt.X("k:Q", title="replies (k)").scale(type="log", base=2)
    style = {"form": ".1%", "tooltip": ["arm", "k"], "drawn": "nothing", "mark": "line"}
    lines = intervals(frame, x, "pass@k", look=series("arm", "arm", axis_order(frame["arm"]), ROLES), **style)
    return Chart(
        lines.properties(width=420, height=280),
        PASSES,
        "The chance that one of k replies is right, estimated without bias. A curve that begins higher and "
        "ends lower than another has traded range for certainty.",
    )


def rewards(rows: pd.DataFrame) -> Chart:
    """Reinforcement, step by step. Columns: arm, seed, step and those of `REWARDS`."""
    long = rows.melt(["arm", "seed", "step"], list(REWARDS), "measure").dropna(subset=["value"])
    mean = long.groupby(["arm", "step", "measure"], sort=False)["value"].mean().reset_index()
    mean["measure"] = mean["measure"].map(REWARDS)
    lines = alt.Chart(mean, width=185, height=150).mark_line()
    lines = lines.encode(
        x=alt.X("step:Q", title="step"),
        y=alt.Y("value:Q", title=None).scale(zero=False),
        tooltip=["arm", "measure", *tips(".3f", "value")],
        **series("arm", "arm", axis_order(mean["arm"]), ROLES),
    )
    return Chart(
        panels(lines, "measure", REWARDS.values(), columns=3, independent=["y"]),
        "While it is rewarded",
        "Means over trainings, on the questions of the pool. A group whose replies are all right, or all "
        "wrong, teaches nothing; falling entropy says that replies become alike.",
    )


def costs(frame: pd.DataFrame) -> Table:
    """What each step took. Columns: arm, step, millions."""
    return Table(
        frame.rename(columns={"millions": "million passes of a token"}).round(2),
        "What each step costs",
        "Means over trainings: 1 for a token that is drawn, 3 for one that is learnt from. “More imitation” "
        "was given beforehand what the loop would cost if its replies were as long as the solver's.",
    )


def replies(frame: pd.DataFrame) -> Explorer:
    """What every arm says at the end. Columns: arm, at, seed, item, question, reply, right, path."""
    first = frame[(frame["seed"] == frame["seed"].min()) & (frame["at"] == END)]

    def draw(question: str) -> Texts:
        asked = first[first["question"] == question]
        items = [
            {"label": f"{arm}: {_said(part)}", "text": "\n".join(_counted(part))}
            for arm, part in asked.groupby("arm", sort=False)
        ]
        return Texts(
            items,
            "Replies to one problem",
            f"{question} The commonest replies of the first seed at the end of every chain, and how often.",
        )

    return Explorer(draw, question=menu(first["question"].drop_duplicates().head(12)))


def _said(replies: pd.DataFrame) -> str:
    return f"{replies['right'].mean():.0%} right, {replies['path'].nunique()} right paths"


def _counted(replies: pd.DataFrame) -> list[str]:
    counts = replies.groupby("reply", sort=False).agg(n=("right", "size"), right=("right", "first"))
    top = counts.sort_values("n", ascending=False, kind="stable").head(5)
    return [f"{row.n}x {'✓' if row.right else '✗'} {row.Index}" for row in top.itertuples()]
