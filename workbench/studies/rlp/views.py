"""Pictures of 11_rlp: trainings, thoughts, what thoughts are worth, pass@k, and how many answers are left."""

import altair as alt
import ipywidgets
import pandas as pd

from workbench.charts.theme import INK, series
from workbench.charts.view import Chart, Explorer, Table, Texts
from workbench.corpora.thoughts import read
from workbench.studies.rlp.results import NARROWED, PASSES, PREDICTED

CURVES = {
    "reward": "reward",
    "reward_spread": "spread of rewards in a group",
    "degenerate_groups": "groups with equal rewards",
    "entropy": "entropy (nats per token)",
    "nats_with_thought": "nats after a thought",
    "length": "tokens drawn",
}


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
    frame = frame.assign(**{name: frame[name].map("{:.1e}".format) for name in ("moved", "apart")})
    shown = frame.rename(columns={
        "decay": "decay of the average",
        "moved": "largest change of a weight",
        "apart": "largest difference from the first row",
    })  # fmt: skip
    return Table(
        shown,
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
    lines = (
        alt.Chart(mean, width=190, height=150)
        .mark_line()
        .encode(
            x=alt.X("step:Q", title="step"),
            y=alt.Y("value:Q", title=None).scale(zero=False),
            tooltip=["arm", "measure", alt.Tooltip("value", format=".3f")],
            **series("arm", "training"),
        )
        .facet(alt.Facet("measure:N", title=None, sort=list(CURVES.values())), columns=3)
        .resolve_scale(y="independent")
    )
    return Chart(
        lines,
        "While they train",
        "Means over repetitions and two steps. The reward of RLP is in nats, that of GRPO and RPT a share; a "
        "group whose rewards are all equal teaches nothing.",
    )


def thoughts(snapshots: pd.DataFrame) -> Explorer:
    """What is thought at the same places in training. Columns: arm, seed, step, before, thought, after."""
    first = snapshots[snapshots["seed"] == snapshots["seed"].min()]

    def draw(training: str) -> Table:
        own = first[first["arm"] == training].assign(step=lambda rows: "step " + rows["step"].astype(str))
        wide = own.pivot_table(
            index=["before", "after"], columns="step", values="thought", aggfunc="first", sort=False
        )
        wide = wide.reset_index().rename(columns={"before": "text before", "after": "what follows"})
        chains = [read(text) for text in wide["text before"]]
        if all(chains):
            wide["useful thought"] = [chain.thought.strip() for chain in chains]
        return Table(
            wide,
            "What a thought looks like as training goes on",
            f"{training}, the first repetition: one thought at the same places, with the same draws, after "
            "some of the steps.",
        )

    arms = list(dict.fromkeys(first["arm"]))
    return Explorer(draw, training=ipywidgets.Dropdown(options=arms))


def predicted(frame: pd.DataFrame) -> Chart:
    """Nats with and without thoughts, by arm. Columns: arm, thought, value, low, high, n."""
    base = alt.Chart(frame, width=420, height=alt.Step(30)).encode(
        y=alt.Y("arm:N", title=None, sort=list(dict.fromkeys(frame["arm"])))
    )
    x = alt.X("value:Q", title="nats of the true next tokens (log scale)").scale(type="log", nice=False)
    rules = base.mark_rule(strokeWidth=2.2).encode(
        x=alt.X("low:Q", title="nats of the true next tokens (log scale)"),
        x2="high:Q",
        stroke=alt.Stroke("thought:N", legend=None),
    )
    points = base.mark_point(filled=True, size=90).encode(
        x=x,
        color=alt.Color("thought:N", title=None),
        shape=alt.Shape("thought:N", title=None),
        tooltip=[
            "arm",
            "thought",
            *[alt.Tooltip(name, format=".3f") for name in ("value", "low", "high")],
            "n",
        ],
    )
    return Chart(
        rules + points,
        PREDICTED,
        "What the true continuation costs at places that nothing was learnt from, lower is better; lines are "
        "95 % intervals over places with all repetitions. Thoughts are the model's own.",
    )


def passes(frame: pd.DataFrame) -> Chart:
    """pass@k by arm. Columns: kind, arm, k, value, low, high, n."""
    kinds = {"chain": "chains (one right answer)", "aim": "aims (many right answers)"}
    lines = (
        alt.Chart(frame.assign(kind=frame["kind"].map(kinds)), width=260, height=230)
        .mark_line(point=True)
        .encode(
            x=alt.X("k:Q", title="replies (k)").scale(type="log", base=2),
            y=alt.Y("value:Q", title="pass@k").axis(format="%"),
            tooltip=[
                "arm",
                "k",
                *[alt.Tooltip(name, format=".1%") for name in ("value", "low", "high")],
                "n",
            ],
            **series("arm", "training"),
        )
        .facet(alt.Facet("kind:N", title=None, sort=list(kinds.values())))
    )
    return Chart(
        lines,
        PASSES,
        "The chance that one of k replies is right, estimated without bias. A curve that begins higher and "
        "ends lower than another has traded range for certainty.",
    )


def narrowed(frame: pd.DataFrame) -> Chart:
    """How many right answers are left, by arm. Columns: arm, measure, value, low, high, n."""
    base = alt.Chart(frame, width=250, height=alt.Step(30)).encode(
        y=alt.Y("arm:N", title=None, sort=list(dict.fromkeys(frame["arm"])))
    )
    rules = base.mark_rule(strokeWidth=2.2).encode(x=alt.X("low:Q", title=None), x2="high:Q")
    points = base.mark_point(filled=True, size=90).encode(
        x=alt.X("value:Q", title=None).scale(zero=False),
        tooltip=["arm", *[alt.Tooltip(name, format=".2f") for name in ("value", "low", "high")], "n"],
    )
    numbers = base.mark_text(dy=-11, fontSize=11, color=INK).encode(
        x="value:Q", text=alt.Text("value:Q", format=".2f")
    )
    measures = list(dict.fromkeys(frame["measure"]))
    chart = (rules + points + numbers).facet(alt.Facet("measure:N", title=None, sort=measures))
    return Chart(
        chart.resolve_scale(x="independent"),
        NARROWED,
        "Aims that no training was rewarded for. Left: how many of four right replies to one question "
        "differ. Right: the share of right replies, which training on other things can lower too. Lines are "
        "95 % intervals over aims.",
    )


def answers(replies: pd.DataFrame) -> Explorer:
    """Right answers to one aim by training. Columns: arm, kind, item, question, answer, right."""
    right = replies[(replies["kind"] == "aim") & replies["right"]]

    def draw(question: str) -> Chart:
        own = right[right["question"] == question]
        counts = own.groupby(["arm", "answer"], sort=False).size().rename("replies").reset_index()
        chart = alt.Chart(counts, width=alt.Step(26), height=alt.Step(26)).encode(
            x=alt.X("answer:N", title="right answer").axis(labelAngle=-60),
            y=alt.Y("arm:N", title=None, sort=list(dict.fromkeys(right["arm"]))),
        )
        blocks = chart.mark_rect().encode(
            color=alt.Color("replies:Q", title="replies"), tooltip=["arm", "answer", "replies"]
        )
        return Chart(
            blocks,
            "Which right answers are given",
            f"{question}: every column is a right way, every row a training, all repetitions together. Rows "
            "with fewer and brighter cells have settled on some of the ways.",
        )

    return Explorer(draw, question=ipywidgets.Dropdown(options=list(dict.fromkeys(right["question"]))))


def browser(replies: pd.DataFrame) -> Explorer:
    """Replies to read. Columns: arm, kind, question, reply, right."""

    def draw(training: str, kind: str, verdict: str) -> Texts:
        own = replies[(replies["arm"] == training) & (replies["kind"] == kind)]
        own = own[own["right"] == (verdict == "right")]
        shown = own.drop_duplicates("question").head(9)
        return Texts(
            [{"label": verdict, "text": f"{row.question}{row.reply}"} for row in shown.itertuples()],
            "Replies to read",
            f"{training}: {len(own):,} {verdict} replies to such questions, {len(shown)} of them below.",
        )

    return Explorer(
        draw,
        training=ipywidgets.Dropdown(options=list(dict.fromkeys(replies["arm"])), value="GRPO"),
        kind=ipywidgets.Dropdown(options=["chain", "aim"]),
        verdict=ipywidgets.Dropdown(options=["right", "wrong"]),
    )


def summary(frame: pd.DataFrame) -> Table:
    """Chains by arm. Columns: arm and what `rlp_results.table` names."""
    return Table(
        frame.rename(columns={"arm": "training"}).round(3),
        "Chains, by training",
        "Shares of replies to chains that nothing was learnt from, and how many different answers the "
        "replies to one chain hold. Free replies may think or not; RLP never trains the choice to think.",
    )
