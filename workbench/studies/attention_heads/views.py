"""Pictures of 03_attention_heads: the two kinds of heads, their offsets, what is lost without them."""

from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from workbench.charts.intervals import intervals
from workbench.charts.parts import looks, numbered_cells, panels, same_color, tips
from workbench.charts.theme import QUIET, series
from workbench.charts.view import Chart, Table, with_rows
from workbench.measures.statistics import spearman
from workbench.measures.summaries import summarise
from workbench.studies.attention_heads import method
from workbench.studies.attention_heads.ablation import ENTITIES, OTHERS, READ_ONLY
from workbench.studies.attention_heads.groups import MATCHED
from workbench.studies.attention_heads.importance import DRAWN
from workbench.studies.attention_heads.method import CLASSES, INDEX, classify, wide

CLASS_ROLES = {CLASSES[-1]: QUIET}
"""The class of heads that belong to none of the others should not be the loudest."""

_MOST_INDUCTION = 24  # heads of a model
_MOST_HEADS = 100  # rows of a table; of more, those of a kind
_MOST_PANELS = 11  # layers
PARTS = ["grammar", "consistency", READ_ONLY, "facts", "reasoning", "keeping track"]
LOSSES = ["loss", ENTITIES, OTHERS]


@with_rows
def kinds(table: pd.DataFrame, changed: pd.DataFrame) -> Chart:
    """Every head by what offset explains and by what it gives to names or nouns."""
    frame, measures = wide(table), table.set_index([*INDEX, "measure"])[["value", "low", "high"]]
    best = frame[["name_lift", "noun_lift"]].fillna(-np.inf).idxmax(axis=1)
    lost = changed[changed["part"] == "loss"].set_index("condition")["value"]
    names = frame["layer"].astype(str) + "." + frame["head"].astype(str)
    shown = pd.DataFrame({"cell": _cells(frame), "kind": classify(frame)})
    bounds = measures.loc[pd.MultiIndex.from_arrays([frame["layer"], frame["head"], best])]
    shown[["lift", "lift_low", "lift_high"]] = bounds.to_numpy()
    bounds = measures.xs("positional", level="measure")
    shown[["positional", "positional_low", "positional_high"]] = bounds.to_numpy()
    shown["seeks"] = best.map({"name_lift": "names", "noun_lift": "nouns"})
    shown["lost"] = names.map(lost).fillna(0.0)
    # Where offset misleads on other texts the share is below zero, without a limit: clamped to the edge.
    scale = alt.Scale(domain=[max(-0.5, float(min(0, shown["positional"].min()))), 1], clamp=True)
    x = alt.X("positional:Q", title="share explained by offset (held out)", scale=scale).axis(format="%")
    # All classes, for the colours and shapes that they have on the map of heads.
    look = looks("kind", "class", CLASSES, CLASS_ROLES)
    look["size"] = alt.Size("lost:Q", title="loss when off (nats)").scale(range=[40, 500])
    chart = intervals(
        shown,
        x,
        "attention to far names or nouns (times chance)",
        names=("lift", "lift_low", "lift_high"),
        tooltip=["cell", "kind", "seeks", *tips(".3f", "positional", "lost")],
        look=look,
        scale={"zero": False},
        references=[1],
    )
    level = alt.Chart(shown).mark_rule(strokeWidth=2, opacity=0.65)
    bounds = {"x": "positional_low:Q", "x2": "positional_high:Q"}
    level = level.encode(same_color(look, alt.Stroke), y="lift:Q", **bounds)
    return Chart(
        level + chart,
        "Two kinds of heads?",
        "Each point is a head: further right, the more its attention follows from distance alone; further "
        "up, the more it seeks names or nouns more than eight tokens back. The dashed line is chance; lines "
        "are 95 % intervals over texts.",
    )


@with_rows
def measures_table(table: pd.DataFrame, swapped: pd.DataFrame) -> Table:
    """The measures of all heads."""
    frame = wide(table).join(swapped.set_index(INDEX)["value"].rename("name_swap"), on=INDEX)
    frame.insert(2, "class", classify(frame))
    n_heads = len(frame)
    if n_heads > _MOST_HEADS:
        frame = frame[frame["class"] != CLASSES[-1]]
    names = {
        "distance": "distance",
        "distance_without_first": "distance, no first",
        "normalised_entropy": "entropy",
        "effective_tokens": "tokens seen",
        "positional": "offset R²",
        "positional_softmax": "offset, softmax",
        "one_offset": "one offset",
        "previous_token": "previous",
        "self": "self",
        "first_token": "first",
        "duplicate": "duplicate",
        "induction": "induction",
        "induction_mul": "induction (mul)",
        "name_lift": "names",
        "shuffled_name_lift": "shuffled",
        "noun_lift": "nouns",
        "name_swap": "swap r",
    }
    return Table(
        frame[[*INDEX, "class", *names]].rename(columns=names).round(3),
        "All heads, all measures" if len(frame) == n_heads else "Heads of a kind, all measures",
        "Distances in tokens; offset R² and its softmax variant on texts held out from the fit; names and "
        "nouns in times chance, with names in random places as control; swap r: how alike a head attends to "
        "a name after another took its place. The run folder's table holds the intervals and more measures."
        + ("" if len(frame) == n_heads else f" Left out are the mixed ones of {n_heads} heads."),
        limit=200,
    )


