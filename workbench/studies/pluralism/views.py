"""Pictures of 12_pluralism: people beside models, read-outs, steering, before and after tuning."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from workbench.charts.intervals import intervals
from workbench.charts.parts import axis_order, looks, numbered_cells, panels, tips
from workbench.charts.theme import CONTROL, INK, MUTED, TREATED
from workbench.charts.view import Chart, Explorer, Table, Texts, with_rows
from workbench.corpora.loaders.opinions import Question
from workbench.sanitize import sanitize
from workbench.studies.pluralism.experiment import ARMS, BEFORE, DPO
from workbench.studies.pluralism.method import NOBODY, Task
from workbench.studies.pluralism.results import CHANCES, OTHER, TUNED

_DRAWN = 500  # questions in one picture
_PAIR = (BEFORE, DPO)
ROLES = {BEFORE: CONTROL, DPO: TREATED}
UNITS = {
    "jsd_nats": "JSD, nats",
    "jsd_bits": "JSD, bits",
    "root_jsd_nats": "√JSD, √nats",
    "total_variation": "total variation",
    "kl_nats": "KL from model, nats",
    "wasserstein_share": "Wasserstein, share",
    "simbench_score": "SimBench score",
    "entropy_ratio": "entropy ratio",
    "mode_match": "mode match",
    "valid": "valid",
    "order": "order sensitivity",
}
_SHORT = {"equal shares": "equal", "one answer to all": "constant", "half of the people": "halves"}


# ------------------------------------------------------------------------------- people
def people(task: Task) -> Explorer:
    """What people answer to a question, group by group."""
    by_prompt = {question.prompt: question for question in task.questions}

    def draw(question: str) -> Chart:
        chosen = by_prompt[question]
        options, people = chosen.options, chosen.people
        dists = {_label(name, group.n): group.dist for name, group in chosen.groups.items()}
        frames = [
            pd.DataFrame({"who": who, "option": options, "share": dist, "people": people.dist})
            for who, dist in (dists or {"everybody": people.dist}).items()
        ]
        return Chart(
            _options(pd.concat(frames), "group"),
            "What people answer",
            f"{question} Strokes: {_label('everybody', people.n)}; points: each group.",
        )

    return Explorer(draw, question=by_prompt)


def _label(group: str, n: int | None) -> str:
    return group if n is None else f"{group} (n = {n:,})"


# ------------------------------------------------------------------------------- read-outs
def readouts(table: pd.DataFrame) -> Chart:
    """Distance by read-out, with the baselines. Columns: `results.by_readout`."""
    valid = table[table["measure"] == "valid"].set_index("readout")["value"]
    shown = table[table["measure"] == "jsd_nats"]
    labels = [f"{name}, {valid[name]:.0%} valid" if name in valid else name for name in shown["readout"]]
    lost = ", ".join(name for name in valid.index if name not in set(shown["readout"]))
    look = looks("kind", None, ["model", "baseline"], {"model": TREATED, "baseline": CONTROL})
    return Chart(
        _intervals(shown.assign(label=labels), "label", "distance from the people (JSD, nats)", look=look),
        "Distance by read-out",
        "One model before tuning, read in several ways. Valid is the probability of all options together, or "
        "the share of replies that could be read: near 0 the model was not answering, and its distance says "
        "nothing." + (f" Nothing at all could be read by {lost}." if lost else ""),
    )


def measures(table: pd.DataFrame) -> Table:
    """All measures by read-out. Columns: `results.by_readout`."""
    wide = table.pivot_table(index="measure", columns="readout", values="value", sort=False)
    wide = wide.reindex([name for name in UNITS if name in wide.index]).rename(index=UNITS)
    models_first = table.sort_values("kind", ascending=False, kind="stable")["readout"]
    wide = wide.reindex(columns=list(dict.fromkeys(models_first))).rename(columns=_SHORT)
    unread = table.groupby("readout", sort=False)["unread"].first()
    lost = ", ".join(f"{name} {count}" for name, count in unread[unread > 0].items())
    return Table(
        wide.astype(float).round(3).rename_axis("mean").reset_index(),
        "Every measure, with its unit",
        "The first three rows are one divergence in three units: never compare a “JS” whose unit is not "
        "said. SimBench score: 100 is exact, 0 is guessing. Entropy ratio: below 1 the model is surer than "
        "people are." + (f" Questions that could not be read at all: {lost}." if lost else ""),
    )


def _intervals(frame: pd.DataFrame, along: str | alt.Y, title: str, **style: Any) -> alt.LayerChart:
    style = {"form": ".4f", "labels": ".3f", "scale": {"zero": True}, "axis": {"tickCount": 4}, **style}
    names = [along if isinstance(along, str) else "arm"]
    return intervals(frame, along, title, tooltip=names, step=36, **style)


def _arms(frame: pd.DataFrame) -> alt.Y:
    return alt.Y("arm:N", title=None, sort=[arm for arm in ARMS if arm in set(frame["arm"])])


# ------------------------------------------------------------------------------- models beside people
def _options(frame: pd.DataFrame, title: str) -> alt.LayerChart:
    """Shares by option: a point for each `who`, a stroke for people. Columns: who, option, share, people."""
    y = alt.Y("option:N", title=None, sort=axis_order(frame["option"]))
    base = alt.Chart(frame, width=420, height=alt.Step(34)).encode(y=y)
    strokes = base.mark_tick(thickness=2.5, size=24, color=INK).encode(x="people:Q")
    points = base.mark_point(filled=True, size=90).encode(
        x=alt.X("share:Q", title="share").axis(format="%", tickCount=5).scale(domain=[0, 1], padding=10),
        tooltip=["who", "option", *tips(".1%", "share", "people")],
        **looks("who", title, axis_order(frame["who"]), ROLES),
    )
    return alt.LayerChart(layer=[strokes, points])


def beside(frame: pd.DataFrame) -> Chart:
    """Shares of all options, the model's against people's. Columns: `results.shares`."""
    some = frame["id"].drop_duplicates()[:_DRAWN]
    shown = frame[frame["arm"].isin(_PAIR) & frame["id"].isin(some)]
    ends = alt.Chart(pd.DataFrame({"at": [0, 1]}))
    equal = ends.mark_line(strokeDash=[4, 4], color=MUTED, strokeWidth=1.5).encode(x="at:Q", y="at:Q")
    axis = {"format": "%", "tickCount": 5}
    points = alt.Chart().mark_point(filled=True, size=45, opacity=0.7)
    points = points.encode(
        x=alt.X("people:Q", title="people who choose it").axis(**axis).scale(domain=[0, 1]),
        y=alt.Y("model:Q", title="share in the model").axis(**axis).scale(domain=[0, 1]),
        tooltip=["prompt", "option", *tips(".1%", "people", "model")],
    )
    chart = alt.layer(equal, points, data=shown).properties(width=270, height=270)
    return Chart(
        panels(chart, "arm", _PAIR),
        "Model and people, option by option",
        "A point is an option of a question, mean over seeds. On the dashed line the model gives it "
        "the share that it has among people; points at the upper and lower edge are a distribution that has "
        "collapsed."
        + f" Of {frame['id'].nunique():,} questions the first {_DRAWN} are drawn."
        * (frame["id"].nunique() > _DRAWN),
    )


def compare(frame: pd.DataFrame) -> Explorer:
    """People's answers beside every model's. Columns: `results.shares`."""

    def draw(question: str) -> Chart:
        shown = frame[frame["prompt"] == question].rename(columns={"arm": "who", "model": "share"})
        shown = shown.sort_values("who", key=lambda names: names.map(ARMS.index), kind="stable")
        return Chart(
            _options(shown[["who", "option", "share", "people"]], "model"),
            "One question",
            f"{question} Strokes are the people's shares, points each model's, mean over seeds.",
        )

    return Explorer(draw, question=frame["prompt"])


@with_rows
def chances(frame: pd.DataFrame) -> Chart:
    """Coin, die, urns and days: exact chances and the models'. Columns: `results.shares`."""
    shown = frame[frame["arm"].isin(_PAIR)]
    look = looks("arm", None, [arm for arm in _PAIR if arm in set(shown["arm"])], ROLES, orient="bottom")
    sides = [_chance(part, look) for _, part in shown.groupby("id", sort=False)]
    return Chart(
        alt.concat(*sides[:24], columns=3),
        "Chances that nobody has an opinion on",
        "Strokes are the exact chances, points the model's shares, mean over seeds. None was tuned on.",
    )


