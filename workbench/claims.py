"""What was claimed, what we saw, and the verdict: from gates, an interval, and the number of trainings."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

from workbench.errors import UserError

REPRODUCED = "reproduced"
OPPOSITE = "opposite"
NO_EFFECT = "no effect"
CONFIRMED = "confirmed"  # what a verdict of `REPRODUCED` is called where no paper made the claim
UNRESOLVED = "not resolved at this scale"
UNTESTABLE = "not testable here"
VERDICTS = (REPRODUCED, OPPOSITE, NO_EFFECT, UNRESOLVED, UNTESTABLE)
BEYOND = ""  # what `Claim.paper` is where no paper makes the claim
FEWEST_TRAININGS = 5  # behind a claim about training: fewer are told as what was seen in them


class Estimate(Protocol):
    """A value with its 95 % interval, as `measures.statistics.Interval` is."""

    @property
    def value(self) -> float: ...
    @property
    def low(self) -> float: ...
    @property
    def high(self) -> float: ...
    @property
    def n(self) -> int: ...


@dataclass(frozen=True)
class Gate:
    """A condition without which a claim cannot be tested: a named number within its bounds, both included."""

    name: str  #: Such as "accuracy of the base"
    value: float  #: As measured in this run
    low: float = -math.inf  #: Least value that will do
    high: float = math.inf  #: Greatest value that will do

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) or math.isfinite(self.high)):
            raise UserError(f'The gate "{self.name}" has no bounds: give low=, high= or both.')

    @property
    def passed(self) -> bool:
        """Whether the value lies within the bounds; a value that is not known does not."""
        return self.low <= self.value <= self.high

    def __str__(self) -> str:
        if math.isinf(self.high):
            wanted = f"at least {self.low:.3g}"
        elif math.isinf(self.low):
            wanted = f"at most {self.high:.3g}"
        else:
            wanted = f"from {self.low:.3g} to {self.high:.3g}"
        found = "not known" if math.isnan(self.value) else f"{self.value:.3g}"
        return f"{self.name}: {found}, wanted {wanted}"


@dataclass(frozen=True)
class Claim:
    """One published claim beside our own figure."""

    name: str  #: Short name, such as "grammar-before-consistency"
    says: str  #: The claim in one plain sentence
    paper: str  #: What the paper reports, naming its figure where it has one; or `BEYOND`
    effect: float  #: Our figure, oriented so that positive means "as the paper says"; in `unit`
    low: float  #: Lower end of its 95 % interval
    high: float  #: Upper end of its 95 % interval
    n: int  #: Number of independent items behind it
    over: str  #: What `n` counts: "trainings", "stories", "training sets" …
    unit: str = ""  #: Unit of the effect
    view: str | None = None  #: Title of the figure that shows it
    trainings: int | None = None  #: Trainings behind a claim about training; None: it is about a given model
    gates: tuple[Gate, ...] = ()  #: What must hold before the effect means anything
    delta: float | None = None  #: Smallest effect of interest, stated beforehand; in `unit`
    delta_reason: str = ""  #: Why so much
    published: float | None = None  #: The paper's own effect, where it gives one; in `unit`, oriented alike
    headline: bool = False  #: Whether the study leads with it

    def __post_init__(self) -> None:
        if not self.over.strip():
            raise UserError(f'The claim "{self.name}" does not say what its n counts: give over=.')
        if self.delta is not None and not self.delta > 0:
            raise UserError(f'The claim "{self.name}" has delta={self.delta}: it must be above 0.')

    @classmethod
    def of(cls, estimate: Estimate, *, name: str, says: str, paper: str, over: str, **about: Any) -> "Claim":
        """A claim that an estimate decides; `about` are other fields of `Claim`, such as unit and view."""
        effect, low, high = float(estimate.value), float(estimate.low), float(estimate.high)
        return cls(name, says, paper, effect, low, high, int(estimate.n), over, **about)

    @property
    def verdict(self) -> str:
        """One of `VERDICTS`: a failed gate first, then no effect worth speaking of, then the interval."""
        if not all(gate.passed for gate in self.gates):
            return UNTESTABLE
        if any(math.isnan(value) for value in (self.effect, self.low, self.high)):
            return UNRESOLVED
        if self.delta is not None and -self.delta < self.low and self.high < self.delta:
            return NO_EFFECT
        if self.low > 0:
            return REPRODUCED
        return OPPOSITE if self.high < 0 else UNRESOLVED

    @property
    def is_tested(self) -> bool:
        """Whether it counts among the tests of a ledger: its gates hold, and it has an interval."""
        return self.verdict != UNTESTABLE and not math.isnan(self.p)

    @property
    def is_decided(self) -> bool:
        """Whether the verdict says something about the world."""
        return self.verdict in (REPRODUCED, OPPOSITE, NO_EFFECT)

    @property
    def is_seen(self) -> bool:
        """Whether it is decided by fewer than `FEWEST_TRAININGS` trainings: seen there, and no more."""
        return self.is_decided and self.trainings is not None and self.trainings < FEWEST_TRAININGS

    @property
    def is_beyond(self) -> bool:
        """Whether no paper makes the claim: it is ours."""
        return not self.paper.strip()

    @property
    def size(self) -> str:
        """How our effect compares with the paper's: "same size", "smaller" or "larger", by the interval.

        Empty where the paper gives no figure, or nothing was tested.
        """
        if self.published is None or not self.is_tested or not math.isfinite(self.published):
            return ""
        if self.low <= self.published <= self.high:
            return "same size"
        return "smaller" if self.high < self.published else "larger"

    @property
    def verdict_text(self) -> str:
        """The verdict in words, with the number of trainings where they are few."""
        if not self.is_seen:
            return CONFIRMED if self.is_beyond and self.verdict == REPRODUCED else self.verdict
        said = "seen" if self.verdict == REPRODUCED else self.verdict
        return f"{said} in {'one training' if self.trainings == 1 else f'{self.trainings} trainings'}"

    @property
    def counted(self) -> str:
        """What n counts, as in 1 training or 1,200 stories."""
        return f"{self.n:,} {'training' if (self.n, self.over) == (1, 'trainings') else self.over}"

    @property
    def failed_gates(self) -> tuple[Gate, ...]:
        """The gates that do not hold."""
        return tuple(gate for gate in self.gates if not gate.passed)

    @cached_property
    def p(self) -> float:
        """Two-sided p-value that goes with the interval: below .05 exactly where 0 lies outside of it.

        From Student's t with n − 1 degrees of freedom, and the half of the interval on the side of zero as
        t quantile times standard error. NaN without an interval.
        """
        from scipy import stats

        # The bootstrap of a biased figure may lie to one side of the figure.
        inside = self.low <= self.effect <= self.high
        centre = self.effect if inside else (self.low + self.high) / 2
        half = centre - self.low if centre > 0 else self.high - centre
        if self.n < 2 or not math.isfinite(half) or half < 0:
            return math.nan
        if half == 0:
            return 0.0 if centre else 1.0
        freedom = self.n - 1
        return float(2 * stats.t.sf(abs(centre) / half * stats.t.ppf(0.975, freedom), freedom))

    @property
    def detectable(self) -> float:
        """The smallest true effect that so many items of this spread would have found with power .8.

        (t(.975) + t(.8)) standard errors (Cohen 1988, section 2.4, with t for z); in `unit`. NaN without an
        interval.
        """
        from scipy import stats

        half = (self.high - self.low) / 2
        if self.n < 2 or not math.isfinite(half):
            return math.nan
        wanted, power = stats.t.ppf([0.975, 0.8], self.n - 1)
        return float(half * (1 + power / wanted))

    def __repr__(self) -> str:
        unit = f" {self.unit}" if self.unit else ""
        effect = "Effect unknown" if math.isnan(self.effect) else f"Effect {self.effect:+.3g}{unit}"
        known = math.isfinite(self.low + self.high)
        interval = f"95 % interval {self.low:+.3g} to {self.high:+.3g}" if known else "no interval"
        said = f"{self.verdict_text}: {self.says} {effect} ({interval}, n = {self.counted})."
        if self.verdict == UNRESOLVED and math.isfinite(self.detectable):
            said += f" With power .8 this n finds {self.detectable:.3g}{unit}."
        for gate in self.failed_gates:
            said += f" Gate: {gate}."
        if self.size:
            said += f" Beside the paper's {self.published:.3g}{unit}: {self.size}."
        return f"{said} Paper: {self.paper}." if not self.is_beyond else f"{said} Beyond the paper."


def survive(claims: Sequence[Claim], rate: float = 0.05) -> list[bool]:
    """Whether each claim's effect survives a false discovery rate over all of them.

    Benjamini & Hochberg (1995, section 3.1). Claims that cannot be tested or have no interval are not among
    those that are counted, and do not survive.
    """
    from scipy import stats

    known = [claim.p for claim in claims if claim.is_tested]
    adjusted = iter(stats.false_discovery_control(known) if known else ())
    return [claim.is_tested and bool(next(adjusted) <= rate) for claim in claims]
