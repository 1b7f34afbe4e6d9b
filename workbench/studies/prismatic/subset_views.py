"""Pictures of 09's training sets: diversity against accuracy, and how well each measure ranks them."""

import altair as alt
import pandas as pd

from workbench.charts.intervals import intervals
from workbench.charts.parts import looks, tips
from workbench.charts.theme import MUTED
from workbench.charts.view import Chart, with_rows
from workbench.measures.statistics import spearman
from workbench.sanitize import sanitize

UNITS = {
    "G-Vendi": "effective number",
    "embedding Vendi": "effective number",
    "number of structures": "a plain count",
    "n-gram entropy": "bits",
    "perplexity": "of the proxy",
}
ALL, EVEN = "all", "evenly crossed"  # sets
_FEWEST_SETS = 10  # of a half, for a correlation of its own


@with_rows
def tracks(frame: pd.DataFrame) -> Chart:
    """Accuracy out of distribution against each measure of diversity, a point a training subset.

    Columns: subset, measure, value, accuracy, low, high (of the accuracy), n_structures, n_wordings; where
    there, rho, rho_low, rho_high go above the panel.
    """
    limits = [frame["low"].min(), frame["high"].max()]
    counts, middle = frame["n_structures"], frame["n_wordings"].median()
    few = frame["n_wordings"] <= middle
    frame = frame.assign(wordings=few.map({True: f"{middle:.0f} or fewer", False: "more"}))
    sizes = sorted({counts.min(), int(counts.median()), counts.max()})
    panels = [_panel(rows, name, limits, sizes) for name, rows in frame.groupby("measure", sort=False)]
    return Chart(
        alt.concat(*panels, columns=2, spacing={"row": 26, "column": 34}),
        "Diversity against accuracy out of distribution",
        "Each point is a training set, all of one size, with what its students solve; bars are 95 % "
        "intervals over questions."
        + " ρ is the rank correlation, with its 95 % interval."
        * ("rho" in frame),
    )


def _panel(rows: pd.DataFrame, measure: str, limits: list[float], sizes: list[int]) -> alt.LayerChart:
    title, first = measure, rows.iloc[0]
    if "rho" in rows:
        title += f": ρ = {_signed(first.rho)} [{_signed(first.rho_low)}, {_signed(first.rho_high)}]"
    unit = f" ({UNITS[measure]})" if measure in UNITS else ""
    size = alt.Size("n_structures:Q", title="structures").scale(range=[30, 160])
    legend = {"values": sizes, "symbolFillColor": MUTED, "symbolStrokeColor": MUTED}
    chart = intervals(
        rows,
        alt.X("value:Q", title=f"{measure}{unit}").scale(zero=False, padding=12).axis(tickCount=5),
        "OOD accuracy",
        names=("accuracy", "low", "high"),
        form=".1%",
        tooltip=["subset", "n_structures", "n_wordings", *tips(".4g", "value")],
        look={**looks("wordings", "wordings"), "size": size.legend(**legend)},
        scale={"domain": limits, "nice": True},
    )
    heading = alt.TitleParams(sanitize(title), fontSize=12.5, offset=6, anchor="start")
    return chart.properties(width=300, height=200, title=heading)


def correlations(frame: pd.DataFrame, tracked: pd.DataFrame | None = None) -> Chart:
    """Rank correlation of each measure with accuracy. Columns: measure, rho, low, high, n.

    Args:
        tracked: `results.against_accuracy` of `subsets.draw_sets`, whose evenly crossed half is drawn beside
            all, unless it has too few sets.
    """
    ranked, rho = frame.sort_values("rho", ascending=False).assign(sets=ALL), ("rho", "low", "high")
    style = {"step": 46, "scale": {"domain": [-1, 1]}, "references": [0], "labels": "+.2f"}
    order, half = ranked["measure"], _evenly_crossed(tracked)
    if not half.empty:
        offset = alt.YOffset("sets:N", sort=[ALL, EVEN])
        style |= {
            "look": {**looks("sets", order=[ALL, EVEN], orient="bottom"), "yOffset": offset},
            "step": 68,
        }
    return Chart(
        intervals(
            pd.concat([ranked, half]),
            "measure",
            "Spearman's ρ with OOD accuracy",
            names=rho,
            order=order,
            **style,
        ),
        "How well each measure ranks the subsets",
        f"Dots are rank correlations over {frame['n'].max()} subsets, lines their 95 % intervals; "
        "where one crosses the dashed line at zero, the measure is not told apart from chance."
        + f" The {EVEN} half has every number of structures with every number of wordings equally often."
        * (not half.empty),
    )


def _evenly_crossed(tracked: pd.DataFrame | None) -> pd.DataFrame:
    """Rank correlations over every second set, as `correlations` takes them; no rows where those are few."""
    if tracked is None or tracked["subset"].nunique() < 2 * _FEWEST_SETS:
        return pd.DataFrame()
    even = tracked[tracked["subset"].astype(int) % 2 == 0]  # `subsets.DESIGN`: the others lean
    rows = [
        (measure, *spearman(part["value"], part["accuracy"]).row().values(), EVEN)
        for measure, part in even.groupby("measure")
    ]
    return pd.DataFrame(rows, columns=["measure", "rho", "low", "high", "n", "sets"])


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−")
