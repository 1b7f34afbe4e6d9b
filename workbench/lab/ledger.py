"""The ledger: the claims that each run's claims.json keeps."""

import math
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from workbench.claims import OPPOSITE, REPRODUCED, UNRESOLVED, Claim
from workbench.files import read_json, write_json


def read_claims(folder: Path) -> list[Claim]:
    """The claims of one run folder, in the order they were made; none where nothing was claimed."""
    path = folder / "claims.json"
    return [_claim(entry) for entry in read_json(path)] if path.exists() else []


def write_claim(folder: Path, claim: Claim) -> None:
    """Add a claim to a run folder's claims.json; one of the same name is replaced where it stands."""
    claims = {known.name: known for known in read_claims(folder)} | {claim.name: claim}
    write_json(folder / "claims.json", [asdict(c) | {"verdict": c.verdict} for c in claims.values()])


def count_verdicts(claims: Iterable[Claim]) -> dict[str, int]:
    """How many claims ended in each verdict."""
    verdicts = [claim.verdict for claim in claims]
    return {name: verdicts.count(name) for name in (REPRODUCED, OPPOSITE, UNRESOLVED)}


def _claim(entry: dict[str, Any]) -> Claim:
    numbers = {n: math.nan if entry[n] is None else float(entry[n]) for n in ("effect", "low", "high")}
    return Claim(**{name: value for name, value in entry.items() if name != "verdict"} | numbers)
