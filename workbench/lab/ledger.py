"""The ledger: the claims that each run's claims.json keeps, and those of several runs together."""

import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from workbench.claims import CONFIRMED, OPPOSITE, REPRODUCED, VERDICTS, Claim, Gate, survive
from workbench.files import plain, write_json
from workbench.lab.digests import map_texts
from workbench.sanitize import redact

_FIELDS = [field.name for field in fields(Claim)]


def read_claims(folder: Path) -> list[Claim]:
    """The claims of one run folder, in the order they were made; none where nothing was claimed.

    Raises:
        UserError: claims.json cannot be read, or holds something else.
    """
    if not os.path.lexists(folder / "claims.json"):
        return []
    from workbench.lab import schema

    return [_claim(entry) for entry in schema.read_entries(folder)]


def _claim(entry: dict[str, Any]) -> Claim:
    """A claim from its entry, where what was not measured is None."""
    measured = {name: _or(entry[name], math.nan) for name in ("effect", "low", "high")}
    gates = tuple(_gate(gate) for gate in entry["gates"])
    values: dict[str, Any]
    values = {name: entry[name] for name in _FIELDS} | measured | {"n": entry["n"] or 0, "gates": gates}
    return Claim(**values)


def _gate(gate: dict[str, Any]) -> Gate:
    low, high = _or(gate["low"], -math.inf), _or(gate["high"], math.inf)
    return Gate(gate["name"], _or(gate["value"], math.nan), low, high)


def _or(value: float | None, unknown: float) -> float:
    return unknown if value is None else value


def write_claim(folder: Path, claim: Claim) -> None:
    """Add a claim to a run folder's claims.json; one of the same name is replaced where it stands."""
    claims = {known.name: known for known in read_claims(folder)} | {claim.name: claim}
    entries = [asdict(known) | {"verdict": known.verdict_text} for known in claims.values()]
    write_json(folder / "claims.json", map_texts(plain(entries), redact))


@dataclass(frozen=True)
class Line:
    """A claim as the ledger of several runs has it."""

    notebook: str
    title: str
    key: str  #: Of the run
    claim: Claim
    survives: bool  #: The correction for all claims of the ledger


def is_doubtful(claim: Claim, survives: bool) -> bool:
    """Whether an effect that the interval takes for one does not survive the correction for many claims."""
    return claim.verdict in (REPRODUCED, OPPOSITE) and not survives


def headline_first(claims: Iterable[Claim]) -> list[Claim]:
    """The claims with the study's headline before the others, which keep their order."""
    return sorted(claims, key=lambda claim: not claim.headline)


def lines(runs: Sequence[Path]) -> list[Line]:
    """The ledger of runs: study by study, each one's headline first, corrected for all of them.

    Raises:
        UserError: A run.json or claims.json cannot be read.
    """
    from workbench.lab.record import read_run

    records = {folder: read_run(folder) for folder in runs}
    ordered = sorted(records, key=lambda folder: records[folder]["notebook"])
    made = [(records[folder], claim) for folder in ordered for claim in headline_first(read_claims(folder))]
    surviving = survive([claim for _, claim in made])
    return [
        Line(run["notebook"], run["title"], run["key"], claim, survives)
        for (run, claim), survives in zip(made, surviving, strict=True)
    ]


def placebo_rate(runs: Iterable[Path]) -> tuple[int, int]:
    """How many claims of placebo runs came out reproduced, in however few trainings, and of how many.

    Counted are those whose gates hold and that have an interval.
    """
    tested = [claim for folder in runs for claim in read_claims(folder) if claim.is_tested]
    return sum(claim.verdict == REPRODUCED for claim in tested), len(tested)


def count_verdicts(claims: Iterable[Claim]) -> dict[str, int]:
    """How many claims ended in each verdict: `REPRODUCED` where a paper made the claim, `CONFIRMED` where
    none did; what was seen in few trainings is counted by itself."""
    said = [_counted(claim) for claim in claims]
    counts = {}
    for verdict in VERDICTS:
        counts[verdict] = said.count(verdict)
        if verdict == REPRODUCED and CONFIRMED in said:
            counts[CONFIRMED] = said.count(CONFIRMED)
        if few := said.count(_in_few(verdict)):
            counts[_in_few(verdict)] = few
    return counts


def _counted(claim: Claim) -> str:
    """What a claim's verdict is counted as."""
    return _in_few(claim.verdict) if claim.is_seen else claim.verdict_text


def _in_few(verdict: str) -> str:
    return f"{'seen' if verdict == REPRODUCED else verdict} in few trainings"
