"""Claims as rows that a page can show: numbers in words, an interval picture, a verdict with its symbol."""

import math
from collections.abc import Callable, Sequence
from typing import Any

from markupsafe import Markup

from workbench.claims import NO_EFFECT, OPPOSITE, REPRODUCED, UNRESOLVED, UNTESTABLE, Claim, survive
from workbench.lab.ledger import count_verdicts, headline_first, is_doubtful
from workbench.sanitize import sanitize

# Verdict: symbol and class of style.
_LOOKS = {
    REPRODUCED: ("✓", "reproduced"),
    OPPOSITE: ("✕", "opposite"),
    NO_EFFECT: ("=", "none"),
    UNRESOLVED: ("○", "unresolved"),
    UNTESTABLE: ("–", "untestable"),
}
_WIDTH, _HEIGHT = 168, 22


def symbol(outcome: str) -> str:
    """The sign of a verdict."""
    return _LOOKS[outcome][0]


def tone(claim: Claim) -> str:
    """The classes of style of a claim's verdict; what was only seen in few trainings is weaker."""
    return f"{_LOOKS[claim.verdict][1]}{' seen' if claim.is_seen else ''}"


def rows(
    claims: Sequence[Claim], link: Callable[[Claim], str | None], ledger: Sequence[Claim] | None = None
) -> list[dict[str, Any]]:
    """What a page shows of some claims, the headline first.

    Args:
        claims: of one run.
        link: where the figure of a claim is.
        ledger: all claims that they are corrected for, themselves among them; None: themselves.
    """
    if not claims:
        return []  # and no second for scipy
    family = claims if ledger is None else ledger
    doubtful = {
        claim for claim, survives in zip(family, survive(family), strict=True) if is_doubtful(claim, survives)
    }
    tested = sum(claim.is_tested for claim in family)
    return [row(claim, link(claim), tested if claim in doubtful else 0) for claim in headline_first(claims)]


def row(claim: Claim, link: str | None, tested: int = 0) -> dict[str, Any]:
    """What the ledger shows of one claim, with a link to its figure.

    Args:
        claim: any claim.
        link: where its figure is.
        tested: the number of claims for which it does not survive the correction; 0 where it does.
    """
    effect, low, high = claim.effect, claim.low, claim.high
    return {
        "name": sanitize(claim.name, 200),
        "says": sanitize(claim.says, 600),
        "paper": sanitize(claim.paper, 600),
        "headline": claim.headline,
        "effect": measured(effect, claim),
        "range": f"{number(low)} to {number(high)}" if math.isfinite(low + high) else "no interval",
        "picture": interval(effect, low, high),
        "published": number(claim.published) if _is_known(claim.published) else "",
        "n": f"{claim.n:,} {sanitize(claim.over, 60)}",
        "trainings": _trainings(claim),
        "verdict": claim.verdict_text,
        "outcome": claim.verdict,
        "counted": next(name for name, count in count_verdicts([claim]).items() if count),
        "symbol": symbol(claim.verdict),
        "tone": tone(claim),
        "notes": notes(claim, tested),
        "too_small": too_small(claim),
        "link": link,
    }


def notes(claim: Claim, tested: int = 0) -> list[str]:
    """What else must be known of a verdict: failed gates, the least effect found, the correction."""
    said = [f"Not met: {sanitize(gate, 200)}." for gate in claim.failed_gates]
    if claim.verdict == UNRESOLVED and math.isfinite(claim.detectable):
        said.append(f"Smallest detectable effect: {_size(claim.detectable)}.")
    if tested:
        said.append(f"Does not survive correction for {tested:,} claims.")
    return said


def too_small(claim: Claim) -> str:
    """Which effect is none worth speaking of, and why; empty where nothing was stated."""
    if claim.delta is None:
        return ""
    reason = sanitize(claim.delta_reason, 300).strip().rstrip(".")
    return f"Less than ±{_size(claim.delta)} is no effect{f': {reason}' if reason else ''}."


def tally(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """How many rows have each verdict, in the order of the verdicts; those of few trainings apart."""
    order, counts = list(_LOOKS), {}
    for entry in sorted(rows, key=lambda entry: (order.index(entry["outcome"]), "seen" in entry["tone"])):
        looks = {name: entry[name] for name in ("tone", "symbol")}
        counted = counts.setdefault(entry["counted"], looks | {"name": entry["counted"], "count": 0})
        counted["count"] += 1
    return list(counts.values())


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
    unit = sanitize(claim.unit, 60) if math.isfinite(value) else ""
    return f"{number(value)} {unit}".strip()


def interval(effect: float, low: float, high: float, reach: float = 0.0) -> Markup:
    """Return a small SVG: zero in the middle, the interval as a line, the effect as a dot; empty if unknown.

    The scale is the row's own, so that effects in different units can stand in one column: what counts is
    on which side of zero the whole line lies. Rows that share a unit share a scale if they give the same
    `reach`, the largest number among them.
    """
    if not all(map(math.isfinite, (effect, low, high))):
        return Markup("")
    reach = max(abs(low), abs(high), abs(effect), reach) * 1.12 or 1.0
    zero = _WIDTH / 2
    left, dot, right = (zero + value / reach * (zero - 4) for value in (low, effect, high))
    label = f"effect {number(effect)}, 95 % interval from {number(low)} to {number(high)}"
    middle, ends = _HEIGHT / 2, 4
    caps = f"M{left:.1f} {middle - ends}v{2 * ends}M{right:.1f} {middle - ends}v{2 * ends}"
    return Markup(
        f'<svg class="interval" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}" '
        f'role="img" aria-label="{label}"><path class="zero" d="M{zero} 0V{_HEIGHT}"/>'
        f'<path class="span" d="M{left:.1f} {middle}H{right:.1f}{caps}"/>'
        f'<circle class="dot" cx="{dot:.1f}" cy="{middle}" r="4"/></svg>'
    )


def _size(value: float) -> str:
    """A number without its sign."""
    return number(abs(value)).removeprefix("+")


def _trainings(claim: Claim) -> str:
    """The trainings behind a claim whose n counts something else."""
    if claim.trainings is None or claim.over.strip() == "trainings":
        return ""
    return "one training" if claim.trainings == 1 else f"{claim.trainings:,} trainings"


def _is_known(value: float | None) -> bool:
    return value is not None and math.isfinite(value)
