"""Pictures of the search in 04_neurons: the best neurons for a label beside what the controls find."""

import altair as alt
import numpy as np
import pandas as pd
from transformers import PreTrainedTokenizerFast

from workbench.charts.intervals import intervals
from workbench.charts.parts import axis_order, looks, tips
from workbench.charts.theme import CONTROL, CONTROLS
from workbench.charts.view import Chart, Table, with_rows
from workbench.studies.neurons.directions import mean_of_sets
from workbench.studies.neurons.search import INTERPRETABLE, champions, ranked
from workbench.studies.neurons.views import tokens_written

KINDS = ["neuron", "random direction", "untrained neuron", "shuffled labels"]
ROLES = dict(zip(KINDS[1:], CONTROLS, strict=True))
_SHOWN = 8  # best neurons


@with_rows
def search_chart(
    surveyed: pd.DataFrame, chance: pd.DataFrame, question: str, several: pd.DataFrame | None = None
) -> Chart:
    """The best neurons for a label and the best of each control, hits and AUC side by side.

    With `several` sets of random directions, of `directions.best_directions`, their mean hits are shown.
    """
    neurons = surveyed[surveyed["kind"] == "neuron"]
    best = ranked(neurons, question, chance, by="hits_select").head(_SHOWN)
    best["name"] = [f"L{row.layer} N{row.unit}" for row in best.itertuples()]
    rivals = champions(surveyed, question, by="hits_select").drop(index="neuron").reset_index()
    if several is not None:
        mean, drawn = mean_of_sets(several, question)
        mixed, columns = rivals["kind"] == "random direction", ["hits", "hits_low", "hits_high"]
        rivals.loc[mixed, columns] = [mean, *np.quantile(drawn, [0.025, 0.975])]
    frame = pd.concat([best, rivals.assign(name="best " + rivals["kind"], p=np.nan)])
    frame = frame.drop(columns=["draws", "hits_draws"])
    frame["which"] = np.where(frame["kind"] == "neuron", "neuron", "control")
    significant = int((best["p"] <= 0.05).sum())
    y = alt.Y("name:N", sort=axis_order(frame["name"]), title=None)

    def side(title: str, y: alt.Y, names: list[str], domain: list[float]) -> alt.LayerChart:
        style = {
            "tooltip": ["name", "fires", *tips(".3f", "hits_select", "select", "p")],
            "look": looks("which", None, ["neuron", "control"], {"control": CONTROL}),
        }
        chart = intervals(frame, y, title, names=names, step=24, scale={"domain": domain}, **style)
        return chart.properties(width=260)

    hits = side("right among the strongest tokens", y, ["hits", "hits_low", "hits_high"], [0, 1])
    auc = side("AUC", y.axis(None), ["confirm", "low", "high"], [0.5, 1])
    return Chart(
        alt.hconcat(hits, auc, spacing=24),
        "Which neurons answer?",
        f"“{question}”: neurons chosen by their hits on half of the stories, measured on the other half; "
        f"lines are 95 % intervals over stories. {significant} of the {len(best)} shown have an AUC that is "
        "significant at 5 % after correction for all neurons. Below them stands the best of each "
        "control; the hits of random directions are the mean over several sets.",
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
    look = looks("kind", None, KINDS, ROLES)
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
    neurons = surveyed[surveyed["kind"] == "neuron"]
    rows = [
        {
            "neuron": f"L{row.layer}\u00a0N{row.unit}",
            "hits": row.hits,
            "AUC": row.confirm,
            "high at the label": "yes" if row.fires == "present" else "no",
            "raises": tokens_written(written, tokenizer, row.layer, row.unit, "top"),
            "lowers": tokens_written(written, tokenizer, row.layer, row.unit, "bottom"),
        }
        for row in ranked(neurons, question, by="hits_select").head(_SHOWN).itertuples()
    ]
    return Table(
        pd.DataFrame(rows),
        "What the best neurons write",
        "The tokens whose logits the neuron's value vector raises and lowers most, on the direct path to the "
        "output. A neuron that is low at the label writes the opposite there.",
    )


@with_rows
def trainings_chart(summary: pd.DataFrame) -> Chart:
    """Hits and AUC of the best unit of each kind, over trainings: `results.by_training`."""
    look = {**looks("kind", None, KINDS, ROLES), "yOffset": alt.YOffset("kind:N", sort=KINDS)}
    style = {"look": look, "step": 80, "scale": {"domain": [0, 1]}}
    chart = intervals(summary, "measure", "on the other half of the stories", **style)
    return Chart(
        chart.properties(width=420),
        "Is it there in every training?",
        f"The largest model of the ladder, trained {_times(summary)}: in each training the best unit of each "
        "kind is chosen on half of the stories and measured on the other half. Points are means over "
        "trainings, lines 95 % intervals.",
    )


def _times(summary: pd.DataFrame) -> str:
    n = int(summary["n"].max())
    return "once" if n == 1 else f"{n} times with other seeds"


def shares_chart(shares: pd.DataFrame, over: str = "stories and units") -> Chart:
    """Share of interpretable units by model and kind; `over` says what the intervals are over."""
    look = {**looks("kind", None, KINDS, ROLES), "yOffset": alt.YOffset("kind:N", sort=KINDS)}
    return Chart(
        intervals(shares, "model", "share of units", form=".1%", look=look, step=70),
        "How many neurons are interpretable?",
        f"Share of units whose best label, chosen on half of the stories, has an AUC of {INTERPRETABLE} or "
        f"more on the other half. Lines are 95 % intervals over {over}.",
    )
