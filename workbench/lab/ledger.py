"""The ledger: what was claimed, what we saw, and the verdict that follows from the interval."""

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from workbench.files import read_json, write_json

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


@dataclass(frozen=True)
class Claim:
    """One published claim beside our own figure.

    Attributes:
        name: Short name, such as "grammar-before-consistency".
        says: The claim in one plain sentence.
        paper: What the paper reports.
        effect: Our figure, oriented so that positive means "as the paper says"; in `unit`.
        low: Lower end of its 95 % interval.
        high: Upper end of its 95 % interval.
        n: Number of independent items or seeds behind it.
        unit: Unit of the effect.
        view: Title of the figure that shows it.
    """

    name: str
    says: str
    paper: str
    effect: float
    low: float
    high: float
    n: int
    unit: str = ""
    view: str | None = None

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


def read_claims(folder: Path) -> list[Claim]:
    """The claims of one run folder, in the order they were made; none where nothing was claimed."""
    path = folder / "claims.json"
    return [_claim(entry) for entry in read_json(path)] if path.exists() else []


def write_claim(folder: Path, claim: Claim) -> None:
    """Add a claim to a run folder's claims.json; one of the same name is replaced where it stands."""
    claims = {known.name: known for known in read_claims(folder)}
    claims[claim.name] = claim
    write_json(folder / "claims.json", [asdict(c) | {"verdict": c.verdict} for c in claims.values()])


def count_verdicts(claims: Iterable[Claim]) -> dict[str, int]:
    """How many claims ended in each verdict."""
    verdicts = [claim.verdict for claim in claims]
    return {name: verdicts.count(name) for name in (REPRODUCED, OPPOSITE, UNRESOLVED)}


def _claim(entry: dict[str, Any]) -> Claim:
    numbers = {n: math.nan if entry[n] is None else float(entry[n]) for n in ("effect", "low", "high")}
    return Claim(**{name: value for name, value in entry.items() if name != "verdict"} | numbers)
