"""The gradient map of 09_prismatic: examples laid out by their gradients, tied to clusters and to texts."""

from collections.abc import Callable
from typing import Any

import altair as alt
import ipywidgets
import numpy as np
import pandas as pd

from workbench.charts.labels import shorten, wrap
from workbench.charts.parts import tips
from workbench.charts.theme import INK, MUTED, PALETTE, SHAPES
from workbench.charts.vegalite import MAX_ROWS
from workbench.charts.view import WIDGET, Bundle, Chart, Texts, headless, with_rows
from workbench.errors import UserError
from workbench.sanitize import sanitize

Save = Callable[[np.ndarray], str]
"""Numbers of chosen examples → a sentence that says where they are."""
BARS = 40  # of one chart; more could not be hit with a mouse
TITLE = "The map of gradients"


class LargeMap(Chart):
    """A chart of a sample, and in JupyterLab a widget that holds every point in its stead."""

    def __init__(self, chart: Any, sentence: str, widget: ipywidgets.Widget | None) -> None:
        super().__init__(chart, TITLE, sentence)
        self.widget = widget

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Bundle:
        data, metadata = self.bundle()
        if self.widget is not None:
            data[WIDGET] = self.widget._repr_mimebundle_()[WIDGET]
        return data, metadata


@with_rows
def linked_map(points: pd.DataFrame, clusters: pd.DataFrame, save: Save | None = None) -> Chart:
    """The map, the clusters by size, and the text of the chosen example; clicks work without a kernel.

    Args:
        points: one row an example: x, y, cluster, template, text, contribution (nats) and, where there was a
            decision, accepted (bool).
        clusters: cluster, size, density (mean cosine to the centroid), exemplar (a text).
        save: what a button of the widget does with the examples that are chosen, by number.
    """
    sentence = (
        "Each point is an example; near points have gradients of like direction, bright ones add most to the "
        "score (−uᵀ log(S) u). Click a bar to see its cluster, click a point to read it below."
    )
    if len(points) <= MAX_ROWS:
        return Chart(_picture(points, clusters), TITLE, sentence)
    # A widget is for a live front end only; a headless run needs no extra.
    widget = None if headless() else _everything(points, clusters, save)
    sample = points.sample(MAX_ROWS, random_state=0)
    sentence += f" This still picture shows {MAX_ROWS:,} of {len(points):,}, drawn at random."
    if widget is None:
        sentence += ' In JupyterLab all are shown after pip install "small-model-workbench[maps]".'
    return LargeMap(_picture(sample, clusters), sentence, widget)


def _picture(points: pd.DataFrame, clusters: pd.DataFrame) -> alt.VConcatChart:
    chosen = int(np.argmax(points["contribution"].fillna(-np.inf)))
    value, one = [{"point": chosen}], {"empty": False, "toggle": False, "clear": False}  # always one chosen
    point = alt.selection_point(name="chosen", fields=["point"], value=value, nearest=True, **one)
    bar = alt.selection_point(name="picked", fields=["cluster"], toggle=False)
    rows = points.assign(
        point=np.arange(len(points)),
        shape=_shapes(points, clusters),
        text=points["text"].map(_wrapped),
        template=[shorten(sanitize(template), 40) for template in points["template"]],
    ).round({"x": 3, "y": 3, "contribution": 3})  # a report carries every digit
    # Legends of their own stand above the cloud; shared ones would go below the texts.
    apart = {"color": "independent", "shape": "independent"}
    top = alt.hconcat(_cloud(rows, point, bar), _bars(clusters, bar), spacing=24).resolve_legend(**apart)
    texts = alt.hconcat(*_read(rows, clusters, point), spacing=20)
    return alt.vconcat(top, texts, spacing=16).resolve_legend(**apart)


def _shapes(points: pd.DataFrame, clusters: pd.DataFrame) -> list[str]:
    """Accepted or not; without decisions, how large the example's cluster is among all clusters."""
    if "accepted" in points:
        return ["accepted" if accepted else "rejected" for accepted in points["accepted"]]
    rank = clusters.set_index("cluster")["size"].rank(pct=True)
    names = ["small", "middle", "large"]
    return [names[min(2, int(3 * (share - 1e-9)))] for share in points["cluster"].map(rank)]


def _wrapped(text: str) -> str:
    """At most nine lines that fit into half the picture."""
    return "\n".join(wrap(sanitize(text, 350), 52, 9))


# Where the nearest point answers, Vega-Lite 6 looks for texts in the wrong datum and finds "undefined".
_TOOLTIP = (
    "{template: (datum.datum || datum).template, cluster: (datum.datum || datum).cluster, "
    "contribution: format((datum.datum || datum).contribution, '.2f')}"
)


def _cloud(rows: pd.DataFrame, point: alt.Parameter, bar: alt.Parameter) -> alt.LayerChart:
    hidden = alt.Axis(labels=False, ticks=False, grid=False, domain=False)
    base = alt.Chart(rows).encode(
        x=alt.X("x:Q", title="layout, first axis (no unit)").axis(hidden).scale(zero=False),
        y=alt.Y("y:Q", title="layout, second axis (no unit)").axis(hidden).scale(zero=False),
    )
    color = alt.Color("contribution:Q", title="adds to the score (nats)")
    shape = alt.Shape("shape:N", title=None if "accepted" in rows else "cluster").scale(range=SHAPES)
    dots = base.mark_point(filled=True, size=42, stroke=MUTED, strokeWidth=0.4).encode(
        color=color.legend(orient="top", gradientLength=150),
        shape=shape.legend(orient="top", symbolFillColor=MUTED, symbolStrokeColor=MUTED),
        opacity=alt.when(bar).then(alt.value(0.9)).otherwise(alt.value(0.07)),
        tooltip=alt.value(alt.ExprRef(_TOOLTIP)),
    )
    ring = base.mark_point(filled=False, shape="circle", size=190, strokeWidth=2.5, color=PALETTE[1])
    return (dots.add_params(point) + ring.transform_filter(point)).properties(width=440, height=360)


