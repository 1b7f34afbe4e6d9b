"""Pictures of 06_curriculum: pages, shares, what is forgotten, orders, shapes, and questions to try."""

from collections.abc import Mapping

import altair as alt
import ipywidgets
import pandas as pd
from transformers import PreTrainedModel

from workbench.charts.theme import INK, ON_BRIGHT, ON_DIM, series
from workbench.charts.view import Chart, Explorer, Table, Texts
from workbench.corpora.walks import BEGINNING, PLACES, WAYS
from workbench.studies.curriculum.data import ORDERS, Task
from workbench.studies.curriculum.experiment import facts_right, shaped, walked

_INTERVAL = [alt.Tooltip(name, format=".1%") for name in ("value", "low", "high")]
_SHARE = alt.Axis(format="%")


def pages(task: Task) -> Texts:
    """A page of facts and one of walks, as they are read."""
    facts, walk = task.facts[:5], task.asked_walks()
    told, marks = "", []
    for fact in facts:
        prompt, value = fact.pair()
        told += prompt
        marks.append((len(told) + 1, len(told) + len(value), "learnt"))
        told += value + "\n"
    gone, places = "", []
    for row in range(5):
        gone += PLACES[walk.starts[row]]
        for way, end in zip(walk.ways[row], walk.ends[row], strict=True):
            gone += f" {WAYS[way]}"
            name = f" ({PLACES[end]})"
            places.append((len(gone) + 2, len(gone) + len(name) - 1, "learnt"))
            gone += name
        gone += "\n"
    return Texts(
        [{"label": "Facts", "text": told, "marks": marks}, {"label": "Walks", "text": gone, "marks": places}],
        "What is read",
        "Marked is what a model has to say itself; the places in brackets are asked for and not shown to it.",
    )


def mixtures(found: pd.DataFrame, guessing: float) -> Chart:
    """Accuracies by the share of facts. Columns: share, score, value, low, high, n."""
    joined = found["score"].str.contains("of the two")
    rows = found.assign(panel=joined.map({False: "each by itself", True: "joined"}))
    x = alt.X("share:Q", title="share of pages with facts")
    base = alt.Chart(rows, width=250, height=230).encode(
        x=x.axis(format="%", values=sorted(found["share"].unique()))
    )
    band = base.mark_errorband().encode(
        y=alt.Y("low:Q", title="right answers"), y2="high:Q", fill=alt.Fill("score:N", legend=None)
    )
    lines = base.mark_line(point=True).encode(
        y=alt.Y("value:Q", title="right answers").axis(_SHARE),
        tooltip=["share", "score", *_INTERVAL, "n"],
        **series("score", "accuracy"),
    )
    return Chart(
        (band + lines).facet(alt.Facet("panel:N", title=None), columns=2),
        "Facts or walks?",
        "All models read equally many pages; from left to right more of them hold facts. Bands are 95 % "
        f"intervals over repetitions. Guessing would be right for {guessing:.0%} of facts.",
    )


def by_steps(found: pd.DataFrame) -> Chart:
    """Accuracy after each step by the share of facts. Columns: share, measure, value, low, high, n."""
    rows = found[found["measure"] != "facts"].assign(
        share=lambda own: own["share"].map("{:.0%}".format),
        shown=lambda own: own["value"].map("{:.0%}".format),
    )
    base = alt.Chart(rows, width=alt.Step(64), height=alt.Step(34)).encode(
        x=alt.X("measure:O", title="steps of the walk"),
        y=alt.Y("share:N", title="share of facts", sort=None),
    )
    return Chart(
        _cells(base, ["share", "measure"]),
        "How far do they find their way?",
        f"Walks that begin as none that was read: up to {BEGINNING - 1} steps the question has been seen in "
        f"other walks, from {BEGINNING} on it never has.",
    )


def _cells(base: alt.Chart, names: list[str]) -> alt.LayerChart:
    blocks = base.mark_rect().encode(
        color=alt.Color("value:Q", title="right answers").scale(domain=[0, 1]).legend(format="%"),
        tooltip=[*names, *_INTERVAL, "n"],
    )
    numbers = base.mark_text().encode(
        text="shown:N", color=alt.condition("datum.value > 0.55", alt.value(ON_BRIGHT), alt.value(ON_DIM))
    )
    return blocks + numbers