def _chance(rows: pd.DataFrame, look: dict[str, Any]) -> alt.LayerChart:
    base = alt.Chart(rows, height=alt.Step(22)).encode(y=alt.Y("option:N", title=None, sort=None))
    exact = base.mark_tick(thickness=2.5, size=18, color=INK).encode(x="people:Q")
    points = base.mark_point(filled=True, size=70).encode(
        x=alt.X("model:Q", title="share")
        .axis(format="%", values=[0, 0.5, 1])
        .scale(domain=[0, 1], padding=8),
        tooltip=["id", "option", "arm", *tips(".1%", "people", "model")],
        **look,
    )
    heading = alt.TitleParams(sanitize(str(rows["id"].iloc[0])), fontSize=12.5, offset=6, anchor="middle")
    return alt.LayerChart(layer=[exact, points]).properties(width=140, title=heading)


def drawn(table: pd.DataFrame) -> Table:
    """Sampled replies to the chances. Columns: `results.drawn_chances`."""
    return Table(
        table[table["arm"].isin(_PAIR)].round(3).rename(columns={"arm": "model", "chi_square": "χ²"}),
        "Chances, drawn",
        "The same by sampling, as dice are tested: share of valid replies, how many of the options came up, "
        "and Pearson's χ² against the exact chances with its p-value; a fair model falls below p = 0.05 once "
        "in twenty times.",
    )


