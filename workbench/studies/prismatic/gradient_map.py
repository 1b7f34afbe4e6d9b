"""The gradient map of 09_prismatic: examples laid out by their gradients, tied to clusters and to texts."""

import numpy as np
import pandas as pd

from workbench.charts.point_map import PointMap, Save
from workbench.charts.view import View, with_rows

TITLE = "The map of gradients"


@with_rows
def linked_map(points: pd.DataFrame, clusters: pd.DataFrame, save: Save | None = None) -> View:
    """The examples on a map, the clusters by size, and the chosen example beside the centre of its cluster.

    Args:
        points: one row an example: x, y, cluster, template, text, contribution (nats) and, where there was a
            decision, accepted (bool).
        clusters: cluster, size, density (mean cosine to the centroid), exemplar (a text).
        save: what a button of the widget does with the examples that are chosen, by number.
    """
    ordered = clusters.sort_values("size", ascending=False, kind="stable").reset_index(drop=True)
    rank = {cluster: position for position, cluster in enumerate(ordered["cluster"])}
    centres = _centres(points, ordered)
    shown = pd.DataFrame(
        {
            "x": points["x"],
            "y": points["y"],
            "title": points["template"],
            "text": points["text"],
            "group": points["cluster"].map(rank),
            "value": points["contribution"],
            "beside": points["cluster"].map(centres),
        }
    ).reset_index(drop=True)
    if "accepted" in points:
        shown["kind"] = np.where(points["accepted"], "accepted", "rejected")
    names = ordered["cluster"].astype(str)
    notes = ordered["density"].map("cosine {:.2f}".format)
    return PointMap(
        shown,
        TITLE,
        "Each point is an example. Near points pull the weights in similar directions; those that stand out "
        "most add most to the score. Beside each cluster are its size and the mean cosine of its "
        "examples to its centre.",
        groups=pd.DataFrame({"name": names, "size": ordered["size"], "note": notes}),
        axes="Near points have gradients in similar directions; the axes have no unit.",
        group="cluster",
        kind="decision",
        value="adds to the score (nats)",
        beside="nearest to the centre of its cluster",
        chosen=int(np.argmax(points["contribution"].fillna(-np.inf))),
        save=save,
    )


def _centres(points: pd.DataFrame, clusters: pd.DataFrame) -> dict[int, int]:
    """The number of the example that stands nearest to the centre, by cluster."""
    numbered = points.assign(number=np.arange(len(points)))
    first = numbered.drop_duplicates(["cluster", "text"]).set_index(["cluster", "text"])["number"]
    pairs = zip(clusters["cluster"], clusters["exemplar"], strict=True)
    return {pair[0]: int(first[pair]) for pair in pairs if pair in first.index}
