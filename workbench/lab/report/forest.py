"""The forest plot of the headlines: one row a study, each on a scale of its own about a common zero line."""

import math
from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from workbench.claims import UNTESTABLE, Claim
from workbench.lab.report.claims import measured, number, tone

_WIDTH, _HEIGHT = 280, 34
_MIDDLE, _EDGE = _HEIGHT / 2, 10  # room beside the plot for a figure that lies outside of it
_FARTHEST = 3  # times our own interval's reach: a published figure farther out stands at the edge


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


def plot(claim: Claim) -> Markup:
    """One row as SVG: our interval and effect, the published figure as a diamond, delta as a band.

    Empty where nothing of it is known.
    """
    ours = [claim.effect, claim.low, claim.high]
    known = all(map(math.isfinite, ours))
    published = claim.published if claim.published is not None else math.nan
    reach = max(map(abs, ours)) if known else abs(published)
    if not math.isfinite(reach):
        return Markup("")
    if abs(published) <= _FARTHEST * reach:
        reach = max(reach, abs(published))
    reach = reach * 1.08 or 1.0
    parts = [_band(claim.delta, reach)] if claim.delta is not None else []
    parts.append(f'<path class="zero" d="M{_WIDTH / 2:g} 0V{_HEIGHT}"/>')
    if known:
        parts.append(_ours(*(_place(value, reach) for value in ours)))
    if math.isfinite(published):
        parts.append(_published(published, reach))
    return Markup(
        f'<svg class="plot {tone(claim)}" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{Markup.escape(_label(claim, known, published))}">{"".join(parts)}</svg>'
    )


def _place(value: float, reach: float) -> float:
    """Where a value stands on a line of which `reach` is the end; what lies beyond stands at the edge."""
    half = _WIDTH / 2
    return half + min(max(value / reach, -1.0), 1.0) * (half - _EDGE)


def _band(delta: float, reach: float) -> str:
    left, right = _place(-delta, reach), _place(delta, reach)
    return f'<rect class="band" x="{left:.1f}" y="0" width="{right - left:.1f}" height="{_HEIGHT}"/>'


def _ours(dot: float, left: float, right: float) -> str:
    ends = 4.5
    caps = f"M{left:.1f} {_MIDDLE - ends}v{2 * ends}M{right:.1f} {_MIDDLE - ends}v{2 * ends}"
    return (
        f'<path class="span" d="M{left:.1f} {_MIDDLE}H{right:.1f}{caps}"/>'
        f'<circle class="dot" cx="{dot:.1f}" cy="{_MIDDLE}" r="5"/>'
    )


def _published(value: float, reach: float) -> str:
    """The published figure as a diamond; as an arrow at the edge where it lies beyond."""
    at = _place(value, reach)
    if abs(value) <= reach:
        shape = f"M{at:.1f} {_MIDDLE - 7}l7 7l-7 7l-7 -7Z"
    else:
        outwards = math.copysign(1, value)
        shape = f"M{at + outwards * 8:.1f} {_MIDDLE}L{at - outwards * 2:.1f} {_MIDDLE - 6}V{_MIDDLE + 6}Z"
    return f'<path class="published" d="{shape}"/>'


def _label(claim: Claim, known: bool, published: float) -> str:
    said = "no interval"
    if known:
        low, high = number(claim.low), number(claim.high)
        said = f"ours {measured(claim.effect, claim)}, 95 % interval from {low} to {high}"
    if claim.verdict == UNTESTABLE:
        said += ", not testable here"
    if math.isfinite(published):
        said += f"; published {measured(published, claim)}"
    return said
