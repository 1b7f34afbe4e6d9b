"""The ledger: the claims that each run's claims.json keeps."""

import math
import os
from collections.abc import Iterable
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from workbench.claims import OPPOSITE, REPRODUCED, UNRESOLVED, Claim
from workbench.files import plain, write_json
from workbench.lab.digests import map_texts
from workbench.sanitize import redact

_FIELDS = [field.name for field in fields(Claim)]


def read_claims(folder: Path) -> list[Claim]:
    """The claims of one run folder, in the order they were made; none where nothing was claimed.

    Raises:
        UserError: claims.json cannot be read, or holds something else.
    """
    entries = read_entries(folder)
    return [Claim(**{name: entry[name] for name in _FIELDS} | {"n": entry["n"] or 0}) for entry in entries]


def read_entries(folder: Path) -> list[dict[str, Any]]:
    """The claims as values by name, where nothing was measured NaN.

    Raises:
        UserError: As `read_claims`.
    """
    if not os.path.lexists(folder / "claims.json"):
        return []
    from workbench.lab import schema

    entries = schema.read_entries(folder)
    return [entry | {n: math.nan for n in ("effect", "low", "high") if entry[n] is None} for entry in entries]


def write_claim(folder: Path, claim: Claim) -> None:
    """Add a claim to a run folder's claims.json; one of the same name is replaced where it stands."""
    claims = {known.name: known for known in read_claims(folder)} | {claim.name: claim}
    entries = [asdict(known) | {"verdict": known.verdict} for known in claims.values()]
    write_json(folder / "claims.json", map_texts(plain(entries), redact))


def count_verdicts(claims: Iterable[Claim]) -> dict[str, int]:
    """How many claims ended in each verdict."""
    verdicts = [claim.verdict for claim in claims]
    return {name: verdicts.count(name) for name in (REPRODUCED, OPPOSITE, UNRESOLVED)}