# ------------------------------------------------------------------------------- steering
@with_rows
def matrix(frame: pd.DataFrame) -> Chart:
    """Distance from each group, whoever is asked. Columns: arm, prompted, target, jsd_nats, n."""
    shown, groups = frame[frame["arm"].isin(_PAIR)], list(dict.fromkeys(frame["target"]))
    base = alt.Chart(shown, width=alt.Step(62), height=alt.Step(44)).encode(
        x=alt.X("target:N", title="people of", sort=groups),
        y=alt.Y("prompted:N", title="asked as", sort=[NOBODY, *groups]),
    )
    color = alt.Color("jsd_nats:Q", title="JSD, nats").scale(scheme="viridis", domainMin=0)
    tooltip = ["arm", "prompted", "target", *tips(".4f", "jsd_nats"), "n"]
    bright = alt.datum.jsd_nats > float(np.nan_to_num(shown["jsd_nats"].max())) / 2
    text = alt.Text("jsd_nats:Q", format=".3f")
    return Chart(
        panels(numbered_cells(base, color, tooltip, bright=bright, text=text), "arm", _PAIR),
        "Steering matrix",
        "Mean distance of the model, asked as the row says, from the people of the column. A steerable model "
        "has its darkest cells where row and column are one group.",
    )


def steered(gains: pd.DataFrame) -> Table:
    """What naming the group changes, by arm. Columns: `method.steered`."""
    names = {"own_nats": "distance when named (JSD, nats)", "gain_nats": "nearer than unnamed by",
             "other_nats": "nearer than as another group by", "hit": "own group is nearest"}  # fmt: skip
    table = gains.groupby("arm")[list(names)].mean().astype(float).round(4).rename(columns=names)
    return Table(
        table.reindex([arm for arm in ARMS if arm in table.index]).rename_axis("model").reset_index(),
        "Steering by model",
        "The model asked as a member of a group: its distance from that group, how much less that is than "
        "when no group or another one is named (so that what any name changes does not count), and how often "
        "no other group is nearer, question by question"
        + (f"; guessing would be {gains['chance'].mean():.0%}." if gains["chance"].notna().any() else "."),
    )


# ------------------------------------------------------------------------------- tuning
def tuning(table: pd.DataFrame) -> Chart:
    """Distance and entropy by model and set of questions. Columns: arm, set, measure, value, low, high, n."""
    rows = alt.Row("set:N", title=None, sort=[TUNED, OTHER, CHANCES])
    arms, header = _arms(table), alt.Header(labelAngle=0, labelAlign="left")
    sides = [
        _intervals(table[table["measure"] == measure], y, title).properties(width=200).facet(row=row)
        for measure, title, y, row in (
            ("jsd_nats", "distance from the people (JSD, nats)", arms, rows.header(header)),
            ("entropy_ratio", "entropy, model over people", arms.axis(None), rows.header(None)),
        )
    ]
    tuned = " Only the first row's questions were tuned on." if TUNED in set(table["set"]) else ""
    return Chart(
        alt.hconcat(*sides),
        "Before and after tuning",
        "Left the distance from the people, 0 being theirs; right the entropy, 1 being theirs and 0 a single "
        f"answer. Lines are 95 % intervals, over populations where there are five or more, else over "
        f"questions.{tuned}",
    )


def topics(table: pd.DataFrame) -> Table:
    """Distances by topic. Columns: `results.by_topic`."""
    order = ["topic", "questions", *[arm for arm in ARMS if arm in table], "equal shares"]
    sentence = (
        "Mean JSD in nats from everybody's answers, of every model and of equal shares for all options."
    )
    return Table(table[order].round(4), "Distance by topic", sentence)


def coverage(table: pd.DataFrame, kind: str) -> Chart:
    """Views that the sampled answers hold. Columns: arm, views, value, low, high, expected, n, k."""
    arms = _arms(table)
    models = _intervals(table, arms, kind, form=".1%", labels=".0%").properties(width=240)
    people = alt.Chart(table).mark_tick(thickness=2.5, size=20, color=INK).encode(x="expected:Q", y=arms)
    return Chart(
        panels(models + people, "views"),
        "Overton coverage",
        f"Share of the views on a question that about {table['k'].mean():.0f} sampled answers hold between "
        "them; strokes are what as many people, drawn at random, would hold.",
    )


def browser(replies: pd.DataFrame, questions: Sequence[Question]) -> Explorer:
    """Sampled answers to read. Columns: id, replies, seed, arm."""
    by_prompt = {question.prompt: question for question in questions}

    def draw(question: str) -> Texts:
        shown = replies[
            (replies["id"] == by_prompt[question].id) & (replies["seed"] == replies["seed"].min())
        ]
        items = [{"label": row.arm, "text": _counted(row.replies)} for row in shown.itertuples()]
        sentence = f"{question} Sampled answers of the first seed, counted."
        return Texts(items, "Answers to read", sentence)

    return Explorer(draw, question=by_prompt)


def _counted(replies: Sequence[str]) -> str:
    counts = Counter(reply.strip() or "(nothing)" for reply in replies)
    return "\n".join(f"{count}× {text}" for text, count in counts.most_common(8))