def _cells(frame: pd.DataFrame) -> list[str]:
    return [f"L{row.layer} H{row.head}" for row in frame.itertuples()]


@with_rows
def offsets(profiles: pd.DataFrame) -> Chart:
    """Mean attention by offset, a panel a layer, and ALiBi's fixed slopes beside it."""
    n_heads, n_layers = (int(profiles[name].max()) + 1 for name in ("head", "layer"))
    layers = sorted({round(layer) for layer in np.linspace(0, n_layers - 1, min(n_layers, _MOST_PANELS))})
    profiles = profiles[profiles["layer"].isin(layers)]
    longest = min(40, 4500 // len(profiles[INDEX].drop_duplicates()))  # a chart's limit
    shown = profiles[profiles["offset"] <= longest]
    shown = shown.assign(panel="layer " + shown["layer"].astype(str))
    away, design = range(longest + 1), "ALiBi by design"
    shares = np.exp(-np.outer(method.alibi_slopes(n_heads), away))
    columns = {"attention": (shares / shares.sum(1, keepdims=True)).ravel(), "panel": design}
    alibi = method.product_frame(columns, head=range(n_heads), offset=away)
    frame = pd.concat([shown[alibi.columns], alibi])
    frame = frame[frame["attention"] >= 1e-4]
    if n_heads > 7:
        look: dict[str, Any] = {"color": alt.Color("head:O", title="head").scale(scheme="viridis")}
    else:
        look = {name: code for name, code in series("head", "head").items() if name != "shape"}
    chart = alt.Chart(frame, width=170, height=130).mark_line(strokeWidth=1.8)
    chart = chart.encode(
        x=alt.X("offset:Q", title="tokens back"),
        y=alt.Y("attention:Q", title="mean attention (log)").scale(type="log"),
        tooltip=["panel", "head", "offset", *tips(".4f", "attention")],
        **look,
    )
    return Chart(
        panels(chart, "panel", [*shown["panel"], design], columns=3),
        "Attention by distance",
        "A line is a head: how much it gives to the token so many places back, on average. The last panel is "
        "what ALiBi would prescribe for as many heads if content played no part: straight lines here."
        + ("" if len(layers) == n_layers else f" Shown are {len(layers)} of {n_layers} layers."),
    )


def without_heads(changed: pd.DataFrame) -> Chart:
    """What each head costs: loss, grammar, consistency."""
    alone = changed[changed["condition"].str.contains(".", regex=False)]
    alone = alone.assign(cell="L" + alone["condition"].str.replace(".", " H"))
    titles = {"loss": "loss (nats per token)", "grammar": "grammar", "consistency": "consistency"}
    order = list(alone[alone["part"] == "loss"].sort_values("value", ascending=False)["cell"])
    rows, sides = alt.Y("cell:N", sort=order, title=None), []
    style = {"tooltip": ["cell", "part"], "axis": {"tickCount": 4}, "references": [0]}
    for part, title in titles.items():
        frame, is_loss = alone[alone["part"] == part], part == "loss"
        if len(frame):
            y, form = (rows, ".3f") if is_loss else (rows.axis(None), ".1%")
            chart = intervals(frame, y, f"change in {title}", form=form, **style)
            sides.append(chart.properties(width=150, height=max(120, 15 * len(order))))
    return Chart(
        alt.hconcat(*sides, spacing=24),
        "The model without one head",
        "Each head in turn puts out its mean in place of what it reads; heads in order of the loss that this "
        "costs. Lines are 95 % intervals over the same texts with and without the head.",
    )


@with_rows
def ranges(changed: pd.DataFrame, over: str = "stories, texts and questions") -> Chart:
    """The quarters of heads of shortest and of longest range, each beside random groups that cost as much.

    Args:
        changed: of `ablation.changes`, or over trainings (`trainings.changes_by_training`).
        over: what the intervals are over.
    """
    order = [condition for pair in MATCHED.items() for condition in pair]
    frame, sides = changed[changed["condition"].isin(order)], []
    look = looks("condition", "off", order, orient="bottom", columns=1, labelLimit=300)
    look["yOffset"] = alt.YOffset("condition:N", sort=order)
    titles = {"change in share of sentences or answers": (PARTS, ".1%"), "nats a token": (LOSSES, ".3f")}
    for title, (parts, form) in titles.items():
        part = frame[frame["part"].isin(parts)]
        if len(part) or not sides:
            chart = intervals(part, "part", title, form=form, look=look, order=parts, references=[0])
            sides.append(chart.properties(width=430, height=45 * max(1, part["part"].nunique())))
    return Chart(
        alt.vconcat(*sides, spacing=20),
        "Short range, long range",
        "Two quarters of the heads, by the mean distance they look back, are switched off, and beside each "
        "random groups of the other heads that cost the same loss. Grammar and consistency are shares of all "
        "sentences by the exact grader, answers by forced choice; lines are 95 % intervals over "
        f"{over}.",
    )


def induction(heads: pd.DataFrame, losses: pd.DataFrame) -> Chart:
    """Attention to what followed, head by head, and loss over two copies, of the first seed's models."""
    first = heads["seed"].min()
    heads, losses = (frame[frame["seed"] == first] for frame in (heads, losses))
    frame = summarise(heads, ["model", *INDEX], "value").sort_values("value", ascending=False)
    n_heads, frame = len(frame), frame.groupby("model").head(_MOST_INDUCTION)
    frame = frame.assign(cell=_cells(frame))
    frame = frame.sort_values("cell") if len(frame) == n_heads else frame
    look = {"color": alt.Color("model:N", legend=None), "shape": alt.Shape("model:N", legend=None)}
    style = {"tooltip": ["model", "cell"], "scale": {"domain": [0, 1]}, "drawn": "nothing"}
    points = intervals(frame, "cell", "attention to what followed", form=".1%", look=look, **style)
    x = alt.X("position:Q", title="position in two copies of random tokens")
    tooltip = ["model", "position", "copy", *tips(".2f", "nats")]
    style = {"names": ["share"], "form": ".1%", "tooltip": tooltip, "mark": "line"}
    title = "loss (share of the first copy's mean)"
    lines = intervals(losses, x, title, look=series("model", "model"), **style).properties(width=270)
    apart: dict[str, Any] = dict.fromkeys(("color", "shape", "strokeDash"), "independent")
    return Chart(
        alt.hconcat(points.properties(width=210), lines, spacing=24).resolve_scale(**apart),
        "Induction heads",
        "Random tokens come twice. An induction head looks from a token to what followed the same token "
        "before; with it, the second copy costs little."
        + (f" Shown are the {len(frame)} strongest of {n_heads} heads." if len(frame) < n_heads else "")
        + (
            f" The model trained on repeats shows how that looks (the training of seed {first})."
            if heads["model"].nunique() > 1
            else ""
        ),
    )


@with_rows
def estimates(both: pd.DataFrame, sentence: str) -> Chart:
    """What gradients expect each head to cost, against what it costs when it is switched off.

    Args:
        both: of `importance.against_ablation`.
        sentence: what was switched off.
    """
    shown = both.assign(cell=_cells(both), heads=np.where(both[DRAWN], "drawn at random", "largest estimate"))
    x = alt.X("estimate:Q", title="estimated from gradients (nats a token)")
    chart = intervals(
        shown,
        x,
        "measured: loss when off (nats a token)",
        form=".4f",
        tooltip=["cell", "heads", *tips(".4f", "estimate")],
        look=looks("heads", "heads", ["largest estimate", "drawn at random"]),
        scale={"zero": False},
        references=[0],
    )
    return Chart(
        chart,
        "Expected and measured",
        f"{sentence} Each point is a head. Estimates are first-order: of a head that others stand in for, or "
        "whose effect saturates, they say too little or too much.",
    )


@with_rows
def patches(patched: pd.DataFrame) -> Chart:
    """How far each head's output from one prompt carries its answer into another."""
    n_layers, step = patched["layer"].nunique(), (64, 36)
    step = step if n_layers <= 12 else (44, 20)
    base = alt.Chart(patched, width=alt.Step(step[0]), height=alt.Step(step[1])).encode(
        x=alt.X("head:O", title="head").axis(labelAngle=0), y=alt.Y("layer:O", title="layer")
    )
    known = patched[["value", "first_order"]].dropna()
    rho = spearman(known["value"], known["first_order"]).value if len(known) > 2 else np.nan
    alike = "an unknown degree" if np.isnan(rho) else f"{rho:.2f}"
    limit = float(np.fmax(1.0, patched["value"].abs().max()))
    color = alt.Color("value:Q", title="effect").scale(scheme="purpleorange", domain=[-limit, limit])
    tooltip = ["layer", "head", *tips(".3f", "value", "low", "high", "first_order"), "n"]
    clean, corrupt, n, asked = patched[["clean", "corrupt", "n", "asked"]].iloc[0]
    bright, text = abs(alt.datum.value) <= 0.6 * limit, alt.Text("value:Q", format=".2f")
    return Chart(
        numbered_cells(base, color, tooltip, bright=bright, text=text),
        "Which heads carry the answer",
        f"Two children put two things into two boxes; one is opened. Each head's output is put into the "
        f"prompt with the things exchanged: 1 brings the first prompt's answer back, 0 changes nothing. Over "
        f"{n:.0f} pairs the logits of the two answers differ by {clean:+.2f} before and {corrupt:+.2f} after "
        f"the exchange; {asked:.0f} were asked, and those count that the model answers rightly both "
        f"ways. First-order attribution patching ranks the heads alike to {alike} (Spearman)."
        + ("" if len(known) == len(patched) else f" {len(known)} of {len(patched)} heads were patched."),
    )
