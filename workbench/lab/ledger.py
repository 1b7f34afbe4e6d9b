"""The ledger: the claims that each run's claims.json keeps."""

import math
import os
from collections.abc import Iterable
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from workbench.claims import REPRODUCED, VERDICTS, Claim, Gate
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


def count_verdicts(claims: Iterable[Claim]) -> dict[str, int]:
    """How many claims ended in each verdict; what was seen in few trainings is counted by itself."""
    said = [(claim.verdict, claim.is_seen) for claim in claims]
    counts = {}
    for verdict in VERDICTS:
        counts[verdict] = said.count((verdict, False))
        if few := said.count((verdict, True)):
            word = "seen" if verdict == REPRODUCED else verdict
            counts[f"{word} in few trainings"] = few
    return counts
