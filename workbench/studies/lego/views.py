"""Pictures of 05_lego: accuracy along the chain, learning, times, depth, heads, and chains to try."""

from collections.abc import Mapping
from typing import Any

import altair as alt
import ipywidgets
import numpy as np
import pandas as pd
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from workbench.charts.intervals import intervals
from workbench.charts.live_view import Example, Task, live_or_why_not
from workbench.charts.parts import axis_order, looks, numbered_cells, panels, tips
from workbench.charts.theme import QUIET, RIGHT, series
from workbench.charts.view import Chart, Explorer, MarkedText, Texts, View, menu, with_rows
from workbench.corpora.lego import CLAUSE, OPERATIONS, VALUES, draw, words
from workbench.engine.live import block
from workbench.studies.lego.method import sees_all
from workbench.studies.lego.results import example
from workbench.studies.lego.settings import Sizes
from workbench.studies.lego.times import ANSWER, CRITERION, GUESSING, LOOK_UP

REACHED, NOT_REACHED = "reached", "not reached by the end"


def by_position(frame: pd.DataFrame, sizes: Sizes) -> Chart:
    """Look-ups right at the end of training, by chain position; trained positions are shaded."""
    shade = pd.DataFrame({"start": [1.5], "end": [sizes.n_train + 0.5]})
    trained = alt.Chart(shade).mark_rect(opacity=0.12, color="#888888").encode(x="start:Q", x2="end:Q")
    x = alt.X("position:Q", title="position of the clause in its chain")
    x = x.scale(domain=[1.5, sizes.n + 0.5], zero=False).axis(tickMinStep=1, format="d")
    return Chart(
        trained + _right_answers(_look_ups(frame), x, references=[GUESSING]),
        "Accuracy by position",
        "The value of the name to which a clause refers. Shaded are the positions that were trained; beyond "
        "them the same chain goes on. The dashed line is guessing; bars are 95 % intervals, over trainings "
        "where there are several, else over answers.",
    )


def _look_ups(frame: pd.DataFrame) -> pd.DataFrame:
    """The look-ups at the end of training; a root refers to nobody."""
    at_end = frame["step"] == frame["step"].max()
    return frame[at_end & (frame["asked"] == LOOK_UP) & (frame["position"] > 1)]


def _right_answers(frame: pd.DataFrame, x: alt.X, **style: Any) -> alt.LayerChart:
    look, scale = series("model", "arm"), {"domain": [0, 1]}
    return intervals(frame, x, "right answers", form=".1%", look=look, scale=scale, mark="line", **style)


def _panels(frame: pd.DataFrame, sizes: Sizes) -> pd.DataFrame:
    """The trained positions that need a look-up, with the column panel; with few steps also the root."""
    shown = frame[frame["position"].between(2, sizes.n_train)]
    if sizes.processes and "step" in frame:
        root = (frame["position"] == 1) & (frame["asked"] == ANSWER)
        shown = frame[root | frame["position"].between(2, sizes.n_train)]
    return shown.assign(panel=shown["position"].astype(str) + ": " + shown["asked"])


def learning(frame: pd.DataFrame, sizes: Sizes) -> Chart:
    """Accuracy over training, a panel for each trained position and what is asked of it."""
    x = alt.X("step:Q", title="training steps").axis(tickCount=4)
    style = {"tooltip": ["model", "step", "position", "asked"], "drawn": "nothing"}
    lines = _right_answers(_panels(frame, sizes), x, references=[CRITERION], **style)
    return Chart(
        panels(lines.properties(width=170, height=170), "panel", columns=2),
        "Learning curves",
        f"For each trained position the {LOOK_UP} (the value of the name to which the clause refers) and the "
        f"{ANSWER} (the value of its own name). Guessing gives a fifth; at position 2, choosing one of the "
        "two roots gives three fifths. The dashed line is nine in ten, from which times are read off.",
    )


@with_rows
def times(table: pd.DataFrame, sizes: Sizes) -> Chart:
    """Times to nine in ten of every training, or that it was not reached."""
    ends = np.where(table["reached"].astype(bool), REACHED, NOT_REACHED)
    shown = _panels(table, sizes).assign(end=ends)
    order = axis_order(shown["model"])
    points = alt.Chart(shown, width=170, height=alt.Step(34)).mark_point(size=70, strokeWidth=1.5)
    points = points.encode(
        x=alt.X("steps:Q", title="training steps").scale(domain=[0, sizes.steps]).axis(tickCount=4),
        y=alt.Y("model:N", title=None, sort=order),
        tooltip=["model", "seed", "position", "asked", alt.Tooltip("steps", format=".0f"), "end"],
        **looks("end", None, [REACHED, NOT_REACHED], {REACHED: RIGHT, NOT_REACHED: QUIET}, orient="bottom"),
    )
    return Chart(
        panels(points, "panel", columns=2),
        "Time to nine in ten",
        "A point a training: the step at which it gets nine in ten right, and keeps to it. One that has not "
        "come so far stands at the right edge, where it counts as if it had just arrived.",
    )


def depth(frame: pd.DataFrame, sizes: Sizes) -> Chart:
    """Look-ups right at the end, by number of layers and position."""
    last = _look_ups(frame)
    last = last.assign(trained=np.where(last["position"] <= sizes.n_train, "trained", "longer"))
    base = alt.Chart(last, width=alt.Step(64), height=alt.Step(34)).encode(
        x=alt.X("position:O", title="position in the chain").axis(labelAngle=0),
        y=alt.Y("model:N", title=None, sort=axis_order(last["model"])),
    )
    color = alt.Color("value:Q", title="right look-ups").scale(domain=[0, 1])
    tooltip = ["model", "position", "trained", *tips(".1%", "value", "low", "high"), "n"]
    text = alt.Text("value:Q", format=".0%")
    return Chart(
        numbered_cells(base, color, tooltip, bright=alt.datum.value > 0.75, text=text),
        "Layers and steps",
        f"Look-ups of models of one width, all after mimicking, at the end of training on the first "
        f"{sizes.n_train} positions. A row that ends earlier is a model that cannot look up further.",
    )


