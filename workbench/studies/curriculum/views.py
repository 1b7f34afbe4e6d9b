"""Pictures of 06_curriculum: shares, what is forgotten and combined, orders, shapes, and what to try."""

from collections.abc import Mapping

import altair as alt
import ipywidgets
import numpy as np
import pandas as pd
from transformers import PreTrainedModel

from workbench.charts.intervals import intervals
from workbench.charts.live_view import Example, live_or_why_not
from workbench.charts.live_view import Task as Words
from workbench.charts.parts import dashed, looks, numbered_cells, panels, tips
from workbench.charts.theme import CONTROL, TREATED, series
from workbench.charts.view import Chart, Explorer, MarkedText, Table, Texts, View, menu, with_rows
from workbench.corpora.homes import NEW_PERSON, NEW_STEP, READ
from workbench.corpora.walks import BEGINNING, PLACES, WAYS
from workbench.engine.live import block
from workbench.studies.curriculum.asking import completed, places_named
from workbench.studies.curriculum.data import ORDERS, Task
from workbench.studies.curriculum.experiment import shape_name
from workbench.studies.curriculum.results import APART, TOGETHER

LIVE = ("50% facts, shuffled", "50% facts, shuffled, combined questions", "50% facts, walks first")
"""The models that a page carries."""
_ASKED = {READ: "read", NEW_STEP: "another step", NEW_PERSON: "another person"}


def pages(task: Task) -> Texts:
    """Facts, walks and combined questions, as they are read."""
    facts, walks, combined, drawn = MarkedText(), MarkedText(), MarkedText(), task.test_walks()
    for fact in [*task.facts[:3], *(home.fact() for home in task.homes[:2])]:
        _add_pair(facts, fact.pair(), "learnt")
    for question in task.questions[:5]:
        _add_pair(combined, question.pair(), "learnt")
    for start, ways, ends in list(zip(drawn.starts, drawn.ways, drawn.ends, strict=True))[:5]:
        walks.add(PLACES[start])
        for way, end in zip(ways, ends, strict=True):
            _add_step(walks, way, PLACES[end], "learnt")
        walks.add("\n")
    return Texts(
        [facts.item("Facts"), walks.item("Walks"), combined.item("Combined questions (one arm)")],
        "What is read",
        "Marked is what a model has to say itself; the places in brackets are asked for and not shown to it.",
    )


def _add_pair(text: MarkedText, pair: tuple[str, str], kind: str) -> None:
    prompt, value = pair
    text.add(prompt + value[:1])
    text.add(value[1:], kind)
    text.add("\n")


def _add_step(text: MarkedText, way: int, end: str, kind: str) -> None:
    text.add(f" {WAYS[way]} (")
    text.add(end, kind)
    text.add(")")


def mixtures(scores: pd.DataFrame, guessing: float) -> Chart:
    """Accuracies by the share of facts. Columns: share, score, value, low, high, n."""
    joined = scores["score"].str.contains("of the two")
    rows = scores.assign(panel=joined.map({False: "each by itself", True: "joined"}))
    axis = alt.Axis(format="%", values=sorted(scores["share"].unique()))
    shares = alt.X("share:Q", title="share of pages with facts", axis=axis)
    return Chart(
        panels(_curves(rows, shares, ["share", "score"], 250, 230), "panel", columns=2),
        "Facts or walks?",
        "All models read equally many pages; from left to right more of them hold facts. Bands are 95 % "
        f"intervals over seeds, if there are several. Guessing is right for {guessing:.0%} of facts.",
    )


def _curves(frame: pd.DataFrame, x: alt.X, tooltip: list[str], width: int, height: int) -> alt.LayerChart:
    style = {"form": ".1%", "drawn": "band", "mark": "line", "look": series("score", "accuracy")}
    chart = intervals(frame, x, "right answers", tooltip=tooltip, **style)
    return chart.properties(width=width, height=height)


def by_steps(scores: pd.DataFrame) -> Chart:
    """Accuracy after each step by the share of facts. Columns: share, measure, value, low, high, n."""
    rows = scores.assign(share=scores["share"].map("{:.0%}".format))
    base = alt.Chart(rows, width=alt.Step(64), height=alt.Step(34)).encode(
        x=alt.X("measure:O", title="steps of the walk"),
        y=alt.Y("share:N", title="share of facts", sort=None),
    )
    return Chart(
        _cells(base, ["share", "measure"]),
        "How far do they find their way?",
        f"These walks begin as no walk does that was read: up to step {BEGINNING - 1} the same question "
        f"occurs in other walks, from step {BEGINNING} on it never does.",
    )


