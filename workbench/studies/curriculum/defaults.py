"""What the parameters of 06_curriculum that are left open become."""

from typing import Any

from workbench.studies.curriculum.data import SIZES


def defaults(params: Any) -> dict[str, Any]:
    """The value of each such parameter, by its name; what nothing comes of is left out."""
    sizes = SIZES[params.profile]
    return {"seeds": sizes.seeds, "n_facts": sizes.n_facts, "n_updates": sizes.updates}