@with_rows
def heads(scores: pd.DataFrame) -> Chart:
    """Association against manipulation, a point a head."""
    wide = scores.pivot(index=["model", "layer", "head"], columns="score", values="value").reset_index()
    points = alt.Chart(wide).mark_point(filled=True, size=90)
    points = points.encode(
        x=alt.X("manipulation:Q", title="attention inside its own clause").axis(format="%"),
        y=alt.Y("association:Q", title="attention to other equal words").axis(format="%"),
        tooltip=["model", "layer", "head", *tips(".2f", "association", "manipulation")],
        **looks("model", "arm"),
    )
    return Chart(
        points,
        "Two jobs for heads",
        "Each point is a head of the first seed's models, after training (“as given”: before). To follow a "
        "chain a model has to find the other place where a name stands (up) and to read the clause around it "
        "(right).",
    )


def broken(answered: pd.DataFrame) -> Chart:
    """What is answered behind a clause that refers to nobody."""
    style = {"form": ".1%", "tooltip": ["model", "position"], "scale": {"domain": [0, 1]}}
    order = sorted(set(answered["model"]))
    chart = intervals(answered, "model", "looked up as before", order=order, references=[GUESSING], **style)
    return Chart(
        chart.properties(width=200).facet(column=alt.Column("position:N", title="position")),
        "Does it look up?",
        "The clause at this position refers to a name that nobody says anything of. At one fifth the model "
        "has lost the thread, as it should; above, it answers from what else the string holds: choosing one "
        "of the two roots is right in three fifths at position 2.",
    )


def live_chains(
    fitted: Mapping[str, PreTrainedModel], tokenizer: PreTrainedTokenizerFast, sizes: Sizes
) -> View:
    """The models that read both ways answer the reader's own chains, in the page itself."""
    vocabulary = words(tokenizer, sizes.n)
    names = [str(tokenizer.decode([token])).strip() for token in vocabulary.names]
    moves = {
        value: {word: VALUES[(at + step) % len(VALUES)] for step, word in enumerate(OPERATIONS)}
        for at, value in enumerate(VALUES)
    }

    def chain(number: int, broken: int | None = None) -> str:
        rng = np.random.default_rng([number, 10])
        ids = draw(vocabulary, 1, sizes.n, rng, both_ways=True, broken=broken).ids[0]
        return " ".join(str(tokenizer.decode([token])).strip() for token in ids[1:])

    examples = [Example(f"chains {number + 1}", chain(number)) for number in range(3)]
    nobody = "One clause refers to somebody of whom nothing is said: what follows from it cannot be known."
    examples.append(Example("a broken link", chain(3, broken=1), nobody))
    shown = {name: model for name, model in fitted.items() if sees_all(name, model)}
    return live_or_why_not(
        lambda: {name: block(model, tokenizer, causal=False) for name, model in shown.items()},
        "Your own chains",
        "Three words are a clause: “near Tom Lily” says that Lily is two further than Tom on the ring "
        f"{', '.join(VALUES)}. Under each name stands what the model says of it, and ✗ what is true. Press "
        f"a word to put another in its place. The models have learnt two chains of {sizes.n}, up to "
        f"position {sizes.n_train} of each; any other string is new to them. They are part of this page: "
        "nothing is sent anywhere, and no kernel runs.",
        examples=examples,
        writes=False,
        task=Task([OPERATIONS, VALUES, names], names, VALUES, moves, clauses=True),
    )


def try_chains(
    fitted: Mapping[str, PreTrainedModel], tokenizer: PreTrainedTokenizerFast, sizes: Sizes
) -> Explorer:
    """Draw a string, choose a model, and read its answers."""
    vocabulary = words(tokenizer, sizes.n)

    def show(model: str, number: int) -> Texts:
        chains, guesses = example(fitted[model], model, vocabulary, sizes.n, number)
        first, chain = chains.answer_positions[0] - CLAUSE + 1, MarkedText()
        for clause in np.lexsort((chains.positions[0], chains.chains[0])):
            token, position = first + CLAUSE * clause, chains.positions[0, clause] + 1
            answer, truth = VALUES[guesses[clause]], VALUES[chains.values[0, clause]]
            clause_text = str(tokenizer.decode(chains.ids[0, token : token + CLAUSE])).strip()
            chain.add(f"{position}. {clause_text}: ")
            chain.add(answer, "right" if answer == truth else "wrong")
            chain.add("\n" if position <= sizes.n_train else "   (longer than trained)\n")
        read = str(tokenizer.decode(chains.ids[0, 1:])).strip()
        right = int((guesses == chains.values[0]).sum())
        clauses = {"label": "The clauses as the model reads them", "text": read}
        return Texts(
            [clauses, chain.item(f"{model}, in the order of the two chains")],
            "Try two chains",
            f"{model} answers {right} of {len(guesses)} clauses rightly. Three words are a clause: "
            "“near Tom Lily” says that Lily is two further than Tom on the ring "
            f"{', '.join(VALUES)}.",
        )

    number = ipywidgets.IntSlider(0, 0, 50, continuous_update=False)
    return Explorer(show, model=menu(fitted, list(fitted)[-1]), number=number)