def _cells(base: alt.Chart, names: list[str]) -> alt.Chart | alt.LayerChart:
    color = alt.Color("value:Q", title="right answers").scale(domain=[0, 1]).legend(format="%")
    tooltip = [*names, *tips(".1%", "value", "low", "high"), "n"]
    return numbered_cells(
        base, color, tooltip, bright="datum.value > 0.55", text=alt.Text("value:Q", format=".0%")
    )


@with_rows
def forgetting(scores: pd.DataFrame) -> Chart:
    """Accuracies during training, a panel an order. Columns: order, update, score, value, low, high, n."""
    x = alt.X("update:Q", title="updates").axis(tickCount=3).scale(nice=False)
    half = dashed(scores, x=int(scores["update"].max()) / 2)
    chart = half + _curves(scores, x, ["order", "update", "score"], 98, 190)
    return Chart(
        panels(chart, "order", ORDERS, columns=5),
        "What is forgotten",
        "Accuracy over the updates of the weights. All read the same pages, half of them facts; the "
        "dashed line is half time, when the sequential orders turn from the one to the other.",
    )


def orders(scores: pd.DataFrame) -> Chart:
    """Accuracies by order, after both kinds of block. Columns: order, score, value, low, high, n."""
    style = {"form": ".1%", "tooltip": ["order", "score"], "scale": {"domain": [0, 1]}, "labels": ".0%"}
    chart = intervals(scores, "order", "right answers", order=ORDERS, step=34, **style)
    return Chart(
        panels(chart.properties(width=240), "score", scores["score"], columns=2),
        "Orders at the end",
        "The mean of two tests, after the last block of facts and after the last of walks. Dots are means "
        "over seeds, lines their 95 % intervals where there are several. The pages are the same, so that "
        "differences are due to their order alone.",
    )


@with_rows
def combined(scores: pd.DataFrame, guessing: float) -> Chart:
    """Combined questions right, by arm and kind. Columns: arm, kind, value, low, high, n."""
    rows = scores.assign(asked=scores["kind"].map(_ASKED))
    arms, kinds = [APART, TOGETHER], list(_ASKED.values())
    look = looks("arm", "learnt", arms, {APART: CONTROL, TOGETHER: TREATED}, orient="bottom")
    look["yOffset"] = alt.YOffset("arm:N", sort=arms)
    chart = intervals(
        rows, alt.Y("asked:N", title=None, sort=kinds, axis=alt.Axis(labelLimit=200)), "right answers",
        form=".1%", look=look, scale={"domain": [0, 1]}, references=[guessing], step=24,
    )  # fmt: skip
    return Chart(
        chart.properties(width=300),
        "Fact and step together",
        "Where do you end up after one step from somebody's home? Counted are only questions whose home and "
        "step the model knows when it is asked for each apart. The rows say what the arm with combined "
        "questions has read; "
        f"the other has read none of them. Guessing, the dashed line, is right for {guessing:.0%}.",
    )


def combined_parts(table: pd.DataFrame) -> Table:
    """The parts of combined questions. Columns: arm, kind, home, step, right, luck, stays (shares)."""
    named = {
        "arm": "learnt", "kind": "question", "home": "home known", "step": "step known",
        "right": "right", "luck": "right by luck", "stays": "names the home itself",
    }  # fmt: skip
    shown = table.assign(kind=table["kind"].map(_ASKED))[list(named)]
    shares = ["home", "step", "right", "luck", "stays"]
    shown[shares] = shown[shares].map(lambda share: f"{share:.0%}" if share == share else "–")
    return Table(
        shown.rename(columns=named),
        "What is missing",
        "Means over seeds. Home and step are asked for by themselves; the three columns behind them count "
        "only questions whose home and step are both known. By luck: if another way had been asked for.",
    )


def shape_counts(counts: pd.DataFrame) -> Table:
    """Parameters by shape. Columns: layers, width, non-embedding, embedding."""
    return Table(
        counts,
        "Shapes of equal size",
        "The shapes are equal in parameters outside the embedding; a wide model's embedding is larger, too.",
    )


def shapes(scores: pd.DataFrame) -> Chart:
    """Accuracies by shape; 0 layers: as given. Columns: layers, width, measure, value, low, high, n."""
    shapes = zip(scores["layers"], scores["width"], strict=True)
    names = [shape_name(*shape) if shape[0] else "as given" for shape in shapes]
    steps = sorted(set(scores["measure"]) - {"facts"}, key=int)
    titles = {"facts": "facts"} | {name: f"{name} step{'s' * (name != '1')}" for name in steps}
    rows = scores.assign(shape=names, asked=scores["measure"].map(titles)).sort_values("width")
    base = alt.Chart(rows, width=alt.Step(78), height=alt.Step(38)).encode(
        x=alt.X("asked:N", title=None, sort=list(titles.values())),
        y=alt.Y("shape:N", title="layers × width", sort=None),
    )
    return Chart(
        _cells(base, ["shape", "asked"]),
        "Wide or deep?",
        "From top to bottom models become shallower and wider, at equally many parameters outside the "
        "embedding. If the prediction holds, facts get brighter downwards and walks upwards.",
    )


