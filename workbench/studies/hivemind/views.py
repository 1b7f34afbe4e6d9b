"""Pictures of 10_hivemind: how alike answers are, within and across models, and what changes it."""

from collections.abc import Sequence
from itertools import accumulate

import altair as alt
import numpy as np
import pandas as pd

from workbench.charts.intervals import intervals
from workbench.charts.labels import shorten
from workbench.charts.parts import looks, numbered_cells, panels, tips
from workbench.charts.theme import CONTROL, CONTROLS, INK, MUTED, TREATED, series
from workbench.charts.view import Chart, Table, Texts, with_rows
from workbench.studies.hivemind.data import PEOPLE
from workbench.studies.hivemind.method import POOLED
from workbench.studies.hivemind.models import Member

_MEASURED = "the models"
_ENDS = {"exchangeable": "models no one can tell apart", "separated": "models that share nothing"}
_SHADES = dict(zip([_MEASURED, *_ENDS.values()], [TREATED, *CONTROLS], strict=False))
_LABEL = (22, 12)  # pixels of a number beside a point, with room
_KINDS = ["one model", POOLED, PEOPLE]
_EVALUATED = {"measured": TREATED, "control: same size and variance": CONTROL, "ceiling: people": CONTROLS[1]}


def models(members: Sequence[Member]) -> Table:
    """Who the embedded models are; the first one teaches."""
    read = {"teacher": f"samples of {members[0].name}", "best": "one best answer a request"}
    rows = [(member.name, member.preset, member.parent or "nothing",
             read.get(member.reads, f"library {member.library}")) for member in members]  # fmt: skip
    going_on = sum(bool(member.parent) for member in members)
    return Table(
        pd.DataFrame(rows, columns=["model", "shape", "began from", "read"]),
        "The models",
        f"Each line is a model. {len(members) - going_on} are trained from nothing, apart from each other; "
        f"{going_on} go on from one of these, on samples of one teacher or on a single best answer to each "
        "request.",
    )


@with_rows
def came_back(frame: pd.DataFrame) -> Table:
    """How given models took each way of asking: `data.came_back`."""
    shares = {name: frame[name].map("{:.0%}".format) for name in ("read", "cut")}
    compared = frame["compared"].map({True: "yes", False: "no: too few could be read"})
    shown = frame.assign(**shares, words=frame["words"].round(1), compared=compared)
    return Table(
        shown.drop(columns="prompts").rename(columns={"words": "words an answer", "cut": "cut off"}),
        "What came back",
        "Each model was asked for a short answer, at several temperatures; for a list of five, of which one "
        "is drawn; and for such a list with probabilities (verbalized), by which it is drawn. Read: the "
        "share of replies that hold an answer. A small model may write no list that can be read, and is then "
        "not compared.",
    )


@with_rows
def sample(frame: pd.DataFrame, prompt: str) -> Texts:
    """A few answers of every model to one prompt. Columns prompt_id, prompt, model, text, valid."""
    shown = frame[frame["prompt_id"] == prompt]
    texts = shown["text"].where(shown["valid"].astype(bool), "✗ " + shown["text"])
    cards = [{"label": name, "text": "\n".join(answers.head(3))}
             for name, answers in texts.groupby(shown["model"], sort=False)]  # fmt: skip
    marked = "" if shown["valid"].all() else "; ✗ marks what the oracle does not accept"
    return Texts(cards, shown["prompt"].iloc[0], f"The first answers of each, at most three{marked}.")


