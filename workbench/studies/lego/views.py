"""Pictures of 05_lego: accuracy along the chain, learning curves, depth, heads, and chains to try."""

from collections.abc import Mapping
from typing import Any

import altair as alt
import ipywidgets
import numpy as np
import pandas as pd
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from workbench.charts.intervals import intervals
from workbench.charts.parts import axis_order, looks, numbered_cells, panels, tips
from workbench.charts.theme import series
from workbench.charts.view import Chart, Explorer, MarkedText, Texts, menu, with_rows
from workbench.corpora.lego import VALUES, draw, words
from workbench.studies.lego.method import Sizes, answers


def by_position(frame: pd.DataFrame, sizes: Sizes) -> Chart:
    """Accuracy at the end of training by chain position; trained positions are shaded."""
    last = frame[frame["step"] == frame["step"].max()]
    shade = pd.DataFrame({"start": [0.5], "end": [sizes.n_train + 0.5]})
    trained = alt.Chart(shade).mark_rect(opacity=0.12, color="#888888").encode(x="start:Q", x2="end:Q")
    x = alt.X("position:Q", title="position in the chain (steps to look up)")
    x = x.scale(domain=[0.5, sizes.n + 0.5]).axis(tickMinStep=1, format="d")
    return Chart(
        trained + _right_answers(last, x, references=[0.5]),
        "Accuracy by position",
        "Shaded are the positions that were trained; beyond them the same chain goes on. The dashed line is "
        "guessing; bars are 95 % intervals, over trainings where there are several, else over strings.",
    )


def _right_answers(frame: pd.DataFrame, x: alt.X, **style: Any) -> alt.LayerChart:
    look, scale = series("model", "first weights"), {"domain": [0.3, 1]}
    return intervals(frame, x, "right answers", form=".1%", look=look, scale=scale, mark="line", **style)


def learning(frame: pd.DataFrame, sizes: Sizes) -> Chart:
    """Accuracy over training, a panel for each trained position."""
    shown = frame[frame["position"] <= sizes.n_train]
    shown = shown.assign(panel="position " + shown["position"].astype(str))
    x = alt.X("step:Q", title="training steps").axis(tickCount=4)
    lines = _right_answers(shown, x, tooltip=["model", "step", "position"], drawn="nothing")
    return Chart(
        panels(lines.properties(width=170, height=200), "panel", columns=3),
        "Learning curves",
        "A panel for each trained position: one half is guessing. The arms read the same strings and "
        "differ in their first weights only.",
    )


def depth(frame: pd.DataFrame, sizes: Sizes) -> Chart:
    """Accuracy at the end by number of layers and position."""
    last = frame[frame["step"] == frame["step"].max()]
    last = last.assign(trained=np.where(last["position"] <= sizes.n_train, "trained", "longer"))
    base = alt.Chart(last, width=alt.Step(64), height=alt.Step(34)).encode(
        x=alt.X("position:O", title="position in the chain").axis(labelAngle=0),
        y=alt.Y("model:N", title=None, sort=axis_order(last["model"])),
    )
    color = alt.Color("value:Q", title="right answers").scale(domain=[0.4, 1])
    tooltip = ["model", "position", "trained", *tips(".1%", "value", "low", "high"), "n"]
    text = alt.Text("value:Q", format=".0%")
    return Chart(
        numbered_cells(base, color, tooltip, bright=alt.datum.value > 0.75, text=text),
        "Layers and steps",
        f"Models of one width, all after mimicking, at the end of training on the first {sizes.n_train} "
        "positions. A row that ends earlier is a model that cannot look up further.",
    )


@with_rows
def heads(scores: pd.DataFrame) -> Chart:
    """Association against manipulation, a point a head."""
    wide = scores.pivot(index=["model", "layer", "head"], columns="score", values="value").reset_index()
    points = alt.Chart(wide).mark_point(filled=True, size=90)
    points = points.encode(
        x=alt.X("manipulation:Q", title="attention inside its own clause").axis(format="%"),
        y=alt.Y("association:Q", title="attention to earlier equal words").axis(format="%"),
        tooltip=["model", "layer", "head", *tips(".2f", "association", "manipulation")],
        **looks("model", "first weights"),
    )
    return Chart(
        points,
        "Two jobs for heads",
        "Each point is a head of the first seed's models, after training. To follow a chain a model has to "
        "find the other place where a name stands (up) and to read the clause around it (right).",
    )


def broken(answered: pd.DataFrame) -> Chart:
    """What is answered behind a clause that refers to nobody."""
    style = {"form": ".1%", "tooltip": ["model", "position"], "scale": {"domain": [0, 1]}}
    order = sorted(set(answered["model"]))
    chart = intervals(answered, "model", "answers as before", order=order, references=[0.5], **style)
    return Chart(
        chart.properties(width=200).facet(column=alt.Column("position:N", title="position")),
        "Does it look up?",
        "The clause at this position refers to a name that nobody says anything of. At one half the model "
        "has lost the thread, as it should; near 100 % it answers from what else the string holds, "
        "without looking up.",
    )


def try_chains(
    fitted: Mapping[str, PreTrainedModel], tokenizer: PreTrainedTokenizerFast, sizes: Sizes
) -> Explorer:
    """Draw a string, choose a model, and read its answers."""
    vocabulary = words(tokenizer, sizes.n)

    def show(model: str, number: int) -> Texts:
        chains = draw(vocabulary, 1, sizes.n, np.random.default_rng([number, 9]))
        guesses = answers(fitted[model], chains, vocabulary).argmax(-1)[0].detach().numpy()
        start, chain = 1 + 3 * sizes.n, MarkedText()
        for clause in np.argsort(chains.positions[0]):
            token, position = start + 3 * clause, chains.positions[0, clause] + 1
            answer, truth = VALUES[guesses[clause]], VALUES[chains.values[0, clause]]
            chain.add(f"{position}. {tokenizer.decode(chains.ids[0, token : token + 3]).strip()}: ")
            chain.add(answer, "right" if answer == truth else "wrong")
            chain.add("\n" if position <= sizes.n_train else "   (longer than trained)\n")
        read = tokenizer.decode(chains.ids[0, 1:start]).strip()
        right = int((guesses == chains.values[0]).sum())
        clauses = {"label": "The clauses as the model reads them", "text": read}
        return Texts(
            [clauses, chain.item(f"{model}, in the chain's order")],
            "Try a chain",
            f"{model} answers {right} of {sizes.n} clauses rightly. Three words are a clause: "
            "“not Tom Lily” says that Lily is what Tom is not.",
        )

    number = ipywidgets.IntSlider(0, 0, 50, continuous_update=False)
    return Explorer(show, model=menu(fitted, list(fitted)[-1]), number=number)
