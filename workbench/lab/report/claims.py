"""Claims as rows that a page can show: numbers in words, an interval picture, a verdict with its symbol."""

import math
from typing import Any

from markupsafe import Markup

from workbench.claims import NO_EFFECT, OPPOSITE, REPRODUCED, UNRESOLVED, UNTESTABLE, Claim
from workbench.sanitize import sanitize

# Verdict: symbol and class of style.
_LOOKS = {
    REPRODUCED: ("✓", "reproduced"),
    OPPOSITE: ("✕", "opposite"),
    NO_EFFECT: ("=", "none"),
    UNRESOLVED: ("○", "unresolved"),
    UNTESTABLE: ("–", "untestable"),
}
_WIDTH, _HEIGHT, _MIDDLE = 168, 22, 84


def symbol(outcome: str) -> str:
    """The sign of a verdict."""
    return _LOOKS[outcome][0]


def row(claim: Claim, link: str | None) -> dict[str, Any]:
    """What the ledger shows of one claim, with a link to its figure."""
    effect, low, high = claim.effect, claim.low, claim.high
    sign, tone = _LOOKS[claim.verdict]
    unit = sanitize(claim.unit, 60)
    return {
        "name": sanitize(claim.name, 200),
        "says": sanitize(claim.says, 600),
        "paper": sanitize(claim.paper, 600),
        "effect": f"{number(effect)} {unit}".strip(),
        "range": f"{number(low)} to {number(high)}" if math.isfinite(low + high) else "no interval",
        "picture": interval(effect, low, high),
        "n": f"{claim.n:,} {sanitize(claim.over, 60)}",
        "verdict": claim.verdict_text,
        "symbol": sign,
        "tone": tone,
        "link": link,
    }


def tally(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return how many claims have each verdict, in the order reproduced, opposite, unresolved."""
    verdicts = [entry["verdict"] for entry in rows]
    return [
        {"tone": tone, "symbol": symbol, "count": verdicts.count(name), "name": name}
        for name, (symbol, tone) in _LOOKS.items()
        if name in verdicts
    ]


def number(value: float) -> str:
    """Return a signed number with three significant digits and a real minus sign."""
    if not math.isfinite(value):
        return "–"
    text = f"{value:+,.0f}" if abs(value) >= 1000 else f"{value:+#.3g}".rstrip(".")
    if "e" in text:
        text = f"{value:+.3g}"
    return text.replace("-", "−") if value else "0"


def interval(effect: float, low: float, high: float, reach: float = 0.0) -> Markup:
    """Return a small SVG: zero in the middle, the interval as a line, the effect as a dot; empty if unknown.

    The scale is the row's own, so that effects in different units can stand in one column: what counts is
    on which side of zero the whole line lies. Rows that share a unit share a scale if they give the same
    `reach`, the largest number among them.
    """
    if not all(map(math.isfinite, (effect, low, high))):
        return Markup("")
    reach = max(abs(low), abs(high), abs(effect), reach) * 1.12 or 1.0
    left, dot, right = (_MIDDLE + value / reach * (_MIDDLE - 4) for value in (low, effect, high))
    label = f"effect {number(effect)}, 95 % interval from {number(low)} to {number(high)}"
    middle, ends = _HEIGHT / 2, 4
    caps = f"M{left:.1f} {middle - ends}v{2 * ends}M{right:.1f} {middle - ends}v{2 * ends}"
    return Markup(
        f'<svg class="interval" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}" '
        f'role="img" aria-label="{label}"><path class="zero" d="M{_MIDDLE} 0V{_HEIGHT}"/>'
        f'<path class="span" d="M{left:.1f} {middle}H{right:.1f}{caps}"/>'
        f'<circle class="dot" cx="{dot:.1f}" cy="{middle}" r="4"/></svg>'
    )