def repetition(frame: pd.DataFrame) -> Chart:
    """Rescaled repetition of each model. Columns model, value, low, high, n, valid."""
    shown = frame.assign(who=[PEOPLE if name == PEOPLE else "model" for name in frame["model"]])
    shown = shown.dropna(subset="value")
    order = frame.sort_values("value", ascending=False)["model"].tolist()
    y = alt.Y("model:N", title=None).scale(domain=order)
    title = "repetition (0: answers to other prompts, 1: paraphrases)"
    limits = [np.nanmin([0, *frame["low"]]), np.nanmax([1, *frame["high"]])]
    look = looks("who", None, ["model", PEOPLE], {"model": TREATED, PEOPLE: CONTROL})
    look = {name: code.legend(None) for name, code in look.items()}
    style = {"form": ".2f", "tooltip": ["model", *tips(".0%", "valid")], "references": [0, 1]}
    chart = intervals(shown, y, title, look=look, scale={"domain": limits}, **style)
    if PEOPLE in set(frame["model"]):  # answers from elsewhere have no oracle
        share = alt.Chart(shown).transform_calculate(said="format(datum.valid, '.0%') + ' valid'")
        chart += share.mark_text(align="left", dx=10, color=MUTED).encode(x="high:Q", y=y, text="said:N")
    return Chart(
        chart,
        "How much each model repeats itself",
        "Dots are mean cosines between a model's answers to one prompt, rescaled between two measured ends; "
        "beyond 1 answers are more alike than paraphrases. Lines are 95 % intervals over prompts.",
    )


def agreement(frame: pd.DataFrame, order: list[str], field: str = "same") -> Chart:
    """Which models answer alike, over all prompts. Columns first, second, prompt_id and the field."""
    means = both_ways(frame.groupby(["first", "second"], sort=False)[field].mean().reset_index())
    scale = "homogeneity (0: answers to other prompts, 1: paraphrases)"
    title = {"same": "chance that two answers mean the same", "rescaled": scale}[field]
    base = alt.Chart(means, width=alt.Step(58), height=alt.Step(34)).encode(
        x=alt.X("first:N", title=None, sort=order).axis(labelAngle=-35, labelOverlap=False, labelLimit=140),
        y=alt.Y("second:N", title=None, sort=order).axis(labelLimit=140),
    )
    color = alt.Color(f"{field}:Q", title=title)
    color = color.legend(orient="bottom", gradientLength=220, titleLimit=400)
    middle = float(np.nan_to_num((means[field].min() + means[field].max()) / 2))
    text, tooltip = alt.Text(f"{field}:Q", format=".2f"), ["first", "second", *tips(".2f", field)]
    return Chart(
        numbered_cells(base, color, tooltip, bright=alt.datum[field] > middle, text=text, size=11),
        "Which models answer alike",
        "Each cell is a pair of models, averaged over prompts; the diagonal is a model with itself, without "
        "comparing an answer to itself. Where the square is even, it hardly matters whom one asks.",
    )


def both_ways(frame: pd.DataFrame) -> pd.DataFrame:
    """Pairs of models in both orders."""
    turned = frame.rename(columns={"first": "second", "second": "first"})
    return pd.concat([frame, turned[turned["first"] != turned["second"]]], ignore_index=True)


def mixing(frame: pd.DataFrame, baselines: pd.DataFrame) -> Chart:
    """Top-N source mixing. Columns prompt, nearest, value; and nearest, exchangeable, separated."""
    x, title = alt.X("nearest:O", title="nearest answers looked at (N)"), "different models among them"
    jitter = frame.groupby("nearest").cumcount() * 0.618 % 1  # dots beside each other, in no order
    dots = alt.Chart(frame.assign(jitter=jitter)).mark_point(size=26, opacity=0.35, color=TREATED)
    dots = dots.encode(
        x=x,
        xOffset=alt.XOffset("jitter:Q").scale(domain=[-1.5, 2.5]),
        y=alt.Y("value:Q", title=title),
        tooltip=["prompt", "nearest", *tips(".2f", "value")],
    )
    means = frame.groupby("nearest", as_index=False)["value"].mean().assign(what=_MEASURED)
    ends = baselines.melt("nearest", list(_ENDS), "what", "value").replace({"what": _ENDS})
    look = series("what", "nearest answers of", list(_SHADES), _SHADES)
    style = {"names": ["value"], "form": ".2f", "look": look, "mark": "line"}
    lines = intervals(pd.concat([means, ends]), x, title, **style)
    return Chart(
        dots + lines,
        "How many models stand among the nearest answers",
        "A dot is a prompt: how many models wrote the N answers nearest to an answer. Grey are the two ends: "
        "models that no one can tell apart, and models whose answers have nothing in common.",
    )


