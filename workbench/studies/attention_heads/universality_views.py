"""Pictures of the units that several trainings, and models of several sizes, share."""

import altair as alt
import pandas as pd

from workbench.charts.intervals import intervals
from workbench.charts.parts import looks
from workbench.charts.theme import CONTROLS
from workbench.charts.view import Chart, Table, with_rows
from workbench.measures.summaries import summarise
from workbench.studies.attention_heads.universality import CHANCE, UNTRAINED
from workbench.studies.attention_heads.universality_results import LEARNT, VIEW, learnt

_FOUND_IN = {
    "matched": "another training",
    UNTRAINED: "a model never trained",
    "control": "random directions",
    "shuffled": "another training, other texts",
}


@with_rows
def shares(compared: pd.DataFrame) -> Chart:
    """The share of heads and of neurons that are matched in other trainings of the model, and in controls."""
    compared, failed = learnt(compared)
    trained = compared[compared["model"] == compared["other"]]
    parts = [
        trained.assign(where=_FOUND_IN[name], share=trained[name]) for name in _FOUND_IN if name in trained
    ]
    untrained = compared[compared["other"] == UNTRAINED]
    parts.append(untrained.assign(where=_FOUND_IN[UNTRAINED], share=untrained["matched"]))
    by = ["kind", "model", "where"]
    # A seed's mean over the others is one value: pairs of seeds are not independent.
    by_seed = pd.concat(parts).groupby([*by, "seed"], sort=False)["share"].mean().reset_index()
    frame, sides = summarise(by_seed, by, "share"), []
    order, where = list(dict.fromkeys(frame["model"])), list(_FOUND_IN.values())
    roles = dict(zip(where[1:], CONTROLS, strict=False))
    look = looks("where", "found in", where, roles, orient="bottom", columns=2)
    look["yOffset"] = alt.YOffset("where:N", sort=where)
    for kind in ("head", "neuron"):
        y = alt.Y("model:N", sort=order, title=None)
        y = y.axis(None) if sides else y
        style = {"tooltip": ["model", "where"], "look": look, "form": ".0%", "step": 48}
        chart = intervals(
            frame[frame["kind"] == kind], y, f"{kind}s matched", scale={"domain": [0, 1]}, **style
        )
        sides.append(chart.properties(width=210))
    return Chart(
        alt.hconcat(*sides, spacing=20),
        VIEW,
        "A unit is matched if its best counterpart correlates with it, on texts that did not choose it, more "
        f"than the best of as many random directions do in all but {CHANCE:.0%} of draws. Points are means "
        "over trainings, lines 95 % intervals over them where there are several. "
        + (
            f"Left out, with more than {LEARNT:.0%} of the loss of guessing: {'; '.join(failed)}."
            if failed
            else ""
        ),
    )


def across(compared: pd.DataFrame) -> Table:
    """From each model to each other: how many heads and neurons are matched, and whether labels agree."""
    compared, _ = learnt(compared)
    means = compared.groupby(["model", "other", "kind"], sort=False)[["matched", "same_label"]].mean()
    wide = means.unstack("kind")
    columns = {
        "of": wide.index.get_level_values("model"),
        "in": wide.index.get_level_values("other"),
        "heads matched": _percent(wide["matched", "head"]),
        "neurons matched": _percent(wide["matched", "neuron"]),
        "same label, heads": _percent(wide["same_label", "head"]),
        "same label, neurons": _percent(wide["same_label", "neuron"]),
    }
    return Table(
        pd.DataFrame(columns),
        "From one size to another",
        "Shares of the units of one model that are matched in the other, means over trainings; and how much "
        "more often matched units answer to the same label than pairs drawn at random.",
    )


def _percent(values: pd.Series) -> list[str]:
    return ["–" if pd.isna(value) else f"{value:.0%}" for value in values]
