"""What was claimed, what we saw, and the verdict that follows from the interval."""

import math
from dataclasses import dataclass
from typing import Protocol

REPRODUCED = "reproduced"
OPPOSITE = "opposite"
UNRESOLVED = "not resolved at this scale"


def verdict(effect: float, low: float, high: float) -> str:
    """Reproduced when the whole interval is above zero, opposite when it is below, else not resolved."""
    if any(math.isnan(value) for value in (effect, low, high)):
        return UNRESOLVED
    if low > 0:
        return REPRODUCED
    return OPPOSITE if high < 0 else UNRESOLVED


class Estimate(Protocol):
    """A value with its 95 % interval, as `measures.statistics.Interval` is."""

    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Claim:
    """One published claim beside our own figure."""

    name: str  #: Short name, such as "grammar-before-consistency"
    says: str  #: The claim in one plain sentence
    paper: str  #: What the paper reports
    effect: float  #: Our figure, oriented so that positive means "as the paper says"; in `unit`
    low: float  #: Lower end of its 95 % interval
    high: float  #: Upper end of its 95 % interval
    n: int  #: Number of independent items or seeds behind it
    unit: str = ""  #: Unit of the effect
    view: str | None = None  #: Title of the figure that shows it

    @classmethod
    def of(cls, estimate: Estimate, *, name: str, says: str, paper: str, unit: str, view: str) -> "Claim":
        """A claim that an estimate decides."""
        effect, low, high = float(estimate.value), float(estimate.low), float(estimate.high)
        return cls(name, says, paper, effect, low, high, int(estimate.n), unit, view)

    @property
    def verdict(self) -> str:
        """What follows from the interval."""
        return verdict(self.effect, self.low, self.high)

    def __repr__(self) -> str:
        unit = f" {self.unit}" if self.unit else ""
        effect = "Effect unknown" if math.isnan(self.effect) else f"Effect {self.effect:+.3g}{unit}"
        known = math.isfinite(self.low + self.high)
        interval = f"95 % interval {self.low:+.3g} to {self.high:+.3g}" if known else "no interval"
        return f"{self.verdict}: {self.says} {effect} ({interval}, n = {self.n}). Paper: {self.paper}."