def rarefied(frame: pd.DataFrame) -> Chart:
    """Expected different valid meanings among k answers. Columns model, k, value."""
    shown = frame.assign(kind=frame["model"].where(frame["model"].isin(_KINDS), _KINDS[0]))
    ends = shown.loc[shown.groupby("model")["k"].idxmax()].sort_values("value", ascending=False)
    height = max(330, 14 * len(ends))
    look = series("kind", order=_KINDS, roles={_KINDS[0]: TREATED, PEOPLE: CONTROL})
    lines = alt.Chart(shown, width=480, height=height).mark_line()
    lines = lines.encode(
        x=alt.X("k:Q", title="answers drawn (k)").axis(tickCount=int(min(8, max(1, frame["k"].max() - 1)))),
        y=alt.Y("value:Q", title="different valid meanings expected"),
        detail="model:N",
        tooltip=["model", "k", *tips(".2f", "value")],
        **{name: look[name].legend(None) for name in ("color", "strokeDash")},
    )
    gap = 13.5 * frame["value"].max() / height  # names must not stand in each other
    heights = accumulate(ends["value"], lambda above, value: min(value, above - gap))
    ends = ends.assign(place=list(heights), name=[shorten(name, 34) for name in ends["model"]])
    names = alt.Chart(ends).mark_text(align="left", dx=8, color=INK, fontSize=11)
    return Chart(
        lines + names.encode(x="k:Q", y="place:Q", text="name:N"),
        "How many different answers one gets by asking again",
        "Curves are means over prompts of the expected number of different valid meanings among k answers; "
        "one that flattens has little more to say. If models were different sources, all of them together "
        "would lie above each one.",
    )


def spelled(frame: pd.DataFrame) -> Table:
    """What several models say word for word. Columns prompt, identical, longest, shared."""
    ordered = frame.sort_values("shared", ascending=False, kind="stable")
    table = pd.DataFrame(
        {
            "prompt": ordered["prompt"],
            "same answer by two models": ordered["identical"].map({True: "yes", False: "no"}),
            "longest shared run (words)": ordered["longest"].astype(int),
            "five-word runs shared": ordered["shared"].map("{:.0%}".format, na_action="ignore"),
        }
    )
    return Table(
        table,
        "What several models say word for word",
        f"To {ordered['identical'].mean():.0%} of {len(ordered)} prompts two models give one answer in the "
        "same words, capitals and punctuation aside.",
        limit=10,
    )


def wording(frame: pd.DataFrame) -> Chart:
    """Diversity of wording within and across prompts. Columns measure, model, sets, value, low, high, n."""
    shown = frame[frame["sets"].isin(["per input", "across"])]
    drawn = shown.dropna(subset="value")
    empty = [name for name in shown["measure"].unique() if name not in set(drawn["measure"])]
    note = f" Of {' and '.join(empty)} there are no values: the answers are too short." if empty else ""
    look = looks("sets", "answers", orient="bottom")
    style = {"form": ".2f", "tooltip": ["measure", "model", "sets"], "step": 26, "scale": {"domain": [0, 1]}}
    chart = intervals(drawn, "model", "diversity of wording", look=look, **style)
    return Chart(
        panels(chart.properties(width=240), "measure"),
        "Within a prompt and across prompts",
        "Sets of equal size: answers to one prompt (per input), or one answer to each of several prompts "
        f"(across). Tuning that narrows a model shows in the first and hardly in the second.{note}",
    )


def decoding(frame: pd.DataFrame, same: float) -> Chart:
    """Diversity against validity, a point a setting. Columns temperature, cut, valid, value, low, high, n.

    `same` is the chance that answers from two of the models' libraries mean the same.
    """
    shown = frame.dropna(subset="value").assign(label=lambda rows: rows["temperature"].map("{:g}".format))
    x = alt.X("valid:Q", title="valid answers").axis(format="%").scale(nice=False, padding=18)
    title = "chance that two models' valid answers differ"
    look = {**series("cut", "kept in"), "order": alt.Order("temperature:Q")}
    tooltip = ["cut", "temperature", *tips(".0%", "valid")]
    style = {"form": ".2f", "scale": {"zero": False}, "drawn": "nothing", "mark": "line"}
    path = intervals(shown, x, title, look=look, tooltip=tooltip, references=[1 - same], **style)
    numbers = alt.Chart(_apart(shown, 470, 340)).mark_text(dy=-11, fontSize=10, color=MUTED)
    numbers = numbers.encode(x=x, y="value:Q", text="label:N")
    return Chart(
        (path + numbers).properties(width=470, height=340),
        "What decoding buys",
        "Each line is a filter, its points are temperatures (the small numbers). To the right answers are "
        "more often valid, upward two models agree less; dashed: answers from two libraries.",
    )


