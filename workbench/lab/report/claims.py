"""Claims as rows that a page can show: numbers in words, an interval picture, a verdict with its symbol."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeGuard

from workbench.claims import UNRESOLVED, Claim, survive
from workbench.lab.ledger import count_verdicts, headline_first, is_doubtful
from workbench.lab.report.citations import linked
from workbench.lab.report.pictures import LOOKS, SMALL, measured, number, plot, symbol, tone
from workbench.lab.report.typography import smart
from workbench.sanitize import sanitize

# How our effect compares in size with the paper's.
_SIZES = {
    "same size": "≈ same size as in the paper",
    "smaller": "↓ smaller than in the paper",
    "larger": "↑ larger than in the paper",
}


def rows(
    claims: Sequence[Claim],
    link: Callable[[Claim], str | None],
    ledger: Sequence[Claim] | None = None,
    papers: Mapping[str, str] | None = None,
) -> list[dict[str, Any]]:
    """What a page shows of some claims, the headline first.

    Args:
        claims: of one run.
        link: where the figure of a claim is.
        ledger: all claims that they are corrected for, themselves among them; None: themselves.
        papers: that the run's notebook links to, as `citations.papers` finds them.
    """
    if not claims:
        return []  # and no second for scipy
    family = claims if ledger is None else ledger
    doubtful = {
        claim for claim, survives in zip(family, survive(family), strict=True) if is_doubtful(claim, survives)
    }
    tested = sum(claim.is_tested for claim in family)
    return [
        row(claim, link(claim), tested if claim in doubtful else 0, papers)
        for claim in headline_first(claims)
    ]


def row(
    claim: Claim, link: str | None, tested: int = 0, papers: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """What the ledger shows of one claim, with a link to its figure.

    Args:
        claim: any claim.
        link: where its figure is.
        tested: the number of claims for which it does not survive the correction; 0 where it does.
        papers: as in `rows`.
    """
    effect, low, high = claim.effect, claim.low, claim.high
    return {
        "name": sanitize(claim.name, 200),
        "says": _sentence(claim.says),
        "paper": linked(_sentence(claim.paper), dict(papers or {})) if not claim.is_beyond else "",
        "beyond": claim.is_beyond,
        "size": _SIZES.get(claim.size, ""),
        "headline": claim.headline,
        "effect": measured(effect, claim),
        "range": f"{number(low)} to {number(high)}" if math.isfinite(low + high) else "no interval",
        "picture": plot(claim, SMALL),
        "published": number(claim.published) if _is_known(claim.published) else "",
        "n": smart(sanitize(claim.counted, 80)),
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
    said = [smart(f"Not met: {sanitize(gate, 200)}.") for gate in claim.failed_gates]
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
    return smart(f"Less than ±{_size(claim.delta)} is no effect{f': {reason}' if reason else ''}.")


def tally(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """How many rows have each verdict, in the order of the verdicts; those of few trainings apart."""
    order, counts = list(LOOKS), {}
    for entry in sorted(rows, key=lambda entry: (order.index(entry["outcome"]), "seen" in entry["tone"])):
        looks = {name: entry[name] for name in ("tone", "symbol")}
        counted = counts.setdefault(entry["counted"], looks | {"name": entry["counted"], "count": 0})
        counted["count"] += 1
    return list(counts.values())


def _sentence(text: str) -> str:
    """A claim's or a paper's words, set as print is, with a capital in front."""
    text = smart(sanitize(text, 600)).strip()
    return text[:1].upper() + text[1:]


def _size(value: float) -> str:
    """A number without its sign."""
    return number(abs(value)).removeprefix("+")


def _trainings(claim: Claim) -> str:
    """The trainings behind a claim whose n counts something else."""
    if claim.trainings is None or claim.over.strip() == "trainings":
        return ""
    return "one training" if claim.trainings == 1 else f"{claim.trainings:,} trainings"


def _is_known(value: float | None) -> TypeGuard[float]:
    return value is not None and math.isfinite(value)
