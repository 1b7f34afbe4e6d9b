"""Pictures of 10_hivemind: how alike answers are, within and across models, and what changes it."""

import altair as alt
import numpy as np
import pandas as pd

from workbench.charts.theme import INK, MUTED, PALETTE, series
from workbench.charts.view import Chart, Table, Texts
from workbench.studies.hivemind.data import PEOPLE
from workbench.studies.hivemind.method import POOLED

_TIPS = [alt.Tooltip(name, format=".2f") for name in ("value", "low", "high")]


def models(frame: pd.DataFrame) -> Table:
    """Who the embedded models are. Columns as `hivemind_models.described` gives them."""
    return Table(
        frame,
        "The models",
        "Each line is a model. Five are trained from nothing, apart from each other; three go on from one of "
        "these, on samples of one teacher or on a single best answer to each request.",
    )


def sample(frame: pd.DataFrame, prompt: str) -> Texts:
    """A few answers of every model to one prompt. Columns prompt_id, prompt, model, text, valid."""
    own = frame[frame["prompt_id"] == prompt]
    cards = [
        {
            "label": name,
            "text": "\n".join(("" if row.valid else "✗ ") + row.text for row in part.itertuples()),
        }
        for name, part in own.groupby("model", sort=False)
        for part in [part.head(3)]
    ]
    return Texts(
        cards,
        own["prompt"].iloc[0],
        "The first three answers of each; ✗ marks what the oracle does not accept.",
    )


def repetition(frame: pd.DataFrame) -> Chart:
    """Rescaled repetition of each model. Columns model, value, low, high, n, valid."""
    order = frame.sort_values("value", ascending=False)["model"].tolist()
    shown = frame.assign(who=["people" if each == PEOPLE else "model" for each in frame["model"]])
    base = alt.Chart(shown.dropna(subset="value"), height=30 * len(shown)).encode(
        y=alt.Y("model:N", title=None).scale(domain=order)
    )
    ends = alt.Chart(pd.DataFrame({"x": [0, 1]})).mark_rule(strokeDash=[4, 4], color=MUTED).encode(x="x:Q")
    rules = base.mark_rule(strokeWidth=2.5).encode(
        x=alt.X("low:Q", title="repetition (0: answers to other prompts, 1: paraphrases)").scale(
            domain=[np.nanmin([0, *frame["low"]]), np.nanmax([1, *frame["high"]])]
        ),
        x2="high:Q",
    )
    dots = base.mark_point(filled=True, size=95).encode(
        x="value:Q",
        shape=alt.Shape("who:N", legend=None),
        color=alt.Color("who:N", legend=None),
        tooltip=["model", *_TIPS, "n", alt.Tooltip("valid", format=".0%")],
    )
    said = base.mark_text(align="left", dx=10, color=MUTED).encode(x="high:Q", text="said:N")
    said = said.transform_calculate(said="format(datum.valid, '.0%') + ' valid'")
    judged = PEOPLE in set(frame["model"])  # answers from elsewhere have no oracle
    return Chart(
        ends + rules + dots + said if judged else ends + rules + dots,
        "How much each model repeats itself",
        "Dots are mean cosines between a model's answers to one prompt, rescaled between two measured ends; "
        "beyond 1 answers are more alike than paraphrases. Lines are 95 % intervals over prompts.",
    )