def live_questions(models: Mapping[str, PreTrainedModel], task: Task) -> View:
    """Some models answer the reader's own walks and questions, in the page itself."""
    shown = {name: models[name] for name in LIVE if name in models} or dict(list(models.items())[:1])
    places, ways = PLACES[: task.settings.n_places], WAYS[: task.settings.n_ways]
    moves = {
        place: {way: PLACES[task.town.leads[number, at]] for number, way in enumerate(ways)}
        for at, place in enumerate(places)
    }
    walks = task.test_walks()
    first = [
        Example(label, " ".join([PLACES[walks.starts[at]], *(WAYS[way] for way in walks.ways[at]), *more]))
        for at, (label, more) in enumerate({"a walk": [], "two steps too many": ways[:2]}.items())
    ]
    asked = [("a fact", task.facts[0].pair())]
    for kind, label in ((READ, "a home and a way"), (NEW_PERSON, "another person's home and a way")):
        question = next((question for question in task.questions if question.kind == kind), None)
        if question:
            asked += [
                (f"where {question.home.person} live", question.home.fact().pair()),
                (label, question.pair()),
            ]
    pairs = [Example(label, prompt, f"Right:{value}.") for label, (prompt, value) in asked]
    return live_or_why_not(
        lambda: {name: block(model, task.tokenizer) for name, model in shown.items()},
        "Your own walks and questions",
        "A walk is a place and ways to go. Under each way stands where the model thinks one is, and ✗ "
        f"where one is in truth; it has read walks of up to {task.settings.n_steps} steps. Press a word to "
        "put another in its place. The bars are the words that may come next, so that a fact or a home can"
        " be asked too. The models are part of this page: nothing is sent anywhere, and no kernel runs.",
        examples=[*first, *pairs],
        writes=False,
        task=Words([places, ways], ways, places, moves),
    )


def try_questions(models: Mapping[str, PreTrainedModel], task: Task) -> Explorer:
    """Choose a model, and see what it says to a walk, which facts it knows and what it can combine."""

    def show(model: str, number: int) -> Texts:
        drawn = task.test_walks()
        named = places_named(models[model], task, drawn)[number]
        steps_right, walk = named == drawn.ends[number], MarkedText()
        walk.add(PLACES[drawn.starts[number]])
        for way, place, is_right in zip(drawn.ways[number], named, steps_right, strict=True):
            _add_step(walk, way, PLACES[place] if place >= 0 else "?", "right" if is_right else "wrong")
        facts, known = _answered(models[model], task, [fact.pair() for fact in task.facts], number)
        asked = _from_homes(task, number)
        combined, right = _answered(models[model], task, asked, 0)
        return Texts(
            [
                walk.item("A walk, and where the model is after each step"),
                facts.item("Facts, and whether it knows them"),
                combined.item("Homes, and where one is after a step from there"),
            ],
            "Ask a model",
            f"{model}: {steps_right.sum()} of {len(named)} steps right in this walk, {known.sum()} of "
            f"{len(known)} facts known, {right.sum()} of {len(asked)} questions about homes right. What "
            "stands there is the right answer.",
        )

    number = ipywidgets.IntSlider(0, 0, 20, continuous_update=False)
    return Explorer(show, model=menu(models, "50% facts, shuffled"), number=number)


def _answered(
    model: PreTrainedModel, task: Task, pairs: list[tuple[str, str]], number: int
) -> tuple[MarkedText, np.ndarray]:
    """Eight of the pairs, marked by whether the model completes them, and whether it does for all of them."""
    right, text = completed(model, task, pairs), MarkedText()
    for pair, is_right in list(zip(pairs, right, strict=True))[8 * number : 8 * number + 8]:
        _add_pair(text, pair, "right" if is_right else "wrong")
    return text, right


def _from_homes(task: Task, number: int) -> list[tuple[str, str]]:
    """Where two people live, and one step from there: about the second nobody has read such questions."""
    pairs = []
    for kind in (NEW_STEP, NEW_PERSON):
        asked = [question for question in task.questions if question.kind == kind]
        question = asked[number % len(asked)]
        pairs += [question.home.fact().pair(), question.pair()]
    return pairs