def _apart(points: pd.DataFrame, width: int, height: int) -> pd.DataFrame:
    """Those points whose labels do not stand in one another's way, on a chart of so many pixels."""
    spread = points[["valid", "value"]].max() - points[["valid", "value"]].min()
    pixels = (points[["valid", "value"]] / spread.replace(0, 1)).fillna(0).to_numpy() * [width, height]
    kept: list[int] = []
    for number, pixel in enumerate(pixels):
        if (abs(pixels[kept] - pixel) > _LABEL).any(axis=1).all():
            kept.append(number)
    return points.iloc[kept]


def drift(frame: pd.DataFrame) -> Chart:
    """Simulated frequency tables and their laws. Columns regime, generation, value, law."""
    x = alt.X("generation:Q", title="generation").axis(tickMinStep=1)
    base = alt.Chart(frame, width=470, height=280).encode(x=x)
    dots = base.mark_point(filled=True, size=34).encode(
        y=alt.Y("value:Q", title="variety, first generation = 1").scale(zero=False),
        tooltip=["regime", "generation", *tips(".4f", "value", "law")],
        **looks("regime", "training data"),
    )
    lines = base.transform_filter("isValid(datum.law)").mark_line(strokeWidth=1.4, color=MUTED)
    return Chart(
        lines.encode(y="law:Q", detail="regime:N") + dots,
        "Frequency tables that read what frequency tables wrote",
        "Dots are means over simulated chains, lines the exact laws; accumulate-subsample has none here. "
        "Variety is the chance that two draws from a table of 50 examples differ, and the variance of normal "
        "distributions fitted to 20. Nothing is learnt or forgotten but by chance.",
    )


def collapse(frame: pd.DataFrame) -> Chart:
    """Trained generations. Columns regime, generation, measure, value, low, high, n."""
    x, look = alt.X("generation:O", title="generation"), series("regime", "training data")
    style = {"form": ".2f", "scale": {"zero": False}, "mark": "line"}
    chart = intervals(frame, x, None, tooltip=["regime", "generation", "measure"], look=look, **style)
    chart = chart.properties(width=230, height=170)
    return Chart(
        panels(chart, "measure", columns=2, independent=["y"]),
        "Models that read what models wrote",
        "Generation 1 reads what people wrote; the favourite is theirs. Then data are replaced by the last "
        "generation's, gathered, or drawn from all that was gathered. Bars are 95 % intervals, over chains "
        "where there are five or more and over requests where there are fewer.",
    )


def evaluators(frame: pd.DataFrame) -> Chart:
    """Scores against ratings on subsets. Columns of `evaluators.calibrations`."""
    names = {"value": "measured", "random": "control: same size and variance", "ceiling": "ceiling: people"}
    part = frame[(frame["subset"] == "all") | (frame["subset"] == "disputed") & (frame["n"] >= 20)]
    part = part.assign(at=part["at"].fillna(1))  # all
    long = part.melt(["scorer", "at", "n", "low", "high"], list(names), "line", "correlation")
    long["line"] = long["line"].map(names)
    long.loc[long["line"] != "measured", ["low", "high"]] = np.nan
    x = alt.X("at:O", title="items, the most disputed", sort="descending").axis(format=".0%", labelAngle=0)
    style = {"form": ".2f", "tooltip": ["scorer", "line"], "mark": "line"}
    values = ("correlation", "low", "high")
    chart = intervals(
        long,
        x,
        "Spearman correlation",
        names=values,
        look=series("line", None, list(names.values()), _EVALUATED),
        **style,
    )
    return Chart(
        panels(chart.properties(width=270, height=230), "scorer"),
        "Do scores follow people where people disagree?",
        "From left to right: all items and ever fewer, more disputed ones; bars are 95 % intervals over "
        "prompts (or items without one). What falls with the control falls because mean ratings vary less, "
        "what falls below it is the scorer's. Near a ceiling of 0 the mean ratings, and the line, are noise.",
    )
