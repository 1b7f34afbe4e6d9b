"""Pictures of 12_pluralism: what the places of a list get, whatever stands there."""

import altair as alt
import pandas as pd

from workbench.charts.intervals import intervals
from workbench.charts.parts import panels
from workbench.charts.view import Chart


def places(frame: pd.DataFrame) -> Chart:
    """Shares by place, a panel a read-out. Columns: `results.by_place`."""
    n = frame["place"].max()
    chart = intervals(
        frame, alt.Y("place:O", title="place in the list"), "share, whatever stands there", form=".1%",
        tooltip=["readout", "place"], scale={"domain": [0, 1]}, references=[1 / n], labels=".0%", step=30,
    )  # fmt: skip
    return Chart(
        panels(chart.properties(width=240), "readout", columns=2),
        "The question, or the place?",
        "Every option stands once at every place, so that a model which answers the question gives each "
        f"place the same, {1 / n:.0%} (dashed). What lies beside it is a habit of place, such as the first "
        "letter, or the last line.",
    )
