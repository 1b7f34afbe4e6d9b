"""Pictures of 05_lego: accuracy along the chain, learning curves, depth, heads, and chains to try."""

from collections.abc import Mapping

import altair as alt
import ipywidgets
import numpy as np
import pandas as pd
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from workbench.charts.theme import ON_BRIGHT, ON_DIM, series
from workbench.charts.view import Chart, Explorer, Texts
from workbench.corpora.lego import VALUES, draw, words
from workbench.studies.lego.method import Sizes, answers

_INTERVAL = [alt.Tooltip(name, format=".3f") for name in ("value", "low", "high")]
_GUESSING = alt.Chart(pd.DataFrame({"y": [0.5]})).mark_rule(strokeDash=[4, 4], opacity=0.6).encode(y="y:Q")


def by_position(frame: pd.DataFrame, sizes: Sizes) -> Chart:
    """Accuracy at the end of training by chain position; trained positions are shaded."""
    last = frame[frame["step"] == frame["step"].max()]
    shade = pd.DataFrame({"start": [0.5], "end": [sizes.n_train + 0.5]})
    trained = alt.Chart(shade).mark_rect(opacity=0.12, color="#888888").encode(x="start:Q", x2="end:Q")
    base = alt.Chart(last).encode(
        x=alt.X("position:Q", title="position in the chain (steps to look up)")
        .scale(domain=[0.5, sizes.n + 0.5])
        .axis(tickMinStep=1, format="d")
    )
    y = alt.Y("value:Q", title="right answers").scale(domain=[0.3, 1]).axis(format="%")
    lines = base.mark_line(point=True).encode(y=y, tooltip=["model", "position", *_INTERVAL, "n"],
                                              **series("model", "first weights"))  # fmt: skip
    bars = base.mark_rule().encode(y="low:Q", y2="high:Q", stroke=alt.Stroke("model:N", legend=None))
    return Chart(
        trained + _GUESSING + bars + lines,
        "Accuracy by position",
        "Shaded are the positions that were trained; beyond them the same chain goes on. The dashed line is "
        "guessing; bars are 95 % intervals over strings.",
    )


def learning(frame: pd.DataFrame, sizes: Sizes) -> Chart:
    """Accuracy over training, a panel for each trained position."""
    shown = frame[frame["position"] <= sizes.n_train].copy()
    shown["panel"] = "position " + shown["position"].astype(str)
    lines = (
        alt.Chart(shown)
        .mark_line(point=True)
        .encode(
            x=alt.X("step:Q", title="training steps").axis(tickCount=4),
            y=alt.Y("value:Q", title="right answers").scale(domain=[0.3, 1]).axis(format="%"),
            tooltip=["model", "step", "position", *_INTERVAL, "n"],
            **series("model", "first weights"),
        )
        .properties(width=170, height=200)
        .facet(alt.Facet("panel:N", title=None), columns=3)
    )
    return Chart(
        lines,
        "Learning curves",
        "A panel for each trained position: one half is guessing. The arms read the same strings and "
        "differ in their first weights only.",
    )


def depth(frame: pd.DataFrame, sizes: Sizes) -> Chart:
    """Accuracy at the end by number of layers and position."""
    last = frame[frame["step"] == frame["step"].max()].assign(
        shown=lambda rows: rows["value"].map("{:.0%}".format)
    )
    last = last.assign(trained=np.where(last["position"] <= sizes.n_train, "trained", "longer"))
    base = alt.Chart(last).encode(
        x=alt.X("position:O", title="position in the chain").axis(labelAngle=0),
        y=alt.Y("model:N", title=None, sort=list(dict.fromkeys(last["model"]))),
    )
    cells = base.mark_rect().encode(
        color=alt.Color("value:Q", title="right answers").scale(domain=[0.4, 1]),
        tooltip=["model", "position", "trained", *_INTERVAL, "n"],
    )
    bright = alt.datum.value > 0.75
    numbers = base.mark_text().encode(
        text="shown:N", color=alt.condition(bright, alt.value(ON_BRIGHT), alt.value(ON_DIM))
    )
    return Chart(
        (cells + numbers).properties(width=alt.Step(64), height=alt.Step(34)),
        "Layers and steps",
        f"Models of one width, all after mimicking, at the end of training on the first {sizes.n_train} "
        "positions. A row that ends earlier is a model that cannot look up further.",
    )


def heads(scores: pd.DataFrame) -> Chart:
    """Association against manipulation, a point a head."""
    wide = scores.pivot(index=["model", "layer", "head"], columns="score", values="value").reset_index()
    chart = (
        alt.Chart(wide)
        .mark_point(filled=True, size=90)
        .encode(
            x=alt.X("manipulation:Q", title="attention inside its own clause").axis(format="%"),
            y=alt.Y("association:Q", title="attention to earlier equal words").axis(format="%"),
            color=series("model", "first weights")["color"].legend(alt.Legend(symbolType="circle")),
            shape=series("model")["shape"],
            tooltip=["model", "layer", "head", alt.Tooltip("association", format=".2f"),
                     alt.Tooltip("manipulation", format=".2f")],
        )
    )  # fmt: skip
    return Chart(
        chart,
        "Two jobs for heads",
        "Each point is a head after training. To follow a chain a model has to find the other place where a "
        "name stands (up) and to read the clause around it (right).",
    )


def broken(found: pd.DataFrame) -> Chart:
    """What is answered behind a clause that refers to nobody."""
    base = alt.Chart(found).encode(y=alt.Y("model:N", title=None))
    points = base.mark_point(filled=True, size=80).encode(
        x=alt.X("value:Q", title="answers as before").scale(domain=[0, 1]).axis(format="%"),
        tooltip=["model", "position", *_INTERVAL, "n"],
    )
    rules = base.mark_rule(strokeWidth=2).encode(x="low:Q", x2="high:Q")
    half = alt.Chart(found).mark_rule(strokeDash=[4, 4], opacity=0.6).encode(x=alt.datum(0.5))
    chart = (
        (half + rules + points).properties(width=200).facet(column=alt.Column("position:N", title="position"))
    )
    return Chart(
        chart,
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
        given = answers(fitted[model], chains, vocabulary).argmax(-1)[0].detach().numpy()
        start, text, marks = 1 + 3 * sizes.n, "", []
        order = np.argsort(chains.positions[0])
        for clause in order:
            at = start + 3 * clause
            said = tokenizer.decode(chains.ids[0, at : at + 3]).strip()
            answer, truth = VALUES[given[clause]], VALUES[chains.values[0, clause]]
            position = chains.positions[0, clause] + 1
            text += f"{position}. {said}: "
            marks.append((len(text), len(text) + len(answer), "right" if answer == truth else "wrong"))
            text += answer + ("" if position <= sizes.n_train else "   (longer than trained)") + "\n"
        read = tokenizer.decode(chains.ids[0, 1:start]).strip()
        right = int((given == chains.values[0]).sum())
        return Texts(
            [{"label": "The clauses as the model reads them", "text": read},
             {"label": f"{model}, in the chain's order", "text": text, "marks": marks}],
            "Try a chain",
            f"{model} answers {right} of {sizes.n} clauses rightly. Three words are a clause: "
            "“not Tom Lily” says that Lily is what Tom is not.",
        )  # fmt: skip

    return Explorer(
        show,
        model=ipywidgets.Dropdown(options=list(fitted), value=list(fitted)[-1]),
        number=ipywidgets.IntSlider(0, 0, 50, continuous_update=False),
    )
