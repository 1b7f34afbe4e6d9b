"""Pictures of 11_rlp: trainings, thoughts, what thoughts are worth, pass@k, and how many answers are left."""

from typing import Any

import altair as alt
import pandas as pd

from workbench.charts.intervals import intervals
from workbench.charts.parts import axis_order, looks, panels, tips
from workbench.charts.theme import CONTROL, CONTROLS, QUIET, TREATED, series
from workbench.charts.view import Chart, Explorer, Table, Texts, menu, with_rows
from workbench.corpora.thoughts import parse_question
from workbench.studies.rlp.data import CHAIN, COUNT, PROBLEM, TEXT, WHO
from workbench.studies.rlp.plan import (
    AFTER_RLP,
    AFTER_TEXT,
    ANYWHERE,
    BASE,
    COMPUTE,
    GRPO,
    LONGER,
    PURE,
    RLP,
    RPT,
    TOKENS,
)
from workbench.studies.rlp.results import NARROWED, PASSES, PREDICTED

CURVES = {
    "reward": "reward",
    "reward_spread": "spread of rewards in a group",
    "degenerate_groups": "groups with equal rewards",
    "entropy": "entropy (nats per token)",
    "nats_with_thought": "nats after a thought",
    "length": "tokens drawn",
}
# What is asked, as panels and tables call it.
KINDS = {
    CHAIN: "chains (one right answer)",
    COUNT: "counts (one right answer)",
    PROBLEM: "problems of the file",
    WHO: "who (many right answers)",
    TEXT: "held-out texts",
}

# Trainings, in the order of a table.
ARMS = (BASE, TOKENS, COMPUTE, RLP, PURE, RPT, ANYWHERE, GRPO, LONGER, AFTER_TEXT, AFTER_RLP)


_ROLES = {BASE: QUIET, TOKENS: CONTROLS[1], COMPUTE: CONTROL, RLP: TREATED}
_THOUGHTS = ["after a thought", "without a thought"]


def _trainings(frame: pd.DataFrame) -> dict[str, Any]:
    """Looks of the trainings, in the order of a table."""
    known = set(frame["arm"])
    others = [arm for arm in axis_order(frame["arm"]) if arm not in ARMS]
    return series("arm", "training", [*(arm for arm in ARMS if arm in known), *others], _ROLES)


def identities(frame: pd.DataFrame) -> Table:
    """What can be calculated by hand. Columns: what, by hand, here."""
    return Table(
        frame,
        "What can be checked by hand",
        "Examples and identities of the papers, and what the code of this notebook gives.",
        limit=len(frame),
    )


def cancels(frame: pd.DataFrame) -> Table:
    """Trainings with other averages. Columns: baseline, decay, moved, apart."""
    names = {
        "decay": "decay of the average",
        "moved": "largest change of a weight",
        "apart": "largest difference from the first row",
    }
    written = {name: frame[name].map("{:.1e}".format) for name in ("moved", "apart")}
    return Table(
        frame.assign(**written).rename(columns=names),
        "The average cancels",
        "The same short training with averages that never follow the model, follow it slowly, or are the "
        "model: with rewards held against the group's mean the weights end alike but for rounding, and only "
        "without that mean do they not.",
    )


def worth(frame: pd.DataFrame) -> Table:
    """Whether a useful thought pays before any reinforcement. Columns: thought, nats, right, n."""
    return Table(
        frame.rename(columns={"nats": "nats of the answer", "right": "most likely answer is right"}),
        "Does thinking pay before anybody is rewarded for it?",
        "Answers of the base after thoughts that we write. The log of a probability punishes confident "
        "mistakes: if a useful thought costs more nats than an idle one, RLP alone teaches not to think.",
    )


def training(rows: pd.DataFrame) -> Chart:
    """Trainings step by step. Columns: arm, seed, step and those of `CURVES`."""
    known = [name for name in CURVES if name in rows and rows[name].notna().any()]
    long = rows.melt(["arm", "seed", "step"], known, "measure").dropna(subset=["value"])
    long["step"] = (long["step"] - 1) // 2 * 2 + 1.5  # two steps a point: calmer, and half the file
    mean = long.groupby(["arm", "step", "measure"], sort=False)["value"].mean().reset_index()
    mean["measure"] = mean["measure"].map(CURVES)
    lines = alt.Chart(mean, width=190, height=150).mark_line()
    lines = lines.encode(
        x=alt.X("step:Q", title="step"),
        y=alt.Y("value:Q", title=None).scale(zero=False),
        tooltip=["arm", "measure", *tips(".3f", "value")],
        **_trainings(mean),
    )
    return Chart(
        panels(lines, "measure", CURVES.values(), columns=3, independent=["y"]),
        "While they train",
        "Means over trainings and two steps. The reward of RLP is in nats, that of GRPO and RPT a share; a "
        "group whose rewards are all equal teaches nothing.",
    )


