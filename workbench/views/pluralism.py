"""Pictures of 12_pluralism: people beside models, read-outs, steering, before and after tuning."""

from collections import Counter
from collections.abc import Sequence

import altair as alt
import ipywidgets
import pandas as pd

from workbench.corpora.opinions import Question
from workbench.studies.pluralism import NOBODY, Task
from workbench.studies.pluralism_arms import ARMS, BEFORE, DPO
from workbench.studies.pluralism_results import CHANCES, OTHER, TUNED
from workbench.views.theme import INK, ON_BRIGHT, ON_DIM, PALETTE
from workbench.views.view import Chart, Explorer, Table, Texts

_PERCENT = alt.Tooltip("share:Q", format=".1%")
_DRAWN = 500  # questions in one picture
UNITS = {
    "jsd_nats": "JSD, nats",
    "jsd_bits": "JSD, bits",
    "root_jsd_nats": "√JSD, √nats",
    "total_variation": "total variation",
    "kl_nats": "KL from model, nats",
    "wasserstein_share": "Wasserstein, share",
    "entropy_ratio": "entropy ratio",
    "mode_match": "mode match",
    "simbench_score": "SimBench score",
    "valid": "valid",
    "order": "order sensitivity",
}


def people(task: Task) -> Explorer:
    """What people answer to a question, group by group."""
    known = _by_prompt(task.questions)

    def draw(question: str) -> Chart:
        asked = known[question]
        told = {"everybody": asked.people, **asked.groups}
        rows = [(_label(name, each.n), option, share) for name, each in told.items()
                for option, share in zip(asked.options, each.dist, strict=True)]  # fmt: skip
        frame = pd.DataFrame(rows, columns=["group", "option", "share"])
        return Chart(
            _bars(frame, "group", list(dict.fromkeys(frame["group"])), list(asked.options)),
            "What people answer",
            f"{asked.prompt} Shares of the answers, of everybody and of each group that is told apart.",
        )

    return Explorer(draw, question=ipywidgets.Dropdown(options=list(known)))


def readouts(table: pd.DataFrame) -> Chart:
    """Distance by read-out, with the baselines. Columns: `pluralism_results.by_readout`."""
    own = table[table["measure"] == "jsd_nats"]
    order = own["readout"].tolist()
    color = alt.Color("kind:N", title=None).scale(
        domain=["model", "baseline"], range=[PALETTE[0], PALETTE[1]]
    )
    base = alt.Chart(own, height=alt.Step(34)).encode(y=alt.Y("readout:N", title=None, sort=order))
    rules = base.mark_rule(strokeWidth=2.5).encode(
        x=alt.X("low:Q", title="distance from the people (JSD, nats)"), x2="high:Q", color=color
    )
    points = base.mark_point(filled=True, size=90).encode(
        x="value:Q",
        color=color,
        shape=alt.Shape("kind:N", title=None),
        tooltip=["readout", *[alt.Tooltip(name, format=".4f") for name in ("value", "low", "high")], "n",
                 "unread"],
    )  # fmt: skip
    numbers = base.mark_text(dy=-13, color=INK).encode(x="value:Q", text=alt.Text("value:Q", format=".3f"))
    lost = table[(table["measure"] == "valid") & (table["kind"] == "model")]
    said = ", ".join(f"{row.readout} {row.value:.0%}" for row in lost.itertuples())
    return Chart(
        rules + points + numbers,
        "Distance by read-out",
        "The same model before tuning, read in several ways, against equal shares for all options and two "
        f"halves of the people. How much of it is valid: {said or 'nothing'}. Where that is near 0, the "
        "model was not answering, and the distance says nothing.",
    )


def measures(table: pd.DataFrame) -> Table:
    """All measures by read-out. Columns: `pluralism_results.by_readout`."""
    wide = table.pivot_table(index="readout", columns="measure", values="value", sort=False)
    wide = wide.reindex(columns=[name for name in UNITS if name in wide]).rename(columns=UNITS)
    unread = table.groupby("readout", sort=False)["unread"].min()
    return Table(
        wide.assign(unread=unread).round(4).reset_index(),
        "Every measure, with its unit",
        "Means over questions. Three columns are one divergence in other units: never compare a “JS” whose "
        "unit is not said. Valid: option mass, or share of replies that could be read; unread: questions "
        "without a single reply that could be read.",
    )


def _label(group: str, n: int | None) -> str:
    return group if n is None else f"{group} (n = {n:,})"


def _by_prompt(questions: Sequence[Question]) -> dict[str, Question]:
    return {each.prompt: each for each in questions}


def _bars(frame: pd.DataFrame, by: str, order: list[str], options: list[str]) -> alt.Chart:
    """A row of bars for each value of a column."""
    base = alt.Chart(frame, height=alt.Step(22), width=150).encode(
        y=alt.Y("option:N", title=None, sort=options),
        x=alt.X("share:Q", title="share").axis(format="%", tickCount=3).scale(domain=[0, 1]),
    )
    bars = base.mark_bar().encode(
        tooltip=[by, "option", _PERCENT], color=alt.Color(f"{by}:N", legend=None, sort=order)
    )
    numbers = base.mark_text(align="left", dx=4, color=INK).encode(text=alt.Text("share:Q", format=".0%"))
    return (bars + numbers).facet(alt.Facet(f"{by}:N", title=None, sort=order), columns=4)