def _bars(clusters: pd.DataFrame, bar: alt.Parameter) -> alt.LayerChart:
    shown = clusters.sort_values("size", ascending=False, kind="stable")
    if len(shown) > BARS:
        shown = pd.concat([shown.head(BARS // 2), shown.tail(BARS // 2)])
    shown = shown.assign(exemplar=shown["exemplar"].map(_wrapped))
    title = "cluster" if len(shown) == len(clusters) else f"{BARS // 2} largest and {BARS // 2} smallest"
    base = alt.Chart(shown).encode(y=alt.Y("cluster:N", title=title, sort=shown["cluster"].tolist()))
    bars = base.mark_bar(cursor="pointer").encode(
        x=alt.X("size:Q", title="size, and cosine to the centre").axis(tickCount=4),
        opacity=alt.when(bar).then(alt.value(1)).otherwise(alt.value(0.35)),
        tooltip=["cluster", "size", *tips(".2f", "density"), "exemplar"],
    )
    numbers = base.mark_text(align="left", dx=4, fontSize=9, color=MUTED)
    numbers = numbers.encode(x="size:Q", text=alt.Text("density:Q", format=".2f"))
    return (bars.add_params(bar) + numbers).properties(width=170, height=360)


def _read(rows: pd.DataFrame, clusters: pd.DataFrame, point: alt.Parameter) -> list[alt.LayerChart]:
    """The chosen example, and beside it the one nearest to the centre of its cluster."""
    centres = clusters[["cluster", "size", "exemplar"]].assign(exemplar=clusters["exemplar"].map(_wrapped))
    lookup = alt.LookupData(centres, "cluster", ["size", "exemplar"])
    base = alt.Chart(rows).transform_filter(point).transform_lookup("cluster", from_=lookup)
    base = base.encode(x=alt.value(0)).transform_calculate(
        example="datum.template + ', adds ' + format(datum.contribution, '.2f') + ' nats'",
        centre="'cluster ' + datum.cluster + ', size ' + datum.size + ', nearest to its centre'",
    )
    height = 24 + 16 * (1 + max(text.count("\n") for text in [*rows["text"], *centres["exemplar"]]))
    style = {"align": "left", "baseline": "top", "lineBreak": "\n"}
    return [
        (
            base.mark_text(**style, fontWeight=600, color=INK).encode(y=alt.value(0), text=f"{head}:N")
            + base.mark_text(**style, lineHeight=16, color=INK).encode(y=alt.value(20), text=f"{body}:N")
        ).properties(width=350, height=height)
        for head, body in (("example", "text"), ("centre", "exemplar"))
    ]


def _everything(points: pd.DataFrame, clusters: pd.DataFrame, save: Save | None) -> ipywidgets.Widget | None:
    """All points in jupyter-scatter, if installed; a click, a lasso or the menu shows texts below."""
    try:
        import jscatter
    except ImportError:
        return None
    # Numbers only: its tooltips and legends would set strings of the data as HTML.
    frame = points[["x", "y", "contribution"]].reset_index(drop=True)
    scatter = jscatter.Scatter(data=frame, x="x", y="y", color_by="contribution", height=460, axes=False)
    output = ipywidgets.Output()
    names = [("none", -1)]
    for row in clusters.sort_values("size", ascending=False)[["cluster", "size", "density"]].itertuples():
        names.append((f"{row.cluster}: {row.size:,} examples, cosine {row.density:.2f}", int(row.cluster)))
    menu = ipywidgets.Dropdown(options=names, description="cluster", layout={"width": "420px"})

    def read(change: dict[str, Any]) -> None:
        cards = []
        for row in points.iloc[[int(number) for number in change["new"][:6]]].itertuples():
            label = f"cluster {row.cluster}, {row.template}, {row.contribution:.2f} nats"
            cards.append({"label": label, "text": row.text})
        shown = Texts(cards, f"{len(change['new']):,} chosen", "The first six of them.", limit=800)
        data, metadata = shown.bundle(png=False)
        output.outputs = ({"output_type": "display_data", "data": data, "metadata": metadata},)

    def pick(change: dict[str, Any]) -> None:
        scatter.selection(np.flatnonzero(points["cluster"] == change["new"]))

    scatter.widget.observe(read, "selection")
    menu.observe(pick, "value")
    scatter.selection([int(np.argmax(points["contribution"].fillna(-np.inf)))])
    hint = f"{len(points):,} examples, bright ones add most: click one, shift and drag, or choose a cluster."
    parts = [ipywidgets.Label(hint), menu, scatter.show(), output]
    return ipywidgets.VBox([*parts, _button(scatter, save)] if save else parts)


def _button(scatter: Any, save: Save) -> ipywidgets.Widget:
    """Saves what is chosen in the map as a training set, and says where, or why not."""
    button, said = ipywidgets.Button(description="Save as a training set"), ipywidgets.Label()

    def write(_: ipywidgets.Button) -> None:
        try:
            said.value = save(np.asarray(scatter.selection(), dtype=int))
        except UserError as error:
            said.value = str(error)

    button.on_click(write)
    return ipywidgets.HBox([button, said])