def forgetting(found: pd.DataFrame) -> Chart:
    """Accuracies during training, a panel an order. Columns: order, update, score, value, low, high, n."""
    base = alt.Chart(found, width=98, height=190).encode(
        x=alt.X("update:Q", title="updates").axis(tickCount=3).scale(nice=False)
    )
    band = base.mark_errorband().encode(
        y=alt.Y("low:Q", title="right answers"), y2="high:Q", fill=alt.Fill("score:N", legend=None)
    )
    lines = base.mark_line(point=alt.OverlayMarkDef(size=28)).encode(
        y=alt.Y("value:Q", title="right answers").axis(_SHARE),
        tooltip=["order", "update", "score", *_INTERVAL, "n"],
        **series("score", "accuracy"),
    )
    half = (
        alt.Chart(found)
        .mark_rule(strokeDash=[4, 4], opacity=0.6)
        .encode(x=alt.datum(int(found["update"].max()) / 2))
    )
    chart = (half + band + lines).facet(alt.Facet("order:N", title=None, sort=list(ORDERS)), columns=5)
    return Chart(
        chart,
        "What is forgotten",
        "Accuracy over the updates of the weights. All five read the same pages, half of them facts; the "
        "dashed line is half time, when the sequential orders turn from the one to the other.",
    )


def orders(found: pd.DataFrame) -> Chart:
    """Accuracies at the end by order. Columns: order, score, value, low, high, n."""
    rows = found.assign(shown=found["value"].map("{:.0%}".format))
    base = alt.Chart(rows, width=240, height=alt.Step(34)).encode(
        y=alt.Y("order:N", title=None, sort=list(ORDERS))
    )
    x = alt.X("value:Q", title="right answers").axis(_SHARE).scale(domain=[0, 1])
    rules = base.mark_rule(strokeWidth=2.2).encode(x=alt.X("low:Q", title="right answers"), x2="high:Q")
    points = base.mark_point(filled=True, size=90).encode(x=x, tooltip=["order", "score", *_INTERVAL, "n"])
    numbers = base.mark_text(dy=-11, fontSize=11, color=INK).encode(x=x, text="shown:N")
    chart = (rules + points + numbers).facet(alt.Facet("score:N", title=None, sort=None), columns=2)
    return Chart(
        chart,
        "Orders at the end",
        "Dots are means over repetitions, lines their 95 % intervals. The pages are the same, so that "
        "differences are due to their order alone.",
    )


def shape_counts(counts: pd.DataFrame) -> Table:
    """Parameters by shape. Columns: layers, width, non-embedding, embedding."""
    return Table(
        counts,
        "Shapes of equal size",
        "The shapes are equal in parameters outside the embedding; a wide model's embedding is larger, too.",
    )


def shapes(found: pd.DataFrame) -> Chart:
    """Accuracies by shape; 0 layers: as given. Columns: layers, width, measure, value, low, high, n."""
    pairs = zip(found["layers"], found["width"], strict=True)
    names = [shaped(pair) if pair[0] else "as given" for pair in pairs]
    steps = sorted(set(found["measure"]) - {"facts"}, key=int)
    told = {"facts": "facts"} | {name: f"{name} step{'s' * (name != '1')}" for name in steps}
    rows = found.assign(
        shape=names, shown=found["value"].map("{:.0%}".format), asked=found["measure"].map(told)
    ).sort_values("width")
    base = alt.Chart(rows, width=alt.Step(78), height=alt.Step(38)).encode(
        x=alt.X("asked:N", title=None, sort=list(told.values())),
        y=alt.Y("shape:N", title="layers × width", sort=None),
    )
    return Chart(
        _cells(base, ["shape", "asked"]),
        "Wide or deep?",
        "From top to bottom models become shallower and wider, at equally many parameters outside the "
        "embedding. If the prediction holds, facts get brighter downwards and walks upwards.",
    )


def try_questions(models: Mapping[str, PreTrainedModel], task: Task) -> Explorer:
    """Choose a model, and see what it says to a walk and which facts it knows."""

    def show(model: str, number: int) -> Texts:
        asked, said = task.asked_walks(), walked(models[model], task)[number]
        text, marks = PLACES[asked.starts[number]], []
        for way, end, given in zip(asked.ways[number], asked.ends[number], said, strict=True):
            text += f" {WAYS[way]}"
            name = PLACES[given] if given >= 0 else "?"
            marks.append((len(text) + 2, len(text) + 2 + len(name), "right" if given == end else "wrong"))
            text += f" ({name})"
        right = facts_right(models[model], task)
        known = int(right.sum())
        told, fact_marks = "", []
        for fact, knows in list(zip(task.facts, right, strict=False))[8 * number : 8 * number + 8]:
            prompt, value = fact.pair()
            told += prompt
            fact_marks.append((len(told) + 1, len(told) + len(value), "right" if knows else "wrong"))
            told += value + "\n"
        good = int((said == asked.ends[number]).sum())
        return Texts(
            [{"label": "A walk, and where the model is after each step", "text": text, "marks": marks},
             {"label": "Facts, and whether it knows them", "text": told, "marks": fact_marks}],
            "Ask a model",
            f"{model}: {good} of {len(said)} steps right in this walk, {known} of {len(right)} facts known.",
        )  # fmt: skip

    return Explorer(
        show,
        model=ipywidgets.Dropdown(options=list(models), value="50% facts, shuffled"),
        number=ipywidgets.IntSlider(0, 0, 20, continuous_update=False),
    )
