"""What the parameters of 10_hivemind that are left open become."""

from typing import Any

from workbench.studies.hivemind.models import SIZES


def defaults(params: Any) -> dict[str, Any]:
    """The value of each such parameter, by its name; what nothing comes of is left out."""
    sizes = SIZES[params.profile]
    values: dict[str, Any] = {"samples": sizes.samples}
    if not (sizes.simulates and params.generations == params.models == params.prompts == "embedded"):
        return values  # nothing is trained
    several = sizes.seeds != sizes.chains
    seeds = f"{sizes.seeds} a model, {sizes.chains} a chain" if several else sizes.seeds
    return values | {"seeds": seeds, "iterations": sizes.generations}