def agreement(frame: pd.DataFrame, order: list[str], field: str = "same") -> Chart:
    """Which models answer alike, over all prompts. Columns first, second, prompt_id and the field."""
    means = both_ways(frame.groupby(["first", "second"], sort=False)[field].mean().reset_index())
    title = {"same": "chance that two answers mean the same", "rescaled": "homogeneity (0 to 1)"}[field]
    base = alt.Chart(means, width=alt.Step(58), height=alt.Step(34)).encode(
        x=alt.X("first:N", title=None, sort=order).axis(labelAngle=-35, labelOverlap=False, labelLimit=140),
        y=alt.Y("second:N", title=None, sort=order).axis(labelLimit=140),
    )
    cells = base.mark_rect().encode(
        color=alt.Color(f"{field}:Q", title=title).legend(
            orient="bottom", gradientLength=220, titleLimit=400
        ),
        tooltip=["first", "second", alt.Tooltip(field, format=".2f")],
    )
    middle = float(np.nan_to_num((means[field].min() + means[field].max()) / 2))
    numbers = base.mark_text(fontSize=11).encode(
        text=alt.Text(f"{field}:Q", format=".2f"),
        color=alt.when(alt.datum[field] > middle).then(alt.value("#111111")).otherwise(alt.value("#ffffff")),
    )
    return Chart(
        cells + numbers,
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
    x = alt.X("nearest:O", title="nearest answers looked at (N)")
    jitter = frame.groupby("nearest").cumcount() * 0.618 % 1  # dots beside each other, in no order
    dots = (
        alt.Chart(frame.assign(jitter=jitter))
        .mark_point(filled=True, size=26, opacity=0.35, color=PALETTE[0])
        .encode(x=x, xOffset=alt.XOffset("jitter:Q").scale(domain=[-1.5, 2.5]),
                y=alt.Y("value:Q", title="different models among them"),
                tooltip=["prompt", "nearest", alt.Tooltip("value", format=".2f")])
    )  # fmt: skip
    means = frame.groupby("nearest", as_index=False)["value"].mean().assign(what="measured, mean")
    ends = baselines.melt("nearest", ["exchangeable", "separated"], "what", "value")
    lines = (
        alt.Chart(pd.concat([means, ends]))
        .mark_line(point=True)
        .encode(x=x, y="value:Q", tooltip=["what", "nearest", alt.Tooltip("value", format=".2f")],
                **series("what", "models that are"))
    )  # fmt: skip
    return Chart(
        dots + lines,
        "How many models stand among the nearest answers",
        "A dot is a prompt: of the N answers nearest to an answer, how many models wrote them. Exchangeable "
        "models could not be told apart, separated ones share nothing.",
    )


def rarefied(frame: pd.DataFrame) -> Chart:
    """Expected different valid meanings among k answers. Columns model, k, value."""
    kinds = {PEOPLE: "people", POOLED: POOLED}
    shown = frame.assign(kind=frame["model"].map(kinds).fillna("one model"))
    lines = (
        alt.Chart(shown, width=480, height=330)
        .mark_line()
        .encode(
            x=alt.X("k:Q", title="answers drawn (k)").axis(tickMinStep=1),
            y=alt.Y("value:Q", title="different valid meanings expected"),
            detail="model:N",
            tooltip=["model", "k", alt.Tooltip("value", format=".2f")],
            color=alt.Color("kind:N", legend=None),
            strokeDash=alt.StrokeDash("kind:N", legend=None),
        )
    )
    ends = shown.loc[shown.groupby("model")["k"].idxmax()].sort_values("value", ascending=False)
    gap = (frame["value"].max() - frame["value"].min()) / 19  # names must not stand in each other
    places = ends["value"].tolist()
    for i in range(1, len(places)):
        places[i] = min(places[i], places[i - 1] - gap)
    names = (
        alt.Chart(ends.assign(place=places))
        .mark_text(align="left", dx=8, color=INK, fontSize=11)
        .encode(x="k:Q", y="place:Q", text="model:N")
    )
    return Chart(
        lines + names,
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
            "five-word runs shared": ordered["shared"].map("{:.0%}".format),
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
    order = list(dict.fromkeys(shown["model"]))
    base = alt.Chart(shown, width=240, height=26 * len(order)).encode(
        y=alt.Y("model:N", title=None, sort=order)
    )
    dots = base.mark_point(filled=True, size=70).encode(
        x=alt.X("value:Q", title="diversity of wording").scale(domain=[0, 1]),
        color=alt.Color("sets:N", title="answers").legend(orient="bottom"),
        shape=alt.Shape("sets:N", title="answers"),
        tooltip=["measure", "model", "sets", *_TIPS, "n"],
    )
    rules = base.mark_rule().encode(x="low:Q", x2="high:Q")
    return Chart(
        (rules + dots).facet(column=alt.Column("measure:N", title=None)),
        "Within a prompt and across prompts",
        "Sets of equal size: answers to one prompt (per input), or one answer to each of several prompts "
        "(across). Tuning that narrows a model shows in the first and hardly in the second.",
    )


def decoding(frame: pd.DataFrame, same: float) -> Chart:
    """Diversity against validity, a point a setting. Columns temperature, cut, valid, value, low, high, n.

    `same` is the chance that two people's answers mean the same.
    """
    shown = frame.dropna(subset="value").assign(label=lambda rows: rows["temperature"].map("{:g}".format))
    line = (
        alt.Chart(pd.DataFrame({"y": [1 - same]})).mark_rule(strokeDash=[4, 4], color=MUTED).encode(y="y:Q")
    )
    base = alt.Chart(shown, width=470, height=340).encode(
        x=alt.X("valid:Q", title="valid answers").axis(format="%").scale(nice=False, padding=18),
        y=alt.Y("value:Q", title="chance that two models' valid answers differ").scale(zero=False),
    )
    path = base.mark_line(point=alt.OverlayMarkDef(size=70)).encode(
        order="temperature:Q",
        tooltip=["cut", "temperature", alt.Tooltip("valid", format=".0%"), *_TIPS, "n"],
        **series("cut", "kept in"),
    )
    numbers = base.mark_text(dy=-11, fontSize=10, color=MUTED).encode(text="label:N")
    return Chart(
        line + path + numbers,
        "What decoding buys",
        "Each line is a filter, its points are temperatures (the small numbers). To the right answers are "
        "more often valid, upward two models agree less; dashed: how often two people's answers differ.",
    )


def drift(frame: pd.DataFrame) -> Chart:
    """Simulated frequency tables and their laws. Columns regime, generation, value, law."""
    base = alt.Chart(frame, width=470, height=280).encode(
        x=alt.X("generation:Q", title="generation").axis(tickMinStep=1)
    )
    dots = base.mark_point(filled=True, size=34).encode(
        y=alt.Y("value:Q", title="variety, first generation = 1").scale(zero=False),
        color=alt.Color("regime:N", title="training data"),
        shape=alt.Shape("regime:N", title="training data"),
        tooltip=["regime", "generation", *(alt.Tooltip(name, format=".4f") for name in ("value", "law"))],
    )
    lines = (
        base.transform_filter("isValid(datum.law)")
        .mark_line(strokeWidth=1.4, color=MUTED)
        .encode(y="law:Q", detail="regime:N")
    )
    return Chart(
        lines + dots,
        "Frequency tables that read what frequency tables wrote",
        "Dots are means over simulated chains, lines the exact laws; accumulate-subsample has none here. "
        "Variety is the chance that two draws from a table of 50 examples differ, and the variance of normal "
        "distributions fitted to 20. Nothing is learnt or forgotten but by chance.",
    )


def collapse(frame: pd.DataFrame) -> Chart:
    """Trained generations. Columns regime, generation, measure, value, low, high, n."""
    base = alt.Chart(frame, width=230, height=170).encode(x=alt.X("generation:O", title="generation"))
    bars = base.mark_rule(opacity=0.5).encode(
        y=alt.Y("low:Q", title=None), y2="high:Q", stroke=alt.Stroke("regime:N", legend=None)
    )
    lines = base.mark_line(point=True).encode(
        y=alt.Y("value:Q", title=None).scale(zero=False),
        tooltip=["regime", "generation", "measure", *_TIPS, "n"],
        **series("regime", "training data"),
    )
    return Chart(
        (bars + lines).facet(alt.Facet("measure:N", title=None), columns=2).resolve_scale(y="independent"),
        "Models that read what models wrote",
        "Generation 1 reads what people wrote. Then data are replaced by the last generation's, gathered, or "
        "drawn from all that was gathered. Bars are 95 % intervals over requests.",
    )


def evaluators(frame: pd.DataFrame) -> Chart:
    """Scores against ratings on subsets. Columns as `evaluators.followed` gives them."""
    names = {"value": "measured", "random": "control: same size and variance", "ceiling": "ceiling: people"}
    part = frame[(frame["subset"] == "all") | (frame["subset"] == "disputed") & (frame["n"] >= 20)]
    part = part.assign(at=part["at"].fillna(1))  # all
    long = part.melt(["scorer", "at", "n", "low", "high"], list(names), "line", "correlation")
    long["line"] = long["line"].map(names)
    base = alt.Chart(long, width=270, height=230).encode(
        x=alt.X("at:O", title="items, the most disputed", sort="descending").axis(format=".0%", labelAngle=0)
    )
    lines = base.mark_line(point=True).encode(
        y=alt.Y("correlation:Q", title="Spearman correlation"),
        tooltip=["scorer", "line", "n", alt.Tooltip("correlation", format=".2f")],
        **series("line"),
    )
    bars = base.transform_filter(alt.datum.line == "measured").mark_rule(opacity=0.5)
    lines += bars.encode(y="low:Q", y2="high:Q", stroke=alt.value(PALETTE[2]))
    return Chart(
        lines.facet(column=alt.Column("scorer:N", title=None)),
        "Do scores follow people where people disagree?",
        "From left to right: all items and ever fewer, more disputed ones; bars are 95 % intervals over "
        "prompts (or items without one). What falls with the control falls because mean ratings vary less, "
        "what falls below it is the scorer's. Near a ceiling of 0 the mean ratings, and the line, are noise.",
    )
