"""The forest plot of the headlines: one row a study, each on a scale of its own about a common zero line."""

from collections.abc import Sequence
from typing import Any

from workbench.lab.report.pictures import plot


def rows(studies: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """A row for each study that has a headline.

    Args:
        studies: each with its notebook, title, and its `claims` as rows and `made` as they were made.
    """
    plotted = []
    for study in studies:
        headline = next((claim for claim in study["made"] if claim.headline), None)
        if headline is not None:
            about = {"notebook": study["notebook"], "title": study["title"], "plot": plot(headline)}
            plotted.append(study["claims"][0] | about)  # its headline is the first of its rows
    return plotted