# ------------------------------------------------------------------------------- models beside people
def beside(frame: pd.DataFrame, arms: Sequence[str] = (BEFORE, DPO)) -> Chart:
    """Shares of all options, the model's against people's. Columns: `shares`."""
    some = frame["id"].drop_duplicates()[:_DRAWN]
    shown = frame[frame["arm"].isin(arms) & frame["id"].isin(some)]
    equal = alt.Chart(pd.DataFrame({"at": [0, 1]})).mark_line(
        strokeDash=[4, 4], color="#888888", strokeWidth=1.5
    )
    points = (
        alt.Chart(shown)
        .mark_point(filled=True, size=45, opacity=0.7)
        .encode(
            x=alt.X("people:Q", title="people who choose it")
            .axis(format="%", tickCount=5)
            .scale(domain=[0, 1]),
            y=alt.Y("model:Q", title="share in the model").axis(format="%", tickCount=5).scale(domain=[0, 1]),
            tooltip=[
                "prompt",
                "option",
                alt.Tooltip("people", format=".1%"),
                alt.Tooltip("model", format=".1%"),
            ],
        )
    )
    chart = alt.layer(equal.encode(x="at:Q", y="at:Q"), points, data=shown).properties(width=270, height=270)
    return Chart(
        chart.facet(column=alt.Column("arm:N", title=None, sort=list(arms))),
        "Model and people, option by option",
        "A point is an option of a question, mean over repetitions. On the dashed line the model gives it "
        "the share that it has among people; points at the upper and lower edge are a distribution that has "
        "collapsed.",
    )


def compare(frame: pd.DataFrame) -> Explorer:
    """People's answers beside every model's, question by question. Columns: `shares`."""
    arms = [arm for arm in ARMS if arm in set(frame["arm"])]

    def draw(question: str) -> Chart:
        own = frame[frame["prompt"] == question]
        told = own[own["arm"] == arms[0]].assign(who="people", share=lambda rows: rows["people"])
        both = pd.concat([told, own.assign(who=own["arm"], share=own["model"])])[["who", "option", "share"]]
        return Chart(
            _bars(both, "who", ["people", *arms], told["option"].tolist()),
            "One question",
            f"{question} Shares among people and in each model, mean over repetitions.",
        )

    return Explorer(draw, question=ipywidgets.Dropdown(options=list(dict.fromkeys(frame["prompt"]))))


def chances(frame: pd.DataFrame) -> Chart:
    """Coin, die, urns and days: exact chances and the models'. Columns: `shares`."""
    arms = [arm for arm in (BEFORE, DPO) if arm in set(frame["arm"])]
    shown = frame[frame["arm"].isin(arms)]
    base = alt.Chart(shown).encode(
        x=alt.X("model:Q", title="share").axis(format="%", tickCount=3),
        y=alt.Y("option:N", title=None, sort=None),
    )
    exact = base.mark_tick(thickness=2.5, size=18, color=INK).encode(x="people:Q")
    points = base.mark_point(filled=True, size=70).encode(
        color=alt.Color("arm:N", title=None, sort=arms).legend(orient="bottom"),
        shape=alt.Shape("arm:N", title=None, sort=arms),
        tooltip=[
            "id",
            "option",
            "arm",
            alt.Tooltip("people", format=".1%"),
            alt.Tooltip("model", format=".1%"),
        ],
    )
    chart = (exact + points).properties(width=170, height=alt.Step(22))
    return Chart(
        chart.facet(alt.Facet("id:N", title=None, sort=list(dict.fromkeys(shown["id"]))), columns=3)
        .resolve_scale(y="independent"),
        "Chances that nobody has an opinion on",
        "Strokes are the exact chances, points the model's shares, mean over repetitions. None was tuned on.",
    )  # fmt: skip


# ------------------------------------------------------------------------------- steering
def matrix(frame: pd.DataFrame) -> Chart:
    """Distance from each group, whoever is asked. Columns: prompted, target, jsd_nats, n."""
    groups = list(dict.fromkeys(frame["target"]))
    base = alt.Chart(frame, width=alt.Step(84), height=alt.Step(44)).encode(
        x=alt.X("target:N", title="people of this group", sort=groups).axis(orient="top"),
        y=alt.Y("prompted:N", title="who is asked", sort=[NOBODY, *groups]),
    )
    middle = float(frame["jsd_nats"].max()) / 2
    cells = base.mark_rect().encode(
        color=alt.Color("jsd_nats:Q", title="JSD, nats").scale(scheme="viridis", domainMin=0),
        tooltip=["prompted", "target", alt.Tooltip("jsd_nats", format=".4f"), "n"],
    )
    bright = alt.condition(alt.datum.jsd_nats > middle, alt.value(ON_BRIGHT), alt.value(ON_DIM))
    numbers = base.mark_text().encode(text=alt.Text("jsd_nats:Q", format=".3f"), color=bright)
    return Chart(
        cells + numbers,
        "Steering matrix",
        "Mean distance of the model, asked as the row says, from the people of the column. A steerable model"
        "has its darkest cells where row and column are one group.",
    )


