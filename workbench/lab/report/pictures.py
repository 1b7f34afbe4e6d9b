"""An effect as words and as a small picture: its interval about a zero line, and the published figure."""

import math
from collections.abc import Sequence

from markupsafe import Markup

from workbench.claims import NO_EFFECT, OPPOSITE, REPRODUCED, UNRESOLVED, UNTESTABLE, Claim
from workbench.lab.report.typography import smart
from workbench.sanitize import sanitize

# Verdict: symbol and class of style.
LOOKS = {
    REPRODUCED: ("✓", "reproduced"),
    OPPOSITE: ("✕", "opposite"),
    NO_EFFECT: ("=", "none"),
    UNRESOLVED: ("○", "unresolved"),
    UNTESTABLE: ("–", "untestable"),
}
SMALL, LARGE = (168, 22), (280, 34)  # width and height: in the ledger, in the forest plot
_EDGE = 10  # room beside the line for a figure that lies outside of it
_FARTHEST = 3  # times our own interval's reach: a published figure farther out stands at the edge


def symbol(outcome: str) -> str:
    """The sign of a verdict."""
    return LOOKS[outcome][0]


def tone(claim: Claim) -> str:
    """The classes of style of a claim's verdict; what was only seen in few trainings is weaker."""
    return f"{LOOKS[claim.verdict][1]}{' seen' if claim.is_seen else ''}"


def number(value: float) -> str:
    """Return a signed number with three significant digits and a real minus sign."""
    if not math.isfinite(value):
        return "–"
    text = f"{value:+,.0f}" if abs(value) >= 1000 else f"{value:+#.3g}".rstrip(".")
    if "e" in text:
        text = f"{value:+.3g}"
    return text.replace("-", "−") if value else "0"


def measured(value: float, claim: Claim) -> str:
    """A signed number with the claim's unit."""
    unit = smart(sanitize(claim.unit, 60)) if math.isfinite(value) else ""
    return f"{number(value)} {unit}".strip()


def interval(effect: float, low: float, high: float, reach: float = 0.0) -> Markup:
    """Return a small SVG: zero in the middle, the interval as a line, the effect as a dot; empty if unknown.

    The scale is the row's own, so that effects in different units can stand in one column: what counts is
    on which side of zero the whole line lies. Rows that share a unit share a scale if they give the same
    `reach`, the largest number among them.
    """
    ours = (effect, low, high)
    if not all(map(math.isfinite, ours)):
        return Markup("")
    reach = max(*map(abs, ours), reach) * 1.12 or 1.0
    label = f"effect {number(effect)}, 95 % interval from {number(low)} to {number(high)}"
    return _drawn("interval", SMALL, label, [_zero(SMALL), _ours(ours, reach, SMALL)])


def plot(claim: Claim, size: tuple[int, int] = LARGE) -> Markup:
    """A claim as a small SVG: our interval and effect, the published figure as a diamond, delta as a band.

    Empty where nothing of it is known.
    """
    ours = (claim.effect, claim.low, claim.high)
    known = all(map(math.isfinite, ours))
    published = claim.published if claim.published is not None else math.nan
    reach = max(map(abs, ours)) if known else abs(published)
    if not math.isfinite(reach):
        return Markup("")
    if abs(published) <= _FARTHEST * reach:
        reach = max(reach, abs(published))
    reach = reach * 1.08 or 1.0
    parts = [_band(claim.delta, reach, size)] if claim.delta is not None else []
    parts.append(_zero(size))
    if known:
        parts.append(_ours(ours, reach, size))
    if math.isfinite(published):
        parts.append(_published(published, reach, size))
    return _drawn(f"plot {tone(claim)}", size, _label(claim, known, published), parts)


def _drawn(style: str, size: tuple[int, int], label: str, parts: Sequence[str]) -> Markup:
    width, height = size
    return Markup(
        f'<svg class="{style}" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
        f'aria-label="{Markup.escape(label)}">{"".join(parts)}</svg>'
    )


def _x(value: float, reach: float, size: tuple[int, int]) -> float:
    """Where a value stands on a line of which `reach` is the end; what lies beyond stands at the edge."""
    half = size[0] / 2
    return half + min(max(value / reach, -1.0), 1.0) * (half - _EDGE)


def _zero(size: tuple[int, int]) -> str:
    return f'<path class="zero" d="M{size[0] / 2:g} 0V{size[1]}"/>'


def _band(delta: float, reach: float, size: tuple[int, int]) -> str:
    left, right = (_x(value, reach, size) for value in (-delta, delta))
    return f'<rect class="band" x="{left:.1f}" y="0" width="{right - left:.1f}" height="{size[1]}"/>'


def _ours(ours: Sequence[float], reach: float, size: tuple[int, int]) -> str:
    dot, left, right = (_x(value, reach, size) for value in ours)
    middle, ends = size[1] / 2, size[1] / 8 + 0.5
    caps = f"M{left:.1f} {middle - ends:g}v{2 * ends:g}M{right:.1f} {middle - ends:g}v{2 * ends:g}"
    return (
        f'<path class="span" d="M{left:.1f} {middle:g}H{right:.1f}{caps}"/>'
        f'<circle class="dot" cx="{dot:.1f}" cy="{middle:g}" r="{size[1] / 14 + 2.5:.1f}"/>'
    )


def _published(value: float, reach: float, size: tuple[int, int]) -> str:
    """The published figure as a diamond; as an arrow at the edge where it lies beyond."""
    at, middle = _x(value, reach, size), size[1] / 2
    if abs(value) <= reach:
        shape = f"M{at:.1f} {middle - 7:g}l7 7l-7 7l-7 -7Z"
    else:
        outwards = math.copysign(1, value)
        shape = f"M{at + outwards * 8:.1f} {middle:g}L{at - outwards * 2:.1f} {middle - 6:g}V{middle + 6:g}Z"
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
