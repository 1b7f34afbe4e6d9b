"""Pictures of the search in 04_neurons: the best neurons for a label beside what the controls find."""

import altair as alt
import numpy as np
import pandas as pd
from transformers import PreTrainedTokenizerFast

from workbench.charts.intervals import intervals
from workbench.charts.parts import axis_order, looks, tips
from workbench.charts.view import Chart, Table, with_rows
from workbench.studies.neurons.search import INTERPRETABLE, champions, ranked
from workbench.studies.neurons.views import tokens_written

KINDS = ["neuron", "random direction", "untrained neuron", "shuffled labels"]
_SHOWN = 8  # best neurons


@with_rows
def search_chart(surveyed: pd.DataFrame, chance: pd.DataFrame, question: str) -> Chart:
    """The best neurons for a label and the best of each control, AUC and hits side by side."""
    best = ranked(surveyed[surveyed["kind"] == "neuron"], question, chance).head(_SHOWN)
    best = best.dropna(subset=["hits"])
    best["name"] = [f"L{row.layer} N{row.unit}" for row in best.itertuples()]
    rivals = champions(surveyed, question).drop(index="neuron").reset_index()
    frame = pd.concat([best, rivals.assign(name="best " + rivals["kind"], p=np.nan)])
    frame = frame.drop(columns=["draws", "hits_draws"])
    frame["which"] = np.where(frame["kind"] == "neuron", "neuron", "control")
    significant = int((best["p"] <= 0.05).sum())
    y = alt.Y("name:N", sort=axis_order(frame["name"]), title=None)

    def side(title: str, y: alt.Y, names: list[str], domain: list[float]) -> alt.LayerChart:
        style = {"tooltip": ["name", "fires", *tips(".3f", "select", "p")], "look": looks("which")}
        chart = intervals(frame, y, title, names=names, step=24, scale={"domain": domain}, **style)
        return chart.properties(width=260)

    auc = side("AUC on the other half of the stories", y, ["confirm", "low", "high"], [0.5, 1])
    hits_names = ["hits", "hits_low", "hits_high"]
    hits = side("right among the strongest tokens", y.axis(None), hits_names, [0, 1])
    return Chart(
        alt.hconcat(auc, hits, spacing=24),
        "Which neurons answer?",
        f"“{question}”: neurons chosen on half of the stories, measured on the other half; lines are 95 % "
        f"intervals over stories. {significant} of the {len(best)} shown are significant at 5 % after "
        "correction for all neurons. Below them stands the best that each control has to offer.",
    )


@with_rows
def labels_chart(surveyed: pd.DataFrame) -> Chart:
    """The best neuron for every label beside the best of every control."""
    labels = list(dict.fromkeys(surveyed["label"]))
    best = pd.concat([champions(surveyed, label).reset_index() for label in labels])
    frame = best[["label", "kind", "layer", "unit", "fires", "confirm", "low", "high"]]
    y = alt.Y("label:N", sort=labels, title=None).axis(labelLimit=220, grid=True)
    style = {"scale": {"domain": [0.45, 1]}, "tooltip": ["label", "kind", "layer", "unit", "fires"]}
    title, names = "AUC on the other half of the stories", ("confirm", "low", "high")
    look = looks("kind", order=KINDS)
    return Chart(
        intervals(frame, y, title, names=names, look=look, step=24, **style).properties(width=420),
        "Which labels have a neuron of their own?",
        "For every label the best neuron and the best of each control, chosen on half of the stories. Where "
        "the random direction is level with the neuron, no neuron stands for the label.",
    )


def best_table(
    surveyed: pd.DataFrame, written: pd.DataFrame, tokenizer: PreTrainedTokenizerFast, question: str
) -> Table:
    """What the best neurons for a label write."""
    rows = [
        {
            "neuron": f"L{row.layer}\u00a0N{row.unit}",
            "AUC": row.confirm,
            "high at the label": "yes" if row.fires == "present" else "no",
            "raises": tokens_written(written, tokenizer, row.layer, row.unit, "top"),
            "lowers": tokens_written(written, tokenizer, row.layer, row.unit, "bottom"),
        }
        for row in ranked(surveyed[surveyed["kind"] == "neuron"], question).head(_SHOWN).itertuples()
    ]
    return Table(
        pd.DataFrame(rows),
        "What the best neurons write",
        "The tokens whose logits the neuron's value vector raises and lowers most, on the direct path to the "
        "output. A neuron that is low at the label writes the opposite there.",
    )


def shares_chart(shares: pd.DataFrame) -> Chart:
    """Share of interpretable units by model and kind."""
    look = {**looks("kind", order=KINDS), "yOffset": alt.YOffset("kind:N", sort=KINDS)}
    return Chart(
        intervals(shares, "model", "share of units", form=".1%", look=look, step=70),
        "How many neurons are interpretable?",
        f"Share of units whose best label, chosen on half of the stories, has an AUC of {INTERPRETABLE} or "
        "more on the other half. Lines are 95 % intervals over stories and units.",
    )