def steered(gains: pd.DataFrame, n_groups: int) -> Table:
    """What naming the group changes, by arm. Columns: `pluralism_results.steered_by_arm`."""
    table = gains.groupby("arm", sort=False).agg(
        gain=("gain_nats", "mean"), nearest=("hit", "mean"), n=("id", "nunique")
    )
    return Table(
        table.rename(columns={"gain": "nearer by (JSD, nats)", "nearest": "own group is nearest",
                              "n": "questions"}).round(4).reset_index(),
        "Steering by model",
        "How much nearer the model comes to a group when it is named, and how often it is then nearer to "
        f"that group than to any other, question by question; guessing would be {1 / max(1, n_groups):.0%}.",
    )  # fmt: skip


# ------------------------------------------------------------------------------- tuning
def tuning(table: pd.DataFrame) -> Chart:
    """Distance and entropy by model and set of questions. Columns: arm, set, measure, value, low, high, n."""
    names = {
        "jsd_nats": "distance from the people (JSD, nats)",
        "entropy_ratio": "entropy, model over people",
    }
    shown = table[table["measure"].isin(names)].assign(what=lambda rows: rows["measure"].map(names))
    arms = [arm for arm in ARMS if arm in set(shown["arm"])]
    base = alt.Chart(shown, width=250, height=alt.Step(36)).encode(y=alt.Y("arm:N", title=None, sort=arms))
    rules = base.mark_rule(strokeWidth=2.5).encode(x=alt.X("low:Q", title=None), x2="high:Q")
    points = base.mark_point(filled=True, size=90).encode(
        x="value:Q",
        tooltip=[
            "arm",
            "set",
            "what",
            *[alt.Tooltip(name, format=".4f") for name in ("value", "low", "high")],
            "n",
        ],
    )
    numbers = base.mark_text(dy=-13, color=INK).encode(x="value:Q", text=alt.Text("value:Q", format=".3f"))
    chart = (rules + points + numbers).facet(
        row=alt.Row("set:N", title=None, sort=[TUNED, OTHER, CHANCES]),
        column=alt.Column("what:N", title=None, sort=list(names.values())),
    )
    return Chart(
        chart.resolve_scale(x="independent"),
        "Before and after tuning",
        "Left the distance from the people, 0 being theirs; right the entropy, 1 being theirs and 0 a single "
        "answer. Lines are 95 % intervals over questions with all repetitions. Only the first row's "
        "questions were tuned on.",
    )


def coverage(table: pd.DataFrame, kind: str) -> Chart:
    """Views that the sampled answers hold. Columns: arm, views, value, low, high, expected, n, k."""
    arms = [arm for arm in ARMS if arm in set(table["arm"])]
    base = alt.Chart(table, width=250, height=alt.Step(36)).encode(y=alt.Y("arm:N", title=None, sort=arms))
    rules = base.mark_rule(strokeWidth=2.5).encode(
        x=alt.X("low:Q", title=kind).axis(format="%", tickCount=5).scale(domain=[0, 1]), x2="high:Q"
    )
    points = base.mark_point(filled=True, size=90).encode(
        x="value:Q",
        tooltip=["arm", "views", *[alt.Tooltip(name, format=".1%") for name in ("value", "expected")], "n"],
    )
    drawn = base.mark_tick(thickness=2.5, size=20, color=INK).encode(x="expected:Q")
    numbers = base.mark_text(dy=-13, color=INK).encode(x="value:Q", text=alt.Text("value:Q", format=".0%"))
    return Chart(
        (rules + drawn + points + numbers).facet(column=alt.Column("views:N", title=None)),
        "Overton coverage",
        f"Share of the views on a question that about {table['k'].mean():.0f} sampled answers hold between "
        "them; strokes are what as many people, drawn at random, would hold.",
    )


def browser(replies: pd.DataFrame, questions: Sequence[Question]) -> Explorer:
    """Sampled answers to read. Columns: id, replies, seed, arm."""
    known = _by_prompt(questions)

    def draw(question: str) -> Texts:
        own = replies[(replies["id"] == known[question].id) & (replies["seed"] == 0)]
        items = [
            {"label": row.arm, "text": "\n".join(f"{count}× {text}" for text, count in _counted(row.replies))}
            for row in own.itertuples()
        ]
        return Texts(
            items, "Answers to read", f"{question} Sampled answers of the first repetition, counted."
        )

    return Explorer(draw, question=ipywidgets.Dropdown(options=list(known)))


def _counted(replies: Sequence[str]) -> list[tuple[str, int]]:
    return Counter(reply.strip() or "(nothing)" for reply in replies).most_common(8)