def thoughts(snapshots: pd.DataFrame) -> Explorer:
    """What is thought at the same places in training. Columns: arm, seed, step, before, thought, after."""
    first = snapshots[snapshots["seed"] == snapshots["seed"].min()]
    first = first.assign(step="step " + first["step"].astype(str))

    def draw(training: str) -> Table:
        wide = first[first["arm"] == training].pivot_table(
            index=["before", "after"], columns="step", values="thought", aggfunc="first", sort=False
        )
        wide = wide.reset_index().rename(columns={"before": "text before", "after": "what follows"})
        items = [parse_question(text) for text in wide["text before"]]
        steps = [" ".join(item.steps) for item in items if item]
        if len(steps) == len(items):
            wide["useful thought"] = steps
        return Table(
            wide,
            "What a thought looks like as training goes on",
            f"{training}, the first seed: one thought at the same places, with the same draws, after "
            "some of the steps.",
        )

    return Explorer(draw, training=first["arm"])


@with_rows
def predicted(frame: pd.DataFrame) -> Chart:
    """Nats with and without thoughts, by arm. Columns: kind, arm, thought, value, low, high, n."""
    title, scale = "nats (log scale)", {"type": "log", "nice": False}
    shown = frame.assign(kind=frame["kind"].map(KINDS))
    chart = intervals(
        shown, "arm", title, look=looks("thought", None, _THOUGHTS, {_THOUGHTS[1]: CONTROL}), scale=scale
    ).properties(width=220)
    return Chart(
        panels(chart, "kind", KINDS.values(), independent=["x"]),
        PREDICTED,
        "What the true next tokens cost, lower is better: of chains and texts that nothing was learnt from, "
        "and of counts, which are facts that were read. Lines are 95 % intervals over places with all "
        "seeds. Thoughts are the model's own.",
    )


def passes(frame: pd.DataFrame) -> Chart:
    """pass@k by arm. Columns: kind, arm, k, value, low, high, n."""
    shown = frame.assign(kind=frame["kind"].map(KINDS))
    x = alt.X("k:Q", title="replies (k)").scale(type="log", base=2)
    style = {"form": ".1%", "tooltip": ["arm", "k"], "drawn": "nothing", "mark": "line"}
    lines = intervals(shown, x, "pass@k", look=_trainings(shown), **style)
    return Chart(
        panels(lines.properties(width=190, height=220), "kind", KINDS.values(), columns=3),
        PASSES,
        "The chance that one of k replies is right, estimated without bias. A curve that begins higher and "
        "ends lower than another has traded range for certainty. Of ten digits one is right by luck, which "
        "at k = 8 alone finds 57 % of chains and counts.",
    )


def narrowed(frame: pd.DataFrame) -> Chart:
    """How many right answers are left, by arm. Columns: arm, measure, value, low, high, n."""
    chart = intervals(frame, "arm", None, form=".2f", scale={"zero": False}, labels=".2f")
    return Chart(
        panels(chart.properties(width=250), "measure", frame["measure"], independent=["x"]),
        NARROWED,
        "Names that no training was rewarded for. Left: how many of four right replies to one question "
        "differ. Right: the share of right replies, which training on other things can lower too. Lines are "
        "95 % intervals over questions.",
    )


def answers(replies: pd.DataFrame) -> Explorer:
    """Names in reply to one question, by training. Columns: arm, kind, item, question, answer, right."""
    right = replies[(replies["kind"] == WHO) & replies["right"]]

    def draw(question: str) -> Chart:
        shown = right[right["question"] == question]
        counts = shown.groupby(["arm", "answer"], sort=False).size().rename("replies").reset_index()
        blocks = alt.Chart(counts, width=alt.Step(26), height=alt.Step(26)).mark_rect()
        blocks = blocks.encode(
            x=alt.X("answer:N", title="right answer").axis(labelAngle=-60),
            y=alt.Y("arm:N", title=None, sort=axis_order(right["arm"])),
            color=alt.Color("replies:Q", title="replies"),
            tooltip=["arm", "answer", "replies"],
        )
        return Chart(
            blocks,
            "Which right answers are given",
            f"{question}: every column is a right name, every row a training, all seeds together. Rows "
            "with fewer and brighter cells have settled on some of the names.",
        )

    return Explorer(draw, question=right["question"])


def browser(replies: pd.DataFrame) -> Explorer:
    """Replies to read. Columns: arm, kind, question, reply, right."""

    def draw(training: str, kind: str, verdict: str) -> Texts:
        of_kind = (replies["arm"] == training) & (replies["kind"] == kind)
        chosen = replies[of_kind & (replies["right"] == (verdict == "right"))]
        shown = chosen.drop_duplicates("question").head(9)
        return Texts(
            [{"label": verdict, "text": f"{row.question}{row.reply}"} for row in shown.itertuples()],
            "Replies to read",
            f"{training}: {len(chosen):,} {verdict} replies to such questions, {len(shown)} of them below.",
        )

    arms = menu(replies["arm"], "GRPO")
    return Explorer(draw, training=arms, kind=replies["kind"], verdict=["right", "wrong"])


def summary(frame: pd.DataFrame) -> Table:
    """Replies by kind of question and arm. Columns: kind, arm and those of `results.table`."""
    known = {name: rank for rank, name in enumerate([*KINDS, *ARMS])}
    ordered = frame.sort_values(["kind", "arm"], key=lambda names: names.map(known), kind="stable")
    return Table(
        ordered.rename(columns={"arm": "training", "kind": "question"}).round(3),
        "Replies, by training",
        "Shares of replies, and how many different answers the replies to one question hold. Free replies "
        "may think or not; RLP never trains the choice to think. A pass is one token through the model, "
        "forward; learning from it takes three. Those of an earlier stage are counted with it.",
        limit=len(frame),
    )
